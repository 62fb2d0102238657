"""What people read a mixture by, against sums written out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from latents.estimators import MultinomialMixture
from latents.estimators.multinomial_mixture.reading import (
    assigned,
    boundary,
    is_unfamiliar,
    least_familiarity,
    lift,
    log_lift,
    log_odds_by_word,
    relevance,
    runners_up,
    typicality,
)


def make(seed, n_documents=9, n_words=6, n_clusters=3):
    """Counts, with an empty document, and a mixture that rules words out and lacks one in the corpus."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.8, (n_documents, n_words))
    counts[0, 1:] += 1
    counts[1] = 0
    counts[:, 0] = 0
    mu = rng.dirichlet(np.ones(n_words), n_clusters)
    mu[0, 1] = 0.0
    return counts, rng.dirichlet(np.ones(n_clusters)), mu / mu.sum(axis=1, keepdims=True), rng


def test_the_least_familiarity_is_halfway_above_the_quantile():
    familiarity = np.array([3.0, np.nan, 1.0, 0.0, 2.0, 1.0])
    for share, least in ((0.01, 0.5), (0.2, 0.5), (0.21, 1.5), (0.6, 1.5), (0.8, 2.5), (0.99, 3.0)):
        assert least_familiarity(familiarity, share) == least
    assert is_unfamiliar(familiarity, 1.0).tolist() == [False, True, True, True, False, True]
    known = familiarity[~np.isnan(familiarity)]
    assert boundary(known, is_unfamiliar(known, 1.5)) == 1.5
    for share in (0, 1, -0.1):
        with pytest.raises(
            ValueError, match=f"contamination={share}; allowed are numbers above 0 and below 1"
        ):
            least_familiarity(familiarity, share)
    with pytest.raises(ValueError, match="no document has words"):
        least_familiarity([np.nan], 0.1)


def test_lift_is_the_ratio_to_the_corpus():
    mu = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    counts = sparse.csr_array([[1, 1, 0], [3, 5, 0]])
    np.testing.assert_allclose(lift(mu, counts), [[1.25, 0.5 / 0.6, 0], [0.5, 0.5, 0]])
    np.testing.assert_allclose(lift(mu, counts.toarray()), lift(mu, counts))


def test_lift_of_the_corpus_itself_is_one():
    counts = np.array([[1, 2, 0, 0, 1], [3, 0, 4, 1, 1]])
    np.testing.assert_allclose(lift([counts.sum(axis=0) / counts.sum()], counts), np.ones((1, 5)))


def test_lift_refuses_another_vocabulary():
    with pytest.raises(ValueError, match="has 2 words, counts has 5"):
        lift([[0.5, 0.5]], np.ones((3, 5)))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_relevance_is_the_weighted_sum_of_logs(weight):
    counts, _, mu, _ = make(0)
    share = counts.sum(axis=0) / counts.sum()
    result = relevance(mu, sparse.csr_array(counts), weight)
    for k in range(3):
        for w in range(6):
            expected = (
                weight * math.log(mu[k, w]) + (1 - weight) * math.log(mu[k, w] / share[w])
                if mu[k, w] * share[w]
                else -math.inf
            )
            assert result[k, w] == pytest.approx(expected)


def test_relevance_refuses_a_weight_out_of_range():
    with pytest.raises(ValueError, match=r"weight=1\.5; allowed are 0 to 1"):
        relevance(np.eye(2), np.eye(2), 1.5)


@pytest.mark.parametrize("floor", [0.0, 1.0, 2.0, math.nan])
def test_log_lift_refuses_a_floor_out_of_range(floor):
    with pytest.raises(ValueError, match=f"floor={floor}; allowed are"):
        log_lift(np.eye(2), np.eye(2), floor)


def test_log_lift_mixes_the_corpus_in():
    counts, _, mu, _ = make(1)
    share = counts.sum(axis=0) / counts.sum()
    scores = log_lift(mu, counts, 0.1)
    assert not scores[:, 0].any()
    assert scores[0, 1] == pytest.approx(math.log(0.1))
    np.testing.assert_allclose(scores[:, 1:], np.log((0.9 * mu + 0.1 * share)[:, 1:] / share[1:]))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_typicality_is_the_mean_score_of_different_words_drawn_to_0(seed):
    counts, _, _, rng = make(seed)
    scores, clusters = rng.normal(size=(3, 6)), rng.integers(0, 3, 9)
    usual = np.median([np.count_nonzero(row) for row in counts if row.any()])
    expected = [
        sum(scores[clusters[d], w] for w in range(6) if counts[d, w]) / (np.count_nonzero(counts[d]) + usual)
        for d in range(9)
    ]
    np.testing.assert_allclose(typicality(sparse.csr_array(counts), scores, clusters), expected, atol=1e-12)
    assert expected[1] == 0


def test_one_telling_word_does_not_outrank_a_document_of_them():
    counts = np.zeros((3, 20), dtype=int)
    counts[0, 0] = 1
    counts[1, :10] = 1
    counts[2, 0] = 50
    scores = np.full((1, 20), 2.0)
    one, ten, repeated = typicality(counts, scores, [0, 0, 0])
    assert ten > one == repeated


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_runners_up_by_enumeration(seed):
    joint = np.random.default_rng(seed).normal(size=(9, 3))
    joint[0, 1] = -np.inf
    clusters = joint.argmax(axis=1)
    clusters[3] = (clusters[3] + 1) % 3  # whoever assigned it
    before = joint.copy()
    second, odds = runners_up(joint, clusters)
    np.testing.assert_array_equal(joint, before)
    for d, k in enumerate(clusters):
        best = max((j for j in range(3) if j != k), key=lambda j: joint[d, j])
        assert second[d] == best
        assert odds[d] == pytest.approx(joint[d, k] - joint[d, best])


def test_a_document_with_a_class_is_in_a_component_of_it():
    counts, *_ = make(1, n_documents=40)
    labels = np.where(np.arange(40) % 4 == 0, "", np.where(np.arange(40) % 4 == 1, "sea", "sky"))
    model = MultinomialMixture(4, use_labels="guide", components_per_class=1, smoothing=0.1, random_state=0)
    model.fit(sparse.csr_array(counts), labels)
    allowed = np.array([list(model.classes_).index(label) if label else -1 for label in labels])
    joint = model.predict_joint_log_proba(counts)
    for row, of_class in enumerate(allowed):
        if of_class >= 0:
            joint[row, model.component_classes_ != of_class] = -np.inf
    gamma = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    for T in (sparse.csr_array(counts), [sparse.csr_array(counts[:11]), sparse.csr_array(counts[11:])]):
        clusters, probabilities = assigned(model, T, allowed)
        np.testing.assert_array_equal(clusters, gamma.argmax(axis=1))
        np.testing.assert_allclose(probabilities, gamma.max(axis=1))
    assert (model.component_classes_[clusters][allowed >= 0] == allowed[allowed >= 0]).all()


def test_log_odds_are_exact_where_responsibilities_are_0_and_1():
    counts = np.array([[400, 300], [300, 400]])
    model = MultinomialMixture(2, random_state=0).fit(np.array([[9, 1], [1, 9], [8, 2], [2, 8]]))
    gamma = model.predict_proba(counts)
    clusters = gamma.argmax(axis=1)
    second, odds = runners_up(model.predict_joint_log_proba(counts), clusters)
    np.testing.assert_array_equal(second, 1 - clusters)
    expected = (
        100 * abs(np.log(model.word_probabilities_[0]) - np.log(model.word_probabilities_[1])).sum() / 2
    )
    assert odds == pytest.approx([expected] * 2, rel=0.1)
    small = counts // 100
    gamma = model.predict_proba(small)
    _, odds = runners_up(model.predict_joint_log_proba(small), clusters)
    np.testing.assert_allclose(odds, np.log(gamma.max(axis=1) / gamma.min(axis=1)))


def test_where_nothing_else_is_possible_the_odds_are_infinite():
    joint = np.full((3, 3), -np.inf)
    np.fill_diagonal(joint, -1.0)
    second, odds = runners_up(joint, [0, 1, 2])
    assert np.isposinf(odds).all()
    assert (second != [0, 1, 2]).all()


def test_one_component_leaves_no_choice():
    with pytest.raises(ValueError, match="no document has a second choice"):
        runners_up(np.zeros((2, 1)), [0, 0])


def test_words_add_up_to_the_log_odds():
    counts, weights, _, rng = make(0)
    mu = rng.dirichlet(np.ones(6), 3)
    joint = np.log(weights) + counts @ np.log(mu).T
    clusters = joint.argmax(axis=1)
    second, odds = runners_up(joint, clusters)
    told = log_odds_by_word(sparse.csr_array(counts), mu, clusters, second)
    assert told.nnz == np.count_nonzero(counts)
    np.testing.assert_allclose(told.sum(axis=1) + np.log(weights[clusters] / weights[second]), odds)
    d, w = 0, 2
    expected = counts[d, w] * (math.log(mu[clusters[d], w]) - math.log(mu[second[d], w]))
    assert told[d, w] == pytest.approx(expected)


def test_a_word_that_the_other_cluster_rules_out_decides_alone():
    told = log_odds_by_word([[2, 1, 0]], [[0.5, 0.25, 0.25], [0.9, 0.0, 0.1]], [0], [1])
    np.testing.assert_allclose(told.toarray(), [[2 * math.log(0.5 / 0.9), math.inf, 0]])
