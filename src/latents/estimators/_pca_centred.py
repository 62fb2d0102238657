"""Centred data as an operator: multiplied from both sides without a centred copy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from latents.estimators._pca_moments import block_rows, working_dtype

FloatArray = NDArray[np.floating[Any]]


class Centred:
    """A = X - 1 mean' (N, p), where X is an array of numbers or a sparse matrix.

    Rows of an array are centred a block at a time. A sparse X stays sparse: A M = X M - 1 (mean' M).

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (N, p)
    mean : ndarray of shape (p,)
    """

    def __init__(self, X: Any, mean: FloatArray) -> None:
        self.X, self.shape, self.dtype = X, X.shape, working_dtype(X)
        self.is_sparse = bool(sp.issparse(X))
        self.mean = mean.astype(self.dtype, copy=False)

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Yield blocks of centred rows, dense, and where they belong."""
        rows = block_rows(self.shape[1], self.dtype.itemsize)
        for start in range(0, self.shape[0], rows):
            which = slice(start, min(start + rows, self.shape[0]))
            block = self.X[which].toarray() if self.is_sparse else self.X[which]
            yield which, np.subtract(block, self.mean, dtype=self.dtype, casting="unsafe")

    def dense(self, *, in_place: bool) -> "Centred":
        """Return the same with A itself, as one array, in place of X, whose memory it may take."""
        out = self.X if in_place and self.X.dtype == self.dtype else None
        array = np.subtract(self.X, self.mean, out=out, dtype=self.dtype, casting="unsafe")
        return Centred(array, np.zeros_like(self.mean))

    def times(self, M: FloatArray) -> FloatArray:
        """Return A M, of shape (N, k), or A v, of shape (N,)."""
        if self.is_sparse:
            product: FloatArray = self.X @ M - self.mean @ M
            return product
        product = np.empty((self.shape[0], *M.shape[1:]), np.result_type(self.dtype, M))
        for rows, block in self.blocks():
            np.matmul(block, M, out=product[rows])
        return product

    def transposed_times(self, Q: FloatArray) -> FloatArray:
        """Return A' Q, of shape (p, k), or A' v, of shape (p,)."""
        if self.is_sparse:
            product: FloatArray = self.X.T @ Q - np.multiply.outer(self.mean, Q.sum(axis=0))
            return product
        product = np.zeros((self.shape[1], *Q.shape[1:]), np.result_type(self.dtype, Q))
        for rows, block in self.blocks():
            product += block.T @ Q[rows]
        return product

    def gram(self) -> NDArray[np.float64]:
        """Return A A' (N, N), summed over blocks of features in float64."""
        n, p = self.shape
        if self.is_sparse:
            gram: NDArray[np.float64] = (self.X @ self.X.T).toarray().astype(np.float64, copy=False)
            from_mean = (self.X @ self.mean).astype(np.float64)
            gram -= from_mean
            gram -= from_mean[:, np.newaxis]
            gram += self.mean.astype(np.float64) @ self.mean
            return gram
        gram = np.zeros((n, n))
        columns = block_rows(n, self.dtype.itemsize)
        for start in range(0, p, columns):
            which = slice(start, start + columns)
            block = np.subtract(self.X[:, which], self.mean[which], dtype=self.dtype, casting="unsafe")
            gram += block @ block.T
        return gram

    def squared_length(self) -> float:
        """Return sum_n |x_n - mean|^2, the trace of A A'."""
        if self.is_sparse:
            mean = self.mean.astype(np.float64)
            squares = np.square(self.X.data, dtype=np.float64).sum()
            return float(squares - self.shape[0] * (mean @ mean))
        return sum(float(np.einsum("ij,ij->", b, b, dtype=np.float64)) for _, b in self.blocks())

    def squared(self) -> LinearOperator:
        """Return A'A or, where that is smaller, A A' as an operator for SciPy's iterative solvers."""
        n, p = self.shape
        first, second = (self.times, self.transposed_times) if p <= n else (self.transposed_times, self.times)
        return LinearOperator((min(n, p),) * 2, matvec=lambda v: second(first(v)), dtype=self.dtype)
