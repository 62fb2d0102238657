"""MinimumErrorPCA of incomplete rows, held against Gaussians by dense algebra, and their likelihood."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from latents.estimators import MinimumErrorPCA, load
from latents.estimators.minimum_error_pca import missing as module
from latents.estimators.minimum_error_pca.probabilistic import ProbabilisticPCA

LEARNED = ("mean_", "components_", "explained_variance_", "noise_variance_", "distortion_", "offsets_")


def rows_of(n=120, p=9, rank=3, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(p, rank)))[0]
    return (
        rng.normal(size=(n, rank)) * (4.0 - np.arange(rank)) @ basis.T + noise * rng.normal(size=(n, p)) + 5
    )


def with_gaps(X, share=0.3, seed=1):
    gaps = np.random.default_rng(seed).random(X.shape) < share
    gaps[:4] = False  # some rows are complete, and no column is empty
    return np.where(gaps, np.nan, X).astype(X.dtype), gaps


def fitted(X, d=3, weights=None, **arguments):
    arguments = {"em_tol": 1e-9, "max_iter": 2000, **arguments}
    return MinimumErrorPCA(d, missing="em", **arguments).fit(X, sample_weight=weights)


def conditional(x, mean, C):
    """E[x | x_o] and Cov[x | x_o] (p, p), 0 where x is observed."""
    o = ~np.isnan(x)
    gain = np.linalg.solve(C[np.ix_(o, o)], C[np.ix_(o, ~o)]).T
    expected, covariance = x.copy(), np.zeros_like(C)
    expected[~o] = mean[~o] + gain @ (x[o] - mean[o])
    covariance[np.ix_(~o, ~o)] = C[np.ix_(~o, ~o)] - gain @ C[np.ix_(o, ~o)]
    return expected, covariance


def log_density(x, mean, C):
    o = ~np.isnan(x)
    rest, C = x[o] - mean[o], C[np.ix_(o, o)]
    return -0.5 * (rest @ np.linalg.solve(C, rest) + np.linalg.slogdet(C)[1] + o.sum() * np.log(2 * np.pi))


def covariance_of(basis, variances, noise):
    return (basis.T * (variances - noise)) @ basis + noise * np.eye(basis.shape[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(80, 12), (12, 40), (900, 12)])
def test_without_gaps_the_fit_is_the_plain_one(shape, dtype):
    X = rows_of(*shape).astype(dtype)
    mine, plain = fitted(X), MinimumErrorPCA(3).fit(X)
    for name in (*LEARNED, "distortion_curve_", "singular_values_"):
        assert_allclose(getattr(mine, name), getattr(plain, name), rtol=1e-6, err_msg=name)
    assert mine.n_iter_ == 1
    assert_array_equal(mine.impute(X), X)
    assert_array_equal(mine.transform(X), plain.transform(X))
    assert_array_equal(mine.score_samples(X), plain.score_samples(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_single_gap_hardly_changes_the_fit(dtype):
    X = rows_of(2000, 9).astype(dtype)
    Y = X.copy()
    Y[7, 2] = np.nan
    mine, plain = fitted(Y, em_tol=1e-3), MinimumErrorPCA(3).fit(X)
    for name in ("mean_", "explained_variance_", "distortion_"):
        assert_allclose(getattr(mine, name), getattr(plain, name), rtol=2e-3, err_msg=name)
    assert_allclose(np.abs(mine.components_ @ plain.components_.T), np.eye(3), atol=2e-3)
    assert_allclose(mine.noise_variance_, plain.noise_variance_, rtol=0.01)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_rows_are_expected_and_scored_as_by_dense_algebra(share):
    Y, _ = with_gaps(rows_of(), share)
    Y[5] = np.nan
    pca = MinimumErrorPCA(3, missing="em").fit(Y)
    mean, C = pca.mean_, pca.get_covariance()
    expected = np.array([conditional(x, mean, C)[0] for x in Y])
    assert_allclose(pca.impute(Y), expected, rtol=1e-10)
    assert_array_equal(pca.impute(Y)[5], mean)
    scores = pca.score_samples(Y)
    # A row without any number has 0, to rounding by the algebra.
    assert_allclose(scores, [log_density(x, mean, C) for x in Y], atol=1e-12)
    assert abs(scores[5]) < 1e-12
    assert_allclose(pca.transform(Y), pca.transform(expected), atol=1e-10)


def test_errors_are_over_what_is_observed():
    Y, _ = with_gaps(rows_of())
    weights = np.random.default_rng(3).uniform(0.1, 2, size=len(Y))
    pca = fitted(Y, em_tol=0.01)
    rest = Y - pca.inverse_transform(pca.transform(Y))
    errors = np.nansum(rest**2, axis=1)
    assert_allclose(pca.reconstruction_errors(Y), errors)
    assert_allclose(pca.distortion(Y, weights), np.average(errors, weights=weights))
    curve = pca.distortion_curve(Y, weights)
    Z = pca.transform(Y)
    for d in range(4):
        rebuilt = pca.mean_ + Z[:, :d] @ pca.components_[:d]
        assert_allclose(curve[d], np.average(np.nansum((Y - rebuilt) ** 2, axis=1), weights=weights))


@pytest.mark.parametrize("d", [0, 1, 4, 8])
def test_covariances_act_on_the_plane_and_add_up_as_they_should(d):
    rng = np.random.default_rng(0)
    p, n = 9, 40
    basis = np.linalg.qr(rng.normal(size=(p, p)))[0][:d]
    variances, noise = np.sort(rng.uniform(1, 5, d))[::-1], 0.4
    observed, weights = (rng.random((n, p)) < 0.6).astype(float), rng.uniform(0.5, 2, n)
    loadings = module.Loadings.of(ProbabilisticPCA(basis, variances, noise), np.float64)
    C = covariance_of(basis, variances, noise)
    x = np.where(observed > 0, 0.0, np.nan)
    dense = sum(w * conditional(row, np.zeros(p), C)[1] for w, row in zip(weights, x, strict=True))
    counts = weights @ (1 - observed)
    found = module.covariances(loadings, observed, weights, counts)
    K = found.within + noise * np.diag(found.counts)
    assert_allclose(K @ basis.T, dense @ basis.T, atol=1e-10)
    assert_allclose(K.trace(), dense.trace())
    assert np.linalg.eigvalsh(found.within).min() > -1e-10


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_em_ends_where_an_exact_step_changes_nothing(share, weighted):
    Y, gaps = with_gaps(rows_of(), share)
    weights = np.random.default_rng(3).uniform(0.5, 2, size=len(Y)) if weighted else np.ones(len(Y))
    pca = fitted(Y, weights=weights if weighted else None)
    n, p, d = max(weights.sum(), len(Y)), Y.shape[1], 3
    variances = pca.explained_variance_ * (n - 1) / n
    noise = pca.distortion_ / (p - d)
    used = pca.noise_variance_ * (n - 1) / n
    r = weights @ (~gaps).mean(axis=1) ** 2 / weights.sum()
    assert_allclose(used / noise, 1 + np.sqrt(p / n * (1 / r - 1)))
    C = covariance_of(pca.components_, variances, used)
    steps = [conditional(x, pca.mean_, C) for x in Y]
    full = np.array([expected for expected, _ in steps])
    mean = weights @ full / weights.sum()
    K = sum(
        w * (covariance - (used - noise) * np.diag(gap))
        for w, (_, covariance), gap in zip(weights, steps, gaps, strict=True)
    )
    S = ((full - mean).T @ (weights[:, None] * (full - mean)) + K) / weights.sum()
    assert_allclose(mean, pca.mean_, rtol=1e-6)
    assert_allclose(S @ pca.components_.T, pca.components_.T * variances, atol=1e-5)
    assert_allclose(S.trace(), pca.distortion_curve_[0], rtol=1e-6)
    assert np.linalg.eigvalsh(S)[:-d].max() < variances[-1]


def test_without_inflation_em_maximises_the_likelihood_of_what_is_observed(monkeypatch):
    monkeypatch.setattr(module, "inflation_of", lambda *_: 1.0)
    Y, _ = with_gaps(rows_of(80, 6, 2), 0.3)
    pca = fitted(Y, 2)
    unbiased = len(Y) / (len(Y) - 1)
    root = pca.components_.T * np.sqrt((pca.explained_variance_ - pca.noise_variance_) / unbiased)
    noise = pca.noise_variance_ / unbiased

    def likelihood(mean, W, s):
        return sum(log_density(x, mean, W @ W.T + s * np.eye(6)) for x in Y)

    best = likelihood(pca.mean_, root, noise)
    rng = np.random.default_rng(0)
    for _ in range(20):
        step = 1e-3
        by = rng.normal(size=6), rng.normal(size=root.shape), rng.normal() * noise
        ahead, behind = (
            likelihood(pca.mean_ + t * by[0], root + t * by[1], noise + t * by[2]) for t in (step, -step)
        )
        # The slope is nothing beside the curvature: a maximum.
        assert max(ahead, behind) < best
        assert abs(ahead - behind) < 0.02 * (2 * best - ahead - behind)


def test_the_likelihood_of_a_plain_fit_to_filled_rows_is_lower():
    X = rows_of(300)
    Y, gaps = with_gaps(X, 0.4)
    filled = np.where(gaps, np.nanmean(Y, axis=0), Y)
    plain = MinimumErrorPCA(3).fit(filled).set_params(missing="em")
    pca = fitted(Y, em_tol=0.01)
    assert pca.score(Y) > plain.score(Y) + 0.5
    assert np.mean((pca.impute(Y) - X)[gaps] ** 2) < 0.3 * np.mean((filled - X)[gaps] ** 2)


def test_whole_weights_are_repeated_rows_and_none_leaves_out():
    Y, _ = with_gaps(rows_of())
    weights = np.random.default_rng(0).integers(0, 3, size=len(Y))
    weights[:4] = 1
    mine, repeated = fitted(Y, weights=weights), fitted(np.repeat(Y, weights, axis=0))
    for name in LEARNED:
        assert_allclose(getattr(mine, name), getattr(repeated, name), rtol=1e-5, atol=1e-6, err_msg=name)
    assert mine.total_weight_ == weights.sum()
    assert mine.n_samples_ == (weights > 0).sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("only_empty", [False, True])
def test_rows_without_numbers_contribute_nothing(dtype, only_empty):
    X = rows_of().astype(dtype)
    Y = X if only_empty else with_gaps(X)[0]
    more = np.insert(Y, [3, 50], np.nan, axis=0)
    mine, other = fitted(more, em_tol=0.01), fitted(Y, em_tol=0.01)
    for name in LEARNED:
        assert_allclose(getattr(mine, name), getattr(other, name), rtol=1e-4, atol=1e-4, err_msg=name)
    assert mine.n_samples_ == len(Y)
    assert_allclose(mine.impute(more)[3], mine.mean_, rtol=1e-6)
    assert_allclose(mine.transform(more)[3], 0, atol=1e-5)


def test_covariances_of_some_rows_lead_to_the_same_end(monkeypatch):
    Y, _ = with_gaps(rows_of(400))
    all_rows = fitted(Y)
    monkeypatch.setattr(module, "_SAMPLE", 20)
    some_rows = fitted(Y)
    for name in LEARNED:
        assert_allclose(getattr(some_rows, name), getattr(all_rows, name), rtol=1e-5, atol=1e-5, err_msg=name)


def test_float32_is_float64_to_its_digits():
    Y, _ = with_gaps(rows_of(500, 20))
    single, double = fitted(Y.astype(np.float32), em_tol=1e-3), fitted(Y, em_tol=1e-3)
    for name in LEARNED:
        assert_allclose(getattr(single, name), getattr(double, name), rtol=1e-3, atol=1e-3, err_msg=name)
    assert single.impute(Y.astype(np.float32)).dtype == single.components_.dtype == np.float32
    assert_allclose(single.impute(Y.astype(np.float32)), double.impute(Y), atol=1e-2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_plane_without_noise_is_found(dtype):
    X = rows_of(300, 12, 2, noise=0.0).astype(dtype)
    Y, gaps = with_gaps(X, 0.3)
    pca = fitted(Y, 2, em_tol=1e-2, max_iter=100)
    spread = X.var(axis=0).mean()
    assert np.mean((pca.impute(Y) - X)[gaps] ** 2) < 1e-3 * spread


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1e3, 1e3), st.sampled_from([1e-3, 1.0, 255.0]))
def test_shifts_and_units_change_nothing(seed, shift, unit):
    Y, _ = with_gaps(rows_of(40, 7, 2, seed=seed), seed=seed)
    one, other = (fitted(Z, 2, em_tol=0.01, max_iter=200) for Z in (Y, (Y + shift) * unit))
    assert_allclose(
        (one.impute(Y) + shift) * unit, other.impute((Y + shift) * unit), rtol=1e-5, atol=1e-5 * unit
    )


@pytest.mark.parametrize("d", [3, 10, 25])
@pytest.mark.parametrize(("n", "share"), [(100, 0.9), (60, 0.8), (30, 0.5)])
def test_many_components_do_not_overfit(n, share, d):
    X = rows_of(n, 50, noise=0.1, seed=n)
    Y, gaps = with_gaps(X, share)
    imputed = MinimumErrorPCA(d, missing="em").fit(Y).impute(Y)
    of_mean = np.broadcast_to(np.nanmean(Y, axis=0), X.shape)
    assert np.mean((imputed - X)[gaps] ** 2) < np.mean((of_mean - X)[gaps] ** 2)


def test_what_lacks_by_what_is_observed_does_not_mislead():
    X = rows_of(3000, 6, 1)
    first = X[:, 0] - X[:, 0].mean()
    Y = X.copy()
    Y[(first > 0), 3] = np.nan
    pca = fitted(Y, 1, em_tol=1e-4)
    true, of_observed = X[:, 3].mean(), np.nanmean(Y[:, 3])
    assert abs(pca.mean_[3] - true) < 0.1 * abs(of_observed - true)


def test_tables_names_and_files(tmp_path):
    Y, gaps = with_gaps(rows_of())
    table = pd.DataFrame(Y, columns=[f"c{i}" for i in range(9)])
    pca = fitted(table, em_tol=0.1)
    pca.save(tmp_path / "pca.safetensors")
    again = load(tmp_path / "pca.safetensors")
    assert again.n_iter_ == pca.n_iter_
    assert again.get_params() == pca.get_params()
    assert_array_equal(again.impute(table), pca.impute(table))
    assert_array_equal(pca.impute(table)[~gaps], Y[~gaps])
    assert_allclose(pca.fit_transform(table), pca.transform(table))
    assert pca.fit(table.fillna(0)).n_iter_ == 1 < again.n_iter_


def test_an_end_too_early_is_told():
    Y, _ = with_gaps(rows_of(), 0.5)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1 rounds: .* em_tol=1e-09 of the noise"):
        fitted(Y, max_iter=1)


def test_nan_is_refused_by_default_and_the_option_named():
    X = rows_of()
    Y, _ = with_gaps(X)
    pca = MinimumErrorPCA(3)
    with pytest.raises(ValueError, match=r"contains NaN: .* missing='error' refuses; 'em' estimates them"):
        pca.fit(Y)
    pca.fit(X)
    for method in (pca.transform, pca.impute, pca.score_samples, pca.reconstruction_errors):
        with pytest.raises(ValueError, match="'em' estimates them"):
            method(Y)


@pytest.mark.parametrize(
    ("how", "change", "said"),
    [
        ({"svd_solver": "full"}, None, r"svd_solver='full' does not take; allowed .* 'covariance_eigh'"),
        ({"n_components": None}, None, r"n_components=None; allowed .* whole numbers below n_features=9"),
        ({"n_components": 0.5}, None, "n_components=0.5; allowed"),
        ({"n_components": 9}, None, "n_components=9; allowed"),
        ({}, lambda Y: np.where(np.arange(9) == 4, np.nan, Y), r"column 4 of X has no number \(1 of 9"),
        ({}, lambda Y: np.where(np.arange(len(Y))[:, None] == 0, Y, np.nan), "1 of 120 rows have a number"),
        ({}, lambda Y: np.where(np.arange(9) == 4, np.inf, Y), "contains infinity"),
        ({}, lambda Y: Y * 1e160, "squares of X are too large"),
        ({}, sparse.csr_array, "takes in dense arrays only"),
        (
            {},
            lambda Y: np.array_split(Y, 3),
            "missing='em' goes over all rows several times, and takes no blocks",
        ),
        ({"missing": "mean"}, None, "'missing' parameter"),
        ({"max_iter": 0}, None, "'max_iter' parameter"),
        ({"em_tol": 0}, None, "'em_tol' parameter"),
    ],
)
def test_what_cannot_be_is_refused(how, change, said):
    Y, _ = with_gaps(rows_of())
    pca = MinimumErrorPCA(**{"n_components": 3, "missing": "em", **how})
    with pytest.raises(ValueError, match=said):
        pca.fit(Y if change is None else iter(change(Y)) if isinstance(change(Y), list) else change(Y))


def test_an_empty_column_is_named():
    table = pd.DataFrame(with_gaps(rows_of())[0], columns=list("abcdefghi")).assign(c=np.nan)
    with pytest.raises(ValueError, match="column 'c' of X has no number"):
        fitted(table)


def test_partial_fit_is_refused():
    with pytest.raises(AttributeError) as refused:
        MinimumErrorPCA(3, missing="em").partial_fit(rows_of())
    assert "no partial_fit" in str(refused.value.__cause__)
