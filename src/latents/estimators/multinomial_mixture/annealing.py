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

import numpy as np
import torch
from torch import Tensor

from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import (
    PseudoCounts,
    Recipe,
    log_normalisers,
    log_prior,
    posterior,
    random_responsibilities,
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

Report = Callable[[float, float, float], None]


class Corpus:
    """Documents T (D, W), and the word frequencies p_w that log probabilities are kept relative to.

    The sums of log (mu_kw / p_w) are so small that single precision suffices.

    Attributes
    ----------
    counts : Counts
        T in float32.
    lengths : Tensor of shape (D,)
        n_d in float64; of a document without words next to nothing, so that it is whole at every c.
    log_shares : Tensor of shape (W, 1)
        log p_w in float32. Words never used count as one use.
    offsets : Tensor of shape (D,)
        sum_w T_dw log p_w in float64: added to what is in single precision, it makes that double.
    """

    def __init__(self, counts: Counts) -> None:
        self.counts = counts.single_precision()
        frequencies = np.maximum(counts.word_totals(), 1.0)
        log_shares = np.log(frequencies / frequencies.sum())
        lengths = np.maximum(counts.T.sum(axis=1), np.finfo(np.float32).tiny)
        self.lengths, self.log_shares, self.offsets = (
            torch.from_numpy(values).to(counts.device)
            for values in (lengths, log_shares[:, np.newaxis], counts.T @ log_shares)
        )
        self.log_shares = self.log_shares.float()

    def shortened(self, c: float) -> tuple[Tensor, float]:
        """Return s (D, 1) at length c, and the share of all words that is left, by which the prior shrinks too."""
        s = (c / self.lengths).clamp(max=1)
        words, left = (float(self.counts.weighted(n).sum()) for n in (self.lengths, s * self.lengths))
        return s[:, None].float(), left / words

    def whole_length(self) -> float:
        """Return the length that almost no document exceeds."""
        return float(np.quantile(self.lengths.cpu().numpy(), _WHOLE_DOCUMENTS)) * (1 - 1e-9)


class Climb:
    """Over-relaxed EM from one start: log lifts log (mu_kw / p_w) (W, K), log pi (K,) and gamma (D, K).

    Attributes
    ----------
    objective, shortened_objective, plain_objective : float
        Of the parameters before the last step: sum_d log p(T_d) without multinomial coefficients plus the log
        prior; what the step set out to raise; and the first with the prior of plain EM, without one where that is
        not yet known.
    """

    def __init__(
        self,
        corpus: Corpus,
        gamma: Tensor,
        pseudo_counts: PseudoCounts,
        of_plain_em: PseudoCounts | None = None,
    ) -> None:
        self.corpus, self.gamma, self._pseudo_counts = corpus, gamma, pseudo_counts
        self._gamma_is_own = False  # others may start from the same
        self.log_pi: Tensor
        self._of_plain_em: PseudoCounts = 0.0 if of_plain_em is None else of_plain_em
        self.emphasis: Tensor | None = None
        weighted = corpus.counts.weighted(gamma)
        self.log_lift = self._normalised(self._maximiser(corpus.counts.by_words(weighted), pseudo_counts))
        self._set_log_pi(weighted.sum(dim=0))
        self._sum_of_logs = corpus.log_shares.double().sum()
        self.objective = self.shortened_objective = self.plain_objective = -np.inf

    def emphasise(self, labelled: Tensor, share: float) -> None:
        """Let labelled documents (D,) weigh as much as `share` of all others, or as they are if that is more."""
        weights = self.corpus.counts.weighted(labelled.to(self.gamma))
        n_labelled = float(weights.sum())
        factor = share * (self.corpus.counts.n_documents - n_labelled) / n_labelled if n_labelled else 1.0
        self.emphasis = torch.where(labelled, max(1.0, factor), 1.0)[:, None].to(self.gamma)

    def disturb(self, noise: Tensor) -> None:
        """Add noise (W, K) to the log lifts: components that have met exactly would never part."""
        self.log_lift = self._normalised(self.log_lift.add_(noise))

    def step(self, c: float, *, watched: bool = True) -> None:
        """Take a step at length c; infinity is whole documents.

        Without being `watched` it does not tell its objectives, which takes a third of the time.
        """
        s, share = self.corpus.shortened(c) if np.isfinite(c) else (None, 1.0)
        shrunk = self._pseudo_counts * share
        if not self._gamma_is_own:
            self.gamma, self._gamma_is_own = torch.empty_like(self.gamma), True
        words, documents = torch.zeros_like(self.log_lift), torch.zeros_like(self.log_pi)
        of_all_whole = of_all_shortened = 0.0
        for rows, part in self.corpus.counts.parts():
            joint = part.barring(part.by_documents(self.log_lift).add_(self.log_pi))
            s_of_part = None if s is None else s[rows]
            of_whole = None if s_of_part is None or not watched else log_normalisers(joint)
            gamma, of_shortened = posterior(joint if s_of_part is None else joint.mul_(s_of_part))
            self.gamma[rows] = gamma
            if watched:
                offsets = self.corpus.offsets[rows]
                whole = (of_shortened if of_whole is None else of_whole) + offsets
                shortened = of_shortened + (offsets if s_of_part is None else s_of_part[:, 0] * offsets)
                of_all_whole += float(part.weighted(whole).sum())
                of_all_shortened += float(part.weighted(shortened).sum())
            weighted = part.weighted(gamma)
            documents += weighted.sum(dim=0)
            for scale in (s_of_part, None if self.emphasis is None else self.emphasis[rows]):
                weighted = weighted if scale is None else weighted * scale
            words += part.by_words(weighted)
        if watched:
            self._watch(of_all_whole, of_all_shortened, shrunk)
        self.log_lift = self._normalised(
            torch.lerp(self.log_lift, self._maximiser(words, shrunk), _RELAXATION)
        )
        self._set_log_pi(documents)

    def reorder(self, order: Tensor) -> None:
        """Give the components other places: the k-th is then what the ``order[k]``-th was."""
        self.gamma, self.log_lift = self.gamma[:, order], self.log_lift[:, order]
        self.log_pi = self.log_pi[order]

    def decided(self) -> float:
        """Return how far documents have decided: 0 where all components are as probable, 1 where one is sure."""
        n_components = self.gamma.shape[1]
        largest = (
            float(self.corpus.counts.weighted(self.gamma.amax(dim=1)).sum()) / self.corpus.counts.n_documents
        )
        return 1.0 if n_components == 1 else (largest - 1 / n_components) / (1 - 1 / n_components)

    def _watch(self, of_whole: float, of_shortened: float, shrunk: PseudoCounts) -> None:
        """Note the objectives, given the log-likelihoods of documents as they are and as they count."""
        log_shares, n_components = self.corpus.log_shares, self.log_lift.shape[1]
        sum_of_logs = float(self.log_lift.sum(dim=0).double().sum() + n_components * self._sum_of_logs)

        def of_prior(a: PseudoCounts) -> float:
            return a * sum_of_logs if isinstance(a, float) else log_prior(self.log_lift + log_shares, a)

        self.shortened_objective = of_shortened + of_prior(shrunk)
        self.objective = of_whole + of_prior(self._pseudo_counts)
        self.plain_objective = of_whole + of_prior(self._of_plain_em)

    def _maximiser(self, words: Tensor, pseudo_counts: PseudoCounts) -> Tensor:
        words = words.add_(pseudo_counts)
        return torch.log(words).sub_(torch.log(words.sum(dim=0))).sub_(self.corpus.log_shares)

    def _normalised(self, log_lift: Tensor) -> Tensor:
        """Make of the columns, in place, the log lifts of probabilities: sum_w p_w exp(log_lift_wk) = 1."""
        log_p = self.corpus.log_shares
        torch.minimum(log_lift, -log_p, out=log_lift).clamp_(min=_LEAST_LOG_LIFT)
        return log_lift.sub_(torch.log(torch.exp(log_p).ravel() @ torch.exp(log_lift)))

    def _set_log_pi(self, documents: Tensor) -> None:
        pi = documents / self.corpus.counts.n_documents
        self.log_pi = torch.log(pi.clamp_(min=torch.finfo(torch.float32).tiny))


def critical_length(corpus: Corpus, n_components: int, pseudo_counts: PseudoCounts) -> float:
    r"""Return the length c at which components part first, to some per cent.

    Where all components have the corpus's word frequencies, a small difference delta of their log mu comes back
    from an EM step as :math:`B^{-1} T' S^2 T \delta` with S = diag(s_d), B the words of the shortened documents
    plus pseudo-counts, and it grows where the largest eigenvalue, but for the one of all words alike, exceeds 1.
    While no document is whole it is proportional to c, so that c = 1 tells. Without pseudo-counts these are the
    inertias of correspondence analysis.
    """
    counts = corpus.counts
    s, share = corpus.shortened(1.0)
    a = torch.as_tensor(pseudo_counts).to(s).expand(counts.n_words, n_components)
    words = counts.by_words(counts.weighted(s)) + share * a.sum(dim=1, keepdim=True)
    rng = np.random.RandomState(0)  # any directions do: the largest eigenvalue draws them to itself
    delta = torch.from_numpy(rng.normal(size=(len(words), _DIRECTIONS))).to(words)
    largest = 0.0
    for _ in range(_POWER_STEPS):
        delta = delta - (words * delta).sum(dim=0) / words.sum()
        delta = delta / torch.sqrt((words * delta**2).sum(dim=0))
        of_documents = counts.weighted(counts.by_documents(delta) * s**2)
        delta = counts.by_words(of_documents) / words
        largest = float(torch.sqrt((words * delta**2).sum(dim=0)).max())
    return 1 / largest if largest > 0 else np.inf


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
    counts, a = corpus.counts, recipe.annealing_pseudo_counts
    # Drawing takes as long as a product: it is done once, and one row is another's the next time.
    drawn = random_responsibilities(counts, recipe.n_components, rng)
    noise = torch.from_numpy(
        rng.normal(scale=recipe.perturbation, size=(counts.n_words, recipe.n_components))
    ).to(drawn)

    def rolled(rows: Tensor) -> Tensor:
        return torch.roll(rows, int(rng.randint(len(rows))), dims=0)

    climbs = [
        Climb(corpus, drawn if counts.barred is not None else rolled(drawn), a, recipe.pseudo_counts)
        for _ in range(n_starts)
    ]
    del drawn

    n_steps = [recipe.steps_per_length, max(1, recipe.steps_per_length // 2)]
    longest = corpus.whole_length()
    if longest <= 1:
        return climbs[0]
    labelled = None if counts.barred is None else counts.barred.any(dim=1)
    decided = 0.0
    c, growth = longest, recipe.length_growth
    if recipe.n_components > 1:
        c = max(1.0, _BEFORE_CRITICAL * critical_length(corpus, recipe.n_components, a))
    while c < longest:
        for climb in climbs:
            climb.disturb(rolled(noise))
            if labelled is not None:
                climb.emphasise(labelled, _EMPHASIS * (1 - decided))
        for step in range(recipe.steps_per_length):
            stepping = [climb for number, climb in enumerate(climbs) if step < n_steps[number % 2]]
            for climb in stepping:
                climb.step(c)
            best = max(stepping, key=lambda climb: climb.shortened_objective)
            report(best.plain_objective, best.shortened_objective, counts.n_documents)
        decided = min(climb.decided() for climb in climbs)
        if decided < _BEGUN:
            growth = recipe.length_growth**_HASTE
        elif decided < DECIDED:
            growth = recipe.length_growth
        else:
            growth = min(growth**_HASTE, max(_LARGEST_GROWTH, recipe.length_growth))
        c *= growth
    for climb in climbs:
        climb.emphasis = None
    n_last = STEPS_OF_WHOLE_DOCUMENTS if recipe.n_init > 1 else _LAST_STEPS
    settled = [settle(climb, recipe, n_last) for climb in climbs]
    highest = max(range(len(climbs)), key=lambda number: climbs[number].objective)
    for objectives in settled[highest]:
        report(*objectives, counts.n_documents)
    return climbs[highest]


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
        if climb.objective - previous <= recipe.tol * climb.corpus.counts.n_documents:
            break
        previous = climb.objective
    return taken
