"""The distributions of pixels, p(x | z, y), by name; and drawing binary images of grey ones."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax, softplus

from latents.estimators.conditional_vae.logistics import clipped_mean, levels_of, log_mass

# Standard deviation of what rounding to 256 levels leaves out, 1 / (256 sqrt(12)): no 8-bit image says more.
_LEAST_VARIANCE = 1 / (256**2 * 12)

# How often factors are multiplied in pairs before a logarithm is taken: one does for 2^4 of them.
_HALVINGS = 4

# Logistic distributions that are mixed in a discretised pixel.
_N_COMPONENTS = 5
# Of these the narrowest, a tenth of half a step of 8 bits: it has all but a ten-thousandth on one grey value.
_LEAST_LOG_SCALE = -math.log(10 * 2 * 255)
_LARGEST_LOG_SCALE = 5.0  # far outside what training reaches; it keeps one bad step from ending in infinities
# How far an output of 1 moves a mean: what a network says before it has learned anything moves it little.
_REACH = 0.1


class PixelModel(nn.Module, ABC):
    """p(x | z, y), given what the decoder says of the pixels, ``outputs`` (..., n_outputs).

    The numbers for one place of the image, of one pixel or of all its colours, stand side by side.
    """

    is_binary: bool
    # Images, evenly spread, by which it begins; None: the means and variances of all.
    n_looked_at: int | None = 0
    n_channels = 1  # pixels that are described together
    n_per_place = 1  # numbers that describe them

    def n_outputs(self, n_pixels: int) -> int:
        """Return how many numbers a decoder has to give for an image of p pixels."""
        return n_pixels // self.n_channels * self.n_per_place

    @abstractmethod
    def log_likelihood(self, x: Tensor, outputs: Tensor) -> Tensor:
        """Return log p(x | z, y) in nats, summed over the pixels of x (..., p)."""

    def log_likelihood_in_place(self, x: Tensor, outputs: Tensor) -> Tensor:
        """Return ``log_likelihood`` without gradients, by what takes least time; `outputs` may be overwritten."""
        return self.log_likelihood(x, outputs)

    def means(self, outputs: Tensor) -> Tensor:
        """Return the means of the pixels, in [0, 1]: s(o), s the logistic function."""
        return torch.sigmoid(outputs)

    @abstractmethod
    def draw(self, outputs: Tensor, state: np.random.RandomState) -> Tensor:
        """Draw images of p(x | z, y), (n, p), for outputs (n, n_outputs)."""

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

    def log_likelihood_in_place(self, x: Tensor, outputs: Tensor) -> Tensor:
        """Return the same, of outputs that are overwritten.

        It is sum_i [x_i o_i - max(o_i, 0)] + log prod_i s(|o_i|). Factors are 1/2 at least: the product of 16 is
        far from underflow, and one logarithm does for all of them.
        """
        linear = outputs.clamp(min=0).addcmul_(x, outputs, value=-1).sum(-1)
        factors = outputs.abs_().sigmoid_()
        for _ in range(_HALVINGS):
            half = factors.shape[-1] // 2
            factors[..., :half].mul_(factors[..., factors.shape[-1] - half :])
            factors = factors[..., : factors.shape[-1] - half]
        return factors.log_().sum(-1).sub_(linear)

    def draw(self, outputs: Tensor, state: np.random.RandomState) -> Tensor:
        """Draw images of 0 and 1, (n, p): the means are probabilities."""
        return torch.from_numpy(binarise(self.means(outputs).cpu().numpy(), state).astype(np.float32))

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
    n_looked_at = None

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

    def draw(self, outputs: Tensor, state: np.random.RandomState) -> Tensor:
        """Draw images, (n, p), whose pixels may leave [0, 1]."""
        means = self.means(outputs)
        noise = state.standard_normal(means.shape).astype(np.float32)
        return means + torch.exp(0.5 * self.log_variance) * torch.from_numpy(noise).to(means.device)

    def begin(self, grey: Tensor) -> None:
        """Begin at the variance of the pixels about their means: what a model that knows nothing is off by."""
        with torch.no_grad():
            variance = grey.var(dim=0, correction=0).mean().clamp(min=_LEAST_VARIANCE)
            self.log_excess.copy_(torch.log(variance))


class DiscretisedPixels(PixelModel):
    r"""Pixels of the 256 grey values of 8 bits, by mixtures of discretised logistic distributions.

    For each place of the image, of one pixel or of its C colours x_1, ..., x_C,

    .. math::

        p(x \mid z, y) = \sum_k w_k
            \prod_c P\Big(x_c;\; m_{kc} + \sum_{d < c} a_{kcd} (x_d - m_{kd}),\; s_{kc}\Big)

    with P the mass of a grey value under a mean and a scale (see ``logistics``). The decoder tells shares w, means
    m and scales s; of colours also coefficients a, by which green follows red, and blue both, while one component
    is drawn for all three (Salimans et al. 2017, "PixelCNN++"; there a multiplies x_d, which is the same family).

    What it tells is relative to numbers that are the same for all places. They are learned like any weight, and
    begin at what the training images have.

    Parameters
    ----------
    n_channels : int
        Values of each place that stand side by side in x: 1, or 3 colours.
    """

    is_binary = False
    n_looked_at = 1000

    def __init__(self, n_channels: int = 1) -> None:
        super().__init__()
        self.n_channels = n_channels
        n_pairs = n_channels * (n_channels - 1) // 2
        self._sizes = [_N_COMPONENTS * n for n in (1, n_channels, n_channels, n_pairs)]
        self.n_per_place = sum(self._sizes)
        self.start = nn.Parameter(torch.zeros(self.n_per_place))

    def _split(self, numbers: Tensor) -> Sequence[Tensor]:
        """Return shares (..., K, places), means and log scales (..., C, K, places) and coefficients in pairs.

        `numbers` are (..., n_per_place, places): places are the longest of the axes, and lie close together.
        """
        shares, *parts = torch.split(numbers, self._sizes, dim=-2)
        return [
            shares,
            *(part.reshape(*part.shape[:-2], -1, _N_COMPONENTS, part.shape[-1]) for part in parts),
        ]

    def _mixture(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return log w, m, log s and a, of shapes as from ``_split``."""
        by_place = outputs.reshape(*outputs.shape[:-1], -1, self.n_per_place)
        said = self._split(by_place.transpose(-1, -2).contiguous())
        begun = self._split(self.start.unsqueeze(-1))
        # A floor that gradients pass through.
        above = softplus((begun[2] + said[2]).clamp(max=_LARGEST_LOG_SCALE) - _LEAST_LOG_SCALE)
        return (
            log_softmax(begun[0] + said[0], dim=-2),
            begun[1] + _REACH * said[1],
            _LEAST_LOG_SCALE + above,
            begun[3] + said[3],
        )

    def _following(self, means: Tensor, coefficients: Tensor, values: Tensor) -> Tensor:
        """Return the means of the colours once those before have `values`; all (..., C, K, places)."""
        if self.n_channels == 1:
            return means
        off = values - means
        red, green, _ = off.unbind(-3)
        of_green, *of_blue = coefficients.unbind(-3)
        moved = (torch.zeros_like(red), of_green * red, of_blue[0] * red + of_blue[1] * green)
        return means + torch.stack(moved, dim=-3)

    def log_likelihood(self, x: Tensor, outputs: Tensor) -> Tensor:
        """Return log p(x | z, y) in nats, summed over the pixels of x (..., p).

        A pixel between two of the grey values is taken for the nearer one.
        """
        log_shares, means, log_scales, coefficients = self._mixture(outputs)
        by_place = levels_of(x).reshape(*x.shape[:-1], -1, self.n_channels)
        levels = by_place.transpose(-1, -2).contiguous().unsqueeze(-2)
        means = self._following(means, coefficients, levels / 255)
        of_components = log_shares + log_mass(levels, means, log_scales).sum(-3)
        return of_components.logsumexp(-2).sum(-1)

    def means(self, outputs: Tensor) -> Tensor:
        """Return the means of the pixels, in [0, 1], of each component as if its draws were not rounded.

        They are exact to half a grey value, 1/510; but for green and blue of components that reach beyond black or
        white, where they are the means given the mean of the colours before.
        """
        log_shares, means, log_scales, coefficients = self._mixture(outputs)
        found = clipped_mean(means, log_scales)
        for _ in range(1, self.n_channels):  # green follows red, and then blue both
            found = clipped_mean(self._following(means, coefficients, found), log_scales)
        # Shares add up to one but for rounding.
        mixed = (log_shares.exp().unsqueeze(-3) * found).sum(-2).clamp(max=1)
        return mixed.transpose(-1, -2).flatten(-2)

    def draw(self, outputs: Tensor, state: np.random.RandomState) -> Tensor:
        """Draw images of the 256 grey values, (n, p): of each place a component, and then its colours in turn."""
        log_shares, *parts = self._mixture(outputs)

        def uniform(shape: Sequence[int]) -> Tensor:
            # Inside (0, 1), since logarithms follow.
            drawn = state.uniform(np.finfo(np.float32).tiny, 1, size=tuple(shape)).astype(np.float32)
            return torch.from_numpy(drawn).clamp(max=1 - 2**-24).to(outputs.device)

        # The largest of log w - log(-log u) is that of component k with probability w_k.
        chosen = (log_shares - torch.log(-torch.log(uniform(log_shares.shape)))).argmax(-2, keepdim=True)
        means, log_scales, coefficients = (
            part.gather(-2, chosen.unsqueeze(-3).expand(*part.shape[:-2], 1, -1)) for part in parts
        )
        noise = torch.exp(log_scales) * torch.logit(uniform(means.shape))
        values = means.clone()
        for c in range(self.n_channels):  # green follows red, and then blue both
            own = self._following(means, coefficients, values)[..., c, :, :] + noise[..., c, :, :]
            values[..., c, :, :] = levels_of(own.clamp(0, 1)) / 255
        return values.squeeze(-2).transpose(-1, -2).flatten(-2)

    def begin(self, grey: Tensor) -> None:
        """Begin with a component for each range of grey values: their share in all images, mean and spread."""
        with torch.no_grad():
            some = grey[:: -(-len(grey) // self.n_looked_at)].reshape(-1, self.n_channels)
            ranges = (some.mean(1) * _N_COMPONENTS).long().clamp(max=_N_COMPONENTS - 1)
            shares, means, log_scales, _ = (part[..., 0] for part in self._split(self.start.unsqueeze(-1)))
            for k in range(_N_COMPONENTS):
                own = some[ranges == k]
                shares[k] = math.log((len(own) + 1) / (len(some) + _N_COMPONENTS))
                means[:, k] = own.mean(0) if len(own) else (k + 0.5) / _N_COMPONENTS
                spread = own.std(0, correction=0) if len(own) else some.new_full((1,), 1 / _N_COMPONENTS)
                log_scales[:, k] = torch.log(spread.clamp(min=1 / 510) * math.sqrt(3) / math.pi)


# Name -> p(x | z, y), built of the number of colours that stand side by side
LIKELIHOODS: dict[str, Callable[[int], PixelModel]] = {
    "bernoulli": lambda _: BernoulliPixels(),
    "gaussian": lambda _: GaussianPixels(),
    "discretised": DiscretisedPixels,
}


def pixel_model(likelihood: str, image_shape: Sequence[int] | None = None) -> PixelModel:
    """Return the named pixel model for images of a shape, (height, width) or (height, width, channels)."""
    n_channels = 1 if image_shape is None or len(image_shape) == 2 else image_shape[2]
    return LIKELIHOODS[likelihood](n_channels)


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
