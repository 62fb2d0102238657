"""Where EM for a mixture of multinomials starts: annealing by the length of documents.

Text has many poor optima because documents make up their minds early, long ones first: after two or three E steps
from a random start nearly all responsibilities are close to 0 or 1. Deterministic annealing (Ueda and Nakano,
"Deterministic annealing EM algorithm", 1998) raises the joint probability to a power beta that grows to 1. One
power for all leaves long documents decided while short ones are still undecided, so here each document has its
own, s_d = min(1, c / n_d): it counts as if it were c of its n_d words long. What EM climbs at length c is

    sum_d log sum_k (pi_k prod_w mu_kw^T_dw)^s_d + log prior,

the likelihood of shortened documents, in which no document weighs more than another. The M step departs from
it in one thing: pi stays the mean responsibility, as in the source, where the maximiser would weigh documents by
s_d; that found better clusters. c grows from one word until almost every document is whole.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import (
    Parameters,
    Recipe,
    m_step_from,
    posterior,
    random_responsibilities,
)

# Components part between one word and this many; afterwards c may grow faster (its logarithm, by this factor).
_DECISIVE_LENGTH, _HASTE = 8.0, 4
# c ends at the length that this share of the documents does not exceed: the longest few would double the time.
_WHOLE_DOCUMENTS = 0.95
# So many times it then stays at whole documents: plain EM would take these steps too, twice as slow in float64.
_ROUNDS_OF_WHOLE_DOCUMENTS = 6
# Steps in log mu are taken this many times as far as EM's own, which needs half the steps; below 2 they still
# converge near an optimum (Salakhutdinov and Roweis, "Adaptive overrelaxed bound optimization methods", 2003).
_RELAXATION = 1.9
# Far from an optimum such a step, or noise, may lead to what no probability can be: no lift mu_kw / p_w exceeds
# 1 / p_w, and one that is as good as 0 is kept above the subnormal numbers.
_LEAST_LOG_LIFT = -80.0

Report = Callable[[float, float, int], None]


def lengths(n: NDArray[np.float64], growth: float) -> Iterator[float]:
    """Yield c, from one word until almost all documents, of lengths `n` (D,), are whole; then infinity.

    Nothing comes where almost no document has more than one word.
    """
    c, longest = 1.0, float(np.quantile(n, _WHOLE_DOCUMENTS)) * (1 - 1e-9)  # shares may sum to more than 1
    rounds = _ROUNDS_OF_WHOLE_DOCUMENTS if c < longest else 0
    while c < longest:
        yield c
        c *= growth if c < _DECISIVE_LENGTH else growth**_HASTE
    yield from repeat(np.inf, rounds)


def annealed(
    counts: Counts, recipe: Recipe, schedule: Iterable[float], rng: np.random.RandomState, report: Report
) -> Parameters:
    """Return the parameters at which plain EM shall start.

    Parameters
    ----------
    counts : Counts
        T (D, W) in float32. Log probabilities are kept relative to the corpus's word frequencies
        p_w: the sums of log (mu_kw / p_w) are so small that single precision suffices.
    recipe : Recipe
    schedule : iterable of float
        c, one after another (``lengths``). Noise is added where it is finite.
    rng : RandomState
        Source of the starting responsibilities and of the noise.
    report : callable
        Called at each step as ``report(objective, tempered, n_documents)``: sum_d log p(T_d) without
        multinomial coefficients plus smoothing * sum log mu, and what the step set out to raise.

    Returns
    -------
    parameters : Parameters
        The M step's, from the last responsibilities and whole documents.
    """
    smoothing, n_components = recipe.smoothing, recipe.n_components
    frequencies = np.maximum(counts.T.sum(axis=0), 1.0)  # words never used count as one use
    log_shares = np.log(frequencies / frequencies.sum())
    n_words = np.maximum(counts.T.sum(axis=1), np.finfo(np.float32).tiny)
    # n_d (D,), log p_w (W, 1) and sum_w T_dw log p_w (D,).
    n, log_p, offsets = (
        torch.from_numpy(values).to(counts.device)
        for values in (n_words, log_shares[:, np.newaxis], counts.T @ log_shares)
    )
    # Drawing takes as long as a product: it is done once, and the noise of one word is another's next time.
    drawn = rng.normal(scale=recipe.perturbation, size=(len(log_p), n_components))
    noise = torch.from_numpy(drawn).to(counts.device, torch.float32)
    gamma = random_responsibilities(counts, n_components, rng)
    start = m_step_from(counts, gamma, recipe.annealing_smoothing)
    log_pi, log_lift = start.log_weights.float(), (start.log_words - log_p).float()
    log_p32 = log_p.float()
    for c in schedule:
        s = (c / n).clamp(max=1)
        # What plain EM goes on with is what the whole documents end with; only 0 would let words die out here.
        prior = recipe.annealing_smoothing if np.isfinite(c) or smoothing == 0 else smoothing
        pseudo_count = prior * float((s * n).sum() / n.sum())
        exponents = s[:, None].float()
        if np.isfinite(c):
            log_lift.add_(torch.roll(noise, int(rng.randint(len(noise))), dims=0))
            log_lift = _normalised(log_lift, log_p32)
        for _ in range(recipe.steps_per_length):
            joint = counts.by_documents(log_lift).add_(log_pi)
            gamma, shortened = posterior(joint * exponents)
            log_prior = float(log_lift.sum(dtype=torch.float64) + n_components * log_p.sum())
            # The posterior's log normalisers, for less than the posterior.
            whole = joint[:, 0] - torch.log_softmax(joint, dim=1)[:, 0]
            report(
                float(whole.double().sum() + offsets.sum()) + smoothing * log_prior,
                float(shortened.double().sum() + (s * offsets).sum()) + pseudo_count * log_prior,
                counts.n_documents,
            )
            words = counts.by_words(gamma * exponents).add_(pseudo_count)
            maximiser = torch.log(words).sub_(torch.log(words.sum(dim=0))).sub_(log_p32)
            log_lift = _normalised(torch.lerp(log_lift, maximiser, _RELAXATION), log_p32)
            log_pi = torch.log(gamma.mean(dim=0).clamp_(min=torch.finfo(torch.float32).tiny))
    return m_step_from(counts, gamma, smoothing)


def _normalised(log_lift: Tensor, log_p: Tensor) -> Tensor:
    """Make of the columns, in place, the log lifts of probabilities: sum_w p_w exp(log_lift_wk) = 1."""
    torch.minimum(log_lift, -log_p, out=log_lift).clamp_(min=_LEAST_LOG_LIFT)
    return log_lift.sub_(torch.log(torch.exp(log_p).ravel() @ torch.exp(log_lift)))
