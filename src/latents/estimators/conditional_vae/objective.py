"""The objective of a class-conditioned VAE, in nats (section 3 of the source document).

    L(x, y) = E_q[log p(x | z, y)] - KL(q(z | x, y) || p(z | y)) <= log p(x | y)

Pixels are Bernoulli, given as logits throughout; Gaussians are diagonal.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from latents.estimators.conditional_vae.networks import ConditionalNetwork, Gaussian


class BoundTerms(NamedTuple):
    """The terms of L = reconstruction - kl, one value per image, (n,), in nats."""

    reconstruction: Tensor
    kl: Tensor


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """Return log p(x) of independent Bernoulli pixels in nats, summed over the last axis.

    Parameters
    ----------
    x : Tensor of shape (..., p)
        Pixels, 0 or 1. A value between them gives x log s(l) + (1 - x) log(1 - s(l)), the
        expectation over its binarisations.
    logits : Tensor of shape (..., p)
        l = log p(x = 1) - log p(x = 0).
    """
    return -binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)


def gaussian_log_density(z: Tensor, gaussian: Gaussian) -> Tensor:
    """Return log N(z; mean, diag sigma^2) of z (..., L) in nats, summed over the last axis."""
    mean, log_variance = gaussian
    scaled = (z - mean).square() * torch.exp(-log_variance)
    return -0.5 * (math.log(2 * math.pi) + log_variance + scaled).sum(-1)


def kl_divergence(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) of diagonal Gaussians over z (..., L) in nats, summed over the last axis.

    KL = 1/2 sum [log s_p^2 - log s_q^2 - 1 + (s_q^2 + (m_q - m_p)^2) / s_p^2], the closed form of
    Kingma and Welling (2014, appendix B) for any diagonal p.
    """
    log_ratio = q.log_variance - p.log_variance
    distance = (q.mean - p.mean).square() * torch.exp(-p.log_variance)
    return 0.5 * (torch.expm1(log_ratio) - log_ratio + distance).sum(-1)


def bound_terms(network: ConditionalNetwork, x: Tensor, y: Tensor, noise: Tensor) -> BoundTerms:
    """Both terms of L(x, y), the expectation by one sample z = mean + sigma * noise.

    Parameters
    ----------
    network : ConditionalNetwork
    x : Tensor of shape (n, p)
        Pixels.
    y : Tensor of shape (n,)
        Class codes.
    noise : Tensor of shape (n, L)
        Standard normal.
    """
    posterior = network.encoder(x, y)
    logits = network.decoder(posterior.draw(noise), y)
    return BoundTerms(
        reconstruction=bernoulli_log_likelihood(x, logits),
        kl=kl_divergence(posterior, network.prior(y)),
    )


def log_importance_weights(network: ConditionalNetwork, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
    """Return log p(x | z, y) + log p(z | y) - log q(z | x, y), (S, n).

    The z are mean + sigma * noise, draws of q. The mean of the weights over them is an unbiased
    estimate of p(x | y), and the log of that mean lies below log p(x | y) on average (Burda,
    Grosse, Salakhutdinov 2016, "Importance Weighted Autoencoders").

    Parameters
    ----------
    network : ConditionalNetwork
    x : Tensor of shape (n, p)
        Pixels.
    y : Tensor of shape (n,)
        Class codes.
    noise : Tensor of shape (S, n, L)
        Standard normal.
    """
    posterior = network.encoder(x, y)
    z = posterior.draw(noise)
    return (
        bernoulli_log_likelihood(x, network.decoder(z, y))
        + gaussian_log_density(z, network.prior(y))
        - gaussian_log_density(z, posterior)
    )


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
