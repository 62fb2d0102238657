"""Principal component analysis in the minimum-error formulation (source, section 2)."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from latents.estimators._pca_solvers import (
    FULL_SPECTRUM,
    SOLVERS,
    Decomposition,
    FloatArray,
    arpack_svd,
    choose_solver,
    covariance_eigh,
    full_svd,
    minka_dimension,
    random_projection_svd,
    resolve_components,
)
from latents.estimators._persistence import PersistentEstimator

_DTYPES = [np.float64, np.float32]


class MinimumErrorPCA(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    PersistentEstimator,
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """The d-dimensional approximation of the data with the least mean squared error.

    In a complete orthonormal basis mu_1..mu_p every point is x_n = sum_i (x_n' mu_i) mu_i. Keep d
    coordinates z_ni of each point, let all points share the other coordinates b_i, and write

        x~_n = sum_{i<=d} z_ni mu_i + sum_{i>d} b_i mu_i,    J = (1/N) sum_n |x_n - x~_n|^2.

    J is least for z_ni = x_n' mu_i and b_i = mean' mu_i, and is then J = sum_{i>d} mu_i' S mu_i
    with S = (1/N) sum_n (x_n - mean)(x_n - mean)'. Hence the basis is that of the eigenvectors of
    S, eigenvalues lambda_i falling, and J = sum_{i>d} lambda_i.

    Arguments, attributes, signs and dtypes are those of ``sklearn.decomposition.PCA``;
    ``distortion_``, ``distortion_curve_``, ``offsets_`` and ``svd_solver_`` are added.

    Parameters
    ----------
    n_components : int, float in (0, 1), "mle" or None, default=None
        d: a number; the smallest number that explains more than that fraction of the variance;
        Minka's choice by evidence (needs N >= p); or, for None, as many as there are: min(N, p),
        and one less with "arpack". A fraction and "mle" need a solver that computes the whole
        spectrum.
    copy : bool, default=True
        False lets ``fit`` and ``fit_transform`` centre floating-point input in place.
    whiten : bool, default=False
        Scale the coordinates that ``transform`` gives to unit variance (divisor N - 1).
    svd_solver : {"auto", "full", "covariance_eigh", "arpack", "randomized"}, default="auto"
        "full" is LAPACK's SVD of the centred data; "covariance_eigh" the eigendecomposition of the
        p x p covariance, the fastest for many samples of few features (see Notes); "arpack" and
        "randomized" find the leading d directions only. "auto" is "covariance_eigh" for p <= 1000
        and N >= 10 p; else "randomized" where min(N, p) is over d / 0.8 and max(N, p) over 500;
        else "full".
    tol : float, default=0.0
        Tolerance of "arpack" on the singular values; 0 is machine precision.
    iterated_power : int or "auto", default="auto"
        Power iterations of "randomized".
    n_oversamples : int, default=10
        Random directions that "randomized" takes beyond d.
    power_iteration_normalizer : {"auto", "QR", "LU", "none"}, default="auto"
        How "randomized" keeps its power iterations stable.
    random_state : int, RandomState instance or None, default=None
        Seed of "arpack" and "randomized".

    Attributes
    ----------
    components_ : ndarray of shape (d, p)
        The basis mu_1..mu_d as rows, each row's entry of largest magnitude positive.
    distortion_ : float
        J at d = ``n_components_``: squared input units per sample, divisor N.
    distortion_curve_ : ndarray of shape (k + 1,)
        J(d) for d = 0..k, with k the number of eigenvalues known: min(N, p) for "full", p for
        "covariance_eigh", ``n_components_`` for "arpack" and "randomized". J(0) is the trace of S.
        For the last two solvers the error of the last point is measured as trace less the known
        eigenvalues.
    offsets_ : ndarray of shape (p,)
        sum_{i>d} b_i mu_i, the part of x~ that all points share, so that x~_n = sum_i z_ni mu_i +
        ``offsets_`` with the source's uncentred z_ni = x_n' mu_i, that is ``X @ components_.T``.
        (``transform`` gives scikit-learn's centred coordinates, (x_n - mean)' mu_i.)
    explained_variance_ : ndarray of shape (d,)
        Variance along each basis vector with divisor N - 1: lambda_i N / (N - 1).
    explained_variance_ratio_ : ndarray of shape (d,)
        lambda_i as a share of the trace; 0 throughout where the data have no variance.
    singular_values_ : ndarray of shape (d,)
        Singular values of the centred data, sqrt(N lambda_i).
    mean_ : ndarray of shape (p,)
        Mean of the training data.
    n_components_ : int
        d.
    n_samples_ : int
        N.
    noise_variance_ : float
        sigma^2 of probabilistic PCA: mean of the discarded eigenvalues, divisor N - 1, over the
        min(N, p) - d of them that the sample can show ("covariance_eigh": over all p - d). As in
        scikit-learn, 0 when d = min(N, p).
    svd_solver_ : str
        The solver that was used.
    n_features_in_ : int
        p.
    feature_names_in_ : ndarray of shape (p,)
        Names of the features, where X has string column names.

    Notes
    -----
    "covariance_eigh" squares the conditioning. An SVD of the data finds a singular value s_i to
    about eps s_1, hence lambda_i down to eps^2 lambda_1; the covariance finds lambda_i itself only
    to about eps lambda_1 with eps = 2e-16. Eigenvalues below 1e-15 lambda_1, which are the
    directions along which the data spread less than 3e-8 as far as along the first, and a J made of
    such eigenvalues, are then rounding errors. Use "full" where that tail matters.

    The probabilistic model behind ``score``, ``get_covariance`` and ``get_precision`` is that of
    Tipping and Bishop: N(mean, C) with variance explained_variance_ along the basis and sigma^2
    across it. It does not depend on ``whiten``.

    References
    ----------
    The source, section 2: PCA, minimum-error formulation (after Bishop, Pattern Recognition and
    Machine Learning, 12.1.2). M. Tipping and C. Bishop, Probabilistic principal component analysis,
    JRSS B, 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from latents.estimators import MinimumErrorPCA
    >>> X = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 4.0]])
    >>> pca = MinimumErrorPCA(1).fit(X)
    >>> bool(np.isclose(pca.distortion_, pca.reconstruction_errors(X).mean()))
    True
    """

    _parameter_constraints = {  # noqa: RUF012
        "n_components": [
            Interval(Integral, 0, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"mle"}),
            None,
        ],
        "copy": ["boolean"],
        "whiten": ["boolean"],
        "svd_solver": [StrOptions({"auto", *SOLVERS})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "iterated_power": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "n_oversamples": [Interval(Integral, 1, None, closed="left")],
        "power_iteration_normalizer": [StrOptions({"auto", "QR", "LU", "none"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int | float | str | None = None,
        *,
        copy: bool = True,
        whiten: bool = False,
        svd_solver: str = "auto",
        tol: float = 0.0,
        iterated_power: int | str = "auto",
        n_oversamples: int = 10,
        power_iteration_normalizer: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.copy = copy
        self.whiten = whiten
        self.svd_solver = svd_solver
        self.tol = tol
        self.iterated_power = iterated_power
        self.n_oversamples = n_oversamples
        self.power_iteration_normalizer = power_iteration_normalizer
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Find the basis of least error.

        Parameters
        ----------
        X : array-like of shape (N, p)
            At least two samples. Integers (uint8 pixels, say) become float64; float32 stays.
        y : ignored
            For scikit-learn's convention.

        Returns
        -------
        MinimumErrorPCA
            The fitted estimator.

        Raises
        ------
        ValueError
            If an argument is not allowed, on its own or for the shape of X and the solver; if X has
            one sample, missing or infinite values; or for "arpack" on data without any variance.
        """
        self._fit(X)
        return self

    def fit_transform(self, X: ArrayLike, y: object = None) -> FloatArray:  # noqa: ARG002
        """Fit, and return the coordinates (N, d) of X, as ``transform`` would."""
        return self._project(self._fit(X))

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the centred coordinates (x_n - mean)' mu_i of X, whitened if so asked.

        Parameters
        ----------
        X : array-like of shape (N, p)

        Returns
        -------
        ndarray of shape (N, d)
        """
        return self._project(self._centre(X))

    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """Return the points x~ (N, p) of given coordinates, undoing ``transform`` on the plane.

        Parameters
        ----------
        X : array-like of shape (N, d)
            Coordinates as ``transform`` gives them (centred, whitened if ``whiten``).

        Raises
        ------
        ValueError
            If X does not have d columns.
        """
        check_is_fitted(self)
        Z = check_array(X, input_name="X", dtype=_DTYPES, ensure_min_features=0)
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {Z.shape[1]} columns; coordinates have n_components_={self.n_components_}"
            )
        if self.whiten:
            Z = Z * self._scale()
        points: FloatArray = Z @ self.components_ + self.mean_
        return points

    def reconstruction_errors(self, X: ArrayLike) -> FloatArray:
        """Return |x_n - x~_n|^2 for every sample.

        Parameters
        ----------
        X : array-like of shape (N, p)

        Returns
        -------
        ndarray of shape (N,)
            Squared input units. On the training data their mean is ``distortion_``.
        """
        return self._squared_residuals(self._centre(X))

    def distortion(self, X: ArrayLike) -> float:
        """Return (1/N) sum_n |x_n - x~_n|^2 of any data under the fitted basis and mean."""
        return float(self.reconstruction_errors(X).mean(dtype=np.float64))

    def distortion_curve(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the mean squared error of any data for every number of dimensions up to d.

        Parameters
        ----------
        X : array-like of shape (N, p)

        Returns
        -------
        ndarray of shape (d + 1,)
            Entry e is the error when mu_1..mu_e are kept: the error at d plus the mean squares of
            the coordinates e + 1..d (Pythagoras). The last entry is ``distortion(X)``.
        """
        centred = self._centre(X)
        rest = float(self._squared_residuals(centred).mean(dtype=np.float64))
        mean_squares = np.square(centred @ self.components_.T).mean(axis=0, dtype=np.float64)
        return _falling_sums(mean_squares, rest)

    def get_covariance(self) -> FloatArray:
        """Return C = sum_{i<=d} (v_i - sigma^2) mu_i mu_i' + sigma^2 I of shape (p, p).

        v is ``explained_variance_`` and sigma^2 ``noise_variance_``; the divisor is N - 1.
        """
        check_is_fitted(self)
        # A kept variance under sigma^2 is a rounding error, and would make C indefinite.
        excess = np.maximum(self.explained_variance_ - self.noise_variance_, 0.0)
        covariance: FloatArray = (self.components_.T * excess) @ self.components_
        covariance.flat[:: self.n_features_in_ + 1] += self.noise_variance_
        return covariance

    def get_precision(self) -> FloatArray:
        """Return the inverse of ``get_covariance()``, from the basis instead of by inversion.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the covariance is singular to working precision.
        """
        variances, noise = self._model_variances()
        if noise is None:
            precision: FloatArray = (self.components_.T / variances) @ self.components_
            return precision
        precision = (self.components_.T * (1 / variances - 1 / noise)) @ self.components_
        precision.flat[:: self.n_features_in_ + 1] += 1 / noise
        return precision

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """Return log N(x_n | mean, C) of every sample, in nats.

        With the coordinates z and the reconstruction error e of a sample, and v and sigma^2 as in
        ``get_covariance``,

            -2 log p = p log 2 pi + sum_i (log v_i + z_i^2 / v_i)
                       + (p - d) log sigma^2 + e / sigma^2.

        Parameters
        ----------
        X : array-like of shape (N, p)

        Returns
        -------
        ndarray of shape (N,)

        Raises
        ------
        numpy.linalg.LinAlgError
            If the covariance is singular to working precision, so that there is no density.
        """
        variances, noise = self._model_variances()
        centred = self._centre(X)
        distances = np.square(centred @ self.components_.T) @ (1 / variances)
        log_determinant = float(np.log(variances).sum(dtype=np.float64))
        if noise is not None:
            distances += self._squared_residuals(centred) / noise
            log_determinant += (self.n_features_in_ - self.n_components_) * float(np.log(noise))
        log_density: FloatArray = -0.5 * (
            distances + self.n_features_in_ * float(np.log(2 * np.pi)) + log_determinant
        )
        return log_density

    def score(self, X: ArrayLike, y: object = None) -> float:  # noqa: ARG002
        """Return the mean of ``score_samples(X)``: nats per sample."""
        return float(self.score_samples(X).mean(dtype=np.float64))

    def _fit(self, X: ArrayLike) -> FloatArray:
        """Learn everything from X; return X centred."""
        self._validate_params()
        data: FloatArray = validate_data(
            self, X, dtype=_DTYPES, ensure_min_samples=2, force_writeable=not self.copy
        )
        n_samples = data.shape[0]
        shortest = min(data.shape)
        solver = choose_solver(self.svd_solver, data.shape, self.n_components)
        requested = resolve_components(self.n_components, solver, data.shape)

        mean = data.mean(axis=0, dtype=np.float64)
        self.mean_ = mean.astype(data.dtype)
        centred: FloatArray = np.subtract(data, self.mean_, out=None if self.copy else data)

        singular_values, basis = self._solve(solver, centred, requested)
        eigenvalues = np.square(singular_values, dtype=np.float64) / n_samples
        if solver in FULL_SPECTRUM:
            trace, rest = float(eigenvalues.sum()), 0.0
        else:
            trace = float(np.einsum("ij,ij->", centred, centred, dtype=np.float64)) / n_samples
            rest = max(trace - float(eigenvalues.sum()), 0.0)
        unbiased = n_samples / (n_samples - 1)
        ratios = eigenvalues / trace if trace > 0 else np.zeros_like(eigenvalues)
        d = _dimension(requested, eigenvalues * unbiased, ratios, n_samples)

        self.svd_solver_ = solver
        self.n_samples_ = n_samples
        self.n_components_ = d
        self.components_ = basis[:d].copy()
        self.singular_values_ = singular_values[:d].astype(data.dtype)
        self.explained_variance_ = (eigenvalues[:d] * unbiased).astype(data.dtype)
        self.explained_variance_ratio_ = ratios[:d].astype(data.dtype)

        self.distortion_curve_ = _falling_sums(eigenvalues, rest)
        self.distortion_ = float(self.distortion_curve_[d])
        directions = self.components_.astype(np.float64)
        self.offsets_ = (mean - (directions @ mean) @ directions).astype(data.dtype)

        # scikit-learn's convention: the covariance shows p eigenvalues, the SVDs min(N, p).
        n_eigenvalues = max(eigenvalues.size, shortest)
        is_complete = d == shortest
        noise = 0.0 if is_complete else self.distortion_ * unbiased / (n_eigenvalues - d)
        self.noise_variance_ = noise
        return centred

    def _solve(self, solver: str, centred: FloatArray, requested: Any) -> Decomposition:
        if solver == "full":
            return full_svd(centred)
        if solver == "covariance_eigh":
            return covariance_eigh(centred)
        if solver == "arpack":
            return arpack_svd(centred, requested, tol=self.tol, seed=self.random_state)
        return random_projection_svd(
            centred,
            requested,
            n_oversamples=self.n_oversamples,
            n_iter=self.iterated_power,
            normalizer=self.power_iteration_normalizer,
            seed=self.random_state,
        )

    def _centre(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self)
        centred: FloatArray = validate_data(self, X, dtype=_DTYPES, reset=False) - self.mean_
        return centred

    def _project(self, centred: FloatArray) -> FloatArray:
        Z: FloatArray = centred @ self.components_.T
        if self.whiten:
            Z /= self._scale()
        return Z

    def _scale(self) -> FloatArray:
        """Return the standard deviations, floored so that null directions whiten finitely."""
        deviations: FloatArray = np.sqrt(self.explained_variance_)
        scale: FloatArray = np.maximum(deviations, np.finfo(deviations.dtype).eps)
        return scale

    def _squared_residuals(self, centred: FloatArray) -> FloatArray:
        residuals = centred - (centred @ self.components_.T) @ self.components_
        errors: FloatArray = np.einsum("ij,ij->i", residuals, residuals)
        return errors

    def _model_variances(self) -> tuple[FloatArray, float | None]:
        """Return the variances along the basis and across it (None where the basis is complete)."""
        check_is_fitted(self)
        variances = np.maximum(self.explained_variance_, self.noise_variance_)
        noise = self.noise_variance_ if self.n_components_ < self.n_features_in_ else None
        every = np.append(variances, [] if noise is None else [noise])
        if every.min() <= np.finfo(variances.dtype).eps * every.max():
            raise np.linalg.LinAlgError(
                f"the model's covariance is singular: with n_components_={self.n_components_} of"
                f" {self.n_features_in_} features its variances run from {every.max():.3g} down to"
                f" {every.min():.3g}. Choose an n_components that leaves variance to"
                " noise_variance_, or drop constant features"
            )
        return variances, noise

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _falling_sums(terms: NDArray[np.float64], rest: float) -> NDArray[np.float64]:
    """Return rest + sum_{i>d} terms_i for d = 0..len(terms), adding the smallest terms first."""
    return np.cumsum(np.concatenate([[rest], terms[::-1]]))[::-1]


def _dimension(
    requested: int | float | str,
    variances: NDArray[np.float64],
    ratios: NDArray[np.float64],
    n_samples: int,
) -> int:
    """Return d from a number, a fraction of the variance to exceed, or "mle"."""
    if isinstance(requested, str):
        return minka_dimension(variances, n_samples)
    if isinstance(requested, Integral):
        return int(requested)
    # Rounding can leave the sum of all the ratios below the fraction asked for.
    return min(int(np.searchsorted(np.cumsum(ratios), requested, side="right")) + 1, ratios.size)
