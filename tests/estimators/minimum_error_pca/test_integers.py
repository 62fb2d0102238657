"""Sums over bytes in whole numbers: exact, whatever the processor makes them by."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latents.estimators import MinimumErrorPCA
from latents.estimators.minimum_error_pca import integers, moments
from latents.estimators.minimum_error_pca.moments import ByteSums, Plan, Sums


def exact(X):
    """Return the sums of the numbers less 128, in whole numbers."""
    shifted = X.astype(np.int64) - 128
    return shifted.sum(axis=0), shifted.T @ shifted


def assert_exact(X):
    if not integers.are_right():
        pytest.skip("this processor has no products of bytes, or wrong ones")
    found = ByteSums(Plan.of(X), X.shape[1]).of(X)
    sums, products = exact(X)
    np.testing.assert_array_equal(found.sums, sums)
    np.testing.assert_array_equal(found.products, products)
    assert (found.n_samples, found.shift, found.dtype) == (len(X), 128, np.float64)
    one, other = found.moments(), Sums(Plan.of(X), X.shape[1]).of(X).moments()
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.scatter, other.scatter)


@given(
    st.integers(1, 60), st.integers(1, 300), st.integers(0, 1000), st.sampled_from(["C", "F", "step", "bool"])
)
def test_any_bytes(n, p, seed, how):
    X = np.random.default_rng(seed).integers(0, 256, size=(2 * n, p), dtype=np.uint8)
    assert_exact({"C": X[:n], "F": np.asfortranarray(X[:n]), "step": X[::2], "bool": X > 99}[how])


@pytest.mark.parametrize("number", [0, 127, 128, 255])
def test_the_largest_sums(number):
    """Of more rows than are multiplied at once, in full strips and others, with nothing to cancel."""
    assert_exact(np.full((2 * integers._ROWS + 3, integers._STRIP + 5), number, np.uint8))


def test_a_file_that_is_read_only(tmp_path):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).integers(0, 256, (50, 7), dtype=np.uint8))
    assert_exact(np.load(tmp_path / "X.npy", mmap_mode="r"))


@pytest.mark.parametrize("are_faster", [True, False])
def test_a_fit_does_not_depend_on_them(monkeypatch, are_faster):
    if are_faster and not integers.are_right():
        pytest.skip("this processor has no products of bytes, or wrong ones")
    X = np.random.default_rng(0).integers(0, 256, (4000, 600), dtype=np.uint8)
    made = []
    monkeypatch.setattr(integers, "are_faster", lambda n_threads: are_faster)
    monkeypatch.setattr(ByteSums, "of", lambda self, X, w=None: made.append(self) or ByteSums_of(self, X, w))
    plain = Sums(Plan.of(X), 600).of(X).moments()
    pca = MinimumErrorPCA(3).fit(X)
    assert bool(made) == are_faster
    np.testing.assert_array_equal(pca.mean_, plain.mean)
    assert pca.distortion_curve_[0] == pytest.approx(plain.scatter.trace() / 4000, rel=1e-12)
    made.clear()
    MinimumErrorPCA(3).fit(X.astype(np.float32))
    MinimumErrorPCA(3).fit(X, sample_weight=np.arange(4000.0))
    MinimumErrorPCA(3).fit(X[:40, :30])
    assert not made


ByteSums_of = ByteSums.of


@pytest.mark.parametrize(
    ("dtype", "p", "weighted"),
    [("float64", 1024, False), ("float32", 2048, False), ("int8", 1024, False), ("uint8", 1024, True)],
)
def test_what_is_no_bytes_is_not_taken_for_them(monkeypatch, dtype, p, weighted):
    """Whatever its blocks are: those of so many columns have as many rows as those of bytes."""
    monkeypatch.setattr(integers, "are_faster", lambda n_threads: True)
    X = np.random.default_rng(0).integers(50, 100, (1100, p)).astype(dtype)
    weights = np.arange(1100) % 3 if weighted else None
    pca = MinimumErrorPCA(3).fit(X, sample_weight=weights)
    rows = X.astype(np.float64) if weights is None else np.repeat(X.astype(np.float64), weights, axis=0)
    np.testing.assert_allclose(pca.mean_, rows.mean(axis=0), rtol=1e-5)
    assert pca.distortion_curve_[0] == pytest.approx(rows.var(axis=0).sum(), rel=1e-5)


@pytest.mark.parametrize("wrong", ["wraps", "saturates", "saturates unsigned", "lacks"])
def test_a_processor_that_adds_them_up_wrongly_is_left_alone(monkeypatch, wrong):
    def product(one, other):
        if wrong == "lacks":
            raise RuntimeError("not implemented")
        whole = one.to(torch.int64) @ other.to(torch.int64)
        if wrong == "saturates":  # pairs, in 16 bits
            pairs = one.to(torch.int64)[:, :, None] * other.to(torch.int64)[None]
            whole = (pairs[:, ::2] + pairs[:, 1::2]).clamp(-(2**15), 2**15 - 1).sum(dim=1)
        if wrong == "saturates unsigned":  # the one with 128 more, which is taken away at the end
            more, other = one.to(torch.int64) + 128, other.to(torch.int64)
            more, other = (
                torch.nn.functional.pad(x, pad) for x, pad in ((more, (0, 1)), (other, (0, 0, 0, 1)))
            )
            even = more.shape[1] // 2 * 2
            pairs = more[:, :even, None] * other[None, :even]
            whole = (pairs[:, ::2] + pairs[:, 1::2]).clamp(-(2**15), 2**15 - 1).sum(dim=1)
            whole -= 128 * other.sum(dim=0)
        return whole.to(torch.int16) if wrong == "wraps" else whole.to(torch.int32)

    monkeypatch.setattr(torch, "_int_mm", product)
    monkeypatch.setattr(integers, "_TRIED", 64)
    monkeypatch.setattr(integers, "_STRIP", 16)
    integers.are_right.cache_clear()
    integers.are_faster.cache_clear()
    try:
        assert not integers.are_right()
        assert not integers.are_faster(torch.get_num_threads())
    finally:
        integers.are_right.cache_clear()
        integers.are_faster.cache_clear()


def test_one_thread_does_not_take_those_of_torch():
    if torch.get_num_threads() > 1:
        assert not integers.are_faster(1)


def test_torch_is_not_loaded_for_it(monkeypatch):
    monkeypatch.delitem(moments.sys.modules, "torch")
    X = np.zeros((10, 3), np.uint8)
    assert type(moments.sums_on("auto", Plan.of(X), (10**6, 100), 2)) is Sums
