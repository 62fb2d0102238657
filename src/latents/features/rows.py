"""Rows of a matrix in blocks, which are read where they are worked on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class RowBlocks:
    """Some rows of a matrix, in blocks of so many numbers.

    Sent elsewhere, of a mapped file it is the name and not what is in it.

    Parameters
    ----------
    X : ndarray of shape (N, p)
    rows : ndarray of int
        Which ones, rising.
    size : int
        Numbers of a block.
    """

    def __init__(self, X: NDArray[Any], rows: NDArray[np.intp], size: int) -> None:
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
        return np.asarray(self._X[rows])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_X": self._X if self._file is None else None}
