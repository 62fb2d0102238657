"""Components that a mixture gets later: for new documents that fit none of those it has.

What a component is worth to a document is what log p(T_d) would lose without it,
log (1 - pi_k) - log (1 - gamma_dk). A new one is judged by documents that it has not learned from, in two ways.
In all it must be worth more than chance, by the root of the sum of squares. But to many documents any further
component is worth something, as no topic is one multinomial; so it must also be worth to its own documents, for
each of their words, a good part of what others are to theirs. Where nothing new has come, a further component
shares documents that would do without it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import Parameters, log_joint, log_normalisers, posterior

# New components are looked for among this share of the documents, those that fit least.
UNFAMILIAR = 0.25
# Steps of EM of the new components, all others staying as they are; and after one of the new was dropped.
_STEPS, _STEPS_AFTER = 10, 4
# A new component is opened from so many standard errors on, and from this share of the median worth per word.
_LEAST_Z_SCORE, _LEAST_SHARE = 3.0, 0.4
# Without smoothing a document may be impossible without a component: that is so many nats.
_LARGEST_LOSS = 700.0
# Where all documents are of one component, the others are next to nothing.
_LARGEST_WEIGHT = 1 - 1e-12


class Worth(NamedTuple):
    """What documents would lose without each component, (C,): in standard errors, and nats per word of its own."""

    z_scores: Tensor
    per_word: Tensor


def worth(counts: Counts, joint: Tensor, weights: Tensor) -> Worth:
    """Return what each of two components or more is worth.

    Parameters
    ----------
    counts : Counts
        The documents that tell.
    joint : Tensor of shape (D, C)
        log pi_k + sum_w T_dw log mu_kw.
    weights : Tensor of shape (C,)
        pi.
    """
    gamma, log_likelihoods, _ = posterior(joint)
    # 1 - gamma has no digits left where gamma is next to 1, as that of one component may be.
    largest = gamma.argmax(dim=1, keepdim=True)
    of_others = torch.logsumexp(joint.scatter(1, largest, -torch.inf), dim=1) - log_likelihoods
    log_rest = torch.log1p(-gamma.clamp(max=0.5)).scatter(1, largest, of_others[:, None])
    losses = _log_rest(weights) - log_rest.clamp(min=-_LARGEST_LOSS)
    squares = counts.weighted(losses**2).sum(dim=0)
    in_all = counts.weighted(losses).sum(dim=0)
    n_words = counts.weighted(gamma).T @ torch.from_numpy(counts.T.sum(axis=1)).to(gamma)
    least = torch.finfo(in_all.dtype).tiny
    return Worth(in_all / torch.sqrt(squares).clamp(min=least), in_all / n_words.clamp(min=least))


def opened(
    counts: Counts, judging: Counts, parameters: Parameters, gamma: Tensor, pseudo_count: float
) -> Parameters:
    """Add those new components that are worth it.

    Parameters
    ----------
    counts, judging : Counts
        Documents that new components learn from (D, W), and others that judge them.
    parameters : Parameters
        The mixture as it is, of K components, under which all of these are possible.
    gamma : Tensor of shape (D, m)
        Responsibilities that new components start from.
    pseudo_count : float
        a of every word.

    Returns
    -------
    parameters : Parameters
        The K components as they were, their weights smaller by what the new ones take, and up to m more.
    """
    n_before, n_steps = len(parameters.log_weights), _STEPS
    before, judged = log_normalisers(log_joint(counts, parameters)), log_joint(judging, parameters)
    gamma = gamma.to(counts.device)
    while True:
        for _ in range(n_steps):
            gamma = gamma[:, counts.weighted(gamma).sum(dim=0) > 0]
            if gamma.shape[1] == 0:
                return parameters
            new = _maximisers(counts, gamma, pseudo_count)
            gamma = posterior(_beside(before[:, None], counts, new)).gamma[:, 1:]
        extended = Parameters(
            torch.cat([parameters.log_weights + _log_rest_of(new), new.log_weights]),
            torch.cat([parameters.log_words, new.log_words], dim=1),
        )
        found = worth(judging, _beside(judged, judging, new), torch.exp(extended.log_weights))
        z_scores, per_word = (values[n_before:] for values in found)
        usual = found.per_word[:n_before][found.z_scores[:n_before] > _LEAST_Z_SCORE]
        least = _LEAST_SHARE * usual.median() if usual.numel() else 0.0
        is_sure = z_scores > _LEAST_Z_SCORE
        if is_sure.all() and (per_word > least).all():
            return extended
        # One at a time, the least sure first: its documents may be what another lacks.
        worst = int((per_word if is_sure.all() else z_scores).argmin())
        gamma = torch.cat([gamma[:, :worst], gamma[:, worst + 1 :]], dim=1)
        n_steps = _STEPS_AFTER


def _maximisers(counts: Counts, gamma: Tensor, pseudo_count: float) -> Parameters:
    """Return components that answer for gamma (D, m) of the documents, something each."""
    gamma = counts.weighted(gamma)
    words = counts.by_words(gamma) + pseudo_count
    return Parameters(
        torch.log(gamma.sum(dim=0) / counts.n_documents), torch.log(words) - torch.log(words.sum(dim=0))
    )


def _beside(log_scores: Tensor, counts: Counts, new: Parameters) -> Tensor:
    """Return log scores of the mixture (D, any) and of new components, side by side."""
    of_new = counts.by_documents(new.log_words) + new.log_weights
    return torch.cat([log_scores + _log_rest_of(new), of_new], dim=1)


def _log_rest_of(new: Parameters) -> Tensor:
    return _log_rest(torch.exp(new.log_weights).sum())


def _log_rest(weights: Tensor) -> Tensor:
    """Return log (1 - pi), which stays finite."""
    return torch.log1p(-weights.clamp(max=_LARGEST_WEIGHT))
