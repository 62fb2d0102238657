"""MinimumErrorPCA on data as they come: bytes, sparse, mapped and in blocks; and d by the error asked."""

import re
import tracemalloc
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.decomposition import PCA

from latents.estimators import MinimumErrorPCA, load
from latents.estimators.common import devices
from latents.estimators.common.blocks import LocalBlocks
from latents.estimators.minimum_error_pca import moments as module
from latents.estimators.minimum_error_pca.moments import Moments, RowSums, TorchSums

SPARSE_SOLVERS = ["covariance_eigh", "gram", "arpack", "randomized"]


def pixels(n_samples, n_features, dtype=np.uint8, seed=0):
    """Images of a few shapes and noise, over the whole range of bytes."""
    rng = np.random.default_rng(seed)
    shapes = rng.normal(size=(12, n_features)) * 1.4 ** -np.arange(12)[:, None]
    values = 128 + 40 * rng.normal(size=(n_samples, 12)) @ shapes + rng.normal(size=(n_samples, n_features))
    return values.clip(0, 255).astype(dtype)


@contextmanager
def less_memory_than(n_bytes):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < n_bytes
    finally:
        tracemalloc.stop()


# ---- d by the error asked ----------------------------------------------------------------------


@settings(max_examples=50)
@given(
    st.floats(0, 1), st.sampled_from(["full", "covariance_eigh", "gram"]), st.sampled_from([(30, 8), (8, 30)])
)
def test_the_smallest_d_that_keeps_to_the_error(share, solver, shape):
    X = np.random.default_rng(0).normal(size=shape) * 1.5 ** np.arange(shape[1])
    total = X.var(axis=0).sum()
    by_share = MinimumErrorPCA(max_distortion_share=share, svd_solver=solver).fit(X)
    by_error = MinimumErrorPCA(max_distortion=share * total, svd_solver=solver).fit(X)
    for pca in (by_share, by_error):
        d, slack = pca.n_components_, 1e-9 * total
        assert pca.distortion(X) <= share * total + slack
        if d > 0:
            fewer = MinimumErrorPCA(d - 1, svd_solver=solver).fit(X)
            assert fewer.distortion(X) > share * total - slack


def test_an_error_of_nothing_and_of_everything():
    X = pixels(50, 6)
    assert MinimumErrorPCA(max_distortion=0).fit(X).n_components_ == 6
    assert MinimumErrorPCA(max_distortion=1e9).fit(X).n_components_ == 0


@pytest.mark.parametrize("solver", ["full", "covariance_eigh", "gram"])
@pytest.mark.parametrize("seed", range(20))
def test_the_error_of_the_mean_alone_needs_no_direction(seed, solver):
    X = np.random.default_rng(seed).normal(size=(60, 40))
    for asked in ({"max_distortion_share": 1}, {"max_distortion": X.var(axis=0).sum()}):
        assert MinimumErrorPCA(**asked, svd_solver=solver).fit(X).n_components_ == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": 2, "max_distortion": 1.0}, "n_components=2 and max_distortion=1.0 were given"),
        (
            {"max_distortion_share": 0.1, "max_distortion": 1.0},
            "max_distortion=1.0 and max_distortion_share=0.1",
        ),
        ({"max_distortion": 1.0, "svd_solver": "arpack"}, "max_distortion .* with svd_solver='arpack'.*gram"),
        ({"max_distortion": -1.0}, "max_distortion"),
        ({"max_distortion_share": 1.5}, "max_distortion_share"),
    ],
)
def test_errors_that_cannot_be_asked_for(arguments, message):
    with pytest.raises(ValueError, match=message):
        MinimumErrorPCA(**arguments).fit(pixels(20, 5))


# ---- bytes and float32 -------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [3, 1024, 5000])
def test_sums_over_bytes_are_exact(n_samples):
    rng = np.random.default_rng(n_samples)
    X = rng.choice(np.array([0, 1, 254, 255], dtype=np.uint8), size=(n_samples, 5))
    whole = X.astype(np.int64)
    # N times the scatter is a whole number: products of sums and sums of products.
    expected = n_samples * (whole.T @ whole) - np.outer(whole.sum(axis=0), whole.sum(axis=0))
    moments = Moments.of(X)
    assert_allclose(moments.scatter, expected / n_samples, rtol=1e-13, atol=1e-7)
    assert_allclose(moments.mean, X.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("solver", ["full", "covariance_eigh", "gram", "arpack", "randomized"])
@pytest.mark.parametrize(
    ("value", "said"), [(np.nan, "Input X contains NaN"), (np.inf, "Input X contains infinity")]
)
def test_what_is_not_finite_is_refused(solver, value, said):
    X = pixels(600, 6, np.float32)
    X[511, 3] = value
    with pytest.raises(ValueError, match=said):
        MinimumErrorPCA(2, svd_solver=solver).fit(X)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e20), (np.float64, 1e200), (np.float64, 1e305)])
@pytest.mark.parametrize("solver", ["full", *SPARSE_SOLVERS])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_squares_beyond_the_type_are_refused(container, solver, dtype, size):
    if (container, solver) == (sparse.csr_array, "full"):
        return
    X = container(pixels(600, 6).astype(dtype) * dtype(size))
    pca = MinimumErrorPCA(2, svd_solver=solver, random_state=0)
    said = f"the squares of X are too large for its type, {np.dtype(dtype)}: .*Scale X"
    with pytest.raises(ValueError, match=said):
        pca.fit(X)
    with pytest.raises(ValueError, match=said):
        MinimumErrorPCA(2).fit([X[:300], X[300:]])
    known = MinimumErrorPCA(2).partial_fit(pixels(9, 6, dtype))
    with pytest.raises(ValueError, match=said):
        known.partial_fit(X)
    assert known.partial_fit(pixels(9, 6, dtype)).n_samples_ == 18
    if dtype is np.float32:
        assert pca.fit(X.astype(np.float64)).n_components_ == 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("whiten", [False, True])
def test_what_a_fitted_basis_refuses_goes_by_the_numbers(dtype, whiten, recwarn):
    rows = np.random.default_rng(0).normal(size=(30, 6)).astype(dtype)
    pca = MinimumErrorPCA(2, whiten=whiten).fit(rows)
    most = np.sqrt(np.finfo(dtype).max / (64 * 6))
    methods = (pca.transform, pca.reconstruction_errors, pca.distortion, pca.distortion_curve)
    methods += (pca.score, pca.score_samples)
    good, bad = rows.copy(), rows.copy()
    good[7], bad[7, 4] = 0.999 * most, 1.001 * most
    for method in methods:
        assert np.isfinite(method(good)).all()
        assert np.isfinite(method(sparse.csr_array(good))).all()
        for far in (bad, sparse.csr_array(bad)):
            with pytest.raises(
                ValueError, match=r"X\[7, 4\] is .* too far from the mean .* allowed in float"
            ):
                method(far)
    with pytest.raises(ValueError, match=r"X\[0, 1\] stands for a length of 1.*; allowed in float"):
        pca.inverse_transform(np.array([[0, 1e30 if dtype is np.float32 else 1e200]], dtype=dtype))
    assert np.isfinite(pca.inverse_transform(pca.transform(good))).all()
    assert not recwarn.list


def test_a_mean_beyond_float32_is_no_mean_of_float32_data():
    pca = MinimumErrorPCA(1).fit(np.array([[1e100, 0.0], [2e100, 1.0], [4e100, 3.0]]))
    with pytest.raises(ValueError, match=r"X\[0, 0\] is 1, too far from the mean .* allowed in float32"):
        pca.transform(np.ones((2, 2), np.float32))
    assert np.isfinite(pca.transform(np.ones((2, 2)))).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_threads_that_sum_parts_change_no_more_than_last_digits(monkeypatch, dtype):
    X = pixels(9000, 6, dtype)
    one = RowSums.of(X).moments()
    monkeypatch.setattr(module, "n_blas_threads", lambda: 3)
    three = Moments.of(X)
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    assert three.n_samples == 9000
    assert_allclose(three.mean, one.mean, rtol=tolerance)
    assert_allclose(three.scatter, one.scatter, atol=tolerance * np.abs(one.scatter).max())
    assert_array_equal(Moments.of(X).scatter, three.scatter)


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("far", [0, 100])
def test_sums_by_torch_are_those_by_numpy(dtype, far):
    X = pixels(3000, 6, dtype) + dtype(far)
    X.flags.writeable = False
    plan = module.Plan.of(X)
    expected = module.Sums(plan, 6).of(X).moments()
    found = TorchSums(plan, 6, torch.device("cpu")).of(X).moments()
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    assert found.n_samples == 3000
    assert_allclose(found.mean, expected.mean, rtol=tolerance)
    assert_allclose(found.scatter, expected.scatter, atol=tolerance * np.abs(expected.scatter).max())


def test_auto_asks_torch_for_a_device_only_where_sums_take_long(monkeypatch):
    asked = []
    monkeypatch.setattr(devices, "resolve_device", lambda name: asked.append(name) or torch.device("cpu"))
    X = pixels(90, 6)
    MinimumErrorPCA(2, svd_solver="covariance_eigh").fit(X)
    assert asked == []
    monkeypatch.setattr(module, "_MANY_PRODUCTS", 90 * 36)
    MinimumErrorPCA(2, svd_solver="covariance_eigh").fit(X)
    assert asked == ["auto"]


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="device is 'cuda:77', which torch cannot use here"):
        MinimumErrorPCA(2, svd_solver="covariance_eigh", device="cuda:77").fit(pixels(90, 6))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA")
def test_on_cuda():
    X = pixels(3000, 6)
    pca = MinimumErrorPCA(2, svd_solver="covariance_eigh", device="cuda").fit(X)
    assert_allclose(pca.distortion_curve_, MinimumErrorPCA(2).fit(X).distortion_curve_, rtol=1e-10)


@pytest.mark.parametrize("far", [0, 1e3])
def test_float32_eigenvalues_are_those_of_the_svd_in_float64(far):
    X = pixels(20_000, 40, np.float32) / np.float32(255) + np.float32(far)
    double = X.astype(np.float64)
    expected = np.linalg.svd(double - double.mean(axis=0), compute_uv=False) ** 2 / (len(X) - 1)
    pca = MinimumErrorPCA(20, svd_solver="covariance_eigh").fit(X)
    assert pca.components_.dtype == np.float32
    assert_allclose(pca.mean_, double.mean(axis=0), rtol=1e-7)
    # The docstring: good to about 1e-7 lambda_1.
    assert_allclose(pca.explained_variance_, expected[:20], rtol=1e-6, atol=2e-7 * expected[0])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("solver", ["full", "covariance_eigh", "gram", "arpack"])
def test_every_type_of_number_gives_what_float64_gives(dtype, order, solver):
    X = np.asarray(pixels(60, 20) > 128 if dtype is bool else pixels(60, 20).astype(dtype), order=order)
    expected = PCA(4, svd_solver="full").fit(X.astype(np.float64))
    pca = MinimumErrorPCA(4, svd_solver=solver, random_state=0).fit(X)
    tight = dtype is not np.float32
    assert pca.components_.dtype == (np.float64 if tight else np.float32)
    assert_allclose(pca.components_, expected.components_, atol=1e-9 if tight else 1e-4)
    assert_allclose(pca.explained_variance_, expected.explained_variance_, rtol=1e-10 if tight else 1e-5)
    assert_allclose(pca.transform(X), expected.transform(X.astype(float)), atol=1e-7 if tight else 1e-1)
    assert_allclose(pca.distortion(X), pca.distortion_, rtol=1e-9 if tight else 1e-4)


@pytest.mark.parametrize(("dtype", "mean"), [(np.uint8, 0), (np.float32, 0), (np.float32, 1000)])
def test_no_float_copy_of_the_data_is_made(tmp_path, dtype, mean):
    X = pixels(60_000, 300, dtype) + dtype(mean)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    with less_memory_than(4 * X.size / 2):
        pca = MinimumErrorPCA(10).fit(mapped)
        pca.distortion_curve(mapped)
        pca.reconstruction_errors(mapped)
    assert_allclose(pca.explained_variance_, MinimumErrorPCA(10).fit(X).explained_variance_)


def test_no_float_copy_of_wide_bytes_is_made():
    X = np.random.default_rng(0).integers(0, 255, size=(200, 60_000), dtype=np.uint8)
    with less_memory_than(8 * X.size / 2):
        pca = MinimumErrorPCA(5).fit(X)
        pca.distortion_curve(X)
        pca.reconstruction_errors(X)


# ---- sparse ------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64])
@pytest.mark.parametrize("solver", [*SPARSE_SOLVERS, "auto"])
@pytest.mark.parametrize("shape", [(200, 50), (50, 200)])
def test_sparse_data_give_what_dense_data_give(shape, solver, dtype, container):
    rng = np.random.default_rng(0)
    dense = (rng.poisson(0.3, size=shape) * rng.integers(1, 5, size=shape[1])).astype(dtype)
    dense[:, :3] *= 20
    arguments = {"svd_solver": solver, "random_state": 0, "iterated_power": 30}
    X = container(dense)
    pca = MinimumErrorPCA(3, **arguments).fit(X)
    expected = MinimumErrorPCA(3, svd_solver="full").fit(dense.astype(np.float64))
    rtol = 2e-3 if dtype is np.float32 else 1e-7
    for name in ("components_", "explained_variance_", "mean_", "distortion_", "offsets_"):
        assert_allclose(getattr(pca, name), getattr(expected, name), rtol=rtol, atol=rtol, err_msg=name)
    assert_allclose(pca.transform(X), expected.transform(dense.astype(float)), rtol=rtol, atol=100 * rtol)
    assert_allclose(pca.fit_transform(X), pca.transform(X), rtol=rtol, atol=rtol)
    assert_allclose(
        pca.reconstruction_errors(X), expected.reconstruction_errors(dense.astype(float)), rtol=rtol
    )
    # Else the covariance spreads what is left over all p - d directions, as scikit-learn's does.
    if shape[0] > shape[1]:
        assert_allclose(pca.score(X), expected.score(dense.astype(float)), rtol=rtol)


def test_sparse_data_are_never_made_dense():
    X = sparse.random_array((20_000, 20_000), density=5e-5, rng=np.random.default_rng(0), format="csr")
    with less_memory_than(8 * 20_000 * 200):
        pca = MinimumErrorPCA(3, random_state=0).fit(X)
    assert pca.svd_solver_ == "arpack"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", SPARSE_SOLVERS)
@pytest.mark.parametrize("shape", [(300, 80), (80, 300)])
def test_a_sparse_column_of_years_costs_no_digits(shape, solver, dtype):
    rng = np.random.default_rng(0)
    dense = rng.poisson(2, size=shape) * (rng.random(shape) < 0.05) * 1.1 ** -np.arange(shape[1])
    dense[:, 0] = rng.integers(1990, 2021, size=shape[0])
    X = sparse.csr_array(dense.astype(dtype))
    arguments = {"random_state": 0, "iterated_power": 30}
    pca = MinimumErrorPCA(4, svd_solver=solver, **arguments).fit(X)
    expected = MinimumErrorPCA(4, svd_solver="full").fit(X.toarray().astype(np.float64))
    atol = (2e-6 if dtype is np.float32 else 1e-11) * expected.distortion_curve_[0]
    assert pca.components_.dtype == pca.transform(X).dtype == dtype
    assert_allclose(pca.distortion_curve_[[0, 4]], expected.distortion_curve_[[0, 4]], atol=atol)
    assert_allclose(pca.distortion(X), expected.distortion_, atol=atol)
    assert_allclose(pca.explained_variance_, expected.explained_variance_, rtol=0, atol=atol)


def test_the_total_variance_of_sparse_data_does_not_cancel():
    X = sparse.random_array((400, 60), density=0.1, rng=np.random.default_rng(0), format="lil")
    X[:, 0] = 1e6 + np.random.default_rng(1).random((400, 1))
    pca = MinimumErrorPCA(2, svd_solver="arpack", random_state=0).fit(X)
    assert_allclose(pca.distortion_curve_[0], X.toarray().var(axis=0).sum(), rtol=1e-9)


@pytest.mark.parametrize("solver", SPARSE_SOLVERS)
def test_sparse_numbers_may_be_given_in_parts(solver):
    halves = sparse.csr_array((np.ones(6), [0, 0, 1, 2, 2, 0], [0, 2, 3, 5, 6]), shape=(4, 3))
    pca = MinimumErrorPCA(1, svd_solver=solver, random_state=0).fit(halves)
    assert_allclose(pca.distortion_, MinimumErrorPCA(1).fit(halves.toarray()).distortion_)
    assert halves.nnz == 6


def test_full_refuses_sparse_data():
    with pytest.raises(
        ValueError, match=r"'full' would make X dense; allowed .*covariance_eigh, gram, arpack"
    ):
        MinimumErrorPCA(2, svd_solver="full").fit(sparse.eye_array(8, format="csr"))


# ---- blocks ------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    cuts=st.lists(st.integers(1, 59), max_size=6, unique=True),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([np.uint8, np.float32, np.float64]),
    as_sparse=st.booleans(),
)
def test_blocks_in_any_order_are_the_whole(cuts, seed, dtype, as_sparse):
    X = pixels(60, 7, dtype)
    blocks = np.split(X, sorted(cuts))
    np.random.default_rng(seed).shuffle(blocks)
    if as_sparse and dtype is not np.uint8:
        blocks = [sparse.csr_array(block) for block in blocks]
    arguments = {"max_distortion_share": 0.1}
    whole = MinimumErrorPCA(**arguments, svd_solver="covariance_eigh").fit(X)
    one_by_one = MinimumErrorPCA(**arguments)
    for block in blocks:
        one_by_one.partial_fit(block)
    blocks_at_once = MinimumErrorPCA(**arguments).fit(blocks)
    rtol, total = (1e-10 if dtype is not np.float32 else 1e-5), whole.distortion_curve_[0]
    for pca in (blocks_at_once, MinimumErrorPCA(**arguments).fit(iter(blocks)), one_by_one):
        assert pca.n_samples_ == 60
        assert_allclose(pca.components_, whole.components_, atol=100 * rtol)
        assert_allclose(pca.explained_variance_, whole.explained_variance_, rtol=10 * rtol)
        assert_allclose(pca.mean_, whole.mean_, rtol=rtol)
        assert_allclose(pca.distortion_curve_, whole.distortion_curve_, rtol=rtol, atol=rtol / 10 * total)
        assert pca.components_.dtype == whole.components_.dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, "sparse"])
def test_blocks_give_the_same_bits_with_any_threads_and_bytes_those_of_the_whole(dtype):
    X = pixels(9000, 9, np.float64 if dtype == "sparse" else dtype)
    blocks = np.split(X, [100, 2500, 2600, 5000, 8000])
    if dtype == "sparse":
        blocks = [sparse.csr_array(block) for block in blocks]
    fits = [MinimumErrorPCA(4).fit(LocalBlocks(blocks, n_threads)) for n_threads in (1, 2, 5)]
    for fit in fits[1:]:
        assert_array_equal(fit.components_, fits[0].components_)
        assert_array_equal(fit.distortion_curve_, fits[0].distortion_curve_)
    whole = MinimumErrorPCA(4, svd_solver="covariance_eigh").fit(X)
    if dtype == np.uint8:
        assert_array_equal(fits[0].distortion_curve_, whole.distortion_curve_)
    assert_allclose(fits[0].explained_variance_, whole.explained_variance_, rtol=4e-7)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([np.eye(3), np.ones((3, 4))], "block 1: X has 4 features"),
        ([np.eye(3), np.full((2, 3), np.nan)], "block 1: .*NaN"),
        ([np.ones(3), np.eye(3)], "block 0: Expected 2D"),
    ],
)
def test_what_is_wrong_with_a_block_is_told_whoever_reads_it(blocks, message):
    for X in (iter(blocks), LocalBlocks(blocks)):
        with pytest.raises(ValueError, match=message):
            MinimumErrorPCA(1).fit(X)


def test_scatter_of_blocks_far_apart():
    near, far = pixels(40, 4).astype(float), pixels(30, 4).astype(float) + 1e6
    moments = (RowSums.of(near) + RowSums.of(far)).moments()
    X = np.vstack([near, far])
    assert_allclose(moments.scatter, (X - X.mean(axis=0)).T @ (X - X.mean(axis=0)), rtol=1e-12)


def test_partial_fit_goes_on_after_saving(tmp_path):
    X = pixels(90, 8)
    MinimumErrorPCA(max_distortion_share=0.2).partial_fit(X[:50]).save(tmp_path / "pca.safetensors")
    pca = load(tmp_path / "pca.safetensors").partial_fit(X[50:])
    whole = MinimumErrorPCA(max_distortion_share=0.2).fit(X)
    assert pca.n_components_ == whole.n_components_
    assert_allclose(pca.components_, whole.components_, atol=1e-10)


@pytest.mark.parametrize("size", [1, 20, 33])
@pytest.mark.parametrize("n_components", [None, 0.5, "mle", 30, 60])
def test_blocks_smaller_than_d_are_learned_from(n_components, size):
    X = np.random.default_rng(0).normal(size=(100, 60)) * 1.05 ** np.arange(60)
    pca = MinimumErrorPCA(n_components)
    for start in range(0, 100, size):
        pca.partial_fit(X[start : start + size])
        assert pca.n_samples_ == min(start + size, 100)
        if isinstance(n_components, int):
            assert pca.n_components_ == min(n_components, pca.n_samples_)
        assert np.isfinite(pca.transform(X)).all()
    whole = MinimumErrorPCA(n_components, svd_solver="covariance_eigh").fit(X)
    assert pca.n_components_ == whole.n_components_
    assert_allclose(pca.components_, whole.components_, atol=1e-8)


def test_partial_fit_refuses_at_once_what_no_number_of_samples_can_give():
    with pytest.raises(ValueError, match="n_components=9 must be between 0 and"):
        MinimumErrorPCA(9).partial_fit(pixels(3, 8))


def test_one_sample_is_its_own_mean():
    X = pixels(1, 4)
    pca = MinimumErrorPCA().partial_fit(X)
    assert (pca.n_components_, pca.distortion_, pca.noise_variance_) == (1, 0, 0)
    assert_array_equal(pca.mean_, X[0])
    assert_array_equal(pca.explained_variance_, 0)


def test_fit_begins_anew():
    X = pixels(60, 5)
    pca = MinimumErrorPCA(2).partial_fit(X[:30]).fit(X[30:])
    assert not hasattr(pca, "scatter_")
    assert pca.n_samples_ == 30


@pytest.mark.parametrize("blocks", [False, True])
def test_partial_fit_does_not_forget_a_fit_in_silence(blocks):
    X = pixels(60, 5)
    pca = MinimumErrorPCA(2).fit([X[:20], X[20:]] if blocks else X)
    with pytest.warns(UserWarning, match="begins anew.*n_samples_=60.*partial_fit in place of fit") as told:
        pca.partial_fit(X[:30])
    assert pca.n_samples_ == 30
    assert told[0].filename == __file__
    with warnings.catch_warnings(action="error"):
        assert pca.partial_fit(X[30:]).n_samples_ == 60


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "minimum of 1 is required|no blocks|Expected 2D|got an empty"),
        (iter([]), "no blocks"),
        ([np.ones((1, 3))], "1 sample"),
        ([np.ones((3, 3)), np.ones((3, 4))], "4 features"),
        ([np.eye(3), np.full((2, 3), np.nan)], "NaN"),
        ([np.eye(3, 5)], "n_components=4"),
    ],
)
def test_blocks_that_make_no_data(blocks, message):
    with pytest.raises(ValueError, match=message):
        MinimumErrorPCA(4).fit(blocks)


def test_only_the_covariance_is_summed_over_blocks():
    X = pixels(20, 5)
    assert not hasattr(MinimumErrorPCA(2, svd_solver="full"), "partial_fit")
    with pytest.raises(ValueError, match=r"svd_solver='gram'.*covariance_eigh"):
        MinimumErrorPCA(2, svd_solver="gram").fit(iter([X]))
    assert_array_equal(MinimumErrorPCA(2).partial_fit(X).svd_solver_, "covariance_eigh")


@pytest.mark.parametrize("method", ["fit_transform", "partial_fit", "transform", "distortion", "score"])
def test_blocks_are_for_fit_alone(method):
    X = pixels(20, 5)
    pca = MinimumErrorPCA(2).partial_fit(X)
    for blocks in ([X[:10], X[10:]], [X[:3], X[3:]], iter([X])):
        with pytest.raises(ValueError, match="iterable of blocks, which only fit takes"):
            getattr(pca, method)(blocks)


def test_the_documented_example_fits_rows_from_disk(tmp_path, monkeypatch):
    manual = (Path(__file__).parents[3] / "docs/models.md").read_text()
    (code,) = re.findall(r"```python\n([^`]*MinimumErrorPCA[^`]*)```", manual)
    (tmp_path / "data").mkdir()
    X = pixels(400, 8)
    X[123] = 255 * (np.arange(8) % 2)
    np.save(tmp_path / "data/rows.npy", X)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["pca"].distortion_ <= 0.1 * found["pca"].distortion_curve_[0]
    assert 123 in found["outliers"]
