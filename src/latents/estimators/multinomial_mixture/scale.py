"""The scale of a corpus: what its documents add up to, by which pseudo-counts and tolerances are measured."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from latents.estimators.multinomial_mixture.em import log_coefficients


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
    coefficient : float
        sum_d log(n_d! / prod_w T_dw!), the log multinomial coefficients.
    vocabulary_size : int
        W.
    n_nonzeros, n_rows : int
        Of documents with a weight above 0, each once.
    n_rows_together : int
        Of the largest block.
    has_fractions : bool
        Whether a count is no whole number.
    """

    n_documents: float
    n_words: float
    n_occurrences: float
    coefficient: float
    vocabulary_size: int
    n_nonzeros: int
    n_rows: int
    n_rows_together: int
    has_fractions: bool

    @classmethod
    def of(cls, T: sp.csr_array, weights: NDArray[np.float64] | None = None) -> Self:
        """Add up documents T (D, W), weighted or not."""
        if weights is not None:
            T, weights = T[weights > 0], weights[weights > 0]
        scales = np.ones(T.shape[0]) if weights is None else weights
        once = sp.csr_array((np.minimum(T.data, 1.0), T.indices, T.indptr), shape=T.shape)
        n_words, n_occurrences = (float(scales @ counts.sum(axis=1)) for counts in (T, once))
        return cls(
            n_documents=float(scales.sum()),
            n_words=n_words,
            n_occurrences=n_occurrences,
            coefficient=float(scales @ log_coefficients(T)),
            vocabulary_size=T.shape[1],
            n_nonzeros=T.nnz,
            n_rows=T.shape[0],
            n_rows_together=T.shape[0],
            has_fractions=bool((T.data % 1).any()),
        )

    def __add__(self, other: "Scale") -> "Scale":
        return Scale(
            n_documents=self.n_documents + other.n_documents,
            n_words=self.n_words + other.n_words,
            n_occurrences=self.n_occurrences + other.n_occurrences,
            coefficient=self.coefficient + other.coefficient,
            vocabulary_size=self.vocabulary_size,
            n_nonzeros=self.n_nonzeros + other.n_nonzeros,
            n_rows=self.n_rows + other.n_rows,
            n_rows_together=max(self.n_rows_together, other.n_rows_together),
            has_fractions=self.has_fractions or other.has_fractions,
        )

    @property
    def mean_length(self) -> float:
        """N / D."""
        return self.n_words / self.n_documents

    def pseudo_count(self, share: float, n_components: int) -> float:
        """Return `share` of the mean count of a word in a component, repeats within a document not counted."""
        return share * self.n_occurrences / (n_components * self.vocabulary_size)
