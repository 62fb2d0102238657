"""A sparse count matrix on a device, multiplied from both sides as fast as torch can."""

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

# torch says once in a process that compressed rows are a beta feature: let it be now, unheard.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 0], [], [], size=(1, 1), check_invariants=False)

# On a CPU, columns in float64 are multiplied in groups of this many: a wider dense matrix outgrows the caches as
# its rows are gathered, and a product of 100 columns then costs far more than five times one of 20.
_COLUMNS_PER_GROUP = 20
# T' G is summed over so many documents at a time, for the same reason: their rows of G then stay in the caches.
_DOCUMENTS_PER_GROUP = 2**15
_LARGEST_INT32 = np.iinfo(np.int32).max


class Counts:
    """Counts T (D, W), for the products T M of the E step and T' G of the M step.

    Both are products of a matrix of compressed rows with a dense one, so T is kept twice, by documents and by
    words. Indices are 32-bit while they suffice: torch's products are then up to five times faster. Counts are in
    float64, until ``single_precision`` is asked for.

    Parameters
    ----------
    T : sparse array of shape (D, W) in CSR form
    device : torch.device
    T_by_words : sparse array of shape (D, W) in CSC form, optional
        The same counts; made of `T` where it is not given, once it is needed.
    weights : ndarray of shape (D,), optional
        How many documents each stands for; 1 where it is not given.
    barred : ndarray of bool, of shape (D, K), optional
        The components that a document must not be of.

    Attributes
    ----------
    n_documents : float
        The sum of the weights.
    """

    def __init__(
        self,
        T: sp.csr_array,
        device: torch.device,
        T_by_words: sp.csc_array | None = None,
        *,
        weights: NDArray[np.float64] | None = None,
        barred: NDArray[np.bool_] | None = None,
    ) -> None:
        self.n_rows, self.n_words = T.shape
        self.n_documents = self.n_rows if weights is None else float(weights.sum())
        self.device, self.dtype = device, torch.float64
        self.weights = None if weights is None else torch.from_numpy(weights).to(device)
        self.barred = None if barred is None else torch.from_numpy(barred).to(device)
        self.T, self._T_by_words = T, T_by_words
        self._rows = self._tensor(T, T.shape)
        self._columns: list[Tensor] | None = None

    def single_precision(self) -> "Counts":
        """Return the counts in float32, on the same indices; none so small that it would vanish."""
        other = object.__new__(Counts)
        other.__dict__.update(self.__dict__, dtype=torch.float32)
        other._rows = _cast(self._rows)
        other._columns = [_cast(A) for A in self._by_words()]
        return other

    def taking(self, rows: NDArray[np.intp]) -> "Counts":
        """Return some of the documents, in the same precision."""
        chosen = Counts(
            self.T[rows],
            self.device,
            weights=None if self.weights is None else self.weights.cpu().numpy()[rows],
            barred=None if self.barred is None else self.barred.cpu().numpy()[rows],
        )
        return chosen if self.dtype == torch.float64 else chosen.single_precision()

    def word_totals(self) -> NDArray[np.float64]:
        """Return sum_d T_dw, of shape (W,)."""
        scales = np.ones(self.n_rows) if self.weights is None else self.weights.cpu().numpy()
        totals: NDArray[np.float64] = self.T.T @ scales
        return totals

    def weighted(self, values: Tensor) -> Tensor:
        """Return values of the documents, (D,) or (D, K), times the weights."""
        if self.weights is None:
            return values
        weights = self.weights.to(values.dtype)
        return values * (weights if values.ndim == 1 else weights[:, None])

    def barring(self, log_scores: Tensor) -> Tensor:
        """Return log scores (D, K), -inf where a document must not be of a component; in place."""
        return log_scores if self.barred is None else log_scores.masked_fill_(self.barred, -torch.inf)

    def by_documents(self, M: Tensor) -> Tensor:
        """Return T M, of shape (D, K), for M of shape (W, K)."""
        return self._product(self._rows, M)

    def by_words(self, G: Tensor) -> Tensor:
        """Return T' G, of shape (W, K), for G of shape (D, K)."""
        groups = self._by_words()
        product = self._product(groups[0], G[:_DOCUMENTS_PER_GROUP])
        for i, columns in enumerate(groups[1:], start=1):
            product += self._product(columns, G[i * _DOCUMENTS_PER_GROUP : (i + 1) * _DOCUMENTS_PER_GROUP])
        return product

    def _by_words(self) -> list[Tensor]:
        if self._columns is None:
            if self._T_by_words is not None and self.n_rows <= _DOCUMENTS_PER_GROUP:
                groups = [self._T_by_words]
            else:
                starts = range(0, max(self.n_rows, 1), _DOCUMENTS_PER_GROUP)
                groups = [self.T[start : start + _DOCUMENTS_PER_GROUP].tocsc() for start in starts]
            self._columns = [self._tensor(T, T.shape[::-1]) for T in groups]
        return self._columns

    def _product(self, A: Tensor, M: Tensor) -> Tensor:
        if self.device.type != "cpu":
            return A @ M
        if self.dtype == torch.float32:
            # Sums of weighted rows are what embeddings ask for, and torch has faster code for them.
            return embedding_bag(
                A.col_indices(),
                M,
                A.crow_indices(),
                mode="sum",
                per_sample_weights=A.values(),
                include_last_offset=True,
            )
        if M.shape[1] <= _COLUMNS_PER_GROUP:
            return A @ M
        product = torch.empty(A.shape[0], M.shape[1], dtype=M.dtype)
        for start in range(0, M.shape[1], _COLUMNS_PER_GROUP):
            columns = slice(start, start + _COLUMNS_PER_GROUP)
            product[:, columns] = A @ M[:, columns].contiguous()
        return product

    def _tensor(self, T: sp.csr_array | sp.csc_array, shape: tuple[int, int]) -> Tensor:
        index = np.int32 if max(T.nnz, *T.shape) < _LARGEST_INT32 else np.int64
        return torch.sparse_csr_tensor(
            _shared(T.indptr, index),
            _shared(T.indices, index),
            _shared(T.data, np.float64),
            size=shape,
            device=self.device,
            check_invariants=False,
        )


def _shared(values: NDArray[Any], dtype: DTypeLike) -> Tensor:
    """Return values as a tensor, copied only where they must be: torch takes writable memory, and fewer types."""
    return torch.from_numpy(np.require(values, dtype, "W"))


def _cast(A: Tensor) -> Tensor:
    values = A.values().float().clamp_(min=torch.finfo(torch.float32).tiny)
    return torch.sparse_csr_tensor(
        A.crow_indices(), A.col_indices(), values, size=A.shape, check_invariants=False
    )
