"""How many dimensions: a number, a share of the variance, an error not to exceed, or by one of three criteria."""

from dataclasses import dataclass
from math import lgamma, log, pi
from numbers import Integral
from typing import Any

import numpy as np

from latents.estimators.minimum_error_pca.moments import Array
from latents.estimators.minimum_error_pca.parallel import most_detectable

CRITERIA = ("mle", "parallel", "cross_validation")

# An error is known to no more than its last digits: what is asked for may have been summed in another order.
_ROUNDING = 32 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class Wanted:
    """What ``MinimumErrorPCA`` was asked for, checked against the data's shape where that can be done.

    Attributes
    ----------
    number : int or None
        d, where it was given; everything else needs the whole spectrum.
    share : float or None
        d explains more than this share of the variance.
    criterion : str or None
        One of ``CRITERIA``: d has the greatest evidence, as many directions as can be told from noise, or the
        least error of held-out entries.
    distortion, distortion_share : float or None
        J(d) is at most this, or this share of J(0).
    curve : ndarray, optional
        What "cross_validation" chose the number by.
    """

    number: int | None = None
    share: float | None = None
    criterion: str | None = None
    distortion: float | None = None
    distortion_share: float | None = None
    curve: Array | None = None

    @property
    def tells_noise(self) -> bool:
        """Return whether the spectrum is to be held against that of noise."""
        return self.criterion in ("parallel", "cross_validation")

    @classmethod
    def of(
        cls, n_components: Any, max_distortion: float | None, max_distortion_share: float | None
    ) -> "Wanted":
        """Read the arguments of the estimator.

        Raises
        ------
        ValueError
            If more than one of them is given.
        """
        given = {
            "n_components": n_components,
            "max_distortion": max_distortion,
            "max_distortion_share": max_distortion_share,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) > 1:
            raise ValueError(
                " and ".join(f"{name}={value!r}" for name, value in given.items())
                + " were given; allowed is one of them"
            )
        if isinstance(n_components, str):
            return cls(criterion=n_components)
        if n_components is None or isinstance(n_components, Integral):
            return cls(
                number=None if n_components is None else int(n_components),
                distortion=max_distortion,
                distortion_share=max_distortion_share,
            )
        return cls(share=float(n_components))

    def so_far(self, n_samples: int, n_features: int) -> "Wanted":
        """Return the same, or N directions while that needs more samples, up to p, which may still come."""
        least = n_features if self.criterion == "mle" else self.number or 0
        return Wanted(number=n_samples) if n_samples < least <= n_features else self

    def dimension(self, eigenvalues: Array, n_samples: float, n_features: int) -> int:
        """Return d for the whole spectrum of S, falling (divisor N); for "parallel", no less than d."""
        if self.number is not None:
            return self.number
        errors = falling_sums(eigenvalues, 0.0)
        total = float(errors[0])
        if self.criterion == "parallel":
            return most_detectable(eigenvalues, n_samples, n_features)
        if self.criterion == "mle":
            return minka_dimension(eigenvalues * n_samples / max(n_samples - 1, 1), n_samples)
        if self.share is not None:
            shares = np.cumsum(eigenvalues / total) if total > 0 else np.zeros_like(eigenvalues)
            # Rounding can leave the sum of all the shares below the one asked for.
            return min(int(np.searchsorted(shares, self.share, side="right")) + 1, eigenvalues.size)
        most = self.distortion if self.distortion is not None else (self.distortion_share or 0.0) * total
        return int(np.argmax(errors <= most * (1 + _ROUNDING)))


def falling_sums(terms: Array, rest: float) -> Array:
    """Return rest + sum_{i>d} terms_i for d = 0..len(terms), adding the smallest terms first."""
    return np.cumsum(np.concatenate([[rest], terms[::-1]]))[::-1]


def minka_dimension(spectrum: Array, n_samples: float) -> int:
    """Return the dimension d in 1..p-1 of greatest evidence, or 0 where the data have no variance.

    Parameters
    ----------
    spectrum : ndarray of shape (p,)
        The whole spectrum of the covariance, falling.
    n_samples : float
        N.

    References
    ----------
    T. Minka, Automatic choice of dimensionality for PCA, NIPS 2000.
    """
    # A d that would keep a null direction has no evidence: its likelihood is that of a flattened Gaussian.
    n_useful = int(np.sum(spectrum > np.finfo(np.float64).eps * spectrum[0]))
    dimensions = range(1, min(n_useful + 1, spectrum.size))
    evidence = [_log_evidence(spectrum, d, n_samples) for d in dimensions]
    return 1 + int(np.argmax(evidence)) if evidence else 0


def _log_evidence(spectrum: Array, d: int, n_samples: float) -> float:
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
