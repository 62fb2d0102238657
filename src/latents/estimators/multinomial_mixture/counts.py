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

# Documents are worked on in parts whose (documents, components) matrices have about so many entries: these stay in
# the caches, and are not asked of the system anew each time, which takes longer than to compute them.
_ENTRIES_PER_PART = 2**19
# A part has so many documents for each word at least: for each part (words, components) matrices are added up.
_DOCUMENTS_PER_WORD = 1
# Documents whose counts by words are given are not parted, if they are no more than so many.
_UNPARTED = 2**15
_LARGEST_INT32 = np.iinfo(np.int32).max


class Counts:
    """Counts T (D, W), for the products T M of the E step and T' G of the M step.

    Both are products of a matrix of compressed rows with a dense one, so T is kept twice, by documents and, in
    ``parts``, by words. Indices are 32-bit while they suffice: torch's products are then up to five times faster.
    Counts are in float64, until ``single_precision`` is asked for.

    Parameters
    ----------
    T : sparse array of shape (D, W) in CSR form
    device : torch.device
    n_components : int
        K, for which documents are parted.
    T_by_words : sparse array of shape (D, W) in CSC form, optional
        The same counts; made of `T` where it is not given, once it is needed.
    weights : ndarray of shape (D,), optional
        How many documents each stands for; 1 where it is not given.
    barred : ndarray of bool, of shape (D, K), optional
        The components that a document must not be of.
    number : int
        Of the block that these are.

    Attributes
    ----------
    n_documents : float
        The sum of the weights.
    """

    def __init__(
        self,
        T: sp.csr_array,
        device: torch.device,
        n_components: int = 1,
        T_by_words: sp.csc_array | None = None,
        *,
        weights: NDArray[np.float64] | None = None,
        barred: NDArray[np.bool_] | None = None,
        number: int = 0,
    ) -> None:
        self.n_rows, self.n_words = T.shape
        self.n_documents = self.n_rows if weights is None else float(weights.sum())
        self.device, self.dtype = device, torch.float64
        self.weights = None if weights is None else torch.from_numpy(weights).to(device)
        self.barred = None if barred is None else torch.from_numpy(barred).to(device)
        self.n_components, self.number = n_components, number
        self.T, self._is_given_by_words = T, T_by_words is not None
        self._layouts: dict[bool, _Layout] = {}  # by documents and, True, by words
        if T_by_words is not None:
            self._layouts[True] = _Layout(T_by_words, device)
        self._tensors: dict[bool, Tensor] = {}
        self._parts: list[tuple[slice, Counts]] | None = None
        self._in_double: Counts | None = None
        self._taken: tuple[NDArray[np.intp], Counts] | None = None

    def single_precision(self) -> "Counts":
        """Return the counts in float32, on the same indices; none so small that it would vanish."""
        other = object.__new__(Counts)
        own: dict[str, Any] = {"_tensors": {}, "_parts": None, "_in_double": self, "_taken": None}
        other.__dict__.update(self.__dict__, dtype=torch.float32, **own)
        return other

    def parts(self) -> list[tuple[slice, "Counts"]]:
        """Return the documents in parts, and which rows these are."""
        n = self._rows_per_part()
        if n >= self.n_rows:
            return [(slice(0, self.n_rows), self)]
        if self._parts is None and self._in_double is not None:
            self._parts = [(rows, part.single_precision()) for rows, part in self._in_double.parts()]
        if self._parts is None:
            starts = range(0, self.n_rows, n)
            self._parts = [(rows := slice(start, start + n), self._taking(rows)) for start in starts]
        return self._parts

    def taking(self, rows: NDArray[np.intp]) -> "Counts":
        """Return some of the documents, in the same precision; the last ones that were asked for are kept."""
        if self._taken is None or not np.array_equal(self._taken[0], rows):
            chosen = self._taking(rows)
            self._taken = rows, chosen if self.dtype == torch.float64 else chosen.single_precision()
        return self._taken[1]

    def word_totals(self) -> NDArray[np.float64]:
        """Return sum_d T_dw, of shape (W,)."""
        totals: NDArray[np.float64] = self.T.T @ self.document_weights()
        return totals

    def document_weights(self) -> NDArray[np.float64]:
        """Return how many documents each stands for, (D,)."""
        return np.ones(self.n_rows) if self.weights is None else self.weights.cpu().numpy()

    def counting(self) -> NDArray[np.bool_] | slice:
        """Return which rows count: all but those of weight 0."""
        return slice(None) if self.weights is None else self.document_weights() > 0

    def lengths(self) -> NDArray[np.float64]:
        """Return n_d, of shape (D,); next to nothing instead of 0."""
        return np.maximum(self.T.sum(axis=1), np.finfo(np.float32).tiny)

    def labelled(self) -> Tensor | None:
        """Return which documents have a label, of shape (D,); None if none has."""
        return None if self.barred is None else self.barred.any(dim=1)

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
        return self._product(self._tensor(by_words=False), M)

    def by_words(self, G: Tensor) -> Tensor:
        """Return T' G, of shape (W, K), for G of shape (D, K)."""
        (rows, first), *others = self.parts()
        product = self._product(first._tensor(by_words=True), G[rows])
        for rows, part in others:
            product += self._product(part._tensor(by_words=True), G[rows])
        return product

    def _tensor(self, *, by_words: bool) -> Tensor:
        """Return T by documents, (D, W), or by words, (W, D), in compressed rows of the precision asked for."""
        if by_words not in self._tensors:
            if by_words not in self._layouts:  # of both precisions
                self._layouts[by_words] = _Layout(self.T.tocsc() if by_words else self.T, self.device)
            self._tensors[by_words] = self._layouts[by_words].tensor(self.dtype)
        return self._tensors[by_words]

    def _rows_per_part(self) -> int:
        if self.device.type != "cpu" or (self._is_given_by_words and self.n_rows <= _UNPARTED):
            return self.n_rows
        return max(1, _ENTRIES_PER_PART // self.n_components, _DOCUMENTS_PER_WORD * self.n_words)

    def _taking(self, rows: NDArray[np.intp] | slice) -> "Counts":
        return Counts(
            self.T[rows],
            self.device,
            self.n_components,
            weights=None if self.weights is None else self.weights.cpu().numpy()[rows],
            barred=None if self.barred is None else self.barred.cpu().numpy()[rows],
        )

    def _product(self, A: Tensor, M: Tensor) -> Tensor:
        if self.device.type != "cpu" or self.dtype != torch.float32:
            return A @ M
        # Sums of weighted rows are what embeddings ask for, and torch has faster code for them.
        return embedding_bag(
            A.col_indices(),
            M,
            A.crow_indices(),
            mode="sum",
            per_sample_weights=A.values(),
            include_last_offset=True,
        )


class _Layout:
    """Compressed rows or columns, of which tensors share the indices."""

    def __init__(self, T: sp.csr_array | sp.csc_array, device: torch.device) -> None:
        self._data, self._shape = T.data, T.shape if T.format == "csr" else T.shape[::-1]
        index = np.int32 if max(T.nnz, *T.shape) < _LARGEST_INT32 else np.int64
        self._starts, self._indices = (_shared(part, index).to(device) for part in (T.indptr, T.indices))

    def tensor(self, dtype: torch.dtype) -> Tensor:
        """Return the rows; in single precision no count is so small that it would vanish."""
        if dtype == torch.float64:
            values = _shared(self._data, np.float64)
        else:
            values = torch.from_numpy(self._data.astype(np.float32))
            if self._data.dtype.kind not in "ui":
                values.clamp_(min=torch.finfo(torch.float32).tiny)
        starts, indices = self._starts, self._indices
        return torch.sparse_csr_tensor(
            starts, indices, values.to(starts.device), size=self._shape, check_invariants=False
        )


def _shared(values: NDArray[Any], dtype: DTypeLike) -> Tensor:
    """Return values as a tensor, copied only where they must be: torch takes writable memory, and fewer types."""
    return torch.from_numpy(np.require(values, dtype, "W"))
