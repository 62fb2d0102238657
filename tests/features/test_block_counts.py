"""Counts in blocks are used as the same counts in memory are."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from latents.estimators import MultinomialMixture
from latents.estimators.common.blocks import LocalBlocks
from latents.estimators.multinomial_mixture.metrics import npmi_coherence
from latents.estimators.multinomial_mixture.reading import (
    assigned,
    lift,
    log_lift,
    relevance,
    runners_up,
    second_choices,
    typicality,
)
from latents.features.block_counts import BlockCounts
from latents.pipelines.bags import check_counts
from latents.pipelines.headlines import fingerprint


def in_blocks(T, cuts=(), n_threads=1):
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < T.shape[0]}), T.shape[0]]
    parts = [sparse.csr_array(T[a:b]) for a, b in pairwise(edges)]
    return BlockCounts(
        LocalBlocks([(part, part.tocsc()) for part in parts], n_threads),
        [part.shape[0] for part in parts],
        T.shape[1],
    )


def drawn(n_documents=50, n_words=9, seed=0):
    return sparse.csr_array(np.random.default_rng(seed).poisson(0.7, (n_documents, n_words)).astype(np.uint8))


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 49), max_size=5),
    chosen=st.lists(st.booleans(), min_size=50, max_size=50),
    n_threads=st.integers(1, 3),
)
def test_documents_are_chosen_and_words_added_up_as_in_memory(cuts, chosen, n_threads):
    T, mask = drawn(), np.array(chosen)
    mask[7] = True
    counts = in_blocks(T, cuts, n_threads)
    again = mask[mask].copy()
    again[::2] = False
    again[0] = True
    for of_blocks, of_matrix in (
        (counts, T),
        (counts[mask], T[mask]),
        (counts[np.flatnonzero(mask)], T[mask]),
        (counts[mask][again], T[mask][again]),
    ):
        assert of_blocks.shape == of_matrix.shape
        np.testing.assert_array_equal(of_blocks.in_memory().toarray(), of_matrix.toarray())
        for axis in (0, 1, None):
            np.testing.assert_array_equal(of_blocks.sum(axis=axis), of_matrix.sum(axis=axis))
        assert of_blocks.n_occurrences() == of_matrix.minimum(1).sum()


def test_what_is_read_of_them_is_what_is_read_in_memory():
    T = drawn()
    counts, train = in_blocks(T, (13, 14, 30)), np.arange(50) % 4 > 0
    model = MultinomialMixture(3, random_state=0).fit(T)
    mu, clusters = model.word_probabilities_, model.predict(T[train])
    chosen = counts[train]
    clusters_of_blocks, sure = assigned(model, chosen)
    np.testing.assert_array_equal(clusters_of_blocks, clusters)
    np.testing.assert_allclose(sure, model.predict_proba(T[train]).max(axis=1))
    second, odds = second_choices(model, chosen, clusters)
    expected = runners_up(model.predict_joint_log_proba(T[train]), clusters)
    np.testing.assert_array_equal(second, expected.clusters)
    np.testing.assert_allclose(odds, expected.log_odds)
    given = [T[:20], T[20:]]
    for as_given in (given, LocalBlocks([(part, part.tocsc()) for part in given])):
        np.testing.assert_allclose(lift(mu, as_given), lift(mu, T))
        assert npmi_coherence(as_given, [[0, 3]]) == pytest.approx(npmi_coherence(T, [[0, 3]]))
    for measure in (lift, relevance, log_lift):
        np.testing.assert_allclose(measure(mu, chosen), measure(mu, T[train]))
    scores = log_lift(mu, T[train])
    np.testing.assert_allclose(
        typicality(chosen, scores, clusters), typicality(T[train], scores, clusters), rtol=1e-12
    )
    np.testing.assert_array_equal(
        np.concatenate(chosen.written(lambda number, T: np.full(T.shape[0], number))),
        np.repeat([0, 1, 2, 3], [(train[a:b]).sum() for a, b in pairwise([0, 13, 14, 30, 50])]),
    )
    topics = [[0, 3, 4], [1, 2, 8]]
    assert npmi_coherence(chosen, topics) == pytest.approx(npmi_coherence(T[train], topics))
    for method in ("predict_proba", "score_samples", "familiarity", "predict_joint_log_proba"):
        np.testing.assert_allclose(getattr(model, method)(chosen), getattr(model, method)(T[train]))
    for method in ("perplexity", "bic", "icl", "score"):
        assert getattr(model, method)(chosen) == pytest.approx(getattr(model, method)(T[train]))


def test_blocks_of_which_no_document_is_chosen_are_passed_over():
    counts, few = in_blocks(drawn(), (10, 20)), np.arange(50) < 7
    model = MultinomialMixture(2, random_state=0).fit(drawn())
    np.testing.assert_array_equal(model.predict(counts[few]), model.predict(drawn()[:7]))


@pytest.mark.parametrize("smoothing", ["auto", 0.0])
@pytest.mark.parametrize("guided", [False, True])
def test_what_those_not_chosen_hold_changes_no_bit_of_a_fit(guided, smoothing):
    T, train = drawn(400, 12).toarray(), np.arange(400) % 5 > 0
    T[:, 11] = 0
    labels = np.where(np.arange(320) % 40 == 0, "odd", "").astype(object) if guided else None
    fits = []
    for others in (T[~train], T[~train] * 50 + 1, 0 * T[~train]):
        T[~train] = others
        given = in_blocks(sparse.csr_array(T), (150, 151, 300))[train].to_fit(labels, "")
        model = MultinomialMixture(3, random_state=0, smoothing=smoothing, rearrangements=2)
        fits.append(model.fit(**given))
    for fit in fits[1:]:
        for name in ("word_probabilities_", "weights_", "lower_bounds_", "tempered_bounds_"):
            np.testing.assert_array_equal(getattr(fit, name), getattr(fits[0], name), err_msg=name)


def test_numbers_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="do not rise; allowed are each once, in order"):
        in_blocks(drawn())[np.array([30, 2, 2])]


def test_a_fit_to_chosen_documents_leaves_out_the_others():
    T, train = drawn(400, 12), np.arange(400) % 5 > 0
    counts = in_blocks(T, (150, 300))
    labels = np.where(np.arange(320) % 40 == 0, "odd", "").astype(object)
    model = MultinomialMixture(2, random_state=0, smoothing=0.3, use_labels="guide", tol=1e-12)
    streamed = model.fit(**counts[train].to_fit(labels, "")).word_probabilities_
    assert model.n_documents_seen_ == 320
    assert model.classes_.tolist() == ["odd"]
    # A fixed point of EM on those chosen alone.
    again = MultinomialMixture(2, random_state=0, smoothing=0.3, use_labels="guide", tol=1e-12)
    again.fit(T[train], labels)
    assert abs(model.lower_bound_ - again.lower_bound_) < 0.05
    assert streamed.shape == again.word_probabilities_.shape


def test_a_fingerprint_is_of_the_counts():
    T = drawn()
    assert fingerprint(in_blocks(T, (20,))) == fingerprint(in_blocks(T, (20,), 2))
    assert fingerprint(in_blocks(T, (20,))) != fingerprint(in_blocks(T[::-1], (20,)))


def test_what_is_no_count_is_refused_with_its_block():
    T = drawn().astype(float)
    T.data[T.indptr[31]] = 0.5
    with pytest.raises(ValueError, match=r"block 1: count of document 1, word \d is 0\.5"):
        check_counts(in_blocks(T, (30,)))
