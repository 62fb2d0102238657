"""The objective of a class-conditioned VAE, in nats (section 3 of the source document).

    L(x, y) = E_q[log p(x | z, y)] - KL(q(z | x, y) || p(z | y)) <= log p(x | y)

The expectation is over draws of q that the network makes of standard normal noise.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

from latents.estimators.conditional_vae.interface import ConditionalNetwork


class TrainingTerms(NamedTuple):
    """What a step of training ascends, and what it is told by, (n,) each, in nats.

    `reconstruction` and `kl` are the terms of the single-sample bound; `trained_bound` is what the
    objective is where the KL term has its full weight.
    """

    objective: Tensor
    reconstruction: Tensor
    kl: Tensor
    trained_bound: Tensor


def elbo(
    network: ConditionalNetwork, x: Tensor, y: Tensor, noise: Tensor, kl_weight: Tensor
) -> TrainingTerms:
    """Return the source's bound L(x, y), its expectation by the mean over the K draws of noise (K, n, L).

    Noise of shape (n, L) is one draw; x (n, p) are pixels and y (n,) class codes. The objective takes the KL
    term times `kl_weight`: one below 1, early in a training, keeps latents in use that a decoder which
    cannot read them yet would give up (Bowman et al. 2016, "Generating Sentences from a Continuous
    Space"; Sonderby et al. 2016).
    """
    reconstruction, kl = network.infer(x, y, noise)
    if reconstruction.ndim > 1:
        reconstruction = reconstruction.mean(0)
    if kl.ndim > 1:
        kl = kl.mean(0)
    return TrainingTerms(reconstruction - kl_weight * kl, reconstruction, kl, reconstruction - kl)


def iwae(
    network: ConditionalNetwork, x: Tensor, y: Tensor, noise: Tensor, kl_weight: Tensor
) -> TrainingTerms:
    """Return the importance-weighted bound of Burda, Grosse and Salakhutdinov (2016).

    L_K(x, y) = E log (1/K) sum_k p(x, z_k | y) / q(z_k | x, y), with K draws by noise (K, n, L). It
    is the lower bound L at K = 1, and rises to log p(x | y) with K. `kl_weight` multiplies
    log p(z | y) - log q(z | x, y). The terms beside it are those of L, estimated from the same draws.
    """
    noise = noise.reshape(math.prod(noise.shape[:-2]), *noise.shape[-2:])
    log_likelihood, log_ratio = network.weigh(x, y, noise)
    objective, bound = (
        (log_likelihood + weight * log_ratio).logsumexp(0) - math.log(len(noise)) for weight in (kl_weight, 1)
    )
    return TrainingTerms(objective, log_likelihood.mean(0), -log_ratio.mean(0), bound)


# (network, x, y, noise, kl_weight) -> terms
Objective = Callable[[ConditionalNetwork, Tensor, Tensor, Tensor, Tensor], TrainingTerms]
OBJECTIVES: dict[str, Objective] = {"elbo": elbo, "iwae": iwae}


def bayes(
    log_likelihood: NDArray[np.float64], class_prior: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum the classes out: log p(x) = log sum_y p(y) p(x | y), and p(y | x) by Bayes' rule.

    Parameters
    ----------
    log_likelihood : ndarray of shape (n, C)
        log p(x | y) in nats, one column a class.
    class_prior : ndarray of shape (C,)
        p(y).

    Returns
    -------
    log_marginal : ndarray of shape (n,)
        log p(x) in nats.
    posterior : ndarray of shape (n, C)
        p(y | x); rows sum to one.
    """
    joint = log_likelihood + np.log(class_prior)
    log_marginal = logsumexp(joint, axis=1)
    return log_marginal, np.exp(joint - log_marginal[:, np.newaxis])
