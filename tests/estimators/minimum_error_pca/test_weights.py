"""MinimumErrorPCA with weights, held against the same rows repeated, or left out, and the sums of the source."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from latents.estimators import MinimumErrorPCA, load
from latents.estimators.common.blocks import InMemory, LocalBlocks
from latents.estimators.minimum_error_pca import moments as module
from latents.estimators.minimum_error_pca.moments import RowSums, Sums, TorchSums

SOLVERS = ["full", "covariance_eigh", "gram", "arpack", "randomized"]
SHAPES = {"tall": (60, 12), "wide": (16, 50)}
DTYPES = [np.uint8, bool, np.int64, np.float32, np.float64]
LEARNED = (
    *("components_", "mean_", "offsets_", "singular_values_", "explained_variance_"),
    *("explained_variance_ratio_", "distortion_", "noise_variance_"),
)


def rows_of(shape, dtype=np.float64, seed=0, far=128.0):
    """Rows of falling variances, around a mean that is far from 0 or not, over the range of bytes."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(shape[1], min(shape))))[0]
    values = (rng.normal(size=(shape[0], min(shape))) * 40 * 0.75 ** np.arange(min(shape))) @ basis.T
    values = values + rng.normal(size=shape) * 0.1
    return values > 0 if dtype is bool else (far + values).clip(0 if far else -999, 255).astype(dtype)


def whole_weights(n, seed=0, most=4):
    weights = np.random.default_rng(seed).integers(0, most + 1, size=n)
    weights[:3] = 0, 1, most  # whatever the draw
    return weights


def fitted(X, weights=None, d=4, **arguments):
    arguments = {"random_state": 0, "iterated_power": 30, **arguments}
    return MinimumErrorPCA(d, **arguments).fit(X, sample_weight=weights)


def assert_same_fit(found, expected, dtype=np.float64, names=LEARNED):
    rtol = 2e-4 if dtype == np.float32 else 1e-8
    for name in names:
        value = getattr(expected, name)
        atol = rtol * float(np.abs(value).max(initial=0)) + 1e-12
        mine = getattr(found, name)
        if name == "components_":  # where two entries are largest, rounding decides the sign
            mine, atol = mine * np.sign((mine * value).sum(axis=1, keepdims=True)), 20 * rtol
        assert_allclose(mine, value, rtol=rtol, atol=atol, err_msg=name)
        assert getattr(getattr(found, name), "dtype", None) == getattr(value, "dtype", None)
    k = expected.n_components_ + 1
    total = expected.distortion_curve_[0]
    assert_allclose(found.distortion_curve_[:k], expected.distortion_curve_[:k], atol=rtol * total)


# ---- whole weights are repeated rows, and a weight of 0 is no row -------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("far", [0.0, 128.0])
def test_whole_weights_are_repeated_rows(solver, shape, dtype, far):
    if not far and dtype in (np.uint8, bool):
        return
    X, weights = rows_of(SHAPES[shape], dtype, far=far), whole_weights(SHAPES[shape][0])
    found = fitted(X, weights, svd_solver=solver)
    expected = fitted(np.repeat(X, weights, axis=0), svd_solver=solver)
    assert_same_fit(found, expected, dtype)
    assert found.total_weight_ == expected.n_samples_ == weights.sum()
    assert found.n_samples_ == np.count_nonzero(weights)
    rtol = 1e-3 if dtype is np.float32 else 1e-8
    assert_allclose(found.score(X), expected.score(X), rtol=rtol)
    assert_allclose(found.reconstruction_errors(X), expected.reconstruction_errors(X), atol=1000 * rtol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solver", SOLVERS[1:])
def test_whole_weights_of_sparse_rows(solver, shape, dtype):
    X = rows_of(SHAPES[shape], dtype)
    X[X < 140] = 0
    X[:, 0] = 150 + np.arange(len(X)) % 3  # a column without zeros
    weights = whole_weights(len(X))
    found = fitted(sparse.csr_array(X), weights, svd_solver=solver)
    assert_same_fit(found, fitted(np.repeat(X, weights, axis=0), svd_solver=solver), dtype)


@settings(max_examples=60)
@given(
    st.sampled_from(SOLVERS),
    st.tuples(st.integers(6, 40), st.integers(3, 30)),
    st.integers(0, 2**16),
    st.sampled_from([0.5, 0.9, 2]),
)
def test_any_shape_and_any_way_to_ask(solver, shape, seed, wanted):
    X, weights = rows_of(shape, seed=seed), whole_weights(shape[0], seed)
    if solver in ("arpack", "randomized"):
        wanted = 2
    if np.count_nonzero(weights) < 4:
        return
    found = fitted(X, weights, wanted, svd_solver=solver)
    expected = fitted(np.repeat(X, weights, axis=0), None, wanted, svd_solver=solver)
    assert found.n_components_ == expected.n_components_
    assert_same_fit(found, expected)


@pytest.mark.parametrize("solver", ["full", "covariance_eigh"])
def test_the_evidence_counts_whole_weights(solver):
    X, weights = rows_of((40, 6), seed=3), whole_weights(40)
    found = fitted(X, weights, "mle", svd_solver=solver)
    expected = fitted(np.repeat(X, weights, axis=0), None, "mle", svd_solver=solver)
    assert_same_fit(found, expected)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_weight_of_0_leaves_a_row_out_to_the_last_bit(solver, dtype, container):
    if container is sparse.csr_array and (solver == "full" or dtype is np.uint8):
        return
    X, rng = rows_of((90, 11), dtype), np.random.default_rng(0)
    weights = rng.random(90) * (rng.random(90) < 0.6)
    kept = weights > 0
    X[~kept] = 255  # which must not matter
    found = fitted(container(X), weights, svd_solver=solver)
    expected = fitted(container(X[kept]), weights[kept], svd_solver=solver)
    assert found.n_samples_ == kept.sum()
    for name in (*LEARNED, "distortion_curve_", "total_weight_"):
        assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_parts_that_threads_sum_leave_rows_out_too(monkeypatch, tmp_path, dtype):
    monkeypatch.setattr(module, "n_blas_threads", lambda: 3)
    X, weights = rows_of((9000, 6), dtype), whole_weights(9000) / 3
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    found = fitted(mapped, weights, svd_solver="covariance_eigh")
    kept = weights > 0
    expected = fitted(X[kept], weights[kept], svd_solver="covariance_eigh")
    assert_array_equal(found.components_, expected.components_)
    assert_same_fit(found, fitted(X, weights, svd_solver="full"), dtype)


def test_no_float_copy_of_bytes_on_disk_is_made(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, size=(40_000, 200), dtype=np.uint8)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    tracemalloc.start()
    fitted(mapped, np.arange(len(X)) % 3)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 * X.size / 2


# ---- the sums of the source ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_j_is_the_weighted_error(solver, shape, dtype):
    X, rng = rows_of(SHAPES[shape], dtype), np.random.default_rng(1)
    weights = rng.gamma(0.5, size=len(X))
    pca = fitted(X, weights, svd_solver=solver)
    rows, shares = X.astype(np.float64), weights / weights.sum()
    centred = rows - shares @ rows
    S = (centred.T * shares) @ centred
    eigenvalues = np.linalg.eigvalsh(S)[::-1]
    rtol = 1e-4 if dtype is np.float32 else 1e-9
    assert_allclose(pca.mean_, shares @ rows, rtol=1e-6 if dtype is np.float32 else 1e-12)
    assert_allclose(pca.distortion_, eigenvalues[4:].sum(), rtol=rtol)
    rest = centred - centred @ pca.components_.T.astype(float) @ pca.components_
    assert_allclose(pca.distortion_, shares @ (rest**2).sum(axis=1), rtol=rtol)
    assert_allclose(pca.distortion_, shares @ pca.reconstruction_errors(X), rtol=rtol)
    assert_allclose(pca.distortion(X, weights), pca.distortion_, rtol=rtol)
    assert_allclose(pca.distortion_curve(X, weights), pca.distortion_curve_[:5], rtol=rtol)
    assert_allclose(pca.distortion_curve_[0], np.trace(S), rtol=rtol)
    assert_allclose(pca.score(X, sample_weight=weights), shares @ pca.score_samples(X), rtol=1e-5)
    assert_allclose(pca.singular_values_**2, weights.sum() * eigenvalues[:4], rtol=rtol)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-28, 1e-6, 1.0, 1e28])
def test_where_weights_add_up_to_no_more_than_the_rows_they_tell_shares(solver, dtype, scale):
    X, rng = rows_of((60, 12), dtype), np.random.default_rng(1)
    weights = rng.random(60)
    found = fitted(X, scale * weights, svd_solver=solver)
    expected = fitted(X, weights / weights.max(), svd_solver=solver)
    names = {*LEARNED} - {"singular_values_"}
    if scale > 1:  # each row is then of very many samples
        names -= {"explained_variance_", "noise_variance_"}
        n = scale * weights.sum()
        assert_allclose(found.explained_variance_, found.singular_values_**2 / n, rtol=1e-5)
    assert_same_fit(found, expected, dtype, sorted(names))


@pytest.mark.parametrize("weight", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("solver", SOLVERS)
def test_equal_weights(solver, weight):
    X = rows_of((60, 12))
    found, plain = fitted(X, np.full(60, weight), svd_solver=solver), fitted(X, svd_solver=solver)
    n = max(60 * weight, 60)
    ratio = n / (n - 1) / (60 / 59)
    assert_allclose(found.explained_variance_, ratio * plain.explained_variance_, rtol=1e-9)
    assert_allclose(found.noise_variance_, ratio * plain.noise_variance_, rtol=1e-9)
    names = {*LEARNED} - {"explained_variance_", "noise_variance_", "singular_values_"}
    assert_same_fit(found, plain, names=sorted(names))


def test_weights_turn_the_basis():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(100, 2)) * [5, 1], rng.normal(size=(100, 2)) * [1, 5]])
    first = np.arange(200) < 100
    assert abs(fitted(X, np.where(first, 1, 1e-3), 1).components_[0, 0]) > 0.99
    assert abs(fitted(X, np.where(first, 1e-3, 1), 1).components_[0, 1]) > 0.99


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.float64])
def test_weighted_sums_by_torch_are_those_by_numpy(dtype):
    X, weights = rows_of((3000, 6), dtype), np.random.default_rng(0).random(3000)
    plan = module.Plan.of(X, has_weights=True)
    expected = Sums(plan, 6).of(X, weights).moments()
    found = TorchSums(plan, 6, torch.device("cpu")).of(X, weights).moments()
    rtol = 1e-5 if dtype is np.float32 else 1e-12
    assert found.total_weight == expected.total_weight == weights.sum()
    assert_allclose(found.mean, expected.mean, rtol=rtol)
    assert_allclose(found.scatter, expected.scatter, atol=rtol * np.abs(expected.scatter).max())


# ---- blocks ------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    cuts=st.lists(st.integers(1, 59), max_size=6, unique=True),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([np.uint8, np.float32, np.float64]),
    as_sparse=st.booleans(),
)
def test_blocks_are_the_whole(cuts, seed, dtype, as_sparse):
    X, cuts = rows_of((60, 7), dtype), sorted(cuts)
    rng = np.random.default_rng(seed)
    weights = rng.random(60) * (rng.random(60) < 0.7)
    weights[0] += 1  # partial_fit cannot begin with rows that do not count
    blocks, of_blocks = np.split(X, cuts), np.split(weights, cuts)
    for of_block in of_blocks[1:2]:
        of_block[: 60 if len(of_block) < 30 else 10] = 0  # a view of all of them
    if as_sparse and dtype is not np.uint8:
        blocks = [sparse.csr_array(block) for block in blocks]
    whole = fitted(X, weights, svd_solver="covariance_eigh")
    one_by_one = MinimumErrorPCA(4)
    for block, of_block in zip(blocks, of_blocks, strict=True):
        one_by_one.partial_fit(block, sample_weight=of_block)
    for pca in (
        MinimumErrorPCA(4).fit(blocks, sample_weight=weights),
        MinimumErrorPCA(4).fit(iter(blocks), sample_weight=weights),
        MinimumErrorPCA(4).fit(LocalBlocks(blocks, 2), sample_weight=weights),
        one_by_one,
    ):
        assert pca.n_samples_ == np.count_nonzero(weights)
        assert_allclose(pca.total_weight_, weights.sum())
        assert_same_fit(pca, whole, dtype)


def test_one_block_in_memory():
    X, weights = rows_of((60, 7)), whole_weights(60)
    assert_same_fit(
        MinimumErrorPCA(4).fit(InMemory(X), sample_weight=weights),
        fitted(np.repeat(X, weights, axis=0)),
    )


def test_rows_without_weights_weigh_one_beside_those_with(tmp_path):
    X, weights = rows_of((60, 7)), whole_weights(30)
    mixed = MinimumErrorPCA(4).partial_fit(X[:30]).partial_fit(X[30:], sample_weight=weights)
    expected = fitted(np.concatenate([X[:30], np.repeat(X[30:], weights, axis=0)]))
    assert_same_fit(mixed, expected)
    assert mixed.total_weight_ == expected.n_samples_

    mixed = MinimumErrorPCA(4).partial_fit(X[30:], sample_weight=weights)
    mixed.save(tmp_path / "pca.safetensors")
    restored = load(tmp_path / "pca.safetensors")
    assert type(restored.total_weight_) is type(mixed.total_weight_) is float
    assert restored.total_weight_ == mixed.total_weight_
    mixed = restored.partial_fit(X[:30])
    assert_same_fit(mixed, expected)
    before = dict(vars(mixed))
    mixed.partial_fit(X, sample_weight=np.zeros(60))
    for name, value in before.items():
        assert_array_equal(getattr(mixed, name), value)


def test_sums_of_no_rows_change_nothing():
    X = rows_of((60, 7))
    some, none = RowSums.of(X, weights=np.ones(60)), RowSums.of(X, weights=np.zeros(60))
    assert (none + some) is some
    assert (some + none) is some


def test_one_row_with_a_weight_is_one_sample():
    X, weights = rows_of((20, 5)), np.zeros(20)
    weights[7] = 3
    pca = MinimumErrorPCA().partial_fit(X, sample_weight=weights)
    assert (pca.n_components_, pca.distortion_, pca.noise_variance_) == (1, 0, 0)
    assert_allclose(pca.mean_, X[7])
    for given_as in (X, [X[:9], X[9:]], LocalBlocks([X[:9], X[9:]])):
        with pytest.raises(ValueError, match="above 0 for 1 sample; a minimum of 2 is required"):
            MinimumErrorPCA(1).fit(given_as, sample_weight=weights)


# ---- edges -----------------------------------------------------------------------------------


def test_no_weights_are_told_of_where_none_were_given():
    X = rows_of((60, 7))
    pca = MinimumErrorPCA(2).fit(X, sample_weight=np.ones(60))
    assert pca.total_weight_ == 60
    assert not hasattr(pca.fit(X), "total_weight_")
    assert not hasattr(pca.fit([X[:30], X[30:]]), "total_weight_")


@pytest.mark.parametrize("weights", [whole_weights(60), [0.5] * 60, pd.Series(np.ones(60), name="w")])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("copy", [True, False])
def test_coordinates_are_those_of_all_rows_and_nothing_given_is_changed(solver, weights, copy):
    X = rows_of((60, 7))
    before, weights_before = X.copy(), np.array(weights)
    pca = MinimumErrorPCA(3, svd_solver=solver, copy=copy, random_state=0)
    Z = pca.fit_transform(X, sample_weight=weights)
    assert_array_equal(X, before)
    assert_array_equal(weights, weights_before)
    assert_allclose(Z, pca.transform(X), atol=1e-10)


def test_a_sparse_column_of_years_costs_no_digits():
    rng = np.random.default_rng(0)
    X = sparse.random_array((400, 60), density=0.1, rng=rng, format="lil")
    X[:, 0] = 1e6 + rng.random((400, 1))
    weights = rng.random(400)
    pca = fitted(X, weights, 2, svd_solver="arpack")
    rows, shares = X.toarray(), weights / weights.sum()
    assert_allclose(pca.distortion_curve_[0], shares @ ((rows - shares @ rows) ** 2).sum(axis=1), rtol=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_directions_are_no_more_than_rows_with_a_weight(solver):
    X, weights = rows_of((9, 20)), np.zeros(9)
    weights[:4] = 5
    with pytest.raises(ValueError, match=r"n_components=5 must be .*=4.*n_samples=4"):
        fitted(X, weights, 5, svd_solver=solver)


def test_samples_are_rows_whose_weight_is_above_0_and_may_not_be_finite_numbers_alone():
    X, weights = rows_of((9, 4)), np.ones(9)
    weights[3], X[3, 2] = 0, np.nan
    for solver in SOLVERS:
        with pytest.raises(ValueError, match="contains NaN"):
            fitted(X, weights, 2, svd_solver=solver)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], "sample_weight has 2 numbers, and X has 20 rows; allowed is one for each"),
        ([], "sample_weight has 0 numbers, and X has 20 rows"),
        (np.ones(21), "sample_weight has 21 numbers, and X has 20 rows; allowed is one for each"),
        (np.r_[np.ones(19), -1], r"sample_weight\[19\] is -1.0; allowed are numbers of at least 0"),
        (np.r_[np.nan, np.ones(19)], r"sample_weight\[0\] is nan; allowed are numbers of at least 0"),
        (np.r_[1, np.inf, np.ones(18)], r"sample_weight\[1\] is inf"),
        (np.zeros(20), "sample_weight is zero throughout"),
        (np.ones((20, 1)), r"sample_weight has shape \(20, 1\); allowed is a number for each row"),
        (2.0, r"sample_weight has shape \(\)"),
        (["heavy"] * 20, "could not convert string to float"),
        (np.full(20, 1e200), r"sample_weight adds up to 2e\+201; allowed is 1e-30 to 1e\+30: scale it"),
        (np.full(20, 1e-200), "sample_weight adds up to 2e-199"),
        (np.full(20, 1e308), "sample_weight adds up to inf"),
    ],
)
def test_weights_that_cannot_be(weights, message):
    X = rows_of((20, 4))
    for fit in (MinimumErrorPCA(2).fit, MinimumErrorPCA(2).fit_transform, MinimumErrorPCA(2).partial_fit):
        with pytest.raises(ValueError, match=message):
            fit(X, sample_weight=weights)
    of_blocks = message.replace("X has 20 rows", r"(X has 20 rows|the blocks have \d+ rows or more)")
    of_blocks = of_blocks.replace("; allowed is one for each", "")
    if np.shape(weights) == (0,):
        of_blocks = "sample_weight is zero throughout"
    for blocks in ([X[:9], X[9:]], LocalBlocks([X[:9], X[9:]])):
        with pytest.raises(ValueError, match=of_blocks):
            MinimumErrorPCA(2).fit(blocks, sample_weight=weights)
    if not message.startswith("sample_weight adds up"):
        pca = MinimumErrorPCA(2).fit(X)
        for measure in (pca.score, pca.distortion, pca.distortion_curve):
            with pytest.raises(ValueError, match=message):
                measure(X, sample_weight=weights)
