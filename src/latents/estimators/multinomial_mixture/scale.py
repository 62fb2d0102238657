"""The scale of a corpus: what its documents add up to, by which pseudo-counts and tolerances are measured."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scale:
    """Sums over documents: ``a + b`` is that of both sets together.

    Attributes
    ----------
    n_documents : float
        The sum of their weights.
    n_words : float
        N = sum_dw T_dw.
    n_occurrences : float
        sum_dw min(T_dw, 1): of whole counts, the words of each document, repeated ones once.
    vocabulary_size : int
        W.
    """

    n_documents: float
    n_words: float
    n_occurrences: float
    vocabulary_size: int

    @classmethod
    def of(cls, T: sp.csr_array, weights: NDArray[np.float64] | None = None) -> Self:
        """Add up documents T (D, W), weighted or not."""
        scales = np.ones(T.shape[0]) if weights is None else weights
        once = sp.csr_array((np.minimum(T.data, 1.0), T.indices, T.indptr), shape=T.shape)
        n_words, n_occurrences = (float(scales @ counts.sum(axis=1)) for counts in (T, once))
        return cls(float(scales.sum()), n_words, n_occurrences, T.shape[1])

    def __add__(self, other: "Scale") -> "Scale":
        return Scale(
            self.n_documents + other.n_documents,
            self.n_words + other.n_words,
            self.n_occurrences + other.n_occurrences,
            self.vocabulary_size,
        )

    @property
    def mean_length(self) -> float:
        """N / D."""
        return self.n_words / self.n_documents

    def pseudo_count(self, share: float, n_components: int) -> float:
        """Return `share` of the mean count of a word in a component, repeats within a document not counted."""
        return share * self.n_occurrences / (n_components * self.vocabulary_size)
