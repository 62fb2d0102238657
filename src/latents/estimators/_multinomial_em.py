"""Expectation-maximisation for a mixture of multinomials (source 1.2), as pure functions.

``e_step`` turns documents into additive ``Statistics``; ``m_step`` turns statistics into ``Parameters``;
``log_joint``, ``log_prior`` and ``log_coefficients`` say what is maximised. T is a count matrix (D, W) in CSR
form without stored zeros.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

Array = NDArray[np.float64]

# Dirichlet concentration of the random starting responsibilities. Near-uniform ones put every component near
# the corpus mean, from where EM finds better optima than from components that already disagree at random.
_CONCENTRATION = 100.0


class Parameters(NamedTuple):
    """The model: `weights` pi (K,) and `word_probabilities` mu (K, W), whose rows sum to 1."""

    weights: Array
    word_probabilities: Array


@dataclass(frozen=True)
class Statistics:
    """What an E step yields for some documents; ``a + b`` is its yield for both sets together.

    Attributes
    ----------
    word_counts : ndarray of shape (K, W)
        gamma' T, the words each component answers for.
    document_counts : ndarray of shape (K,)
        N_k = sum_d gamma(z_kd).
    log_likelihood : float
        sum_d log sum_k pi_k prod_w mu_kw^T_dw in nats, without the multinomial coefficient, which
        does not depend on the parameters.
    tempered_log_likelihood : float
        (1/beta) sum_d log sum_k (pi_k prod_w mu_kw^T_dw)^beta, what EM at this beta raises.
    n_documents : int
    """

    word_counts: Array
    document_counts: Array
    log_likelihood: float
    tempered_log_likelihood: float
    n_documents: int

    def __add__(self, other: "Statistics") -> "Statistics":
        return Statistics(
            self.word_counts + other.word_counts,
            self.document_counts + other.document_counts,
            self.log_likelihood + other.log_likelihood,
            self.tempered_log_likelihood + other.tempered_log_likelihood,
            self.n_documents + other.n_documents,
        )


def log_joint(T: sp.csr_array, parameters: Parameters) -> Array:
    """Return log pi_k + sum_w T_dw log mu_kw, of shape (D, K), with 0 log 0 = 0.

    Stored zeros must have been dropped from `T`: a sparse product then meets log 0 only where a
    document has a word that the component rules out, and -inf is the right answer.
    """
    with np.errstate(divide="ignore"):
        log_pi, log_mu = np.log(parameters.weights), np.log(parameters.word_probabilities)
    product: Array = T @ log_mu.T
    return product + log_pi


def posterior(log_scores: Array) -> tuple[Array, Array]:
    """Normalise rows of log scores: responsibilities gamma (D, K) and the log normalisers (D,).

    Raises
    ------
    ImpossibleDocumentError
        If a row is -inf throughout.
    """
    top = log_scores.max(axis=1, keepdims=True)
    impossible = np.flatnonzero(np.isneginf(top))
    if impossible.size:
        raise ImpossibleDocumentError(int(impossible[0]))
    gamma = np.exp(log_scores - top)
    total = gamma.sum(axis=1, keepdims=True)
    gamma /= total
    return gamma, (top + np.log(total)).ravel()


class ImpossibleDocumentError(ValueError):
    """A document has probability 0 under every component."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row} is impossible under every component")
        self.row = row


def e_step(T: sp.csr_array, parameters: Parameters, beta: float = 1.0) -> Statistics:
    """Collect the statistics of documents `T` (D, W) at inverse temperature `beta`.

    gamma(z_kd) = (pi_k prod_w mu_kw^T_dw)^beta / sum_j (pi_j prod_w mu_jw^T_dw)^beta, which is
    source 1.2 at beta = 1.
    """
    joint = log_joint(T, parameters)
    gamma, log_normalisers = posterior(beta * joint)
    tempered = float(log_normalisers.sum()) / beta
    plain = float(posterior(joint)[1].sum()) if beta < 1 else tempered
    return _gathered(T, gamma, plain, tempered)


def m_step(statistics: Statistics, smoothing: float) -> Parameters:
    """Return the maximising parameters, pi_k = N_k / D and mu_kw ~ (gamma' T)_kw + smoothing.

    For a component that answers for no word every mu_k is as good when `smoothing` is 0; it gets
    the corpus's word frequencies.
    """
    counts = statistics.word_counts + smoothing
    counts = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, counts.sum(axis=0))
    return Parameters(
        weights=statistics.document_counts / statistics.n_documents,
        word_probabilities=counts / counts.sum(axis=1, keepdims=True),
    )


def log_prior(parameters: Parameters, smoothing: float) -> float:
    """Return smoothing * sum_kw log mu_kw, the log Dirichlet prior of mu up to its constant."""
    return float(xlogy(smoothing, parameters.word_probabilities).sum())


def log_coefficients(T: sp.csr_array) -> Array:
    """Return log(n_d! / prod_w T_dw!) of shape (D,), with gamma functions for fractions."""
    log_factorials = sp.csr_array((gammaln(T.data + 1), T.indices, T.indptr), shape=T.shape)
    coefficients: Array = gammaln(T.sum(axis=1) + 1) - log_factorials.sum(axis=1)
    return coefficients


def random_start(
    T: sp.csr_array, n_components: int, smoothing: float, rng: np.random.RandomState
) -> Parameters:
    """Take an M step from random responsibilities."""
    gamma = rng.dirichlet(np.full(n_components, _CONCENTRATION), size=T.shape[0])
    return m_step(_gathered(T, gamma, log_likelihood=-np.inf, tempered=-np.inf), smoothing)


def perturbed(parameters: Parameters, scale: float, rng: np.random.RandomState) -> Parameters:
    """Multiply each mu_kw by the exponential of Gaussian noise: equal components can part."""
    mu = parameters.word_probabilities
    noisy = mu * np.exp(scale * rng.standard_normal(mu.shape))
    return parameters._replace(word_probabilities=noisy / noisy.sum(axis=1, keepdims=True))


def _gathered(T: sp.csr_array, gamma: Array, log_likelihood: float, tempered: float) -> Statistics:
    return Statistics((T.T @ gamma).T, gamma.sum(axis=0), log_likelihood, tempered, T.shape[0])
