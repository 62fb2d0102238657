"""The distributions of pixels, p(x | z, y): Bernoulli and Gaussian; and drawing binary images of grey ones."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

# Standard deviation of what rounding to 256 levels leaves out, 1 / (256 sqrt(12)): no 8-bit image says more.
_LEAST_VARIANCE = 1 / (256**2 * 12)


class PixelModel(nn.Module, ABC):
    """p(x | z, y), given what the decoder says of each pixel, ``outputs`` (..., p)."""

    is_binary: bool

    @abstractmethod
    def log_likelihood(self, x: Tensor, outputs: Tensor) -> Tensor:
        """Return log p(x | z, y) in nats, summed over the pixels of x (..., p)."""

    def means(self, outputs: Tensor) -> Tensor:
        """Return the means of the pixels, in [0, 1]: s(o), s the logistic function."""
        return torch.sigmoid(outputs)

    @abstractmethod
    def begin(self, grey: Tensor) -> None:
        """Look at the training images (N, p) before the first step."""


class BernoulliPixels(PixelModel):
    """Pixels of 0 and 1, independent given z and y; the decoder's outputs o are their logits."""

    is_binary = True

    def log_likelihood(self, x: Tensor, outputs: Tensor) -> Tensor:
        """Return log p(x | z, y) in nats, summed over the pixels of x (..., p).

        A pixel between 0 and 1 gives x log s(o) + (1 - x) log(1 - s(o)), the expectation over its binarisations.
        """
        return -binary_cross_entropy_with_logits(outputs, x.expand_as(outputs), reduction="none").sum(-1)

    def begin(self, grey: Tensor) -> None:
        """Do nothing: there is nothing to learn here."""


class GaussianPixels(PixelModel):
    r"""Continuous pixels, x_i ~ N(s(o_i), sigma^2), s the logistic function and sigma shared by all pixels.

    One variance and not one for each pixel: a pixel that is the same in all images, as in the frame of
    most sets, would send its own variance to nought and the density to infinity, and the bound would
    speak of the frame alone. A shared one is learned like any weight and comes near the optimum, the
    mean squared error (Rybkin, Daniilidis, Levine 2021, "Simple and Effective VAE Training with
    Calibrated Decoders"). It is sigma_0^2 + exp(v), where sigma_0 is the rounding error of 8 bits, so
    that densities stay finite even where every pixel is met exactly.
    """

    is_binary = False

    def __init__(self) -> None:
        super().__init__()
        self.log_excess = nn.Parameter(torch.zeros(1))

    @property
    def log_variance(self) -> Tensor:
        """Log sigma^2, (1,)."""
        return torch.log(_LEAST_VARIANCE + torch.exp(self.log_excess))

    def log_likelihood(self, x: Tensor, outputs: Tensor) -> Tensor:
        """Return the log density of x (..., p) in nats, which may be positive."""
        log_variance = self.log_variance
        squares = (x - torch.sigmoid(outputs)).square().sum(-1)
        constant = outputs.shape[-1] * (math.log(2 * math.pi) + log_variance)
        return -0.5 * (constant + squares * torch.exp(-log_variance))

    def begin(self, grey: Tensor) -> None:
        """Begin at the variance of the pixels about their means: what a model that knows nothing is off by."""
        with torch.no_grad():
            variance = grey.var(dim=0, correction=0).mean().clamp(min=_LEAST_VARIANCE)
            self.log_excess.copy_(torch.log(variance))


# Name -> p(x | z, y)
LIKELIHOODS: dict[str, Callable[[], PixelModel]] = {"bernoulli": BernoulliPixels, "gaussian": GaussianPixels}


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


def check_pixels(X: NDArray[np.number], first: int = 0) -> None:
    """Refuse values outside [0, 1], NaN included, and name the first place that holds one, rows from `first`.

    Raises
    ------
    ValueError
        If a value lies outside [0, 1].
    """
    if X.size and not (X.min() >= 0 and X.max() <= 1):
        place = tuple(int(i) for i in np.argwhere(~((X >= 0) & (X <= 1)))[0])
        named = (first + place[0], *place[1:])
        raise ValueError(
            f"X[{', '.join(map(str, named))}] is {X[place]}, but pixels must lie in [0, 1]: "
            "scale grey values (divide by 255, say) first"
        )
