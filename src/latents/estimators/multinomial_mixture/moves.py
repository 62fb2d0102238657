"""Moves that EM cannot make: components split and merged, and documents that go elsewhere one by one.

Splits and merges go by the complete-data objective of a hard clustering z. With C_kw the words and N_k the
documents of a component, and pseudo-counts a, it is a sum over components of

    F_k = sum_w (C_kw + a) log mu_kw + N_k log (N_k / D),    mu_kw proportional to C_kw + a,

so that what a merge loses or a split gains is told by the components that it concerns alone (Ueda, Nakano,
Ghahramani and Hinton, "SMEM algorithm for mixture models", 2000). Documents go where those of a component speak
for them, without themselves among these.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, minimize_scalar
from scipy.special import gammaln
from torch import Tensor

from latents.estimators.common.blocks import ByBlock, InMemory
from latents.estimators.multinomial_mixture.annealing import (
    DECIDED,
    STEPS_OF_WHOLE_DOCUMENTS,
    Climb,
    Corpus,
    Documents,
    Report,
    drawn_seed,
    settle,
)
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import (
    CONCENTRATION,
    Answers,
    PseudoCounts,
    Recipe,
    block_generator,
)

Clusters = NDArray[np.intp]

# The largest components are the ones worth splitting; so many are tried in a round, each on so many of its
# documents: what parts them shows in a sample.
_SPLITS, _SAMPLE = 20, 500
# Of these, responsibilities are at first 1/2 give or take so much: as far as CONCENTRATION spreads those of all.
_SPREAD_OF_HALVES = 12**0.5 / (2 * (2 * CONCENTRATION + 1) ** 0.5)
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
# Where documents go is kept for them all: beyond so many they do not move one by one.
_MOST_MOVING = 2**28
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
    """A component in two: what that gains, and what its second half has."""

    gain: float
    component: int
    second: Answers


class Merge(NamedTuple):
    """Two components in one, and what that loses."""

    loss: float
    first: int
    second: int


@dataclass(frozen=True)
class Draws:
    """What chance brings to a search for halves: of each document and each word its own.

    Were it drawn anew for each component, one document more or less in it would change all that follows, and so
    would the last digit of a product, which is not the same on every processor.

    Attributes
    ----------
    seed : int
        Of what documents draw (``of_documents``).
    noise : Tensor of shape (W, 2)
    """

    seed: int
    noise: Tensor

    @classmethod
    def of(cls, n_words: int, perturbation: float, rng: np.random.RandomState) -> "Draws":
        """Draw for so many words."""
        noise = rng.normal(scale=perturbation, size=(n_words, 2))
        return cls(drawn_seed(rng), torch.from_numpy(noise).float())

    def of_documents(self, n_documents: int, number: int) -> NDArray[np.float64]:
        """Return two numbers of each document of a block, (D, 2).

        Those with the lowest first ones are the sample of a component; the others say how far they are of either
        half at the start.
        """
        return block_generator(self.seed, number).uniform(size=(n_documents, 2))


@dataclass(frozen=True)
class Samples:
    """Some documents of each of several components: those that have drawn the lowest numbers.

    Attributes
    ----------
    drawn : list of ndarray of shape (n, 2)
        Of each component, what its documents have drawn, in order.
    documents : list of sparse array of shape (n, W)
    """

    drawn: list[NDArray[np.float64]]
    documents: list[sp.csr_array]

    def __add__(self, other: "Samples") -> "Samples":
        both = Samples([], [])
        for drawn, documents in zip(
            zip(self.drawn, other.drawn, strict=True),
            zip(self.documents, other.documents, strict=True),
            strict=True,
        ):
            every = np.concatenate(drawn)
            lowest = np.argsort(every[:, 0], kind="stable")[:_SAMPLE]
            both.drawn.append(every[lowest])
            both.documents.append(sp.csr_array(sp.vstack(documents, format="csr")[lowest]))
        return both


@dataclass(frozen=True)
class Model:
    """The components that documents are held against: log lifts (W, K) and log pi (K,).

    Called with documents, it returns what clusters they make.
    """

    log_lift: Tensor
    log_pi: Tensor

    def clusters(self, documents: Documents) -> Clusters:
        """Return the component that each document is likeliest of, (D,)."""
        log_lift, log_pi = (values.to(documents.counts.device) for values in (self.log_lift, self.log_pi))
        found = [
            part.barring(part.by_documents(log_lift).add_(log_pi)).argmax(dim=1)
            for _, part in documents.counts.parts()
        ]
        clusters: Clusters = torch.cat(found).cpu().numpy()
        return clusters

    def __call__(self, documents: Documents) -> Answers:
        """Return the words C (W, K) and documents N (K,) of the clusters."""
        return totals(documents.counts, self.clusters(documents), len(self.log_pi))


@dataclass(frozen=True)
class Sampling:
    """Takes a sample of the documents of some components."""

    model: Model
    components: list[int]
    draws: Draws

    def __call__(self, documents: Documents) -> Samples:
        """Return those of a block."""
        z, samples = self.model.clusters(documents), Samples([], [])
        drawn = self.draws.of_documents(len(z), documents.counts.number)
        z[~_counts_at_all(documents.counts)] = -1
        for k in self.components:
            rows = np.flatnonzero(z == k)
            rows = rows[np.argsort(drawn[rows, 0], kind="stable")[:_SAMPLE]]
            samples.drawn.append(drawn[rows])
            samples.documents.append(documents.counts.T[rows])
        return samples


@dataclass(frozen=True)
class Halving:
    """Parts the documents of some components in halves."""

    model: Model
    halves: dict[int, Half]

    def __call__(self, documents: Documents) -> Answers:
        """Return the words (W, n) and documents (n,) of the second halves."""
        z, counts = self.model.clusters(documents), documents.counts
        words, n_documents = np.zeros((counts.n_words, len(self.halves))), np.zeros(len(self.halves))
        for n, (k, half) in enumerate(self.halves.items()):
            rows = np.flatnonzero(z == k)
            T = counts.T[rows]
            second = half.is_second(T) * counts.document_weights()[rows]
            words[:, n], n_documents[n] = T.T @ second, second.sum()
        return Answers(torch.from_numpy(words), torch.from_numpy(n_documents))


def with_moves(climb: Climb, recipe: Recipe, rng: np.random.RandomState, report: Report) -> Climb:
    """Return the climb after moves, so far as they raise the objective.

    Each of the recipe's `rearrangements` is a round of splits and merges with some steps of EM; documents move one
    by one after the last.
    """
    if recipe.n_components < 2:
        return climb
    halves: dict[int, Half] = {}
    draws = Draws.of(climb.corpus.vocabulary_size, recipe.perturbation, rng)
    for _ in range(recipe.rearrangements):
        clusters = rearranged(climb, recipe, draws, halves)
        after = None if clusters is None else _settled(climb, clusters, recipe, report, _STEPS)
        if after is None or after.objective <= climb.objective:
            break
        climb = after
    if recipe.rearrangements and climb.corpus.n_documents <= _MOST_MOVING:
        after = _settled(climb, moved_one_by_one(climb, recipe, rng), recipe, report)
        climb = after if after.objective > climb.objective else climb
    return climb


def clusters_of(climb: Climb) -> Answers:
    """Return the words C (W, K) and documents N (K,) of the clusters that documents make, on the CPU."""
    found = climb.corpus.documents.add_up(_model(climb))
    return Answers(found.words.float(), found.documents)


def _model(climb: Climb) -> Model:
    return Model(climb.log_lift, climb.log_pi)


def lead_by_seeds(climb: Climb, a: PseudoCounts) -> None:
    """Let components that seed words lead, and that are empty, change places with free ones that have these words.

    While documents have not decided, a free component may come to be what the seeds tell of. The one that they
    lead then has nothing but them, which is all that its prior asks for: no step would bring it back. It takes the
    place of the one whose documents use its words most, if they use them more than all documents do.
    """
    if isinstance(a, float):
        return
    found = clusters_of(climb)
    words, documents = found.words, found.documents
    labelled, n_components = labelled_components(climb), len(documents)
    extra = (a - a.min()).to(words)
    is_led = (extra.amax(dim=0).cpu() > 0) & ~labelled
    led = torch.nonzero(is_led & (documents == 0)).ravel()
    free = free_components(climb, a)
    free = free[words[:, free].sum(dim=0) > 0]
    shares, of_all = words[:, free] / words[:, free].sum(dim=0), words.sum(dim=1, keepdim=True) / words.sum()
    more = (extra[:, led].T @ (shares - of_all)).clamp(min=0).numpy()
    order = torch.arange(n_components)
    for i, j in zip(*linear_sum_assignment(more, maximize=True), strict=True):
        if more[i, j] > 0:
            order[led[i]], order[free[j]] = free[j], led[i]
    climb.reorder(order.to(climb.log_pi.device))


def rearranged(climb: Climb, recipe: Recipe, draws: Draws, halves: dict[int, Half]) -> Answers | None:
    """Return a clustering in which components that gain by it are split, and others merged to make room.

    Splits and merges are matched by their gain, none touching what another has touched. None if nothing gains.
    `halves` holds how components part; those that are touched lose theirs.
    """
    corpus, a = climb.corpus, recipe.annealing_pseudo_counts
    found = clusters_of(climb)
    words, documents = found.words, found.documents
    free = free_components(climb, a)
    values = complete_objective(words, documents, a, corpus.n_documents)
    base = a if isinstance(a, float) else float(a.min())
    largest = free[torch.argsort(words.sum(dim=0)[free], descending=True)][:_SPLITS].tolist()
    unknown = [k for k in largest if k not in halves]
    if unknown:
        samples = corpus.documents.add_up(Sampling(_model(climb), unknown, draws))
        for k, drawn, sample in zip(unknown, samples.drawn, samples.documents, strict=True):
            if len(drawn) >= 2 and sample.nnz:
                share = len(drawn) / max(len(drawn), float(documents[k]))
                halves[k] = half(sample, drawn, base * share, draws.noise)
    tried = {k: halves[k] for k in largest if k in halves}
    seconds = corpus.documents.add_up(Halving(_model(climb), tried))
    splits = []
    for n, k in enumerate(tried):
        second = Answers(seconds.words[:, n].to(words), seconds.documents[n])
        if not 0 < second.documents < documents[k]:
            continue
        halved_words, halved_documents = (
            torch.stack([(whole - part).clamp(min=0), part], dim=-1)
            for whole, part in ((words[:, k], second.words), (documents[k], second.documents))
        )
        parts = complete_objective(halved_words, halved_documents, base, corpus.n_documents)
        splits.append(Split(float(parts.sum() - values[k]), k, second))
    merges = _merges(words, documents, values, base, corpus.n_documents, free)
    words, documents = words.clone(), documents.clone()
    touched: set[int] = set()
    for split in sorted(splits, reverse=True, key=lambda split: split.gain):
        for merge in merges:
            involved = {split.component, merge.first, merge.second}
            if split.gain <= merge.loss:
                break
            if len(involved) == 3 and not involved & touched:
                for of_clusters, of_second in (
                    (words, split.second.words),
                    (documents, split.second.documents),
                ):
                    of_clusters[..., merge.first] += of_clusters[..., merge.second]
                    of_clusters[..., merge.second] = of_second
                    of_clusters[..., split.component] -= of_second
                touched |= involved
                break
    for k in touched:
        halves.pop(k, None)
    return Answers(words.clamp_(min=0), documents) if touched else None


def halved(T: sp.csr_array, a: float, perturbation: float, rng: np.random.RandomState) -> NDArray[np.bool_]:
    """Return which of the documents T (D, W) of a component are of its second half, of shape (D,)."""
    n_documents, n_words = T.shape
    if n_documents < 2 or T.nnz == 0:
        return np.zeros(n_documents, dtype=bool)
    draws = Draws.of(n_words, perturbation, rng)
    drawn = draws.of_documents(n_documents, 0)
    sample = np.argsort(drawn[:, 0], kind="stable")[:_SAMPLE]
    parted = half(T[sample], drawn[sample], a * len(sample) / n_documents, draws.noise)
    return parted.is_second(T)


def half(sample: sp.csr_array, drawn: NDArray[np.float64], a: float, noise: Tensor) -> Half:
    """Part a component in two by quick annealing on a sample (D, W), with what its documents have drawn (D, 2)."""
    is_used = np.zeros(sample.shape[1], dtype=bool)
    is_used[sample.indices] = True
    columns = np.flatnonzero(is_used)
    device = torch.device("cpu")
    counts = Counts(sp.csr_array(sample[:, columns]), device, n_components=2)
    corpus = Corpus(InMemory(counts), device)
    first = torch.from_numpy(0.5 + _SPREAD_OF_HALVES * (drawn[:, 1:] - 0.5)).float()
    gamma = torch.cat([first, 1 - first], dim=1)
    answers = Answers(counts.single_precision().by_words(gamma), gamma.sum(dim=0))
    climb = Climb(corpus, answers, a)
    longest, c, shift = corpus.whole_length, 1.0, 0
    while c < longest and climb.decided < DECIDED:
        climb.disturb(torch.roll(noise, shift, dims=0)[columns])
        for _ in range(_SPLIT_STEPS):
            climb.step(c, watched=False)
        c, shift = c * _SPLIT_GROWTH, shift + 1
    for _ in range(_SPLIT_STEPS):
        climb.step(np.inf, watched=False)
    log_ratio = np.zeros(sample.shape[1])
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


def free_components(climb: Climb, a: PseudoCounts) -> Tensor:
    """Return the components that neither documents nor pseudo-counts are tied to."""
    tied = labelled_components(climb)
    if isinstance(a, Tensor):
        tied |= (a.amax(dim=0) > a.min()).cpu()
    return torch.nonzero(~tied).ravel()


def labelled_components(climb: Climb) -> Tensor:
    """Return whether labelled documents are tied to each component, (K,), on the CPU."""
    if not climb.corpus.n_labelled:
        return torch.zeros(len(climb.log_pi), dtype=torch.bool)
    return climb.corpus.counts.add_up(_tied) > 0


def _tied(counts: Counts) -> Tensor:
    """Return how many labelled documents may be of each component, (K,)."""
    labelled = counts.labelled()
    if counts.barred is None or labelled is None:
        return torch.zeros(counts.n_components, dtype=torch.int64)
    return (~counts.barred[labelled]).sum(dim=0).cpu()


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


@dataclass(frozen=True)
class Places:
    """Where the documents of a block are, z (D,), and which of them are asked whether they want to move."""

    z: NDArray[np.integer]
    asked: NDArray[np.bool_]

    @classmethod
    def of(cls, z: Clusters, n_components: int) -> "Places":
        """Take clusters, all of whose documents are asked; they are kept in as few bytes as are enough."""
        return cls(z.astype(np.min_scalar_type(n_components)), np.ones(len(z), dtype=bool))


@dataclass(frozen=True)
class Moved:
    """What a round of moves yields: those that wanted to move, where all are then, and what clusters have more."""

    n_wanting: int
    places: ByBlock[Places]
    more: Answers

    def __add__(self, other: "Moved") -> "Moved":
        return Moved(self.n_wanting + other.n_wanting, self.places + other.places, self.more + other.more)


@dataclass(frozen=True)
class Placing:
    """Puts documents into clusters to begin with."""

    model: Model

    def __call__(self, documents: Documents) -> Moved:
        """Return where those of a block are, and what their clusters have; all that count may want to move."""
        z, n_components = self.model.clusters(documents), len(self.model.log_pi)
        places = ByBlock({documents.counts.number: Places.of(z, n_components)})
        n_rows = int(_counts_at_all(documents.counts).sum())
        return Moved(n_rows, places, totals(documents.counts, z, n_components))


@dataclass(frozen=True)
class Moving:
    """A round of moves.

    Attributes
    ----------
    places : ByBlock of Places
    prior, n_of_all : ndarray of shape (W, K) and (K,)
        C_kw + a_kw, and its sum over words.
    log_words, log_documents : Tensor of shape (W, K) and (K,)
        log mu and log N in single precision.
    documents : ndarray of shape (K,)
        N.
    least : float
        What is left of a word that no other document has.
    seed : int
    """

    places: ByBlock[Places]
    prior: NDArray[np.float64]
    n_of_all: NDArray[np.float64]
    log_words: Tensor
    log_documents: Tensor
    documents: NDArray[np.float64]
    least: float
    seed: int

    def __call__(self, documents: Documents) -> Moved:
        """Move documents of a block."""
        counts = documents.counts
        places = self.places[counts.number]
        rows, z = np.flatnonzero(places.asked), places.z.astype(np.intp)
        asked = counts if len(rows) == counts.n_rows else counts.taking(rows)
        ahead, better = self._leave_one_out(asked, z[rows])
        # Each document has its own chance, whichever others are asked: rounding then stays where it is.
        chances = block_generator(self.seed, counts.number).uniform(size=counts.n_rows)[rows]
        wanting = (ahead > 0) & _counts_at_all(counts)[rows]
        is_moving = wanting & (chances < _AT_ONCE)
        moving = rows[is_moving]
        more = [np.zeros(shape) for shape in (self.prior.shape, self.documents.shape)]
        T, weights = counts.T[moving], counts.document_weights()[moving]
        lengths = np.diff(T.indptr)
        amounts = np.repeat(weights, lengths) * T.data
        for clusters, sign in ((z[moving], -1), (better[is_moving], 1)):
            np.add.at(more[0], (T.indices, np.repeat(clusters, lengths)), sign * amounts)
            np.add.at(more[1], clusters, sign * weights)
        z[moving] = better[is_moving]
        is_near, still = (ahead > -_NEAR) & _counts_at_all(counts)[rows], places.asked
        if is_near.mean() < _FEWER:
            still = np.zeros_like(places.asked)
            still[rows[is_near]] = True
        moved = ByBlock({counts.number: Places(z.astype(places.z.dtype), still)})
        return Moved(int(wanting.sum()), moved, Answers(*map(torch.from_numpy, more)))

    def _leave_one_out(self, counts: Counts, z: Clusters) -> tuple[NDArray[np.float64], Clusters]:
        """Hold documents against their components z (D,) without them, and against all others.

        Returns
        -------
        ahead : ndarray of shape (D,)
            By how much T_d . log mu_k + log N_k of the best other component exceeds that of its own.
        best : ndarray of shape (D,)
            That component.
        """
        log_words, log_documents = (
            values.to(counts.device) for values in (self.log_words, self.log_documents)
        )
        ahead, best = np.empty(counts.n_rows), np.empty(counts.n_rows, dtype=np.intp)
        for rows, part in counts.parts():
            joint = part.barring(part.by_documents(log_words).add_(log_documents)).cpu()
            joint.scatter_(1, torch.from_numpy(z[rows, np.newaxis]), -torch.inf)
            T, own = part.T, z[rows]
            # Of a document that stands for several, one is left out.
            left_out = np.minimum(part.document_weights(), 1.0)
            of_each = np.diff(T.indptr)
            others = self.prior[T.indices, np.repeat(own, of_each)] - np.repeat(left_out, of_each) * T.data
            logs = sp.csr_array(
                (T.data * np.log(np.maximum(others, self.least)), T.indices, T.indptr), shape=T.shape
            )
            lengths = T.sum(axis=1)
            n_words = np.maximum(self.n_of_all[own] - left_out * lengths, self.least)
            n_documents = np.maximum(self.documents[own] - left_out, 0) + _SPARE
            largest, best_of_part = joint.max(dim=1)
            ahead[rows] = largest.numpy() - (
                logs.sum(axis=1) - lengths * np.log(n_words) + np.log(n_documents)
            )
            best[rows] = best_of_part.numpy()
        return ahead, best


def moved_one_by_one(climb: Climb, recipe: Recipe, rng: np.random.RandomState) -> Answers:
    """Return a clustering in which documents are where the others of a component speak for them.

    EM lets a document vote for itself: its words are among those of its own component, which holds it where it is,
    the more so the smaller the component. Here it is held against its own without it, and against the others as
    they are, by T_d . log mu_k + log N_k. Those far from moving are not asked again, once they are many.
    """
    corpus, a = climb.corpus, _PRIOR * recipe.annealing_pseudo_counts
    found = corpus.documents.add_up(Placing(_model(climb)))
    places, n_rows = found.places, found.n_wanting
    words, documents = found.more.words.double(), found.more.documents.double()
    for _ in range(_ROUNDS):
        prior = words + torch.as_tensor(a).to(words)
        n_of_all = prior.sum(dim=0)
        moved = corpus.documents.add_up(
            Moving(
                places,
                prior.numpy(),
                n_of_all.numpy(),
                (torch.log(prior) - torch.log(n_of_all)).float(),
                torch.log(documents + _SPARE).float(),
                documents.numpy(),
                a if isinstance(a, float) else float(a.min()),
                drawn_seed(rng),
            )
        )
        if moved.n_wanting <= _FEW * n_rows:
            break
        places, words, documents = moved.places, words + moved.more.words, documents + moved.more.documents
    return Answers(words.clamp_(min=0), documents.clamp_(min=0))


def told_by_clusters(climb: Climb, recipe: Recipe) -> PseudoCounts:
    """Return the pseudo-counts of plain EM that clusters tell; seed words keep what they have beyond others."""
    beta, a = concentration(clusters_of(climb).words), recipe.annealing_pseudo_counts
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


def _counts_at_all(counts: Counts) -> NDArray[np.bool_]:
    """Return which documents have a weight, (D,)."""
    return counts.document_weights() > 0


def totals(counts: Counts, z: Clusters, n_components: int) -> Answers:
    """Return the words C (W, K) and the documents N (K,) of each cluster, in float64 on the CPU."""
    T, lengths, weights = counts.T, np.diff(counts.T.indptr), counts.document_weights()
    places = T.indices.astype(np.intp) * n_components + np.repeat(z, lengths)
    words = np.bincount(places, np.repeat(weights, lengths) * T.data, counts.n_words * n_components)
    documents = np.bincount(z, weights, n_components)
    return Answers(torch.from_numpy(words.reshape(-1, n_components)), torch.from_numpy(documents))


def _settled(
    climb: Climb, clusters: Answers, recipe: Recipe, report: Report, n_steps: int = STEPS_OF_WHOLE_DOCUMENTS
) -> Climb:
    """Return a climb that has taken some steps of EM from a clustering."""
    corpus, a = climb.corpus, recipe.annealing_pseudo_counts
    answers = Answers(clusters.words.to(corpus.device), clusters.documents.to(corpus.device))
    after = Climb(corpus, answers, a, recipe.pseudo_counts)
    for objectives in settle(after, recipe, n_steps):
        report(*objectives, corpus.n_documents)
    return after
