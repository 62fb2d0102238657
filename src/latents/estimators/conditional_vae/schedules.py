"""How the learning rate goes over a training."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

SCHEDULES = ("constant", "cosine")

_WARM_UP = 0.02  # share of the steps: longer than batch norm and Adam take to know their scales
_END = 0.01  # of the rate: the last steps still count for something


def make_schedule(name: str, optimizer: Optimizer, n_steps: int) -> LRScheduler | None:
    """Return what sets the optimiser's rate after each step; None where it stays as it is.

    Parameters
    ----------
    name : {"constant", "cosine"}
        The cosine rises to the rate in even steps, over a fiftieth of the training, and then falls by half a
        wave to a hundredth of it (Loshchilov, Hutter 2017, "SGDR").
    optimizer : Optimizer
    n_steps : int
        Of the whole training.
    """
    if name == "constant":
        return None
    warm_up = _WARM_UP * n_steps

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        gone = min(1.0, (step - warm_up) / (n_steps - warm_up))
        return _END + (1 - _END) * 0.5 * (1 + math.cos(math.pi * gone))

    return LambdaLR(optimizer, share)
