from itertools import combinations, permutations
from math import log

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, mutual_info_score

from latents.estimators.multinomial_mixture.metrics import matched_accuracy, npmi_coherence

COUNTS = np.array(
    [
        [1, 2, 0, 0, 1],
        [3, 0, 0, 1, 1],
        [1, 1, 0, 0, 2],
        [0, 0, 4, 1, 1],
    ]
)


def brute_force_accuracy(labels, clusters):
    """Try every one-to-one naming of clusters by labels (or by nothing, written None)."""
    kinds = sorted(set(labels))
    found = sorted(set(clusters))
    names = kinds + [None] * max(0, len(found) - len(kinds))
    return max(
        np.mean(
            [dict(zip(found, naming, strict=True))[c] == y for y, c in zip(labels, clusters, strict=True)]
        )
        for naming in permutations(names, len(found))
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_matched_accuracy_is_the_best_over_all_matchings(pairs):
    labels, clusters = zip(*pairs, strict=True)
    assert matched_accuracy(labels, clusters) == pytest.approx(brute_force_accuracy(labels, clusters))


def test_matched_accuracy_ignores_the_clusters_names():
    labels = np.array([0, 0, 1, 1, 2, 2, 2])
    found = np.array([0, 1, 1, 1, 2, 2, 0])
    renamed = np.array(["b", "c", "a"])[found]
    assert matched_accuracy(labels, renamed) == accuracy_score(labels, found)


def test_matched_accuracy_refuses_what_has_none():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        matched_accuracy([0, 1], [0])
    with pytest.raises(ValueError, match="empty"):
        matched_accuracy([], [])


def brute_force_npmi(counts, words):
    values = []
    for i, j in combinations(words, 2):
        p_i, p_j = np.mean(counts[:, i] > 0), np.mean(counts[:, j] > 0)
        p_ij = np.mean((counts[:, i] > 0) & (counts[:, j] > 0))
        values.append(-1.0 if p_ij == 0 else log(p_ij / (p_i * p_j)) / -log(p_ij))
    return np.mean(values)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix, sp.csc_array])
def test_npmi_by_counting_documents(container):
    counts = np.random.default_rng(0).poisson(0.6, (40, 8))
    topics = [[0, 3, 5], [1, 2], [7, 6, 4, 0]]
    expected = np.mean([brute_force_npmi(counts, topic) for topic in topics])
    assert npmi_coherence(container(counts), topics) == pytest.approx(expected)


def test_npmi_is_the_mutual_information_of_a_balanced_pair():
    """Averaged over the four cells of presence and absence, PMI is mutual information."""
    counts = np.array([[1, 1]] * 3 + [[1, 0]] * 2 + [[0, 1]] + [[0, 0]] * 4)
    present = counts > 0
    total = 0.0
    for a in (True, False):
        for b in (True, False):
            cell = np.column_stack([present[:, 0] == a, present[:, 1] == b])
            share = np.mean(cell.all(axis=1))
            total += share * npmi_coherence(cell, [[0, 1]]) * -np.log(share)
    assert total == pytest.approx(mutual_info_score(*present.T))


def test_npmi_at_its_limits():
    assert npmi_coherence(COUNTS, [[0, 2]]) == -1  # never in one document
    assert npmi_coherence(np.eye(3), [[0, 1, 2]]) == -1
    assert npmi_coherence(np.ones((3, 2)), [[0, 1]]) == 1  # in every document
    assert npmi_coherence([[1, 1], [0, 0], [0, 0]], [[0, 1]]) == pytest.approx(1)  # only together
    assert npmi_coherence(COUNTS, [[0, 4]]) == pytest.approx(0)  # 4 is everywhere: independent
    assert npmi_coherence([[1, 0], [1, 0]], [[0, 1]]) == -1  # a word in no document


def test_npmi_ignores_stored_zeros():
    stored = sp.csr_array((np.array([1, 0, 1, 1]), [0, 1, 0, 1], [0, 2, 3, 4]), shape=(3, 2))
    assert npmi_coherence(stored, [[0, 1]]) == -1


@pytest.mark.parametrize("topic", [[0], [], [1, 1], [[0, 1]]])
def test_npmi_names_a_topic_without_pairs(topic):
    with pytest.raises(ValueError, match="topic 1 is"):
        npmi_coherence(COUNTS, [[0, 1], topic])


def test_npmi_refuses_nothing():
    with pytest.raises(ValueError, match="no documents"):
        npmi_coherence(np.zeros((0, 3)), [[0, 1]])
    with pytest.raises(ValueError, match="topics is empty"):
        npmi_coherence(COUNTS, [])
