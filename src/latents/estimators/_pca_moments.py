"""Mean and scatter of data, summed over blocks in any order: all that PCA of tall data needs to know."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[np.float64]
FloatArray = NDArray[np.floating[Any]]

# Rows are copied in blocks of about this many bytes, so that no float copy of the data is ever made; and no more
# than this many are multiplied at a time, so that float32 adds up no more products than that.
_BLOCK_BYTES, _BLOCK_ROWS = 2**23, 4096
# Bytes less 128 are at most 128 in size: the products of 1,024 such rows add up exactly in float32, 2^24 at most.
_BYTE_SHIFT, _BYTE_ROWS = 128.0, 1024
# Data whose mean is no farther from the origin than they spread are summed as they lie: what cancels is then less
# than a digit, and no row has to be copied.
_FAR = 1.0


def block_rows(n_features: int, itemsize: int) -> int:
    """Return how many rows of floats make a block."""
    return min(max(256, _BLOCK_BYTES // (n_features * itemsize)), _BLOCK_ROWS)


def working_dtype(X: Any) -> np.dtype[Any]:
    """Return float32 for float32 data, else float64: the type of what is learned from X."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


@dataclass(frozen=True)
class Moments:
    """What some rows x_n add up to; ``a + b`` is the same for both sets of rows together.

    Attributes
    ----------
    n_samples : int
        N.
    mean : ndarray of shape (p,)
        (1/N) sum_n x_n.
    scatter : ndarray of shape (p, p)
        sum_n (x_n - mean)(x_n - mean)' = N S.
    """

    n_samples: int
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, X: Any) -> "Moments":
        """Sum over the rows of X (N, p), dense or sparse, of any numeric type.

        Float32 data are multiplied in float32, a block of rows at a time, and blocks added up in
        float64. Sums over bytes are exact.
        """
        n = X.shape[0]
        sums, products, shift = _sparse_sums(X) if sp.issparse(X) else _sums(X)
        from_shift = sums / n
        products -= n * np.outer(from_shift, from_shift)
        return cls(n, shift + from_shift, products)

    def __add__(self, other: "Moments") -> "Moments":
        """Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm", 1979."""
        n = self.n_samples + other.n_samples
        apart = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter += (self.n_samples * other.n_samples / n) * np.outer(apart, apart)
        return Moments(n, self.mean + apart * (other.n_samples / n), scatter)


class _Sums(NamedTuple):
    """Sums of x - shift (p,), and of (x - shift)(x - shift)' (p, p)."""

    sums: Array
    products: Array
    shift: Array | float


def _sparse_sums(X: Any) -> _Sums:
    X = X.astype(np.float64)
    return _Sums(np.asarray(X.sum(axis=0)).ravel(), (X.T @ X).toarray(), 0.0)


def _sums(X: NDArray[Any]) -> _Sums:
    n, p = X.shape
    shift, dtype, rows, in_place = _plan(X)
    sums, products = np.zeros(p), np.zeros((p, p))
    partial = np.empty((p, p), dtype)
    copied = np.empty((0 if in_place else min(rows, n), p), dtype)
    ones = np.ones(min(rows, n), dtype)
    for start in range(0, n, rows):
        block = X[start : start + rows]
        if not in_place:
            block = np.subtract(block, shift, out=copied[: len(block)], dtype=dtype, casting="unsafe")
        np.matmul(block.T, block, out=partial)
        products += partial
        sums += ones[: len(block)] @ block
    return _Sums(sums, products, shift)


def _plan(X: NDArray[Any]) -> tuple[Any, np.dtype[Any], int, bool]:
    """Return the shift, the type to multiply in, the rows of a block, and whether these are used as they lie."""
    if X.dtype.kind == "b" or X.dtype == np.uint8:
        return np.float32(_BYTE_SHIFT), np.dtype(np.float32), _BYTE_ROWS, False
    dtype = working_dtype(X)
    rows = block_rows(X.shape[1], dtype.itemsize)
    first = X[:1024].astype(np.float64)
    mean, spread = first.mean(axis=0), first.var(axis=0).sum()
    if X.dtype == dtype and mean @ mean <= _FAR**2 * spread:
        return dtype.type(0), dtype, _BLOCK_ROWS, True
    return mean.astype(dtype), dtype, rows, False
