"""The networks of a class-conditioned VAE: q(z | x, y), p(x | z, y) and p(z | y).

Classes arrive as codes 0 … C - 1, Gaussians are diagonal. To add an architecture, write an encoder
and a decoder of the shapes below and enter a function that builds both in ``NETWORKS``. What the
rest asks of a model is in the methods of ``ConditionalNetwork``: a hierarchy of latents is another
class with these methods, its z the layers side by side.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from latents.estimators.conditional_vae.distributions import (
    Gaussian,
    gaussian_log_density,
    kl_divergence,
)
from latents.estimators.conditional_vae.pixels import LIKELIHOODS, PixelModel


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
        # Single precision, whatever the products were multiplied in.
        mean, log_variance = self.layers(beside(x, y, self.n_classes)).float().chunk(2, dim=-1)
        return Gaussian(mean, log_variance)


class Decoder(nn.Module):
    """What p(x | z, y) is made of: one-hot class beside the latents, ReLU layers, one number a pixel."""

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
        """Return the numbers (..., n, p) for latents z (..., n, L) and classes y (see ``beside``)."""
        outputs: Tensor = self.layers(beside(z, y, self.n_classes)).float()
        return outputs


class StandardPrior(nn.Module):
    """p(z | y) = N(0, I), whatever y."""

    def __init__(self, n_latents: int) -> None:
        super().__init__()
        # Buffers follow the module from device to device; there is nothing to learn or to save.
        self.register_buffer("zeros", torch.zeros(n_latents), persistent=False)
        self.zeros: Tensor

    def forward(self, y: Tensor) -> Gaussian:
        """Return p(z | y) for classes y, parameters (n, L)."""
        zeros = self.zeros.expand(len(y), -1)
        return Gaussian(zeros, zeros)


class PerClassPrior(nn.Module):
    """p(z | y) = N(m_y, diag exp v_y), m and v learned, from N(0, I) at the start.

    Between classes, at weights w_y, it is the Gaussian of the weighted means of m and v.
    """

    def __init__(self, n_classes: int, n_latents: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_classes, n_latents))
        self.log_variance = nn.Parameter(torch.zeros(n_classes, n_latents))

    def forward(self, y: Tensor) -> Gaussian:
        """Return p(z | y) for classes y, codes (n,) or weights (n, C), parameters (n, L)."""
        if y.is_floating_point():
            return Gaussian(y @ self.mean, y @ self.log_variance)
        return Gaussian(self.mean[y], self.log_variance[y])


class ConditionalNetwork(nn.Module):
    """The model's three distributions together: what is trained, evaluated and saved.

    Everything else goes through the methods below, and z enters the world as standard normal noise:
    of the posterior, for a draw from it, or of the prior, where equal noise means the same style in
    every class.

    Parameters
    ----------
    encoder : Module
        q(z | x, y): pixels (n, p) and class codes (n,) to a ``Gaussian`` over z (n, L).
    decoder : Module
        Latents (..., n, L) and classes to what `pixels` is told of each pixel, (..., n, p).
    prior : Module
        p(z | y): classes to a ``Gaussian`` over z (n, L).
    n_latents : int
        L.
    pixels : PixelModel
        p(x | z, y), given the decoder's outputs.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, n_latents: int, pixels: PixelModel
    ):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.n_latents = n_latents
        self.pixels = pixels

    @property
    def device(self) -> torch.device:
        """Where the weights are, and everything given to the methods must be."""
        return next(self.parameters()).device

    def infer(self, x: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Draw z from q(z | x, y) by noise (..., n, L); return it and KL(q || p(z | y)), (n,), in closed form.

        In a hierarchy the divergence of a layer depends on the draw of the one above: (..., n).
        """
        posterior = self.encoder(x, y)
        return posterior.draw(noise), kl_divergence(posterior, self.prior(y))

    def weigh(self, x: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Draw z from q(z | x, y) by noise (..., n, L); return it and log p(z | y) - log q(z | x, y), (..., n)."""
        posterior = self.encoder(x, y)
        z = posterior.draw(noise)
        return z, gaussian_log_density(z, self.prior(y)) - gaussian_log_density(z, posterior)

    def code(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean of q(z | x, y), (n, L): of a hierarchy, each layer's given the means above."""
        mean: Tensor = self.encoder(x, y).mean
        return mean

    def generate(self, y: Tensor, noise: Tensor) -> Tensor:
        """Return the draw of p(z | y) that noise (..., n, L) stands for."""
        z: Tensor = self.prior(y).draw(noise)
        return z

    def standardise(self, z: Tensor, y: Tensor) -> Tensor:
        """Return the noise that ``generate`` makes z (..., n, L) of: z in units of p(z | y)."""
        prior: Gaussian = self.prior(y)
        return (z - prior.mean) * torch.exp(-0.5 * prior.log_variance)

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """Return what `pixels` is told, (..., n, p), for latents z (..., n, L) and classes y."""
        outputs: Tensor = self.decoder(z, y)
        return outputs

    def log_likelihood(self, x: Tensor, z: Tensor, y: Tensor) -> Tensor:
        """Return log p(x | z, y), (..., n), in nats, of pixels x (n, p) at latents z (..., n, L)."""
        return self.pixels.log_likelihood(x, self.decode(z, y))

    def under_standard_prior(self) -> Self:
        """Return the same encoder and decoder, sharing their weights, with p(z | y) = N(0, I)."""
        prior = StandardPrior(self.n_latents).to(self.device)
        return type(self)(self.encoder, self.decoder, prior, self.n_latents, self.pixels)


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
    "standard": lambda _, n_latents: StandardPrior(n_latents),
    "per_class": PerClassPrior,
}


def build(
    network: str,
    prior: str,
    *,
    likelihood: str = "bernoulli",
    n_pixels: int,
    n_classes: int,
    n_latents: int,
    hidden: Sequence[int],
    generator: torch.Generator,
) -> ConditionalNetwork:
    """Build the named network, prior and pixel model, initialised from `generator` (on the CPU)."""
    encoder, decoder = NETWORKS[network](n_pixels, n_classes, n_latents, hidden, generator)
    prior_of_class = PRIORS[prior](n_classes, n_latents)
    return ConditionalNetwork(encoder, decoder, prior_of_class, n_latents, LIKELIHOODS[likelihood]())
