"""Documents that are new find their place among those of a map."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from scipy.optimize import minimize

from latents.estimators import MultinomialMixture
from latents.estimators.multinomial_mixture.document_map import evidence, median_length, plane
from latents.estimators.multinomial_mixture.reading import log_lift
from latents.features.nearest import nearest
from latents.predictors.document_map import DocumentMap, _median

N_CLUSTERS, N_WORDS, N_DOCUMENTS = 4, 40, 200


@pytest.fixture(scope="module")
def corpus():
    """Documents of four subjects, their subjects, and a mixture of them."""
    rng = np.random.default_rng(0)
    subjects = np.arange(N_DOCUMENTS) % N_CLUSTERS
    words = 0.9 * np.repeat(np.eye(N_CLUSTERS), 10, axis=1) / 10 + 0.1 / N_WORDS
    counts = sparse.csr_array(np.array([rng.multinomial(rng.integers(20, 60), words[k]) for k in subjects]))
    return counts, subjects, MultinomialMixture(N_CLUSTERS, smoothing=0.1, random_state=0).fit(counts)


@pytest.fixture(scope="module")
def laid_out(corpus):
    """The map of all documents, as the pipeline makes it."""
    counts, _, model = corpus
    return plane(evidence(counts, log_lift(model.word_probabilities_, counts)), random_state=0)


def test_documents_that_were_left_out_land_near_where_they_were_put(corpus, laid_out):
    counts, subjects, model = corpus
    held_out = np.arange(N_DOCUMENTS) % 10 == 0
    found = DocumentMap(model, counts[~held_out], laid_out[~held_out]).place(counts[held_out])
    distances = np.linalg.norm(found - laid_out[held_out], axis=1)
    any_two = np.linalg.norm(laid_out[:, np.newaxis] - laid_out, axis=2)
    assert np.median(distances) < np.median(any_two) / 5
    middles = np.array([np.median(laid_out[subjects == k], axis=0) for k in range(N_CLUSTERS)])
    of_found = np.linalg.norm(found[:, np.newaxis] - middles, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(of_found, subjects[held_out])


def test_a_document_of_the_map_is_put_where_it_is(corpus, laid_out):
    counts, _, model = corpus
    np.testing.assert_allclose(DocumentMap(model, counts, laid_out).place(counts), laid_out, atol=1e-3)


def test_a_document_falls_where_it_would_alone_whatever_is_asked_with_it(corpus, laid_out):
    counts, _, model = corpus
    held_out = DocumentMap(model, counts[50:], laid_out[50:])
    together = held_out.place(counts[:50])
    for row in range(5):
        np.testing.assert_allclose(held_out.place(counts[row : row + 1])[0], together[row])


def test_documents_without_words_have_no_place(corpus, laid_out):
    counts, _, model = corpus
    asked = counts[:3].toarray()
    asked[1] = 0
    places = DocumentMap(model, counts, laid_out).place(sparse.csr_array(asked))
    np.testing.assert_array_equal(np.isnan(places), [[False, False], [True, True], [False, False]])
    assert DocumentMap(model, counts, laid_out).place(counts[:0]).shape == (0, 2)


@pytest.mark.parametrize("n", [1, 2, 14])
def test_maps_of_few_documents_have_places_among_them(corpus, laid_out, n):
    counts, _, model = corpus
    places = DocumentMap(model, counts[:n], laid_out[:n]).place(counts[100:])
    assert (places >= laid_out[:n].min(axis=0) - 1e-9).all()
    assert (places <= laid_out[:n].max(axis=0) + 1e-9).all()


def test_the_nearest_documents_share_most_words(corpus, laid_out):
    counts, _, model = corpus
    found = DocumentMap(model, counts[20:], laid_out[20:]).nearest(counts[:20], 3)
    expected = nearest(counts[:20], counts[20:], 3)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.similarities, expected.similarities)


@pytest.mark.parametrize(("n_words", "shape"), [(N_WORDS - 1, (9, 2)), (N_WORDS, (8, 2)), (N_WORDS, (9, 3))])
def test_parts_that_do_not_fit_together_are_refused(corpus, n_words, shape):
    counts = corpus[0][:9, :n_words]
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - all of its message is compared
        DocumentMap(corpus[2], counts, np.zeros(shape))
    assert str(raised.value) == f"counts are {counts.shape}, places {shape}; the model has {N_WORDS} words"


# The geometric median


def sum_of_distances(point, places, weights):
    return weights @ np.linalg.norm(places - point, axis=1)


@given(st.integers(0, 2**32 - 1))
def test_the_median_is_the_point_of_the_least_sum_of_distances(seed):
    rng = np.random.default_rng(seed)
    places, weights = rng.uniform(-1, 1, (15, 2)), rng.uniform(0.1, 10, 15)
    starts = [places.mean(axis=0), *places[:3]]
    found = (minimize(sum_of_distances, x, (places, weights), method="Nelder-Mead").fun for x in starts)
    least = min(found)
    assert sum_of_distances(_median(places, weights), places, weights) <= 1.001 * least


@given(arrays(np.float64, (9, 2), elements=st.floats(-1, 1)))
def test_the_median_lies_in_the_part_where_most_of_the_weight_is(places):
    weights = np.ones(9)
    weights[4] = 20  # more than all others: it is the median
    np.testing.assert_allclose(_median(places, weights), places[4], atol=1e-3)


def test_documents_in_two_parts_of_a_map_have_their_median_in_the_larger():
    places = np.array([[-1.0, 0.0]] * 8 + [[1.0, 0.0]] * 7)
    np.testing.assert_allclose(_median(places, np.ones(15)), [-1, 0], atol=0.01)
    assert places.mean(axis=0)[0] > -0.1


def least_sum(places, weights):
    """Return the least sum of distances that scipy finds, or that one of the places has."""
    found = minimize(
        sum_of_distances,
        _median(places, weights),
        (places, weights),
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-12},
    )
    return min(found.fun, *(sum_of_distances(place, places, weights) for place in places))


@given(st.integers(0, 2**32 - 1))
def test_the_median_is_exact_and_not_held_by_a_place_where_it_begins(seed):
    rng = np.random.default_rng(seed)
    places, weights = rng.uniform(-1, 1, (15, 2)), rng.uniform(0.1, 10, 15)
    assert sum_of_distances(_median(places, weights), places, weights) <= (1 + 1e-6) * least_sum(
        places, weights
    )
    places[0] = np.average(places[1:], axis=0, weights=weights[1:])  # which is the mean of all, too
    assert sum_of_distances(_median(places, weights), places, weights) <= (1 + 1e-6) * least_sum(
        places, weights
    )


def test_the_median_leaves_a_place_at_the_mean_that_is_not_it():
    places, weights = np.array([[0, 0], [-1, 0], [-1, 0.1], [-1, -0.1], [3, 0]]), np.ones(5)
    median = _median(places, weights)
    assert sum_of_distances(median, places, weights) <= (1 + 1e-9) * least_sum(places, weights)
    assert median[0] < -0.9
    assert median[1] == pytest.approx(0, abs=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_the_median_is_the_place_whose_weight_outweighs_the_pull_of_the_others(seed):
    rng = np.random.default_rng(seed)
    places, weights = rng.uniform(-1, 1, (15, 2)), rng.uniform(0.1, 10, 15)
    away = places[1:] - places[0]
    pull = weights[1:] @ (away / np.linalg.norm(away, axis=1, keepdims=True))
    weights[0] = 1.1 * np.linalg.norm(pull)
    median = _median(places, weights)
    assert sum_of_distances(median, places, weights) <= (1 + 1e-6) * sum_of_distances(
        places[0], places, weights
    )
    np.testing.assert_allclose(median, places[0], atol=1e-3)


@pytest.mark.parametrize(
    ("places", "weights", "median"),
    [
        ([[0.3, -0.2]], [2], [0.3, -0.2]),
        ([[0.3, -0.2]] * 4, [1, 2, 3, 4], [0.3, -0.2]),
        ([[0, 0], [1, 1]], [3, 1], [0, 0]),
        ([[-1, 0], [0, 0], [0.5, 0]], [1, 1, 1], [0, 0]),
        ([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], [1, 1, 1, 1, 1], [0, 0]),
    ],
)
def test_the_median_of_few_places_is_one_of_them(places, weights, median):
    found = _median(np.array(places, dtype=np.float64), np.array(weights, dtype=np.float64))
    np.testing.assert_allclose(found, median, atol=1e-6)


# Evidence beside a corpus


def test_evidence_by_the_usual_length_of_a_corpus_is_that_among_it(corpus):
    counts, _, model = corpus
    scores = log_lift(model.word_probabilities_, counts)
    usual = median_length(counts)
    assert usual == np.median(counts.sum(axis=1))
    together = evidence(counts, scores)
    np.testing.assert_allclose(evidence(counts, scores, usual), together)
    for row in (0, 7):
        np.testing.assert_allclose(evidence(counts[row : row + 1], scores, usual)[0], together[row])
    assert np.abs(evidence(counts[:1], scores)[0] - together[0]).max() > 1e-3


def test_the_median_length_is_that_of_documents_with_words():
    assert median_length(sparse.csr_array(np.array([[3, 1], [0, 0], [0, 2], [0, 0], [9, 0]]))) == 4
    assert median_length(sparse.csr_array((4, 2), dtype=np.int32)) == 1
