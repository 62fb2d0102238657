"""``MultinomialMixture``: the mixture of multinomials as a scikit-learn estimator."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from latents.estimators.common.blocks import are_blocks, by_documents, in_block
from latents.estimators.common.devices import device_of_fitted, resolve_device
from latents.estimators.common.persistence import (
    Learned,
    PersistentEstimator,
    check_learned,
    unchanged_on_failure,
)
from latents.estimators.common.warnings import warn_caller
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import (
    ImpossibleDocumentError,
    Parameters,
    Recipe,
    Statistics,
    log_coefficients,
    log_joint,
    posterior,
)
from latents.estimators.multinomial_mixture.fitting import (
    Callback,
    Report,
    Run,
    fit_blocks,
    fit_documents,
    numbered,
    stepwise,
)
from latents.memory import check_memory

Measure = TypeVar("Measure")
Array = NDArray[np.float64]

# Annealing adds counts up in single precision.
_LARGEST_COUNT = 1e30
# Times the log of the smallest probability it is no more than float32, in which annealing computes, can hold.
_LARGEST_SUM = 1e36


class MultinomialMixture(PersistentEstimator, DensityMixin, BaseEstimator):  # type: ignore[misc]
    r"""Clusters documents by a mixture of multinomials (source 1.1 and 1.2).

    The model of counts T (D documents, W words) with K components is

    .. math::

        p(T) = \prod_d \frac{n_d!}{\prod_w T_{dw}!} \sum_k \pi_k \prod_w \mu_{kw}^{T_{dw}},
        \qquad n_d = \sum_w T_{dw}.

    EM alternates the E step, gamma(z_kd) proportional to pi_k prod_w mu_kw^T_dw, with the M step,
    pi_k = N_k / D and mu_kw proportional to sum_d gamma(z_kd) T_dw + smoothing.

    Plain EM from random responsibilities ends in poor optima on text. By default it is preceded by
    deterministic annealing (Ueda and Nakano, "Deterministic annealing EM algorithm", 1998), in which
    a document of n_d words counts as if it were c words long: its part of the likelihood is raised
    to the power s_d = min(1, c / n_d), and c grows from 1 until 95 of 100 documents are whole. At
    small c the corpus mean is the only optimum; components part one after another as c grows. The
    last phase is always plain EM on whole documents, and what is returned is its optimum.

    Parameters
    ----------
    n_components : int, default=1
        K.
    smoothing : float, default=0.3
        Dirichlet pseudo-count a, added to every word of every component. 0 gives the source's
        maximum likelihood, in which a word never seen in training makes a new document impossible.
    annealing : bool, default=True
        False is the source's plain EM from random responsibilities.
    length_growth : float > 1, default=1.05
        Factor from one c to the next until c is 8 words, where most components have parted; above,
        its fourth power. Nearer to 1 is slower and finds better optima.
    steps_per_length : int, default=2
        EM steps at each c.
    annealing_smoothing : float > 0, default=1.0
        Pseudo-count while annealing, scaled down as the documents are.
    perturbation : float, default=0.3
        Standard deviation of the Gaussian noise added to log mu at each c: components that have met
        exactly would never part.
    max_iter : int, default=500
        Most EM steps on whole documents; those of annealing do not count.
    tol : float, default=1e-4
        EM stops when a step on whole documents raises the objective per document by no more than
        this many nats.
    n_init : int, default=1
        Fits from different random starts; the one with the highest objective is kept.
    stepwise_power : float in (0.5, 1], default=0.7
        A batch given to ``partial_fit`` weighs (its share of all documents so far)^stepwise_power beside
        all before it: at 1 all documents weigh alike, below it what older parameters made of them fades.
        The smaller the batches, the nearer to 1 it should be.
    device : str, default="auto"
        Where to compute: a torch device such as ``"cpu"`` or ``"cuda"``; ``"auto"`` is CUDA where
        there is one. A fitted model computes on the CPU, with a warning, where torch cannot use that
        device.
    random_state : int, RandomState or None, default=None
        An int repeats a fit exactly on the same machine with the same number of threads.

    Attributes
    ----------
    weights_ : ndarray of shape (K,)
        pi.
    word_probabilities_ : ndarray of shape (K, W)
        mu.
    lower_bound_ : float
        Objective per document in nats, of the parameters returned: log p(T) / D including the
        multinomial coefficient, plus the log prior a sum_kw log mu_kw / D (up to its constant).
        After ``partial_fit``: of the last batch, before it was learned from.
    lower_bounds_ : ndarray of shape (n_iter_ + 1,)
        The objective before the first EM step and after each, annealed steps included, so that one
        curve tells the whole fit. While annealing raises another objective, this one may fall; it is
        then computed in single precision. From ``lower_bounds_[len(tempered_bounds_)]``, where plain
        EM starts, it never falls beyond rounding in double precision. A streamed fit has the entries
        of plain EM alone; ``partial_fit`` appends one a batch.
    tempered_bounds_ : ndarray of shape (annealed steps,)
        What each annealed step set out to raise, per document in nats: sum_d s_d log-likelihood of
        the shortened documents, sum_d log sum_k (pi_k prod_w mu_kw^T_dw)^s_d, plus the log prior. It
        falls as c grows, since longer documents are less probable. Empty for plain EM.
    n_iter_ : int
        EM steps in all, annealed ones included.
    converged_ : bool
        Whether `tol` was reached within `max_iter`.
    n_documents_seen_ : int
        Documents fitted to, in all batches.
    words_per_component_ : ndarray of shape (K,)
        sum_dw gamma(z_kd) T_dw of the last M step: with mu it says what ``partial_fit`` goes on from.
    n_features_in_ : int
        W.
    feature_names_in_ : ndarray of str
        The words, where `X` was a data frame.

    Notes
    -----
    `X` may hold any weights from 0 to 1e30, dense or sparse; a document without words keeps
    gamma = pi. But they speak of counts: the sum of a row is taken for the length of its document, by which
    annealing goes, and `smoothing` for words more. Rows that sum to 1 get no annealing.

    Wherever documents are given, but in ``partial_fit``, they may come in blocks, as ``fit`` takes them.
    """

    _parameter_constraints = {  # noqa: RUF012
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "smoothing": [Interval(Real, 0, None, closed="left")],
        "annealing": ["boolean"],
        "length_growth": [Interval(Real, 1, None, closed="neither")],
        "steps_per_length": [Interval(Integral, 1, None, closed="left")],
        "annealing_smoothing": [Interval(Real, 0, None, closed="neither")],
        "perturbation": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "stepwise_power": [Interval(Real, 0.5, 1, closed="right")],
        "device": [str],
        "random_state": ["random_state"],
    }

    _learned: ClassVar = {
        "weights_": Learned("f", ("K",)),
        "word_probabilities_": Learned("f", ("K", "W")),
        "words_per_component_": Learned("f", ("K",)),
        "n_documents_seen_": Learned("i"),
        "lower_bound_": Learned("f"),
        "lower_bounds_": Learned("f", ("steps",)),
        "tempered_bounds_": Learned("f", ("annealed steps",)),
        "n_iter_": Learned("i"),
        "converged_": Learned("b"),
        "n_features_in_": Learned("i"),
        "feature_names_in_": Learned("U", ("W",), is_optional=True),
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        smoothing: float = 0.3,
        annealing: bool = True,
        length_growth: float = 1.05,
        steps_per_length: int = 2,
        annealing_smoothing: float = 1.0,
        perturbation: float = 0.3,
        max_iter: int = 500,
        tol: float = 1e-4,
        n_init: int = 1,
        stepwise_power: float = 0.7,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.smoothing = smoothing
        self.annealing = annealing
        self.length_growth = length_growth
        self.steps_per_length = steps_per_length
        self.annealing_smoothing = annealing_smoothing
        self.perturbation = perturbation
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.stepwise_power = stepwise_power
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: object = None,  # noqa: ARG002
        *,
        callback: Callback | None = None,
    ) -> Self:
        """Fit the mixture to the documents `X`.

        Data larger than memory come as blocks of documents. Annealing and `n_init` then see the first
        block, which should therefore be a fair sample (documents in random order, thousands of
        them); plain EM follows over all blocks, each pass adding up the statistics of theirs, which
        is exactly EM on the whole.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (D, W), or an iterable of such blocks
            Counts T. An iterable must give the same blocks at every iteration, as a list or
            ``CountBlocks`` does and a generator does not; each item is a sparse matrix, a 2-d array or
            data frame, or a tuple (CSR, CSC) of the same sparse block, which spares its transposition at
            each pass.
        y : ignored
        callback : callable, optional
            Called as ``callback(name, value, step)`` at every EM step with "lower_bound", and at
            annealed ones with "tempered_bound" too: the next entries of ``lower_bounds_`` and
            ``tempered_bounds_``. `step` counts from 0 for each name, and runs on through both
            phases and all `n_init` fits. What it raises ends the fit. For blocks, what concerns
            the first block alone has "first_block_" before its name.

        Raises
        ------
        ValueError
            If an argument is out of range, or asks for more memory than there is; if `X` has entries that are
            negative, NaN or above 1e30, or that add up to more than 1e36, has no words at all, has fewer documents
            than `n_components` (in blocks: their first), or can be iterated only once. Where `fit` fails or is
            interrupted, the estimator stays as it was.
        """
        self._validate_params()
        report = numbered(callback)
        with unchanged_on_failure(self):
            if are_blocks(X, reread=True):
                run, n_documents = self._fit_blocks(X, report)
            else:
                T = self._checked(X, reset=True)
                self._check_start(T)
                run, n_documents = self._fit_documents(T, report), T.shape[0]
            if not run.converged:
                warn_caller(
                    f"EM took max_iter={self.max_iter} steps on whole documents without meeting tol={self.tol}",
                    ConvergenceWarning,
                )
            self._keep(run.parameters, run.words_per_component, n_documents)
            self.lower_bounds_ = np.array(run.lower_bounds)
            self.tempered_bounds_ = np.array(run.tempered_bounds)
            self.lower_bound_ = run.lower_bounds[-1]
            self.n_iter_ = len(run.lower_bounds) - 1
            self.converged_ = run.converged
        return self

    def partial_fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002
        """Learn from one more batch of documents by stepwise EM.

        The first batch is fitted as ``fit`` does, annealing included. Each later one replaces the average
        statistics per document, s, by (1 - eta) s + eta s(batch), and an M step follows. With D of all documents
        so far, D_batch of them in the batch, eta = (D / D_batch)^-stepwise_power: at the t-th of equal batches
        t^-stepwise_power, as in stepwise EM (Cappe and Moulines, "On-line expectation-maximization algorithm
        for latent data models", 2009; Liang and Klein, "Online EM for unsupervised models", 2009).

        Parameters
        ----------
        X : array-like or sparse matrix of shape (D_batch, W)
            Counts T of the batch.
        y : ignored

        Raises
        ------
        ValueError
            As ``fit``; if `X` is an iterable of blocks; or if `smoothing` is 0 and a document has a word that no
            earlier batch had.
        """
        if are_blocks(X):
            raise ValueError(
                "X is an iterable of blocks, but a batch is one matrix: call partial_fit once a block, or fit "
                "with all of them"
            )
        if not self.__sklearn_is_fitted__():
            return self.fit(X)
        self._validate_params()
        T = self._checked(X, reset=False)
        parameters = self._parameters(resolve_device(self.device))
        words = torch.tensor(self.words_per_component_, device=parameters.log_words.device)
        before = Statistics.of(parameters, words, self.n_documents_seen_, self.smoothing)
        try:
            step = stepwise(T, parameters, before, self.smoothing, self.stepwise_power)
        except ImpossibleDocumentError as error:
            raise self._impossible(T, error) from error
        self._keep(step.parameters, step.words_per_component, self.n_documents_seen_ + T.shape[0])
        self.lower_bound_ = step.lower_bounds[-1]
        self.lower_bounds_ = np.append(self.lower_bounds_, self.lower_bound_)
        self.n_iter_ += 1
        return self

    def _check_start(self, T: sp.csr_array) -> None:
        if self.n_components > T.shape[0]:
            raise ValueError(
                f"n_components={self.n_components} exceeds the number of documents: "
                f"n_samples={T.shape[0]}; at least one document a component is needed to start from"
            )
        n_documents, n_words = T.shape
        # Responsibilities, probabilities and what is counted for them.
        check_memory(
            {"n_components": self.n_components},
            lambda n_components: 8 * n_components * (n_documents + 2 * n_words),
            "a fit to these counts",
        )
        if T.nnz == 0:
            raise ValueError("there are no words to start from: every count is 0")

    def _fit_documents(self, T: sp.csr_array, report: Report) -> Run:
        rng = check_random_state(self.random_state)
        run = fit_documents(T, self._recipe(), resolve_device(self.device), rng, report)
        if self.annealing and not run.tempered_bounds and (T.data % 1).any():
            warn_caller(
                "there was nothing to anneal: almost all rows of X sum to 1 or less, and a row's sum is taken for "
                "the length of its document. Give counts, or say annealing=False"
            )
        return run

    def _fit_blocks(self, blocks: Iterable[Any], report: Report) -> tuple[Run, int]:
        device = resolve_device(self.device)
        n_documents, coefficient, first = 0, 0.0, None
        for number, block in enumerate(blocks):
            with in_block(number):
                T = self._checked(by_documents(block), reset=first is None)
                if isinstance(block, tuple):
                    block[1].check_format(full_check=True)  # torch takes indices on trust
                if first is None:
                    self._check_start(T)
            if first is None:
                first = self._fit_documents(T, lambda name, value: report(f"first_block_{name}", value))
            n_documents += T.shape[0]
            coefficient += float(log_coefficients(T).sum())
        if first is None:
            raise ValueError("X has no blocks: there is nothing to fit to")

        def read() -> Iterator[Counts]:
            for block in blocks:
                T, T_by_words = block if isinstance(block, tuple) else (block, None)
                if self.smoothing == 0:
                    T, T_by_words = self._checked(T, reset=False), None  # stored zeros must not meet log 0
                elif not sp.issparse(T):
                    T = np.asarray(T, dtype=np.float64)
                yield Counts(sp.csr_array(T), device, T_by_words=T_by_words)

        return fit_blocks(read, first, coefficient, self._recipe(), report), n_documents

    def _parameters(self, device: torch.device) -> Parameters:
        return Parameters.of(self.weights_, self.word_probabilities_).to(device)

    def _recipe(self) -> Recipe:
        return Recipe(**{field.name: getattr(self, field.name) for field in fields(Recipe)})

    def _keep(self, parameters: Parameters, words_per_component: torch.Tensor, n_documents: int) -> None:
        self.weights_, self.word_probabilities_ = parameters.arrays()
        self.words_per_component_ = words_per_component.cpu().numpy()
        self.n_documents_seen_ = n_documents

    def fit_predict(self, X: Any, y: object = None, *, callback: Callback | None = None) -> NDArray[np.intp]:
        """Fit to `X` and return the component of each of its documents, of shape (D,)."""
        return self.fit(X, y, callback=callback).predict(X)

    def predict(self, X: Any) -> NDArray[np.intp]:
        """Return the most probable component of each document, of shape (D,)."""
        return np.concatenate(self._of_each(X, lambda T: self._posterior(T)[0].argmax(axis=1)))

    def predict_proba(self, X: Any) -> Array:
        """Return the responsibilities gamma(z_kd), of shape (D, K).

        Raises
        ------
        ValueError
            If a document is impossible under every component (only where `smoothing` was 0).
        """
        return np.concatenate(self._of_each(X, lambda T: self._posterior(T)[0]))

    def predict_joint_log_proba(self, X: Any) -> Array:
        """Return log pi_k + sum_w T_dw log mu_kw in nats, without the multinomial coefficient, of shape (D, K).

        Named as by scikit-learn's naive Bayes classifiers. Responsibilities round to 0 or 1 on texts of
        some length; these still tell how close a call was. -inf where a component rules a word out.
        """
        return np.concatenate(self._of_each(X, lambda T: self._log_joint(T).cpu().numpy()))

    def score_samples(self, X: Any) -> Array:
        """Return log p of each document in nats, with the multinomial coefficient, of shape (D,).

        Raises
        ------
        ValueError
            As ``predict_proba``.
        """
        return np.concatenate(self._of_each(X, lambda T: self._posterior(T)[1] + log_coefficients(T)))

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
        sums = self._of_each(X, lambda T: (self._posterior(T)[1].sum(), T.sum()))
        log_likelihood, n_words = np.sum(sums, axis=0)
        if n_words == 0:
            raise ValueError("X has no words: perplexity per word is undefined")
        return float(np.exp(-log_likelihood / n_words))

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

        def entropy(T: sp.csr_array) -> float:
            gamma = self._posterior(T)[0]
            return -float(xlogy(gamma, gamma).sum())

        return self.bic(X) + 2 * sum(self._of_each(X, entropy))

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
        check_memory({"n_samples": n_samples}, lambda n_samples: 16 * n_samples, "so many documents")
        rng = check_random_state(self.random_state)
        lengths = np.broadcast_to(n_words, (n_samples,))
        components = rng.choice(self.weights_.size, size=n_samples, p=self.weights_)
        rows = [
            sp.csr_array(rng.multinomial(n, self.word_probabilities_[k])[np.newaxis])
            for n, k in zip(lengths, components, strict=True)
        ]
        return sp.csr_array(sp.vstack(rows, format="csr")), components

    def _log_joint(self, T: sp.csr_array) -> torch.Tensor:
        device = device_of_fitted(self.device)
        return log_joint(Counts(T, device), self._parameters(device))

    def _posterior(self, T: sp.csr_array) -> tuple[Array, Array]:
        try:
            gamma, log_normalisers = posterior(self._log_joint(T))
        except ImpossibleDocumentError as error:
            raise self._impossible(T, error) from error
        return gamma.cpu().numpy(), log_normalisers.cpu().numpy()

    def _impossible(self, T: sp.csr_array, error: ImpossibleDocumentError) -> ValueError:
        words = T.indices[T.indptr[error.row] : T.indptr[error.row + 1]]
        unseen = words[~self.word_probabilities_[:, words].any(axis=0)]
        if unseen.size:
            names, column = getattr(self, "feature_names_in_", None), unseen[0]
            word = f"in column {column}" if names is None else f"{names[column]!r} (column {column})"
            reason = f"word {word} has probability 0 in every component"
        else:
            reason = "no single component allows all of its words"
        return ValueError(f"row {error.row} of X is impossible: {reason}. Fit with smoothing > 0 to allow it")

    def _of_each(self, X: Any, measure: Callable[[sp.csr_array], Measure]) -> list[Measure]:
        """Return what is measured of the documents, or of each block of them."""
        check_is_fitted(self)
        if not are_blocks(X, reread=True):
            return [measure(self._checked(X, reset=False))]
        found = []
        for number, block in enumerate(X):
            with in_block(number):
                found.append(measure(self._checked(by_documents(block), reset=False)))
        if not found:
            raise ValueError("X has no blocks")
        return found

    def _checked(self, X: Any, *, reset: bool) -> sp.csr_array:
        """Return `X` checked, as float64 CSR of its own without stored zeros or duplicates."""
        X = validate_data(
            self, X, accept_sparse="csr", dtype=np.float64, ensure_all_finite=False, reset=reset
        )
        T = sp.csr_array(X, copy=True)
        T.sum_duplicates()
        T.eliminate_zeros()
        bad = np.flatnonzero(~((T.data >= 0) & (T.data <= _LARGEST_COUNT)))
        if bad.size:
            value, column = T.data[bad[0]], T.indices[bad[0]]
            row = int(np.searchsorted(T.indptr, bad[0], side="right")) - 1
            kind = (
                "Negative values"
                if value < 0
                else "NaN"
                if np.isnan(value)
                else "Infinity"
                if np.isinf(value)
                else "Too large a number"
            )
            raise ValueError(
                f"{kind} in data passed to {type(self).__name__}: X[{row}, {column}] = {value}; "
                f"allowed are numbers from 0 to {_LARGEST_COUNT:g}"
            )
        if (total := float(T.data.sum())) > _LARGEST_SUM:
            raise ValueError(
                f"the numbers of X add up to {total:.3g}; allowed is {_LARGEST_SUM:g}: scale them"
            )
        return T

    def _check_state(self, state: dict[str, Any]) -> None:
        lengths = check_learned(state, self._learned)
        if state["n_features_in_"] != lengths["W"]:
            raise ValueError(
                f"word_probabilities_ are of {lengths['W']} words, not {state['n_features_in_']}"
            )
        for name in ("weights_", "word_probabilities_"):
            shares = state[name]
            if (shares < 0).any() or not np.allclose(shares.sum(axis=-1), 1, atol=1e-6):
                raise ValueError(f"{name} are no probabilities, which add up to 1")
        if (state["words_per_component_"] < 0).any():
            raise ValueError("words_per_component_ has numbers below 0")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags
