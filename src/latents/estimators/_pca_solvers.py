"""The numerical half of ``MinimumErrorPCA``: the solvers, what they can give, and Minka's choice of dimension.

Every solver takes the centred data A (N x p) and returns the singular values s_i of A, falling, and
the basis mu_i as rows, signed so that the entry of largest magnitude in each row is positive
(scikit-learn's convention). The eigenvalues of S = A'A / N are s_i^2 / N.
"""

from math import lgamma, log, pi
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.sparse.linalg import svds
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.extmath import randomized_svd, svd_flip

FloatArray = NDArray[np.floating[Any]]

FULL_SPECTRUM = ("full", "covariance_eigh")
SOLVERS = (*FULL_SPECTRUM, "arpack", "randomized")
_SCATTER_ROWS = 4096


class Decomposition(NamedTuple):
    """Singular values (k,), falling, and basis vectors (k, p) of centred data."""

    singular_values: FloatArray
    basis: FloatArray


def choose_solver(svd_solver: str, shape: tuple[int, int], n_components: int | float | str | None) -> str:
    """Resolve ``"auto"`` by scikit-learn's rule; any other name stands.

    Tall and narrow data go to the covariance, small data and choices that need the whole spectrum
    to the full SVD, the rest to the randomised SVD.
    """
    if svd_solver != "auto":
        return svd_solver
    n_samples, n_features = shape
    wanted = min(shape) if n_components is None else n_components
    if n_features <= 1000 and n_samples >= 10 * n_features:
        return "covariance_eigh"
    if max(shape) <= 500 or isinstance(wanted, str):
        return "full"
    return "randomized" if 1 <= wanted < 0.8 * min(shape) else "full"


def resolve_components(n_components: Any, solver: str, shape: tuple[int, ...]) -> Any:
    """Return `n_components` with None made a number.

    Raises
    ------
    ValueError
        If the solver, or data of this shape, cannot give what is asked for.
    """
    n_samples, n_features = shape
    most = min(shape)
    found = f"X has n_samples={n_samples}, n_features={n_features}"
    if n_components is None:
        n_components = most - 1 if solver == "arpack" else most
    if isinstance(n_components, str):
        if solver not in FULL_SPECTRUM:
            raise ValueError(
                f"n_components={n_components!r} cannot be a string with svd_solver={solver!r};"
                f" allowed are the solvers of the whole spectrum, {', '.join(FULL_SPECTRUM)}"
            )
        if n_samples < n_features:
            raise ValueError(f"n_components='mle' is only supported if n_samples >= n_features; {found}")
        return n_components
    least = 0 if solver in FULL_SPECTRUM else 1
    if not least <= n_components <= most:
        raise ValueError(
            f"n_components={n_components} must be between {least} and"
            f" min(n_samples, n_features)={most} with svd_solver={solver!r}; {found}"
        )
    if solver == "arpack" and n_components == most:
        raise ValueError(
            f"n_components={n_components} must be strictly less than"
            f" min(n_samples, n_features)={most} with svd_solver='arpack'; {found}"
        )
    return n_components


def full_svd(centred: FloatArray) -> Decomposition:
    """LAPACK's singular value decomposition of all min(N, p) directions."""
    _, singular_values, basis = linalg.svd(centred, full_matrices=False)
    return Decomposition(singular_values, _signed(basis))


def covariance_eigh(centred: FloatArray) -> Decomposition:
    """Eigendecomposition of the scatter A'A, all p directions, in float64 whatever the data are."""
    n_samples, n_features = centred.shape
    scatter = np.zeros((n_features, n_features))
    for rows in gen_batches(n_samples, _SCATTER_ROWS):
        block = centred[rows].astype(np.float64)
        scatter += block.T @ block
    eigenvalues, vectors = linalg.eigh(scatter)
    # Rounding can push the null eigenvalues of a positive semi-definite matrix below zero.
    singular_values = np.sqrt(np.maximum(eigenvalues[::-1], 0.0))
    return Decomposition(singular_values, _signed(vectors[:, ::-1].T.astype(centred.dtype)))


def arpack_svd(centred: FloatArray, n_components: int, *, tol: float, seed: Any) -> Decomposition:
    """Lanczos iteration for the leading directions, from a random start."""
    if not centred.any():
        raise ValueError(
            "svd_solver='arpack' cannot start on data without variance (all samples are equal);"
            " allowed there are 'full', 'covariance_eigh' and 'randomized'"
        )
    start = check_random_state(seed).uniform(-1, 1, min(centred.shape))
    _, _, directions = svds(centred, k=n_components, tol=tol, v0=start)
    return _within(centred, directions)


def random_projection_svd(
    centred: FloatArray,
    n_components: int,
    *,
    n_oversamples: int,
    n_iter: int | str,
    normalizer: str,
    seed: Any,
) -> Decomposition:
    """Leading directions by the randomised range finder of Halko, Martinsson and Tropp (2011)."""
    _, _, directions = randomized_svd(
        centred,
        n_components,
        n_oversamples=n_oversamples,
        n_iter=n_iter,
        power_iteration_normalizer=normalizer,
        flip_sign=False,
        random_state=seed,
    )
    return _within(centred, directions)


def _within(centred: FloatArray, directions: FloatArray) -> Decomposition:
    """Decompose the data inside the span of approximate, orthonormal directions (Rayleigh-Ritz).

    The singular values of an iterative solver are those of its sketch of A; these are those of A
    itself along the basis returned, s_i = |A mu_i|. So trace - sum_i s_i^2 / N is the J of that
    basis to rounding, whether the solver has converged or not.
    """
    _, singular_values, rotation = linalg.svd(centred @ directions.T, full_matrices=False)
    return Decomposition(singular_values, _signed(rotation @ directions))


def _signed(basis: FloatArray) -> FloatArray:
    signed: FloatArray = svd_flip(None, np.ascontiguousarray(basis), u_based_decision=False)[1]
    return signed


def minka_dimension(eigenvalues: FloatArray, n_samples: int) -> int:
    """Return the dimension d in 1..p-1 of greatest evidence, or 0 where the data have no variance.

    Parameters
    ----------
    eigenvalues : ndarray of shape (p,)
        The whole spectrum of the covariance, falling.
    n_samples : int
        N.

    References
    ----------
    T. Minka, Automatic choice of dimensionality for PCA, NIPS 2000.
    """
    spectrum = eigenvalues.astype(np.float64)
    # A d that would keep a null direction has no evidence: its likelihood is that of a flattened
    # Gaussian.
    n_useful = int(np.sum(spectrum > np.finfo(np.float64).eps * spectrum[0]))
    dimensions = range(1, min(n_useful + 1, spectrum.size))
    evidence = [_log_evidence(spectrum, d, n_samples) for d in dimensions]
    return 1 + int(np.argmax(evidence)) if evidence else 0


def _log_evidence(spectrum: NDArray[np.float64], d: int, n_samples: int) -> float:
    """Minka's Laplace approximation of log p(X | d), up to a constant, in nats.

    The terms are the uniform prior of the basis on the Stiefel manifold, the likelihood of the d
    kept eigenvalues and of the noise v (the mean of the others), and the volume of the posterior:
    the determinant of the Hessian over rotations,

        prod_{i<=d} prod_{j>i} N (1/l_j - 1/l_i) (lambda_i - lambda_j),

    where l is the spectrum with its tail replaced by v.
    """
    p = spectrum.size
    smallest = np.finfo(np.float64).eps * spectrum[0]
    noise = max(spectrum[d:].mean(), smallest)
    smoothed = np.where(np.arange(p) < d, spectrum, noise)
    i, j = np.nonzero(np.arange(d)[:, None] < np.arange(p))

    halves = [(p - r) / 2 for r in range(d)]
    log_prior = -d * log(2) + sum(lgamma(h) - h * log(pi) for h in halves)
    log_likelihood = -n_samples / 2 * (np.log(spectrum[:d]).sum() + (p - d) * log(noise))
    # Equal eigenvalues would make the determinant zero; closer than rounding the data cannot tell.
    gaps = np.maximum(spectrum[i] - spectrum[j], smallest)
    curvatures = np.maximum(1 / smoothed[j] - 1 / smoothed[i], smallest / spectrum[0] ** 2)
    log_determinant = np.log(gaps).sum() + np.log(curvatures).sum() + i.size * log(n_samples)
    log_volume = (i.size + d) / 2 * log(2 * pi) - log_determinant / 2 - d / 2 * log(n_samples)
    return float(log_prior + log_likelihood + log_volume)
