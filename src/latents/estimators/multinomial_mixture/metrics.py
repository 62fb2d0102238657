"""Measures of clusters and topics that scikit-learn does not have."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_consistent_length

from latents.estimators.multinomial_mixture.reading import in_blocks


def matched_accuracy(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Return the share of items whose cluster is matched to their label, under the best matching.

    The matching is one to one and maximises the share (the assignment problem); of unequal numbers
    of labels and clusters the surplus stays unmatched and counts as wrong.

    Parameters
    ----------
    labels, clusters : array-like of shape (n,)
        What is known and what was found, of any hashable kind.

    Returns
    -------
    float
        In (0, 1].

    Raises
    ------
    ValueError
        If the two differ in length or are empty.
    """
    from sklearn.metrics.cluster import contingency_matrix  # slow to load

    check_consistent_length(labels, clusters)
    table = contingency_matrix(labels, clusters)
    if table.sum() == 0:
        raise ValueError("labels and clusters are empty: accuracy is undefined")
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / table.sum())


def npmi_coherence(counts: Any, topics: Iterable[ArrayLike]) -> float:
    """Return the mean normalised pointwise mutual information of the topics' words.

    For words i, j with document frequencies p_i, p_j and p_ij (both in one document), NPMI =
    log(p_ij / (p_i p_j)) / -log p_ij, averaged over the pairs of a topic, then over topics (Bouma
    2009; Lau, Newman and Baldwin 2014). Words that never share a document get -1, words that share
    every document get 1: the limits of the formula.

    Parameters
    ----------
    counts : array-like or sparse matrix of shape (D, W), or blocks
        Word counts; only whether a count is positive matters.
    topics : iterable of array-like of int
        The columns of each topic's top words.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    ValueError
        If there are no documents or no topics, or a topic has fewer than two words or repeats one.
    """
    checked = []
    for number, topic in enumerate(topics):
        words = np.asarray(topic)
        if words.ndim != 1 or words.size < 2 or np.unique(words).size < words.size:
            raise ValueError(f"topic {number} is {words.tolist()}; allowed are two or more different words")
        checked.append(words)
    found = in_blocks(counts).add_up(partial(_together, topics=checked))
    if found.n_documents == 0:
        raise ValueError("counts has no documents: coherence is undefined")
    if not checked:
        raise ValueError("topics is empty: coherence is undefined")
    return float(np.mean([_pairwise_npmi(pairs / found.n_documents).mean() for pairs in found.pairs]))


@dataclass(frozen=True)
class _Together:
    """How many documents there are, and for each topic how many have each pair of its words."""

    n_documents: int
    pairs: list[NDArray[np.float64]]

    def __add__(self, other: "_Together") -> "_Together":
        pairs = [one + another for one, another in zip(self.pairs, other.pairs, strict=True)]
        return _Together(self.n_documents + other.n_documents, pairs)


def _together(counts: Any, topics: list[NDArray[np.intp]]) -> _Together:
    present = sp.csc_array(counts).astype(bool).astype(np.float64)
    columns = [present[:, words] for words in topics]
    return _Together(present.shape[0], [(each.T @ each).toarray() for each in columns])


def _pairwise_npmi(joint: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the NPMI of every pair i < j of words, by the shares of documents that have both (n, n)."""
    first, second = np.triu_indices(len(joint), k=1)
    p_i, p_j, p_ij = joint[first, first], joint[second, second], joint[first, second]
    npmi = np.where(p_ij == 1, 1.0, -1.0)
    inner = (p_ij > 0) & (p_ij < 1)
    log_joint = np.log(p_ij[inner])
    npmi[inner] = (np.log(p_i[inner] * p_j[inner]) - log_joint) / log_joint
    return npmi
