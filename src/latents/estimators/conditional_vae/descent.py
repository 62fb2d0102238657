r"""A ladder's way down for many draws of a few images, as importance sampling takes it: without gradients.

It is that of ``Level``, with fewer passes over memory between the products. What a level reads of the state s is
linear in norm(s), which after training is linear in s: one product, with the weights

.. math::

    W \operatorname{norm}(s) + b = W D s + (b + W c), \qquad
    D = \operatorname{diag}\frac{\gamma}{\sqrt{v + \epsilon}}, \qquad c = \beta - D m,

for running means m and variances v, and the scale gamma and shift beta learned. In half precision s is rounded
before m is taken away, which costs thousandths of a nat. What is added to a state is added by the product that
makes it. And the densities take no more than u, the latents in standard deviations of their prior about its mean:
with the posterior's Cholesky factor in these units, F = diag(r) + B,

.. math::

    u = h + F \epsilon, \qquad z = m + \sigma u, \qquad
    \log p(z) - \log q(z) = \sum_i \big(\log r_i + \tfrac{1}{2} \epsilon_i^2 - \tfrac{1}{2} u_i^2\big).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, pad, silu


class Affine(NamedTuple):
    """x -> x W' + b: `weight` (n_out, n_in) and, where there is one, `bias` (n_out,)."""

    weight: Tensor
    bias: Tensor | None

    def to(self, dtype: torch.dtype) -> "Affine":
        """Return it with numbers of another type."""
        return Affine(self.weight.to(dtype), None if self.bias is None else self.bias.to(dtype))

    def __call__(self, values: Tensor) -> Tensor:
        """Return x W' + b of values x (..., n_in)."""
        return linear(values, *self)

    def add_to(self, sums: Tensor, values: Tensor) -> None:
        """Add x W' to sums (..., n_out), in place."""
        if sums.dtype == self.weight.dtype:
            sums.view(-1, sums.shape[-1]).addmm_(values.flatten(0, -2), self.weight.T)
        else:
            sums.add_(self(values).to(sums.dtype))  # of two types it would be several times slower


class DescentLevel(NamedTuple):
    """One rung, prepared: its steps by what they read, numbers of the type that products have."""

    hidden: Affine  # of the state
    compared: Affine  # of the state: what the posterior compares with the image, and the prior
    posterior: Affine  # of that: shifts, log ratios to the prior's variances, and B row by row, or nothing
    inside: Affine  # of latents and a 1 beside them: to the hidden units, with the bias of these
    past: Affine  # of latents: to the state
    narrow: Affine  # of the hidden units: to the state

    def __call__(
        self, state: Tensor, feature: Tensor, noise: Tensor, *, is_standard: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the state below (S, n, width), and log p(z_t | z_<t, y) - log q(z_t | z_<t, x, y), (S, n).

        Parameters
        ----------
        state : Tensor of shape (S, n, width) or (1, n, width)
            Overwritten; of the top level it is the same for all draws. In single precision, whatever products
            are in: it is a sum over all levels.
        feature : Tensor of shape (n, units)
            Of the images.
        noise : Tensor of shape (S, n, l)
        is_standard : bool
            Whether the prior is N(0, I), though the posterior is told relative to the one that is read.
        """
        n = noise.shape[-1]
        seen = state.to(feature.dtype)
        hidden = self.hidden(seen)
        compared, prior = torch.split(self.compared(seen), [feature.shape[-1], 2 * n], dim=-1)
        # In single precision, and within limits, as in ``Level``.
        mean, log_variance = prior.float().chunk(2, dim=-1)
        log_variance = log_variance.clamp(-8, 8)
        told = self.posterior(silu(compared + feature)).float()
        shift, log_ratio, below = torch.split(told, [n, n, told.shape[-1] - 2 * n], dim=-1)
        log_ratio = log_ratio.clamp(-10, 6)
        u = torch.addcmul(shift, torch.exp(0.5 * log_ratio), noise)
        if below.shape[-1]:
            u = u + (below.view(*below.shape[:-1], n, n) * noise.unsqueeze(-2)).sum(-1)
        z = torch.addcmul(mean, torch.exp(0.5 * log_variance), u)
        if is_standard:
            u, log_ratio = z, log_ratio + log_variance
        log_ratios = 0.5 * (log_ratio + noise.square() - u.square()).sum(-1)

        z = z.to(feature.dtype)
        state, hidden = (
            part if len(part) == len(noise) else part.repeat(len(noise), 1, 1) for part in (state, hidden)
        )
        self.inside.add_to(hidden, pad(z, (0, 1), value=1.0))
        self.past.add_to(state, z)
        self.narrow.add_to(state, silu(hidden, inplace=True))
        return state, log_ratios
