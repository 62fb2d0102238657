"""Rows of a matrix in blocks, which are read where they are worked on, and rows that are made piece by piece."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from latents.features.images import ScaledRows


class RowBlocks:
    """Some rows of a matrix, in blocks of so many numbers.

    Sent elsewhere, of a mapped file it is the name and not what is in it.

    Parameters
    ----------
    X : ndarray of shape (N, p), or ScaledRows
    rows : ndarray of int
        Which ones, rising.
    size : int
        Numbers of a block.
    """

    def __init__(self, X: NDArray[Any] | ScaledRows, rows: NDArray[np.intp], size: int) -> None:
        self._white = X.white if isinstance(X, ScaledRows) else None
        X = X.X if isinstance(X, ScaledRows) else X
        self._X: NDArray[Any] | None = X
        self._rows, self._n = rows, max(1, size // X.shape[1])
        self._file: tuple[Any, ...] | None = None
        if isinstance(X, np.memmap) and X.filename is not None and X.flags.c_contiguous:
            base: Any = X
            while isinstance(base.base, np.memmap):  # a view begins somewhere in its file
                base = base.base
            offset = base.offset + X.__array_interface__["data"][0] - base.__array_interface__["data"][0]
            self._file = (str(X.filename), X.dtype, offset, X.shape)

    def __len__(self) -> int:
        return len(range(0, len(self._rows), self._n))

    def __getitem__(self, number: int) -> NDArray[Any]:
        """Return the rows of one block."""
        rows = self._rows[range(len(self))[number] * self._n :][: self._n]
        if self._X is None and self._file is not None:
            name, dtype, offset, shape = self._file
            self._X = np.memmap(name, dtype, "r", offset, shape)
        assert self._X is not None  # noqa: S101  (what is sent without it has a file)
        block = np.asarray(self._X[rows])
        return block if self._white is None else ScaledRows(block, self._white)[:]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return map(self.__getitem__, range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_X": self._X if self._file is None else None}


@dataclass(frozen=True)
class MadeRows:
    """Rows that are made anew, piece by piece, whenever they are asked for.

    Parameters
    ----------
    shape : tuple of int
        Of all together.
    dtype : dtype
    pieces : callable
        Returns the pieces in their order.
    """

    shape: tuple[int, ...]
    dtype: DTypeLike
    pieces: Callable[[], Iterable[NDArray[Any]]]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of them."""
        made = np.empty(self.shape, self.dtype)
        start = 0
        for piece in self.pieces():
            made[start : start + len(piece)] = piece
            start += len(piece)
        return made if dtype is None else made.astype(dtype)
