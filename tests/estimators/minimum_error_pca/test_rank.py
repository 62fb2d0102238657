"""How many components: parallel analysis and bi-cross-validation, against what permuting and deleting give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg, sparse

from latents.estimators import MinimumErrorPCA, load
from latents.estimators.minimum_error_pca.cross_validation import (
    N_FOLDS,
    N_REPETITIONS,
    cross_validation_curve,
)
from latents.estimators.minimum_error_pca.parallel import detection, most_detectable

CRITERIA = ["parallel", "cross_validation"]
SHAPES = {"tall": (500, 100), "wide": (100, 300)}


def planted(shape, rank=10, strength=8.0, sigma=1.0, seed=0, columns=None):
    """Rows of `rank` directions in noise: the weakest so many times what large data show, the first tenfold."""
    n, p = shape
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(p, rank)))[0]
    variances = np.sqrt(p / n) * strength * np.geomspace(10, 1, rank)
    noise = rng.normal(size=shape) * (1 if columns is None else columns)
    return 3.0 + sigma * ((rng.normal(size=(n, rank)) * np.sqrt(variances)) @ basis.T + noise)


def fitted(X, criterion, **arguments):
    weights = arguments.pop("sample_weight", None)
    return MinimumErrorPCA(criterion, random_state=0, **arguments).fit(X, sample_weight=weights)


def eigenvalues_of(model):
    return -np.diff(model.distortion_curve_)


# ---- what is planted is found, where it can be --------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sigma", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_planted_rank_is_found(criterion, shape, sigma, seed):
    found = fitted(planted(SHAPES[shape], sigma=sigma, seed=seed), criterion)
    assert found.n_components_ == len(found.components_) == 10
    assert_array_equal(found.is_detectable_, [True] * 10 + [False])
    assert_array_equal(found.is_detectable_, eigenvalues_of(found)[:11] > found.detection_threshold_)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_what_lies_under_the_threshold_is_said(criterion, shape):
    n, p = SHAPES[shape]
    found = fitted(planted((n, p), strength=0.7, sigma=2.0), criterion)
    # Strengths of 0.7 to 7 times what large data show: some are found, and what was missed is below what it says.
    # Of those that can be told from noise, some do not lower the error of held-out entries.
    by_noise = fitted(planted((n, p), strength=0.7, sigma=2.0), "parallel").n_components_
    assert 4 <= found.n_components_ <= by_noise <= 8
    assert_array_equal(found.is_detectable_, np.arange(found.n_components_ + 1) < by_noise)
    planted_variances = 4 * (1 + np.sqrt(p / n) * 0.7 * np.geomspace(10, 1, 10))
    assert planted_variances[9] < found.least_detectable_variance_ < planted_variances[2]
    assert found.least_detectable_variance_ > 4 * (1 + np.sqrt(p / n)) * 0.95


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_noise_alone_has_no_directions(criterion, shape):
    found = [fitted(planted(SHAPES[shape], strength=0, seed=seed), criterion) for seed in range(6)]
    assert [model.n_components_ for model in found] == [0] * 6
    assert_array_equal([model.is_detectable_ for model in found], [[False]] * 6)
    assert found[0].transform(planted(SHAPES[shape])).shape == (SHAPES[shape][0], 0)


def test_strong_directions_hide_no_weak_ones_as_they_do_where_their_columns_are_permuted():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(100, 2)))[0]
    X = (rng.normal(size=(500, 2)) * np.sqrt([500.0, 4.0])) @ basis.T + rng.normal(size=(500, 100))
    found = fitted(X, "parallel")
    assert found.n_components_ == 2
    permuted = rng.permuted(X, axis=0)
    largest = np.linalg.norm(permuted - permuted.mean(axis=0), 2) ** 2 / 500
    assert eigenvalues_of(found)[1] < 0.8 * largest
    assert_allclose(found.detection_threshold_[0], largest, rtol=0.2)


# ---- parallel analysis --------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ["normal", "heavy", "rare"])
@pytest.mark.parametrize("shape", [(400, 60), (80, 80), (60, 300)])
def test_the_threshold_is_that_of_permuted_columns(shape, draw):
    rng = np.random.default_rng(1)
    X = {
        "normal": lambda: rng.normal(size=shape) * np.geomspace(0.3, 3, shape[1]),
        "heavy": lambda: rng.standard_t(5, size=shape),
        "rare": lambda: rng.poisson(0.1, size=shape).astype(float),
    }[draw]()
    largest = []
    for _ in range(200):
        X = rng.permuted(X, axis=0)
        largest.append(np.linalg.norm(X - X.mean(axis=0), 2) ** 2 / len(X))
    threshold = fitted(X, "parallel").detection_threshold_[0]
    # Columns keep their variances, of which noise has yet to draw its own: what is permuted spreads less.
    assert 1 <= threshold / np.quantile(largest, 0.975) < 1.2


@pytest.mark.parametrize(("n", "p"), [(401, 100), (101, 100), (51, 400)])
def test_equal_columns_have_the_edge_in_closed_form(n, p):
    eigenvalues = np.append(1e6, np.full(min(n - 1, p) - 1, 0.1))
    first = detection(eigenvalues, np.zeros((1, p)), np.full(p, 2.0), n, 0, 1e-16)[1]
    root = np.sqrt(p / (n - 1))
    spread = (1 + root) * (1 + 1 / root) ** (1 / 3) * (n - 1) ** (-2 / 3)
    # The 97.5th percentile of Tracy and Widom's distribution (beta = 1) is 1.4538 (Bejan's table), here to 1e-2.
    assert_allclose(first.thresholds, [2.0 * ((1 + root) ** 2 + 1.4538 * spread)], rtol=1e-3)
    variance = first.least_variance / (2.0 * n / (n - 1))
    reached = 2.0 * (variance + root**2 * variance / (variance - 1))
    assert_allclose(reached, first.thresholds[0])  # the expected eigenvalue of a spike (Baik and Silverstein)
    assert variance > 1 + root


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(2, 60), st.integers(1, 60)),
    st.integers(0, 2**16),
    st.integers(0, 6),
    st.floats(0.0, 3.0),
)
def test_the_eigenvalues_alone_leave_out_no_direction(shape, seed, rank, spread):
    rank = min(rank, *shape)
    scales = np.exp(spread * np.random.default_rng(seed).normal(size=shape[1]))
    X = planted(shape, rank, 6.0, seed=seed, columns=scales)
    X -= X.mean(axis=0)
    _, singular_values, basis = np.linalg.svd(X, full_matrices=False)
    eigenvalues, columns = singular_values**2 / len(X), np.square(X).mean(axis=0)
    d, found = detection(eigenvalues, basis, columns, len(X), None, 1e-16)
    assert d <= most_detectable(eigenvalues, *shape)
    assert fitted(X, "parallel").n_components_ == d
    assert_array_equal(found.is_detectable, np.arange(len(found.thresholds)) < d)


@pytest.mark.parametrize("scale", [1e-120, 1e-10, 1e10, 1e120])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_unit_changes_nothing(criterion, scale):
    X = planted((120, 40), 3)
    found, expected = fitted(scale * X, criterion), fitted(X, criterion)
    assert found.n_components_ == expected.n_components_ == 3
    assert_allclose(found.detection_threshold_, scale**2 * expected.detection_threshold_)


@pytest.mark.parametrize("shape", [(300, 40), (40, 300)])
def test_parallel_is_the_same_of_any_data(shape):
    X = np.round(10 * planted(shape, 4))
    X[X < 10] = 0
    expected = fitted(X, "parallel", svd_solver="full")
    assert expected.n_components_ == 4
    part_by_part = MinimumErrorPCA("parallel")
    for block in (X[:1], X[1:25], X[25:]):
        part_by_part.partial_fit(block)
    others = [
        *(fitted(X, "parallel", svd_solver=solver) for solver in ("covariance_eigh", "gram")),
        *(
            fitted(sparse.csr_array(X), "parallel", svd_solver=solver)
            for solver in ("covariance_eigh", "gram")
        ),
        fitted(X.astype(np.int64), "parallel"),
        fitted(np.array_split(X, 3), "parallel"),
        part_by_part,
    ]
    for found in others:
        assert found.n_components_ == 4
        assert_allclose(found.detection_threshold_, expected.detection_threshold_)
        assert_array_equal(found.is_detectable_, expected.is_detectable_)
        assert_allclose(found.components_, expected.components_, atol=1e-8)


@pytest.mark.parametrize("solver", ["full", "covariance_eigh", "gram"])
@pytest.mark.parametrize("shape", [(90, 20), (30, 60)])
def test_parallel_counts_whole_weights(shape, solver):
    X, weights = planted(shape, 2), np.random.default_rng(0).integers(0, 4, size=shape[0])
    found = fitted(X, "parallel", svd_solver=solver, sample_weight=weights)
    expected = fitted(np.repeat(X, weights, axis=0), "parallel", svd_solver=solver)
    assert found.n_components_ == expected.n_components_
    assert_allclose(found.detection_threshold_, expected.detection_threshold_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(200, 30), (30, 200)])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_without_noise_the_rank_is_found_and_rounding_is_none(criterion, shape, dtype):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(shape[0], 3)) @ rng.normal(size=(3, shape[1]))).astype(dtype)
    for solver in ("full", "covariance_eigh", "gram"):
        assert fitted(X, criterion, svd_solver=solver).n_components_ == 3


@pytest.mark.parametrize("criterion", CRITERIA)
def test_data_without_variance_have_no_directions(criterion):
    found = fitted(np.ones((12, 5)), criterion)
    assert found.n_components_ == 0
    assert not found.is_detectable_.any()


# ---- bi-cross-validation ------------------------------------------------------------------------


def curve_by_deleting(X, weights, seed):
    """Return the curve by its definition: each block from the pseudo-inverse of an approximation of the others."""
    rng = np.random.RandomState(seed)
    A = (X - np.average(X, axis=0, weights=weights)) * np.sqrt(weights)[:, np.newaxis]
    if X.shape[0] < X.shape[1]:
        A = A.T
    errors = []
    for _ in range(N_REPETITIONS):
        columns, rows = (
            [np.sort(part) for part in np.array_split(rng.permutation(size), N_FOLDS)]
            for size in sorted(X.shape)
        )
        for i in rows:
            for j in columns:
                others, beside = np.delete(np.arange(len(A)), i), np.delete(np.arange(A.shape[1]), j)
                left, values, right = linalg.svd(A[np.ix_(others, beside)], full_matrices=False)
                B, C = A[np.ix_(i, beside)], A[np.ix_(others, j)]
                errors.append(
                    [
                        np.square(A[np.ix_(i, j)] - B @ right[:k].T / values[:k] @ left[:, :k].T @ C).sum()
                        for k in range(len(values) + 1)
                    ]
                )
    shortest = min(map(len, errors))
    return sum(np.array(error[:shortest]) for error in errors) / (N_REPETITIONS * weights.sum())


@pytest.mark.parametrize("of", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("shape", [(40, 11), (11, 40), (13, 13)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_curve_is_that_of_deleted_blocks(shape, of, weighted):
    X = planted(shape, 2)
    weights = np.random.default_rng(0).random(shape[0]) + 0.1 if weighted else np.ones(shape[0])
    found = fitted(of(X), "cross_validation", sample_weight=weights if weighted else None)
    expected = curve_by_deleting(X, weights, 0)
    assert_allclose(found.cross_validation_curve_, expected, rtol=1e-7)
    assert found.n_components_ == expected.argmin()
    assert_allclose(found.cross_validation_curve_[0], found.distortion_curve_[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(200, 30), (30, 200)])
def test_the_curve_of_any_numbers(shape, dtype):
    X = np.clip(128 + 5 * planted(shape, 3), 0, 255).astype(dtype)
    curve = cross_validation_curve(X, None, "cpu", 0)
    assert_allclose(
        curve, cross_validation_curve(X.astype(np.float64), None, "cpu", 0)[: len(curve)], rtol=1e-4
    )
    weights = (np.arange(shape[0]) % 4 > 0).astype(float)
    found = fitted(X, "cross_validation", sample_weight=weights)
    expected = cross_validation_curve(X[weights > 0], None, "cpu", 0)
    assert_allclose(found.cross_validation_curve_, expected[: len(found.cross_validation_curve_)], rtol=1e-4)


def test_the_curve_is_seeded():
    X = planted((60, 20), 2)
    curves = [
        MinimumErrorPCA("cross_validation", random_state=seed).fit(X).cross_validation_curve_
        for seed in (0, 0, np.random.RandomState(0), 1)
    ]
    assert_array_equal(curves[0], curves[1])
    assert_array_equal(curves[0], curves[2])
    assert not np.allclose(curves[0], curves[3], rtol=1e-6)


# ---- what is kept, and what is refused ----------------------------------------------------------


@pytest.mark.parametrize("criterion", CRITERIA)
def test_what_was_found_is_saved_and_forgotten_by_the_next_fit(criterion, tmp_path):
    X = planted((60, 20), 2)
    found = fitted(X, criterion)
    found.save(tmp_path / "pca.safetensors")
    loaded = load(tmp_path / "pca.safetensors")
    names = ["detection_threshold_", "is_detectable_", "least_detectable_variance_"]
    names += ["cross_validation_curve_"] if criterion == "cross_validation" else []
    for name in names:
        assert_array_equal(getattr(loaded, name), getattr(found, name))
    assert loaded.is_detectable_.dtype == bool
    found.set_params(n_components=3).fit(X)
    assert not any(hasattr(found, name) for name in names)


@pytest.mark.parametrize(
    ("criterion", "arguments", "X", "message"),
    [
        ("parallel", {"svd_solver": "arpack"}, planted((30, 9), 1), "'parallel' cannot be a string with"),
        ("cross_validation", {"svd_solver": "randomized"}, planted((30, 9), 1), "cannot be a string with"),
        ("parallel", {"max_distortion": 1.0}, planted((30, 9), 1), "allowed is one of them"),
        ("cross_validation", {}, planted((2, 9), 1), "in 3; X has n_samples=2, n_features=9"),
        ("cross_validation", {}, planted((9, 2), 1), "in 3; X has n_samples=9, n_features=2"),
        ("cross_validation", {}, [planted((30, 9), 1)] * 2, "takes no blocks .*allowed is fit on one array"),
        ("cross_validation", {}, np.full((9, 9), np.nan), "contains NaN"),
        ("cross_validation", {}, 1e160 * planted((30, 9), 1), "squares of X are too large"),
        ("parallel", {}, 1e160 * planted((9, 30), 1), "squares of X are too large"),
    ],
)
def test_what_cannot_be_is_refused(criterion, arguments, X, message):
    with pytest.raises(ValueError, match=message):
        fitted(X, criterion, **arguments)


def test_cross_validation_is_not_done_part_by_part():
    pca = MinimumErrorPCA("cross_validation")
    assert not hasattr(pca, "partial_fit")
    with pytest.raises(AttributeError) as error:
        pca.partial_fit(planted((30, 9), 1))
    assert "takes no blocks and no partial_fit" in str(error.value.__cause__)


@pytest.mark.parametrize("solver", ["full", "covariance_eigh", "gram"])
def test_constant_columns_count_for_nothing(solver):
    X = planted((200, 40), 3)
    wider = np.hstack([X, np.full((200, 30), 0.1), np.zeros((200, 10))])
    found, expected = fitted(wider, "parallel", svd_solver=solver), fitted(X, "parallel", svd_solver=solver)
    assert_allclose(found.detection_threshold_, expected.detection_threshold_)
    assert found.n_components_ == expected.n_components_ == 3
