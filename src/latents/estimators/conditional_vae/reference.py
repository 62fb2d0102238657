"""The source's network: ReLU layers on both ways, one level of latents, the class one-hot beside the rest."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from latents.estimators.conditional_vae.distributions import PRIORS, Gaussian, StandardPrior
from latents.estimators.conditional_vae.interface import (
    ConditionalNetwork,
    LatentLevel,
    Passage,
    Sampler,
    Sizes,
)
from latents.estimators.conditional_vae.pixels import PixelModel


class Encoder(nn.Module):
    """q(z | x, y): one-hot class beside the pixels, ReLU layers, then mean and log variance."""

    def __init__(self, sizes: Sizes, generator: torch.Generator) -> None:
        super().__init__()
        self.n_classes = sizes.n_classes
        n_in = sizes.n_pixels + sizes.n_classes
        self.layers = perceptron([n_in, *sizes.hidden, 2 * sizes.n_latents], generator)

    def forward(self, x: Tensor, y: Tensor) -> Gaussian:
        """Return q for pixels x (n, p) and class codes y (n,)."""
        # Single precision, whatever the products were multiplied in.
        mean, log_variance = self.layers(beside(x, y, self.n_classes)).float().chunk(2, dim=-1)
        return Gaussian(mean, log_variance)


class Decoder(nn.Module):
    """What p(x | z, y) is made of: one-hot class beside the latents, ReLU layers, the numbers for the pixels."""

    def __init__(self, sizes: Sizes, generator: torch.Generator) -> None:
        super().__init__()
        self.n_classes = sizes.n_classes
        n_in = sizes.n_latents + sizes.n_classes
        self.layers = perceptron([n_in, *reversed(sizes.hidden), sizes.n_outputs], generator)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return the numbers (..., n, n_outputs) for latents z (..., n, L) and classes y (see ``beside``)."""
        outputs: Tensor = self.layers(beside(z, y, self.n_classes)).float()
        return outputs


class ReferenceNetwork(ConditionalNetwork):
    """Encoder, decoder and prior of the source's section 3.

    Parameters
    ----------
    sizes : Sizes
        `hidden` are the widths of the encoder's layers; the decoder has them in reverse. Empty: linear
        networks.
    prior : {"standard", "per_class"}
    pixels : PixelModel
    generator : Generator
        Draws the initial weights, on the CPU.
    """

    def __init__(self, sizes: Sizes, prior: str, pixels: PixelModel, generator: torch.Generator) -> None:
        super().__init__(sizes.n_latents, sizes.n_outputs, pixels)
        self.encoder = Encoder(sizes, generator)
        self.decoder = Decoder(sizes, generator)
        self.prior = PRIORS[prior](sizes.n_classes, sizes.n_latents)

    @staticmethod
    def n_weights(sizes: Sizes, prior: str) -> int:
        """See ``ConditionalNetwork``."""
        n_pixels, n_outputs, n_classes, n_latents, hidden, *_ = sizes
        ways = (
            [n_pixels + n_classes, *hidden, 2 * n_latents],
            [n_latents + n_classes, *reversed(hidden), n_outputs],
        )
        layers = sum((n_in + 1) * n_out for widths in ways for n_in, n_out in pairwise(widths))
        return layers + (2 * n_classes * n_latents if prior == "per_class" else 0)

    def passage(
        self, y: Tensor, *, x: Tensor | None = None, noise: Tensor | None = None, z: Tensor | None = None
    ) -> Passage:
        """See ``ConditionalNetwork``."""
        prior = self.prior(y)
        posterior = None if x is None else self.encoder(x, y)
        z = (prior if posterior is None else posterior).draw(noise) if z is None else z
        return Passage([LatentLevel(z, prior, posterior)], self.decoder(z, y))

    def sampler(self, x: Tensor, y: Tensor) -> Sampler:
        """See ``ConditionalNetwork``."""
        prior, posterior = self.prior(y), self.encoder(x, y)

        def draw(noise: Tensor) -> tuple[Tensor, Tensor]:
            level = LatentLevel(posterior.draw(noise), prior, posterior)
            return self.decoder(level.z, y), level.log_ratio(noise)

        return draw

    def top_prior(self, y: Tensor) -> Gaussian:
        """Return p(z | y)."""
        gaussian: Gaussian = self.prior(y)
        return gaussian

    def under_standard_prior(self) -> Self:
        """Return the same encoder and decoder, sharing their weights, with p(z | y) = N(0, I)."""
        other = copy.copy(self)
        other._modules = {**self._modules, "prior": StandardPrior(self.n_latents).to(self.device)}
        return other


def perceptron(widths: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """Linear layers of the given `widths` with ReLU between them.

    Glorot-uniform weights and zero biases, as ZhuSuan's example has them, drawn from `generator` so
    that building a network leaves torch's global random state alone.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        linear = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
        nn.init.xavier_uniform_(linear.weight, generator=generator)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def beside(values: Tensor, y: Tensor, n_classes: int) -> Tensor:
    """Concatenate the classes to `values` (..., n, d), giving (..., n, d + C).

    Classes are codes y (n,), which become one-hot, or weights of all classes (n, C), for what lies
    between some of them.
    """
    weights = y if y.is_floating_point() else one_hot(y, n_classes)
    classes = weights.to(values.dtype).expand(*values.shape[:-1], n_classes)
    return torch.cat((values, classes), dim=-1)
