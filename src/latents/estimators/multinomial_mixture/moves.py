"""Moves that EM cannot make: components split and merged, and documents that go elsewhere one by one.

Splits and merges go by the complete-data objective of a hard clustering z. With C_kw the words and N_k the
documents of a component, and pseudo-counts a, it is a sum over components of

    F_k = sum_w (C_kw + a) log mu_kw + N_k log (N_k / D),    mu_kw proportional to C_kw + a,

so that what a merge loses or a split gains is told by the components that it concerns alone (Ueda, Nakano,
Ghahramani and Hinton, "SMEM algorithm for mixture models", 2000). Documents go where those of a component speak
for them, without themselves among these.
"""

from typing import NamedTuple, Self

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, minimize_scalar
from scipy.special import gammaln
from torch import Tensor

from latents.estimators.multinomial_mixture.annealing import (
    DECIDED,
    STEPS_OF_WHOLE_DOCUMENTS,
    Climb,
    Corpus,
    Report,
    settle,
)
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import CONCENTRATION, PseudoCounts, Recipe

Clusters = NDArray[np.intp]

# The largest components are the ones worth splitting; so many are tried in a round, each on so many of its
# documents: what parts them shows in a sample.
_SPLITS, _SAMPLE = 20, 500
# Annealing of two components is over soon.
_SPLIT_GROWTH, _SPLIT_STEPS = 2.0, 2
# What merging two components loses is told of so many pairs for each, those that look most alike.
_PAIRS_PER_COMPONENT = 4
_PAIRS_AT_A_TIME = 64
# Documents move one by one in so many rounds at most, a part of those that want to each time: alike ones that all
# changed places at once would only swap.
_ROUNDS, _AT_ONCE = 40, 0.5
# Without its own vote a document is held against frequencies that are less sure: their pseudo-counts are so many
# times those of EM.
_PRIOR = 2.0
# Among these a concentration is looked for; beyond, frequencies are as good as one-sided or all alike.
_LOG_CONCENTRATIONS = (-16.0, 8.0)
# Steps of EM between rounds of splits and merges.
_STEPS = 6
# They end when no more than this share of all documents wants to move.
_FEW = 0.002
# A document is near moving where another component is no more than so many nats behind.
_NEAR = 20.0
# Others are no more asked once those near moving are less than this part of the asked.
_FEWER = 0.7
# An empty component is as if it had this part of a document.
_SPARE = 0.1


class Half(NamedTuple):
    """What parts a component in two: a document is of the second where T_d . `log_ratio` + `log_odds` > 0."""

    log_ratio: NDArray[np.float64]
    log_odds: float

    def is_second(self, T: sp.csr_array) -> NDArray[np.bool_]:
        """Return which of the documents T (D, W) are of the second half."""
        second: NDArray[np.bool_] = T @ self.log_ratio + self.log_odds > 0
        return second


class Split(NamedTuple):
    """A component in two: what that gains, and which of all documents make the second."""

    gain: float
    component: int
    second: NDArray[np.intp]


class Merge(NamedTuple):
    """Two components in one, and what that loses."""

    loss: float
    first: int
    second: int


class Draws(NamedTuple):
    """What chance brings to a search for halves, drawn once: of each document and each word its own.

    Were it drawn anew for each component, one document more or less in it would change all that follows, and so
    would the last digit of a product, which is not the same on every processor.

    Attributes
    ----------
    order : ndarray of shape (D,)
        The documents with the lowest numbers are the sample of a component.
    gamma : Tensor of shape (D, 2)
        Responsibilities to start from.
    noise : Tensor of shape (W, 2)
    """

    order: NDArray[np.float64]
    gamma: Tensor
    noise: Tensor

    @classmethod
    def of(cls, shape: tuple[int, int], perturbation: float, rng: np.random.RandomState) -> Self:
        """Draw for so many documents and words."""
        n_documents, n_words = shape
        return cls(
            rng.uniform(size=n_documents),
            torch.from_numpy(rng.dirichlet(np.full(2, CONCENTRATION), size=n_documents)).float(),
            torch.from_numpy(rng.normal(scale=perturbation, size=(n_words, 2))).float(),
        )


def with_moves(climb: Climb, recipe: Recipe, rng: np.random.RandomState, report: Report) -> Climb:
    """Return the climb after moves, so far as they raise the objective.

    Each of the recipe's `rearrangements` is a round of splits and merges with some steps of EM; documents move one
    by one after the last.
    """
    if recipe.n_components < 2:
        return climb
    halves: dict[int, Half] = {}
    draws = Draws.of(climb.corpus.counts.T.shape, recipe.perturbation, rng)
    for _ in range(recipe.rearrangements):
        z = rearranged(climb, recipe, draws, halves)
        after = None if z is None else _settled(climb, z, recipe, report, _STEPS)
        if after is None or after.objective <= climb.objective:
            break
        climb = after
    if recipe.rearrangements:
        after = _settled(climb, moved_one_by_one(climb, recipe, rng), recipe, report)
        climb = after if after.objective > climb.objective else climb
    return climb


def lead_by_seeds(climb: Climb, a: PseudoCounts) -> None:
    """Let components that seed words lead, and that are empty, change places with free ones that have these words.

    While documents have not decided, a free component may come to be what the seeds tell of. The one that they
    lead then has nothing but them, which is all that its prior asks for: no step would bring it back. It takes the
    place of the one whose documents use its words most, if they use them more than all documents do.
    """
    if isinstance(a, float):
        return
    counts, n_components = climb.corpus.counts, climb.gamma.shape[1]
    words, documents = totals(counts, climb.gamma.argmax(dim=1).cpu().numpy(), n_components)
    extra = (a - a.min()).to(words)
    is_led = (extra.amax(dim=0) > 0) & ~labelled_components(counts, n_components)
    led = torch.nonzero(is_led & (documents == 0)).ravel()
    free = free_components(counts, a, n_components)
    free = free[words[:, free].sum(dim=0) > 0]
    shares, of_all = words[:, free] / words[:, free].sum(dim=0), words.sum(dim=1, keepdim=True) / words.sum()
    more = (extra[:, led].T @ (shares - of_all)).clamp(min=0).numpy()
    order = torch.arange(n_components)
    for i, j in zip(*linear_sum_assignment(more, maximize=True), strict=True):
        if more[i, j] > 0:
            order[led[i]], order[free[j]] = free[j], led[i]
    climb.reorder(order.to(climb.gamma.device))


def rearranged(climb: Climb, recipe: Recipe, draws: Draws, halves: dict[int, Half]) -> Clusters | None:
    """Return a clustering (D,) in which components that gain by it are split, and others merged to make room.

    Splits and merges are matched by their gain, none touching what another has touched. None if nothing gains.
    `halves` holds how components part; those that are touched lose theirs.
    """
    counts, z = climb.corpus.counts, climb.gamma.argmax(dim=1).cpu().numpy()
    n_components = climb.gamma.shape[1]
    a = recipe.annealing_pseudo_counts
    words, documents = totals(counts, z, n_components)
    weights = None if counts.weights is None else counts.weights.cpu().numpy()
    free = free_components(counts, a, n_components)
    values = complete_objective(words, documents, a, counts.n_documents)
    base = a if isinstance(a, float) else float(a.min())
    splits = []
    for k in free[torch.argsort(words.sum(dim=0)[free], descending=True)][:_SPLITS].tolist():
        rows = np.flatnonzero(z == k)
        T = counts.T[rows]
        if k not in halves:
            if len(rows) < 2 or T.nnz == 0:
                continue
            halves[k] = half(counts.T, rows, base, draws)
        is_second = halves[k].is_second(T)
        if is_second.all() or not is_second.any():
            continue
        second = is_second * (1.0 if weights is None else weights[rows])
        halved_words, halved_documents = (
            torch.stack([(whole - part).clamp(min=0), part], dim=-1)
            for whole, part in (
                (words[:, k], torch.from_numpy(T.T @ second).to(words)),
                (documents[k], torch.tensor(second.sum())),
            )
        )
        parts = complete_objective(halved_words, halved_documents, base, counts.n_documents)
        splits.append(Split(float(parts.sum() - values[k]), k, rows[is_second]))
    merges = _merges(words, documents, values, base, counts.n_documents, free)
    touched: set[int] = set()
    for split in sorted(splits, reverse=True, key=lambda split: split.gain):
        for merge in merges:
            involved = {split.component, merge.first, merge.second}
            if split.gain <= merge.loss:
                break
            if len(involved) == 3 and not involved & touched:
                z[z == merge.second] = merge.first
                z[split.second] = merge.second
                touched |= involved
                break
    for k in touched:
        halves.pop(k, None)
    return z if touched else None


def halved(T: sp.csr_array, a: float, perturbation: float, rng: np.random.RandomState) -> NDArray[np.bool_]:
    """Return which of the documents T (D, W) of a component are of its second half, of shape (D,)."""
    if T.shape[0] < 2 or T.nnz == 0:
        return np.zeros(T.shape[0], dtype=bool)
    draws = Draws.of(T.shape, perturbation, rng)
    return half(T, np.arange(T.shape[0]), a, draws).is_second(T)


def half(T: sp.csr_array, documents: NDArray[np.intp], a: float, draws: Draws) -> Half:
    """Part some documents of T (D, W), those of a component, in two, by quick annealing on a sample of them."""
    rows = np.sort(documents[np.argsort(draws.order[documents], kind="stable")[:_SAMPLE]])
    sample = T[rows]
    is_used = np.zeros(T.shape[1], dtype=bool)
    is_used[sample.indices] = True
    columns = np.flatnonzero(is_used)
    counts = Counts(sp.csr_array(sample[:, columns]), torch.device("cpu"), n_components=2)
    a = a * len(rows) / len(documents)
    corpus = Corpus(counts)
    climb = Climb(corpus, draws.gamma[rows], a)
    longest, c, shift = corpus.whole_length(), 1.0, 0
    while c < longest and climb.decided() < DECIDED:
        climb.disturb(torch.roll(draws.noise, shift, dims=0)[columns])
        for _ in range(_SPLIT_STEPS):
            climb.step(c, watched=False)
        c, shift = c * _SPLIT_GROWTH, shift + 1
    for _ in range(_SPLIT_STEPS):
        climb.step(np.inf, watched=False)
    log_ratio = np.zeros(T.shape[1])
    log_ratio[columns] = (climb.log_lift[:, 1] - climb.log_lift[:, 0]).double().numpy()
    return Half(log_ratio, float(climb.log_pi[1] - climb.log_pi[0]))


def complete_objective(words: Tensor, documents: Tensor, a: PseudoCounts, n_documents: float) -> Tensor:
    """Return F_k of components with words C (W, K) and documents N (K,), of shape (K,) in float64."""
    prior = words + torch.as_tensor(a).to(words)
    n_words = prior.sum(dim=0, dtype=torch.float64)
    return (
        torch.xlogy(prior, prior).sum(dim=0, dtype=torch.float64)
        - torch.xlogy(n_words, n_words)
        + torch.xlogy(documents, documents / n_documents)
    )


def free_components(counts: Counts, a: PseudoCounts, n_components: int) -> Tensor:
    """Return the components that neither documents nor pseudo-counts are tied to."""
    tied = labelled_components(counts, n_components)
    if isinstance(a, Tensor):
        tied |= (a.amax(dim=0) > a.min()).cpu()
    return torch.nonzero(~tied).ravel()


def labelled_components(counts: Counts, n_components: int) -> Tensor:
    """Return whether labelled documents are tied to each component, (K,), on the CPU."""
    if counts.barred is None:
        return torch.zeros(n_components, dtype=torch.bool)
    return (~counts.barred[counts.barred.any(dim=1)]).any(dim=0).cpu()


def _merges(
    words: Tensor, documents: Tensor, values: Tensor, a: float, n_documents: float, free: Tensor
) -> list[Merge]:
    """Return pairs of free components that look alike, the least loss first."""
    roots = torch.sqrt((words[:, free] + a) / (words[:, free] + a).sum(dim=0))
    sizes = words[:, free].sum(dim=0)
    # To second order a merge loses the harmonic mean of the sizes times the squared Hellinger distance.
    distance = (1 - roots.T @ roots) * sizes * sizes[:, None] / (sizes + sizes[:, None] + a)
    first, second = torch.triu_indices(len(free), len(free), offset=1)
    nearest = torch.argsort(distance[first, second])[: _PAIRS_PER_COMPONENT * len(free)]
    first, second = free[first[nearest]], free[second[nearest]]
    losses = [
        values[i]
        + values[j]
        - complete_objective(words[:, i] + words[:, j], documents[i] + documents[j], a, n_documents)
        for i, j in zip(*(torch.split(part, _PAIRS_AT_A_TIME) for part in (first, second)), strict=True)
    ]
    found = torch.cat(losses).tolist() if losses else []
    return sorted(Merge(*pair) for pair in zip(found, first.tolist(), second.tolist(), strict=True))


def moved_one_by_one(climb: Climb, recipe: Recipe, rng: np.random.RandomState) -> Clusters:
    """Return a clustering (D,) in which documents are where the others of a component speak for them.

    EM lets a document vote for itself: its words are among those of its own component, which holds it where it is,
    the more so the smaller the component. Here it is held against its own without it, and against the others as
    they are, by T_d . log mu_k + log N_k. Those far from moving are not asked again, once they are many.
    """
    counts, z = climb.corpus.counts, climb.gamma.argmax(dim=1).cpu().numpy()
    a = recipe.annealing_pseudo_counts
    words, documents = totals(counts, z, recipe.n_components)
    words = words.double()  # as they are added to and taken from again and again
    asked, rows = counts, np.arange(counts.n_rows)
    for _ in range(_ROUNDS):
        ahead, better = _leave_one_out(asked, z[rows], words, documents, _PRIOR * a)
        wanting = ahead > 0
        if wanting.sum() <= _FEW * counts.n_rows:
            break
        # Each document has its own chance, whichever others are asked: rounding then stays where it is.
        moving = wanting & (rng.uniform(size=counts.n_rows)[rows] < _AT_ONCE)
        _move(counts, rows[moving], z, better[moving], words, documents)
        is_near = ahead > -_NEAR
        if is_near.mean() < _FEWER:
            rows = rows[is_near]
            asked = counts.taking(rows)
    return z


def _move(
    counts: Counts, moving: NDArray[np.intp], z: Clusters, better: Clusters, words: Tensor, documents: Tensor
) -> None:
    """Move documents, in z (D,) and in the words C (W, K) and documents N (K,) of clusters, to `better` ones."""
    T = counts.T[moving]
    weights = np.ones(len(moving)) if counts.weights is None else counts.weights.cpu().numpy()[moving]
    lengths = np.diff(T.indptr)
    amounts = np.repeat(weights, lengths) * T.data
    for clusters, sign in ((z[moving], -1), (better, 1)):
        np.add.at(words.numpy(), (T.indices, np.repeat(clusters, lengths)), sign * amounts)
        np.add.at(documents.numpy(), clusters, sign * weights)
    z[moving] = better


def told_by_clusters(climb: Climb, recipe: Recipe) -> PseudoCounts:
    """Return the pseudo-counts of plain EM that clusters tell; seed words keep what they have beyond others."""
    z = climb.gamma.argmax(dim=1).cpu().numpy()
    words, _ = totals(climb.corpus.counts, z, recipe.n_components)
    beta, a = concentration(words), recipe.annealing_pseudo_counts
    return beta if isinstance(a, float) else a - a.min() + beta


def concentration(words: Tensor) -> float:
    r"""Return the concentration beta of the symmetric Dirichlet that clusters are likeliest drawn from.

    It maximises the likelihood of their words C (W, K), frequencies being drawn from it for each cluster,

    .. math:: \prod_k \frac{\Gamma(W \beta)}{\Gamma(\sum_w C_{kw} + W \beta)}
              \prod_w \frac{\Gamma(C_{kw} + \beta)}{\Gamma(\beta)}

    (Minka, "Estimating a Dirichlet distribution", 2000). As pseudo-counts it predicts the words of new documents.
    """
    n_words = len(words)
    lengths = words.sum(dim=0).cpu().numpy().astype(np.float64)
    counts, n_times = np.unique(words[words > 0].cpu().numpy().astype(np.float64), return_counts=True)

    def loss(log_beta: float) -> float:
        beta = np.exp(log_beta)
        of_words = n_times @ (gammaln(counts + beta) - gammaln(beta))
        return float((gammaln(lengths + n_words * beta) - gammaln(n_words * beta)).sum() - of_words)

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_CONCENTRATIONS, method="bounded").x))


def _leave_one_out(
    counts: Counts, z: Clusters, words: Tensor, documents: Tensor, a: PseudoCounts
) -> tuple[NDArray[np.float64], Clusters]:
    """Hold documents against their components z (D,) without them, and against all others.

    Returns
    -------
    ahead : ndarray of shape (D,)
        By how much T_d . log mu_k + log N_k of the best other component exceeds that of its own.
    best : ndarray of shape (D,)
        That component.
    """
    prior = words + torch.as_tensor(a).to(words)
    n_of_all = prior.sum(dim=0, dtype=torch.float64)
    log_words = (torch.log(prior) - torch.log(n_of_all)).float().to(counts.device)
    log_documents = torch.log(documents + _SPARE).float().to(counts.device)
    least = a if isinstance(a, float) else float(a.min())  # what is left of a word that no other document has
    ahead, best = np.empty(counts.n_rows), np.empty(counts.n_rows, dtype=np.intp)
    for rows, part in counts.parts():
        joint = part.barring(part.by_documents(log_words).add_(log_documents)).cpu()
        joint.scatter_(1, torch.from_numpy(z[rows, np.newaxis]), -torch.inf)
        T, own = part.T, z[rows]
        # Of a document that stands for several, one is left out.
        left_out = np.ones(len(own)) if part.weights is None else part.weights.clamp(max=1).cpu().numpy()
        of_each = np.diff(T.indptr)
        others = prior.numpy()[T.indices, np.repeat(own, of_each)] - np.repeat(left_out, of_each) * T.data
        logs = sp.csr_array((T.data * np.log(np.maximum(others, least)), T.indices, T.indptr), shape=T.shape)
        lengths = T.sum(axis=1)
        n_words = np.maximum(n_of_all.numpy()[own] - left_out * lengths, least)
        n_documents = np.maximum(documents.numpy()[own] - left_out, 0) + _SPARE
        largest, best_of_part = joint.max(dim=1)
        ahead[rows] = largest.numpy() - (logs.sum(axis=1) - lengths * np.log(n_words) + np.log(n_documents))
        best[rows] = best_of_part.numpy()
    return ahead, best


def totals(counts: Counts, z: Clusters, n_components: int) -> tuple[Tensor, Tensor]:
    """Return the words C (W, K) in float32 and, in float64, the documents N (K,) of each cluster, on the CPU."""
    T, lengths = counts.T, np.diff(counts.T.indptr)
    weights = np.ones(counts.n_rows) if counts.weights is None else counts.weights.cpu().numpy()
    places = T.indices.astype(np.intp) * n_components + np.repeat(z, lengths)
    words = np.bincount(places, np.repeat(weights, lengths) * T.data, counts.n_words * n_components)
    documents = np.bincount(z, weights, n_components)
    return torch.from_numpy(words.reshape(-1, n_components)).float(), torch.from_numpy(documents)


def _settled(
    climb: Climb, z: Clusters, recipe: Recipe, report: Report, n_steps: int = STEPS_OF_WHOLE_DOCUMENTS
) -> Climb:
    """Return a climb that has taken some steps of EM from a clustering."""
    a = recipe.annealing_pseudo_counts
    where = torch.from_numpy(z[:, np.newaxis]).to(climb.gamma.device)
    hard = torch.zeros_like(climb.gamma).scatter_(1, where, 1.0)
    after = Climb(climb.corpus, hard, a, recipe.pseudo_counts)
    for objectives in settle(after, recipe, n_steps):
        report(*objectives, climb.corpus.counts.n_documents)
    return after
