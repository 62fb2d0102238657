"""The distributions of latents, p(z | y) and q(z | x, y): Gaussians, their log densities and KL in nats."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Gaussian(NamedTuple):
    """A diagonal Gaussian over z: `mean` and `log_variance`, both (..., L)."""

    mean: Tensor
    log_variance: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """Return mean + sigma * noise, (..., n, L), differentiable in the parameters."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def log_density(self, z: Tensor) -> Tensor:
        """Return log N(z; mean, diag sigma^2) of z (..., L) in nats, summed over the last axis."""
        scaled = (z - self.mean).square() * torch.exp(-self.log_variance)
        return -0.5 * (math.log(2 * math.pi) + self.log_variance + scaled).sum(-1)

    def log_density_of_draw(self, z: Tensor, noise: Tensor) -> Tensor:  # noqa: ARG002
        """Return the log density of z = ``draw(noise)`` in nats, (..., n)."""
        return self.log_density(z)

    def divergence(self, p: "Gaussian") -> Tensor:
        """KL(q || p) of this q in nats, summed over the last axis.

        KL = 1/2 sum [log s_p^2 - log s_q^2 - 1 + (s_q^2 + (m_q - m_p)^2) / s_p^2], the closed form of
        Kingma and Welling (2014, appendix B) for any diagonal p.
        """
        log_ratio = self.log_variance - p.log_variance
        distance = (self.mean - p.mean).square() * torch.exp(-p.log_variance)
        return 0.5 * (torch.expm1(log_ratio) - log_ratio + distance).sum(-1)


class CorrelatedGaussian(NamedTuple):
    r"""A Gaussian over z with any covariance F F', by its Cholesky factor F.

    Parameters
    ----------
    mean : Tensor of shape (..., L)
    log_variance : Tensor of shape (..., L)
        Twice the logarithm of what F has on its diagonal: of each latent the variance given those before it.
    below : Tensor of shape (..., L, L)
        What F has below its diagonal; the rest is 0.
    """

    mean: Tensor
    log_variance: Tensor
    below: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """Return mean + F noise, (..., n, L), differentiable in the parameters."""
        scaled = torch.exp(0.5 * self.log_variance) * noise
        return self.mean + scaled + (self.below * noise.unsqueeze(-2)).sum(-1)

    def log_density_of_draw(self, z: Tensor, noise: Tensor) -> Tensor:  # noqa: ARG002
        """Return the log density of z = ``draw(noise)`` in nats, (..., n): log N(noise; 0, I) - log |F|."""
        return -0.5 * (math.log(2 * math.pi) + self.log_variance + noise.square()).sum(-1)

    def divergence(self, p: Gaussian) -> Tensor:
        """KL(q || p) of this q from a diagonal p, in nats: that of F's diagonal, and 1/2 sum of (F_ij / s_i)^2."""
        between = self.below.square().sum(-1) * torch.exp(-p.log_variance)
        return Gaussian(self.mean, self.log_variance).divergence(p) + 0.5 * between.sum(-1)


Posterior = Gaussian | CorrelatedGaussian


class StandardPrior(nn.Module):
    """p(z | y) = N(0, I), whatever y."""

    def __init__(self, n_latents: int) -> None:
        super().__init__()
        # Buffers follow the module from device to device; there is nothing to learn or to save.
        self.register_buffer("zeros", torch.zeros(n_latents), persistent=False)
        self.zeros: Tensor

    def forward(self, y: Tensor) -> Gaussian:
        """Return p(z | y) for classes y, parameters (n, L)."""
        zeros = self.zeros.expand(len(y), -1)
        return Gaussian(zeros, zeros)


class PerClassPrior(nn.Module):
    """p(z | y) = N(m_y, diag exp v_y), m and v learned, from N(0, I) at the start.

    Between classes, at weights w_y, it is the Gaussian of the weighted means of m and v.
    """

    def __init__(self, n_classes: int, n_latents: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_classes, n_latents))
        self.log_variance = nn.Parameter(torch.zeros(n_classes, n_latents))

    def forward(self, y: Tensor) -> Gaussian:
        """Return p(z | y) for classes y, codes (n,) or weights (n, C), parameters (n, L)."""
        return Gaussian(rows_of(self.mean, y), rows_of(self.log_variance, y))


def rows_of(table: Tensor, y: Tensor) -> Tensor:
    """Return a row of `table` (C, d) for each class, (n, d): by codes y (n,), or weighted means by y (n, C)."""
    return y @ table if y.is_floating_point() else table[y]


# Name -> (n_classes, n_latents) -> p(z | y)
PRIORS: dict[str, Callable[[int, int], nn.Module]] = {
    "standard": lambda _, n_latents: StandardPrior(n_latents),
    "per_class": PerClassPrior,
}
