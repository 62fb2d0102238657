import numpy as np
import pytest
from scipy import sparse

from latents.estimators.multinomial_mixture.document_map import MIN_DOCUMENTS, evidence, plane


def test_evidence_is_the_centred_score_per_word_at_the_root_of_its_length():
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.0, (7, 5))
    counts[2] = 0
    scores = rng.normal(size=(3, 5))
    usual = np.median([row.sum() for row in counts if row.any()])
    for row, x in zip(counts, evidence(sparse.csr_array(counts), scores), strict=True):
        e = np.array([sum(n * scores[k, w] for w, n in enumerate(row)) for k in range(3)])
        e = (e - e.mean()) / (row.sum() + usual)
        np.testing.assert_allclose(
            x, e / np.sqrt(np.linalg.norm(e)) if row.any() else np.zeros(3), atol=1e-12
        )


def test_what_all_clusters_say_alike_has_no_place():
    counts = np.array([[1, 2, 0], [1, 2, 5]])
    scores = np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 3.0], [1.0, 1.0, 3.0]])
    first, second = evidence(counts, scores)
    np.testing.assert_allclose(first / np.linalg.norm(first), second / np.linalg.norm(second))
    assert np.linalg.norm(first) > np.linalg.norm(second)  # the same, in more words


def test_two_clusters_are_drawn_across_by_their_difference():
    counts = np.array([[4, 0], [0, 4], [2, 2], [1, 0], [0, 1]])
    scores = np.array([[1.0, -1.0], [-1.0, 1.0]])
    places = plane(evidence(counts, scores))
    np.testing.assert_array_equal(np.argsort(places[:, 0]), [1, 4, 2, 3, 0])
    np.testing.assert_allclose(places[:, 1], 0, atol=1e-12)
    assert np.abs(places).max() == pytest.approx(1)


def test_groups_stay_groups_and_a_seed_repeats_the_map():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(4), 30)
    points = 5 * np.eye(4)[group] + 0.1 * rng.normal(size=(120, 4))
    places = plane(points, random_state=0)
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    np.testing.assert_array_equal(group[gaps.argmin(axis=1)], group)
    assert np.abs(places).max() == pytest.approx(1)
    np.testing.assert_array_equal(places, plane(points, random_state=0))


@pytest.mark.parametrize("n_points", [MIN_DOCUMENTS, 30])
@pytest.mark.parametrize("n_dimensions", [2, 3])
def test_few_points_get_places(n_points, n_dimensions):
    points = np.random.default_rng(1).normal(size=(n_points, n_dimensions))
    places = plane(points - points.mean(axis=1, keepdims=True), random_state=0)
    assert places.shape == (n_points, 2)
    assert np.isfinite(places).all()


def test_documents_all_alike_share_one_place():
    np.testing.assert_array_equal(plane(np.ones((8, 3)), random_state=0), np.zeros((8, 2)))


@pytest.mark.parametrize("spread", [1e-3, 1e-7, 1e-8, 1e-12])
def test_documents_almost_alike_get_places_as_well(spread):
    """In single precision their differences vanish beside what they have in common."""
    points = 1 + spread * np.random.default_rng(0).standard_normal((40, 3))
    assert np.isfinite(plane(points, random_state=0)).all()


@pytest.mark.parametrize("shape", [(MIN_DOCUMENTS - 1, 3), (20, 1)])
def test_too_little_for_a_map(shape):
    with pytest.raises(ValueError, match=f"{shape[0]} in {shape[1]} dimensions"):
        plane(np.zeros(shape))
