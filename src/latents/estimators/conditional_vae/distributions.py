"""Densities and divergences in nats: diagonal Gaussians over latents, Bernoulli pixels as logits."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


class Gaussian(NamedTuple):
    """A diagonal Gaussian over z: `mean` and `log_variance`, both (..., L)."""

    mean: Tensor
    log_variance: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """Return mean + sigma * noise, (..., n, L), differentiable in the parameters."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise


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
