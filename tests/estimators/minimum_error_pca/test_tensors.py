"""MinimumErrorPCA of torch tensors, held against the same numbers as arrays.

Each test of a device runs on the CPU, where a fit sees tensors as arrays; on the CPU taken for a device where
NumPy cannot get at them, so that torch computes; and on CUDA, where there is one. What leaves a tensor is watched.
"""

import os
import subprocess
import sys
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from latents.estimators import MinimumErrorPCA, load
from latents.estimators.minimum_error_pca.centred_tensor import CentredTensor
from latents.estimators.minimum_error_pca.moments import RowSums, TorchSums
from latents.estimators.minimum_error_pca.solvers import SOLVERS
from latents.estimators.minimum_error_pca.tensors import TensorRows

# "elsewhere" is the CPU, taken for a device where NumPy cannot get at tensors.
ROUTES = ["cpu", "elsewhere", *(["cuda"] if torch.cuda.is_available() else [])]
ON_TORCH = [solver for solver in SOLVERS if solver != "full"]
FULL = ("covariance_eigh", "gram")
SHAPES = {"tall": (90, 12), "wide": (16, 50)}
DTYPES = ["bool", "uint8", "int16", "int64", "uint16", "float16", "bfloat16", "float32", "float64"]
LEARNED = (
    *("mean_", "offsets_", "singular_values_", "explained_variance_", "explained_variance_ratio_"),
    *("distortion_", "noise_variance_"),
)
OF_ROWS = ("transform", "reconstruction_errors", "score_samples")
OF_ALL = ("distortion", "distortion_curve", "score")


@contextmanager
def route(name):
    with pytest.MonkeyPatch.context() as patch:
        if name == "elsewhere":
            patch.setattr(TensorRows, "is_on_host", False)
        yield "cuda" if name == "cuda" else "cpu"


@pytest.fixture(params=ROUTES)
def device(request):
    with route(request.param) as name:
        yield name


by_torch = pytest.mark.parametrize("device", ROUTES[1:], indirect=True)


@pytest.fixture
def elsewhere():
    with route("elsewhere"):
        yield


def rows_of(shape, seed=0, far=128.0):
    rng = np.random.default_rng(seed)
    k = min(shape)
    basis = np.linalg.qr(rng.normal(size=(shape[1], k)))[0]
    values = (rng.normal(size=(shape[0], k)) * 40 * 0.75 ** np.arange(k)) @ basis.T
    return (far + values + rng.normal(size=shape) * 0.1).clip(0 if far else -999, 255)


def tensor_of(values, dtype, device="cpu"):
    values = values > 128 if dtype == "bool" else values
    return torch.tensor(values).to(getattr(torch, dtype)).to(device)


def array_of(tensor):
    """The same numbers as an array; NumPy has no bfloat16, and every number of it is one of float64."""
    tensor = tensor.cpu()
    return (tensor.double() if tensor.dtype is torch.bfloat16 else tensor).numpy()


def fitted(X, d=4, weights=None, **arguments):
    arguments = {"random_state": 0, "iterated_power": 30, **arguments}
    return MinimumErrorPCA(d, **arguments).fit(X, sample_weight=weights)


def same_signs(basis, expected):
    """Where two entries are largest, rounding decides the sign."""
    return basis * np.sign((basis * expected).sum(axis=1, keepdims=True))


def assert_same_fit(found, expected):
    is_single = expected.components_.dtype == np.float32
    # Iterations in float32 end where its rounding does, with arrays too.
    rtol = (5e-7 if found.svd_solver_ in (*FULL, "full") else 2e-6) if is_single else 1e-10
    total = expected.distortion_curve_[0]
    assert_allclose(found.distortion_curve_, expected.distortion_curve_, rtol=0, atol=rtol * total + 1e-12)
    for name in LEARNED:
        value = getattr(expected, name)
        scale = total if name in ("distortion_", "noise_variance_") else float(np.abs(value).max(initial=0))
        # The basis turns by more than the eigenvalues change where two of these are near each other.
        atol = (1e-3 if is_single else 1e-8) if name == "offsets_" else rtol
        assert_allclose(getattr(found, name), value, rtol=0, atol=atol * scale + 1e-12, err_msg=name)
        assert getattr(getattr(found, name), "dtype", None) == getattr(value, "dtype", None)
    assert isinstance(found.components_, np.ndarray)
    assert found.components_.dtype == expected.components_.dtype
    signed = same_signs(found.components_, expected.components_)
    assert_allclose(signed, expected.components_, atol=1e-3 if is_single else 1e-8)
    assert found.svd_solver_ == expected.svd_solver_
    assert found.n_samples_ == expected.n_samples_


def assert_same_use(pca, X, rows, expected_dtype):
    """What a model makes of a tensor is, on its device, what it makes of an array."""
    rtol = 2e-5 if expected_dtype is torch.float32 else 1e-9
    for name in OF_ROWS:
        found, expected = getattr(pca, name)(X), getattr(pca, name)(rows)
        assert (found.device, found.dtype) == (X.device, expected_dtype), name
        assert not found.requires_grad
        atol = rtol * float(np.abs(expected).max(initial=1.0))
        assert_allclose(found.cpu().numpy(), expected, rtol=rtol, atol=atol, err_msg=name)
    for name in OF_ALL:
        assert_allclose(getattr(pca, name)(X), getattr(pca, name)(rows), rtol=rtol, err_msg=name)
    Z = pca.transform(X)
    points = pca.inverse_transform(Z)
    assert (points.device, points.dtype) == (X.device, expected_dtype)
    assert_allclose(points.cpu().numpy(), pca.inverse_transform(Z.cpu().numpy()), rtol=rtol, atol=rtol * 255)


@pytest.fixture
def leaving(monkeypatch):
    """How many numbers each tensor had that went to the host, or was seen as an array."""
    sizes = []
    for name in ("cpu", "numpy", "tolist", "item", "__array__", "__float__"):
        original = getattr(torch.Tensor, name)

        def watched(self, *arguments, original=original, **named):
            sizes.append(self.numel())
            return original(self, *arguments, **named)

        monkeypatch.setattr(torch.Tensor, name, watched)
    return sizes


# ---- a tensor gives what an array gives ---------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solver", ON_TORCH)
def test_a_tensor_gives_what_an_array_gives(solver, shape, dtype, device):
    X = tensor_of(rows_of(SHAPES[shape]), dtype, device)
    rows = array_of(X)
    expected = fitted(rows, svd_solver=solver)
    found = fitted(X, svd_solver=solver)
    assert_same_fit(found, expected)
    single = torch.float32 if dtype == "float32" else torch.float64
    assert_same_use(found, X, rows, single)
    both = fitted(X, svd_solver=solver, whiten=True)
    Z = MinimumErrorPCA(4, svd_solver=solver, random_state=0, iterated_power=30, whiten=True).fit_transform(X)
    assert (Z.device, Z.dtype) == (X.device, single)
    assert_allclose(Z.cpu(), both.transform(X).cpu(), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("shape", [(3000, 6), (5000, 20)])
def test_sums_are_those_of_arrays(shape, dtype, device):
    """Over more blocks than one; those of bytes to the last bit."""
    X = tensor_of(rows_of(shape), dtype, device)
    found, expected = RowSums.of(TensorRows(X)), RowSums.of(array_of(X))
    if dtype == "uint8":
        assert_array_equal(found.products, expected.products)
        assert_array_equal(found.sums, expected.sums)
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    assert_allclose(found.moments().mean, expected.moments().mean, rtol=tolerance)
    scatter = expected.moments().scatter
    assert_allclose(found.moments().scatter, scatter, atol=tolerance * np.abs(scatter).max())


@pytest.mark.parametrize("far", [0, 1e3])
def test_float32_eigenvalues_are_those_of_the_svd_in_float64(far, device):
    X = (tensor_of(rows_of((20_000, 40)), "float32", device) / 255 + far).contiguous()
    double = array_of(X).astype(np.float64)
    expected = np.linalg.svd(double - double.mean(axis=0), compute_uv=False) ** 2 / (len(X) - 1)
    pca = fitted(X, 20)
    assert pca.svd_solver_ == "covariance_eigh"
    assert_allclose(pca.explained_variance_, expected[:20], rtol=0, atol=5e-7 * expected[0])


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 40), st.integers(1, 30)),
    dtype=st.sampled_from(DTYPES),
    steps=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    transposed=st.booleans(),
    solver=st.sampled_from(ON_TORCH),
    by=st.sampled_from(ROUTES),
    seed=st.integers(0, 2**16),
)
def test_any_shape_type_and_stride(shape, dtype, steps, transposed, solver, by, seed):
    with route(by) as device:
        check_any(shape, dtype, steps, transposed, solver, device, seed)


def check_any(shape, dtype, steps, transposed, solver, device, seed):
    lying = (shape[0] * steps[0], shape[1] * steps[1])
    values = rows_of(lying, seed)
    whole = tensor_of(values.T if transposed else values, dtype, device)
    X = (whole.T if transposed else whole)[:: steps[0], :: steps[1]]
    before = whole.clone()
    rows = np.ascontiguousarray(array_of(X))
    d = max(1, min(shape) // 2) if solver in FULL else 1
    assume(solver in FULL or (min(shape) > 2 and (rows != rows[0]).any()))
    found, expected = fitted(X, d, svd_solver=solver), fitted(rows, d, svd_solver=solver)
    rtol = 5e-7 if dtype == "float32" else 1e-10
    total = float(expected.distortion_curve_[0]) + 1e-9
    slack = 1 if solver in FULL else 10  # of iterations
    assert_allclose(found.distortion_curve_, expected.distortion_curve_, atol=slack * rtol * total, rtol=0)
    for name in ("transform", "reconstruction_errors"):
        mine, theirs = getattr(expected, name)(X), getattr(expected, name)(rows)
        assert mine.device == X.device
        atol = (1e-3 if dtype == "float32" else 1e-8) * (1 + float(np.abs(theirs).max(initial=0)))
        assert_allclose(mine.cpu(), theirs, atol=atol)
    assert torch.equal(whole, before)


def test_mixed_precision_is_that_of_arrays(device):
    single, double = (tensor_of(rows_of((90, 12)), dtype, device) for dtype in ("float32", "float64"))
    for learned, given_, expected in [
        (single, double, torch.float64),
        (double, single, torch.float64),
        (single, single, torch.float32),
    ]:
        assert_same_use(fitted(learned), given_, array_of(given_), expected)


# ---- nothing of N rows leaves the device --------------------------------------------------------


@by_torch
@pytest.mark.parametrize("dtype", ["uint8", "float32", "bfloat16"])
def test_no_rows_leave_the_device(leaving, dtype, device):
    X = tensor_of(rows_of((3000, 12)), dtype, device)
    pca = MinimumErrorPCA(3, svd_solver="covariance_eigh").fit(X)
    pca.inverse_transform(pca.transform(X))
    for name in (*OF_ROWS, "distortion_curve"):
        getattr(pca, name)(X)
    # No more than p x p, and sixty-four rows, which say how the others are to be summed.
    assert 0 < max(leaving) <= 64 * 12


@by_torch
@pytest.mark.parametrize(
    ("solver", "shape"), [("gram", (40, 3000)), ("arpack", (90, 300)), ("randomized", (3000, 40))]
)
def test_other_solvers_see_thin_matrices(leaving, solver, shape, device):
    X = tensor_of(rows_of(shape), "float64", device)
    fitted(X, 2, svd_solver=solver, n_oversamples=5, iterated_power=2)
    assert 0 < max(leaving) <= X.numel() / 5


def test_a_model_of_arrays_takes_tensors_and_the_other_way_round(device, tmp_path):
    X = tensor_of(rows_of((90, 12)), "float64", device)
    pca = fitted(X, svd_solver="covariance_eigh")
    pca.save(tmp_path / "pca")
    again = load(tmp_path / "pca")
    assert torch.equal(again.transform(X), pca.transform(X))
    assert isinstance(again.transform(array_of(X)), np.ndarray)


def test_autocast_does_not_reach_it():
    X = tensor_of(rows_of((3000, 12)), "float32")
    expected = fitted(X, svd_solver="covariance_eigh")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (X.T @ X).dtype is torch.bfloat16
        found = fitted(X, svd_solver="covariance_eigh")
        Z, points = found.transform(X), found.inverse_transform(found.transform(X))
    assert_array_equal(found.distortion_curve_, expected.distortion_curve_)
    assert torch.equal(Z, expected.transform(X))
    assert torch.equal(points, expected.inverse_transform(Z))


def test_no_gradient_goes_through_it():
    X = tensor_of(rows_of((90, 12)), "float64").requires_grad_()
    for solver in SOLVERS:
        pca = fitted(X, svd_solver=solver)
        assert not pca.transform(X).requires_grad
        assert not pca.inverse_transform(pca.transform(X).requires_grad_()).requires_grad


# ---- weights, blocks, partial_fit ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("zeros", [False, True])
def test_weights(zeros, solver, shape, dtype, device):
    X = tensor_of(rows_of(SHAPES[shape]), dtype, device)
    if solver == "full" and not TensorRows(X).is_on_host:
        return
    weights = np.random.default_rng(0).random(len(X)) + 0.1
    weights[1:4] *= not zeros
    expected = fitted(array_of(X), weights=weights, svd_solver=solver)
    for given_ in (weights, torch.tensor(weights, device=device, requires_grad=True)):
        found = fitted(X, weights=given_, svd_solver=solver)
        assert_same_fit(found, expected)
        assert found.total_weight_ == expected.total_weight_
        rtol = 1e-5 if dtype == "float32" else 1e-9
        for name in ("distortion", "score", "distortion_curve"):
            found_, expected_ = (
                getattr(expected, name)(rows, sample_weight=w)
                for rows, w in [(X, given_), (array_of(X), weights)]
            )
            assert_allclose(found_, expected_, rtol=rtol)
        Z = MinimumErrorPCA(4, svd_solver=solver, random_state=0).fit_transform(X, sample_weight=given_)
        assert (Z.shape, Z.device) == ((len(X), 4), X.device)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_are_the_whole(weighted, dtype, device):
    X = tensor_of(rows_of((90, 7)), dtype, device)
    weights = np.random.default_rng(0).random(90) if weighted else None
    expected = fitted(array_of(X), weights=weights, svd_solver="covariance_eigh")
    cuts = [3, 20, 64]
    mixed = [array_of(block) if number == 1 else block for number, block in enumerate(X.tensor_split(cuts))]
    for blocks in (X.tensor_split(cuts), mixed):
        assert_same_fit(fitted(blocks, weights=weights), expected)
    pca = MinimumErrorPCA(4)
    of_blocks = [None] * 4 if weights is None else np.split(weights, cuts)
    for block, of_block in zip(mixed, of_blocks, strict=True):
        pca.partial_fit(block, sample_weight=of_block)
    assert_same_fit(pca, expected)


@pytest.mark.parametrize(
    "how", [{"robust": True}, {"n_components": "cross_validation"}, {"svd_solver": "full"}]
)
@pytest.mark.parametrize("dtype", ["uint8", "bfloat16", "float32"])
def test_what_is_done_on_the_cpu_sees_a_tensor_there_as_an_array(how, dtype):
    X = tensor_of(rows_of((90, 12)), dtype)
    how = {"n_components": 3, "random_state": 0, **how}
    found, expected = (MinimumErrorPCA(**how).fit(rows) for rows in (X, array_of(X)))
    assert_array_equal(found.components_, expected.components_)
    Z = MinimumErrorPCA(**how).fit_transform(X)
    assert torch.equal(Z, found.transform(X))


@pytest.mark.parametrize("n_components", ["parallel", "mle", 0.9])
def test_criteria_of_the_whole_spectrum(n_components):
    X = tensor_of(rows_of((90, 12)), "float64")
    for solver in FULL:
        found, expected = (fitted(rows, n_components, svd_solver=solver) for rows in (X, array_of(X)))
        assert_same_fit(found, expected)


def test_copy_false_leaves_a_tensor_as_it_is():
    X = tensor_of(rows_of((90, 12)), "float64")
    before = X.clone()
    pca = MinimumErrorPCA(3, copy=False, svd_solver="full")
    Z = pca.fit_transform(X)
    assert torch.equal(X, before)
    assert torch.equal(Z, pca.transform(X))


# ---- another device than the CPU; where there is none, this property tells --------------------


@pytest.mark.usefixtures("elsewhere")
def test_elsewhere_auto_takes_what_torch_can():
    for shape, solver in [((90, 12), "covariance_eigh"), ((16, 50), "gram")]:
        X = tensor_of(rows_of(shape), "float64")
        assert fitted(X).svd_solver_ == solver
        assert_same_fit(fitted(X), fitted(array_of(X), svd_solver=solver))


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            {"svd_solver": "full"},
            "svd_solver='full' works on the CPU, and X is a tensor on 'cpu'; allowed there are",
        ),
        ({"robust": True}, "robust=True works on the CPU"),
        ({"n_components": "cross_validation"}, "n_components='cross_validation' works on the CPU"),
    ],
)
def test_elsewhere_what_needs_the_cpu_is_refused(how, words):
    with pytest.raises(ValueError, match=words):
        MinimumErrorPCA(**how).fit(tensor_of(rows_of((90, 12)), "float64"))


@pytest.mark.parametrize("solver", ON_TORCH)
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "cpu:1", "nowhere"])
def test_another_device_than_the_tensors_is_refused(solver, device):
    X = tensor_of(rows_of((90, 12)), "float64")
    words = f"device is '{device}', " + (
        "which torch" if device == "nowhere" else "and X is a tensor on 'cpu'"
    )
    with pytest.raises(ValueError, match=words):
        fitted(X, svd_solver=solver, device=device)
    if solver == "covariance_eigh":
        for learn in (
            MinimumErrorPCA(2, device=device).partial_fit,
            lambda X: fitted([X, X], 2, device=device),
        ):
            with pytest.raises(ValueError, match=words):
                learn(X)
    assert_same_fit(fitted(X, svd_solver=solver, device="cpu"), fitted(X, svd_solver=solver))


def test_devices_meet_nowhere():
    """Torch's fake tensors have a device and no numbers: they tell where two devices would meet."""
    from torch._subclasses import FakeTensorMode

    pca = fitted(rows_of((90, 12)))
    with FakeTensorMode():
        rows = TensorRows(torch.empty((90, 12), device="cuda"))
        for weights in (None, np.ones(90)):
            A = CentredTensor(rows, pca.mean_, weights)
            assert A.coordinates(pca.components_).device.type == "cuda"
            parts = [errors for _, _, errors in A.projected(pca.components_)]
            assert A.joined(parts, np.dtype(np.float32)).device.type == "cuda"
        with pytest.raises(Exception, match="device"):
            rows[:] @ torch.empty((12, 2))


# ---- bad tensors: the words are those for arrays -----------------------------------------------


def said(call, X):
    with pytest.raises(ValueError, match=r"\w") as error:
        call(X)
    return str(error.value)


def bad(kind):
    X = rows_of((90, 12))
    if kind == "NaN":
        X[7, 4], X[8, 0] = np.nan, np.inf
    elif kind == "infinity":
        X[7, 4], X[7, 5] = -np.inf, np.nan
    return {
        "1-D": X[0],
        "3-D": X.reshape(3, 30, 12),
        "no rows": X[:0],
        "no columns": X[:, :0],
        "one row": X[:1],
        "other features": X[:, :11],
    }.get(kind, X)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "kind", ["NaN", "infinity", "1-D", "3-D", "no rows", "no columns", "one row", "other features"]
)
def test_bad_tensors_are_refused_as_arrays_are(kind, dtype, device):
    X = torch.tensor(bad(kind)).to(dtype).to(device)
    pca = fitted(tensor_of(rows_of((90, 12)), "float64", device))
    calls = [] if kind == "other features" else [fitted_by(solver) for solver in ON_TORCH]
    if kind != "one row":
        calls += [getattr(pca, name) for name in (*OF_ROWS, *OF_ALL)]
    for call in calls:
        assert said(call, X) == said(call, array_of(X))
    if kind in ("NaN", "infinity", "1-D"):
        X = X[:, 2:6] if X.ndim == 2 else X
        assert said(pca.inverse_transform, X) == said(pca.inverse_transform, array_of(X))


def fitted_by(solver):
    return lambda X: fitted(X, 1, svd_solver=solver)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_too_far_out_are_refused_as_arrays_are(dtype, device):
    pca = fitted(tensor_of(rows_of((90, 12)), dtype, device))
    most = np.sqrt(np.finfo(dtype).max / (64 * 12))
    good, far = (torch.tensor(rows_of((90, 12)), dtype=getattr(torch, dtype)) for _ in range(2))
    good[7, 4], far[7, 4] = float(0.999 * most), float(1.001 * most)
    assert torch.isfinite(pca.transform(good.to(device))).all()
    assert said(pca.transform, far.to(device)) == said(pca.transform, array_of(far))
    assert said(fitted_by("covariance_eigh"), far.to(device) * 1e3) == said(
        fitted_by("covariance_eigh"), array_of(far) * np.dtype(dtype).type(1e3)
    )
    beyond = torch.full(
        (2, 4), 1e30 if dtype == "float32" else 1e200, dtype=getattr(torch, dtype), device=device
    )
    assert said(pca.inverse_transform, beyond) == said(pca.inverse_transform, array_of(beyond))
    assert said(pca.inverse_transform, beyond[:, :3]) == said(pca.inverse_transform, array_of(beyond[:, :3]))


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (torch.eye(4).to_sparse(), "X is a tensor of layout torch.sparse_coo; allowed are dense tensors"),
        (torch.eye(4).to(torch.complex64), "X is a tensor of torch.complex64; allowed are bool, float16"),
        (torch.eye(4).to(torch.float8_e4m3fn), "X is a tensor of torch.float8_e4m3fn; allowed are"),
        (torch.eye(4, device="meta"), "X is a tensor on 'meta', where nothing adds up in float64"),
    ],
)
def test_tensors_of_no_real_numbers_are_refused(X, words):
    with pytest.raises(ValueError, match=words):
        MinimumErrorPCA(2).fit(X)


@pytest.mark.parametrize(
    ("weights", "words"),
    [(torch.ones(89), "sample_weight has 89 numbers"), (-torch.ones(90), r"sample_weight\[0\] is -1")],
)
def test_weights_that_are_none(weights, words):
    with pytest.raises(ValueError, match=words):
        fitted(tensor_of(rows_of((90, 12)), "float64"), weights=weights)


def test_names_are_missed_as_of_arrays():
    pca = fitted(pd.DataFrame(rows_of((90, 12))).rename(columns=str))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        pca.transform(tensor_of(rows_of((90, 12)), "float64"))


# ---- torch, and scikit-learn ---------------------------------------------------------------------


def run_python(code, **environment):
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_arrays_do_not_load_torch():
    run_python(
        "import sys, numpy as np; from latents.estimators import MinimumErrorPCA\n"
        "X = np.random.default_rng(0).normal(size=(90, 12))\n"
        "for solver in ('full', 'covariance_eigh', 'gram', 'arpack', 'randomized'):\n"
        "    pca = MinimumErrorPCA(3, svd_solver=solver).fit(X, sample_weight=np.ones(90))\n"
        "    pca.inverse_transform(pca.transform(X)); pca.score(X); pca.distortion_curve(X)\n"
        "assert 'torch' not in sys.modules"
    )


def test_after_a_scaler_under_array_api_dispatch():
    """With it, steps before ours hand on tensors; SciPy has to be told as it is loaded."""
    found = run_python(
        "import torch, sklearn\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "from latents.estimators import MinimumErrorPCA\n"
        "X = torch.randn(600, 12, generator=torch.Generator().manual_seed(0))\n"
        "steps = make_pipeline(StandardScaler(), MinimumErrorPCA(3))\n"
        "with sklearn.config_context(array_api_dispatch=True):\n"
        "    Z = steps.fit_transform(X)\n"
        "    assert torch.allclose(steps.transform(X), Z, atol=1e-5)\n"
        "    back = steps.inverse_transform(Z)\n"
        "    print(steps[1].svd_solver_, type(Z).__name__, Z.dtype, type(back).__name__)\n"
        "Y = make_pipeline(StandardScaler(), MinimumErrorPCA(3)).fit_transform(X.numpy())\n"
        "assert torch.allclose(Z, torch.from_numpy(Y), atol=1e-4)\n",
        SCIPY_ARRAY_API="1",
    )
    assert found.split() == ["covariance_eigh", "Tensor", "torch.float32", "Tensor"]


def test_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X = tensor_of(rows_of((90, 12)), "float32")
        for solver in SOLVERS:
            pca = fitted(X, svd_solver=solver)
            pca.inverse_transform(pca.transform(X))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_on_the_cpu_an_array_shares_the_memory(dtype):
    X = tensor_of(rows_of((600, 12)), dtype)[::2, ::3]
    array = TensorRows(X).seen()
    assert array.ctypes.data == X.data_ptr()
    assert isinstance(TensorRows(X.bfloat16()).seen(), TensorRows)


@pytest.mark.usefixtures("elsewhere")
def test_it_is_torch_that_sums(monkeypatch):
    summed = []
    original = TorchSums.of
    monkeypatch.setattr(
        TorchSums, "of", lambda self, X, w=None: summed.append(X.shape) or original(self, X, w)
    )
    fitted(tensor_of(rows_of((600, 12)), "float32"))
    assert summed == [(600, 12)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_tensor_that_lacks_entries_is_refused_and_a_whole_one_is_whole(dtype, device):
    X = tensor_of(rows_of((90, 12)), dtype, device)
    pca = MinimumErrorPCA(3, missing="em").fit(X)
    whole = pca.impute(X)
    assert torch.equal(whole, X)
    assert whole.data_ptr() != X.data_ptr()
    lacking = X.clone()
    lacking[3, 4] = float("nan")
    for call in (pca.fit, pca.transform, pca.impute, pca.score_samples):
        with pytest.raises(ValueError, match=r"contains NaN: .*'em' takes in dense arrays only"):
            call(lacking)
