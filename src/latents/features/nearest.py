"""The documents of a corpus that use the same words as others."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from latents.estimators.common.blocks import Blocks, InMemory
from latents.features.block_counts import BlockCounts
from latents.features.words import document_frequencies

_ENTRIES = 2**24  # of similarities at a time


class Nearest(NamedTuple):
    """The nearest documents of a corpus, the nearest first; of equally near ones the first.

    Attributes
    ----------
    rows : ndarray of int, of shape (n_asked, n)
        Which of the corpus.
    similarities : ndarray of shape (n_asked, n)
        Theirs, in [0, 1].
    """

    rows: NDArray[np.intp]
    similarities: NDArray[np.float64]


def nearest(asked: sparse.csr_array, corpus: sparse.csr_array | BlockCounts, n: int) -> Nearest:
    r"""Return the `n` documents of a corpus that are most similar to others, or all where there are fewer.

    The similarity is the cosine of the counts weighted by

    .. math:: \log\frac{1 + N}{1 + n_w} + 1

    where n_w of the N documents of the corpus use the word (tf-idf).

    Parameters
    ----------
    asked : csr_array of shape (n_asked, W)
        Counts of documents with words.
    corpus : csr_array or BlockCounts of shape (N, W)
        Counts of those that are sought among.
    n : int
        How many of each.
    """
    blocks: Blocks[sparse.csr_array] = corpus if isinstance(corpus, BlockCounts) else InMemory(corpus)
    weights = np.log((1 + corpus.shape[0]) / (1 + blocks.add_up(document_frequencies))) + 1
    found = blocks.each(_NearestOf(_weighted(asked, weights), weights, n))
    begins = np.cumsum([0, *(n_rows for n_rows, _ in found)])
    rows = np.hstack([of_block.rows + begin for (_, of_block), begin in zip(found, begins, strict=False)])
    return _first(rows, np.hstack([of_block.similarities for _, of_block in found]), n)


@dataclass(frozen=True)
class _NearestOf:
    """Looks through a block; returns its number of documents too."""

    asked: sparse.csr_array
    weights: NDArray[np.float64]
    n: int

    def __call__(self, T: sparse.csr_array) -> tuple[int, Nearest]:
        n_rows: int = T.shape[0]
        if not n_rows or not self.asked.shape[0]:
            empty = np.empty((self.asked.shape[0], 0))
            return n_rows, Nearest(empty.astype(np.intp), empty)
        others = _weighted(T, self.weights).T.tocsr()
        parts = [self._of(piece, others) for piece in self._pieces(n_rows)]
        return n_rows, Nearest(*(np.vstack(arrays) for arrays in zip(*parts, strict=True)))

    def _pieces(self, n_rows: int) -> Iterator[sparse.csr_array]:
        size = max(1, _ENTRIES // n_rows)
        for start in range(0, self.asked.shape[0], size):
            yield self.asked[start : start + size]

    def _of(self, asked: sparse.csr_array, others: sparse.csr_array) -> Nearest:
        similarities = np.minimum((asked @ others).toarray(), 1)  # rounded
        rows = np.broadcast_to(np.arange(similarities.shape[1]), similarities.shape)
        return _first(rows, similarities, self.n)


def _first(rows: NDArray[np.intp], similarities: NDArray[np.float64], n: int) -> Nearest:
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :n]
    return Nearest(np.take_along_axis(rows, order, axis=1), np.take_along_axis(similarities, order, axis=1))


def _weighted(T: sparse.csr_array, weights: NDArray[np.float64]) -> sparse.csr_array:
    from sklearn.preprocessing import normalize  # slow to load

    if not T.shape[0]:
        return T
    data = T.data * weights[T.indices]
    return sparse.csr_array(normalize(sparse.csr_array((data, T.indices, T.indptr), shape=T.shape)))
