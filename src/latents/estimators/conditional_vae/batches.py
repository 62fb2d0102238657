"""What an epoch is made of: images in a new order, binarised afresh, with their classes and noise.

Grey images stay in memory as the bytes they came as, and random numbers are drawn for many batches at
once: a step that takes milliseconds has no time for more.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

# Batches whose random numbers are drawn together: few enough that they stay in the processor's cache.
_BATCHES_AT_ONCE = 16
# Pixels that are looked at together while grey levels are sought.
_PIXELS_AT_ONCE = 1 << 20


class Batch(NamedTuple):
    """Images x (n, p), of any type, class codes y (n,) and standard normal noise (..., n, L), or a part."""

    x: Tensor
    y: Tensor
    noise: Tensor
    n_images: int  # of the whole


class Draw(Protocol):
    """The images of `rows` (n,) as a step of training meets them, (n, p), of any type.

    Or those at some places among the rows, the generator going on as if all had been asked for.
    """

    def __call__(self, rows: Tensor, generator: torch.Generator, places: Tensor | None = None) -> Tensor:
        """Draw."""


@dataclass(frozen=True)
class Form:
    """How grey images in [0, 1] are kept, and drawn from what is kept.

    Binary images are drawn afresh each time, grey values g being probabilities: a pixel is 1 where a uniform
    number u in [0, 1) lies below g. Grey values k / m, m at most 255, are compared in whole numbers: exact, and a
    quarter of the memory. With q = floor(255 / m), u uniform on the whole numbers 0, ..., m q - 1, and the byte
    k q for each pixel, P(u < k q) = k q / (m q) = k / m. Levels from 0 to 255 are compared with u on 0 to 254.

    Parameters
    ----------
    binarise : bool
    n_levels : int, optional
        m, where images are binarised and their values are such.
    """

    binarise: bool
    n_levels: int | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Of what is kept."""
        return torch.float32 if self.n_levels is None else torch.uint8

    def keep(self, grey: Tensor) -> Tensor:
        """Return what is kept of images (n, p), float32."""
        return grey if self.n_levels is None else _levels(grey, self.n_levels) * (255 // self.n_levels)

    def draw(
        self, kept: Tensor, rows: Tensor, generator: torch.Generator, places: Tensor | None = None
    ) -> Tensor:
        """Draw as ``Draw`` says, from images (N, p) that were kept."""
        if not self.binarise:
            return kept.index_select(0, _at(places, rows))
        if self.n_levels is None:
            # u < 0 never and u < 1 always: black and white stay. bernoulli() takes four times as long.
            u = torch.rand((len(rows), *kept.shape[1:]), generator=generator, device=kept.device)
        else:
            bound = self.n_levels * (255 // self.n_levels)
            u = uniform_bytes(len(rows) * kept[0].numel(), bound, generator).view(len(rows), -1)
        return _at(places, u) < kept.index_select(0, _at(places, rows))


def pixels_of(grey: Tensor, *, binarise: bool) -> Draw:
    """Return what draws images of grey ones (N, p) in [0, 1], float32, in the fastest way (``Form``)."""
    found = grey_levels(grey) if binarise else None
    form = Form(binarise, None if found is None else found[1])
    return partial(form.draw, grey if found is None else found[0] * (255 // found[1]))


def _at(places: Tensor | None, rows: Tensor) -> Tensor:
    return rows if places is None else rows.index_select(0, places)


def grey_levels(grey: Tensor) -> tuple[Tensor, int] | None:
    """Write grey values as k / m, with the smallest m up to 255 for which all are that to single precision.

    Parameters
    ----------
    grey : Tensor of shape (N, p)
        Values in [0, 1].

    Returns
    -------
    levels : Tensor of shape (N, p), uint8
        k.
    n_levels : int
        m.
    None where there is no such m.
    """
    found, blocks = GreyLevels(), torch.split(grey.reshape(-1), _PIXELS_AT_ONCE)
    for block in blocks:
        found.add(block)
    m = found.fewest
    return None if m is None else (torch.cat([_levels(block, m) for block in blocks]).view_as(grey), m)


class GreyLevels:
    """Finds the m of ``grey_levels`` while grey values come piece by piece.

    Attributes
    ----------
    fewest : int or None
        m, of the values so far.
    """

    def __init__(self) -> None:
        self.fewest: int | None = 1
        self._values = torch.empty(0)  # all that have come, each once
        self._has_all = False  # levels of m

    def add(self, grey: Tensor) -> None:
        """Look at some more values in [0, 1], of any shape."""
        flat = grey.reshape(-1)
        while self.fewest is not None:
            nearest = _levels(flat, self.fewest)
            # Most lie on a level exactly, and others that pass for one are a few numbers beside it.
            beside = flat[flat != nearest / self.fewest]
            fits = _fit(beside, self.fewest)
            if fits.all():
                if not self._has_all:
                    there = torch.unique(nearest)
                    self._has_all = len(there) > self.fewest
                    self._remember(there / self.fewest)
                if len(beside):
                    self._remember(beside)
                return
            self._remember(beside[~fits][:1000])  # enough to speak against most m
            self.fewest = next((m for m in range(self.fewest + 1, 256) if _fit(self._values, m).all()), None)
            self._has_all = False

    def _remember(self, values: Tensor) -> None:
        self._values = torch.unique(torch.cat((self._values.to(values.device), values)))


def _levels(grey: Tensor, m: int) -> Tensor:
    return (grey * m).round().byte()


def _fit(grey: Tensor, m: int) -> Tensor:
    scaled = grey * m
    return (scaled - scaled.round()).abs() <= 4 * torch.finfo(grey.dtype).eps * scaled


def uniform_bytes(n: int, bound: int, generator: torch.Generator) -> Tensor:
    """Draw n whole numbers from 0, ..., bound - 1, all equally likely, bound at most 255: (n,), uint8."""
    values = _random_bytes(n, generator)
    # Bytes beyond the bound are drawn again; what a remainder would do is favour the small numbers.
    beyond = _not_below(bound, values)
    while len(beyond):
        drawn = _random_bytes(len(beyond), generator)
        values.index_copy_(0, beyond, drawn)
        beyond = beyond.index_select(0, _not_below(bound, drawn))
    return values


def _not_below(bound: int, values: Tensor) -> Tensor:
    """Return the places of values that are not below a bound."""
    if values.device.type != "cpu":
        return (values >= bound).nonzero().squeeze(1)
    return torch.from_numpy(np.flatnonzero(values.numpy() >= bound))  # in a quarter of the time


def _random_bytes(n: int, generator: torch.Generator) -> Tensor:
    if generator.device.type != "cpu":
        return torch.randint(256, (n,), generator=generator, device=generator.device, dtype=torch.uint8)
    # One call of torch's generator gives 64 bits, whatever the type that is asked for.
    words = torch.empty(-(-n // 8), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[:n]


@dataclass
class Pool:
    """Images that are shuffled together.

    Parameters
    ----------
    pixels : callable
        Draws them.
    y : Tensor of shape (n,)
        Class codes.
    n_left : int
        How many of them are left for the next pool.
    rest : Tensor of shape (n_left,), optional
        Which ones, as soon as that is known.
    """

    pixels: Draw
    y: Tensor
    n_left: int = 0
    rest: Tensor | None = None


class Batches:
    """Epochs of batches, everything random about them drawn from one generator.

    Parameters
    ----------
    pixels : callable
        Draws N images (``pixels_of``).
    y : Tensor of shape (N,)
        Class codes.
    batch_size : int
        The last batch of an epoch takes what is left.
    n_latents : int
        L.
    n_particles : int
        Draws of noise for each image; one draw has no axis of its own.
    generator : Generator
        On the device of the images.
    """

    def __init__(
        self,
        pixels: Draw,
        y: Tensor,
        *,
        batch_size: int,
        n_latents: int,
        generator: torch.Generator,
        n_particles: int = 1,
    ) -> None:
        self._pixels = pixels
        self._y = y
        self.batch_size = batch_size
        self._noise_shape = (n_particles, n_latents) if n_particles > 1 else (n_latents,)
        self.generator = generator

    @property
    def n_images(self) -> int:
        """N."""
        return len(self._y)

    def epoch(self, share: Callable[[int], slice] | None = None) -> Generator[Batch, None, None]:
        """Give each image once, in a new order; or of each batch `share`, which tells what to take of n images."""
        for pool in self._pools():
            order = torch.randperm(len(pool.y), generator=self.generator, device=pool.y.device)
            used = len(order) - pool.n_left
            pool.rest = order[used:]
            if used:
                yield from self._in_order(pool, order[:used], share)

    def _pools(self) -> Iterator[Pool]:
        """Give the images of an epoch in parts that are shuffled by themselves: here all are one."""
        yield Pool(self._pixels, self._y)

    def _in_order(self, pool: Pool, order: Tensor, share: Callable[[int], slice] | None) -> Iterator[Batch]:
        device = order.device
        for rows in torch.split(order, _BATCHES_AT_ONCE * self.batch_size):
            wholes = parts = torch.split(torch.arange(len(rows), device=device), self.batch_size)
            places = None
            if share is not None:
                parts = tuple(whole[share(len(whole))] for whole in wholes)
                places = torch.cat(parts)
            images = pool.pixels(rows, self.generator, places)
            codes = pool.y.index_select(0, _at(places, rows))
            normal = torch.randn(len(rows), *self._noise_shape, generator=self.generator, device=device)
            sizes = [*map(len, parts)]
            drawn = (torch.split(values, sizes) for values in (images, codes, _at(places, normal)))
            for whole, x, y, noise in zip(wholes, *drawn, strict=True):
                # The draws of an image are rows of noise of their own; a network wants them in front.
                yield Batch(x, y, noise.movedim(1, 0) if noise.ndim > 2 else noise, len(whole))
