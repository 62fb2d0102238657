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

The lowest levels may have their latents on a grid over the image (see ``spatial``). The state is then a vector
for each cell; all begin as what the levels above say of them, and add to what these say of the pixels.
"""

import copy
from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from latents.estimators.conditional_vae.descent import Affine
from latents.estimators.conditional_vae.distributions import Gaussian, rows_of
from latents.estimators.conditional_vae.interface import (
    ConditionalNetwork,
    LatentLevel,
    Passage,
    Sampler,
    Sizes,
)
from latents.estimators.conditional_vae.levels import UNITS_PER_LATENT, DenseLevel, Level, linear
from latents.estimators.conditional_vae.normalisation import Normalise
from latents.estimators.conditional_vae.pixels import PixelModel
from latents.estimators.conditional_vae.spatial import Cells, SpatialLevel, grid_of
from latents.messages import shown


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


def check_levels(
    hidden: Sequence[int], n_latents: int, spatial: Sequence[int], image_shape: Sequence[int] | None
) -> None:
    """Refuse what makes no ``LadderNetwork``: no level, one without latents or places, or widths that differ."""
    if len(set(hidden)) != 1 or len(hidden) > n_latents:
        raise ValueError(
            f"hidden is {shown(list(hidden))}, but a ladder has a level for each entry, all of the same width, "
            f"and at least one of the {n_latents} latents on each"
        )
    if len(set(spatial)) > 1:
        raise ValueError(f"spatial is {shown(list(spatial))}, but these levels are all of the same width")
    if spatial and image_shape is None:
        raise ValueError(
            f"spatial is {shown(list(spatial))}, but where pixels lie is not known: image_shape is None"
        )


class LadderNetwork(ConditionalNetwork):
    """Both ways and the rungs between them.

    Parameters
    ----------
    sizes : Sizes
        `n_latents` are those of the levels of `hidden` together, dealt out evenly; what is left over goes to
        those at the top. `hidden` has an entry for each of them: the width of their states, the same for all.
        `spatial` has one for each level below them, with a latent for each cell of the image: the width of a
        cell's state, the same for all.
    prior : {"standard", "per_class"}
        Of the top level: N(0, I), or a Gaussian read off the class's own state. The levels below it have
        theirs by class, and by the latents above, in either case.
    pixels : PixelModel
    generator : Generator
        Draws the initial weights, on the CPU.
    """

    def __init__(self, sizes: Sizes, prior: str, pixels: PixelModel, generator: torch.Generator) -> None:
        n_levels, width, grid = len(sizes.hidden), sizes.hidden[0], grid_of(sizes)
        per_level, extra = divmod(sizes.n_latents, n_levels)
        of_levels = [per_level + (level < extra) for level in range(n_levels)]
        of_cells = [] if grid is None else [grid.n_cells] * len(sizes.spatial)
        super().__init__(sizes.n_latents + sum(of_cells), sizes.n_outputs, pixels)
        self.has_standard_prior = prior == "standard"
        self.n_dense = n_levels
        self.sizes = of_levels + of_cells
        features = [UNITS_PER_LATENT * n for n in reversed(of_levels)]
        self.ascent = Ascent(sizes.n_pixels, sizes.n_classes, width, features, generator)
        self.classes = nn.Parameter(torch.randn(sizes.n_classes, width, generator=generator))
        self.levels = nn.ModuleList(
            DenseLevel(size, width, generator, is_correlated=sizes.is_correlated) for size in of_levels
        )
        self.norm = Normalise(width)
        self.outputs = linear(width, sizes.n_outputs, generator, gain=0.5)
        self.cells = None
        if grid is not None:
            self.levels.extend(SpatialLevel(grid, n, generator) for n in sizes.spatial)
            self.cells = Cells(grid, sizes, generator)

    @staticmethod
    def n_weights(sizes: Sizes, prior: str) -> int:  # noqa: ARG004
        """See ``ConditionalNetwork``."""
        n_pixels, n_outputs, n_classes, n_latents, hidden, is_correlated, *_ = sizes
        n_levels, width, grid = len(hidden), max(hidden), grid_of(sizes)
        n_ascents = -(-n_levels // 2)
        n_features = UNITS_PER_LATENT * n_latents
        ascent = n_pixels * width + n_classes * width + (n_ascents + 1) * 2 * width
        ascent += n_ascents * (2 * width + 1) * width + (width + 1) * n_features
        # What goes by the latents of a level is the same for all of them together, but for the squares.
        per_level, extra = divmod(n_latents, n_levels)
        squares = n_levels * per_level**2 + extra * (2 * per_level + 1)
        levels = n_levels * (2 * width + (width + 1) * width + width**2)
        levels += n_latents * ((width + 1) * (UNITS_PER_LATENT + 2) + 2 * width + 2)
        levels += 2 * UNITS_PER_LATENT * squares
        if is_correlated:
            of_each = ((per_level + 1, extra), (per_level, n_levels - extra))
            levels += UNITS_PER_LATENT * sum(n * size**3 for size, n in of_each if size > 1)
        cells = 0 if grid is None else Cells.n_weights(grid, sizes)
        return ascent + levels + n_classes * width + 2 * width + (width + 1) * n_outputs + cells

    def passage(
        self, y: Tensor, *, x: Tensor | None = None, noise: Tensor | None = None, z: Tensor | None = None
    ) -> Passage:
        """See ``ConditionalNetwork``."""
        features: Sequence[Tensor | None] = [None] * len(self.sizes)
        if x is not None:
            features = self.ascent(x, y) + ([] if self.cells is None else self.cells.ascent(x))
        entering = noise if z is None else z
        if entering is None:
            raise TypeError("a passage needs noise or z")
        levels: list[LatentLevel] = []

        def descend(state: Tensor, rungs: Sequence[tuple[Level, Tensor | None, Tensor]]) -> Tensor:
            for level, feature, part in rungs:
                hidden, prior, posterior = level.read(state, feature)
                if not levels and self.has_standard_prior:
                    # What the posterior was told relative to stays as it is; the prior is another then.
                    prior = _standard(prior)
                drawn = part if z is not None else (posterior or prior).draw(part)
                state = level(state, hidden, drawn)
                levels.append(LatentLevel(drawn, prior, posterior))
            return state

        rungs = list(zip(self._levels, features, torch.split(entering, self.sizes, dim=-1), strict=True))
        state = descend(rows_of(self.classes, y), rungs[: self.n_dense])
        seen = silu(self.norm(state))
        outputs = self.outputs(seen).float()
        if self.cells is not None:
            outputs = outputs + self.cells(descend(self.cells.begin(seen), rungs[self.n_dense :])).float()
        return Passage(levels, outputs)

    def sampler(self, x: Tensor, y: Tensor) -> Sampler:
        """See ``ConditionalNetwork``."""
        features = self.ascent(x, y)
        of_cells = [] if self.cells is None else self.cells.ascent(x)
        dtype = features[0].dtype  # that products have here
        dense = [level.prepared(dtype) for level in self._levels if isinstance(level, DenseLevel)]
        spatial = self._levels[self.n_dense :]
        outputs = Affine(self.outputs.weight, self.outputs.bias).to(dtype)
        scale, shift = self.norm.scale_and_shift()
        top = rows_of(self.classes, y).float()

        def draw(noise: Tensor) -> tuple[Tensor, Tensor]:
            state, log_ratio = top.unsqueeze(0).clone(), noise.new_zeros(noise.shape[:-1])
            parts = torch.split(noise, self.sizes, dim=-1)
            for level, feature, part in zip(dense, features, parts[: self.n_dense], strict=True):
                is_standard = level is dense[0] and self.has_standard_prior
                state, of_level = level(state, feature, part, is_standard=is_standard)
                log_ratio += of_level
            seen = silu(torch.addcmul(shift, state, scale).to(dtype), inplace=True)
            found = outputs(seen).float()
            if self.cells is None:
                return found, log_ratio
            state = self.cells.begin(seen)
            for rung, feature, part in zip(spatial, of_cells, parts[self.n_dense :], strict=True):
                hidden, prior, posterior = rung.read(state, feature)
                drawn = LatentLevel((posterior or prior).draw(part), prior, posterior)
                log_ratio += drawn.log_ratio(part)
                state = rung(state, hidden, drawn.z)
            return found.add_(self.cells(state)), log_ratio

        return draw

    @property
    def widest(self) -> int:
        """See ``ConditionalNetwork``."""
        return self.n_outputs if self.cells is None else max(self.n_outputs, self.cells.widest)

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


def _standard(like: Gaussian) -> Gaussian:
    return Gaussian(torch.zeros_like(like.mean), torch.zeros_like(like.mean))
