"""Centred rows of a torch tensor as an operator, on the tensor's device."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from latents.estimators.minimum_error_pca.centred import ROWS, Centred, Weighted
from latents.estimators.minimum_error_pca.moments import Array, FloatArray, block_rows
from latents.estimators.minimum_error_pca.tensors import TensorRows, as_array, beside, product
from latents.estimators.minimum_error_pca.weighted import roots_of

if TYPE_CHECKING:
    import torch


def centred(X: Any, mean: FloatArray, weights: Array | None = None) -> Centred:
    """Return X - 1 mean' as an operator, its rows times the roots of their weights, if they have any."""
    if isinstance(X, TensorRows):
        return CentredTensor(X, mean, weights)
    return Centred(X, mean) if weights is None else Weighted(X, mean, weights)


class CentredTensor(Centred):
    """The same of rows of a tensor.

    Matrices of few columns, which are arrays, go to its device. Products that solvers ask for come back as arrays;
    what is of each row for itself (``coordinates``, ``projected``, ``joined``) stays there.

    Parameters
    ----------
    X : TensorRows of shape (N, p)
    mean : ndarray of shape (p,)
    weights : ndarray of shape (N,), optional
        Above 0.
    """

    def __init__(self, X: TensorRows, mean: FloatArray, weights: Array | None = None) -> None:
        super().__init__(X, mean)
        self._mean = beside(self.mean, X.tensor)
        self._less = -self._mean  # torch adds to bool, and does not subtract from it
        self._roots: torch.Tensor | None = None
        if weights is not None:
            roots, unit = roots_of(weights, self.dtype)
            self._roots, self.total = beside(roots, X.tensor), float((weights / unit).sum())

    def blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield blocks of centred rows, and where they belong."""
        for which in self.X.slices(block_rows(self.shape[1], self.dtype.itemsize, ROWS)):
            block = self.X[which] + self._less  # in the type of the mean, and without a copy in it before
            if self._roots is not None:
                block *= self._roots[which, None]
            yield which, block

    def projected(self, basis: FloatArray) -> Iterator[tuple[slice, Any, Any]]:
        """Yield the rows of a block, their coordinates (n, d) and their squared distances from the plane (n,)."""
        vectors = beside(basis, self._mean)
        for rows, block in self.blocks():
            Z = product(block, vectors.T)
            yield rows, Z, (block - product(Z, vectors)).square().sum(dim=1)

    def coordinates(self, basis: FloatArray) -> Any:
        """Return the coordinates of all rows (N, d)."""
        return self._times(basis.T)

    def joined(self, parts: Iterable[Any], dtype: np.dtype[Any]) -> Any:
        """Return what is of each row, by its blocks."""
        import torch

        return torch.cat(list(parts)).to(getattr(torch, dtype.name))

    def sums_of_squares(self, basis: FloatArray, weights: Array | None) -> tuple[Array, float]:
        """Return the sums over the rows, weighted or not, of squared coordinates (d,) and distances."""
        squares = self._zeros(len(basis) + 1)
        for rows, Z, errors in self.projected(basis):
            terms = self.joined([Z.T.square(), errors[None]], np.dtype(np.float64))
            squares += terms.sum(dim=1) if weights is None else product(terms, beside(weights[rows], Z))
        *of_basis, rest = squares.tolist()
        return np.array(of_basis), rest

    def times(self, M: FloatArray) -> FloatArray:
        """Return A M, of shape (N, k), or A v, of shape (N,)."""
        product: FloatArray = as_array(self._times(M))
        return product

    def _times(self, M: FloatArray) -> "torch.Tensor":
        matrix = beside(M, self._mean)
        found = self._zeros(self.shape[0], *M.shape[1:], dtype=np.result_type(self.dtype, M))
        for rows, block in self.blocks():
            found[rows] = product(block, matrix)
        return found

    def transposed_times(self, Q: FloatArray) -> FloatArray:
        """Return A' Q, of shape (p, k), or A' v, of shape (p,)."""
        matrix = beside(Q, self._mean)
        found = self._zeros(self.shape[1], *Q.shape[1:], dtype=np.result_type(self.dtype, Q))
        for rows, block in self.blocks():
            found += product(block.T, matrix[rows])
        return np.asarray(as_array(found))

    def gram(self) -> Array:
        """Return A A' (N, N), summed over blocks of features in float64."""
        n, p = self.shape
        gram = self._zeros(n, n)
        columns = block_rows(n, self.dtype.itemsize)
        for start in range(0, p, columns):
            which = slice(start, start + columns)
            block = self.X.tensor[:, which] + self._less[which]
            gram += product(block, block.T)
        if self._roots is not None:
            gram *= self._roots.double()
            gram *= self._roots.double()[:, None]
        return np.asarray(as_array(gram))

    def squared_length(self) -> float:
        """Return sum_n |x_n - mean|^2, the trace of A A'."""
        return float(self.column_squares().sum())

    def column_squares(self) -> Array:
        """Return the diagonal of A'A (p,)."""
        squares = self._zeros(self.shape[1])
        for _, block in self.blocks():
            squares += block.double().square().sum(dim=0)
        return np.asarray(as_array(squares))

    def _zeros(self, *shape: int, dtype: Any = np.float64) -> "torch.Tensor":
        import torch

        return torch.zeros(shape, dtype=getattr(torch, np.dtype(dtype).name), device=self.X.device)
