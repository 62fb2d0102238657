"""What every network of a class-conditioned VAE can be asked: the interface between architectures and the rest."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from latents.estimators.conditional_vae.distributions import (
    Gaussian,
    Posterior,
)
from latents.estimators.conditional_vae.pixels import PixelModel


class Sizes(NamedTuple):
    """How large a network is: what every architecture is built by.

    `n_outputs` are the numbers that the pixel model is told of an image, those for each place side by side.
    `hidden` are widths, of what is for the architecture to say. `is_correlated` says whether q, where it has
    levels, is a Gaussian of any covariance on each. `spatial` are widths of what lies on a grid over images of
    `image_shape`, if anything does.
    """

    n_pixels: int
    n_outputs: int
    n_classes: int
    n_latents: int
    hidden: Sequence[int]
    is_correlated: bool
    spatial: Sequence[int]
    image_shape: Sequence[int] | None


class LatentLevel(NamedTuple):
    """Latents of one level, and the Gaussians that they may have come from.

    Parameters
    ----------
    z : Tensor of shape (..., n, l)
    prior : Gaussian
        p(z_t | z_<t, y) given the latents of the levels above, parameters (..., n, l) or (n, l).
    posterior : Gaussian, CorrelatedGaussian or None
        q(z_t | z_<t, x, y) in the same way; None where no image was given.
    """

    z: Tensor
    prior: Gaussian
    posterior: Posterior | None

    def divergence(self) -> Tensor:
        """Return KL(q || p) in nats, (..., n)."""
        return self._of_image.divergence(self.prior)

    def log_ratio(self, noise: Tensor) -> Tensor:
        """Return log p(z_t | z_<t, y) - log q(z_t | z_<t, x, y) in nats, (..., n), of what `noise` drew from q."""
        return self.prior.log_density(self.z) - self._of_image.log_density_of_draw(self.z, noise)

    @property
    def _of_image(self) -> Posterior:
        if self.posterior is None:
            raise TypeError("a passage without an image has no posterior")
        return self.posterior


class Passage(NamedTuple):
    """One way through the model: the latents, level by level from the top, and what they give.

    Parameters
    ----------
    levels : sequence of LatentLevel
    outputs : Tensor of shape (..., n, n_outputs)
        What the pixel model is told.
    """

    levels: Sequence[LatentLevel]
    outputs: Tensor

    @property
    def z(self) -> Tensor:
        """The latents of all levels side by side, (..., n, L)."""
        return torch.cat([level.z for level in self.levels], dim=-1)


class BoundTerms(NamedTuple):
    """The terms of L = reconstruction - kl, one value per image, (n,), in nats."""

    reconstruction: Tensor
    kl: Tensor


# Noise (S, n, L) -> outputs (S, n, n_outputs), to overwrite at will, and log p(z | y) / q(z | x, y), (S, n)
Sampler = Callable[[Tensor], tuple[Tensor, Tensor]]


class ConditionalNetwork(nn.Module, ABC):
    """The model's distributions together: what is trained, evaluated and saved.

    An architecture says what p(z | y) is and how one gets from classes to pixels by way of z
    (``passage``). z enters the world as standard normal noise: of the posterior, for a draw from it, or
    of the prior, where equal noise means the same style in every class.

    Classes y are codes 0 ... C - 1, (n,), or weights of all classes, (n, C), for what lies between some
    of them; images come with codes.

    Parameters
    ----------
    n_latents : int
        L.
    n_outputs : int
        What the pixel model is told of an image.
    pixels : PixelModel
        p(x | z, y), given the outputs.
    """

    def __init__(self, n_latents: int, n_outputs: int, pixels: PixelModel) -> None:
        super().__init__()
        self.n_latents = n_latents
        self.n_outputs = n_outputs
        self.pixels = pixels

    @staticmethod
    @abstractmethod
    def n_weights(sizes: Sizes, prior: str) -> int:
        """Return how many numbers a network of these sizes learns, those of its pixel model apart.

        Nothing is made for it, so that sizes can be refused that no memory holds.
        """

    @abstractmethod
    def passage(
        self, y: Tensor, *, x: Tensor | None = None, noise: Tensor | None = None, z: Tensor | None = None
    ) -> Passage:
        """Go from classes y to pixels by way of `z`, or else of the draw that `noise` stands for.

        The draw is of q(z | x, y) where pixels `x` (n, p) are given, and of p(z | y) where none are. The
        image is looked at once, however many draws (..., n, L) there are of it.
        """

    @abstractmethod
    def sampler(self, x: Tensor, y: Tensor) -> Sampler:
        """Look at images x (n, p) of classes y (n,) once, and return what draws from q(z | x, y), however often.

        For a network in evaluation mode, and without gradients: what ``weigh`` gives, by what takes least time.
        """

    @abstractmethod
    def top_prior(self, y: Tensor) -> Gaussian:
        """Return p(z | y), or of a hierarchy that of its top level, for y (n,) or (n, C)."""

    @abstractmethod
    def under_standard_prior(self) -> Self:
        """Return the same network, sharing its weights, with N(0, I) in place of ``top_prior``."""

    @property
    def widest(self) -> int:
        """Numbers of an image in the widest layer."""
        return self.n_outputs

    @property
    def device(self) -> torch.device:
        """Where the weights are, and everything given to the methods must be."""
        return next(self.parameters()).device

    def infer(self, x: Tensor, y: Tensor, noise: Tensor) -> BoundTerms:
        """Draw z from q(z | x, y): return log p(x | z, y), (..., n), and KL(q || p(z | y)) in closed form.

        The divergence is (n,), or (..., n) in a hierarchy, where that of a level depends on the draws
        above it.
        """
        through = self.passage(y, x=x, noise=noise)
        kl = reduce(add, (level.divergence() for level in through.levels))
        return BoundTerms(self.pixels.log_likelihood(x, through.outputs), kl)

    def weigh(self, x: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Draw z from q(z | x, y): return log p(x | z, y) and log p(z | y) - log q(z | x, y), both (..., n).

        They add up to the log importance weights. The mean of the weights over draws is an unbiased estimate of
        p(x | y), and the log of that mean lies below log p(x | y) on average (Burda, Grosse, Salakhutdinov 2016,
        "Importance Weighted Autoencoders").
        """
        through = self.passage(y, x=x, noise=noise)
        parts = torch.split(noise, [level.z.shape[-1] for level in through.levels], dim=-1)
        log_ratios = (level.log_ratio(part) for level, part in zip(through.levels, parts, strict=True))
        return self.pixels.log_likelihood(x, through.outputs), reduce(add, log_ratios)

    def code(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean of q(z | x, y), (n, L): of a hierarchy, each level's given the means above."""
        return self.passage(y, x=x, noise=x.new_zeros(len(x), self.n_latents)).z

    def standardise(self, z: Tensor, y: Tensor) -> Tensor:
        """Return the noise that z (..., n, L) is the draw of p(z | y) by: z in units of p(z | y)."""
        levels = self.passage(y, z=z).levels
        noise = [
            (level.z - level.prior.mean) * torch.exp(-0.5 * level.prior.log_variance) for level in levels
        ]
        return torch.cat(noise, dim=-1)
