"""Measures by which people read a mixture: telling words, typical, uncertain and unfamiliar documents."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from latents.estimators.common.blocks import (
    Blocks,
    InMemory,
    are_blocks,
    blocks_of,
    by_documents,
    with_number,
)

S = TypeVar("S")

Array = NDArray[np.float64]


def in_blocks(counts: Any) -> Blocks[Any]:
    """Return counts as blocks, by documents: a matrix is one."""
    blocks = blocks_of(counts) if are_blocks(counts, reread=True) else InMemory(counts)
    return blocks.prepared(_by_documents)


def _by_documents(block: Any, number: int) -> Any:  # noqa: ARG001
    return by_documents(block)


def _word_totals(counts: Any) -> Array:
    """Return sum_d T_dw, of shape (W,)."""
    return in_blocks(counts).add_up(_totals_of_block)


def _totals_of_block(T: Any) -> Array:
    return np.asarray(sp.csc_array(T).sum(axis=0), dtype=np.float64)


class RunnersUp(NamedTuple):
    """The second choice for each document, and the log-odds of the first against it."""

    clusters: NDArray[np.intp]
    log_odds: Array


def assigned(
    model: Any, counts: Any, allowed: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.intp], Array]:
    """Return the cluster of each document, (D,), and its responsibility, (D,).

    Parameters
    ----------
    model : MultinomialMixture
    counts : array-like or sparse matrix of shape (D, W), or blocks
        T.
    allowed : ndarray of int, of shape (D,), optional
        The class of each document, a place in ``classes_`` or -1. Of one with a class, all components that are
        not of it have responsibility 0.
    """
    found = _by_document(counts, partial(_assigned, model), allowed)
    clusters, responsibilities = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return clusters, responsibilities


def _assigned(model: Any, T: Any, allowed: NDArray[np.intp] | None) -> tuple[NDArray[np.intp], Array]:
    if np.shape(T)[0] == 0:  # none of those chosen is in this block
        return np.empty(0, dtype=np.intp), np.empty(0)
    gamma = model.predict_proba(T)
    if allowed is not None and (told := np.flatnonzero(allowed >= 0)).size:
        from scipy.special import softmax  # slow to load

        joint = model.predict_joint_log_proba(T[told])
        joint[allowed[told, np.newaxis] != model.component_classes_] = -np.inf
        gamma[told] = softmax(joint, axis=1)
    return gamma.argmax(axis=1), gamma.max(axis=1)


def _by_document(counts: Any, work: Callable[[Any, Any], S], values: Any) -> list[S]:
    """Return what work makes of each block and of its part of values (D,), which may be None."""
    blocks = in_blocks(counts)
    if values is None:
        return blocks.each(partial(_on_part, work, None))
    edges = np.cumsum(blocks.each(_n_documents))[:-1]
    return blocks.prepared(with_number).each(partial(_on_part, work, np.split(np.asarray(values), edges)))


def _on_part(work: Callable[[Any, Any], S], parts: list[Any] | None, given: Any) -> S:
    return work(given, None) if parts is None else work(given.block, parts[given.number])


def _n_documents(T: Any) -> int:
    return int(np.shape(T)[0])


def lift(word_probabilities: ArrayLike, counts: Any) -> Array:
    """Return how much likelier each word is in a topic than in the corpus: mu_kw / p(w).

    Parameters
    ----------
    word_probabilities : array-like of shape (K, W)
        mu.
    counts : array-like or sparse matrix of shape (D, W), or blocks
        Word counts of the corpus; p(w) is a word's share of all words.

    Returns
    -------
    ndarray of shape (K, W)
        0 for words the corpus does not have, of which it says nothing.

    Raises
    ------
    ValueError
        If the two differ in W.
    """
    mu = np.asarray(word_probabilities, dtype=np.float64)
    totals = _word_totals(counts)
    if mu.shape[1] != totals.size:
        raise ValueError(f"word_probabilities has {mu.shape[1]} words, counts has {totals.size}")
    ratio: Array = np.divide(mu * totals.sum(), totals, out=np.zeros_like(mu), where=totals > 0)
    return ratio


def relevance(word_probabilities: ArrayLike, counts: Any, weight: float = 0.6) -> Array:
    r"""Return how well each word tells of each cluster, by probability and lift together.

    Sievert and Shirley ("LDAvis", 2014), with weight lambda:

    .. math:: r_{kw} = \lambda \log \mu_{kw} + (1 - \lambda) \log \frac{\mu_{kw}}{p_w}

    1 ranks by probability, which every cluster's common words win, 0 by lift, which rare words win.
    The default is what their readers named topics best by.

    Parameters
    ----------
    word_probabilities, counts
        As for ``lift``.
    weight : float in [0, 1], default=0.6
        lambda.

    Returns
    -------
    ndarray of shape (K, W)
        In nats; -inf for words the corpus or the cluster does not have.

    Raises
    ------
    ValueError
        If `weight` is outside [0, 1], or the two differ in W.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight={weight}; allowed are 0 to 1")
    mu = np.asarray(word_probabilities, dtype=np.float64)
    ratio = lift(mu, counts)
    told = ratio > 0
    result = np.full(mu.shape, -np.inf)
    result[told] = weight * np.log(mu[told]) + (1 - weight) * np.log(ratio[told])
    return result


def log_lift(word_probabilities: ArrayLike, counts: Any, floor: float = 0.01) -> Array:
    r"""Return what each word says for each cluster against the corpus, in nats and bounded below.

    .. math:: s_{kw} = \log\left((1 - \epsilon) \frac{\mu_{kw}}{p_w} + \epsilon\right)

    This is the log lift of mu mixed with a share epsilon of the corpus, so that one word the cluster
    lacks takes no more than log(1/epsilon) from it. A mixture fitted without smoothing rules whole
    clusters out by single words; here it can still be said which of them comes close.

    Parameters
    ----------
    word_probabilities, counts
        As for ``lift``.
    floor : float in (0, 1), default=0.01
        epsilon.

    Returns
    -------
    ndarray of shape (K, W)
        0 for words the corpus does not have, of which it says nothing.

    Raises
    ------
    ValueError
        If `floor` is outside (0, 1), or the two differ in W.
    """
    if not 0 < floor < 1:
        raise ValueError(f"floor={floor}; allowed are numbers above 0 and below 1")
    ratio = lift(word_probabilities, counts)
    scores: Array = np.log((1 - floor) * ratio + floor)
    scores[:, _word_totals(counts) == 0] = 0.0
    return scores


def typicality(counts: Any, scores: Array, clusters: ArrayLike) -> Array:
    r"""Return how much each document speaks the language of its cluster, in nats per word.

    .. math:: t_d = \frac{1}{V_d + \bar V} \sum_{w \in d} s_{z_d w}

    is the mean score of the document's different words (V_d of them) under its cluster z_d, drawn
    towards 0 as if there were `\bar V` more words that say nothing: the median of V_d. A few telling
    words therefore do not outrank a whole document of them, and neither does one word repeated. Responsibilities
    cannot rank documents so: on texts of some length they are all 1.

    Parameters
    ----------
    counts : array-like or sparse matrix of shape (D, W), or blocks
        T; only whether a count is positive matters.
    scores : ndarray of shape (K, W)
        s, from ``log_lift``.
    clusters : array-like of int, of shape (D,)
        z, the cluster of each document.

    Returns
    -------
    ndarray of shape (D,)
        0 for documents without words.
    """
    said = np.concatenate(_by_document(counts, partial(_said, scores), clusters))
    different = np.concatenate(in_blocks(counts).each(_different_words))
    usual = np.median(different[different > 0]) if different.any() else 1.0
    result: Array = said / (different + usual)
    return result


def _present(counts: Any) -> sp.csr_array:
    return sp.csr_array(counts).astype(bool).astype(np.float64)


def _different_words(T: Any) -> Array:
    return np.asarray(_present(T).sum(axis=1))


def _said(scores: Array, T: Any, assigned: NDArray[np.intp]) -> Array:
    """Return the sum of the scores of each document's different words under its cluster."""
    present = _present(T)
    total = np.zeros(present.shape[0])
    for cluster in np.unique(assigned):
        rows = np.flatnonzero(assigned == cluster)
        total[rows] = present[rows] @ scores[cluster]
    return total


def runners_up(log_joint: Array, clusters: ArrayLike) -> RunnersUp:
    r"""Return the best cluster but the assigned one for each document, and the log-odds between the two.

    .. math:: o_d = J_{d z_d} - \max_{k \ne z_d} J_{dk}, \qquad J_{dk} = \log \pi_k + \sum_w T_{dw} \log \mu_{kw}

    is the log of the ratio of two responsibilities, exact where the smaller one rounds to 0.

    Parameters
    ----------
    log_joint : ndarray of shape (D, K)
        J (``MultinomialMixture.predict_joint_log_proba``), of two components or more.
    clusters : array-like of int, of shape (D,)
        z, the cluster of each document.

    Returns
    -------
    RunnersUp
        Arrays of shape (D,); the log-odds are in nats, and inf where no other cluster is possible.

    Raises
    ------
    ValueError
        If there is only one component.
    """
    if log_joint.shape[1] < 2:
        raise ValueError("there is one component: no document has a second choice")
    rows, own = np.arange(len(log_joint)), np.asarray(clusters)
    others = log_joint.copy()
    others[rows, own] = -np.inf
    best = others.argmax(axis=1)
    # Where every other cluster is impossible, the first of them stands for all.
    second = np.where(best == own, 1, best)
    return RunnersUp(second, log_joint[rows, own] - others[rows, second])


def second_choices(model: Any, counts: Any, clusters: ArrayLike) -> RunnersUp:
    """Return what ``runners_up`` does for the documents of counts.

    Parameters
    ----------
    model : MultinomialMixture
        Of two components or more.
    counts : array-like or sparse matrix of shape (D, W), or blocks
        T.
    clusters : array-like of int, of shape (D,)
        z, the cluster of each document.
    """
    found = _by_document(counts, partial(_second, model), clusters)
    return RunnersUp(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _second(model: Any, T: Any, clusters: NDArray[np.intp]) -> RunnersUp:
    if np.shape(T)[0] == 0:
        return RunnersUp(np.empty(0, dtype=np.intp), np.empty(0))
    return runners_up(model.predict_joint_log_proba(T), clusters)


def least_familiarity(familiarity: ArrayLike, contamination: float) -> float:
    """Return the familiarity at or below which documents fit nowhere, in nats per word (``boundary``).

    Parameters
    ----------
    familiarity : array-like of shape (D,)
        Of the training documents (``MultinomialMixture.familiarity``); NaN, of those without words, is left out.
    contamination : float in (0, 1)
        The share of them that is to lie at or below: its quantile.

    Raises
    ------
    ValueError
        If `contamination` is outside (0, 1), or no document has words.
    """
    if not 0 < contamination < 1:
        raise ValueError(f"contamination={contamination}; allowed are numbers above 0 and below 1")
    known = np.asarray(familiarity, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not known.size:
        raise ValueError("no document has words: there is no familiarity to go by")
    return boundary(known, known <= np.quantile(known, contamination, method="inverted_cdf"))


def boundary(familiarity: Array, unfamiliar: NDArray[np.bool_]) -> float:
    """Return the familiarity halfway between documents that fit nowhere and all others, in nats per word.

    Halfway, so that these stay on their sides however another machine rounds.

    Parameters
    ----------
    familiarity : ndarray of shape (D,)
        Of documents with words.
    unfamiliar : ndarray of bool, of shape (D,)
        Which of them fit nowhere; at least one.
    """
    below, above = familiarity[unfamiliar].max(), familiarity[~unfamiliar]
    return float((below + above.min()) / 2 if above.size else below)


def is_unfamiliar(familiarity: Array, least: float) -> NDArray[np.bool_]:
    """Return which documents fit nowhere; those without words do, as nothing of them is known."""
    return ~(familiarity > least)


def log_odds_by_word(
    counts: Any, word_probabilities: ArrayLike, clusters: ArrayLike, others: ArrayLike
) -> sp.csr_array:
    r"""Return what each word of a document adds to the log-odds of its cluster against another one, in nats.

    .. math:: e_{dw} = T_{dw} (\log \mu_{z_d w} - \log \mu_{o_d w})

    so that a row adds up to the log-odds but for the two mixing weights.

    Parameters
    ----------
    counts : array-like or sparse matrix of shape (D, W)
        T.
    word_probabilities : array-like of shape (K, W)
        mu.
    clusters, others : array-like of int, of shape (D,)
        z, a cluster that allows all words of the document, and o, the one it is held against (``runners_up``).

    Returns
    -------
    csr_array of shape (D, W)
        Positive where a word speaks for the cluster; inf where the other one rules it out.
    """
    T = sp.csr_array(counts)
    rows = np.repeat(np.arange(T.shape[0]), np.diff(T.indptr))
    with np.errstate(divide="ignore"):
        log_mu = np.log(np.asarray(word_probabilities, dtype=np.float64))
    own, other = (log_mu[np.asarray(which)[rows], T.indices] for which in (clusters, others))
    return sp.csr_array((T.data * (own - other), T.indices, T.indptr), shape=T.shape)
