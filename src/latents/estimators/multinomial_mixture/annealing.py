"""Where EM for a mixture of multinomials starts: annealing by the length of documents.

Text has many poor optima because documents make up their minds early, long ones first: after two or three E steps
from a random start nearly all responsibilities are close to 0 or 1. Deterministic annealing (Ueda and Nakano,
"Deterministic annealing EM algorithm", 1998) raises the joint probability to a power beta that grows to 1. One
power for all leaves long documents decided while short ones are still undecided, so here each document has its
own, s_d = min(1, c / n_d): it counts as if it were c of its n_d words long. What EM climbs at length c is

    sum_d log sum_k (pi_k prod_w mu_kw^T_dw)^s_d + log prior,

the likelihood of shortened documents, in which no document weighs more than another. The M step departs from
it in one thing: pi stays the mean responsibility, as in the source, where the maximiser would weigh documents by
s_d; that found better clusters.

At small c the corpus mean is the only optimum, and the first components part from it at a length that the corpus
tells (``critical_length``). c begins a little below, grows slowly while documents decide, and then fast until
almost every one is whole. Several starts climb side by side, and the one that comes highest is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latents.estimators.common.blocks import Blocks
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import (
    Answers,
    PseudoCounts,
    RandomStarts,
    Recipe,
    Together,
    log_normalisers,
    log_prior,
    posterior,
)

# c begins at this share of the critical length: below it noise is drawn out along the directions in which
# components part soon, so that they do not part by chance.
_BEFORE_CRITICAL = 0.7
# Directions that are followed to find the critical length, and steps; more find the same to some per cent.
_DIRECTIONS, _POWER_STEPS = 8, 8
# Documents begin to decide, and have decided, when their largest responsibility, on average, has gone this part of
# the way from 1 / K to 1.
_BEGUN, DECIDED = 0.02, 0.85
# Before, c grows faster (by this power of the factor between), and after, faster each time, until by so much.
_HASTE, _LARGEST_GROWTH = 2, 2.0
# c ends at the length that this share of the documents does not exceed: the longest few would double the time.
_WHOLE_DOCUMENTS = 0.95
# At whole documents it then takes so many steps at most: plain EM would take them too, twice as slow in float64.
STEPS_OF_WHOLE_DOCUMENTS = 30
# A single start, with which there is nothing to compare, takes fewer.
_LAST_STEPS = 6
# Few labels are lost among many documents. While none has decided, labelled ones weigh together as much as this
# share of all others, and as these decide, what they are.
_EMPHASIS = 0.3
# Steps in log mu are taken this many times as far as EM's own, which needs half the steps; below 2 they still
# converge near an optimum (Salakhutdinov and Roweis, "Adaptive overrelaxed bound optimization methods", 2003).
_RELAXATION = 1.9
# Far from an optimum such a step, or noise, may lead to what no probability can be: no lift mu_kw / p_w exceeds
# 1 / p_w, and one that is as good as 0 is kept above the subnormal numbers.
_LEAST_LOG_LIFT = -80.0
# Lengths are told apart to so many steps between two powers of two: whole ones up to it exactly.
_LENGTH_STEPS = 8192

Report = Callable[[float, float, float], None]


class Documents:
    """Documents of a block as annealing takes them: in single precision, and as long as they are said to be.

    Attributes
    ----------
    counts : Counts
        T in float32.
    lengths : Tensor of shape (D,)
        n_d in float64; of a document without words next to nothing, so that it is whole at every c.
    offsets : Tensor of shape (D,)
        sum_w T_dw log p_w in float64: added to what is in single precision, it makes that double.
    """

    def __init__(self, counts: Counts, log_shares: NDArray[np.float64]) -> None:
        self.counts = counts.single_precision()
        self.lengths, self.offsets = (
            torch.from_numpy(values).to(counts.device) for values in (counts.lengths(), counts.T @ log_shares)
        )

    def shortening(self, c: float) -> tuple[Tensor, float]:
        """Return s (D, 1) at length c, and how many words are left."""
        s = (c / self.lengths).clamp(max=1)
        return s[:, None].float(), float(self.counts.weighted(s * self.lengths).sum())


class Corpus:
    """All documents, T (D, W), and the word frequencies p_w that log probabilities are kept relative to.

    The sums of log (mu_kw / p_w) are so small that single precision suffices.

    Attributes
    ----------
    counts : Blocks of Counts
    documents : Blocks of Documents
    n_documents, n_labelled, n_words : float
        Sums of weights; and of all words, N.
    vocabulary_size : int
        W.
    log_shares : Tensor of shape (W, 1)
        log p_w in float32. Words never used count as one use.
    whole_length : float
        The length that almost no document exceeds.
    """

    def __init__(self, counts: Blocks[Counts], device: torch.device) -> None:
        totals = counts.add_up(_totals)
        self.counts, self.device = counts, device
        self.n_documents, self.n_labelled, self.n_words = (
            totals.n_documents,
            totals.n_labelled,
            totals.n_words,
        )
        self.vocabulary_size = len(totals.words)
        frequencies = np.maximum(totals.words, 1.0)
        log_shares = np.log(frequencies / frequencies.sum())
        self.log_shares = torch.from_numpy(log_shares[:, np.newaxis]).to(device).float()
        self.documents = counts.prepared(partial(_documents, log_shares=log_shares))
        self.whole_length = totals.lengths.quantile(_WHOLE_DOCUMENTS) * (1 - 1e-9)

    def answers(self, starts: RandomStarts) -> list[Answers]:
        """Return what components answer for at some starts."""
        found = self.documents.add_up(partial(_start, starts=starts))
        return [answers.to(self.device) for answers in found]


def _documents(counts: Counts, number: int, log_shares: NDArray[np.float64]) -> Documents:  # noqa: ARG001
    return Documents(counts, log_shares)


def _start(documents: Documents, starts: RandomStarts) -> Together[Answers]:
    return starts(documents.counts)


class Lengths(dict[float, int]):
    """How many documents have each length; what is longer than 8,192 is told to four digits."""

    @classmethod
    def of(cls, lengths: NDArray[np.float64]) -> "Lengths":
        """Count lengths (D,)."""
        mantissas, exponents = np.frexp(lengths)
        rounded = np.ldexp(np.round(mantissas * _LENGTH_STEPS) / _LENGTH_STEPS, exponents)
        return cls(zip(*(part.tolist() for part in np.unique(rounded, return_counts=True)), strict=True))

    def __add__(self, other: "Lengths") -> "Lengths":
        """Return the number of each length among the documents of both."""
        return Lengths({n: self.get(n, 0) + other.get(n, 0) for n in self.keys() | other.keys()})

    def quantile(self, share: float) -> float:
        """Return the length that this share of the documents does not exceed, as ``numpy.quantile`` has it."""
        lengths = np.array(sorted(self))
        last = np.cumsum([self[n] for n in lengths.tolist()]) - 1  # of each length, by rank
        rank = share * last[-1]
        lower, upper = (lengths[np.searchsorted(last, r)] for r in (np.floor(rank), np.ceil(rank)))
        return float(lower + (upper - lower) * (rank % 1))


@dataclass(frozen=True)
class _Totals:
    """What documents add up to: words (W,), numbers of documents and of labelled ones, N, and lengths."""

    words: NDArray[np.float64]
    n_documents: float
    n_labelled: float
    n_words: float
    lengths: Lengths

    def __add__(self, other: "_Totals") -> "_Totals":
        return _Totals(
            self.words + other.words,
            self.n_documents + other.n_documents,
            self.n_labelled + other.n_labelled,
            self.n_words + other.n_words,
            self.lengths + other.lengths,
        )


def _totals(counts: Counts) -> _Totals:
    lengths, labelled = counts.lengths(), counts.labelled()
    n_words = counts.weighted(torch.from_numpy(lengths).to(counts.device)).sum()
    n_labelled = 0.0 if labelled is None else float(counts.weighted(labelled.double()).sum())
    return _Totals(
        counts.word_totals(),
        counts.n_documents,
        n_labelled,
        float(n_words),
        Lengths.of(lengths[counts.counting()]),
    )


@dataclass(frozen=True)
class _Yield:
    """What a step yields for some documents: of the components, and of the objectives.

    Attributes
    ----------
    answers : Answers
        Words of documents as long as they count, and documents.
    of_whole, of_shortened : float
        Log-likelihoods.
    n_words : float
        Words that are left of the documents.
    surest : float
        The sum of the largest responsibilities.
    """

    answers: Answers
    of_whole: float
    of_shortened: float
    n_words: float
    surest: float

    def __add__(self, other: "_Yield") -> "_Yield":
        return _Yield(
            self.answers + other.answers,
            self.of_whole + other.of_whole,
            self.of_shortened + other.of_shortened,
            self.n_words + other.n_words,
            self.surest + other.surest,
        )


@dataclass(frozen=True)
class _Step:
    """An E step at length c, as work on documents: under log lifts (W, K) and log pi (K,).

    Labelled documents weigh `emphasis` times as much. Without being `watched` it does not tell the objectives.
    """

    log_lift: Tensor
    log_pi: Tensor
    c: float
    emphasis: float
    watched: bool

    def __call__(self, documents: Documents) -> _Yield:
        counts = documents.counts
        log_lift, log_pi = (values.to(counts.device) for values in (self.log_lift, self.log_pi))
        s, n_words = (None, 0.0) if np.isinf(self.c) else documents.shortening(self.c)
        emphasis = None
        if self.emphasis != 1 and (labelled := counts.labelled()) is not None:
            emphasis = torch.where(labelled, self.emphasis, 1.0)[:, None].float()
        words, of_components = torch.zeros_like(log_lift), torch.zeros_like(log_pi)
        of_whole = of_shortened = surest = 0.0
        for rows, part in counts.parts():
            joint = part.barring(part.by_documents(log_lift).add_(log_pi))
            s_of_part = None if s is None else s[rows]
            whole = None if s_of_part is None or not self.watched else log_normalisers(joint)
            gamma, shortened, largest = posterior(joint if s_of_part is None else joint.mul_(s_of_part))
            surest += float(part.weighted(largest).sum())
            if self.watched:
                offsets = documents.offsets[rows]
                whole = (shortened if whole is None else whole) + offsets
                shortened = shortened + (offsets if s_of_part is None else s_of_part[:, 0] * offsets)
                of_whole += float(part.weighted(whole).sum())
                of_shortened += float(part.weighted(shortened).sum())
            weighted = part.weighted(gamma)
            of_components += weighted.sum(dim=0)
            for scale in (s_of_part, None if emphasis is None else emphasis[rows]):
                weighted = weighted if scale is None else weighted * scale
            words += part.by_words(weighted)
        return _Yield(Answers(words, of_components), of_whole, of_shortened, n_words, surest)


class Climb:
    """Over-relaxed EM from one start: log lifts log (mu_kw / p_w) (W, K) and log pi (K,).

    Attributes
    ----------
    answers : Answers
        What components answered for in the last step, of documents as long as they counted then.
    decided : float
        How far documents had decided then: 0 where all components are as probable, 1 where one is sure.
    objective, shortened_objective, plain_objective : float
        Of the parameters before the last step: sum_d log p(T_d) without multinomial coefficients plus the log
        prior; what the step set out to raise; and the first with the prior of plain EM, without one where that is
        not yet known.
    """

    def __init__(
        self,
        corpus: Corpus,
        answers: Answers,
        pseudo_counts: PseudoCounts,
        of_plain_em: PseudoCounts | None = None,
    ) -> None:
        self.corpus, self._pseudo_counts = corpus, pseudo_counts
        self.log_pi: Tensor
        self.answers: Answers
        self._of_plain_em: PseudoCounts = 0.0 if of_plain_em is None else of_plain_em
        self._emphasis, self.decided = 1.0, 0.0
        self.log_lift = self._normalised(self._maximiser(answers.words, pseudo_counts).float())
        self._set_answers(answers)
        self._sum_of_logs = corpus.log_shares.double().sum()
        self.objective = self.shortened_objective = self.plain_objective = -np.inf

    def emphasise(self, share: float) -> None:
        """Let labelled documents weigh as much as `share` of all others, or as they are if that is more."""
        n_labelled = self.corpus.n_labelled
        n_others = self.corpus.n_documents - n_labelled
        self._emphasis = max(1.0, share * n_others / n_labelled) if n_labelled else 1.0

    def disturb(self, noise: Tensor) -> None:
        """Add noise (W, K) to the log lifts: components that have met exactly would never part."""
        self.log_lift = self._normalised(self.log_lift.add_(noise))

    def step(self, c: float, *, watched: bool = True) -> None:
        """Take a step at length c; infinity is whole documents.

        Without being `watched` it does not tell its objectives, which takes a third of the time.
        """
        step = _Step(self.log_lift, self.log_pi, c, self._emphasis, watched)
        found = self.corpus.documents.add_up(step)
        answers = found.answers.to(self.corpus.device)
        # The prior shrinks as words do.
        shrunk = self._pseudo_counts * (found.n_words / self.corpus.n_words if np.isfinite(c) else 1.0)
        if watched:
            self._watch(found, shrunk)
        n_components = len(self.log_pi)
        surest = found.surest / self.corpus.n_documents
        self.decided = 1.0 if n_components == 1 else (surest - 1 / n_components) / (1 - 1 / n_components)
        maximiser = self._maximiser(answers.words, shrunk).to(self.log_lift)
        self.log_lift = self._normalised(torch.lerp(self.log_lift, maximiser, _RELAXATION))
        self._set_answers(answers)

    def reorder(self, order: Tensor) -> None:
        """Give the components other places: the k-th is then what the ``order[k]``-th was."""
        self.log_lift, self.log_pi = self.log_lift[:, order].contiguous(), self.log_pi[order]
        self.answers = Answers(self.answers.words[:, order], self.answers.documents[order])

    def _watch(self, found: _Yield, shrunk: PseudoCounts) -> None:
        """Note the objectives."""
        log_shares, n_components = self.corpus.log_shares, self.log_lift.shape[1]
        sum_of_logs = float(self.log_lift.sum(dim=0).double().sum() + n_components * self._sum_of_logs)

        def of_prior(a: PseudoCounts) -> float:
            return a * sum_of_logs if isinstance(a, float) else log_prior(self.log_lift + log_shares, a)

        self.shortened_objective = found.of_shortened + of_prior(shrunk)
        self.objective = found.of_whole + of_prior(self._pseudo_counts)
        self.plain_objective = found.of_whole + of_prior(self._of_plain_em)

    def _maximiser(self, words: Tensor, pseudo_counts: PseudoCounts) -> Tensor:
        words = words + pseudo_counts
        return torch.log(words).sub_(torch.log(words.sum(dim=0))).sub_(self.corpus.log_shares)

    def _normalised(self, log_lift: Tensor) -> Tensor:
        """Make of the columns, in place, the log lifts of probabilities: sum_w p_w exp(log_lift_wk) = 1."""
        log_p = self.corpus.log_shares
        torch.minimum(log_lift, -log_p, out=log_lift).clamp_(min=_LEAST_LOG_LIFT)
        return log_lift.sub_(torch.log(torch.exp(log_p).ravel() @ torch.exp(log_lift)))

    def _set_answers(self, answers: Answers) -> None:
        self.answers = answers
        pi = (answers.documents / self.corpus.n_documents).float()
        self.log_pi = torch.log(pi.clamp_(min=torch.finfo(torch.float32).tiny))


def critical_length(corpus: Corpus, n_components: int, pseudo_counts: PseudoCounts) -> float:
    r"""Return the length c at which components part first, to some per cent.

    Where all components have the corpus's word frequencies, a small difference delta of their log mu comes back
    from an EM step as :math:`B^{-1} T' S^2 T \delta` with S = diag(s_d), B the words of the shortened documents
    plus pseudo-counts, and it grows where the largest eigenvalue, but for the one of all words alike, exceeds 1.
    While no document is whole it is proportional to c, so that c = 1 tells. Without pseudo-counts these are the
    inertias of correspondence analysis.
    """
    found = corpus.documents.add_up(_shortened)
    share = found.n_words / corpus.n_words
    a = torch.as_tensor(pseudo_counts, device=corpus.device).double()
    a = a.expand(corpus.vocabulary_size, n_components)
    words = found.answers.to(corpus.device).words + share * a.sum(dim=1, keepdim=True)
    rng = np.random.RandomState(0)  # any directions do: the largest eigenvalue draws them to itself
    delta = torch.from_numpy(rng.normal(size=(len(words), _DIRECTIONS))).to(words)
    largest = 0.0
    for _ in range(_POWER_STEPS):
        delta = delta - (words * delta).sum(dim=0) / words.sum()
        delta = delta / torch.sqrt((words * delta**2).sum(dim=0))
        delta = corpus.documents.add_up(partial(_power_step, delta=delta.float())).to(words) / words
        largest = float(torch.sqrt((words * delta**2).sum(dim=0)).max())
    return 1 / largest if largest > 0 else np.inf


def _shortened(documents: Documents) -> _Yield:
    """Return the words of documents at length 1, T' s (W, 1)."""
    s, n_words = documents.shortening(1.0)
    words = documents.counts.by_words(documents.counts.weighted(s)).double()
    return _Yield(Answers(words, words.new_zeros(1)), 0.0, 0.0, n_words, 0.0)


def _power_step(documents: Documents, delta: Tensor) -> Tensor:
    """Return T' S^2 T delta, of shape (W, directions)."""
    counts, (s, _) = documents.counts, documents.shortening(1.0)
    of_documents = counts.weighted(counts.by_documents(delta.to(counts.device)) * s**2)
    return counts.by_words(of_documents).double()


def annealed(
    corpus: Corpus, recipe: Recipe, n_starts: int, rng: np.random.RandomState, report: Report
) -> Climb:
    """Return, of some climbs side by side, the one that has come highest, at whole documents.

    Parameters
    ----------
    corpus : Corpus
        Documents T (D, W).
    recipe : Recipe
    n_starts : int
        Every other climb takes half as many steps at each length: quick ones, now and then, find what thorough
        ones do not.
    rng : RandomState
        Source of the starting responsibilities and of the noise.
    report : callable
        Called at each step as ``report(plain_objective, shortened_objective, n_documents)`` of the best climb by
        the second (``Climb``).
    """
    a = recipe.annealing_pseudo_counts
    starts = corpus.answers(RandomStarts(recipe.n_components, n_starts, drawn_seed(rng)))
    climbs = [Climb(corpus, answers, a, recipe.pseudo_counts) for answers in starts]
    longest = corpus.whole_length
    if longest <= 1:
        return climbs[0]
    # Drawing takes as long as a product: it is done once, and one word's are another's the next time.
    shape = (corpus.vocabulary_size, recipe.n_components)
    noise = torch.from_numpy(rng.normal(scale=recipe.perturbation, size=shape)).to(climbs[0].log_lift)
    n_steps = [recipe.steps_per_length, max(1, recipe.steps_per_length // 2)]
    decided = 0.0
    c, growth = longest, recipe.length_growth
    if recipe.n_components > 1:
        c = max(1.0, _BEFORE_CRITICAL * critical_length(corpus, recipe.n_components, a))
    while c < longest:
        for climb in climbs:
            climb.disturb(torch.roll(noise, int(rng.randint(len(noise))), dims=0))
            climb.emphasise(_EMPHASIS * (1 - decided))
        for step in range(recipe.steps_per_length):
            stepping = [climb for number, climb in enumerate(climbs) if step < n_steps[number % 2]]
            for climb in stepping:
                climb.step(c)
            best = max(stepping, key=lambda climb: climb.shortened_objective)
            report(best.plain_objective, best.shortened_objective, corpus.n_documents)
        decided = min(climb.decided for climb in climbs)
        if decided < _BEGUN:
            growth = recipe.length_growth**_HASTE
        elif decided < DECIDED:
            growth = recipe.length_growth
        else:
            growth = min(growth**_HASTE, max(_LARGEST_GROWTH, recipe.length_growth))
        c *= growth
    for climb in climbs:
        climb.emphasise(0)
    n_last = STEPS_OF_WHOLE_DOCUMENTS if recipe.n_init > 1 else _LAST_STEPS
    settled = [settle(climb, recipe, n_last) for climb in climbs]
    highest = max(range(len(climbs)), key=lambda number: climbs[number].objective)
    for objectives in settled[highest]:
        report(*objectives, corpus.n_documents)
    return climbs[highest]


def drawn_seed(rng: np.random.RandomState) -> int:
    """Return a seed for what draws by counter."""
    return int(rng.randint(2**63, dtype=np.int64))


def settle(
    climb: Climb, recipe: Recipe, n_steps: int = STEPS_OF_WHOLE_DOCUMENTS
) -> list[tuple[float, float]]:
    """Take steps at whole documents until one raises the objective by no more than `tol`.

    Returns
    -------
    list of tuple of float
        Of each step the objective of plain EM and that which was raised.
    """
    taken: list[tuple[float, float]] = []
    previous = -np.inf
    for _ in range(n_steps):
        climb.step(np.inf)
        taken.append((climb.plain_objective, climb.objective))
        if climb.objective - previous <= recipe.tol * climb.corpus.n_documents:
            break
        previous = climb.objective
    return taken
