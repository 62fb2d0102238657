"""Images that are read as they are needed: mapped arrays and blocks, larger than memory if need be.

An epoch of training reads them in windows: so many as a window holds are shuffled together, while a thread reads
the next one. Where they come by number, an epoch has the blocks in a new order, so that a window holds some of all
parts of a sorted set. Everything random is drawn by the thread that trains: what is learned does not depend on how
fast either is. All images in one window are kept, and shuffled as those in memory.
"""

import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import chain
from threading import Event
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latents.estimators.common.blocks import NO_BLOCKS, Blocks, are_blocks, in_block
from latents.estimators.common.threads import alone
from latents.estimators.conditional_vae.batches import Batches, Form, GreyLevels, Pool, pixels_of
from latents.estimators.conditional_vae.checkpoints import RunningDigest, digest_of
from latents.estimators.conditional_vae.pixels import PixelModel, check_pixels

# Bytes of a mapped array that are read at a time: as long as a disk takes to find the next ones.
_BLOCK = 1 << 20
_LEAST_BLOCKS = 32  # of a window of bytes, or 8 of floats

Checked = Callable[[Any, bool], NDArray[Any]]


def are_read(X: Any) -> bool:
    """Tell whether images are read as they are needed: of a mapped array (a view of one, too), and of blocks.

    Raises
    ------
    ValueError
        If they are blocks that cannot be had more than once, or not one by one.
    """
    if isinstance(X, Blocks):
        raise ValueError(
            f"X is {type(X).__name__}, whose blocks are worked on elsewhere; allowed are an array, a list of "
            "blocks, or an object whose __iter__ begins anew"
        )
    return _is_mapped(X) or are_blocks(X, reread=True)


def _is_mapped(X: Any) -> bool:
    while isinstance(X, np.ndarray):
        X = X.base
    return isinstance(X, mmap.mmap)


def as_pixels(X: Any, first: int = 0) -> Tensor:
    """Return images (n, p) in float32, a copy, once it is sure that all values are in [0, 1].

    Raises
    ------
    ValueError
        If one lies outside; names its place, rows counted from `first`.
    """
    # A copy, always: torch wants writable memory, and X may be a read-only map of a file.
    with np.errstate(over="ignore"):  # what float32 does not hold is above 1
        pixels = np.array(X, dtype=np.float32)
    check_pixels(pixels, first)
    return torch.from_numpy(pixels)


class _MappedBlocks(Sequence[NDArray[Any]]):
    """A mapped array (N, p) in blocks of rows that lie side by side, several to a window of so many bytes."""

    def __init__(self, X: NDArray[Any], window: int) -> None:
        of_window = window // (_LEAST_BLOCKS * max(X.shape[1], 1))
        self._X = X
        self.n_rows: int = max(1, min(_BLOCK // max(X[:1].nbytes, 1), of_window))

    def __len__(self) -> int:
        return -(-len(self._X) // self.n_rows)

    def __getitem__(self, number: Any) -> Any:
        start = range(len(self))[number] * self.n_rows
        return self._X[start : start + self.n_rows]


class ReadImages:
    """Images (N, p), float32 from 0 to 1, as they are read.

    Parameters
    ----------
    X : mapped ndarray of shape (N, p), or iterable of array-likes (n, p)
        The same at every iteration. Where it has ``len`` and items by number these are read in any order.
    checked : callable
        Given a block and whether it is the first, returns it as an array of numbers, or refuses it.
    to_pixels : callable
        ``as_pixels``, or what does as it does.
    binarise : bool, default=False
        Whether they are kept to be binarised.
    window : int
        Bytes of images that are kept at once.

    Raises
    ------
    ValueError
        If there is no block, one is refused, or a value lies outside [0, 1]; names block or row.
    """

    def __init__(
        self,
        X: Any,
        checked: Checked,
        to_pixels: Callable[[Any, int], Tensor] = as_pixels,
        *,
        binarise: bool = False,
        window: int = 1 << 27,
    ) -> None:
        self._to_pixels = to_pixels
        self._is_mapped = _is_mapped(X)
        if self._is_mapped and (X.ndim != 2 or not len(X)):
            checked(X, True)  # which says what is wrong
        self._blocks: Iterable[Any] = _MappedBlocks(X, window) if self._is_mapped else X
        self.is_by_number = hasattr(self._blocks, "__getitem__") and hasattr(self._blocks, "__len__")
        self.device = torch.device("cpu")
        sizes, levels, n_features = [], GreyLevels(), 0
        for number, block in enumerate(self._blocks):
            with self._naming(number):
                grey = to_pixels(checked(block, number == 0), self._first_row(number))
            if binarise:
                levels.add(grey)
            sizes.append(len(grey))
            n_features = grey.shape[1]
        if not sizes:
            raise ValueError(NO_BLOCKS)
        self.shape = sum(sizes), n_features
        self._ends = np.cumsum(sizes)
        self.sizes = sizes
        self.form = Form(binarise, levels.fewest if binarise else None)
        self.n_window = max(1, window // (n_features * self.form.dtype.itemsize))
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def to(self, device: torch.device) -> "ReadImages":
        """Let what is kept be on a device."""
        self.device = device
        return self

    @property
    def is_one_window(self) -> bool:
        """Whether all are kept at once."""
        return len(self) <= self.n_window

    @property
    def kept(self) -> Tensor:
        """What is kept of all images, in their order; of one window only."""
        if self._kept is None:
            numbers = range(len(self.sizes))
            self._kept = self.read(self.blocks(numbers), numbers)[0].to(self.device)
        return self._kept

    @cached_property
    def alike(self) -> Tensor:
        """Two images (2, p) of the means and variances of all, but for rounding: m - s and m + s."""
        n, mean, squares = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        for grey in self._in_order():
            block = grey.double()
            block_mean = block.mean(dim=0)
            total = n + len(block)
            difference = block_mean - mean
            squares = squares + (block - block_mean).square().sum(dim=0)
            squares = squares + difference.square() * (n * len(block) / total)
            mean, n = mean + difference * (len(block) / total), total
        s = (squares / n).sqrt()
        return torch.stack((mean - s, mean + s)).float().to(self.device)

    def every(self, step: int) -> Tensor:
        """Return one image of so many, beginning with the first, (n, p)."""
        chosen, begun = [], 0
        for grey in self._in_order():
            chosen.append(grey[-begun % step :: step].clone())
            begun += len(grey)
        return torch.cat(chosen).to(self.device)

    def digest(self, *parts: Tensor) -> str:
        """Return ``digest_of`` the images, as if they were in memory, and further tensors."""
        digest = RunningDigest()
        digest.begin(torch.float32, self.shape)
        for grey in self._in_order():
            digest.add(grey)
        for part in parts:
            digest.begin(part.dtype, tuple(part.shape))
            digest.add(part)
        return digest.hexdigest()

    @property
    def order(self) -> dict[str, Any]:
        """What the order of the images in an epoch follows from, beside the seed."""
        sizes = torch.tensor(self.sizes)
        return {"images": self.n_window, "blocks": digest_of(sizes), "by number": self.is_by_number}

    def split(self, size: int) -> Iterator[Tensor]:
        """Give the images in their order, so many at a time, as a tensor does."""
        parts: list[Tensor] = []
        missing = size
        for block in self._in_order():
            rest = block
            while len(rest) >= missing:
                yield torch.cat([*parts, rest[:missing]])
                rest = rest[missing:]
                parts, missing = [], size
            if len(rest):
                parts.append(rest)
                missing -= len(rest)
        if parts:
            yield torch.cat(parts)

    def windows(self, order: Sequence[int]) -> list[list[int]]:
        """Part blocks in their order into windows: as many as one holds, and one at least."""
        parts: list[list[int]] = []
        n_images = 0
        for number in order:
            if not parts or n_images + self.sizes[number] > self.n_window:
                parts.append([])
                n_images = 0
            parts[-1].append(number)
            n_images += self.sizes[number]
        return parts

    def blocks(self, order: Iterable[int]) -> Iterator[Any]:
        """Give blocks in an order; in their own where they do not come by number."""
        return map(cast(Any, self._blocks).__getitem__, order) if self.is_by_number else iter(self._blocks)

    def read(
        self, blocks: Iterator[Any], numbers: Sequence[int], n_before: int = 0, stop: Event | None = None
    ) -> tuple[Tensor, Tensor]:
        """Read the next blocks: return what is kept of their images and which these are, (n,).

        Room for some images is left before them. An event that is set ends it: nobody will look at the rest.

        Raises
        ------
        ValueError
            If a block has another shape than at first, or a value outside [0, 1]; names block or row.
        """
        n = n_before + sum(self.sizes[number] for number in numbers)
        kept = torch.empty((n, self.shape[1]), dtype=self.form.dtype)
        rows = torch.empty(n, dtype=torch.int64)
        at = n_before
        for number in numbers:
            if stop is not None and stop.is_set():
                break
            start, size = self._ends[number] - self.sizes[number], self.sizes[number]
            kept[at : at + size] = self.form.keep(self._next(blocks, number))
            rows[at : at + size] = torch.arange(start, start + size)
            at += size
        return kept, rows

    def _in_order(self) -> Iterator[Tensor]:
        numbers = range(len(self.sizes))
        blocks = self.blocks(numbers)
        return (self._next(blocks, number) for number in numbers)

    def _next(self, blocks: Iterator[Any], number: int) -> Tensor:
        with self._naming(number):
            block = next(blocks, ())
            shape, expected = np.shape(block), (self.sizes[number], self.shape[1])
            if shape != expected:
                raise ValueError(f"its shape is {shape}, and was {expected} when it was read first")
            return self._to_pixels(block, self._first_row(number))

    def _first_row(self, number: int) -> int:
        return number * self._blocks.n_rows if isinstance(self._blocks, _MappedBlocks) else 0

    @contextmanager
    def _naming(self, number: int) -> Iterator[None]:
        """Name the block in what goes wrong with it; of a mapped array rows are named."""
        if self._is_mapped:
            yield
            return
        try:
            with in_block(number):
                yield
        except ValueError:
            raise
        except Exception as error:
            error.add_note(f"while block {number} of X was read")
            raise


class WindowBatches(Batches):
    """Epochs of batches of images that are read in windows.

    Parameters
    ----------
    images : ReadImages
        More than one window of them.
    y : Tensor of shape (N,)
        Class codes, on the CPU.
    **how
        As for ``Batches``.
    """

    def __init__(self, images: ReadImages, y: Tensor, **how: Any) -> None:
        super().__init__(partial(images.form.draw, torch.empty(0)), y, **how)
        self._images = images

    def _pools(self) -> Iterator[Pool]:
        images, device, stop = self._images, self.generator.device, Event()
        order = list(range(len(images.sizes)))
        if images.is_by_number:
            order = torch.randperm(len(order), generator=self.generator, device=device).tolist()
        blocks, windows = images.blocks(order), images.windows(order)
        with ThreadPoolExecutor(1, initializer=alone) as reader:
            try:
                ahead = reader.submit(images.read, blocks, windows[0], 0, stop)
                before: tuple[Tensor, Tensor] | None = None
                for following in chain(windows[1:], [None]):
                    kept, rows = ahead.result()
                    if before is not None:
                        for whole, part in zip((kept, rows), before, strict=True):
                            whole[: len(part)] = part
                    # No batch is smaller than others but for the last: what is left over begins the next pool.
                    n_left = 0 if following is None else len(rows) % self.batch_size
                    if following is not None:
                        ahead = reader.submit(images.read, blocks, following, n_left, stop)
                    pool = Pool(partial(images.form.draw, kept.to(device)), self._y[rows].to(device), n_left)
                    yield pool
                    rest = cast(Tensor, pool.rest).cpu()
                    before = kept[rest], rows[rest]
                    pool.pixels = self._pixels  # lets go of the window, before there is another
                    del kept, rows
            finally:
                stop.set()


def batches_of(images: Tensor | ReadImages, y: Tensor, *, binarise: bool, **how: Any) -> Batches:
    """Return the batches of images (N, p) in [0, 1] and class codes (N,); `how` as for ``Batches``."""
    if isinstance(images, Tensor):
        return Batches(pixels_of(images, binarise=binarise), y.to(images.device), **how)
    if images.is_one_window:
        return Batches(partial(images.form.draw, images.kept), y.to(images.device), **how)
    return WindowBatches(images, y, **how)


def begin(pixels: PixelModel, images: Tensor | ReadImages) -> None:
    """Let a pixel model look at the training images; what it learns nothing from is not read for it."""
    if isinstance(images, Tensor):
        pixels.begin(images)
    elif pixels.n_looked_at != 0:
        pixels.begin(_looked_at(images, pixels.n_looked_at))


def _looked_at(images: ReadImages, most: int | None) -> Tensor:
    if images.is_one_window:
        return images.kept
    return images.alike if most is None else images.every(-(-len(images) // most))


def fingerprint_of(images: Tensor | ReadImages, y: Tensor) -> str:
    """Return a digest of images and class codes, the same of images in memory and of those that are read."""
    return digest_of(images, y) if isinstance(images, Tensor) else images.digest(y)
