"""How many samples each row stands for: ``sample_weight``, checked."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def checked_weights(
    sample_weight: ArrayLike | None, n_rows: int | None, noun: str, *, any_above: bool = True
) -> NDArray[np.float64] | None:
    """Return the weights of rows as an array, or None.

    Parameters
    ----------
    sample_weight : array-like or None
    n_rows : int or None
        How many there are to be, where that is known.
    noun : str
        What a row is called.
    any_above : bool
        Whether one of them has to be above 0.

    Raises
    ------
    ValueError
        If they are not numbers in a row and one for each, or one is below 0, NaN or infinite, or all are 0 that
        must not be.
    """
    if sample_weight is None:
        return None
    weights = np.array(sample_weight, dtype=np.float64)
    if weights.ndim != 1:
        raise ValueError(f"sample_weight has shape {weights.shape}; allowed is a number for each {noun}")
    if n_rows is not None and len(weights) != n_rows:
        raise ValueError(
            f"sample_weight has {len(weights)} numbers, and X has {n_rows} {noun}s; allowed is one for each"
        )
    if (bad := np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))).size:
        raise ValueError(f"sample_weight[{bad[0]}] is {weights[bad[0]]}; allowed are numbers of at least 0")
    if any_above and not weights.any():
        raise ValueError("sample_weight is zero throughout; allowed are numbers of at least 0, one above it")
    return weights
