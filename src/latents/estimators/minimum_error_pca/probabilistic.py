"""The probabilistic model of PCA (Tipping and Bishop 1999): N(mean, C) with C = sum_i (v_i - s) mu_i mu_i' + s I.

v_i are the variances along the basis mu_1..mu_d, and s = sigma^2 is the one across it.
"""

from typing import NamedTuple

import numpy as np

from latents.estimators.minimum_error_pca.moments import FloatArray
from latents.estimators.minimum_error_pca.tensors import beside


class ProbabilisticPCA(NamedTuple):
    """C by its parts: `basis` (d, p), `variances` v (d,) and `noise` s; divisors are N - 1.

    Where C is singular to working precision, it has neither inverse nor density: ``numpy.linalg.LinAlgError``.
    """

    basis: FloatArray
    variances: FloatArray
    noise: float

    def covariance(self) -> FloatArray:
        """Return C (p, p)."""
        # A kept variance under the noise is a rounding error, and would make C indefinite.
        excess = np.maximum(self.variances - self.noise, 0.0)
        covariance: FloatArray = (self.basis.T * excess) @ self.basis
        covariance.flat[:: self.basis.shape[1] + 1] += self.noise
        return covariance

    def precision(self) -> FloatArray:
        """Return the inverse of C (p, p), from the basis instead of by inversion."""
        variances, noise = self._inverted()
        across = 0.0 if noise is None else 1 / noise
        precision: FloatArray = (self.basis.T * (1 / variances - across)) @ self.basis
        precision.flat[:: self.basis.shape[1] + 1] += across
        return precision.astype(self.basis.dtype, copy=False)

    def log_density(self, Z: FloatArray, errors: FloatArray) -> FloatArray:
        """Return log N(x_n | mean, C) in nats, (N,), by centred coordinates Z (N, d) and |x_n - x~_n|^2 (N,).

        -2 log p = p log 2 pi + sum_i (log v_i + z_i^2 / v_i) + (p - d) log s + e / s.
        """
        variances, noise = self._inverted()
        d, p = self.basis.shape
        distances = (Z * Z * beside(1 / variances, Z)).sum(axis=1)
        log_determinant = float(np.log(variances).sum(dtype=np.float64))
        if noise is not None:
            distances += errors / noise
            log_determinant += (p - d) * float(np.log(noise))
        density: FloatArray = -0.5 * (distances + p * float(np.log(2 * np.pi)) + log_determinant)
        return density

    def _inverted(self) -> tuple[FloatArray, float | None]:
        """Return the variances along the basis and across it (None where the basis is complete).

        They are as precise as float64 whatever the data are: a spread is known to the digits of the data, and a
        variance, its square, to twice as many.
        """
        d, p = self.basis.shape
        variances = np.maximum(self.variances, self.noise, dtype=np.float64)
        noise = self.noise if d < p else None
        every = np.append(variances, [] if noise is None else [noise])
        if every.min() <= np.finfo(np.float64).eps * every.max():
            raise np.linalg.LinAlgError(
                f"the model's covariance is singular: with n_components_={d} of {p} features its variances run"
                f" from {every.max():.3g} down to {every.min():.3g}. Choose an n_components that leaves variance"
                " to noise_variance_, or drop constant features"
            )
        return variances, noise
