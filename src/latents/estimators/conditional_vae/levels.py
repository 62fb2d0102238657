"""What ladders are made of: a level, with its latents' prior and posterior, and linear layers as they begin."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from latents.estimators.conditional_vae.descent import Affine, DescentLevel
from latents.estimators.conditional_vae.distributions import CorrelatedGaussian, Gaussian, Posterior
from latents.estimators.conditional_vae.normalisation import Normalise

# Latents of a posterior are compared with its prior through so many hidden units for each of them.
UNITS_PER_LATENT = 8


class Level(nn.Module):
    """One rung: prior and posterior of its latents, and what they add to the state.

    s <- s + F z_t + W_2 silu(W_1 norm(s) + E z_t), with `expansion` times the state's width inside.
    """

    factor: nn.Linear | None

    def __init__(
        self,
        n_latents: int,
        width: int,
        generator: torch.Generator,
        *,
        is_correlated: bool,
        expansion: int = 1,
    ) -> None:
        super().__init__()
        self.inside = [expansion * width, width]
        self.sizes = [expansion * width, UNITS_PER_LATENT * n_latents, 2 * n_latents]
        self.norm = Normalise(width)
        self.widen = linear(width, sum(self.sizes), generator, gain=1.4)
        self.posterior = linear(self.sizes[1], 2 * n_latents, generator, gain=0.3)
        self.enter = linear(n_latents, sum(self.inside), generator, bias=False)
        self.narrow = linear(expansion * width, width, generator, gain=0.3, bias=False)
        # Of its l x l numbers those below the diagonal are read.
        n_factor = n_latents**2 if is_correlated and n_latents > 1 else 0
        self.factor = linear(self.sizes[1], n_factor, generator, gain=0.05, bias=False) if n_factor else None
        with torch.no_grad():  # so that the prior begins near N(0, I)
            self.widen.weight[self.sizes[0] : -2 * n_latents] *= 0.5
            self.widen.weight[-2 * n_latents :] *= 0.07

    def seen(self, state: Tensor) -> Tensor:
        """Return what is looked at: norm(s)."""
        seen: Tensor = self.norm(state)
        return seen

    def read(self, state: Tensor, feature: Tensor | None) -> tuple[Tensor, Gaussian, Posterior | None]:
        """Look at the state once: W_1 norm(s), p(z_t | z_<t, y) and, given the image's feature, q."""
        hidden, compared, prior_parts = torch.split(self.widen(self.seen(state)), self.sizes, dim=-1)
        # In single precision whatever the products were in, since exponentials follow. The limits lie far
        # outside what training reaches, and keep one bad step from ending in infinities.
        mean, log_variance = prior_parts.float().chunk(2, dim=-1)
        prior = Gaussian(mean, log_variance.clamp(-8, 8))
        return hidden, prior, None if feature is None else self._posterior(prior, compared + feature)

    def _posterior(self, prior: Gaussian, compared: Tensor) -> Posterior:
        # In standard deviations of what is expected without the image: zero says that it adds nothing.
        seen = silu(compared)
        deviation = torch.exp(0.5 * prior.log_variance)
        shift, log_ratio = self.posterior(seen).float().chunk(2, dim=-1)
        mean, log_variance = prior.mean + deviation * shift, prior.log_variance + log_ratio.clamp(-10, 6)
        if self.factor is None:
            return Gaussian(mean, log_variance)
        n = mean.shape[-1]
        below = self.factor(seen).float().unflatten(-1, (n, n)).tril(-1)
        return CorrelatedGaussian(mean, log_variance, deviation.unsqueeze(-1) * below)

    def forward(self, state: Tensor, hidden: Tensor, z: Tensor) -> Tensor:
        """Return the state (..., n, width) below latents z (..., n, l)."""
        inside, past = torch.split(self.enter(z), self.inside, dim=-1)
        below: Tensor = state + past + self.narrow(silu(hidden + inside))
        return below


class DenseLevel(Level):
    """A rung whose state is one vector, which can be prepared for many draws."""

    def prepared(self, dtype: torch.dtype) -> DescentLevel:
        """Return the same, for products in a type, and without gradients."""
        width = self.sizes[0]
        scale, shift = self.norm.scale_and_shift()
        weight, bias = self.widen.weight * scale, self.widen.bias + (self.widen.weight * shift).sum(1)
        posterior = Affine(self.posterior.weight, self.posterior.bias)
        if self.factor is not None:
            n = self.enter.in_features
            # Nothing but nought where nothing is read, so that draws need not be cleared of it.
            is_read = torch.ones(n, n, device=weight.device).tril(-1).view(-1, 1)
            factor = self.factor.weight * is_read
            posterior = Affine(
                torch.cat((posterior.weight, factor)),
                torch.cat((self.posterior.bias, factor.new_zeros(n * n))),
            )
        inside, past = torch.split(self.enter.weight, self.inside)
        level = DescentLevel(
            hidden=Affine(weight[:width], None),
            compared=Affine(weight[width:], bias[width:]),
            posterior=posterior,
            inside=Affine(torch.cat((inside, bias[:width, None]), dim=1), None),
            past=Affine(past, None),
            narrow=Affine(self.narrow.weight, None),
        )
        return DescentLevel(*(step.to(dtype) for step in level))


def linear(
    n_in: int, n_out: int, generator: torch.Generator, *, gain: float = 1.0, bias: bool = True
) -> nn.Linear:
    """Make a linear layer with weights N(0, gain^2 / n_in), drawn from `generator`, and zero biases.

    What is added to a state has none: all that reads a state takes its mean away first.
    """
    layer = nn.Linear(n_in, n_out, bias=bias, device="meta").to_empty(device="cpu")
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(n_in), generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
