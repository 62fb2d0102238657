"""The networks of a class-conditioned VAE: q(z | x, y), p(x | z, y) and p(z | y).

Classes arrive as codes 0 … C - 1, pixels leave as logits, Gaussians are diagonal. To add an
architecture, write an encoder and a decoder of the shapes below and enter a function that builds
both in ``NETWORKS``.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


class Gaussian(NamedTuple):
    """A diagonal Gaussian over z: `mean` and `log_variance`, both (..., L)."""

    mean: Tensor
    log_variance: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """Return mean + sigma * noise, (..., n, L), differentiable in the parameters."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise


class Encoder(nn.Module):
    """q(z | x, y): one-hot class beside the pixels, ReLU layers, then mean and log variance."""

    def __init__(
        self,
        n_pixels: int,
        n_classes: int,
        n_latents: int,
        hidden: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.layers = perceptron([n_pixels + n_classes, *hidden, 2 * n_latents], generator)

    def forward(self, x: Tensor, y: Tensor) -> Gaussian:
        """Return q for pixels x (n, p) and class codes y (n,)."""
        mean, log_variance = self.layers(beside(x, y, self.n_classes)).chunk(2, dim=-1)
        return Gaussian(mean, log_variance)


class Decoder(nn.Module):
    """p(x | z, y): one-hot class beside the latents, ReLU layers, then one logit a pixel."""

    def __init__(
        self,
        n_pixels: int,
        n_classes: int,
        n_latents: int,
        hidden: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.layers = perceptron([n_latents + n_classes, *reversed(hidden), n_pixels], generator)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return the logits (..., n, p) for latents z (..., n, L) and class codes y (n,)."""
        logits: Tensor = self.layers(beside(z, y, self.n_classes))
        return logits


class StandardPrior(nn.Module):
    """p(z | y) = N(0, I), whatever y."""

    def __init__(self, n_classes: int, n_latents: int) -> None:
        super().__init__()
        # Buffers follow the module from device to device; there is nothing to learn or to save.
        self.register_buffer("zeros", torch.zeros(n_classes, n_latents), persistent=False)
        self.zeros: Tensor

    def forward(self, y: Tensor) -> Gaussian:
        """Return p(z | y) for class codes y (n,), parameters (n, L)."""
        zeros = self.zeros[y]
        return Gaussian(zeros, zeros)


class PerClassPrior(nn.Module):
    """p(z | y) = N(m_y, diag exp v_y), m and v learned, from N(0, I) at the start."""

    def __init__(self, n_classes: int, n_latents: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_classes, n_latents))
        self.log_variance = nn.Parameter(torch.zeros(n_classes, n_latents))

    def forward(self, y: Tensor) -> Gaussian:
        """Return p(z | y) for class codes y (n,), parameters (n, L)."""
        return Gaussian(self.mean[y], self.log_variance[y])


class ConditionalNetwork(nn.Module):
    """The model's three distributions together: what is trained, evaluated and saved.

    Parameters
    ----------
    encoder : Module
        q(z | x, y): pixels (n, p) and class codes (n,) to a ``Gaussian`` over z (n, L).
    decoder : Module
        p(x | z, y): latents (..., n, L) and class codes (n,) to pixel logits (..., n, p).
    prior : Module
        p(z | y): class codes (n,) to a ``Gaussian`` over z (n, L).
    n_latents : int
        L.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, n_latents: int):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.n_latents = n_latents

    @property
    def device(self) -> torch.device:
        """Where the weights are, and everything given to the three modules must be."""
        return next(self.parameters()).device


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
    """Concatenate the one-hot classes y (n,) to `values` (..., n, d), giving (..., n, d + C)."""
    classes = one_hot(y, n_classes).to(values.dtype).expand(*values.shape[:-1], n_classes)
    return torch.cat((values, classes), dim=-1)


def _reference(
    n_pixels: int,
    n_classes: int,
    n_latents: int,
    hidden: Sequence[int],
    generator: torch.Generator,
) -> tuple[nn.Module, nn.Module]:
    sizes = (n_pixels, n_classes, n_latents, hidden, generator)
    return Encoder(*sizes), Decoder(*sizes)


# Name -> (n_pixels, n_classes, n_latents, hidden, generator) -> (encoder, decoder)
NETWORKS: dict[str, Callable[..., tuple[nn.Module, nn.Module]]] = {"reference": _reference}

# Name -> (n_classes, n_latents) -> p(z | y)
PRIORS: dict[str, Callable[[int, int], nn.Module]] = {
    "standard": StandardPrior,
    "per_class": PerClassPrior,
}


def build(
    network: str,
    prior: str,
    *,
    n_pixels: int,
    n_classes: int,
    n_latents: int,
    hidden: Sequence[int],
    generator: torch.Generator,
) -> ConditionalNetwork:
    """Build the named network and prior, initialised from `generator` (on the CPU)."""
    encoder, decoder = NETWORKS[network](n_pixels, n_classes, n_latents, hidden, generator)
    return ConditionalNetwork(encoder, decoder, PRIORS[prior](n_classes, n_latents), n_latents)
