"""Rows that lie apart: left out of the fit, and told of."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from latents.estimators import MinimumErrorPCA, load

SOLVERS = ["full", "covariance_eigh", "gram", "arpack", "randomized"]
SHAPES = {"tall": (500, 40), "wide": (80, 200)}
KINDS = ["a cluster", "a line", "noise", "far beyond"]
D = 4


def planted(n, p, seed):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(p, D)))[0]
    return (rng.normal(size=(n, D)) * np.linspace(3, 1, D)) @ basis.T + 0.1 * rng.normal(size=(n, p))


def replaced(X, kind, seed, share=0.1):
    """Return X with some rows of another kind, and which."""
    rng = np.random.default_rng(seed)
    X, (n, p) = X.copy(), X.shape
    rows = rng.permutation(n)[: int(share * n)]
    length = np.sqrt(X.var(axis=0).sum())
    along = rng.normal(size=p)
    along /= np.linalg.norm(along)
    X[rows] = {
        "a cluster": 3 * length * along + 0.05 * rng.normal(size=(len(rows), p)),
        "a line": (3 + rng.exponential(size=(len(rows), 1))) * length * along,
        "noise": 2 * rng.normal(size=(len(rows), p)),
        "far beyond": 1e150 * rng.normal(size=(len(rows), p)),
    }[kind]
    return X, np.isin(np.arange(n), rows)


def angle(one, other):
    return subspace_angles(one.components_.T.astype(float), other.components_.T.astype(float)).max()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_tenth_of_the_rows_does_not_turn_the_basis(kind, shape):
    X = planted(*SHAPES[shape], seed=1)
    spoilt, others = replaced(X, kind, seed=2)
    clean = MinimumErrorPCA(D).fit(X)
    robust = MinimumErrorPCA(D, robust=True, random_state=0).fit(spoilt)
    assert not robust.support_[others].any()
    assert robust.support_[~others].mean() > 0.9
    if kind != "far beyond":  # which is too much to be fitted at all
        plain = MinimumErrorPCA(D).fit(spoilt)
        assert angle(robust, clean) < 0.1 * angle(plain, clean)
        # Of the rows that were not fitted; to the others the plane is nearer than it is to new ones.
        assert (robust.reconstruction_errors(spoilt)[others] > robust.error_cutoff_).all()
    else:
        with pytest.raises(ValueError, match="squares of X are too large"):
            MinimumErrorPCA(D).fit(spoilt)


@pytest.mark.parametrize("kind", ["float64", "float32", "uint8", "sparse"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_it_is_the_fit_of_the_rows_that_count(solver, kind):
    X, others = replaced(planted(60, 20, seed=3), "a cluster", seed=4)
    X = (10 * X + 128).clip(0, 255)
    X = sp.csr_array(X) if kind == "sparse" else X.astype(kind)
    if (solver, kind) == ("full", "sparse"):
        pytest.skip("which is never sparse")
    robust = MinimumErrorPCA(D, svd_solver=solver, robust=True, random_state=0)
    Z = robust.fit_transform(X)
    assert not robust.support_[others].any()
    plain = MinimumErrorPCA(D, svd_solver=solver, random_state=0).fit(X[robust.support_])
    assert vars(robust).keys() - vars(plain).keys() == {"support_", "error_cutoff_"}
    np.testing.assert_allclose(robust.explained_variance_, plain.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(robust.mean_, plain.mean_, rtol=1e-5)
    assert robust.n_samples_ == plain.n_samples_ == robust.support_.sum()
    assert robust.distortion_ == pytest.approx(plain.distortion_, rel=1e-5)
    # What is given is more than what is fitted.
    assert Z.shape == (60, D)
    np.testing.assert_allclose(Z, robust.transform(X), rtol=1e-4, atol=1e-3)


@example(17, 4, 0, 9)
@given(st.integers(4, 40), st.integers(2, 12), st.integers(0, 1000), st.sampled_from([0, 3, 9]))
def test_half_of_the_rows_count_at_least(n, p, seed, n_equal):
    X = np.random.default_rng(seed).standard_cauchy(size=(n, p)).round(2)
    X[:n_equal] = X[0]
    d = min(3 * n // 4 - 2, p - 1, 3)
    robust = MinimumErrorPCA(d, robust=True, random_state=seed).fit(X)
    assert len(robust.support_) == n
    assert robust.n_samples_ == robust.support_.sum() >= (n + 1) // 2
    assert robust.error_cutoff_ >= 0


def test_rows_without_noise_all_count():
    """Their errors are rounding, of which no row is to be left out for having more."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 10)) + 5
    for dtype in (np.float64, np.float32):
        assert MinimumErrorPCA(2, robust=True, random_state=0).fit(X.astype(dtype)).support_.all()


def test_where_over_half_of_the_rows_agree_the_others_are_outlying():
    X = np.zeros((100, 10))
    X[:20] = np.random.default_rng(0).normal(size=(20, 10))
    robust = MinimumErrorPCA(1, robust=True, random_state=0).fit(X)
    assert robust.support_[20:].all()


def test_the_seed_alone_says_which_rows_count():
    X, _ = replaced(planted(200, 10, seed=0), "noise", seed=0)
    one, same = (MinimumErrorPCA(D, robust=True, random_state=1).fit(X) for _ in range(2))
    assert (one.support_ == same.support_).all()
    assert (one.components_ == same.components_).all()


def test_data_that_may_be_overwritten_are_not_while_they_are_needed():
    X, _ = replaced(planted(50, 10, seed=0), "noise", seed=0)
    robust = MinimumErrorPCA(D, svd_solver="full", copy=False, robust=True, random_state=0).fit(X.copy())
    kept = MinimumErrorPCA(D, svd_solver="full", robust=True, random_state=0).fit(X)
    np.testing.assert_array_equal(robust.components_, kept.components_)


def test_a_later_fit_and_a_file_have_what_they_should(tmp_path):
    X, _ = replaced(planted(50, 10, seed=0), "noise", seed=0)
    robust = MinimumErrorPCA(D, robust=True, random_state=0).fit(X)
    robust.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.support_, robust.support_)
    assert again.error_cutoff_ == robust.error_cutoff_
    again.support_ = ~again.support_
    with pytest.raises(ValueError, match=r"support_ has \d+ rows; n_samples_ is"):
        again.save(tmp_path / "other.safetensors")
    robust.set_params(robust=False).fit(X)
    assert not hasattr(robust, "support_")
    assert not hasattr(robust, "error_cutoff_")


@pytest.mark.parametrize(("n", "p", "d"), [(400, 784, 50), (100, 1000, 20), (1000, 50, 10)])
def test_rows_of_one_kind_count_though_the_plane_is_nearer_to_some(n, p, d):
    """Where columns are many: those that were not fitted at first are not left out for it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, p)) + rng.normal(size=(n, p))
    assert MinimumErrorPCA(d, robust=True, random_state=0).fit(X).support_.mean() > 0.95


@pytest.mark.parametrize(("n", "p", "d"), [(300, 10, None), (300, 10, 10), (60, 300, None), (10, 20, 7)])
def test_a_plane_that_holds_all_rows_tells_none_apart(n, p, d):
    X = np.random.default_rng(0).normal(size=(n, p))
    robust = MinimumErrorPCA(d, robust=True, random_state=0)
    with pytest.raises(ValueError, match=r"robust=True judges rows by .*; allowed are less than \d+, of"):
        robust.fit(X)
    assert not hasattr(robust, "components_")


@pytest.mark.parametrize(
    ("fit", "what"),
    [
        (lambda pca, X: pca.fit(X, sample_weight=np.ones(len(X))), "sample_weight"),
        (
            lambda pca, X: pca.set_params(n_components="cross_validation").fit(X),
            "n_components='cross_validation'",
        ),
        (
            lambda pca, X: pca.set_params(missing="em").fit(
                np.where(X > 1, np.nan, X), sample_weight=X[:, 0] ** 2
            ),
            "sample_weight and missing entries",
        ),
    ],
)
def test_what_cannot_be_robust_is_refused(fit, what):
    with pytest.raises(ValueError, match=f"robust=True .* cannot be had with {what}; allowed there is"):
        fit(MinimumErrorPCA(1, robust=True), planted(20, 5, seed=0))


def test_blocks_cannot_be_robust():
    X, said = (
        planted(20, 5, seed=0),
        "robust=True goes over all rows .*, and takes no blocks and no partial_fit",
    )
    with pytest.raises(ValueError, match=said):
        MinimumErrorPCA(1, robust=True).fit([X, X])
    with pytest.raises(AttributeError) as error:
        MinimumErrorPCA(1, robust=True).partial_fit(X)
    assert re.match(said, str(error.value.__cause__))
