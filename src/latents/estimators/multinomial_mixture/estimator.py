"""``MultinomialMixture``: the mixture of multinomials as a scikit-learn estimator."""

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from latents.estimators.common.blocks import (
    Blocks,
    InMemory,
    Numbered,
    are_blocks,
    blocks_of,
    by_documents,
    learn_names,
    with_number,
)
from latents.estimators.common.devices import device_of_fitted, resolve_device
from latents.estimators.common.persistence import (
    Learned,
    PersistentEstimator,
    check_learned,
    unchanged_on_failure,
)
from latents.estimators.common.threads import one_thread_each
from latents.estimators.common.warnings import warn_caller
from latents.estimators.common.weights import checked_weights
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import (
    ImpossibleDocumentError,
    Parameters,
    PseudoCounts,
    Recipe,
    Statistics,
    log_coefficients,
    log_joint,
    posterior,
)
from latents.estimators.multinomial_mixture.fitting import (
    SIDE_BY_SIDE,
    Callback,
    Report,
    Run,
    fit_documents,
    numbered,
    stepwise,
)
from latents.estimators.multinomial_mixture.guidance import (
    UNKNOWN,
    Guidance,
    guidance,
    is_guiding,
)
from latents.estimators.multinomial_mixture.moves import halved
from latents.estimators.multinomial_mixture.opening import UNFAMILIAR, opened
from latents.estimators.multinomial_mixture.scale import Scale
from latents.memory import check_memory

Measure = TypeVar("Measure")
Array = NDArray[np.float64]

# Annealing adds counts up in single precision.
_LARGEST_COUNT = 1e30
# Times the log of the smallest probability it is no more than float32, in which annealing computes, can hold.
_LARGEST_SUM = 1e36
# Counts times components: beyond so many a start is not cheap.
_LARGE = 1e7
# Learned attributes that files of earlier versions lack, all of them.
_ADDED = frozenset({"pseudo_count_", "mean_length_", "component_classes_"})


class MultinomialMixture(PersistentEstimator, DensityMixin, BaseEstimator):  # type: ignore[misc]
    r"""Clusters documents by a mixture of multinomials (source 1.1 and 1.2).

    The model of counts T (D documents, W words) with K components is

    .. math::

        p(T) = \prod_d \frac{n_d!}{\prod_w T_{dw}!} \sum_k \pi_k \prod_w \mu_{kw}^{T_{dw}},
        \qquad n_d = \sum_w T_{dw}.

    EM alternates the E step, gamma(z_kd) proportional to pi_k prod_w mu_kw^T_dw, with the M step,
    pi_k = N_k / D and mu_kw proportional to sum_d gamma(z_kd) T_dw + a, with pseudo-counts a.

    Plain EM from random responsibilities ends in poor optima on text. By default a search precedes it:
    deterministic annealing (Ueda and Nakano, "Deterministic annealing EM algorithm", 1998), in which
    a document of n_d words counts as if it were c words long: its part of the likelihood is raised
    to the power s_d = min(1, c / n_d), and c grows from where components begin to part until 95 of
    100 documents are whole; then moves that EM cannot make, of components and of single documents
    (Ueda, Nakano, Ghahramani and Hinton, "SMEM algorithm for mixture models", 2000). The
    last phase is always plain EM on whole documents, and what is returned is its optimum.

    Nothing in the defaults has the scale of a corpus: what says how strong a prior is or when to stop
    is measured by the corpus (see `relative`), and the lengths at which annealing is slow are found.

    Parameters
    ----------
    n_components : int, default=1
        K.
    smoothing : float or "auto", default="auto"
        How many Dirichlet pseudo-counts a every word of every component gets. "auto" is the concentration of the
        Dirichlet distribution that the components found by the search are likeliest drawn from, with which they
        predict new documents well; without a search, `annealing_smoothing`. 0 gives the source's
        maximum likelihood, in which a word never seen in training makes a new document impossible.
    annealing_smoothing : float > 0, default=0.25
        Pseudo-counts while searching, scaled down as the documents are. At 0.5 components begin to vanish.
    relative : bool, default=True
        Whether `smoothing`, `annealing_smoothing` and `tol` go by the corpus. If so, the first two are shares of
        the mean count sum_dw min(T_dw, 1) / (K W), in which a word that a document repeats counts once: of texts,
        the documents that a component would have for a word if all were alike; and `tol` is in nats per word.
        Else they are pseudo-counts as they stand, and nats per document.
    annealing : bool, default=True
        False is the source's plain EM from random responsibilities.
    length_growth : float > 1, default=1.05
        Factor from one c to the next until documents have decided for a component; then it is squared
        each time. Nearer to 1 is slower and finds better optima.
    steps_per_length : int, default=2
        EM steps at each c; every other start takes half as many.
    perturbation : float, default=0.3
        Standard deviation of the Gaussian noise added to log mu at each c: components that have met
        exactly would never part.
    rearrangements : int, default=2
        After annealing, most rounds of splitting some components and merging others, where that raises the
        objective; documents move one by one after the last. 0 leaves what annealing has found.
    max_iter : int, default=500
        Most EM steps on whole documents; those of the search do not count.
    tol : float, default=1e-5
        EM stops when a step on whole documents raises the objective by no more than this (see `relative`).
    n_init : int or "auto", default="auto"
        Starts. Annealed ones climb side by side, four at a time, and the highest goes on; of plain EM the fit with
        the highest objective is kept. "auto" is 4 for small corpora, 1 for those of
        more than ten million counts times components, and 1 for plain EM.
    use_labels : {"auto", "guide", "ignore"}, default="auto"
        What becomes of the `y` of ``fit``: "auto" takes labels for a guide where some are unknown, and ignores
        them, as scikit-learn's clusterers do, where all are known.
    components_per_class : int, default=1
        How many components each class has, of labels and of seeds. Components beyond those are free.
    seeds : mapping of str to list of (str or int), optional
        Words that tell of a class, or their columns: extra pseudo-counts of its components.
    seed_strength : float > 0, default=10
        How many documents of mean length the seed words of a class weigh together.
    stepwise_power : float in (0.5, 1], default=0.7
        A batch given to ``partial_fit`` weighs (its share of all documents so far)^stepwise_power beside
        all before it: at 1 all documents weigh alike, below it what older parameters made of them fades.
        The smaller the batches, the nearer to 1 it should be.
    new_components : int, default=0
        Most components that a batch given to ``partial_fit`` may open.
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
    pseudo_count_ : float
        a, what `smoothing` came to; of seed words, without what they have beyond it.
    mean_length_ : float
        N / D, words per document.
    classes_ : ndarray of shape (C,)
        Where labels or seeds guided the fit: the labels, sorted, then further names of seeds.
    component_classes_ : ndarray of int, of shape (K,)
        The place of each component's class in ``classes_``; -1 where it has none.
    lower_bound_ : float
        Objective per document in nats, of the parameters returned: log p(T) / D including the
        multinomial coefficient, plus the log prior sum_kw a_kw log mu_kw / D (up to its constant). Of documents
        with a label it is log p(T_d, label).
        After ``partial_fit``: of the last batch, before it was learned from but for components that it opened.
    lower_bounds_ : ndarray of shape (n_iter_ + 1,)
        The objective before the first EM step and after each, those of the search included, so that one
        curve tells the whole fit; of several starts, that of the highest. While annealing raises another
        objective, this one may fall; it is then computed in single precision, and, where `smoothing` is "auto",
        without a prior, which plain EM adds. From
        ``lower_bounds_[len(tempered_bounds_)]``, where plain EM starts, it never falls beyond rounding in double
        precision. ``partial_fit`` appends one a batch.
    tempered_bounds_ : ndarray of shape (steps of the search,)
        What each step of the search set out to raise, per document in nats: sum_d s_d log-likelihood of
        the shortened documents, sum_d log sum_k (pi_k prod_w mu_kw^T_dw)^s_d, plus the log prior. It
        falls as c grows, since longer documents are less probable. Empty for plain EM.
    n_iter_ : int
        EM steps in all, those of the search included.
    converged_ : bool
        Whether `tol` was reached within `max_iter`.
    n_documents_seen_ : float
        Documents fitted to, in all batches: the sum of their weights.
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
    annealing goes. Rows that sum to 1 get no annealing.

    Wherever documents are given, but in ``partial_fit``, they may come in blocks, as ``fit`` takes them.
    """

    _parameter_constraints = {  # noqa: RUF012
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "smoothing": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "annealing_smoothing": [Interval(Real, 0, None, closed="neither")],
        "relative": ["boolean"],
        "annealing": ["boolean"],
        "length_growth": [Interval(Real, 1, None, closed="neither")],
        "steps_per_length": [Interval(Integral, 1, None, closed="left")],
        "perturbation": [Interval(Real, 0, None, closed="left")],
        "rearrangements": [Interval(Integral, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "use_labels": [StrOptions({"auto", "guide", "ignore"})],
        "components_per_class": [Interval(Integral, 1, None, closed="left")],
        "seeds": [Mapping, None],
        "seed_strength": [Interval(Real, 0, None, closed="neither")],
        "stepwise_power": [Interval(Real, 0.5, 1, closed="right")],
        "new_components": [Interval(Integral, 0, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    # Files of earlier versions lack these; that is what they meant.
    _added_params: ClassVar[Mapping[str, Any]] = {
        "relative": False,
        "rearrangements": 0,
        "use_labels": "ignore",
        "components_per_class": 1,
        "seeds": None,
        "seed_strength": 10.0,
        "new_components": 0,
    }

    pseudo_count_: float

    _learned: ClassVar = {
        "weights_": Learned("f", ("K",)),
        "word_probabilities_": Learned("f", ("K", "W")),
        "pseudo_count_": Learned("f", is_optional=True),
        "mean_length_": Learned("f", is_optional=True),
        "classes_": Learned("iUf", ("C",), is_optional=True),
        "component_classes_": Learned("i", ("K",), is_optional=True),
        "words_per_component_": Learned("f", ("K",)),
        "n_documents_seen_": Learned("if"),
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
        smoothing: float | Literal["auto"] = "auto",
        annealing_smoothing: float = 0.25,
        relative: bool = True,
        annealing: bool = True,
        length_growth: float = 1.05,
        steps_per_length: int = 2,
        perturbation: float = 0.3,
        rearrangements: int = 2,
        max_iter: int = 500,
        tol: float = 1e-5,
        n_init: int | Literal["auto"] = "auto",
        use_labels: Literal["auto", "guide", "ignore"] = "auto",
        components_per_class: int = 1,
        seeds: Mapping[str, Sequence[str | int]] | None = None,
        seed_strength: float = 10.0,
        stepwise_power: float = 0.7,
        new_components: int = 0,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.smoothing = smoothing
        self.annealing_smoothing = annealing_smoothing
        self.relative = relative
        self.annealing = annealing
        self.length_growth = length_growth
        self.steps_per_length = steps_per_length
        self.perturbation = perturbation
        self.rearrangements = rearrangements
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.use_labels = use_labels
        self.components_per_class = components_per_class
        self.seeds = seeds
        self.seed_strength = seed_strength
        self.stepwise_power = stepwise_power
        self.new_components = new_components
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        callback: Callback | None = None,
    ) -> Self:
        """Fit the mixture to the documents `X`.

        Data larger than memory come as blocks of documents. Each step, of the search too, is then one pass over
        all of them, adding up what each yields: the same fit as in memory, but for the draws that it begins with,
        and the same to the last bit however many threads or machines share the work.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (D, W), or blocks of such
            Counts T. Blocks are what an engine makes of them (``latents.engines``), or an iterable, which must
            give the same ones at every iteration, as a list or ``CountBlocks`` does and a generator does not. Each
            is a sparse matrix, a 2-d array or data frame, or a tuple (CSR, CSC) of the same sparse block, which
            spares its transposition at each pass.
        y : array-like of shape (D,), optional
            Labels: numbers, -1 for unknown, or strings, None or "" for unknown. A labelled document stays in the
            components of its class (see `use_labels`). Of blocks, the labels of all documents in their order.
        sample_weight : array-like of shape (D,), optional
            How many documents each stands for: whole weights are as good as repeated rows, 0 leaves one out.
        callback : callable, optional
            Called as ``callback(name, value, step)`` at every EM step with "lower_bound", and at
            those of the search with "tempered_bound" too: the next entries of ``lower_bounds_`` and
            ``tempered_bounds_``, and those of starts that are not kept. `step` counts from 0 for each name, and
            runs on through all phases and fits. What it raises ends the fit.

        Raises
        ------
        ValueError
            If an argument is out of range, or asks for more memory than there is; if `X` has entries that are
            negative, NaN or above 1e30, or that add up to more than 1e36, has no words at all, has fewer documents
            than `n_components`, or can be iterated only once; if labels or weights are
            not one for each document, weights are below 0 or all 0, there are more classes than components for
            them, or seeds name a word that there is not, or the same one for two classes. Where `fit` fails or is
            interrupted, the estimator stays as it was.
        """
        self._validate_params()
        report = numbered(callback)
        with unchanged_on_failure(self):
            if are_blocks(X, reread=True):
                run, n_documents = self._fit_blocks(blocks_of(X), y, sample_weight, report)
            else:
                T = self._checked(X, reset=True)
                known = self._known(y, sample_weight, T.shape[0])
                scale = Scale.of(T, known.weights)
                run = self._fit_counts(InMemory(known.of(T)), known, scale, report)
                n_documents = scale.n_documents
            if not run.converged:
                warn_caller(
                    f"EM took max_iter={self.max_iter} steps on whole documents without meeting tol={self.tol}",
                    ConvergenceWarning,
                )
            self._keep(run, n_documents)
            self.lower_bounds_ = np.array(run.lower_bounds)
            self.tempered_bounds_ = np.array(run.tempered_bounds)
            self.lower_bound_ = run.lower_bounds[-1]
            self.n_iter_ = len(run.lower_bounds) - 1
            self.converged_ = run.converged
        return self

    def partial_fit(
        self, X: Any, y: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn from one more batch of documents by stepwise EM.

        The first batch is fitted as ``fit`` does, search included. Each later one replaces the average
        statistics per document, s, by (1 - eta) s + eta s(batch), and an M step follows. With D of all documents
        so far, D_batch of them in the batch, eta = (D / D_batch)^-stepwise_power: at the t-th of equal batches
        t^-stepwise_power, as in stepwise EM (Cappe and Moulines, "On-line expectation-maximization algorithm
        for latent data models", 2009; Liang and Klein, "Online EM for unsupervised models", 2009).

        Where `new_components` allows it, those documents that the components explain least are first clustered by
        themselves. What that finds is learned from one half of the batch and judged by the other: a component is
        opened if log p of this half would lose by more than chance without it (three standard errors), and, for
        each word of the component's own documents, by 0.4 of what it would without others, in the median. New ones
        come last, have no class, and all others keep their places; ``n_components`` says how many there are.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (D_batch, W)
            Counts T of the batch.
        y, sample_weight : array-like of shape (D_batch,), optional
            As ``fit``; labels of later batches are of classes that the first one had.

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
            return self.fit(X, y, sample_weight=sample_weight)
        self._validate_params()
        T = self._checked(X, reset=False)
        known = self._known(y, sample_weight, T.shape[0], again=True)
        device = resolve_device(self.device)
        parameters, before = self._parameters(device), self._statistics(device)
        if self.new_components:
            parameters = self._with_new_components(T, known, parameters)
        n_new = len(parameters.log_weights) - self.weights_.size
        known = known._replace(guidance=known.guidance.with_room(n_new))
        a = self._with_seeds(self.pseudo_count_, known.guidance, device)
        scale = Scale.of(T, known.weights)
        if self.relative and self.smoothing != "auto":
            a = a + scale.pseudo_count(self.smoothing, len(parameters.log_weights))
        try:
            step = stepwise(
                known.of(T),
                scale.coefficient,
                parameters,
                before.with_room(n_new),
                a,
                self.stepwise_power,
                told_anew=self.smoothing == "auto" and self.annealing,
            )
        except ImpossibleDocumentError as error:
            raise self._impossible(T, error) from error
        with unchanged_on_failure(self):
            self._keep(step, self.n_documents_seen_ + scale.n_documents)
            self.n_components = self.weights_.size
            self.component_classes_ = known.guidance.component_classes
            self.lower_bound_ = step.lower_bounds[-1]
            self.lower_bounds_ = np.append(self.lower_bounds_, self.lower_bound_)
            self.n_iter_ += 1
        return self

    def _with_new_components(self, T: sp.csr_array, known: "_Known", parameters: Parameters) -> Parameters:
        """Return the mixture with components for documents of a batch T that fit none, if there are such."""
        familiarity, rng = self._familiarity_of(T), check_random_state(self.random_state)
        may_go = ~np.isnan(familiarity) & (known.guidance.document_classes == UNKNOWN)
        if known.weights is not None:
            may_go &= known.weights > 0
        mixed = rng.permutation(np.flatnonzero(may_go))
        learned, judging = np.sort(mixed[::2]), np.sort(mixed[1::2])
        strangers = np.argsort(familiarity[learned], kind="stable")[: int(UNFAMILIAR * len(learned))]
        n_new = min(self.new_components, len(strangers) // 2)
        if n_new == 0:
            return parameters
        rows = learned[strangers]
        of_strangers = type(self)(
            n_new, annealing=self.annealing, n_init=1, device=self.device, random_state=rng
        )
        of_strangers.fit(T[rows], sample_weight=None if known.weights is None else known.weights[rows])
        gamma = np.zeros((len(learned), n_new))
        gamma[strangers] = of_strangers.predict_proba(T[rows])
        return opened(
            known.of_unlabelled(T, learned),
            known.of_unlabelled(T, judging),
            parameters,
            torch.from_numpy(gamma),
            self.pseudo_count_,
        )

    def _check_start(self, scale: Scale) -> None:
        if self.n_components > scale.n_rows:
            raise ValueError(
                f"n_components={self.n_components} exceeds the number of documents: "
                f"n_samples={scale.n_rows}; at least one document a component is needed to start from"
            )
        n_words = scale.vocabulary_size
        n_side_by_side = min(SIDE_BY_SIDE, self._n_starts(scale)) if self.annealing else 0
        # Responsibilities, probabilities and what is counted for them; in single precision those of each start.
        check_memory(
            {"n_components": self.n_components},
            lambda n_components: (
                8 * n_components * (scale.n_rows_together + 2 * n_words)
                + 4 * n_side_by_side * n_components * n_words
            ),
            "a fit to these counts",
        )
        if scale.n_nonzeros == 0:
            raise ValueError("there are no words to start from: every count is 0")

    def _fit_counts(self, counts: Blocks[Counts], known: "_Known", scale: Scale, report: Report) -> Run:
        self._check_start(scale)
        rng, device = check_random_state(self.random_state), resolve_device(self.device)
        recipe = self._recipe(scale, known.guidance, device)
        run = fit_documents(counts, device, scale.coefficient, recipe, rng, report)
        if self.annealing and not run.tempered_bounds and scale.has_fractions:
            warn_caller(
                "there was nothing to anneal: almost all rows of X sum to 1 or less, and a row's sum is taken for "
                "the length of its document. Give counts, or say annealing=False"
            )
        return run

    def _fit_blocks(
        self, blocks: Blocks[Any], y: ArrayLike | None, sample_weight: ArrayLike | None, report: Report
    ) -> tuple[Run, float]:
        reader = learn_names(self, blocks, type(self)._check_first)
        n_rows = blocks.each(_n_rows)
        known = self._known(y, sample_weight, sum(n_rows))
        documents = _Reader(reader, known.to_send(), np.cumsum([0, *n_rows]).tolist())
        scale = blocks.prepared(with_number).add_up(documents.scale)
        with one_thread_each():
            run = self._fit_counts(blocks.prepared(documents.counts), known, scale, report)
        return run, scale.n_documents

    def _check_first(self, block: Any) -> None:
        self._checked(by_documents(block), reset=True)

    def _known(
        self, y: ArrayLike | None, sample_weight: ArrayLike | None, n_rows: int, *, again: bool = False
    ) -> "_Known":
        """Return what is known of documents beside their words; keeps the classes, or if `again` goes by them."""
        weights = checked_weights(sample_weight, n_rows, "document")
        guides = self.use_labels == "guide" or (self.use_labels == "auto" and is_guiding(y))
        found = self._guidance(y if guides else None, n_rows, again=again)
        if not again:
            self.component_classes_ = found.component_classes
            if found.classes.size:
                self.classes_ = found.classes
            elif hasattr(self, "classes_"):
                del self.classes_
        return _Known(found, weights, self.device)

    def _guidance(self, y: ArrayLike | None, n_rows: int, *, again: bool = True) -> Guidance:
        return guidance(
            y,
            self.seeds,
            n_documents=n_rows,
            n_components=self.n_components,
            components_per_class=self.components_per_class,
            words=self.feature_names_in_ if hasattr(self, "feature_names_in_") else self.n_features_in_,
            fitted=(getattr(self, "classes_", np.empty(0)), self.component_classes_) if again else None,
        )

    def _recipe(self, scale: Scale, found: Guidance, device: torch.device) -> Recipe:
        """Return how to fit, in the corpus's own units."""

        def pseudo_counts(amount: float) -> PseudoCounts:
            count = scale.pseudo_count(amount, self.n_components) if self.relative else amount
            return self._with_seeds(float(count), found, device)

        self.mean_length_ = scale.mean_length
        return Recipe(
            n_components=self.n_components,
            pseudo_counts=None if self.smoothing == "auto" else pseudo_counts(self.smoothing),
            annealing_pseudo_counts=pseudo_counts(self.annealing_smoothing),
            annealing=self.annealing,
            length_growth=self.length_growth,
            steps_per_length=self.steps_per_length,
            perturbation=self.perturbation,
            rearrangements=self.rearrangements,
            max_iter=self.max_iter,
            tol=self.tol * scale.mean_length if self.relative else self.tol,
            n_init=self._n_starts(scale),
        )

    def _n_starts(self, scale: Scale) -> int:
        if self.n_init != "auto":
            return self.n_init
        return 4 if self.annealing and scale.n_nonzeros * self.n_components <= _LARGE else 1

    def _with_seeds(self, pseudo_count: float, found: Guidance, device: torch.device) -> PseudoCounts:
        extra = found.seed_counts(self.n_features_in_, self.seed_strength * self.mean_length_)
        if extra is None:
            return pseudo_count
        if self.smoothing == 0:
            raise ValueError("smoothing is 0, and seeds are pseudo-counts; allowed with them is one above 0")
        return torch.from_numpy(extra + pseudo_count).to(device)

    def _pseudo_counts_of(self, component: int) -> Array | float:
        """Return the pseudo-counts of a component, one for all words or of each word its own, (W,)."""
        a = self._with_seeds(self.pseudo_count_, self._guidance(None, 0), torch.device("cpu"))
        return a if isinstance(a, float) else a[:, component].numpy()

    def _statistics(self, device: torch.device) -> Statistics:
        """Return the statistics that the M step was given."""
        found = self._guidance(None, 0)
        words = torch.tensor(self.words_per_component_, device=device)
        a = self._with_seeds(self.pseudo_count_, found, device)
        return Statistics.of(self._parameters(device), words, self.n_documents_seen_, a)

    def _set_components(
        self,
        *,
        weights: Array,
        word_probabilities: Array,
        words_per_component: Array,
        component_classes: NDArray[np.intp],
    ) -> Self:
        self.n_components = len(weights)
        self.weights_, self.word_probabilities_ = weights, word_probabilities
        self.words_per_component_, self.component_classes_ = words_per_component, component_classes
        return self

    def _check_component(self, name: str, component: int) -> None:
        check_is_fitted(self)
        n_components = self.weights_.size
        if not isinstance(component, Integral) or not 0 <= component < n_components:
            raise ValueError(f"{name}={component!r}; allowed are the components 0 to {n_components - 1}")

    def _parameters(self, device: torch.device) -> Parameters:
        return Parameters.of(self.weights_, self.word_probabilities_).to(device)

    def _keep(self, run: Run, n_documents: float) -> None:
        self.weights_, self.word_probabilities_ = run.parameters.arrays()
        self.words_per_component_ = run.words_per_component.cpu().numpy()
        a = run.pseudo_counts
        self.pseudo_count_ = a if isinstance(a, float) else float(a.min())
        self.n_documents_seen_ = n_documents

    def fit_predict(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        callback: Callback | None = None,
    ) -> NDArray[np.intp]:
        """Fit to `X` and return the component of each of its documents, of shape (D,)."""
        return self.fit(X, y, sample_weight=sample_weight, callback=callback).predict(X)

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

    def familiarity(self, X: Any) -> Array:
        r"""Return how much better the mixture explains each document than the corpus's word frequencies do.

        .. math:: f_d = \frac{1}{n_d} \left(\log p(T_d) - \sum_w T_{dw} \log p_w\right)

        in nats per word, with log p(T_d) without the multinomial coefficient and p_w from ``word_frequencies``. A
        document that fits nowhere is told as well by any other words of the corpus: it has about 0, or less.

        Returns
        -------
        ndarray of shape (D,)
            NaN for documents without words.

        Raises
        ------
        ValueError
            As ``predict_proba``.
        """
        return np.concatenate(self._of_each(X, self._familiarity_of))

    def _familiarity_of(self, T: sp.csr_array) -> Array:
        lengths = T.sum(axis=1)
        gained = self._posterior(T)[1] - T @ np.log(self.word_frequencies())
        per_word: Array = np.divide(gained, lengths, out=np.full(len(lengths), np.nan), where=lengths > 0)
        return per_word

    def word_frequencies(self) -> Array:
        """Return p_w, the share of each word in all words that were fitted to, of shape (W,).

        Words that were not used count as one use, and so do those used less.
        """
        check_is_fitted(self)
        statistics = self._statistics(torch.device("cpu"))
        totals = np.maximum(statistics.word_counts.sum(dim=1).numpy(), 1.0)
        frequencies: Array = totals / totals.sum()
        return frequencies

    def split(self, component: int, X: Any) -> Self:
        """Split a component in two by its documents among `X`; the second becomes the last component.

        Both halves are of its class. What other components are stays as it is; ``fit`` or ``partial_fit`` goes on
        from there.

        Parameters
        ----------
        component : int
        X : array-like or sparse matrix of shape (D, W)
            Documents, best those of the fit.

        Raises
        ------
        ValueError
            If there is no such component, or `X` has no two documents of it that differ.
        """
        self._check_component("component", component)
        T = self._checked(X, reset=False)
        rows = np.flatnonzero(self._posterior(T)[0].argmax(axis=1) == component)
        second = halved(T[rows], self.pseudo_count_, self.perturbation, check_random_state(self.random_state))
        if second.all() or not second.any():
            raise ValueError(
                f"component {component} has {len(rows)} documents of X, which nothing parts; allowed are "
                f"components with two documents that differ"
            )
        halves = [T[rows[~second]], T[rows[second]]]
        words = np.array([half.sum(axis=0) for half in halves]) + self._pseudo_counts_of(component)
        words_of_halves = np.array([half.sum() for half in halves])
        share = second.mean()
        return self._set_components(
            weights=_with(self.weights_, component, self.weights_[component] * np.array([1 - share, share])),
            word_probabilities=_with(
                self.word_probabilities_, component, words / words.sum(axis=1, keepdims=True)
            ),
            words_per_component=_with(
                self.words_per_component_,
                component,
                self.words_per_component_[component] * (words_of_halves / words_of_halves.sum()),
            ),
            component_classes=_with(
                self.component_classes_, component, self.component_classes_[[component] * 2]
            ),
        )

    def merge(self, first: int, second: int) -> Self:
        """Merge two components into `first`; those after `second` move up by one.

        Parameters
        ----------
        first, second : int

        Raises
        ------
        ValueError
            If there is no such component, both are the same, or they are of different classes.
        """
        self._check_component("first", first)
        self._check_component("second", second)
        if first == second:
            raise ValueError(f"first and second are both {first}; allowed are two different components")
        classes = {int(self.component_classes_[k]) for k in (first, second)} - {UNKNOWN}
        if len(classes) > 1:
            names = " and ".join(repr(str(self.classes_[c])) for c in sorted(classes))
            raise ValueError(f"components {first} and {second} are of different classes, {names}")
        of_class = max(first, second, key=lambda k: int(self.component_classes_[k]))
        words = self._statistics(torch.device("cpu")).word_counts[:, [first, second]].sum(dim=1).numpy()
        words = words + self._pseudo_counts_of(of_class)
        self._set_components(
            weights=_merged(self.weights_, first, second, self.weights_[[first, second]].sum()),
            word_probabilities=_merged(self.word_probabilities_, first, second, words / words.sum()),
            words_per_component=_merged(
                self.words_per_component_, first, second, self.words_per_component_[[first, second]].sum()
            ),
            component_classes=_merged(
                self.component_classes_, first, second, self.component_classes_[of_class]
            ),
        )
        return self

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
            gamma, log_normalisers, _ = posterior(self._log_joint(T))
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

        are_chosen = isinstance(X, Blocks)

        def of_block(block: Any) -> Measure | None:
            if are_chosen and np.shape(by_documents(block))[0] == 0:
                return None  # none of those chosen is in this block
            return measure(self._checked(by_documents(block), reset=False))

        return [measured for measured in blocks_of(X).each(of_block) if measured is not None]

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
        if missing := _ADDED - state.keys():
            if missing != _ADDED or not isinstance(self.smoothing, Real):
                raise ValueError(f"{', '.join(sorted(missing))} missing")
        elif not (state["pseudo_count_"] >= 0 and state["mean_length_"] >= 0):
            raise ValueError("pseudo_count_ or mean_length_ is below 0")
        elif not (
            (state["component_classes_"] >= UNKNOWN) & (state["component_classes_"] < lengths.get("C", 0))
        ).all():
            raise ValueError("component_classes_ has numbers that are no places in classes_")
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

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore(state)
        if not hasattr(self, "pseudo_count_"):  # earlier versions kept neither, and knew no classes
            self.pseudo_count_ = float(self.smoothing)
            self.mean_length_ = float(self.words_per_component_.sum() / self.n_documents_seen_)
            self.component_classes_ = np.full(self.weights_.size, UNKNOWN)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags


class _Known(NamedTuple):
    """What is known of documents beside their words."""

    guidance: Guidance
    weights: NDArray[np.float64] | None
    device: str

    def weights_of(self, rows: slice) -> NDArray[np.float64] | None:
        """Return the weights of some documents."""
        return None if self.weights is None else self.weights[rows]

    def of(
        self, T: sp.csr_array, T_by_words: sp.csc_array | None = None, *, start: int = 0, number: int = 0
    ) -> Counts:
        """Return documents T, a block the first of which is the `start`-th, with what is known of them."""
        rows = slice(start, start + T.shape[0])
        return Counts(
            T,
            resolve_device(self.device),
            len(self.guidance.component_classes),
            T_by_words,
            weights=self.weights_of(rows),
            barred=self.guidance.barred(rows),
            number=number,
        )

    def to_send(self) -> "_Known":
        """Return the same without labels where none is known: they take no memory, but do when they are sent."""
        if (self.guidance.document_classes != UNKNOWN).any():
            return self
        return self._replace(guidance=self.guidance._replace(document_classes=np.empty(0, dtype=np.intp)))

    def of_unlabelled(self, T: sp.csr_array, rows: NDArray[np.intp]) -> Counts:
        """Return some of the documents T, none of which has a label."""
        weights = None if self.weights is None else self.weights[rows]
        n_components = len(self.guidance.component_classes)
        return Counts(T[rows], resolve_device(self.device), n_components, weights=weights)


class _Reader(NamedTuple):
    """Reads blocks by the parameters of an estimator, with what is known; `starts` are the first rows of each."""

    estimator: MultinomialMixture
    known: _Known
    starts: list[int]

    def scale(self, given: Numbered) -> Scale:
        """Check a block, and return what it adds up to."""
        number, block = given
        T = self.estimator._checked(by_documents(block), reset=False)
        if isinstance(block, tuple):
            block[1].check_format(full_check=True)  # torch takes indices on trust
        return Scale.of(T, self.known.weights_of(slice(*self.starts[number : number + 2])))

    def counts(self, block: Any, number: int) -> Counts:
        """Return the documents of a checked block."""
        T, T_by_words = block if isinstance(block, tuple) else (block, None)
        if self.estimator.smoothing == 0:
            T, T_by_words = self.estimator._checked(T, reset=False), None  # stored zeros must not meet log 0
        elif not sp.issparse(T):
            T = np.asarray(T, dtype=np.float64)
        T = sp.csr_array(T)
        if T.dtype.kind not in "ui":
            T = T.astype(np.float64, copy=False)
        return self.known.of(T, T_by_words, start=self.starts[number], number=number)


def _n_rows(block: Any) -> int:
    return int(np.shape(by_documents(block))[0])


def _with(values: NDArray[Any], component: int, halves: NDArray[Any]) -> NDArray[Any]:
    """Return values of the components, those of one in two halves: the second last."""
    after = values.copy()
    after[component] = halves[0]
    return np.concatenate([after, halves[1:]])


def _merged(values: NDArray[Any], first: int, second: int, of_both: Any) -> NDArray[Any]:
    """Return values of the components without the second, that of both in place of the first."""
    after = values.copy()
    after[first] = of_both
    return np.delete(after, second, axis=0)
