"""Which directions can be told from noise: parallel analysis, by what the spectra of permuted columns tend to.

Permuting each column of the data by itself leaves noise of the same variances, column by column, and nothing
that columns have in common. With many rows and columns the largest eigenvalue of such noise depends on no more
than these variances: it lies at the edge of a generalised Marchenko-Pastur law, and is spread around it as Tracy
and Widom have it. So nothing need be drawn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaincinv

from latents.estimators.minimum_error_pca.moments import Array

# How sure one is to be that noise alone has no eigenvalue as large.
_LEVEL = 0.975
# M. Chiani, Distribution of the largest eigenvalue for real Wishart and Gaussian random matrices and a simple
# approximation for the Tracy-Widom distribution, J. Multivariate Analysis, 2014: Tracy-Widom (beta = 1) as a gamma
# distribution that is shifted.
_SHAPE, _SCALE, _SHIFT = 46.446, 0.186054, 9.84801
_TRACY_WIDOM = float(_SCALE * gammaincinv(_SHAPE, _LEVEL) - _SHIFT)
# Eigenvalues below so many last digits of the largest one are rounding errors.
_ROUNDING = 16
# Of more samples noise has no spread that could be told.
_MANY = 1e12


@dataclass(frozen=True)
class Detection:
    """What of a spectrum can be told from noise.

    Attributes
    ----------
    thresholds : ndarray of shape (t,)
        For the first t directions, one after the other: what lambda has to exceed.
    is_detectable : ndarray of bool, of shape (t,)
        Whether it does.
    least_variance : float
        The variance along a direction whose lambda is expected at the last threshold.
    """

    thresholds: Array
    is_detectable: NDArray[np.bool_]
    least_variance: float


def most_detectable(eigenvalues: Array, n_samples: float, n_features: int) -> int:
    """Return no less than ``detection`` finds detectable, from the eigenvalues alone.

    Of all noise that has a given total, that of equal columns has the lowest edge.
    """
    most = _most(eigenvalues, n_samples, n_features)
    k = np.arange(most)
    rest = np.cumsum(eigenvalues[::-1])[::-1][:most]
    edges = rest * (1 / np.sqrt(n_samples - 1 - k) + 1 / np.sqrt(n_features - k)) ** 2
    under = np.flatnonzero(eigenvalues[:most] <= edges)
    return int(under[0]) if under.size else most


def detection(
    eigenvalues: Array,
    basis: NDArray[np.floating],
    columns: Array,
    n_samples: float,
    d: int | None,
    eps: float,
) -> tuple[int, Detection]:
    """Hold the eigenvalues of S one after the other against noise of what is left without those before.

    Parameters
    ----------
    eigenvalues : ndarray of shape (k,)
        lambda_i, falling.
    basis : ndarray of shape (d or more, p)
        Their directions mu_i.
    columns : ndarray of shape (p,)
        The diagonal of S.
    n_samples : float
        N.
    d : int or None
        How many directions to take away; None: as many as are detectable (of which `basis` has all).
    eps : float
        The last digit of the data.

    Returns
    -------
    d : int
    Detection
        Of the first d + 1 directions, if there are as many.

    Notes
    -----
    Without the first k directions, column j keeps the variance S_jj - sum_{i<=k} lambda_i mu_ij^2. Noise loses
    nearly the share (1 - k/n)(1 - k/p) of its squares with them, n being N - 1, and is a matrix of n - k by p - k
    of what remains: with t_j the variances before that loss and c = (p - k) / (n - k), the edge is the least
    value of

        psi(a) = a + a c mean_j t_j / (a - t_j),    a > max t,

    which a direction of variance a beyond the least one has for its expected eigenvalue. For equal t it is
    t (1 + sqrt c)^2, reached at a = t (1 + sqrt c). The largest eigenvalue of noise is the edge plus
    (n - k)^(-2/3) (a^3 + c mean_j (t_j / (1 - t_j / a))^3)^(1/3) times a variable of Tracy and Widom.
    """
    left = columns.astype(np.float64)
    varies = left > eps * left.max()  # what a constant column has is rounding
    n_samples = min(n_samples, _MANY)
    left, n, p = left[varies], n_samples - 1, int(varies.sum())
    most, floor = _most(eigenvalues, n_samples, p), _ROUNDING * eps * eigenvalues[:1].sum()
    thresholds: list[float] = []
    least = float(floor)
    for k in range(most if d is None else min(d + 1, most)):
        if k:
            left = np.maximum(
                left - eigenvalues[k - 1] * np.square(basis[k - 1, varies], dtype=np.float64), 0.0
            )
        variances = left * (n_samples / ((n - k) * (1 - k / p)))
        largest, least = _of_noise(variances, n - k, p - k)
        thresholds.append(max(largest * (n - k) / n_samples, float(floor)))
        if d is None and eigenvalues[k] <= thresholds[k]:
            break
    above = eigenvalues[: len(thresholds)] > thresholds
    found = int(above.sum()) if d is None else d
    return found, Detection(np.array(thresholds), above, least)


def _most(eigenvalues: Array, n_samples: float, n_features: int) -> int:
    """Return how many directions can have noise beside them: the mean has taken one of N."""
    return int(max(min(n_samples - 1, n_features, eigenvalues.size), 0))


def _of_noise(variances: Array, n: float, p: int) -> tuple[float, float]:
    """Return what the largest eigenvalue of noise is seldom above, and what variance is expected to be there."""
    t = variances[variances > variances.max() * np.finfo(np.float64).eps]
    if not t.size:
        return 0.0, 0.0
    top = float(t.max())
    t, w = t / top, p / (variances.size * n)

    def expected(a: float) -> float:
        return float(a + a * w * np.sum(t / (a - t)))

    ends = 1 + np.sqrt(w) * (1 - 1e-9), 1 + np.sqrt(w * t.size) * (1 + 1e-9)
    # The slope of psi is -t_max's part of it or less at the one end, and 0 or more at the other.
    a: float = brentq(lambda a: 1 - w * np.sum(np.square(t / (a - t))), *ends)
    spread = (a**3 + w * np.sum((t / (1 - t / a)) ** 3)) ** (1 / 3) * n ** (-2 / 3)
    largest = expected(a) + _TRACY_WIDOM * spread
    # psi(a) > a, and it rises from the edge on.
    least: float = brentq(lambda b: expected(b) - largest, a, largest)
    return largest * top, least * top
