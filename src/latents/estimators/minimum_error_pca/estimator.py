"""``MinimumErrorPCA``: PCA in the minimum-error formulation as a scikit-learn estimator."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from latents.estimators.common.blocks import Blocks, LocalBlocks, are_blocks, in_block, learn_names
from latents.estimators.common.persistence import (
    Learned,
    PersistentEstimator,
    check_learned,
    unchanged_on_failure,
)
from latents.estimators.common.threads import n_blas_threads
from latents.estimators.common.warnings import warn_caller
from latents.estimators.minimum_error_pca.centred import Centred, first_too_far, largest_deviation
from latents.estimators.minimum_error_pca.centred_tensor import centred
from latents.estimators.minimum_error_pca.cross_validation import cross_validation_curve
from latents.estimators.minimum_error_pca.dimension import CRITERIA, Wanted, falling_sums
from latents.estimators.minimum_error_pca.missing import Loadings, expected_pca, filled, log_density_of
from latents.estimators.minimum_error_pca.moments import (
    Array,
    FloatArray,
    Moments,
    block_rows,
    sums_of_rows,
    working_dtype,
)
from latents.estimators.minimum_error_pca.parallel import detection
from latents.estimators.minimum_error_pca.probabilistic import ProbabilisticPCA
from latents.estimators.minimum_error_pca.robust import Mask, support_of
from latents.estimators.minimum_error_pca.solvers import (
    FULL_SPECTRUM,
    SOLVERS,
    Decomposition,
    Dimension,
    arpack_svd,
    check_squares,
    choose_solver,
    full_svd,
    gram_eigh,
    possible,
    randomized_svd,
    scatter_eigh,
)
from latents.estimators.minimum_error_pca.tensors import (
    TensorRows,
    as_array,
    as_host,
    beside,
    first_beyond,
    is_tensor,
    product,
)
from latents.estimators.minimum_error_pca.weighted import (
    ByNumber,
    check_enough,
    counted,
    mean_of,
    n_rows_of,
    sample_size,
    weighted_mean,
    weights_of_rows,
    with_weights,
)
from latents.memory import check_memory

_DTYPES = [np.float64, np.float32]
_EM_SQUARES = 50  # bytes for each of the p x p entries, at the peak of EM
_OF_SOME_FITS = (
    *("scatter_", "scatter_mean_", "total_weight_", "cross_validation_curve_", "support_", "error_cutoff_"),
    *("detection_threshold_", "is_detectable_", "least_detectable_variance_"),
)


def _sums_blocks(pca: "MinimumErrorPCA") -> bool:
    for option, value in (("n_components", "cross_validation"), ("missing", "em"), ("robust", True)):
        if getattr(pca, option) == value:
            raise ValueError(
                f"{option}={value!r} goes over all rows several times, and takes no blocks and no partial_fit; "
                "allowed is fit on one array"
            )
    if pca.svd_solver not in ("auto", "covariance_eigh"):
        raise ValueError(
            f"blocks are summed into a covariance, which svd_solver={pca.svd_solver!r} does not use; allowed are "
            "'auto' and 'covariance_eigh'"
        )
    return True


class MinimumErrorPCA(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    PersistentEstimator,
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    r"""The d-dimensional approximation of the data with the least mean squared error.

    In a complete orthonormal basis mu_1..mu_p every point is x_n = sum_i (x_n' mu_i) mu_i. Keep d
    coordinates z_ni of each point, let all points share the other coordinates b_i, and write

    .. math::

        \tilde x_n = \sum_{i \le d} z_{ni} \mu_i + \sum_{i > d} b_i \mu_i, \qquad
        J = \frac{1}{N} \sum_n \lVert x_n - \tilde x_n \rVert^2.

    J is least for z_ni = x_n' mu_i and b_i = mean' mu_i, and is then J = sum_{i>d} mu_i' S mu_i
    with S = (1/N) sum_n (x_n - mean)(x_n - mean)'. Hence the basis is that of the eigenvectors of
    S, eigenvalues lambda_i falling, and J = sum_{i>d} lambda_i. With weights w_n (``sample_weight``) every sum
    over n is a weighted one, divided by sum_n w_n in place of N.

    Arguments, attributes, signs and dtypes are those of ``sklearn.decomposition.PCA``;
    ``max_distortion`` and ``max_distortion_share``, ``distortion_``, ``distortion_curve_``, ``offsets_``,
    ``svd_solver_``, the solver "gram", sparse data for all solvers but one, weights of samples, ``partial_fit``
    and fits over blocks are added.

    Parameters
    ----------
    n_components : int, float in (0, 1), {"mle", "parallel", "cross_validation"} or None, default=None
        d: a number; the smallest number that explains more than that fraction of the variance;
        Minka's choice by evidence (needs N >= p); "parallel", as many directions as can be told from noise;
        "cross_validation", the number of least error of held-out entries (see Notes on both); or, for None, as
        many as there are: min(N, p), and one less with "arpack", unless an error is given below. A fraction, a
        string and an error need a solver that computes the whole spectrum.
    copy : bool, default=True
        False lets ``fit`` and ``fit_transform`` with "full" centre floating-point input in place. The
        other solvers make no copy.
    whiten : bool, default=False
        Scale the coordinates that ``transform`` gives to unit variance (divisor N - 1).
    svd_solver : {"auto", "full", "covariance_eigh", "gram", "arpack", "randomized"}, default="auto"
        "full" is LAPACK's SVD of the centred data, which it copies. "covariance_eigh" is the
        eigendecomposition of the p x p covariance, for more samples than features; "gram" that of the N x N
        matrix of inner products, for more features than samples (see Notes on both). "arpack" and
        "randomized" find the leading d directions only, the former by Lanczos iteration to about the
        precision of the data, the latter approximately. "auto" is "full" where neither N nor p is over 500;
        "arpack" where d is at most an eighth of min(N, p) and X is sparse enough or that is over 10,000;
        else "covariance_eigh" or "gram". All but "full" take sparse data, which stay sparse.
    tol : float, default=0.0
        Tolerance of "arpack" on the singular values; 0 is machine precision.
    iterated_power : int or "auto", default="auto"
        Power iterations of "randomized".
    n_oversamples : int, default=10
        Random directions that "randomized" takes beyond d.
    power_iteration_normalizer : {"auto", "QR", "LU", "none"}, default="auto"
        How "randomized" keeps its power iterations stable.
    random_state : int, RandomState instance or None, default=None
        Seed of "arpack", "randomized", "cross_validation" and ``robust``.
    max_distortion : float >= 0, optional
        Instead of ``n_components``: d is the smallest number with J(d) at most this, in squared input units.
    max_distortion_share : float in [0, 1], optional
        The same as a share of J(0), the total variance.
    device : str, default="auto"
        Where "covariance_eigh" sums over dense data: "cpu", or a torch device such as "cuda". "auto" is CUDA where
        there is one and N p^2 is over 10^12, which takes a CPU longer than loading torch. Everything else is done
        by LAPACK on the CPU. Torch tensors stay on their own device (see Notes), and another one is refused.
    robust : bool, default=False
        Leave out rows that lie apart from the others, of which a few can turn the whole basis: see Notes. There
        have to be fewer components than features and rows to fit, and "cross_validation" cannot choose them.
    missing : {"error", "em"}, default="error"
        What becomes of NaN in X, where entries are missing: "error" refuses them, "em" estimates mean and basis
        without them, by EM for the probabilistic model (see Notes). That takes dense floats, "auto" or
        "covariance_eigh", and as ``n_components`` a whole number below p. Without NaN the fit is the plain one.
        Entries have to be missing at random: whether one is may hang on what is observed of its row, but not on
        the value that it would have. Of numbers that lack because they are large, the estimates are wrong.
    max_iter : int, default=100
        Most rounds of EM, each an E step and up to four more of the means alone.
    em_tol : float, default=0.01
        EM ends when a step changes the missing entries by less than this, in standard deviations of the noise
        (root mean square). The plane settles later: where most entries are missing, a smaller number turns it on.

    Attributes
    ----------
    components_ : ndarray of shape (d, p)
        The basis mu_1..mu_d as rows, each row's entry of largest magnitude positive.
    distortion_ : float
        J at d = ``n_components_``: squared input units per sample, divisor N.
    distortion_curve_ : ndarray of shape (k + 1,)
        J(d) for d = 0..k, with k the number of eigenvalues known: min(N, p) for "full" and
        "gram", p for "covariance_eigh", ``n_components_`` for the others. J(0) is the trace of S.
        For these others the error of the last point is the trace less the known eigenvalues.
    offsets_ : ndarray of shape (p,)
        sum_{i>d} b_i mu_i, the part of x~ that all points share, so that x~_n = sum_i z_ni mu_i +
        ``offsets_`` with the source's uncentred z_ni = x_n' mu_i, that is ``X @ components_.T``.
        (``transform`` gives scikit-learn's centred coordinates, (x_n - mean)' mu_i.)
    explained_variance_ : ndarray of shape (d,)
        Variance along each basis vector with divisor N - 1: lambda_i N / (N - 1).
    explained_variance_ratio_ : ndarray of shape (d,)
        lambda_i as a share of the trace; 0 throughout where the data have no variance.
    singular_values_ : ndarray of shape (d,)
        Singular values of the centred data, sqrt(N lambda_i); with weights sqrt(sum_n w_n lambda_i).
    mean_ : ndarray of shape (p,)
        Mean of the training data.
    n_components_ : int
        d.
    n_samples_ : int
        N; with weights, of how many rows they are above 0.
    total_weight_ : float
        sum_n w_n, after a fit with weights only.
    detection_threshold_ : ndarray of shape (d + 1,)
        After "parallel" and "cross_validation" only: what lambda_1..lambda_{d+1} have to exceed, so that noise
        alone has so large an eigenvalue, beside the directions before, in one of forty data sets at most. It ends
        where noise does, at min(N - 1, p) or, where columns are constant, before.
    is_detectable_ : ndarray of bool, of shape (d + 1,)
        Whether they do. Of the d directions that were chosen, those that do not lie under the detection threshold;
        if the last one does, beyond them, the data have more than were chosen.
    least_detectable_variance_ : float
        Of a direction of so large a variance, its noise included, lambda is expected at the last threshold: most
        data of this size would not show a direction of less, and d is no statement about those.
    cross_validation_curve_ : ndarray of shape (m + 1,)
        After "cross_validation" only: the mean squared error of held-out entries, times p, for 0..m directions. It
        is least at d.
    support_ : ndarray of shape (N,) of bool
        After a fit with ``robust`` only: the rows that the basis is fitted to. All else is of them alone;
        ``n_samples_`` is how many they are.
    error_cutoff_ : float
        After the same only: the ``reconstruction_errors`` beyond which rows were left out, and new ones lie apart.
    noise_variance_ : float
        sigma^2 of probabilistic PCA: mean of the discarded eigenvalues, divisor N - 1, over the
        min(N, p) - d of them that the sample can show ("covariance_eigh": over all p - d). As in
        scikit-learn, 0 when d = min(N, p).
    svd_solver_ : str
        The solver that was used.
    n_iter_ : int
        Rounds of EM; 1 where no entry is missing, and PCA is done at once.
    scatter_, scatter_mean_ : ndarray of shape (p, p) and (p,)
        After ``partial_fit`` only: N S and the mean in float64, to go on from.
    n_features_in_ : int
        p.
    feature_names_in_ : ndarray of shape (p,)
        Names of the features, where X has string column names.

    Notes
    -----
    Numbers are refused by their size alone, the same on every processor: in ``fit`` where the squared deviations
    from the mean add up to more than max / (2^10 p) in float32 or max / (2^32 p) in float64, with max the largest
    number of the type; in a fitted model where a number lies farther than sqrt(max / (64 p)) from its mean. What
    is allowed overflows nowhere.

    "covariance_eigh" and "gram" square the conditioning. An SVD of the data finds a singular value s_i to
    about eps s_1, hence lambda_i down to eps^2 lambda_1; the covariance finds lambda_i itself only
    to about eps lambda_1 with eps = 2e-16. Eigenvalues below 1e-15 lambda_1, which are the
    directions along which the data spread less than 3e-8 as far as along the first, and a J made of
    such eigenvalues, are then rounding errors. Use "full" where that tail matters. Dense float32 data are
    multiplied in float32, a few MiB at a time, and added up in float64: eigenvalues are then good to about 1e-7
    lambda_1. Bytes lose nothing: their sums are exact; where torch is loaded and the processor has products of
    8-bit numbers, they are made by these, which takes a third of the time.

    A weight says how many samples a row stands for: whole weights give what repeated rows give, to rounding, and
    a row of weight 0 is left out. N in the divisors of ``explained_variance_`` and ``noise_variance_``, and in
    Minka's evidence, is then the sum of the weights, but not less than the number of rows that have one. Weights
    that add up to less, as to 1, so tell shares alone; with equal ones of at most 1 everything but
    ``singular_values_`` is as without. As many directions can be had as rows have a weight, not more if these are
    repeated: those that lack are null. With weights bytes become float64, a few rows at a time; only where some
    are 0 do solvers other than "covariance_eigh" copy the rows that remain.

    "parallel" is Horn's parallel analysis. lambda_{k+1} is held against noise of the variances that the columns
    have without the first k directions (with those of the data, strong directions would hide weak ones); the
    first that is not above it ends the choice. Horn permutes each column to have such noise. The largest
    eigenvalue of permuted columns is computed here instead: its limit in large data (deterministic parallel
    analysis with deflation, Dobriban and Owen), and the spread of Tracy and Widom around it, of which the
    threshold is the 97.5th percentile (in a hundred rows, or where few columns have most of the variance, it is
    up to a fifth above that of permuted columns). So it needs p numbers more than "mle", no seed, and any data
    that "covariance_eigh" takes, blocks and ``partial_fit`` too. In noise of equal variance sigma^2 nothing
    tells a direction whose variance is below sigma^2 (1 + sqrt(p / N)) from it in large data (Baik, Ben Arous
    and Peche); ``least_detectable_variance_`` is that for the data as they are, and more. What columns have in
    common counts as a direction, were it only noise of theirs; so do rows that depend on each other, rows whose
    noise is of several sizes, and those of unequal weights that tell shares alone: "cross_validation" is right
    for these. Directions that are many beside the columns, four of seven for one, hide each other.

    "cross_validation" is Owen and Perry's bi-cross-validation. Rows and columns of the centred data are parted
    in three at random, eight times over, and each of the nine blocks that so arise is predicted from the
    others: the first of [[A, B], [C, D]] by B D_k^+ C, with D_k the best approximation of D of rank k. d is the
    k of least error, and so at most two thirds of min(N, p). A weak direction does harm there until the data
    tell it well: it needs a variance of about sigma^2 (1 + 4 sqrt(p / N)), for N and p alike sigma^2 (1 + 6
    sqrt(p / N)). Weights count in all sums; rows that are repeated fall into several parts, so that weights are
    better. The data are read eight times and 72 matrices of two thirds of min(N, p) decomposed; memory is that
    of nine square matrices of this side and, where N < p, of a third of the data.

    ``robust`` is ROBPCA, but for its last step, which estimates the covariance within the plane anew. Rows count
    that lie no farther from the plane than all but 1 in 200 would, were they of one kind: |x_n - x~_n|^(2/3) is
    then about normal, and its median and median absolute deviation say where that is. The plane is fitted to the
    rows that count, and so on until these stay the same, from the three quarters of the rows that are outlying
    least: by max_v |x'v - median| / MAD over 250 directions v, each through two rows drawn by ``random_state``. Up
    to a quarter of the rows may be of another kind. It takes as long as a handful of fits, and 200 numbers a row.
    Rows that are far out within the plane count: they turn its axes, not itself.

    X and the weights may be dense torch tensors, on the CPU or another device, which work as arrays of the
    same numbers do, bfloat16 as float16. What has a row for each of X is a tensor on its device; what is
    learned is NumPy's, and is saved and used with either kind. The rows never leave the device: sums of p x
    p, and of "gram" N x N, come to the host for LAPACK, of "arpack" and "randomized" matrices of few columns;
    thin matrices go there. On the CPU a fit sees the tensor's memory as an array, but for half precision, of
    which a few rows at a time become float64 (all of them with the three that follow). "full", ``robust`` and
    "cross_validation" are the CPU's alone, missing entries arrays' alone, and "auto" is never "full"
    elsewhere. Gradients do not go through, nor does autocast reach in; on CUDA float32 is multiplied as
    ``torch.set_float32_matmul_precision`` says, and only "highest", torch's default, keeps the digits above.

    With entries missing, S is what it is expected to be given those observed, under the probabilistic model below:
    each missing entry has its conditional mean, and the conditional covariances are added. Every E step computes
    both (the covariances by their products with the basis and their trace, on which alone it depends where EM
    ends), every M step is PCA of the expected S. J, the eigenvalues and all that follows are of this S. A row
    without any number is left out. Lest directions be fitted that missing entries feign (the overfitting of Ilin
    and Raiko), ``noise_variance_`` is then 1 + sqrt(p / N (1 / r - 1)) times the mean of the discarded
    eigenvalues, where a share r of the rows has both of two entries: in EM as well, which so draws missing entries
    to the mean. A round takes time N p d^2, and memory for a few copies of X and p d^2 numbers. To a model of
    complete rows ``set_params(missing="em")`` lets incomplete ones be given.

    The probabilistic model behind ``score``, ``get_covariance`` and ``get_precision`` is that of
    Tipping and Bishop: N(mean, C) with variance explained_variance_ along the basis and sigma^2
    across it. It does not depend on ``whiten``.

    References
    ----------
    The source, section 2: PCA, minimum-error formulation (after Bishop, Pattern Recognition and
    Machine Learning, 12.1.2). M. Tipping and C. Bishop, Probabilistic principal component analysis,
    JRSS B, 1999. E. Dobriban and A. Owen, Deterministic parallel analysis: an improved method for selecting
    factors and principal components, JRSS B, 2019. A. Owen and P. Perry, Bi-cross-validation of the SVD and
    the nonnegative matrix factorization, Annals of Applied Statistics, 2009. M. Hubert, P. Rousseeuw and K.
    Vanden Branden, ROBPCA: a new approach to robust principal component analysis, Technometrics, 2005. S.
    Roweis, EM algorithms for PCA and SPCA, NIPS 1998. A. Ilin and T. Raiko, Practical approaches to principal
    component analysis in the presence of missing values, JMLR 2010.

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
            StrOptions(set(CRITERIA)),
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
        "max_distortion": [Interval(Real, 0, None, closed="left"), None],
        "max_distortion_share": [Interval(Real, 0, 1, closed="both"), None],
        "device": [str],
        "robust": ["boolean"],
        "missing": [StrOptions({"error", "em"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "em_tol": [Interval(Real, 0, None, closed="neither")],
    }
    _added_params: ClassVar = {"robust": False, "missing": "error", "max_iter": 100, "em_tol": 0.01}

    _learned: ClassVar = {
        "components_": Learned("f", ("d", "p")),
        "mean_": Learned("f", ("p",)),
        "offsets_": Learned("f", ("p",)),
        "singular_values_": Learned("f", ("d",)),
        "explained_variance_": Learned("f", ("d",)),
        "explained_variance_ratio_": Learned("f", ("d",)),
        "distortion_": Learned("f"),
        "distortion_curve_": Learned("f", ("known",)),
        "noise_variance_": Learned("f"),
        "n_components_": Learned("i"),
        "n_samples_": Learned("i"),
        "svd_solver_": Learned("U"),
        "scatter_": Learned("f", ("p", "p"), is_optional=True),
        "scatter_mean_": Learned("f", ("p",), is_optional=True),
        "total_weight_": Learned("f", is_optional=True),
        "detection_threshold_": Learned("f", ("tested",), is_optional=True),
        "is_detectable_": Learned("b", ("tested",), is_optional=True),
        "least_detectable_variance_": Learned("f", is_optional=True),
        "cross_validation_curve_": Learned("f", ("tried",), is_optional=True),
        "support_": Learned("b", ("N",), is_optional=True),
        "error_cutoff_": Learned("f", is_optional=True),
        "n_iter_": Learned("i", is_optional=True),
        "n_features_in_": Learned("i"),
        "feature_names_in_": Learned("U", ("p",), is_optional=True),
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
        max_distortion: float | None = None,
        max_distortion_share: float | None = None,
        device: str = "auto",
        robust: bool = False,
        missing: str = "error",
        max_iter: int = 100,
        em_tol: float = 0.01,
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
        self.max_distortion = max_distortion
        self.max_distortion_share = max_distortion_share
        self.device = device
        self.robust = robust
        self.missing = missing
        self.max_iter = max_iter
        self.em_tol = em_tol

    def fit(self, X: Any, y: object = None, sample_weight: ArrayLike | None = None) -> Self:  # noqa: ARG002
        """Find the basis of least error, forgetting what was learned before.

        Parameters
        ----------
        X : array-like, tensor or sparse matrix of shape (N, p), iterable of such, or ``latents.engines``' blocks
            At least two samples. Float32 data give float32 results, all other numbers float64; dense ones
            are copied to floats in blocks only, and a memory map is read as it is needed. Sparse data stay
            sparse, and are multiplied in float64. Blocks are read once, in any order, which changes nothing but
            the last digits: what is kept of them is p numbers and p x p more.
        y : ignored
            For scikit-learn's convention.
        sample_weight : array-like of shape (N,), optional
            How many samples each row stands for: whole weights are as good as repeated rows, 0 leaves one out. Of
            blocks, the weights of all rows in their order.

        Returns
        -------
        MinimumErrorPCA
            The fitted estimator.

        Raises
        ------
        ValueError
            If an argument is not allowed, on its own, for the shape of X and the solver, for blocks or where
            entries are missing; if X has one sample, missing values (with missing="em" a column of nothing
            else), infinite ones, or values whose squares are too large (see Notes); if
            weights are not one for each row, below 0, not finite or all 0; for
            "arpack" on data without any variance; if torch cannot use the device; or if X is a sparse tensor, or
            on a device that is another than ``device`` or that the solver cannot use.

        Warns
        -----
        ConvergenceWarning
            If EM has not settled after ``max_iter`` rounds.
        """
        if are_blocks(X):
            self._fit_blocks(X, sample_weight)
        else:
            self._fit(X, sample_weight)
        return self

    @available_if(_sums_blocks)  # type: ignore[untyped-decorator]
    def partial_fit(
        self,
        X: Any,
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from one more block of samples, exactly: as ``fit`` would from all blocks seen so far together.

        As long as there are fewer samples than ``n_components`` asks for (p of them for "mle"), as many
        directions as samples are kept. Every call decomposes a p x p matrix anew: ``fit`` of an iterable of
        blocks does so once.

        Parameters
        ----------
        X : array-like, tensor or sparse matrix of shape (n, p)
            One sample or more.
        y : ignored
        sample_weight : array-like of shape (n,), optional
            As ``fit``; rows of calls without weights weigh 1.

        Raises
        ------
        AttributeError
            If ``svd_solver`` is another than "auto" or "covariance_eigh", or d is by "cross_validation".
        ValueError
            As ``fit``.

        Warns
        -----
        UserWarning
            After ``fit``, which keeps no p x p numbers to go on from: what it learned is forgotten. To go on,
            begin with ``partial_fit``, which learns from its first block as ``fit`` does with "covariance_eigh".
        """
        self._validate_params()
        first = not hasattr(self, "scatter_")
        if first and hasattr(self, "components_"):
            warn_caller(
                f"partial_fit begins anew: fit kept no sums over its n_samples_={self.n_samples_} to go on from."
                " To go on, call partial_fit in place of fit"
            )
        data = self._checked(X, reset=first, ensure_min_samples=1)
        weights = weights_of_rows(sample_weight, data.shape[0], any_above=first)
        if weights is not None and not weights.any():
            return self
        self._check_square("covariance_eigh", data.shape)
        moments = Moments.of(data, self.device, weights)
        if not first:
            total_weight = getattr(self, "total_weight_", None)
            moments = Moments(self.n_samples_, self.scatter_mean_, self.scatter_, total_weight) + moments
        dtype = np.result_type(*([] if first else [self.mean_]), working_dtype(data))
        self._learn_from_blocks(moments, self._wanted().so_far(moments.n_samples, len(moments.mean)), dtype)
        self.scatter_: NDArray[np.float64] = moments.scatter
        self.scatter_mean_: NDArray[np.float64] = moments.mean
        return self

    def fit_transform(
        self,
        X: Any,
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> FloatArray:
        """Fit, and return the coordinates (N, d) of all rows of X, as ``transform`` would."""
        fitted = self._fit(X, sample_weight)
        return self._project(self._centred(X) if fitted is None else fitted)

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the centred coordinates (x_n - mean)' mu_i of X, whitened if so asked.

        Those of incomplete rows (``missing="em"``) are what they are expected to be: those of ``impute(X)``.

        Parameters
        ----------
        X : array-like, tensor or sparse matrix of shape (N, p)

        Returns
        -------
        ndarray of shape (N, d)
            Of a tensor, as from all methods that give numbers for each row, a tensor on its device.

        Raises
        ------
        ValueError
            If X has other features than the training data, infinite values, missing ones where ``missing`` is
            "error", or one too far from the mean to be squared (see Notes). So do all methods that take X.
        """
        return self._project(self._centred(X))

    def impute(self, X: ArrayLike) -> FloatArray:
        """Return X with each missing entry, NaN, as it is expected given those observed of its row, E[x_m | x_o].

        The expectation is that of the probabilistic model (see Notes); where a row has nothing, it is the
        mean. It takes ``missing="em"``.

        Parameters
        ----------
        X : array-like of shape (N, p)

        Returns
        -------
        ndarray of shape (N, p)
            A copy, floats; what was observed is as it was.
        """
        A = self._centred(X)
        if isinstance(A.X, TensorRows):  # which lacks nothing
            rows = A.X[:] if A.dtype == np.float32 else A.X[:].double()
            copy: FloatArray = rows.clone()  # type: ignore[assignment]
            return copy
        return A.X.toarray() if A.is_sparse else np.array(A.X, A.dtype)

    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """Return the points x~ (N, p) of given coordinates, undoing ``transform`` on the plane.

        Parameters
        ----------
        X : array-like of shape (N, d)
            Coordinates as ``transform`` gives them (centred, whitened if ``whiten``).

        Raises
        ------
        ValueError
            If X does not have d columns, or has missing or infinite values, or coordinates beyond what
            ``transform`` can give.
        """
        check_is_fitted(self)
        Z = self._checked_coordinates(X)
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {Z.shape[1]} columns; coordinates have n_components_={self.n_components_}"
            )
        if self.whiten:
            Z = Z * beside(self._scale(), Z)
        dtype = np.dtype(str(Z.dtype).removeprefix("torch."))
        most = largest_deviation(1, dtype)
        if (place := first_beyond(Z, most)) is not None:
            raise ValueError(
                f"X[{place[0]}, {place[1]}] stands for a length of {float(Z[place]):.3g}; allowed in {dtype} are "
                f"lengths of at most {most:.3g}"
            )
        points: FloatArray = product(Z, beside(self.components_, Z)) + beside(self.mean_, Z)
        return points

    def _checked_coordinates(self, X: Any) -> Any:
        """Return coordinates as an array or a tensor of float32 or float64."""
        check = partial(check_array, input_name="X", dtype=_DTYPES, ensure_min_features=0)
        if not is_tensor(X):
            return check(X)
        rows = TensorRows(X)
        check(rows.stand_in())
        rows.check_finite()
        return rows[:] if rows.dtype == np.float32 else rows[:].double()

    def reconstruction_errors(self, X: ArrayLike) -> FloatArray:
        """Return |x_n - x~_n|^2 for every sample; of incomplete rows, the sum over the entries observed.

        Parameters
        ----------
        X : array-like of shape (N, p)

        Returns
        -------
        ndarray of shape (N,)
            Squared input units. On the training data their mean, weighted as in ``fit``, is ``distortion_``; after
            a robust fit, that of the rows in ``support_``.
        """
        A = self._centred(X)
        squares = (squares for _, _, squares in A.projected(self.components_))
        return A.joined(squares, np.result_type(A.dtype, self.components_))

    def distortion(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean of |x_n - x~_n|^2, weighted or not, of any data under the fitted basis and mean.

        Of incomplete rows it is the mean of sums over what is observed: less, the more is missing.
        """
        errors = as_array(self.reconstruction_errors(X))
        return weighted_mean(errors, weights_of_rows(sample_weight, len(errors)))

    def distortion_curve(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the mean squared error of any data for every number of dimensions up to d.

        Parameters
        ----------
        X : array-like of shape (N, p)
        sample_weight : array-like of shape (N,), optional

        Returns
        -------
        ndarray of shape (d + 1,)
            Entry e is the error when mu_1..mu_e are kept: the error at d plus the mean squares of
            the coordinates e + 1..d (Pythagoras; where entries are missing, sums over those observed). The last
            entry is ``distortion(X)``.
        """
        A = self._centred(X)
        weights = weights_of_rows(sample_weight, A.shape[0])
        if A.missing is not None:
            return A.observed_curve(self.components_, A.missing, weights)
        squares, rest = A.sums_of_squares(self.components_, weights)
        total = A.shape[0] if weights is None else weights.sum()
        return falling_sums(squares / total, rest / total)

    def get_covariance(self) -> FloatArray:
        """Return C = sum_{i<=d} (v_i - sigma^2) mu_i mu_i' + sigma^2 I of shape (p, p).

        v is ``explained_variance_`` and sigma^2 ``noise_variance_``; the divisor is N - 1.
        """
        return self._probabilistic().covariance()

    def get_precision(self) -> FloatArray:
        """Return the inverse of ``get_covariance()``, from the basis instead of by inversion.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the covariance is singular to working precision.
        """
        return self._probabilistic().precision()

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """Return log N(x_n | mean, C) of every sample, in nats.

        With the coordinates z and the reconstruction error e of a sample, and v and sigma^2 as in
        ``get_covariance``,

            -2 log p = p log 2 pi + sum_i (log v_i + z_i^2 / v_i)
                       + (p - d) log sigma^2 + e / sigma^2.

        Of an incomplete row it is the log density of what is observed, log N(x_o | mean_o, C_oo), and 0 if
        that is nothing.

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
        model, A = self._probabilistic(), self._centred(X)
        of_blocks = (model.log_density(Z, errors) for _, Z, errors in A.projected(self.components_))
        log_density = A.joined(of_blocks, np.result_type(A.dtype, self.components_))
        if A.missing is not None:
            some = A.missing.any(axis=1)
            observed = (~A.missing[some]).astype(np.float64)
            rows = np.subtract(A.X[some], self.mean_, dtype=np.float64) * observed
            log_density[some] = log_density_of(Loadings.of(model, np.float64), rows, observed)
        return log_density

    def score(
        self,
        X: ArrayLike,
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the mean of ``score_samples(X)``, weighted or not: nats per sample."""
        log_density = as_array(self.score_samples(X))
        return weighted_mean(log_density, weights_of_rows(sample_weight, len(log_density)))

    @np.errstate(over="ignore", invalid="ignore")  # which check_squares tells
    def _fit(self, X: Any, sample_weight: ArrayLike | None) -> Centred | None:
        """Learn everything from X; return X centred, or None where entries are missing."""
        self._validate_params()
        data = given = self._checked(X, reset=True, force_writeable=not self.copy, ensure_all_finite=False)
        if isinstance(given, TensorRows):
            given.check_device(self.device)
            data = given.seen()
        weights = weights_of_rows(sample_weight, given.shape[0])
        lacks = self._may_lack(given) and bool(np.isnan(given).any())
        if self.robust:
            self._check_robust(weights is not None, lacks)
        if lacks:
            self._fit_incomplete(given, weights)
            return None
        if weights is not None:
            self._check_finite(given)
            data, weights = counted(data, weights)
            check_enough(len(weights))
        if not self.robust:
            return self._learn(data, given, weights)
        self._check_finite(given)
        data = as_host(given, "robust=True")

        def errors_of(rows: Mask) -> tuple[FloatArray, float, int]:
            A = self._learn(counted(data, rows.astype(np.float64))[0], data, None)
            errors = [errors for _, _, errors in A.projected(self.components_)]
            return np.concatenate(errors), float(self.distortion_curve_[0]), self.n_components_

        with unchanged_on_failure(self):
            support = support_of(data, errors_of, check_random_state(self.random_state))
            A = self._learn(counted(data, support.rows.astype(np.float64))[0], given, None)
        self.support_, self.error_cutoff_ = support
        return A

    def _check_robust(self, has_weights: bool, lacks: bool) -> None:
        """Refuse what a robust fit cannot be had with."""
        found = {
            "sample_weight": has_weights,
            "missing entries": lacks,
            "n_components='cross_validation'": self.n_components == "cross_validation",
        }
        if told := [what for what, is_so in found.items() if is_so]:
            raise ValueError(
                f"robust=True says by itself which rows count: it cannot be had with {' and '.join(told)}; "
                "allowed there is robust=False"
            )

    def _learn(self, data: Any, given: Any, weights: NDArray[np.float64] | None) -> Centred:
        """Learn from the rows that count; return all that are given, centred."""
        wanted = self._wanted()
        n_nonzeros = data.nnz if sp.issparse(data) else None  # type: ignore[attr-defined]
        is_on_host = not isinstance(data, TensorRows) or data.is_on_host
        solver = choose_solver(self.svd_solver, data.shape, n_nonzeros, wanted, is_on_host=is_on_host)
        if solver == "full" and n_nonzeros is not None:
            raise ValueError(
                "svd_solver='full' would make X dense; allowed for sparse X are "
                + ", ".join(name for name in SOLVERS if name != "full")
            )
        wanted = possible(wanted, self.n_components, solver, data.shape)
        if solver in ("covariance_eigh", "gram"):
            self._check_square(solver, data.shape)
        if wanted.criterion == "cross_validation":
            self._check_finite(given)
            on_host = as_host(data, "n_components='cross_validation'")
            curve = cross_validation_curve(on_host, weights, self.device, self.random_state)
            wanted = replace(wanted, number=int(np.argmin(curve)), curve=curve)
        if solver == "covariance_eigh":
            moments = Moments.of(data, self.device, weights)
            # What is not finite shows in the sums: only then is it worth a look at all data.
            if not np.isfinite(moments.scatter.diagonal()).all():
                self._check_finite(given)
            self._learn_from_moments(moments, wanted, working_dtype(data))
            return centred(given, self.mean_)
        if isinstance(data, TensorRows):
            data = data.on_host("svd_solver='full'") if solver == "full" else data.in_one_part()
        elif n_nonzeros is None:
            data = np.asarray(data)
        if weights is None:
            self._check_finite(data)
        mean = mean_of(data, weights, block_rows(data.shape[1], 8))
        A = centred(data, mean, weights)
        if solver == "full":
            A = A.dense(in_place=not (self.copy or self.robust or isinstance(given, TensorRows)))
        trace = 0.0 if solver == "gram" else A.squared_length()  # "gram" has it on its diagonal
        check_squares(trace * (A.shape[0] / A.total), A.shape[1], A.dtype)
        total_weight = None if weights is None else float(weights.sum())
        n = sample_size(A.shape[0], total_weight)
        dimension = partial(wanted.dimension, n_samples=n, n_features=A.shape[1])
        decomposition = self._solve(solver, A, dimension)
        whole = solver in FULL_SPECTRUM
        total = float(decomposition.eigenvalues.sum()) if whole else trace / A.total
        columns = A.column_squares() / A.total if wanted.tells_noise else None
        self._keep(decomposition, solver, mean, total, A.shape[0], A.dtype, total_weight, wanted, columns)
        return A if weights is None and data is given else centred(given, mean)

    def _asked(self) -> str:
        given = {name: getattr(self, name) for name in ("max_distortion", "max_distortion_share")}
        told = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return " and ".join(told) or f"n_components={self.n_components!r}"

    def _may_lack(self, data: Any) -> bool:
        """Tell whether NaN stands for missing entries."""
        takes_them = not sp.issparse(data) and not isinstance(data, TensorRows)
        return bool(self.missing == "em" and takes_them and data.dtype.kind == "f")

    def _fit_incomplete(self, given: NDArray[Any], weights: Array | None) -> None:
        """Learn everything from rows with missing entries, some of them."""
        self._check_finite(given, allow_nan=True)
        d, p = self._wanted().number, given.shape[1]
        if self.svd_solver not in ("auto", "covariance_eigh"):
            raise ValueError(
                f"X has missing entries, which svd_solver={self.svd_solver!r} does not take; allowed with "
                "missing='em' are 'auto' and 'covariance_eigh'"
            )
        if d is None or d >= p:
            raise ValueError(
                f"X has missing entries, and {self._asked()}; allowed with missing='em' are as n_components "
                f"whole numbers below n_features={p}"
            )
        missing = np.isnan(given)
        rows = ~missing.all(axis=1)
        if weights is not None:
            rows &= weights > 0
            weights = weights[rows]
        if (n := int(rows.sum())) < 2:
            raise ValueError(
                f"{n} of {len(given)} rows have a number and a weight above 0; a minimum of 2 is required by "
                "MinimumErrorPCA"
            )
        if (empty := np.flatnonzero(missing[rows].all(axis=0))).size:
            name = (
                repr(self.feature_names_in_[empty[0]])
                if hasattr(self, "feature_names_in_")
                else str(empty[0])
            )
            raise ValueError(
                f"column {name:.80} of X has no number ({empty.size} of {p} columns have none); leave it out"
            )
        X = np.asarray(given[rows], working_dtype(given))
        possible(self._wanted(), self.n_components, "covariance_eigh", X.shape)
        self._check_square("covariance_eigh", X.shape)
        check_memory(
            {"n_components": d},
            lambda n_components: X.itemsize * p * n_components**2 + _EM_SQUARES * p**2,
            "EM with missing entries",
        )
        total_weight = None if weights is None else float(weights.sum())
        squares = np.nansum(np.square(X - np.nanmean(X, axis=0)), axis=1, dtype=np.float64)
        check_squares(n * weighted_mean(np.asarray(squares), weights), p, X.dtype)
        n_samples = sample_size(n, total_weight)
        found = expected_pca(
            X, weights, n_samples, d, max_iter=self.max_iter, tol=self.em_tol, device=self.device
        )
        if not found.has_settled:
            warn_caller(
                f"EM has not settled in max_iter={self.max_iter} rounds: missing entries still change by more "
                f"than em_tol={self.em_tol:g} of the noise. Allow more, or fewer components",
                ConvergenceWarning,
            )
        total = float(found.decomposition.eigenvalues.sum())
        learned = found.decomposition, "covariance_eigh", found.mean, total, n, X.dtype
        self._keep(*learned, total_weight, self._wanted(), None, found.n_iter)
        unbiased = n_samples / max(n_samples - 1, 1)
        self.noise_variance_ = found.inflation * self.distortion_ * unbiased / (p - d)

    def _check_square(self, solver: str, shape: tuple[int, int]) -> None:
        """Refuse data of whose p x p, or N x N, products two matrices outgrow the memory."""
        side = shape[1] if solver == "covariance_eigh" else shape[0]
        check_memory(
            {"svd_solver": solver},
            lambda svd_solver: 16 * side**2 if svd_solver == solver else 0,
            f"its {side} x {side} matrix",
        )

    def _fit_blocks(self, X: Any, sample_weight: ArrayLike | None) -> None:
        self._validate_params()
        _sums_blocks(self)
        weights = weights_of_rows(sample_weight, None)
        if isinstance(X, Blocks):
            # Who reads them elsewhere checks them there.
            blocks: Blocks[Any] = X.prepared(learn_names(self, X, type(self)._check_first)._checked_block)
            if weights is not None:
                n_rows = X.each(n_rows_of)
                weights_of_rows(weights, sum(n_rows))
                blocks = blocks.prepared(ByNumber(weights, np.cumsum([0, *n_rows]).tolist()))
        else:
            checked = _of_like_size(self._each_checked(X))
            blocks = LocalBlocks(
                checked if weights is None else with_weights(checked, weights), n_blas_threads()
            )
        sums = blocks.add_up(partial(sums_of_rows, device=self.device))
        moments = sums.moments()
        if weights is not None:
            check_enough(moments.n_samples)
        if moments.n_samples < 2:
            raise ValueError("there is 1 sample in all; a minimum of 2 is required by MinimumErrorPCA")
        self._learn_from_blocks(moments, self._wanted(), sums.dtype)

    def _each_checked(self, blocks: Iterable[Any]) -> Iterator[Any]:
        for number, block in enumerate(blocks):
            with in_block(number):
                data = self._checked(block, reset=number == 0, ensure_min_samples=1)
            self._check_square("covariance_eigh", data.shape)
            yield data

    def _check_first(self, block: Any) -> None:
        self._check_square("covariance_eigh", self._checked(block, reset=True, ensure_min_samples=1).shape)

    def _checked_block(self, block: Any, number: int) -> Any:  # noqa: ARG002
        return self._checked(block, reset=False)

    def _learn_from_blocks(self, moments: Moments, wanted: Wanted, dtype: np.dtype[Any]) -> None:
        shape = moments.n_samples, len(moments.mean)
        wanted = possible(wanted, self.n_components, "covariance_eigh", shape)
        self._learn_from_moments(moments, wanted, dtype)

    def _learn_from_moments(self, moments: Moments, wanted: Wanted, dtype: np.dtype[Any]) -> None:
        n, total_weight = moments.n_samples, moments.total_weight
        trace = float(moments.scatter.trace()) * (n / moments.total)
        check_squares(trace, len(moments.mean), dtype)
        n_counted, p = sample_size(n, total_weight), len(moments.mean)
        dimension = partial(wanted.dimension, n_samples=n_counted, n_features=p)
        decomposition = scatter_eigh(moments, dimension)
        total = float(decomposition.eigenvalues.sum())
        columns = moments.scatter.diagonal() / moments.total if wanted.tells_noise else None
        self._keep(
            decomposition, "covariance_eigh", moments.mean, total, n, dtype, total_weight, wanted, columns
        )

    def _solve(self, solver: str, A: Centred, dimension: Dimension) -> Decomposition:
        if solver == "full":
            return full_svd(A, dimension)
        if solver == "gram":
            return gram_eigh(A, dimension)
        d = dimension(np.empty(0))
        if solver == "arpack":
            return arpack_svd(A, d, tol=self.tol, seed=self.random_state)
        return randomized_svd(
            A,
            d,
            n_oversamples=self.n_oversamples,
            n_iter=self.iterated_power,
            normalizer=self.power_iteration_normalizer,
            seed=self.random_state,
        )

    def _keep(
        self,
        decomposition: Decomposition,
        solver: str,
        mean: NDArray[np.float64],
        total: float,
        n_samples: int,
        dtype: np.dtype[Any],
        total_weight: float | None,
        wanted: Wanted,
        columns: NDArray[np.float64] | None,
        n_iter: int = 1,
    ) -> None:
        """Set what is learned: `total` is the trace of S; `columns` its diagonal, where noise is to be told."""
        eigenvalues, basis = decomposition
        n = sample_size(n_samples, total_weight)
        for name in _OF_SOME_FITS:
            self.__dict__.pop(name, None)
        if columns is not None:
            d, found = detection(eigenvalues, basis, columns, n, wanted.number, np.finfo(dtype).eps)
            basis = basis[:d]
            self.detection_threshold_ = found.thresholds
            self.is_detectable_ = found.is_detectable
            self.least_detectable_variance_ = found.least_variance
        if wanted.curve is not None:
            self.cross_validation_curve_ = wanted.curve
        d, shortest = len(basis), min(int(n), len(mean))
        unbiased = n / max(n - 1, 1)
        ratios = eigenvalues[:d] / total if total > 0 else np.zeros(d)
        rest = 0.0 if solver in FULL_SPECTRUM else max(total - float(eigenvalues.sum()), 0.0)

        self.svd_solver_ = solver
        self.n_samples_ = n_samples
        self.n_iter_ = n_iter
        self.n_components_ = d
        self.mean_ = mean.astype(dtype)
        self.components_ = basis.astype(dtype)
        self.singular_values_ = np.sqrt(eigenvalues[:d] * (total_weight or n_samples)).astype(dtype)
        self.explained_variance_ = (eigenvalues[:d] * unbiased).astype(dtype)
        self.explained_variance_ratio_ = ratios.astype(dtype)

        self.distortion_curve_ = falling_sums(eigenvalues, rest)
        self.distortion_ = float(self.distortion_curve_[d])
        if total_weight is not None:
            self.total_weight_ = float(total_weight)
        directions = self.components_.astype(np.float64)
        self.offsets_ = (mean - (directions @ mean) @ directions).astype(dtype)

        # scikit-learn's convention: the covariance shows p eigenvalues, the SVDs min(N, p).
        n_eigenvalues = max(eigenvalues.size, shortest)
        is_complete = d >= shortest
        self.noise_variance_ = 0.0 if is_complete else self.distortion_ * unbiased / (n_eigenvalues - d)

    def _wanted(self) -> Wanted:
        return Wanted.of(self.n_components, self.max_distortion, self.max_distortion_share)

    def _checked(self, X: Any, *, reset: bool, **how: Any) -> Any:
        """Return X checked: floats and whole numbers as they are, CSR if sparse."""
        if are_blocks(X):
            raise ValueError(
                "X is an iterable of blocks, which only fit takes; give every other method one block at a time"
            )
        sparse_or_odd = sp.issparse(X) or getattr(X, "dtype", None) in (np.float16, np.longdouble)
        finite = "allow-nan" if self.missing == "em" and not sp.issparse(X) else True
        how = {"ensure_min_samples": 2 if reset else 1, "ensure_all_finite": finite, **how}
        if is_tensor(X):
            rows = TensorRows(X)
            asked = {**how, "ensure_all_finite": False, "force_writeable": False}
            validate_data(self, rows.stand_in(), reset=reset, **asked)
            if how["ensure_all_finite"]:
                self._check_finite(rows)
            return rows
        dtype = _DTYPES if sparse_or_odd else "numeric"
        with self._naming_the_option():
            return validate_data(self, X, accept_sparse="csr", dtype=dtype, reset=reset, **how)

    def _check_finite(self, data: Any, *, allow_nan: bool = False) -> None:
        name = type(self).__name__
        with self._naming_the_option():
            if isinstance(data, TensorRows):
                data.check_finite(name)
            else:
                assert_all_finite(data, allow_nan=allow_nan, estimator_name=name, input_name="X")

    @contextmanager
    def _naming_the_option(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            if "contains NaN" not in str(error):
                raise
            raise ValueError(
                "Input X contains NaN: entries are missing, which missing="
                + (
                    "'em' takes in dense arrays only"
                    if self.missing == "em"
                    else "'error' refuses; 'em' estimates them"
                )
            ) from None

    def _centred(self, X: Any) -> Centred:
        """Return X less its mean; incomplete rows with what is expected of them in place of what they lack."""
        check_is_fitted(self)
        data = self._checked(X, reset=False)
        if (place := first_too_far(data, self.mean_)) is not None:
            dtype = working_dtype(data)
            most = largest_deviation(data.shape[1], dtype)
            number = float(data[place])
            raise ValueError(
                f"X[{place[0]}, {place[1]}] is {number:.3g}, too far from the mean of the training data "
                f"to be squared; allowed in {dtype} is what lies within {most:.3g} of it"
            )
        missing = np.isnan(data) if self._may_lack(data) else np.zeros((0, 0), bool)
        if not missing.any():
            return centred(data, self.mean_)
        some, dtype = missing.any(axis=1), working_dtype(data)
        observed = (~missing[some]).astype(dtype)
        rows = np.where(missing[some], 0, data[some] - self.mean_).astype(dtype, copy=False)
        full = np.array(data, dtype)
        estimates = filled(Loadings.of(self._probabilistic(), dtype), rows, observed) + self.mean_
        full[some] = np.where(missing[some], estimates, full[some])
        return Centred(full, self.mean_, missing)

    def _project(self, A: Centred) -> FloatArray:
        Z = A.coordinates(self.components_)
        if self.whiten:
            Z /= beside(self._scale(), Z)
        return Z

    def _scale(self) -> FloatArray:
        """Return the standard deviations, floored so that null directions whiten finitely."""
        deviations: FloatArray = np.sqrt(self.explained_variance_)
        scale: FloatArray = np.maximum(deviations, np.finfo(deviations.dtype).eps)
        return scale

    def _probabilistic(self) -> ProbabilisticPCA:
        check_is_fitted(self)
        return ProbabilisticPCA(self.components_, self.explained_variance_, self.noise_variance_)

    def _check_state(self, state: dict[str, Any]) -> None:
        lengths = check_learned(state, self._learned)
        for name, axis in (("n_features_in_", "p"), ("n_components_", "d")):
            if state[name] != lengths[axis]:
                raise ValueError(
                    f"components_ are {lengths['d']} of {lengths['p']} numbers; {name} is {state[name]}"
                )
        if lengths["known"] <= lengths["d"] or state["n_samples_"] < 1 or state["svd_solver_"] not in SOLVERS:
            raise ValueError("distortion_curve_, n_samples_ or svd_solver_ is of no fit")
        if not state.get("total_weight_", 1.0) > 0:
            raise ValueError(f"total_weight_ is {state['total_weight_']}; allowed is a number above 0")
        if ("scatter_" in state) != ("scatter_mean_" in state):
            raise ValueError("of scatter_ and scatter_mean_ one is missing")
        if ("support_" in state) != ("error_cutoff_" in state):
            raise ValueError("of support_ and error_cutoff_ one is missing")
        if "support_" in state and state["support_"].sum() != state["n_samples_"]:
            raise ValueError(
                f"support_ has {state['support_'].sum()} rows; n_samples_ is {state['n_samples_']}"
            )
        if not state.get("n_iter_", 1) >= 1:
            raise ValueError(f"n_iter_ is {state['n_iter_']}; allowed are numbers of at least 1")

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.svd_solver != "full"
        tags.input_tags.allow_nan = self.missing == "em"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _of_like_size(blocks: Iterable[Any]) -> Iterator[Any]:
    """Give blocks of p rows at least, but for the last: the sums of fewer take longer than the rows."""
    waiting: list[Any] = []
    for block in blocks:
        stays = not isinstance(block, np.ndarray)
        if waiting and (stays or block.dtype != waiting[0].dtype):
            yield np.concatenate(waiting)
            waiting = []
        if stays or (not waiting and len(block) >= block.shape[1]):
            yield block
            continue
        waiting.append(block)
        if sum(map(len, waiting)) >= block.shape[1]:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
