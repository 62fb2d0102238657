"""Expectation-maximisation for a mixture of multinomials (source 1.2), as functions of torch tensors.

``e_step`` turns documents into additive ``Statistics``; ``m_step`` turns statistics into ``Parameters``. Shards
of a corpus summed are one full pass, which is all that streaming over blocks needs. EM is in float64, but the
search for its start, in ``annealing``, in float32.
"""

import math
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple, Self, TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.special import gammaln
from torch import Tensor
from torch.nn.functional import pad, threshold

from latents.estimators.multinomial_mixture.counts import Counts

# Dirichlet concentration of the random starting responsibilities. Near-uniform ones put every component near
# the corpus mean, from where EM finds better optima than from components that already disagree at random.
CONCENTRATION = 100.0
# Drawing takes as long as some steps of EM: where documents are more than this, several start from the same.
_MOST_DRAWN = 2**15


S = TypeVar("S")

# Dirichlet pseudo-counts: one for every word of every component, or of each its own, (W, K).
PseudoCounts = float | Tensor


@dataclass(frozen=True)
class Recipe:
    """How to fit: arguments of ``MultinomialMixture``, those that go by the scale of a corpus in its own units.

    Attributes
    ----------
    pseudo_counts : PseudoCounts or None
        Of plain EM; None for those that the clusters tell which the search has found.
    annealing_pseudo_counts : PseudoCounts
        While searching.
    tol : float
        In nats per document.
    """

    n_components: int
    pseudo_counts: PseudoCounts | None
    annealing_pseudo_counts: PseudoCounts
    annealing: bool
    length_growth: float
    steps_per_length: int
    perturbation: float
    rearrangements: int
    max_iter: int
    tol: float
    n_init: int


class Parameters(NamedTuple):
    """The model: `log_weights` log pi (K,) and `log_words` log mu transposed (W, K), as products need it."""

    log_weights: Tensor
    log_words: Tensor

    @classmethod
    def of(cls, weights: NDArray[np.float64], word_probabilities: NDArray[np.float64]) -> Self:
        """Take pi (K,) and mu (K, W) as arrays."""
        return cls(
            torch.log(torch.tensor(weights, dtype=torch.float64)),
            torch.log(torch.tensor(word_probabilities.T, dtype=torch.float64).contiguous()),
        )

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return pi (K,) and mu (K, W) as arrays whose rows sum to 1."""
        pi = torch.exp(self.log_weights).cpu().numpy()
        mu = np.ascontiguousarray(torch.exp(self.log_words).cpu().numpy().T)
        return pi / pi.sum(), mu / mu.sum(axis=1, keepdims=True)

    def to(self, device: torch.device) -> "Parameters":
        """Return the same parameters on a device."""
        return Parameters(self.log_weights.to(device), self.log_words.to(device))


@dataclass(frozen=True)
class Statistics:
    """What an E step yields for some documents; ``a + b`` is its yield for both sets together.

    Attributes
    ----------
    word_counts : Tensor of shape (W, K)
        (gamma' T)', the words each component answers for.
    document_counts : Tensor of shape (K,)
        N_k = sum_d gamma(z_kd).
    log_likelihood : float
        sum_d log sum_k pi_k prod_w mu_kw^T_dw in nats, without the multinomial coefficient, which
        does not depend on the parameters.
    n_documents : float
        A number of documents; a fraction where statistics were scaled.
    """

    word_counts: Tensor
    document_counts: Tensor
    log_likelihood: float
    n_documents: float

    @classmethod
    def of(
        cls,
        parameters: Parameters,
        words_per_component: Tensor,
        n_documents: float,
        pseudo_counts: PseudoCounts,
    ) -> Self:
        """Return the statistics whose M step gives `parameters`.

        mu_kw (words_k + sum_w a_kw) - a_kw, with words_k = sum_w (gamma' T)_kw and the pseudo-counts a; what only
        the E step knows, the log-likelihood, is 0.
        """
        a = torch.as_tensor(pseudo_counts, dtype=torch.float64, device=parameters.log_words.device)
        totals = words_per_component + a.expand_as(parameters.log_words).sum(dim=0)
        words = (torch.exp(parameters.log_words) * totals - a).clamp(min=0)
        return cls(words, torch.exp(parameters.log_weights) * n_documents, 0.0, n_documents)

    def __add__(self, other: "Statistics") -> "Statistics":
        return Statistics(
            self.word_counts + other.word_counts,
            self.document_counts + other.document_counts,
            self.log_likelihood + other.log_likelihood,
            self.n_documents + other.n_documents,
        )

    def to(self, device: torch.device) -> "Statistics":
        """Return the same on a device: what comes from elsewhere is on the CPU."""
        words, documents = self.word_counts.to(device), self.document_counts.to(device)
        return Statistics(words, documents, self.log_likelihood, self.n_documents)

    def with_room(self, n_components: int) -> "Statistics":
        """Return the same statistics beside further components that have answered for nothing."""
        words, documents = (
            pad(values, (0, n_components)) for values in (self.word_counts, self.document_counts)
        )
        return Statistics(words, documents, self.log_likelihood, self.n_documents)

    def scaled(self, factor: float) -> "Statistics":
        """Return the yield of `factor` times as many documents of the same kind."""
        return Statistics(
            self.word_counts * factor,
            self.document_counts * factor,
            self.log_likelihood * factor,
            self.n_documents * factor,
        )


class ImpossibleDocumentError(ValueError):
    """A document has probability 0 under every component."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row} is impossible under every component")
        self.row = row

    def __reduce__(self) -> tuple[type[Self], tuple[int]]:
        return type(self), (self.row,)


def log_joint(counts: Counts, parameters: Parameters) -> Tensor:
    """Return log pi_k + sum_w T_dw log mu_kw, of shape (D, K), with 0 log 0 = 0.

    It is -inf for the components that a document must not be of (``Counts.barred``). Stored zeros must have been
    dropped from the counts: a sparse product then meets log 0 only where a document has a word that the component
    rules out, and -inf is the right answer.
    """
    return counts.barring(counts.by_documents(parameters.log_words).add_(parameters.log_weights))


class Posterior(NamedTuple):
    """Responsibilities gamma (D, K), the log normalisers (D,), and the largest responsibility (D,)."""

    gamma: Tensor
    log_normalisers: Tensor
    largest: Tensor


def posterior(log_scores: Tensor) -> Posterior:
    """Normalise rows of log scores (D, K).

    Responsibilities that are next to nothing are 0: products with subnormal numbers take many times as long.

    Raises
    ------
    ImpossibleDocumentError
        If a row is -inf throughout.
    """
    exponentials, largest = _exponentials(log_scores)
    totals = exponentials.sum(dim=1, keepdim=True)
    log_normalisers = (largest + torch.log(totals)).squeeze(1)
    impossible = torch.isnan(log_normalisers)
    if impossible.any():
        raise ImpossibleDocumentError(int(impossible.nonzero()[0]))
    return Posterior(exponentials.div_(totals), log_normalisers, 1 / totals.squeeze(1))


def log_normalisers(log_scores: Tensor) -> Tensor:
    """Return log sum_k exp of rows of log scores, (D,)."""
    exponentials, largest = _exponentials(log_scores)
    return largest.squeeze(1) + torch.log(exponentials.sum(dim=1))


def _exponentials(log_scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return exp of log scores (D, K) less the largest of their row, and those, (D, 1).

    What is next to nothing is 0. Neither exponentials that underflow nor products with subnormal numbers are ever
    computed: they take many times as long, as torch's own softmax and logsumexp then do.
    """
    limits = torch.finfo(log_scores.dtype)
    least = limits.tiny / limits.eps
    largest = log_scores.amax(dim=1, keepdim=True)
    exponentials = (log_scores - largest).clamp_(min=math.log(least) - 1).exp_()
    return threshold(exponentials, least, 0.0, inplace=True), largest


@dataclass(frozen=True)
class EStep:
    """``e_step`` under some parameters, as work on a block."""

    parameters: Parameters

    def __call__(self, counts: Counts) -> Statistics:
        """Return what the E step of a block yields."""
        return e_step(counts, self.parameters.to(counts.device))


def e_step(counts: Counts, parameters: Parameters) -> Statistics:
    """Collect the statistics of documents, with responsibilities gamma of source 1.2.

    gamma(z_kd) = pi_k prod_w mu_kw^T_dw / sum_j pi_j prod_w mu_jw^T_dw.
    """
    return reduce(add, (_statistics(rows, part, parameters) for rows, part in counts.parts()))


def _statistics(rows: slice, part: Counts, parameters: Parameters) -> Statistics:
    joint = log_joint(part, parameters)
    if part.weights is not None:
        joint[part.weights == 0] = 0  # they may be impossible
    try:
        gamma, log_normalisers, _ = posterior(joint)
    except ImpossibleDocumentError as error:
        raise ImpossibleDocumentError(rows.start + error.row) from error
    gamma = part.weighted(gamma)
    log_likelihood = float(part.weighted(log_normalisers).sum())
    return Statistics(part.by_words(gamma), gamma.sum(dim=0), log_likelihood, part.n_documents)


def m_step(statistics: Statistics, pseudo_counts: PseudoCounts) -> Parameters:
    """Return the maximising parameters, pi_k = N_k / sum_j N_j and mu_kw ~ (gamma' T)_kw + a_kw.

    For a component that answers for no word every mu_k is as good when the pseudo-counts a are 0; it gets
    the corpus's word frequencies.
    """
    words = statistics.word_counts + pseudo_counts
    totals = words.sum(dim=0)
    if (totals == 0).any():
        words = torch.where(totals > 0, words, words.sum(dim=1, keepdim=True))
        totals = words.sum(dim=0)
    return Parameters(
        torch.log(statistics.document_counts / statistics.document_counts.sum()),
        torch.log(words).sub_(torch.log(totals)),
    )


def log_prior(log_words: Tensor, pseudo_counts: PseudoCounts) -> float:
    """Return sum_kw a_kw log mu_kw, the log Dirichlet prior of mu (W, K) up to its constant; 0 log 0 is 0."""
    if isinstance(pseudo_counts, Tensor):
        return float(torch.where(pseudo_counts > 0, pseudo_counts * log_words, 0.0).sum(dtype=torch.float64))
    return pseudo_counts * float(log_words.sum(dtype=torch.float64)) if pseudo_counts > 0 else 0.0


def log_coefficients(T: sp.csr_array) -> NDArray[np.float64]:
    """Return log(n_d! / prod_w T_dw!) of shape (D,), with gamma functions for fractions."""
    log_factorials = np.zeros(T.nnz)
    repeated = T.data != 1  # log 1! = 0, and most counts are 1
    log_factorials[repeated] = gammaln(T.data[repeated] + 1)
    per_document: NDArray[np.float64] = sp.csr_array(
        (log_factorials, T.indices, T.indptr), shape=T.shape
    ).sum(axis=1)
    coefficients: NDArray[np.float64] = gammaln(T.sum(axis=1) + 1) - per_document
    return coefficients


@dataclass(frozen=True)
class Answers:
    """What components answer for: words (W, K) and documents (K,); ``a + b`` adds up in double precision."""

    words: Tensor
    documents: Tensor

    def to(self, device: torch.device) -> "Answers":
        """Return the same on a device: what comes from elsewhere is on the CPU."""
        return Answers(self.words.to(device), self.documents.to(device))

    def __add__(self, other: "Answers") -> "Answers":
        return Answers(
            self.words.double() + other.words.double(), self.documents.double() + other.documents.double()
        )


@dataclass(frozen=True)
class RandomStarts:
    """Draws gamma (D, K) near 1 / K for every document, or shared by the components that it may be of.

    Makes of documents what components answer for at some starts, (`n_starts`,). Each block's draws are its own,
    told by `seed` and its number alone; what one document has drawn is another's in the next start.
    """

    n_components: int
    n_starts: int
    seed: int

    def __call__(self, counts: Counts) -> "Together[Answers]":
        """Return what components answer for among the documents of a block."""
        rng = block_generator(self.seed, counts.number)
        drawn = rng.standard_gamma(
            CONCENTRATION, size=(min(counts.n_rows, _MOST_DRAWN), self.n_components), dtype=np.float32
        )
        gamma = torch.from_numpy(drawn).to(counts.device, counts.dtype)
        gamma /= gamma.sum(dim=1, keepdim=True)
        rows = torch.arange(counts.n_rows, device=counts.device)
        starts = []
        for n in rng.integers(len(gamma), size=self.n_starts) if len(gamma) else [0] * self.n_starts:
            of_start = gamma[(rows + int(n)) % max(len(gamma), 1)]
            if counts.barred is not None:
                of_start = torch.softmax(counts.barring(torch.log(of_start)), dim=1)
            of_start = counts.weighted(of_start)
            starts.append(Answers(counts.by_words(of_start), of_start.sum(dim=0)))
        return Together(starts)


class Together(list[S]):
    """Things that are added up one by one."""

    def __add__(self, other: "Together[S]") -> "Together[S]":  # type: ignore[override]
        return Together(map(add, self, other))


def block_generator(seed: int, number: int) -> np.random.Generator:
    """Return what draws a block's random numbers: by counter, so that it needs none that came before."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, number], dtype=np.uint64)))


def m_step_from(answers: Answers, pseudo_counts: PseudoCounts) -> Parameters:
    """Return the maximising parameters for what components answer for."""
    words, documents = answers.words.double(), answers.documents.double()
    return m_step(Statistics(words, documents, -np.inf, float(documents.sum())), pseudo_counts)
