"""Components that a mixture gets later: for new documents that fit none of those it has.

What a component is worth to a document is what log p(T_d) would lose without it,
log (1 - pi_k) - log (1 - gamma_dk).
New ones are judged by documents that they have not learned from, in two ways. In all they must be worth more than
chance, by the root of the sum of squares. But to many documents any further component is worth something, as no
topic is one multinomial; so it must also be worth a good part, for each word of its own documents, of what those
that there are are worth to theirs. Where nothing new has come, one more shares documents that would do without it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import Parameters, log_joint, posterior

# New components are looked for among this share of the documents, those that fit least.
UNFAMILIAR = 0.25
# They take so many steps of EM beside the others, which stay; fewer after one was dropped.
_STEPS, _STEPS_AFTER = 10, 4
# It is worth it beyond so many standard errors, and this part of what the median of the others is worth.
_STANDARD_ERRORS, _LEAST_SHARE = 3.0, 0.4
# Where all documents are of one component, the others are next to nothing.
_LARGEST_WEIGHT = 1 - 1e-12


class Worth(NamedTuple):
    """What documents would lose without each component, (C,): in standard errors, and nats per word of its own."""

    standard_errors: Tensor
    per_word: Tensor


def worth(counts: Counts, parameters: Parameters) -> Worth:
    """Return what each of two components or more is worth to documents."""
    gamma, _ = posterior(joint := log_joint(counts, parameters))
    # 1 - gamma has no digits left where gamma is next to 1, as that of one component may be.
    largest = gamma.argmax(dim=1, keepdim=True)
    of_others = torch.logsumexp(joint.scatter(1, largest, -torch.inf), dim=1, keepdim=True)
    of_all = torch.logaddexp(of_others, joint.gather(1, largest))
    log_others = torch.log1p(-gamma.clamp(max=0.5)).scatter(1, largest, of_others - of_all)
    gains = _log_rest(torch.exp(parameters.log_weights)) - log_others
    squares = counts.weighted(gains**2).sum(dim=0)
    gains = counts.weighted(gains).sum(dim=0)
    words = counts.weighted(gamma).T @ torch.from_numpy(counts.T.sum(axis=1)).to(gamma)
    least = torch.finfo(gains.dtype).tiny
    return Worth(gains / torch.sqrt(squares).clamp(min=least), gains / words.clamp(min=least))


def opened(
    counts: Counts, judging: Counts, parameters: Parameters, gamma: Tensor, pseudo_count: float
) -> Parameters:
    """Add those new components that are worth it.

    Parameters
    ----------
    counts, judging : Counts
        Documents that new components learn from (D, W), and others that judge them.
    parameters : Parameters
        The mixture as it is, of K components.
    gamma : Tensor of shape (D, m)
        Responsibilities that new components start from.
    pseudo_count : float
        a of every word.

    Returns
    -------
    parameters : Parameters
        The K components as they were, their weights smaller by what the new ones take, and up to m more.
    """
    n_before, gamma = len(parameters.log_weights), gamma.to(counts.device)
    n_steps = _STEPS
    while gamma.shape[1]:
        for _ in range(n_steps):
            extended = _extended(counts, parameters, gamma, pseudo_count)
            gamma = posterior(log_joint(counts, extended))[0][:, n_before:]
        found = worth(judging, extended)
        of_others = found.per_word[:n_before][found.standard_errors[:n_before] > _STANDARD_ERRORS]
        least = _LEAST_SHARE * of_others.median() if of_others.numel() else 0.0
        errors, per_word = (values[n_before:] for values in found)
        is_sure = errors > _STANDARD_ERRORS
        if is_sure.all() and (per_word > least).all():
            return extended
        # One at a time, the least sure first: its documents may be what another lacks.
        worst = int((per_word if is_sure.all() else errors).argmin())
        gamma = torch.cat([gamma[:, :worst], gamma[:, worst + 1 :]], dim=1)
        n_steps = _STEPS_AFTER
    return parameters


def _extended(counts: Counts, parameters: Parameters, gamma: Tensor, pseudo_count: float) -> Parameters:
    """Return the mixture with components that answer for gamma (D, m) of the documents."""
    gamma = counts.weighted(gamma)
    weights = gamma.sum(dim=0) / counts.n_documents
    words = counts.by_words(gamma) + pseudo_count
    return Parameters(
        torch.cat([parameters.log_weights + _log_rest(weights.sum()), torch.log(weights)]),
        torch.cat([parameters.log_words, torch.log(words) - torch.log(words.sum(dim=0))], dim=1),
    )


def _log_rest(weights: Tensor) -> Tensor:
    """Return log (1 - pi), which stays finite."""
    return torch.log1p(-weights.clamp(max=_LARGEST_WEIGHT))
