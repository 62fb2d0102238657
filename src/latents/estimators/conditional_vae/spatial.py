"""Levels of a ladder whose latents lie on a grid, each of them in one cell of the image.

A dense level knows nothing of neighbourhood: what it learns of strokes in one corner it has to learn again for
all others. Here the state is a vector for each cell. Cells hear from those next to them by a depthwise
convolution, and everything else is the same for all of them, so that few weights learn from many places (Vahdat,
Kautz 2020, "NVAE").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, silu

from latents.estimators.conditional_vae.distributions import Gaussian, Posterior
from latents.estimators.conditional_vae.interface import Sizes
from latents.estimators.conditional_vae.levels import UNITS_PER_LATENT, Level, linear
from latents.estimators.conditional_vae.normalisation import Normalise

# Cells along the longer side of an image, at most: 7 x 7 cells of 4 x 4 pixels on 28 x 28.
_CELLS_A_SIDE = 8
# How much wider a layer is inside than the state of a cell.
_EXPANSION = 2


@dataclass(frozen=True)
class Grid:
    """The cells that an image is cut into, all of the same size; those on the rim may reach beyond it.

    Parameters
    ----------
    height, width : int
        Of the image, in pixels.
    """

    height: int
    width: int

    @property
    def cell(self) -> tuple[int, int]:
        """Height and width of a cell in pixels: a square, where the image is no narrower than that."""
        side = -(-max(self.height, self.width) // _CELLS_A_SIDE)
        return min(side, self.height), min(side, self.width)

    @property
    def shape(self) -> tuple[int, int]:
        """How many cells there are down and across."""
        return -(-self.height // self.cell[0]), -(-self.width // self.cell[1])

    @property
    def n_cells(self) -> int:
        """All of them."""
        return math.prod(self.shape)

    def n_of_cell(self, n_numbers: int) -> int:
        """Return how many of an image's numbers are of one cell."""
        return math.prod(self.cell) * (n_numbers // (self.height * self.width))

    def cut(self, x: Tensor) -> Tensor:
        """Return the numbers of each cell, (..., cells, n_of_cell), of an image's, (..., height width d).

        Beyond the rim they are 0.
        """
        (down, across), (high, wide), lead = self.shape, self.cell, x.shape[:-1]
        d = x.shape[-1] // (self.height * self.width)
        above, left = self._beyond
        below, right = down * high - self.height - above, across * wide - self.width - left
        whole = pad(x.reshape(*lead, self.height, self.width, d), (0, 0, left, right, above, below))
        apart = whole.reshape(*lead, down, high, across, wide, d).transpose(-4, -3)
        return apart.reshape(*lead, down * across, high * wide * d)

    def join(self, cells: Tensor) -> Tensor:
        """Return the numbers of an image whose cells have these: the reverse of ``cut``."""
        (down, across), (high, wide), lead = self.shape, self.cell, cells.shape[:-2]
        d = cells.shape[-1] // (high * wide)
        above, left = self._beyond
        apart = cells.reshape(*lead, down, across, high, wide, d).transpose(-4, -3)
        whole = apart.reshape(*lead, down * high, across * wide, d)
        return whole[..., above : above + self.height, left : left + self.width, :].flatten(-3)

    @property
    def _beyond(self) -> tuple[int, int]:
        """How far the first cells reach beyond the image, above and to the left: half of what they do in all."""
        (down, across), (high, wide) = self.shape, self.cell
        return (down * high - self.height) // 2, (across * wide - self.width) // 2


def grid_of(sizes: Sizes) -> Grid | None:
    """Return the grid of a ladder with spatial levels; None of one without."""
    if not sizes.spatial:
        return None
    if sizes.image_shape is None:
        raise TypeError("spatial levels need an image_shape")
    return Grid(*sizes.image_shape[:2])


def n_kept(image_shape: Sequence[int], spatial: Sequence[int], n_outputs: int) -> int:
    """Return how many numbers of an image a step of training keeps for such levels, at least."""
    grid = Grid(*image_shape[:2])
    return grid.n_cells * (sum((2 + _EXPANSION) * width for width in spatial) + grid.n_of_cell(n_outputs))


class Neighbours(nn.Module):
    """What cells hear from those next to them: a depthwise 3 x 3 convolution over the grid, added to the cells."""

    def __init__(self, grid: Grid, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.grid = grid
        self.weight = nn.Parameter(torch.randn(width, 1, 3, 3, generator=generator) / 3)

    def forward(self, cells: Tensor) -> Tensor:
        """Return cells (..., cells, width) and what they have heard."""
        n = math.prod(cells.shape[:-2])
        on_grid = cells.reshape(n, *self.grid.shape, cells.shape[-1]).permute(0, 3, 1, 2)
        heard = conv2d(on_grid, self.weight.to(cells.dtype), padding=1, groups=cells.shape[-1])
        return cells + heard.permute(0, 2, 3, 1).reshape(cells.shape)


class SpatialLevel(Level):
    """A rung with a latent for each cell: a ``Level`` of each, but for what cells hear from each other."""

    def __init__(self, grid: Grid, width: int, generator: torch.Generator) -> None:
        super().__init__(1, width, generator, is_correlated=False, expansion=_EXPANSION)
        self.neighbours = Neighbours(grid, width, generator)

    def seen(self, state: Tensor) -> Tensor:
        """Return what is looked at of each cell: norm(s), and that of its neighbours."""
        seen: Tensor = self.neighbours(self.norm(state))
        return seen

    def read(self, state: Tensor, feature: Tensor | None) -> tuple[Tensor, Gaussian, Posterior | None]:
        """See ``Level``; prior and posterior are those of all cells' latents, (..., cells)."""
        hidden, prior, posterior = super().read(state, feature)
        return hidden, _of_cells(prior), None if posterior is None else _of_cells(posterior)

    def forward(self, state: Tensor, hidden: Tensor, z: Tensor) -> Tensor:
        """Return the state (..., cells, width) below latents z (..., cells)."""
        return super().forward(state, hidden, z.unsqueeze(-1))


def _of_cells(gaussian: Gaussian | Posterior) -> Gaussian:
    return Gaussian(gaussian.mean.squeeze(-1), gaussian.log_variance.squeeze(-1))


class SpatialBlock(nn.Module):
    """A layer of cells without latents: s <- s + W_2 silu(W_1 seen(s)), with seen(s) as in ``SpatialLevel``."""

    def __init__(self, grid: Grid, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = Normalise(width)
        self.neighbours = Neighbours(grid, width, generator)
        self.widen = linear(width, _EXPANSION * width, generator)
        self.narrow = linear(_EXPANSION * width, width, generator, gain=0.3, bias=False)

    def forward(self, state: Tensor) -> Tensor:
        """Return the state (..., cells, width) after it."""
        below: Tensor = state + self.narrow(silu(self.widen(self.neighbours(self.norm(state)))))
        return below


class SpatialAscent(nn.Module):
    """The way up: from the pixels of each cell to its feature for each level, that of the top first."""

    def __init__(self, grid: Grid, sizes: Sizes, generator: torch.Generator) -> None:
        super().__init__()
        width = sizes.spatial[0]
        self.grid = grid
        self.sizes = [UNITS_PER_LATENT] * len(sizes.spatial)
        self.pixels = linear(grid.n_of_cell(sizes.n_pixels), width, generator, bias=False)
        self.cells = nn.Parameter(0.3 * torch.randn(grid.n_cells, width, generator=generator))
        self.block = SpatialBlock(grid, width, generator)
        self.norm = Normalise(width)
        self.features = linear(width, sum(self.sizes), generator, gain=0.7)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features, (n, cells, units) each, of pixels x (n, p)."""
        state = self.block(self.pixels(self.grid.cut(x)) + self.cells)
        return list(torch.split(self.features(self.norm(state)), self.sizes, dim=-1))


class Cells(nn.Module):
    """What spatial levels need beside them: their features, how they begin, and what they add to the pixels."""

    def __init__(self, grid: Grid, sizes: Sizes, generator: torch.Generator) -> None:
        super().__init__()
        width = sizes.spatial[0]
        self.shape = (grid.n_cells, width)
        # Numbers of an image in the widest layer.
        self.widest = grid.n_cells * max(_EXPANSION * width, grid.n_of_cell(sizes.n_outputs))
        self.ascent = SpatialAscent(grid, sizes, generator)
        self.spread = linear(sizes.hidden[0], grid.n_cells * width, generator)
        self.block = SpatialBlock(grid, width, generator)
        self.norm = Normalise(width)
        self.outputs = linear(width, grid.n_of_cell(sizes.n_outputs), generator, gain=0.5)

    def begin(self, seen: Tensor) -> Tensor:
        """Return the state of cells, (..., cells, width), given what is seen of the levels above, (..., n_in).

        It is of the type that products have: in single precision so many cells would leave the cache.
        """
        spread: Tensor = self.spread(seen)
        return spread.view(*spread.shape[:-1], *self.shape)

    def forward(self, state: Tensor) -> Tensor:
        """Return what a state (..., cells, width) adds to the numbers for the pixels, (..., n_outputs)."""
        return self.ascent.grid.join(self.outputs(silu(self.norm(self.block(state)))))

    @staticmethod
    def n_weights(grid: Grid, sizes: Sizes) -> int:
        """Return how many numbers this learns, and the spatial levels themselves."""
        n_levels, width, inside = len(sizes.spatial), max(sizes.spatial), _EXPANSION * max(sizes.spatial)
        seen = (2 + 9) * width
        block = seen + (width + 1) * inside + inside * width
        ascent = (grid.n_of_cell(sizes.n_pixels) + grid.n_cells) * width + block + 2 * width
        ascent += (width + 1) * UNITS_PER_LATENT * n_levels
        level = seen + (width + 1) * (inside + UNITS_PER_LATENT + 2) + inside * width
        level += inside + width + 2 * (UNITS_PER_LATENT + 1)
        spread = (max(sizes.hidden) + 1) * grid.n_cells * width
        outputs = block + 2 * width + (width + 1) * grid.n_of_cell(sizes.n_outputs)
        return ascent + spread + n_levels * level + outputs
