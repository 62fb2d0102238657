"""MinimumErrorPCA against its defining identities, numpy, scipy and scikit-learn's PCA."""

import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg, sparse, stats
from scipy.linalg import lapack
from scipy.sparse.linalg import ArpackError
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from latents.estimators import MinimumErrorPCA, load
from latents.estimators.minimum_error_pca import solvers

FULL_SPECTRUM = ["full", "covariance_eigh", "gram"]
TRUNCATED = ["arpack", "randomized"]
SOLVERS = FULL_SPECTRUM + TRUNCATED
# What scikit-learn is asked for in place of a solver that it does not have.
THEIRS = {"gram": "full"}
DTYPES = [np.float64, np.float32]
SHAPES = {"tall": (60, 12), "wide": (12, 60)}


def make_data(shape, *, rank=None, decay=0.6, dtype=np.float64, seed=0):
    """Data around a far mean, whose singular values fall by `decay` from one to the next."""
    rng = np.random.default_rng(seed)
    rank = min(shape) if rank is None else rank
    left = np.linalg.qr(rng.normal(size=(shape[0], rank)))[0]
    right = np.linalg.qr(rng.normal(size=(shape[1], rank)))[0]
    scales = 10 * decay ** np.arange(rank)
    return ((left * scales) @ right.T + 3 * rng.normal(size=shape[1])).astype(dtype)


def random_basis(rng, n_features, d):
    return np.linalg.qr(rng.normal(size=(n_features, d)))[0].T


def mean_squared_error(X, approximation):
    difference = np.asarray(X, dtype=np.float64) - approximation
    return (difference**2).sum(axis=1).mean()


def trace(X):
    return np.asarray(X, dtype=np.float64).var(axis=0).sum()


# ---- the minimum-error formulation -----------------------------------------------------------


@st.composite
def problems(draw):
    """A data matrix of any small shape and rank, a solver, and a d that the solver accepts."""
    shape = draw(st.integers(2, 30)), draw(st.integers(1, 30))
    solver = draw(st.sampled_from(SOLVERS if min(shape) > 1 else FULL_SPECTRUM))
    least, most = (0 if solver in FULL_SPECTRUM else 1), min(shape) - (solver == "arpack")
    X = make_data(
        shape,
        rank=draw(st.integers(1, min(shape))),
        decay=draw(st.sampled_from([1.0, 0.8, 0.3])),
        dtype=draw(st.sampled_from(DTYPES)),
        seed=draw(st.integers(0, 2**16)),
    )
    return X, solver, draw(st.integers(least, most))


@given(problems(), st.booleans())
@example((make_data((30, 30), decay=1.0), "randomized", 3), False)
@settings(max_examples=300)
def test_j_is_the_measured_error(problem, whiten):
    X, solver, d = problem
    pca = MinimumErrorPCA(d, svd_solver=solver, whiten=whiten, random_state=0).fit(X)
    basis = pca.components_.astype(np.float64)
    centred = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    tolerance = 100 * np.finfo(X.dtype).eps * trace(X)

    assert_allclose(pca.distortion_, mean_squared_error(centred, centred @ basis.T @ basis), atol=tolerance)
    assert_allclose(pca.distortion(X), pca.distortion_, atol=tolerance)
    assert_allclose(pca.distortion_curve_[d], pca.distortion_)
    assert_allclose(pca.distortion_curve_[0], trace(X), rtol=1e-5 if X.dtype == np.float32 else 1e-12)
    assert_allclose(pca.distortion_curve(X), pca.distortion_curve_[: d + 1], atol=tolerance)
    assert np.all(np.diff(pca.distortion_curve_) <= 0)
    known = {"covariance_eigh": X.shape[1], "full": min(X.shape), "gram": min(X.shape)}
    assert pca.distortion_curve_.shape == (known.get(solver, d) + 1,)


@pytest.mark.parametrize("solver", SOLVERS)
def test_j_is_exact_to_its_last_digits_where_the_tail_is_not_negligible(solver):
    X = make_data((200, 20), decay=0.9)
    pca = MinimumErrorPCA(15, svd_solver=solver, random_state=0).fit(X)
    measured = mean_squared_error(X, pca.inverse_transform(pca.transform(X)))
    assert_allclose(pca.distortion_, measured, rtol=1e-10)
    assert_allclose(pca.reconstruction_errors(X).mean(), measured, rtol=1e-10)


@pytest.mark.parametrize(
    ("solver", "unconverged"), [("randomized", {"iterated_power": 0}), ("arpack", {"tol": 0.5})]
)
@pytest.mark.parametrize("shape", [(300, 100), (100, 300)])
def test_j_describes_the_basis_found_even_if_the_solver_did_not_converge(solver, unconverged, shape):
    X = np.random.default_rng(0).normal(size=shape)
    pca = MinimumErrorPCA(5, svd_solver=solver, random_state=0, **unconverged)
    Z = pca.fit_transform(X)
    best = MinimumErrorPCA(5, svd_solver="full").fit(X).distortion_
    assert_allclose(pca.distortion_, pca.distortion(X), rtol=1e-12)
    assert_allclose(pca.explained_variance_, Z.var(axis=0, ddof=1), rtol=1e-12)
    assert pca.distortion_ > best * (1 + 1e-4)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_curve_is_the_distortion_of_every_refit(solver):
    X = make_data((40, 15), decay=0.8)
    curve = MinimumErrorPCA(8, svd_solver=solver, random_state=0).fit(X).distortion_curve_
    for d in range(1, min(curve.size, 15)):
        refit = MinimumErrorPCA(d, svd_solver=solver, random_state=0, iterated_power=20).fit(X)
        assert_allclose(curve[d], refit.distortion_, rtol=1e-8, atol=1e-12 * curve[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_held_out_distortion_for_every_dimension(dtype):
    X = make_data((80, 10), dtype=dtype)
    pca = MinimumErrorPCA(6).fit(X[:50])
    held_out = X[50:].astype(np.float64)
    curve = pca.distortion_curve(X[50:])
    assert curve.shape == (7,)
    for d in range(7):
        basis = pca.components_[:d].astype(np.float64)
        approximation = (held_out - pca.mean_) @ basis.T @ basis + pca.mean_
        assert_allclose(curve[d], mean_squared_error(held_out, approximation), rtol=1e-3)
    assert_allclose(pca.distortion(X[50:]), curve[-1], rtol=1e-6)


@given(problems())
@settings(max_examples=100)
def test_offsets_complete_the_uncentred_coordinates(problem):
    X, solver, d = problem
    pca = MinimumErrorPCA(d, svd_solver=solver, random_state=0).fit(X)
    uncentred = X @ pca.components_.T
    tolerance = 100 * np.finfo(X.dtype).eps * np.abs(X).max() * X.shape[1]
    expected = pca.inverse_transform(pca.transform(X))
    assert_allclose(uncentred @ pca.components_ + pca.offsets_, expected, atol=tolerance)


def test_offsets_are_the_mean_along_the_discarded_basis():
    X = make_data((50, 8))
    d = 3
    pca = MinimumErrorPCA(d).fit(X)
    mean, rest = X.mean(axis=0), np.linalg.svd(X - X.mean(axis=0))[2][d:]
    assert_allclose(pca.offsets_, sum((mean @ mu) * mu for mu in rest), atol=1e-12)


@given(st.integers(0, 2**16), st.integers(1, 5), st.floats(1e-3, 3))
@settings(max_examples=100)
def test_no_other_basis_and_no_other_offset_does_better(seed, d, step):
    rng = np.random.default_rng(seed)
    X = make_data((40, 6), decay=0.7, seed=seed)
    pca = MinimumErrorPCA(d).fit(X)
    centred = X - X.mean(axis=0)
    slack = 1e-12 * trace(X)

    for basis in (
        random_basis(rng, 6, d),
        np.linalg.qr((pca.components_ + step * rng.normal(size=(d, 6))).T)[0].T,
    ):
        assert mean_squared_error(centred, centred @ basis.T @ basis) >= pca.distortion_ - slack
    shifted = pca.inverse_transform(pca.transform(X)) + step * rng.normal(size=6)
    assert mean_squared_error(X, shifted) >= pca.distortion_ - slack


def test_reconstruction_errors_single_out_the_stranger():
    X = make_data((100, 10), rank=3)
    pca = MinimumErrorPCA(3).fit(X)
    stranger = X[:1] + 5 * np.linalg.svd(X - X.mean(axis=0))[2][9]
    errors = pca.reconstruction_errors(np.vstack([X, stranger]))
    assert_allclose(errors[-1], 25, rtol=1e-6)
    assert errors[:-1].max() < 1e-12


@pytest.mark.parametrize("solver", SOLVERS)
def test_eigenvalues_against_numpy_on_digits(solver):
    X = load_digits().data.astype(np.uint8)
    expected = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2 / len(X)
    pca = MinimumErrorPCA(20, svd_solver=solver, random_state=0, iterated_power=30).fit(X)
    assert_allclose(pca.explained_variance_ * (len(X) - 1) / len(X), expected[:20], rtol=1e-9)
    assert_allclose(pca.distortion_, expected[20:].sum(), rtol=1e-9)


def one_hot(dtype):
    rows = np.repeat(np.arange(600), 2)
    np.random.default_rng(0).shuffle(rows)
    return np.eye(600, dtype=dtype)[rows]


@pytest.mark.parametrize(
    "X",
    [
        np.eye(600),
        np.eye(1000, 501),
        np.eye(600)[np.random.default_rng(0).permutation(600)],
        one_hot(float),
        one_hot(np.uint8),
        linalg.hadamard(1024)[:600].astype(float),
        1e145 * np.random.default_rng(0).normal(size=(700, 510)),
        1e-140 * np.random.default_rng(0).normal(size=(700, 510)),
    ],
    ids=["eye", "tall eye", "permutation", "one-hot", "one-hot bytes", "wide Hadamard", "huge", "tiny"],
)
@pytest.mark.parametrize("wanted", [{"n_components": d} for d in (1, 50, 120)] + [{"n_components": 0.1}])
def test_equal_and_huge_eigenvalues(X, wanted):
    pca = MinimumErrorPCA(**wanted).fit(X)
    assert pca.svd_solver_ in ("covariance_eigh", "gram")
    assert_allclose(pca.components_ @ pca.components_.T, np.eye(pca.n_components_), atol=1e-9)
    assert_allclose(pca.distortion(X), pca.distortion_, rtol=1e-9)


def in_parts(order):
    """Return rows of columns that do not vary, and of two sets that do not covary: of rank 16."""
    rng = np.random.default_rng(0)
    X = np.zeros((400, 120))
    X[:100, :40] = rng.normal(size=(100, 6)) @ rng.normal(size=(6, 40))
    X[200:300, 60:] = rng.normal(size=(100, 10)) @ (rng.normal(size=(10, 60)) / np.arange(1, 61))
    # Every row has its opposite: means are 0, and so is what covaries between sets.
    X -= np.roll(X, 100, axis=0)
    return X[:, rng.permutation(120)] if order == "mixed" else X


@pytest.mark.parametrize("d", [1, 7, 16, 25, 90, 120])
@pytest.mark.parametrize("order", ["in parts", "mixed"])
@pytest.mark.parametrize("has_converged", [True, False])
def test_a_scatter_that_falls_into_parts(order, d, has_converged, monkeypatch):
    """Few vectors are had by inverse iteration, of null directions too; many, or should it fail, by ``eigh``."""
    called = []
    eigh, dstein = linalg.eigh, lapack.dstein

    def whole(*arguments, **options):
        called.append("whole")
        return eigh(*arguments, **options)

    monkeypatch.setattr(linalg, "eigh", whole)
    monkeypatch.setattr(lapack, "dstein", lambda *given: (dstein(*given)[0], 1 - has_converged))
    X = in_parts(order)
    pca = MinimumErrorPCA(d, svd_solver="covariance_eigh").fit(X)
    assert called == ([] if d <= 30 and has_converged else ["whole"])
    singular_values = np.linalg.svd(X, compute_uv=False)
    expected = singular_values[:d] ** 2
    assert_allclose(pca.explained_variance_ * 399, expected, atol=1e-12 * expected[0])
    assert_allclose(pca.components_ @ pca.components_.T, np.eye(d), atol=1e-13)
    assert_allclose(pca.distortion(X), pca.distortion_, atol=1e-12 * trace(X))


def test_the_tail_that_the_covariance_costs():
    # The docstring: "full" resolves s_i to eps s_1, "covariance_eigh" lambda_i to eps lambda_1.
    rng = np.random.default_rng(0)
    left = rng.normal(size=(400, 4))
    left = np.linalg.qr(left - left.mean(axis=0))[0]
    right = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    singular_values = np.array([1.0, 1e-3, 1e-6, 1e-10])
    X = (left * singular_values) @ right.T
    smallest = singular_values[-1] ** 2 / 400
    full = MinimumErrorPCA(3, svd_solver="full").fit(X)
    covariance = MinimumErrorPCA(3, svd_solver="covariance_eigh").fit(X)
    assert_allclose(full.distortion_, smallest, rtol=1e-4)
    assert abs(covariance.distortion_ - smallest) < 1e-15 / 400
    assert_allclose(covariance.explained_variance_, full.explained_variance_, rtol=1e-3)


# ---- scikit-learn's PCA ----------------------------------------------------------------------


def test_constructor_is_that_of_scikit_learn():
    ours, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(c).parameters.values()]
        for c in (MinimumErrorPCA, PCA)
    )
    assert ours[: len(theirs)] == theirs
    added = [name for name, _, _ in ours[len(theirs) :]]
    assert added[:3] == ["max_distortion", "max_distortion_share", "device"]
    assert added[3:] == ["robust", "missing", "max_iter", "em_tol"]


def assert_same_attributes(ours, theirs, rtol, atol):
    names = {n for n in vars(theirs) if n.endswith("_") and not n.startswith("_")}
    assert names >= {"components_", "explained_variance_", "mean_", "noise_variance_"}
    for name in names:
        mine, reference = getattr(ours, name), getattr(theirs, name)
        assert_allclose(mine, reference, rtol=rtol, atol=atol, err_msg=name)
        if isinstance(reference, np.ndarray):
            assert mine.dtype == reference.dtype, name
            assert mine.shape == reference.shape, name


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
def test_agrees_with_scikit_learn(solver, shape, dtype, whiten):
    X = make_data(SHAPES[shape], dtype=dtype)
    arguments = {"whiten": whiten, "random_state": 0}
    ours = MinimumErrorPCA(5, svd_solver=solver, **arguments)
    theirs = PCA(5, svd_solver=THEIRS.get(solver, solver), **arguments)
    rtol, atol = (1e-8, 1e-8) if dtype is np.float64 else (2e-3, 2e-4)

    for Z in (ours.fit_transform(X), ours.transform(X)):
        assert_allclose(Z, theirs.fit_transform(X), rtol=rtol, atol=10 * atol)
        assert Z.dtype == dtype
    assert_same_attributes(ours, theirs, rtol, atol)
    Z = ours.transform(X)
    assert_allclose(ours.inverse_transform(Z), theirs.inverse_transform(Z), rtol=rtol, atol=atol)
    assert ours.inverse_transform(Z).dtype == dtype
    # With whiten, scikit-learn 1.9 multiplies the variances into its covariance twice.
    theirs.whiten = False
    assert_allclose(ours.get_covariance(), theirs.get_covariance(), rtol=rtol, atol=atol)
    assert_allclose(
        ours.get_precision(), theirs.get_precision(), rtol=rtol, atol=rtol * 1 / ours.noise_variance_
    )
    assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=10 * rtol)
    assert_allclose(ours.score(X), theirs.score(X), rtol=rtol)


@pytest.mark.parametrize(
    ("shape", "n_components"),
    [(shape, d) for shape in SHAPES for d in (None, 0, 1, 0.5, 0.9, 0.999)] + [("tall", "mle")],
)
@pytest.mark.parametrize("solver", FULL_SPECTRUM)
def test_agrees_with_scikit_learn_on_the_choice_of_dimension(solver, shape, n_components):
    X = make_data(SHAPES[shape])
    ours = MinimumErrorPCA(n_components, svd_solver=solver).fit(X)
    theirs = PCA(n_components, svd_solver=THEIRS.get(solver, solver)).fit(X)
    assert ours.n_components_ == theirs.n_components_
    # The centred wide data have rank N - 1: the direction of the last, null component is arbitrary.
    if n_components is None and shape == "wide":
        ours.components_, theirs.components_ = ours.components_[:-1], theirs.components_[:-1]
    assert_same_attributes(ours, theirs, rtol=1e-7, atol=1e-6 if n_components is None else 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_minka_agrees_with_scikit_learn_and_finds_the_dimension(seed):
    rng = np.random.default_rng(seed)
    d = 1 + seed
    X = rng.normal(size=(300, d)) @ (3 * random_basis(rng, 9, d)) + 0.3 * rng.normal(size=(300, 9))
    ours = MinimumErrorPCA("mle").fit(X)
    assert ours.n_components_ == PCA("mle").fit(X).n_components_ == d
    assert MinimumErrorPCA("mle").fit(1e-10 * X).n_components_ == d


def test_minka_with_repeated_columns_keeps_no_null_direction():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(50, 1)), 4, axis=1)
    assert MinimumErrorPCA("mle", svd_solver="full").fit(X).n_components_ == 1
    assert MinimumErrorPCA("mle").fit(np.ones((50, 4))).n_components_ == 0


@pytest.mark.parametrize(
    ("shape", "density", "arguments", "expected"),
    [
        ((10, 50), None, {"n_components": 5}, "full"),
        ((1000, 50), None, {}, "covariance_eigh"),
        ((600, 100), None, {"n_components": "mle"}, "covariance_eigh"),
        ((100, 600), None, {"n_components": 3}, "gram"),
        ((600, 100), None, {"max_distortion": 0.5}, "covariance_eigh"),
        ((1500, 1600), None, {"n_components": 2}, "gram"),
        ((1500, 1600), None, {"max_distortion_share": 0.5}, "gram"),
        ((1500, 1600), 0.01, {"n_components": 2}, "arpack"),
        ((1500, 60), 0.01, {"n_components": 2}, "covariance_eigh"),
        ((60, 1500), 0.01, {"n_components": 2}, "gram"),
    ],
)
def test_auto_takes_what_suits_the_shape(shape, density, arguments, expected):
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape) if density is None else sparse.random_array(shape, density=density, rng=rng)
    assert MinimumErrorPCA(**arguments, random_state=0).fit(X).svd_solver_ == expected


def test_default_number_of_components():
    for shape in SHAPES.values():
        X = make_data(shape)
        for solver, expected in (("full", 12), ("covariance_eigh", 12), ("arpack", 11)):
            assert MinimumErrorPCA(svd_solver=solver).fit(X).n_components_ == expected
    with pytest.raises(ValueError, match=r"n_components=None must be between 1 and .*=1 with .*arpack"):
        MinimumErrorPCA(svd_solver="arpack").fit(np.arange(5.0)[:, np.newaxis])


# ---- the probabilistic model -----------------------------------------------------------------


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("d", [0, 2, 4, 5])
def test_score_is_the_density_of_the_gaussian(d, whiten):
    X = make_data((60, 5), decay=0.8)
    pca = MinimumErrorPCA(d, whiten=whiten).fit(X)
    eigenvalues, vectors = np.linalg.eigh(np.cov(X.T))
    noise = eigenvalues[: 5 - d].mean() if d < 5 else 0.0
    kept = vectors[:, 5 - d :]
    covariance = kept @ np.diag(eigenvalues[5 - d :] - noise) @ kept.T + noise * np.eye(5)

    assert_allclose(pca.get_covariance(), covariance, atol=1e-10)
    assert_allclose(pca.get_precision() @ covariance, np.eye(5), atol=1e-10)
    expected = stats.multivariate_normal(X.mean(axis=0), covariance).logpdf(X)
    assert_allclose(pca.score_samples(X), expected, rtol=1e-9)
    assert_allclose(pca.score(X), expected.mean(), rtol=1e-9)


@pytest.mark.parametrize(
    ("X", "d"),
    [
        (make_data((60, 5), rank=3), 5),
        (make_data((60, 5), rank=3), 4),
        (make_data((4, 10)), 4),
        (np.ones((6, 3)), 2),
    ],
)
def test_a_singular_model_has_no_density_and_says_so(X, d):
    pca = MinimumErrorPCA(d).fit(X)
    for method in (pca.score, pca.score_samples):
        with pytest.raises(np.linalg.LinAlgError, match=f"singular: with n_components_={d}"):
            method(X)
    with pytest.raises(np.linalg.LinAlgError, match="constant features"):
        pca.get_precision()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", ["full", "covariance_eigh"])
def test_features_of_very_different_scale_have_a_density(dtype, solver):
    X = (np.random.default_rng(0).normal(size=(500, 3)) * [1e4, 1, 1]).astype(dtype)
    pca = MinimumErrorPCA(2, svd_solver=solver).fit(X)
    covariance = np.cov(X.T.astype(np.float64))
    expected = stats.multivariate_normal(X.mean(axis=0, dtype=np.float64), covariance).logpdf(X).mean()
    assert pca.score_samples(X).dtype == pca.get_precision().dtype == dtype
    # scikit-learn gives -17.42 in float32.
    assert_allclose(pca.score(X), expected, rtol=1e-6)
    assert_allclose(np.diag(pca.get_precision())[1:], np.diag(np.linalg.inv(covariance))[1:], rtol=0.1)


# ---- edges -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*DTYPES, np.uint8])
@pytest.mark.parametrize("solver", SOLVERS)
def test_constant_pixels_whiten_to_finite_values(solver, dtype):
    X = np.random.default_rng(0).integers(0, 255, size=(40, 6)).astype(dtype)
    X[:, [1, 4]] = 7
    d = 5 if solver == "arpack" else 6
    pca = MinimumErrorPCA(d, whiten=True, svd_solver=solver, random_state=0).fit(X)
    Z = pca.transform(X)
    assert np.isfinite(Z).all()
    assert_allclose(Z[:, :4].var(axis=0, ddof=1), 1, rtol=1e-4)
    assert_allclose(
        pca.explained_variance_[4:], 0, atol=1e-3 if dtype is np.float32 and solver == "gram" else 1e-6
    )
    assert_allclose(pca.inverse_transform(Z), X, atol=1e-3 if dtype is np.float32 else 1e-9)
    assert pca.distortion_ < (1e-6 if dtype is np.float32 else 1e-8) * trace(X)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", ["full", "covariance_eigh", "randomized"])
def test_data_without_variance(solver):
    X = np.full((5, 3), 2.0)
    pca = MinimumErrorPCA(2, svd_solver=solver, random_state=0, whiten=True).fit(X)
    assert pca.distortion_ == 0
    assert_array_equal(pca.explained_variance_ratio_, 0)
    assert_array_equal(pca.transform(X), 0)
    assert_array_equal(pca.inverse_transform(pca.transform(X)), X)
    assert_allclose(pca.offsets_ + X @ pca.components_.T @ pca.components_, X)


def test_arpack_refuses_data_without_variance():
    with pytest.raises(ValueError, match=r"arpack.*without variance"):
        MinimumErrorPCA(1, svd_solver="arpack").fit(np.ones((5, 3)))


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_sample_is_refused(solver):
    with pytest.raises(ValueError, match="1 sample"):
        MinimumErrorPCA(1, svd_solver=solver).fit(np.ones((1, 3)))


def test_no_components_leave_the_mean():
    X = make_data((20, 4))
    pca = MinimumErrorPCA(0, svd_solver="full").fit(X)
    assert pca.transform(X).shape == (20, 0)
    assert_allclose(pca.inverse_transform(pca.transform(X)), np.tile(X.mean(axis=0), (20, 1)))
    assert_allclose(pca.offsets_, X.mean(axis=0))
    assert_allclose(pca.distortion_, trace(X))


def test_a_variance_fraction_that_rounding_puts_out_of_reach():
    fraction = np.nextafter(1.0, 0.0)
    pca = MinimumErrorPCA(fraction, svd_solver="full").fit(make_data((200, 30), decay=1.0))
    assert pca.n_components_ <= 30
    assert MinimumErrorPCA(0.5).fit(np.ones((5, 3))).n_components_ <= 3
    assert MinimumErrorPCA(0.5, svd_solver="covariance_eigh").fit(np.ones((5, 30))).noise_variance_ == 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_copy_guards_the_input_and_its_absence_changes_no_result(solver):
    X = make_data((60, 8))
    original = X.copy()
    arguments = {"n_components": 3, "svd_solver": solver, "random_state": 0, "whiten": True}
    kept = MinimumErrorPCA(**arguments).fit_transform(X)
    assert_array_equal(X, original)
    assert_array_equal(MinimumErrorPCA(copy=False, **arguments).fit_transform(X), kept)


def test_read_only_input_is_never_written():
    X = make_data((20, 4))
    expected = MinimumErrorPCA(2).fit(X).distortion_
    X.flags.writeable = False
    assert MinimumErrorPCA(2, copy=False).fit(X).distortion_ == expected


def test_integer_pixels_survive_copy_false():
    X = np.random.default_rng(0).integers(0, 255, size=(20, 4), dtype=np.uint8)
    original = X.copy()
    assert MinimumErrorPCA(copy=False).fit(X).components_.dtype == np.float64
    assert_array_equal(X, original)


@pytest.mark.parametrize("solver", TRUNCATED)
def test_seeds_decide(solver):
    X = np.random.default_rng(0).normal(size=(100, 40))
    pca = MinimumErrorPCA(3, svd_solver=solver, random_state=1)
    assert_array_equal(clone(pca).fit(X).components_, clone(pca).fit(X).components_)
    components = MinimumErrorPCA(3, svd_solver="randomized", random_state=2).fit(X).components_
    assert np.any(components != clone(pca).fit(X).components_)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": -1}, r"'n_components' .* int in the range \[0, inf\).*Got -1"),
        ({"n_components": 1.0}, r"'n_components' .* float in the range \(0\.0, 1\.0\).*Got 1\.0"),
        ({"n_components": 2.5}, "'n_components' .*Got 2.5"),
        ({"n_components": "most"}, "'n_components' .*'mle'.*} or None.*Got 'most'"),
        ({"n_components": [2]}, r"'n_components' .*Got \[2\]"),
        ({"copy": "no"}, "'copy' .* 'bool'.*Got 'no'"),
        ({"whiten": 1}, "'whiten' .* 'bool'.*Got 1"),
        ({"svd_solver": "lapack"}, "'svd_solver' .*'covariance_eigh'.*Got 'lapack'"),
        ({"tol": -1e-3}, r"'tol' .*range \[0\.0, inf\).*Got -0\.001"),
        ({"tol": float("nan")}, "'tol' .*Got nan"),
        ({"tol": float("inf")}, "'tol' .*Got inf"),
        ({"iterated_power": -1}, "'iterated_power' .*{'auto'}.*Got -1"),
        ({"iterated_power": "many"}, r"'iterated_power' .*range \[0, inf\).*Got 'many'"),
        ({"n_oversamples": 0}, r"'n_oversamples' .*range \[1, inf\).*Got 0"),
        ({"power_iteration_normalizer": "qr"}, "'power_iteration_normalizer' .*'QR'.*Got 'qr'"),
        ({"random_state": "seed"}, "'random_state' .*Got 'seed'"),
        ({"n_components": 5}, r"between 0 and min\(n_samples, n_features\)=4"),
        ({"n_components": 0, "svd_solver": "randomized"}, "n_components=0 must be between 1"),
        ({"n_components": 4, "svd_solver": "arpack"}, "strictly less than"),
        (
            {"n_components": 0.5, "svd_solver": "arpack"},
            "n_components=0.5 cannot be a share.*covariance_eigh",
        ),
        ({"n_components": "mle", "svd_solver": "randomized"}, "'mle' cannot be.*covariance_eigh"),
        ({"n_components": "mle", "svd_solver": "full"}, "X has n_samples=4, n_features=6"),
    ],
)
def test_impossible_arguments_name_themselves(arguments, message):
    with pytest.raises(ValueError, match=message):
        MinimumErrorPCA(**arguments).fit(make_data((4, 6)))


def test_bad_data_are_refused():
    X = make_data((20, 4))
    pca = MinimumErrorPCA(2).fit(X)
    with pytest.raises(ValueError, match="3 features, but MinimumErrorPCA is expecting 4"):
        pca.transform(X[:, :3])
    with pytest.raises(ValueError, match="X has 3 columns; coordinates have n_components_=2"):
        pca.inverse_transform(X[:, :3])


def test_nothing_works_before_fit():
    X = make_data((20, 4))
    pca = MinimumErrorPCA(2)
    for method in (
        pca.transform,
        pca.inverse_transform,
        pca.reconstruction_errors,
        pca.distortion,
        pca.distortion_curve,
        pca.score,
    ):
        with pytest.raises(NotFittedError):
            method(X)
    for method in (pca.get_covariance, pca.get_precision):
        with pytest.raises(NotFittedError):
            method()


# ---- scikit-learn's house rules --------------------------------------------------------------


AS_MANY_AS_ROWS = (
    "by default there are as many directions as rows: of repeated rows more than of weighted ones, though all "
    "that these lack are null"
)


@parametrize_with_checks(
    [
        MinimumErrorPCA(),
        MinimumErrorPCA(svd_solver="full", whiten=True),
        MinimumErrorPCA(svd_solver="full", whiten=True, n_components=0.9),
        MinimumErrorPCA(svd_solver="gram", n_components=0.9),
        MinimumErrorPCA(svd_solver="covariance_eigh", n_components=0.9),
        MinimumErrorPCA(svd_solver="arpack", n_components=1, random_state=0),
        MinimumErrorPCA(svd_solver="randomized", n_components=1, random_state=0),
        MinimumErrorPCA(missing="em", n_components=1),
    ],
    expected_failed_checks=lambda estimator: {
        f"check_sample_weight_equivalence_on_{kind}_data": AS_MANY_AS_ROWS
        for kind in (("dense", "sparse") if estimator.svd_solver != "full" else ("dense",))
        if estimator.n_components is None
    },
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_feature_names_and_pandas_output():
    frame = pd.DataFrame(make_data((20, 3)), columns=["a", "b", "c"])
    pca = MinimumErrorPCA(2).set_output(transform="pandas").fit(frame)
    assert_array_equal(pca.feature_names_in_, ["a", "b", "c"])
    names = ["minimumerrorpca0", "minimumerrorpca1"]
    assert_array_equal(pca.get_feature_names_out(), names)
    assert list(pca.transform(frame).columns) == names
    assert list(pca.fit_transform(frame).columns) == names


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_components", [3, 0.8, "mle"])
def test_save_and_load(tmp_path, dtype, n_components):
    frame = pd.DataFrame(make_data((40, 6), dtype=dtype)).add_prefix("pixel")
    pca = MinimumErrorPCA(n_components, whiten=True, random_state=3).fit(frame)
    pca.save(tmp_path / "pca.safetensors")

    for restored in (
        MinimumErrorPCA.load(tmp_path / "pca.safetensors"),
        load(tmp_path / "pca.safetensors"),
    ):
        assert restored.get_params() == pca.get_params()
        for name, value in vars(pca).items():
            assert_array_equal(getattr(restored, name), value, err_msg=name)
            assert type(getattr(restored, name)) is type(value)
            assert getattr(getattr(restored, name), "dtype", None) == getattr(value, "dtype", None)
        assert_array_equal(restored.transform(frame), pca.transform(frame))
        assert_array_equal(restored.score_samples(frame), pca.score_samples(frame))


def test_arpack_without_a_shift_is_no_end(monkeypatch):
    """Rounding decides whether ARPACK runs out of shifts on data of low rank, so the error is given here."""

    def without_a_shift(*args, **kwargs):
        raise ArpackError(3)

    X = make_data((40, 28), rank=6, decay=0.8)
    expected = MinimumErrorPCA(5, svd_solver="full").fit(X)
    monkeypatch.setattr(solvers, "eigsh", without_a_shift)
    found = MinimumErrorPCA(5, svd_solver="arpack", random_state=0).fit(X)
    assert_allclose(found.explained_variance_, expected.explained_variance_, rtol=1e-10)
    assert_allclose(np.abs(found.components_), np.abs(expected.components_), atol=1e-8)
