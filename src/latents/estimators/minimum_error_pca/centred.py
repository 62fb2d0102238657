"""Centred data as an operator: multiplied from both sides without a centred copy."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from latents.estimators.minimum_error_pca.moments import Array, FloatArray, block_rows, working_dtype
from latents.estimators.minimum_error_pca.tensors import TensorRows, beside
from latents.estimators.minimum_error_pca.weighted import roots_of

# So many rows are worth what a product with few columns adds up.
ROWS = 16


def largest_deviation(n_features: int, dtype: np.dtype[Any]) -> float:
    """Return how far from the mean a number may lie that is projected or rebuilt: sqrt(max / 64 p).

    The squares of a row then add up to a 64th of what the type can hold, in any order.
    """
    return float(np.sqrt(np.finfo(dtype).max / (64 * n_features)))


def first_too_far(X: Any, mean: FloatArray) -> tuple[int, int] | None:
    """Return row and column of the first number of X (N, p) beyond ``largest_deviation``; None where none is.

    Each number is compared with the mean by itself: what a processor would make of their sums decides nothing.
    X is dense, rows of a tensor, or sparse in CSR form, and finite.
    """
    most, mean = largest_deviation(X.shape[1], working_dtype(X)), mean.astype(np.float64)
    # Where the outermost numbers are near enough, all are. Of whole numbers one need not look for them.
    largest = max(abs(float(X.max())), abs(float(X.min()))) if X.dtype.kind == "f" else 2.0**64
    if largest + float(np.abs(mean).max()) <= most:
        return None
    if isinstance(X, TensorRows):
        near = beside(mean, X.tensor)
        return X.first(lambda block: (block.double() - near).abs() > most)
    rows, is_sparse = block_rows(X.shape[1], 8, ROWS), sp.issparse(X)
    for start in range(0, X.shape[0], rows):
        block = X[start : start + rows]
        with np.errstate(over="ignore"):
            far = np.abs(np.subtract(block.toarray() if is_sparse else block, mean)) > most
        if far.any():
            row, column = np.argwhere(far)[0].tolist()
            return start + row, column
    return None


class Centred:
    """A = X - 1 mean' (N, p), where X is an array of numbers or a sparse matrix.

    Rows of an array are centred a block at a time. A sparse X stays sparse: A M = X M - 1 (mean' M). What cancels
    there takes the digits of columns far from zero, so that sparse float32 data are multiplied in float64.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (N, p)
    mean : ndarray of shape (p,)
    missing : ndarray of shape (N, p), optional
        Where X, an array, has estimates of entries that are missing: errors are sums over the others.

    Attributes
    ----------
    total : float
        What sums over the rows are divided by: N.
    """

    total: float

    def __init__(self, X: Any, mean: FloatArray, missing: NDArray[np.bool_] | None = None) -> None:
        self.missing = missing
        self.X, self.shape, self.dtype = X, X.shape, working_dtype(X)
        self.total = X.shape[0]
        self.is_sparse = bool(sp.issparse(X))
        if self.is_sparse:
            self.X = X.astype(np.float64, copy=False)
        self.mean = mean.astype(np.float64 if self.is_sparse else self.dtype, copy=False)

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Yield blocks of centred rows, dense, and where they belong."""
        rows = block_rows(self.shape[1], self.dtype.itemsize, ROWS)
        for start in range(0, self.shape[0], rows):
            which = slice(start, min(start + rows, self.shape[0]))
            block = self.X[which].toarray() if self.is_sparse else self.X[which]
            yield which, np.subtract(block, self.mean, dtype=self.dtype, casting="unsafe")

    def projected(self, basis: FloatArray) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
        """Yield the rows of a block, their coordinates (n, d) and their squared distances from the plane (n,)."""
        for rows, block in self.blocks():
            Z = block @ basis.T
            residuals = block - Z @ basis
            if self.missing is not None:
                residuals[self.missing[rows]] = 0
            yield rows, Z, np.einsum("ij,ij->i", residuals, residuals)

    def coordinates(self, basis: FloatArray) -> FloatArray:
        """Return the coordinates of all rows (N, d)."""
        return self.times(basis.T)

    def joined(self, parts: Iterable[FloatArray], dtype: np.dtype[Any]) -> FloatArray:
        """Return what is of each row, by its blocks."""
        return np.concatenate(list(parts), dtype=dtype, casting="same_kind")

    def sums_of_squares(self, basis: FloatArray, weights: Array | None) -> tuple[Array, float]:
        """Return the sums over the rows, weighted or not, of squared coordinates (d,) and distances."""
        squares, rest = np.zeros(len(basis)), 0.0
        for rows, Z, errors in self.projected(basis):
            if weights is None:
                squares += np.square(Z).sum(axis=0, dtype=np.float64)
                rest += float(errors.sum(dtype=np.float64))
            else:
                squares += weights[rows] @ np.square(Z)
                rest += float(weights[rows] @ errors)
        return squares, rest

    def observed_curve(self, basis: FloatArray, missing: NDArray[np.bool_], weights: Array | None) -> Array:
        """Return the mean squared errors over what is observed, if the first 0..d directions are kept (d + 1,).

        What is left of a row at one d is carried on to the next.
        """
        weights = np.ones(self.shape[0]) if weights is None else weights
        sums = np.zeros(len(basis) + 1)
        for rows, rest in self.blocks():
            Z, observed = rest @ basis.T, ~missing[rows]
            rest *= observed
            for d in range(len(basis) + 1):
                sums[d] += weights[rows] @ np.einsum("ij,ij->i", rest, rest, dtype=np.float64)
                if d < len(basis):
                    rest -= np.multiply.outer(Z[:, d], basis[d]) * observed
        curve: Array = sums / weights.sum()
        return curve

    def dense(self, *, in_place: bool) -> "Centred":
        """Return the same with A itself, as one array, in place of X, whose memory it may take."""
        out = self.X if in_place and self.X.dtype == self.dtype else None
        array = np.subtract(self.X, self.mean, out=out, dtype=self.dtype, casting="unsafe")
        return Centred(array, np.zeros_like(self.mean))

    def times(self, M: FloatArray) -> FloatArray:
        """Return A M, of shape (N, k), or A v, of shape (N,)."""
        if self.is_sparse:
            return self._rounded(self.X @ M - self.mean @ M, M)
        product = np.empty((self.shape[0], *M.shape[1:]), np.result_type(self.dtype, M))
        for rows, block in self.blocks():
            np.matmul(block, M, out=product[rows])
        return product

    def transposed_times(self, Q: FloatArray) -> FloatArray:
        """Return A' Q, of shape (p, k), or A' v, of shape (p,)."""
        if self.is_sparse:
            sums = Q.sum(axis=0, dtype=np.float64)
            return self._rounded(self.X.T @ Q - np.multiply.outer(self.mean, sums), Q)
        product = np.zeros((self.shape[1], *Q.shape[1:]), np.result_type(self.dtype, Q))
        for rows, block in self.blocks():
            product += block.T @ Q[rows]
        return product

    def gram(self) -> NDArray[np.float64]:
        """Return A A' (N, N), summed over blocks of features in float64."""
        n, p = self.shape
        if self.is_sparse:
            gram: NDArray[np.float64] = (self.X @ self.X.T).toarray()
            from_mean = self.X @ self.mean
            gram -= from_mean
            gram -= from_mean[:, np.newaxis]
            gram += self.mean @ self.mean
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
            X = self._in_one_part()
            # What is given, less the mean of its column, and the zeros between: nothing cancels.
            given = X.data - self.mean[X.indices]
            n_zeros = self.shape[0] - np.bincount(X.indices, minlength=self.shape[1])
            return float(given @ given + n_zeros @ np.square(self.mean))
        return sum(float(np.einsum("ij,ij->", b, b, dtype=np.float64)) for _, b in self.blocks())

    def column_squares(self) -> NDArray[np.float64]:
        """Return the diagonal of A'A (p,)."""
        squares = np.zeros(self.shape[1])
        for _, block in self.blocks():
            squares += np.einsum("ij,ij->j", block, block, dtype=np.float64)
        return squares

    def squared(self) -> LinearOperator:
        """Return A'A or, where that is smaller, A A' as an operator for SciPy's iterative solvers."""
        n, p = self.shape
        first, second = (self.times, self.transposed_times) if p <= n else (self.transposed_times, self.times)
        return LinearOperator((min(n, p),) * 2, matvec=lambda v: second(first(v)), dtype=self.dtype)

    def _in_one_part(self) -> Any:
        """Return a sparse X whose numbers are none of them given in parts."""
        X = self.X
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        return X

    def _rounded(self, product: FloatArray, M: FloatArray) -> FloatArray:
        """Return a product with M in the type that it has of dense data."""
        return product.astype(np.result_type(self.dtype, M), copy=False)


class Weighted(Centred):
    """D (X - 1 mean'), where D is diagonal: sqrt(w_n), up to the unit of ``roots_of``.

    Its singular values and directions are those of the centred data with each row as often as its weight says.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (N, p)
    mean : ndarray of shape (p,)
    weights : ndarray of shape (N,)
        Above 0.

    Attributes
    ----------
    total : float
        The sum of the weights, in the same unit.
    """

    def __init__(self, X: Any, mean: FloatArray, weights: Array) -> None:
        super().__init__(X, mean)
        self.roots, unit = roots_of(weights)
        self.weights = weights / unit
        self.total = float(self.weights.sum())

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Yield blocks of rows, dense, and where they belong."""
        for rows, block in super().blocks():
            block *= self.roots[rows, np.newaxis]
            yield rows, block

    def dense(self, *, in_place: bool) -> Centred:  # noqa: ARG002
        """Return the same with its product as one array; X is left as it is."""
        centred = super().dense(in_place=False)
        centred.X *= self.roots[:, np.newaxis]
        centred.total = self.total
        return centred

    def times(self, M: FloatArray) -> FloatArray:
        """Return the product with M (p, k), or v (p,)."""
        product = super().times(M)
        return self._rounded((self.roots * product.T).T, M) if self.is_sparse else product

    def transposed_times(self, Q: FloatArray) -> FloatArray:
        """Return the product of the transpose with Q (N, k), or v (N,)."""
        return super().transposed_times((self.roots * Q.T).T.astype(Q.dtype) if self.is_sparse else Q)

    def gram(self) -> Array:
        """Return the product with the transpose (N, N)."""
        gram = super().gram()
        gram *= self.roots
        gram *= self.roots[:, np.newaxis]
        return gram

    def squared_length(self) -> float:
        """Return sum_n w_n |x_n - mean|^2."""
        if not self.is_sparse:
            return super().squared_length()
        X, (n, p) = self._in_one_part(), self.shape
        weights = np.repeat(self.weights, np.diff(X.indptr))
        given = X.data - self.mean[X.indices]
        of_zeros = self.total - np.bincount(X.indices, weights, minlength=p)
        of_zeros[np.bincount(X.indices, minlength=p) == n] = 0.0  # what is left is rounding
        return float((weights * given) @ given + of_zeros @ np.square(self.mean))
