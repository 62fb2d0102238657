"""Batch normalisation by the statistics of a whole batch, on however many processes its images lie."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from latents.estimators.conditional_vae.ranks import Ranks

_MOMENTUM = 0.05


class Normalise(nn.BatchNorm1d):
    """Batch normalisation over the last axis, whatever axes lead.

    What evaluation goes by is a running mean over some 20 batches; a training of fewer ends before it settles.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-4, momentum=_MOMENTUM)
        self.ranks: Ranks | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Return `values` (..., d) with mean 0 and variance 1 by feature, scaled and shifted."""
        rows = values.flatten(0, -2)
        if self.training and self.ranks is not None:
            return self._over(self.ranks, rows).view(values.shape)
        if len(rows) > 1 or not self.training:
            return super().forward(rows).view(values.shape)
        # The last batch of an epoch may be a single image, which has no variance of its own; its cells have.
        alone = batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return alone.view(values.shape)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """Return by what evaluation multiplies the values, and what it adds then, (d,) each."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def _over(self, ranks: Ranks, rows: Tensor) -> Tensor:
        # In double precision, where E[s^2] - E[s]^2 loses nothing that single precision would keep.
        wide = rows.double()
        own = (wide.sum(dim=0), wide.square().sum(dim=0), wide.new_full((1,), len(rows)))
        mean, square, count = torch.split(ranks.total(torch.cat(own)), [rows.shape[1], rows.shape[1], 1])
        mean = mean / count
        variance = square / count - mean.square()
        # One row alone goes by the running statistics here, too, and leaves them as they are.
        has_several = count > 1
        with torch.no_grad():
            weight = (_MOMENTUM * has_several).float()
            unbiased = variance * (count / (count - 1).clamp(min=1))
            running = (self.running_mean.clone(), self.running_var.clone())
            self.running_mean.lerp_(mean.detach().float(), weight)
            self.running_var.lerp_(unbiased.detach().float(), weight)
            self.num_batches_tracked.add_(has_several.squeeze())
        mean = torch.where(has_several, mean, running[0].double())
        variance = torch.where(has_several, variance, running[1].double())
        scale = self.weight * (variance + self.eps).rsqrt().float()
        return (rows - mean.float()) * scale + self.bias


@contextmanager
def normalised_over(ranks: Ranks | None, network: nn.Module) -> Iterator[None]:
    """Let a network's batch normalisation see the batches of all processes while it is trained."""
    norms = [module for module in network.modules() if isinstance(module, Normalise)]
    for norm in norms:
        norm.ranks = ranks
    try:
        yield
    finally:
        for norm in norms:  # which are copied and saved without those that trained them
            norm.ranks = None
