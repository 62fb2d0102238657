"""p(z | y): the same for every class, or one learned for each."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from latents.estimators.conditional_vae.distributions import Gaussian


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
