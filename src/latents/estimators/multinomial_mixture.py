"""Mixture of multinomials as a scikit-learn estimator; its mathematics is in ``_multinomial_em``."""

import warnings
from collections import defaultdict
from collections.abc import Callable
from itertools import count
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from latents.estimators._multinomial_em import (
    Array,
    ImpossibleDocumentError,
    Parameters,
    Statistics,
    e_step,
    log_coefficients,
    log_joint,
    log_prior,
    m_step,
    perturbed,
    posterior,
    random_start,
)
from latents.estimators._persistence import PersistentEstimator

Callback = Callable[[str, float, int], object]


class _Run(NamedTuple):
    parameters: Parameters
    lower_bounds: list[float]
    tempered_bounds: list[float]
    converged: bool


class MultinomialMixture(PersistentEstimator, DensityMixin, BaseEstimator):  # type: ignore[misc]
    r"""Clusters documents by a mixture of multinomials (source 1.1 and 1.2).

    The model of counts T (D documents, W words) with K components is

    .. math::

        p(T) = \prod_d \frac{n_d!}{\prod_w T_{dw}!} \sum_k \pi_k \prod_w \mu_{kw}^{T_{dw}},
        \qquad n_d = \sum_w T_{dw}.

    EM alternates the E step, gamma(z_kd) proportional to pi_k prod_w mu_kw^T_dw, with the M step,
    pi_k = N_k / D and mu_kw proportional to sum_d gamma(z_kd) T_dw + smoothing.

    Plain EM from random responsibilities ends in poor optima on text. By default it is preceded by
    deterministic annealing (Ueda and Nakano, "Deterministic annealing EM algorithm", 1998):
    responsibilities come from the log joint times beta, and beta rises geometrically to 1. At small
    beta the corpus mean is the only optimum; components part one after another as beta passes their
    critical values. Because components that have met exactly would never part, word probabilities
    are perturbed a little at every temperature. The last phase is always plain EM (beta = 1), and
    what is returned is its optimum.

    Parameters
    ----------
    n_components : int, default=1
        K.
    smoothing : float, default=0.3
        Dirichlet pseudo-count a, added to every word of every component. 0 gives the source's
        maximum likelihood, in which a word never seen in training makes a new document impossible.
    initial_beta : "auto" or float in (0, 1], default="auto"
        Inverse temperature at which annealing starts. "auto" is 1 / (mean words per document):
        among documents of equal length, components cannot part below it. 1 is plain EM.
    beta_growth : float > 1, default=1.1
        Largest factor from one temperature to the next; they are evenly spaced in log beta.
    steps_per_beta : int, default=5
        EM steps at each temperature below 1.
    perturbation : float, default=0.3
        Standard deviation of the Gaussian noise added to log mu at each temperature below 1.
    max_iter : int, default=500
        Most EM steps at beta = 1; those of annealing do not count.
    tol : float, default=1e-4
        EM stops when a step at beta = 1 raises the objective per document by no more than this
        many nats.
    n_init : int, default=1
        Fits from different random starts; the one with the highest objective is kept.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    weights_ : ndarray of shape (K,)
        pi.
    word_probabilities_ : ndarray of shape (K, W)
        mu.
    lower_bound_ : float
        Objective per document in nats, of the parameters returned: log p(T) / D including the
        multinomial coefficient, plus the log prior a sum_kw log mu_kw / D (up to its constant).
    lower_bounds_ : ndarray of shape (n_iter_ + 1,)
        The objective before the first EM step and after each, in all temperatures the one of
        beta = 1, so that one curve tells the whole fit. While annealing raises another objective,
        this one may fall. From ``lower_bounds_[len(tempered_bounds_)]``, where the beta = 1 phase
        starts, it never falls beyond rounding.
    tempered_bounds_ : ndarray of shape (annealed steps,)
        What each annealed step set out to raise: the objective with
        (1/beta) sum_d log sum_k joint^beta in place of the log-likelihood, at the same parameters
        as the entry of ``lower_bounds_`` beside it. It falls whenever beta rises. Empty for plain EM.
    n_iter_ : int
        EM steps in all, annealed ones included.
    converged_ : bool
        Whether `tol` was reached within `max_iter`.
    n_features_in_ : int
        W.
    feature_names_in_ : ndarray of str
        The words, where `X` was a data frame.

    Notes
    -----
    `X` may hold any finite non-negative weights, dense or sparse; a document without words keeps
    gamma = pi.
    """

    _parameter_constraints = {  # noqa: RUF012
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "smoothing": [Interval(Real, 0, None, closed="left")],
        "initial_beta": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="right")],
        "beta_growth": [Interval(Real, 1, None, closed="neither")],
        "steps_per_beta": [Interval(Integral, 1, None, closed="left")],
        "perturbation": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        smoothing: float = 0.3,
        initial_beta: float | str = "auto",
        beta_growth: float = 1.1,
        steps_per_beta: int = 5,
        perturbation: float = 0.3,
        max_iter: int = 500,
        tol: float = 1e-4,
        n_init: int = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.smoothing = smoothing
        self.initial_beta = initial_beta
        self.beta_growth = beta_growth
        self.steps_per_beta = steps_per_beta
        self.perturbation = perturbation
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: object = None,  # noqa: ARG002
        *,
        callback: Callback | None = None,
    ) -> Self:
        """Fit the mixture to the documents `X`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (D, W)
            Counts T.
        y : ignored
        callback : callable, optional
            Called as ``callback(name, value, step)`` at every EM step with "lower_bound", and at
            annealed ones with "tempered_bound" too: the next entries of ``lower_bounds_`` and
            ``tempered_bounds_``. `step` counts from 0 for each name, and runs on through both
            phases and all `n_init` fits. What it raises ends the fit.

        Raises
        ------
        ValueError
            If an argument is out of range, `X` has negative, NaN or infinite entries, has no words
            at all, or has fewer documents than `n_components`.
        """
        self._validate_params()
        T = self._counts(X, reset=True)
        if self.n_components > T.shape[0]:
            raise ValueError(
                f"n_components={self.n_components} exceeds the number of documents: "
                f"n_samples={T.shape[0]} in X; at least one document a component is needed"
            )
        if T.nnz == 0:
            raise ValueError("X has no words: every count is 0")
        rng = check_random_state(self.random_state)
        report = _numbered(callback)
        runs = (self._fit_once(T, rng, report) for _ in range(self.n_init))
        best = max(runs, key=lambda run: run.lower_bounds[-1])
        if not best.converged:
            warnings.warn(
                f"EM took max_iter={self.max_iter} steps at beta = 1 without meeting tol={self.tol}",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.weights_, self.word_probabilities_ = best.parameters
        self.lower_bounds_ = np.array(best.lower_bounds)
        self.tempered_bounds_ = np.array(best.tempered_bounds)
        self.lower_bound_ = best.lower_bounds[-1]
        self.n_iter_ = len(best.lower_bounds) - 1
        self.converged_ = best.converged
        return self

    def _fit_once(
        self, T: sp.csr_array, rng: np.random.RandomState, report: Callable[[str, float], None]
    ) -> _Run:
        coefficient = float(log_coefficients(T).sum())

        bounds: list[float] = []
        tempered: list[float] = []

        def evaluated(parameters: Parameters, beta: float) -> Statistics:
            statistics = e_step(T, parameters, beta)
            prior = log_prior(parameters, self.smoothing)

            def record(name: str, history: list[float], log_likelihood: float) -> None:
                history.append((log_likelihood + coefficient + prior) / statistics.n_documents)
                report(name, history[-1])

            record("lower_bound", bounds, statistics.log_likelihood)
            if beta < 1:
                record("tempered_bound", tempered, statistics.tempered_log_likelihood)
            return statistics

        parameters = random_start(T, self.n_components, self.smoothing, rng)
        for beta in self._betas(T):
            parameters = perturbed(parameters, self.perturbation, rng)
            for _ in range(self.steps_per_beta):
                parameters = m_step(evaluated(parameters, beta), self.smoothing)

        statistics = evaluated(parameters, 1.0)
        converged = False
        while not converged and len(bounds) <= len(tempered) + self.max_iter:
            parameters = m_step(statistics, self.smoothing)
            statistics = evaluated(parameters, 1.0)
            converged = bounds[-1] - bounds[-2] <= self.tol
        return _Run(parameters, bounds, tempered, converged)

    def _betas(self, T: sp.csr_array) -> Array:
        """Return the inverse temperatures below 1, rising."""
        auto = min(1.0, T.shape[0] / float(T.sum()))
        start = auto if self.initial_beta == "auto" else float(self.initial_beta)
        n = int(np.ceil(np.log(1 / start) / np.log(self.beta_growth)))
        return np.geomspace(start, 1.0, n + 1)[:-1]

    def fit_predict(self, X: Any, y: object = None, *, callback: Callback | None = None) -> NDArray[np.intp]:
        """Fit to `X` and return the component of each of its documents, of shape (D,)."""
        return self.fit(X, y, callback=callback).predict(X)

    def predict(self, X: Any) -> NDArray[np.intp]:
        """Return the most probable component of each document, of shape (D,)."""
        components: NDArray[np.intp] = self.predict_proba(X).argmax(axis=1)
        return components

    def predict_proba(self, X: Any) -> Array:
        """Return the responsibilities gamma(z_kd), of shape (D, K).

        Raises
        ------
        ValueError
            If a document is impossible under every component (only where `smoothing` was 0).
        """
        return self._posterior(self._counts(X))[0]

    def score_samples(self, X: Any) -> Array:
        """Return log p of each document in nats, with the multinomial coefficient, of shape (D,).

        Raises
        ------
        ValueError
            As ``predict_proba``.
        """
        T = self._counts(X)
        return self._posterior(T)[1] + log_coefficients(T)

    def score(self, X: Any, y: object = None) -> float:  # noqa: ARG002
        """Return the mean of ``score_samples``: nats per document."""
        return float(self.score_samples(X).mean())

    def perplexity(self, X: Any) -> float:
        """Return exp(-sum_d log p(d) / sum_d n_d), the words' order being known (no coefficient).

        Raises
        ------
        ValueError
            As ``predict_proba``, or if `X` has no words.
        """
        T = self._counts(X)
        if T.nnz == 0:
            raise ValueError("X has no words: perplexity per word is undefined")
        return float(np.exp(-self._posterior(T)[1].sum() / T.sum()))

    def bic(self, X: Any) -> float:
        """Return the Bayesian information criterion -2 log p(X) + (K W - 1) log D; lower is better.

        The log-likelihood has the multinomial coefficient, the same for every K.
        """
        log_likelihoods = self.score_samples(X)
        n_free = self.word_probabilities_.size - 1  # K (W - 1) in mu and K - 1 in pi
        return float(-2 * log_likelihoods.sum() + n_free * np.log(log_likelihoods.size))

    def icl(self, X: Any) -> float:
        """Return the integrated completed likelihood BIC - 2 sum gamma log gamma; lower is better.

        Biernacki, Celeux and Govaert (2000): BIC plus twice the entropy of the assignments.
        """
        gamma = self.predict_proba(X)
        return self.bic(X) - 2 * float(xlogy(gamma, gamma).sum())

    def sample(self, n_samples: int = 1, n_words: ArrayLike = 100) -> tuple[sp.csr_array, NDArray[np.intp]]:
        """Draw documents and the components they came from.

        Parameters
        ----------
        n_samples : int, default=1
        n_words : int or array-like of shape (n_samples,), default=100
            Words of each document; the model says nothing about length.

        Returns
        -------
        X : csr_array of int, of shape (n_samples, W)
        components : ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If `n_samples` is below 1, or `n_words` negative or of another length than `n_samples`.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples={n_samples}; allowed are whole numbers of at least 1")
        rng = check_random_state(self.random_state)
        lengths = np.broadcast_to(n_words, (n_samples,))
        components = rng.choice(self.weights_.size, size=n_samples, p=self.weights_)
        rows = [
            sp.csr_array(rng.multinomial(n, self.word_probabilities_[k])[np.newaxis])
            for n, k in zip(lengths, components, strict=True)
        ]
        return sp.csr_array(sp.vstack(rows, format="csr")), components

    def _posterior(self, T: sp.csr_array) -> tuple[Array, Array]:
        try:
            return posterior(log_joint(T, Parameters(self.weights_, self.word_probabilities_)))
        except ImpossibleDocumentError as error:
            words = T.indices[T.indptr[error.row] : T.indptr[error.row + 1]]
            unseen = words[~self.word_probabilities_[:, words].any(axis=0)]
            if unseen.size:
                reason = f"word {self._word(unseen[0])} has probability 0 in every component"
            else:
                reason = "no single component allows all of its words"
            raise ValueError(
                f"row {error.row} of X is impossible: {reason}. Fit with smoothing > 0 to allow it"
            ) from error

    def _word(self, column: int) -> str:
        if hasattr(self, "feature_names_in_"):
            return f"{self.feature_names_in_[column]!r} (column {column})"
        return f"in column {column}"

    def _counts(self, X: Any, *, reset: bool = False) -> sp.csr_array:
        """Return `X` checked, as float64 CSR of its own without stored zeros or duplicates."""
        if not reset:
            check_is_fitted(self)
        X = validate_data(
            self, X, accept_sparse="csr", dtype=np.float64, ensure_all_finite=False, reset=reset
        )
        T = sp.csr_array(X, copy=True)
        T.sum_duplicates()
        T.eliminate_zeros()
        bad = np.flatnonzero(~np.isfinite(T.data) | (T.data < 0))
        if bad.size:
            value, column = T.data[bad[0]], T.indices[bad[0]]
            row = int(np.searchsorted(T.indptr, bad[0], side="right")) - 1
            kind = "Negative values" if value < 0 else "NaN" if np.isnan(value) else "Infinity"
            raise ValueError(
                f"{kind} in data passed to {type(self).__name__}: X[{row}, {column}] = {value}; "
                "allowed are finite numbers of at least 0"
            )
        return T

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags


def _numbered(callback: Callback | None) -> Callable[[str, float], None]:
    """Give each call of `callback` its step, counted from 0 for each name."""
    steps: defaultdict[str, count[int]] = defaultdict(count)

    def report(name: str, value: float) -> None:
        if callback is not None:
            callback(name, value, next(steps[name]))

    return report
