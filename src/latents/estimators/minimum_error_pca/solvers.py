"""The numerical half of ``MinimumErrorPCA``: ways to the leading eigenvectors of S = A'A / N.

A (N x p) is the centred data; where rows have weights, each is multiplied by the root of its own, and S is divided
by their sum. Every solver returns eigenvalues lambda_i of S, falling, in float64, and a basis mu_1..mu_d as rows,
signed so that the entry of largest magnitude in each row is positive (scikit-learn's convention). Solvers of the
whole spectrum return all min(N, p) or p eigenvalues; the others the d asked for.

NumPy and SciPy have each a BLAS of their own, whose threads go on waiting busily for some time after their work:
what SciPy decomposes between NumPy's products is done in one thread, or all takes twice its time.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg
from scipy.linalg import lapack
from scipy.sparse.linalg import ArpackError, eigsh
from sklearn.utils import check_random_state
from sklearn.utils.extmath import svd_flip

from latents.estimators.common.threads import one_blas_thread
from latents.estimators.minimum_error_pca.centred import Centred
from latents.estimators.minimum_error_pca.dimension import Wanted
from latents.estimators.minimum_error_pca.moments import Array, FloatArray, Moments

# Tells d of the whole spectrum.
Dimension = Callable[[Array], int]

FULL_SPECTRUM = ("full", "covariance_eigh", "gram")
SOLVERS = (*FULL_SPECTRUM, "arpack", "randomized")

# Where eigenvectors are more than this share of all, LAPACK is faster when it computes all of them.
_FEW = 0.25
# Data of no more rows or columns than this are small.
_SMALL = 500
# Dense data go to the Lanczos iteration only where min(N, p) is beyond this: the matrix that it saves is then
# larger than most memories, or takes longer to decompose.
_LARGE = 10_000
# Threads of BLAS help with the eigenvectors of matrices from about this size on; before, they rather hinder.
THREADED = 1000
# Numbers of more than so many binary places before or after the point have squares near the ends of float64.
_EXTREME = 400


class Decomposition(NamedTuple):
    """Eigenvalues (k,) of S, falling, and basis vectors (d, p), d <= k."""

    eigenvalues: Array
    basis: FloatArray


def choose_solver(
    svd_solver: str,
    shape: tuple[int, int],
    n_nonzeros: int | None,
    wanted: Wanted,
    *,
    is_on_host: bool = True,
) -> str:
    """Resolve ``"auto"``; any other name stands.

    Small data that LAPACK can see go to its SVD, which is the most precise. Others go to the covariance or, where
    they have more features than samples, to the Gram matrix, unless d is known and the Lanczos iteration is sooner
    done: so it is with sparse data, of which `n_nonzeros` says how many numbers they have, and with very large
    ones.
    """
    if svd_solver != "auto":
        return svd_solver
    n_samples, n_features = shape
    least = min(shape)
    if n_nonzeros is None and is_on_host and max(shape) <= _SMALL:
        return "full"
    whole = "covariance_eigh" if n_features <= n_samples else "gram"
    if wanted.number is None or not 1 <= wanted.number <= least // 8:
        return whole
    if n_nonzeros is None:
        return "arpack" if least > _LARGE else whole
    # Nanoseconds, roughly: products with vectors, against a sparse product and a decomposition.
    iteration = 4 * n_nonzeros * (4 * wanted.number + 60)
    return "arpack" if iteration < 3 * n_nonzeros**2 / max(shape) + 0.1 * least**3 else whole


def possible(wanted: Wanted, given: Any, solver: str, shape: tuple[int, ...]) -> Wanted:
    """Return what is wanted, all directions if that is nothing; refuse what solver or shape cannot give.

    Raises
    ------
    ValueError
        It names the argument `given` for n_components and what is allowed.
    """
    n_samples, n_features = shape
    most = min(shape)
    found = f"X has n_samples={n_samples}, n_features={n_features}"
    if wanted == Wanted():
        wanted = Wanted(number=most - (solver == "arpack"))
    if wanted.number is None and solver not in FULL_SPECTRUM:
        what = f"n_components={given!r} cannot be a {'string' if wanted.criterion else 'share'}"
        if given is None:
            what = "max_distortion and max_distortion_share cannot be kept to"
        raise ValueError(
            f"{what} with svd_solver={solver!r};"
            f" allowed are the solvers of the whole spectrum, {', '.join(FULL_SPECTRUM)}"
        )
    if wanted.criterion == "mle" and n_samples < n_features:
        raise ValueError(f"n_components='mle' is only supported if n_samples >= n_features; {found}")
    if wanted.number is None:
        return wanted
    least = 0 if solver in FULL_SPECTRUM else 1
    if not least <= wanted.number <= most:
        raise ValueError(
            f"n_components={given} must be between {least} and"
            f" min(n_samples, n_features)={most} with svd_solver={solver!r}; {found}"
        )
    if solver == "arpack" and wanted.number == most:
        raise ValueError(
            f"n_components={given} must be strictly less than"
            f" min(n_samples, n_features)={most} with svd_solver='arpack'; {found}"
        )
    return wanted


def check_squares(trace: float, n_features: int, dtype: np.dtype[Any]) -> None:
    """Refuse data whose squared deviations from their mean, sum_n |x_n - mean|^2, add up to too much.

    What is allowed lies so far below what the type can hold that nothing which is computed of the data overflows,
    whatever the order in which a processor adds it up: sums that overflow have been of data beyond it.

    Raises
    ------
    ValueError
        It says so.
    """
    # Float64 has blocks of any number of rows added up, float32 those of one block.
    spare = 2.0**-10 if dtype == np.float32 else 2.0**-32
    most = float(np.finfo(dtype).max) * spare / n_features
    if not trace <= most:
        raise ValueError(
            f"the squares of X are too large for its type, {dtype}: the squared deviations from the mean add up "
            f"to {'more than it holds' if not np.isfinite(trace) else f'{trace:.3g}'}; allowed is {most:.3g}. "
            f"Scale X{', or give it as float64' if dtype == np.float32 else ''}"
        )


def full_svd(A: Centred, dimension: Dimension) -> Decomposition:
    """LAPACK's singular value decomposition of the data that are dense and centred."""
    _, singular_values, basis = linalg.svd(A.X, full_matrices=False)
    eigenvalues = np.square(singular_values, dtype=np.float64) / A.total
    return Decomposition(eigenvalues, _signed(basis[: dimension(eigenvalues)]))


def scatter_eigh(moments: Moments, dimension: Dimension) -> Decomposition:
    """Eigendecomposition of the scatter A'A (p, p)."""

    def spectrum(values: Array) -> Array:
        values = values / moments.total
        values[moments.n_samples :] = 0.0  # beyond the rank, where only rounding errors are
        return values

    values, vectors = _leading(moments.scatter, lambda values: dimension(spectrum(values)))
    return Decomposition(spectrum(values), _signed(vectors.T))


def covariance_eigh(S: Array, dimension: Dimension) -> Decomposition:
    """Eigendecomposition of S (p, p) itself."""
    values, vectors = _leading(S, dimension)
    return Decomposition(values, _signed(vectors.T))


def gram_eigh(A: Centred, dimension: Dimension) -> Decomposition:
    """Eigendecomposition of A A' (N, N): its eigenvectors u give the basis, A'u up to length."""
    most = min(A.shape)
    gram = A.gram()
    check_squares(float(gram.trace()) * (A.shape[0] / A.total), A.shape[1], A.dtype)
    values, left = _leading(gram, lambda values: dimension(values[:most] / A.total))
    eigenvalues = values[:most] / A.total
    if left.shape[1] == 0:
        return Decomposition(eigenvalues, np.empty((0, A.shape[1])))
    # A null u gives a row of rounding errors: the QR decomposition puts an orthogonal direction in its place.
    directions = _orthonormal(A.transposed_times(left.astype(A.dtype)))
    return Decomposition(eigenvalues, _within(A, directions).basis)


def _leading(matrix: Array, dimension: Dimension) -> tuple[Array, FloatArray]:
    """Return all eigenvalues of a positive semi-definite matrix, falling, and the first eigenvectors as columns.

    Both come from one reduction to tridiagonal form, of which all eigenvalues are had almost for nothing. LAPACK
    squares what it finds there: a matrix of very large or small numbers is put by a power of two near 1 first.
    """
    exponent = int(np.frexp(matrix.trace())[1])
    if abs(exponent) > _EXTREME:
        values, vectors = _leading(
            np.ldexp(matrix, -exponent), lambda scaled: dimension(np.ldexp(scaled, exponent))
        )
        return np.ldexp(values, exponent), vectors
    with one_blas_thread() if len(matrix) < THREADED else nullcontext():
        return _reduced(matrix, dimension)


def _reduced(matrix: Array, dimension: Dimension) -> tuple[Array, FloatArray]:
    n = len(matrix)
    # Rounding can push null eigenvalues below zero.
    if n < 3:
        values, vectors = linalg.eigh(matrix)
        values = np.maximum(values[::-1], 0.0)
        return values, vectors[:, ::-1][:, : dimension(values)]
    lwork = int(lapack.dsytrd_lwork(n, lower=1)[0])
    reduced, diagonal, below, tau, _ = lapack.dsytrd(matrix.T, lower=1, lwork=lwork)
    rising = linalg.eigh_tridiagonal(diagonal, below, eigvals_only=True, lapack_driver="sterf")
    values = np.maximum(rising[::-1], 0.0)
    d = dimension(values)
    if d == 0:
        return values, np.empty((n, 0))
    if d <= _FEW * n and values[0] > 0:
        # Inverse iteration from these eigenvalues: LAPACK is told that the tridiagonal matrix is of one part.
        one_part = np.ones(n, np.int32), np.full(n, n, np.int32)
        vectors, info = lapack.dstein(diagonal, below, values[d - 1 :: -1], *one_part)
        if info == 0:  # each has converged
            vectors = np.asfortranarray(vectors[:, ::-1])
            # The reduction is by diag(1, Q), with Q as reflections below the diagonal, as a QR decomposition's.
            vectors[1:], _, _ = lapack.dormqr("L", "N", reduced[1:, :-1], tau, vectors[1:], lwork=64 * d)
            return values, vectors
    return values, linalg.eigh(matrix, driver="evd")[1][:, ::-1][:, :d]


def arpack_svd(A: Centred, n_components: int, *, tol: float, seed: Any) -> Decomposition:
    """Implicitly restarted Lanczos iteration for the leading directions, from a random start.

    Raises
    ------
    ValueError
        If the data have no variance.
    """
    if A.squared_length() == 0:
        raise ValueError(
            "svd_solver='arpack' cannot start on data without variance (all samples are equal);"
            " allowed there are 'full', 'covariance_eigh', 'gram' and 'randomized'"
        )
    start = check_random_state(seed).uniform(-1, 1, min(A.shape))
    # The products of sparse data are no work of BLAS, and threads would only hinder that of ARPACK's vectors.
    try:
        with one_blas_thread() if A.is_sparse else nullcontext():
            _, vectors = eigsh(A.squared(), k=n_components, tol=tol**2, v0=start)
    except ArpackError as error:
        if not str(error).startswith("ARPACK error 3:"):
            raise
        # Where the data have fewer directions than its 2 d + 1 vectors, ARPACK can be left without a shift, by
        # rounding. As many random vectors then span all of them.
        return randomized_svd(
            A,
            n_components,
            n_oversamples=max(20, n_components + 1),
            n_iter="auto",
            normalizer="QR",
            seed=seed,
        )
    if A.shape[0] < A.shape[1]:  # left singular vectors
        vectors = _orthonormal(A.transposed_times(vectors.astype(A.dtype)))
    return _within(A, vectors)


def randomized_svd(
    A: Centred,
    n_components: int,
    *,
    n_oversamples: int,
    n_iter: int | str,
    normalizer: str,
    seed: Any,
) -> Decomposition:
    """Leading directions by the randomised range finder of Halko, Martinsson and Tropp (2011).

    Defaults are scikit-learn's: 7 power iterations where less than a tenth of the directions is asked for, else
    4; LU between them if they are more than 2.
    """
    least = min(A.shape)
    power = int(n_iter) if n_iter != "auto" else (7 if n_components < 0.1 * least else 4)
    if normalizer == "auto":
        normalizer = "none" if power <= 2 else "LU"
    stable: Callable[[FloatArray], FloatArray] = {
        "none": lambda M: M,
        "LU": _lower,
        "QR": _orthonormal,
    }[normalizer]
    width = min(n_components + n_oversamples, least)
    sketch = check_random_state(seed).normal(size=(A.shape[1], width)).astype(A.dtype)
    for _ in range(power):
        sketch = stable(A.transposed_times(stable(A.times(sketch))))
    directions = _orthonormal(A.transposed_times(_orthonormal(A.times(sketch))))
    return _within(A, directions, n_components)


def _orthonormal(M: FloatArray) -> FloatArray:
    """Return the factor Q of M = Q R."""
    with one_blas_thread():
        factor: FloatArray = linalg.qr(M, mode="economic")[0]
    return factor


def _lower(M: FloatArray) -> FloatArray:
    """Return the factor L of M = P L U, its rows as those of M."""
    with one_blas_thread():
        factor: FloatArray = linalg.lu(M, permute_l=True)[0]
    return factor


def _within(A: Centred, directions: FloatArray, d: int | None = None) -> Decomposition:
    """Decompose the data inside the span of approximate, orthonormal directions (p, k) (Rayleigh-Ritz).

    The singular values of an iterative solver are those of its sketch of A; these are those of A
    itself along the basis returned, s_i = |A mu_i|. So trace - sum_i s_i^2 / N is the J of that
    basis to rounding, whether the solver has converged or not.
    """
    product = A.times(directions)
    with one_blas_thread():
        (triangle,) = linalg.qr(product, mode="r")
        _, singular_values, rotation = linalg.svd(triangle[: len(directions.T)], full_matrices=False)
    eigenvalues = np.square(singular_values, dtype=np.float64) / A.total
    return Decomposition(eigenvalues[:d], _signed((rotation @ directions.T)[:d]))


def _signed(basis: FloatArray) -> FloatArray:
    signed: FloatArray = svd_flip(None, np.ascontiguousarray(basis), u_based_decision=False)[1]
    return signed
