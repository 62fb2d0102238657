r"""A ladder network: latents in levels, each drawn given those above it.

With levels z = (z_1, ..., z_T), from the top down,

.. math::

    p(x, z \mid y) = p(x \mid z, y) \prod_t p(z_t \mid z_{<t}, y), \qquad
    q(z \mid x, y) = \prod_t q(z_t \mid z_{<t}, x, y).

A state runs downwards from a vector learned for the class. Every level reads its prior off the state, adds
to it what its latents have to say, and leaves it to the next; the pixels are read off it in the end. On the
way up another state begins as the image and leaves a feature for each level. A posterior is that feature
beside the downward state, so that it need only say how the image differs from what is expected (Sonderby
et al. 2016, "Ladder Variational Autoencoders"), and it is told relative to the prior (Vahdat, Kautz 2020,
"NVAE").

Within a level q is a Gaussian of any covariance, given by its Cholesky factor, or a diagonal one: what the
latents of an image are unsure of together, independent ones can only be sure of, or unsure of each alone. The
KL term has a closed form in either case.
"""

import copy
import math
from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from latents.estimators.conditional_vae.descent import Affine, DescentLevel
from latents.estimators.conditional_vae.distributions import (
    CorrelatedGaussian,
    Gaussian,
    Posterior,
    rows_of,
)
from latents.estimators.conditional_vae.interface import (
    ConditionalNetwork,
    LatentLevel,
    Passage,
    Sampler,
    Sizes,
)
from latents.estimators.conditional_vae.normalisation import Normalise
from latents.estimators.conditional_vae.pixels import PixelModel
from latents.messages import shown

# Latents of a posterior are compared with its prior through so many hidden units for each of them.
_UNITS_PER_LATENT = 8


class Ascent(nn.Module):
    """The way up: from pixels and class to a feature for each level, that of the top first.

    s <- s + W_2 silu(W_1 norm(s)), once for every two levels; their features are linear in the normalised
    state after it. Half as many layers as on the way down do as well, and take less time.
    """

    def __init__(
        self, n_pixels: int, n_classes: int, width: int, features: Sequence[int], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.sizes = [list(features[i : i + 2]) for i in range(0, len(features), 2)]
        self.pixels = linear(n_pixels, width, generator, bias=False)
        self.classes = nn.Parameter(0.3 * torch.randn(n_classes, width, generator=generator))
        self.norms = nn.ModuleList(Normalise(width) for _ in range(len(self.sizes) + 1))
        self.widen = nn.ModuleList(linear(width, width, generator, gain=1.4) for _ in self.sizes)
        self.narrow = nn.ModuleList(linear(width, width, generator, gain=0.3, bias=False) for _ in self.sizes)
        self.features = nn.ModuleList(linear(width, sum(n), generator, gain=0.7) for n in self.sizes)

    def forward(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """Return the features of pixels x (n, p) and class codes y (n,)."""
        state = self.pixels(x) + rows_of(self.classes, y)
        seen = self.norms[0](state)
        features: list[Tensor] = []
        for widen, narrow, norm, feature, sizes in zip(
            self.widen, self.narrow, self.norms[1:], self.features, self.sizes, strict=True
        ):
            state = state + narrow(silu(widen(seen)))
            seen = norm(state)
            features += torch.split(feature(seen), sizes, dim=-1)
        return features[::-1]


class Level(nn.Module):
    """One rung: prior and posterior of its latents, and what they add to the state.

    s <- s + F z_t + W_2 silu(W_1 norm(s) + E z_t).
    """

    factor: nn.Linear | None

    def __init__(
        self, n_latents: int, width: int, generator: torch.Generator, *, is_correlated: bool
    ) -> None:
        super().__init__()
        self.sizes = [width, _UNITS_PER_LATENT * n_latents, 2 * n_latents]
        self.norm = Normalise(width)
        self.widen = linear(width, sum(self.sizes), generator, gain=1.4)
        self.posterior = linear(self.sizes[1], 2 * n_latents, generator, gain=0.3)
        self.enter = linear(n_latents, 2 * width, generator, bias=False)
        self.narrow = linear(width, width, generator, gain=0.3, bias=False)
        # Of its l x l numbers those below the diagonal are read.
        n_factor = n_latents**2 if is_correlated and n_latents > 1 else 0
        self.factor = linear(self.sizes[1], n_factor, generator, gain=0.05, bias=False) if n_factor else None
        with torch.no_grad():  # so that the prior begins near N(0, I)
            self.widen.weight[width : -2 * n_latents] *= 0.5
            self.widen.weight[-2 * n_latents :] *= 0.07

    def read(self, state: Tensor, feature: Tensor | None) -> tuple[Tensor, Gaussian, Posterior | None]:
        """Look at the state once: W_1 norm(s), p(z_t | z_<t, y) and, given the image's feature, q."""
        hidden, compared, prior_parts = torch.split(self.widen(self.norm(state)), self.sizes, dim=-1)
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
        inside, past = self.enter(z).chunk(2, dim=-1)
        below: Tensor = state + past + self.narrow(silu(hidden + inside))
        return below

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
        inside, past = self.enter.weight.chunk(2)
        level = DescentLevel(
            hidden=Affine(weight[:width], None),
            compared=Affine(weight[width:], bias[width:]),
            posterior=posterior,
            inside=Affine(torch.cat((inside, bias[:width, None]), dim=1), None),
            past=Affine(past, None),
            narrow=Affine(self.narrow.weight, None),
        )
        return DescentLevel(*(step.to(dtype) for step in level))


def check_levels(hidden: Sequence[int], n_latents: int) -> None:
    """Refuse what makes no ``LadderNetwork``: no level, one without latents, or widths that differ."""
    if len(set(hidden)) != 1 or len(hidden) > n_latents:
        raise ValueError(
            f"hidden is {shown(list(hidden))}, but a ladder has a level for each entry, all of the same width, "
            f"and at least one of the {n_latents} latents on each"
        )


class LadderNetwork(ConditionalNetwork):
    """Both ways and the rungs between them.

    Parameters
    ----------
    sizes : Sizes
        `n_latents` are those of all levels together, dealt out evenly; what is left over goes to the levels
        at the top. `hidden` has an entry for each level: the width of the states, the same for all.
    prior : {"standard", "per_class"}
        Of the top level: N(0, I), or a Gaussian read off the class's own state. The levels below it have
        theirs by class, and by the latents above, in either case.
    pixels : PixelModel
    generator : Generator
        Draws the initial weights, on the CPU.
    """

    def __init__(self, sizes: Sizes, prior: str, pixels: PixelModel, generator: torch.Generator) -> None:
        n_pixels, n_outputs, n_classes, n_latents, hidden, is_correlated = sizes
        super().__init__(n_latents, n_outputs, pixels)
        n_levels, width = len(hidden), hidden[0]
        self.has_standard_prior = prior == "standard"
        self.sizes = [n_latents // n_levels + (level < n_latents % n_levels) for level in range(n_levels)]
        self.ascent = Ascent(
            n_pixels, n_classes, width, [_UNITS_PER_LATENT * n for n in reversed(self.sizes)], generator
        )
        self.classes = nn.Parameter(torch.randn(n_classes, width, generator=generator))
        self.levels = nn.ModuleList(
            Level(size, width, generator, is_correlated=is_correlated) for size in self.sizes
        )
        self.norm = Normalise(width)
        self.outputs = linear(width, n_outputs, generator, gain=0.5)

    @staticmethod
    def n_weights(sizes: Sizes, prior: str) -> int:  # noqa: ARG004
        """See ``ConditionalNetwork``."""
        n_pixels, n_outputs, n_classes, n_latents, hidden, is_correlated = sizes
        n_levels, width = len(hidden), max(hidden)
        n_ascents = -(-n_levels // 2)
        n_features = _UNITS_PER_LATENT * n_latents
        ascent = n_pixels * width + n_classes * width + (n_ascents + 1) * 2 * width
        ascent += n_ascents * (2 * width + 1) * width + (width + 1) * n_features
        # What goes by the latents of a level is the same for all of them together, but for the squares.
        per_level, extra = divmod(n_latents, n_levels)
        squares = n_levels * per_level**2 + extra * (2 * per_level + 1)
        levels = n_levels * (2 * width + (width + 1) * width + width**2)
        levels += n_latents * ((width + 1) * (_UNITS_PER_LATENT + 2) + 2 * width + 2)
        levels += 2 * _UNITS_PER_LATENT * squares
        if is_correlated:
            of_each = ((per_level + 1, extra), (per_level, n_levels - extra))
            levels += _UNITS_PER_LATENT * sum(n * size**3 for size, n in of_each if size > 1)
        return ascent + levels + n_classes * width + 2 * width + (width + 1) * n_outputs

    def passage(
        self, y: Tensor, *, x: Tensor | None = None, noise: Tensor | None = None, z: Tensor | None = None
    ) -> Passage:
        """See ``ConditionalNetwork``."""
        features: Sequence[Tensor | None] = [None] * len(self.sizes) if x is None else self.ascent(x, y)
        state = rows_of(self.classes, y)
        entering = noise if z is None else z
        if entering is None:
            raise TypeError("a passage needs noise or z")
        levels: list[LatentLevel] = []
        for level, feature, part in zip(
            self._levels, features, torch.split(entering, self.sizes, dim=-1), strict=True
        ):
            hidden, prior, posterior = level.read(state, feature)
            if not levels and self.has_standard_prior:
                # What the posterior was told relative to stays as it is; the prior is another then.
                prior = _standard(prior)
            drawn = part if z is not None else (posterior or prior).draw(part)
            state = level(state, hidden, drawn)
            levels.append(LatentLevel(drawn, prior, posterior))
        return Passage(levels, self.outputs(silu(self.norm(state))).float())

    def sampler(self, x: Tensor, y: Tensor) -> Sampler:
        """See ``ConditionalNetwork``."""
        features = self.ascent(x, y)
        dtype = features[0].dtype  # that products have here
        levels = [level.prepared(dtype) for level in self._levels]
        outputs = Affine(self.outputs.weight, self.outputs.bias).to(dtype)
        scale, shift = self.norm.scale_and_shift()
        top = rows_of(self.classes, y).float()

        def draw(noise: Tensor) -> tuple[Tensor, Tensor]:
            state, log_ratio = top.unsqueeze(0).clone(), noise.new_zeros(noise.shape[:-1])
            for level, feature, part in zip(
                levels, features, torch.split(noise, self.sizes, dim=-1), strict=True
            ):
                is_standard = level is levels[0] and self.has_standard_prior
                state, of_level = level(state, feature, part, is_standard=is_standard)
                log_ratio += of_level
            seen = torch.addcmul(shift, state, scale).to(dtype)
            return outputs(silu(seen, inplace=True)).float(), log_ratio

        return draw

    @property
    def _levels(self) -> Sequence[Level]:
        return cast(Sequence[Level], self.levels)

    def top_prior(self, y: Tensor) -> Gaussian:
        """Return p(z_1 | y), the prior of the top level."""
        _, prior, _ = self._levels[0].read(rows_of(self.classes, y), None)
        return _standard(prior) if self.has_standard_prior else prior

    def under_standard_prior(self) -> Self:
        """Return the same network, sharing its weights, with p(z_1 | y) = N(0, I) at the top."""
        other = copy.copy(self)
        other.has_standard_prior = True
        return other


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


def _standard(like: Gaussian) -> Gaussian:
    return Gaussian(torch.zeros_like(like.mean), torch.zeros_like(like.mean))
