"""Sums over rows on a device of torch's."""

from typing import Any

import torch
from numpy.typing import NDArray

from latents.estimators._pca_moments import Moments, Plan, Sums


class TorchSums(Sums):
    """The same sums, by the same plan, on another device: products in the plan's type, added up in float64."""

    def __init__(self, plan: Plan, n_features: int, device: torch.device) -> None:
        super().__init__(plan, n_features)
        self._shift = torch.tensor(plan.shift, device=device)
        self._sums = torch.zeros(n_features, dtype=torch.float64, device=device)
        self._products = torch.zeros(n_features, n_features, dtype=torch.float64, device=device)

    def add(self, X: NDArray[Any]) -> None:
        """Add the rows of X (n, p)."""
        self.n_samples += len(X)
        for start in range(0, len(X), self.plan.rows):
            rows = torch.tensor(X[start : start + self.plan.rows])  # in their own type, which may be bytes
            block = rows.to(self._shift.device).to(self._shift.dtype) - self._shift
            self._products += block.T @ block
            self._sums += block.sum(dim=0)

    def moments(self) -> Moments:
        """Return what was added; nothing can be added any more."""
        self._parts = [(self._sums.cpu().numpy(), self._products.cpu().numpy())]
        return super().moments()
