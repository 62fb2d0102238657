"""Grey images as probabilities: checking them and drawing binary images from them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state


def binarise(X: ArrayLike, random_state: int | np.random.RandomState | None = None) -> NDArray[np.uint8]:
    """Draw each pixel from the Bernoulli distribution whose probability is its grey value.

    A test set binarised once, with a fixed seed, gives bounds that can be compared. Training images
    need no such call: ``ConditionalVAE.fit`` binarises them afresh each time one is drawn.

    Parameters
    ----------
    X : array-like of shape (N, p)
        Grey values in [0, 1].
    random_state : int, RandomState instance or None
        Where the draws come from, by scikit-learn's convention.

    Returns
    -------
    ndarray of shape (N, p), uint8
        Zeros and ones; pixels of exactly 0 or 1 stay as they are.

    Raises
    ------
    ValueError
        If a value lies outside [0, 1].
    """
    grey = np.asarray(X)
    check_pixels(grey)
    # uniform() draws from [0, 1), so that 0 is never and 1 always drawn.
    uniform: NDArray[np.float64] = check_random_state(random_state).uniform(size=grey.shape)
    return (uniform < grey).astype(np.uint8)


def check_pixels(X: NDArray[np.number]) -> None:
    """Refuse values outside [0, 1], NaN included, and name the first place that holds one.

    Raises
    ------
    ValueError
        If a value lies outside [0, 1].
    """
    if X.size and not (X.min() >= 0 and X.max() <= 1):
        place = tuple(int(i) for i in np.argwhere(~((X >= 0) & (X <= 1)))[0])
        raise ValueError(
            f"X[{', '.join(map(str, place))}] is {X[place]}, but pixels must lie in [0, 1]: "
            "scale grey values (divide by 255, say) first"
        )
