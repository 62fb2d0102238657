"""PCA of incomplete rows: EM for the probabilistic model, where what is not observed are the missing entries.

A row x, less the mean, has entries x_o that are observed and x_m that are missing. With C = W W' + s I, where
the columns of W (p, d) are mu_i sqrt(v_i - s), and M = s I + W_o' W_o (d, d), given x_o

    E x_m = W_m M^-1 W_o' x_o,    Cov x_m = s I + s W_m M^-1 W_m'.

The E step fills in the former and adds up the latter; the M step is PCA of both together: of the data
themselves, where nothing is missing. The means come by conjugate gradients from those of the step before, all
rows at once. The M of many rows are one product, that of O (N, p), 1 where a number is observed, with the
products w_ij w_ik of the entries of each row of W; and so is, the other way, what their inverses add up to.

M. Tipping and C. Bishop, Probabilistic principal component analysis, JRSS B, 1999. S. Roweis, EM algorithms
for PCA and SPCA, NIPS 1998. A. Ilin and T. Raiko, Practical approaches to principal component analysis in the
presence of missing values, JMLR 2010.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from latents.estimators.common.threads import n_blas_threads, one_blas_thread
from latents.estimators.minimum_error_pca.moments import Array, FloatArray, Moments
from latents.estimators.minimum_error_pca.probabilistic import ProbabilisticPCA
from latents.estimators.minimum_error_pca.solvers import Decomposition, covariance_eigh

# Matrices M of about so many bytes are made at a time, in each thread.
_BLOCK_BYTES = 2**23
# So many steps are made with the covariances of one E step: means change more than these do.
_STEPS = 4
# While the steps are large, so many rows tell the covariances of all.
_SAMPLE = 1000
# Noise below this share of the largest variance is too little for float32.
_FAINT = 2.0**-12
# Conjugate gradients end when what is left of the residuals is this share, or after so many steps.
_LEFT, _GRADIENTS = 0.05, 50


def _lapack(name: str, dtype: np.dtype[Any]) -> Any:
    return getattr(linalg.lapack, ("s" if dtype == np.float32 else "d") + name)


class Loadings(NamedTuple):
    """W (p, k), orthogonal columns of which none is null, and the noise s: C = W W' + s I."""

    W: FloatArray
    noise: float

    @classmethod
    def of(cls, model: ProbabilisticPCA, dtype: Any) -> "Loadings":
        """Return those of a model; without noise, those of next to none."""
        variances = model.variances.astype(np.float64)
        least = 2.0**-40 * float(variances.max(initial=0.0))
        noise = max(float(model.noise), least, float(np.finfo(np.float32).tiny))
        excess = variances - noise
        W = model.basis[excess > 0].T * np.sqrt(excess[excess > 0])
        # M is positive in float32 only where its noise does not drown in the roundings of the rest.
        dtype = np.float64 if noise < _FAINT * variances.max(initial=0.0) else dtype
        return cls(np.ascontiguousarray(W, dtype), noise)

    def factors(self, A: FloatArray, observed: FloatArray) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
        """Yield the rows of a block, their M (n, k, k) as Cholesky factors, and W_o' x_o (n, k).

        The lower triangles are L with M = L L'; above them is nothing that means anything.

        Parameters
        ----------
        A : ndarray of shape (N, p)
            Rows less their mean, 0 where they are missing.
        observed : ndarray of shape (N, p)
            1 where they are not, else 0.
        """
        W, k = self.W, self.W.shape[1]
        potrf = _lapack("potrf", W.dtype)
        i, j = np.tril_indices(k)
        products = W[:, i] * W[:, j]
        size = max(1, _BLOCK_BYTES // (max(k, 1) ** 2 * W.itemsize))
        for start in range(0, len(A), size):
            rows = slice(start, min(start + size, len(A)))
            M = np.zeros((rows.stop - start, k, k), W.dtype)
            M[:, i, j] = observed[rows] @ products
            M.reshape(len(M), -1)[:, :: k + 1] += W.dtype.type(self.noise)
            for matrix in M if k else ():
                # LAPACK counts by columns: to it a lower triangle is an upper one.
                info = potrf(matrix.T, lower=0, clean=0, overwrite_a=1)[1]
                if info:
                    raise np.linalg.LinAlgError(
                        "the observed numbers of a row have a singular covariance: n_components is too large"
                    )
            yield rows, M, A[rows] @ W


class Covariances(NamedTuple):
    """What the covariances of missing entries add up to, sum_n w_n Cov x_m (p, p): `within` + s diag(`counts`)."""

    within: Array
    counts: Array


def side_by_side(work: Any, n_rows: int) -> list[Any]:
    """Return what ``work(rows)`` gives for parts of the rows, each done by a thread of its own."""
    n_threads = n_blas_threads()
    edges = np.linspace(0, n_rows, n_threads + 1).astype(int).tolist()
    parts = [slice(*edges[k : k + 2]) for k in range(n_threads)]
    with one_blas_thread(), ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(work, parts))


def filled(loadings: Loadings, A: FloatArray, observed: FloatArray) -> FloatArray:
    """Return rows A (N, p), less their mean and 0 where they are missing, with E x_m there."""
    potrs = _lapack("potrs", loadings.W.dtype)
    full = A.copy()
    if not loadings.W.shape[1]:
        return full

    def fill(part: slice) -> None:
        for rows, L, projected in loadings.factors(A[part], observed[part]):
            for factor, z in zip(L, projected, strict=True):
                z[:] = potrs(factor.T, z, lower=0)[0]
            full[part][rows] += (1 - observed[part][rows]) * (projected @ loadings.W.T)

    side_by_side(fill, len(A))
    return full


def log_density_of(loadings: Loadings, A: FloatArray, observed: FloatArray) -> FloatArray:
    """Return log N(x_o | 0, C_oo) in nats, (N,): |C_oo| = s^(|o| - k) |M|, and C_oo^-1 by Woodbury's identity."""
    W, noise = loadings
    n_observed = observed.sum(axis=1)
    squares = np.einsum("ij,ij->i", A, A)
    log_determinant = (n_observed - W.shape[1]) * np.log(noise)

    def measure(part: slice) -> None:
        for rows, L, projected in loadings.factors(A[part], observed[part]):
            for n, (factor, r) in enumerate(zip(L, projected, strict=True)):
                r[:] = linalg.solve_triangular(factor, r, lower=True, check_finite=False)
                log_determinant[part][rows][n] += 2 * np.log(factor.diagonal()).sum()
            squares[part][rows] -= np.square(projected).sum(axis=1)

    if W.shape[1]:
        side_by_side(measure, len(A))
    density: FloatArray = -0.5 * (squares / noise + n_observed * np.log(2 * np.pi) + log_determinant)
    return density


def refilled(loadings: Loadings, full: FloatArray, observed: FloatArray) -> FloatArray:
    """Return rows with E x_m where they are missing, from what they have there, by conjugate gradients.

    M z = W_o' x_o is solved for all rows at once. Near the solution is what the full rows have: (s I + W'W)^-1
    W'x, which is z itself if they are filled by this very model.
    """
    W, noise = loadings.W, loadings.W.dtype.type(loadings.noise)
    A = full * observed
    if not W.shape[1]:
        return A

    def apply(z: FloatArray) -> FloatArray:
        predicted = z @ W.T
        predicted *= observed
        return predicted @ W + noise * z

    lengths = np.square(W).sum(axis=0)
    z = (full @ W) / (lengths + noise)
    scale = 1 / (observed.mean(axis=1, keepdims=True) * lengths + noise)  # what M is on average
    rest = A @ W - apply(z)
    scaled = scale * rest
    direction = scaled.copy()
    lefts = first = (rest * scaled).sum(axis=1, keepdims=True)
    for _ in range(_GRADIENTS):
        image = apply(direction)
        curvature = (direction * image).sum(axis=1, keepdims=True)
        step = np.divide(lefts, curvature, out=np.zeros_like(lefts), where=curvature > 0)
        z += step * direction
        rest -= step * image
        np.multiply(scale, rest, out=scaled)
        before, lefts = lefts, (rest * scaled).sum(axis=1, keepdims=True)
        if lefts.sum(dtype=np.float64) <= _LEFT**2 * first.sum(dtype=np.float64):
            break
        direction *= np.divide(lefts, before, out=np.zeros_like(lefts), where=before > 0)
        direction += scaled
    A += (1 - observed) * (z @ W.T)
    return A


def covariances(loadings: Loadings, observed: FloatArray, weights: Array, counts: Array) -> Covariances:
    """Add up Cov x_m over rows, and scale it to `counts` (p,), which is how much weight each entry misses in all.

    Of K = s sum_n w_n (1 - o_n)(1 - o_n)' * W M_n^-1 W' (entries multiplied), K W and the trace are exact. M_n
    is also s I + W'W - W_m' W_m, so that M_n^-1 W_m' W_m = M_n^-1 (s I + W'W) - I; hence row i of K W is
    s (w_i' T_i (s I + W'W) - c_i w_i') with T_i = sum_n w_n (1 - o_ni) M_n^-1 and c_i = sum_n w_n (1 - o_ni).
    PCA whose directions are those of W needs no more of K; for the rest of it stand the matrix of least rank
    with that K W, and outside the plane of W what is left of the trace, alike in all directions.
    """
    W, noise = loadings
    p, k = W.shape
    if not k:
        return Covariances(np.zeros((p, p)), counts)
    potri = _lapack("potri", W.dtype)
    i, j = np.tril_indices(k)
    of_rows = weights.astype(W.dtype)[:, np.newaxis] * (1 - observed)

    def add(part: slice) -> FloatArray:
        sums = np.zeros((p, len(i)), W.dtype)
        for rows, L, _ in loadings.factors(np.zeros_like(observed[part]), observed[part]):
            for factor in L:
                potri(factor.T, lower=0, overwrite_c=1)
            sums += of_rows[part][rows].T @ L[:, i, j]
        return sums

    packed = sum(side_by_side(add, len(observed)))
    T = np.zeros((p, k, k), W.dtype)
    T[:, i, j] = T[:, j, i] = packed
    here = of_rows.sum(axis=0, dtype=np.float64)
    scale = np.divide(counts, here, out=np.zeros(p), where=here > 0)[:, np.newaxis]
    W = W.astype(np.float64)
    TW = scale * np.matmul(T, W[:, :, np.newaxis])[:, :, 0]
    KW = noise * (TW * (np.square(W).sum(axis=0) + noise) - (scale > 0) * counts[:, np.newaxis] * W)
    trace = noise * float((TW * W).sum())
    WKW = W.T @ KW
    values, vectors = np.linalg.eigh((WKW + WKW.T) / 2)
    known = values > np.finfo(loadings.W.dtype).eps * max(float(values[-1]), 0.0)
    half = (KW @ vectors[:, known]) / np.sqrt(values[known])
    within = half @ half.T
    if k < p:
        across = np.eye(p) - (W / np.square(W).sum(axis=0)) @ W.T
        within += max(trace - float(within.trace()), 0.0) / (p - k) * across
    return Covariances(within, counts)


class Expected(NamedTuple):
    """What EM has come to: the expected S, decomposed; what s is multiplied by; rounds, and if they sufficed."""

    mean: Array
    decomposition: Decomposition
    inflation: float
    n_iter: int
    has_settled: bool


def inflation_of(observed: NDArray[np.bool_], weights: Array, n_samples: float) -> float:
    """Return what s is multiplied by, so that directions which missing entries feign count for little.

    A covariance is seen in the rows alone that have both entries, a share r of them. Noise makes eigenvalues
    of a covariance of n rows uncertain by a share of about sqrt(p / n) of s; that of r N rows in place of N
    adds the square root of p / (r N) - p / N.
    """
    p = observed.shape[1]
    share = float(weights @ np.square(observed.mean(axis=1)) / weights.sum())
    return 1.0 + float(np.sqrt(p / n_samples * (1 / share - 1)))


def pairwise_covariance(A: FloatArray, observed: FloatArray, weights: Array) -> Array:
    """Return the covariances of entries (p, p), each over the rows that have both: what EM begins with."""
    roots = np.sqrt(weights).astype(A.dtype)[:, np.newaxis]
    products, counts = ((M.T @ M).astype(np.float64) for M in (roots * A, roots * observed))
    return np.divide(products, counts, out=np.zeros_like(products), where=counts > 0)


def noise_of(decomposition: Decomposition, before: float, share_missing: Array) -> float:
    """Return s, the mean of the p - d discarded eigenvalues of S.

    To the diagonal of S missing entries have added what was s before, times a share: the s that is returned
    stays as it is when they add itself.
    """
    eigenvalues, basis = decomposition
    discarded = float(eigenvalues[len(basis) :].sum())
    across = float((1 - np.square(basis).sum(axis=0)) @ share_missing)
    return max(discarded - before * across, 0.0) / (len(share_missing) - len(basis) - across)


def expected_pca(
    X: FloatArray, weights: Array | None, n_samples: float, d: int, *, max_iter: int, tol: float, device: str
) -> Expected:
    """Find mean and S of incomplete rows by EM.

    A round is an E step and a few more of means alone. Rounds add up the covariances of some rows only, in
    place of all, until missing entries have once changed by less than `tol`.

    Parameters
    ----------
    X : ndarray of shape (N, p)
        NaN where a number is missing; some number is in each row and column.
    weights : ndarray of shape (N,), optional
        Above 0.
    n_samples : float
        N as divisors have it.
    d : int
        Below p.
    max_iter : int
        Rounds.
    tol : float
        How much missing entries may still change in a step, in standard deviations of the noise (root mean
        square).
    device : str
        Where moments are summed (see ``Moments.of``).
    """
    missing = np.isnan(X)
    of_all = np.ones(len(X)) if weights is None else weights
    total, inflation = float(of_all.sum()), inflation_of(~missing, of_all, n_samples)
    counts = of_all @ missing
    mean = of_all @ np.where(missing, 0, X).astype(np.float64) / (total - counts)
    A = np.where(missing, 0, X - mean.astype(X.dtype))
    S = pairwise_covariance(A, (~missing).astype(X.dtype), of_all)

    some = missing.any(axis=1)
    full, missing, of_rows = A[some], missing[some], of_all[some]
    observed = (~missing).astype(X.dtype)
    whole = None
    if not some.all():
        whole = Moments.of(A[~some], device, None if weights is None else weights[~some])
        if not some.any():
            decomposition = covariance_eigh(whole.scatter / total, lambda _: d)
            return Expected(mean + whole.mean, decomposition, 1.0, 1, has_settled=True)
    del A

    rows, since = slice(None, None, max(1, len(full) // _SAMPLE)), 0
    spread, noise, shift = Covariances(np.zeros_like(S), np.zeros_like(counts)), 0.0, np.zeros_like(mean)
    n_iter, ends, has_settled = 0, False, False
    while True:
        decomposition = covariance_eigh(S, lambda _: d)
        if ends:
            return Expected(mean + shift, decomposition, inflation, n_iter, has_settled)
        noise = noise_of(decomposition, noise, spread.counts / total)
        model = ProbabilisticPCA(decomposition.basis, decomposition.eigenvalues[:d], inflation * noise)
        loadings = Loadings.of(model, X.dtype)
        if since == 0:
            n_iter += 1
            spread = covariances(loadings, observed[rows], of_rows[rows], counts)
        before, full = full, refilled(loadings, full, observed)
        since += 1
        change = np.sqrt(np.square(full - before)[missing].mean(dtype=np.float64) / loadings.noise)
        moments = Moments.of(full, device, None if weights is None else of_rows)
        if whole is not None:
            moments += Moments(whole.n_samples, whole.mean - shift, whole.scatter, whole.total_weight)
        shift += moments.mean
        full -= moments.mean.astype(X.dtype)
        S = (moments.scatter + spread.within + noise * np.diag(spread.counts)) / total

        is_little = change < tol and since > 1
        if is_little or since > _STEPS:
            # Of no use any more are covariances of some rows, or of a model that has since been left behind.
            has_settled = is_little and rows.step == 1 and since == 2
            ends = has_settled or n_iter == max_iter
            rows, since = slice(None, None, 1 if is_little else rows.step), 0
