"""Counts that lie in blocks, used as a matrix in memory is: documents chosen, words added up."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from latents.estimators.common.blocks import Blocks, Numbered, with_number

C = TypeVar("C")
S = TypeVar("S")
Array = NDArray[Any]


class BlockCounts(Blocks[sparse.csr_array]):
    """Counts T (D, W) in blocks of documents, or of some of these, which nobody holds as a whole.

    Estimators take them as they take any ``Blocks``. Their sums are made where the blocks are read.

    Parameters
    ----------
    blocks : Blocks
        Each a tuple (CSR, CSC) of the same counts.
    n_rows : sequence of int
        The documents of each.
    n_words : int
        W.
    chosen : ndarray of bool, optional
        Which of all documents these are; all where it is not given.

    Attributes
    ----------
    shape : tuple of int
        (D, W), of those chosen.
    """

    def __init__(
        self,
        blocks: Blocks[Any],
        n_rows: Sequence[int],
        n_words: int,
        chosen: NDArray[np.bool_] | None = None,
    ) -> None:
        self._blocks, self._n_rows, self._chosen = blocks, list(n_rows), chosen
        self.shape = (sum(n_rows) if chosen is None else int(chosen.sum()), n_words)

    def add_up(self, work: Callable[[sparse.csr_array], S]) -> S:
        """Return the sum of what work makes of the chosen documents of each block."""
        return self._of_chosen().add_up(work)

    def of_first(self, work: Callable[[sparse.csr_array], S]) -> S:
        """Return what work makes of the chosen documents of the first block."""
        return self._of_chosen().of_first(work)

    def prepared(self, prepare: Callable[[sparse.csr_array, int], C]) -> Blocks[C]:
        """Return the same list, of what `prepare` makes of the chosen documents of each block."""
        return self._of_chosen().prepared(prepare)

    def __getitem__(self, rows: Array) -> "BlockCounts":
        """Return some of these documents, by their rising numbers or a truth value for each.

        Raises
        ------
        ValueError
            If numbers do not rise: documents stay in the order of their blocks.
        """
        before = np.flatnonzero(self._mask())[rows]
        if (np.diff(before) <= 0).any():
            raise ValueError("the numbers of the documents do not rise; allowed are each once, in order")
        chosen = np.zeros(sum(self._n_rows), dtype=bool)
        chosen[before] = True
        return BlockCounts(self._blocks, self._n_rows, self.shape[1], chosen)

    def sum(self, axis: int | None = None) -> Any:
        """Return the sum of all counts, or of each word (axis 0) or document (axis 1)."""
        if axis == 1:
            return np.concatenate(self.each(_lengths))
        totals = self.add_up(_word_totals)
        return totals if axis == 0 else totals.sum()

    def n_occurrences(self) -> float:
        """Return sum_dw min(T_dw, 1)."""
        return self.add_up(_occurrences)

    def written(self, write: Callable[[int, sparse.csr_array], S]) -> list[S]:
        """Return what `write` makes of the number and the counts of each block, where that is."""
        return self.prepared(with_number).each(partial(_written, write))

    def in_memory(self) -> sparse.csr_array:
        """Return these documents as one matrix, which should be small."""
        return sparse.csr_array(sparse.vstack(self.each(_itself), format="csr"))

    def to_fit(self, labels: Array | None, unknown: Any) -> dict[str, Any]:
        """Return the arguments of a fit to these documents: of all in their blocks, those not chosen at weight 0.

        Parameters
        ----------
        labels : ndarray of shape (D,), optional
            Of these documents.
        unknown : object
            The label of those not chosen.
        """
        if self._chosen is None:
            return {"X": self._blocks, "y": labels}
        of_all = None
        if labels is not None:
            of_all = np.full(len(self._chosen), unknown, dtype=object)
            of_all[self._chosen] = labels
        return {"X": self._blocks, "y": of_all, "sample_weight": self._chosen.astype(np.float64)}

    def _mask(self) -> NDArray[np.bool_]:
        return np.ones(sum(self._n_rows), dtype=bool) if self._chosen is None else self._chosen

    def _of_chosen(self) -> Blocks[sparse.csr_array]:
        if self._chosen is None:
            return self._blocks.prepared(_by_documents)
        edges = np.cumsum(self._n_rows)[:-1]
        return self._blocks.prepared(_Choice([np.packbits(part) for part in np.split(self._chosen, edges)]))


class _Choice:
    """Takes the chosen documents of a block; a bit each says which."""

    def __init__(self, bits: list[NDArray[np.uint8]]) -> None:
        self._bits = bits

    def __call__(self, block: Any, number: int) -> sparse.csr_array:
        T = _by_documents(block, number)
        chosen = np.unpackbits(self._bits[number], count=T.shape[0]).astype(bool)
        return T if chosen.all() else T[chosen]


def _by_documents(block: Any, number: int) -> sparse.csr_array:  # noqa: ARG001
    T: sparse.csr_array = block[0]
    return T


def _written(write: Callable[[int, sparse.csr_array], S], block: Numbered) -> S:
    return write(*block)


def _lengths(T: sparse.csr_array) -> Array:
    lengths: Array = T.sum(axis=1)
    return lengths.astype(np.int64) if lengths.dtype.kind == "u" else lengths


def _occurrences(T: sparse.csr_array) -> float:
    return float(T.minimum(1).sum())


def _word_totals(T: sparse.csr_array) -> Array:
    totals: Array = T.sum(axis=0)
    return totals


def _itself(T: sparse.csr_array) -> sparse.csr_array:
    return T
