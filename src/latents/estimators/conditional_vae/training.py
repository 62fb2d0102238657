"""The training loop: any network, any optimiser, an objective that gives a bound and its terms."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from latents.estimators.conditional_vae.batches import Batches
from latents.estimators.conditional_vae.learner import Learner
from latents.estimators.conditional_vae.objective import Objective
from latents.estimators.conditional_vae.steps import CompiledStep, Loss, PlainStep


class EpochMeans(NamedTuple):
    """Running means over one epoch, in nats per image, each batch under the weights it met."""

    lower_bound: float
    reconstruction: float
    kl: float
    trained_bound: float


def train(
    learner: Learner,
    batches: Batches,
    objective: Objective,
    *,
    epochs: int,
    epochs_done: int = 0,
    precision: torch.dtype = torch.float32,
    is_compiled: bool = False,
) -> Iterator[EpochMeans]:
    """Train a network in place, one epoch each time the next item is asked for.

    Whoever drives the iterator may look at the network between epochs, when it is in evaluation mode,
    write down its state, or stop.

    Parameters
    ----------
    learner : Learner
    batches : Batches
        N images, on the network's device.
    objective : callable
        ``(network, x, y, noise, kl_weight)`` to ``TrainingTerms``; the mean of their ``objective`` is
        ascended.
    epochs : int
        The last epoch.
    epochs_done : int
        The epoch after which the learner is; the first one that follows is the next.
    precision : torch.dtype
        What matrix products are multiplied in. Weights, their updates and bounds are float32 in any
        case.
    is_compiled : bool
        Whether torch compiles the step, for batches of full size (see ``CompiledStep``).

    Yields
    ------
    EpochMeans
        The source's running means.

    Raises
    ------
    FloatingPointError
        At the end of an epoch in which a bound or a weight was no longer finite, or whose mean bound lies
        below that of the untrained network by more than its magnitude.
    """
    step = _step_of(learner, Loss(learner.network, objective, precision), batches.batch_size, is_compiled)
    for epoch in range(epochs_done + 1, epochs + 1):
        learner.network.train()
        # Looked at once an epoch, not once a step: reading a value makes a GPU wait.
        sums = torch.stack([step(*batch) for batch in batches.epoch()])
        learner.network.eval()
        _check(learner, sums, batches, epoch)
        reconstruction, kl, trained_bound = (sums.double().sum(dim=0) / batches.n_images).tolist()
        yield EpochMeans(reconstruction - kl, reconstruction, kl, trained_bound)


def _step_of(
    learner: Learner, loss: Loss, full_size: int, is_compiled: bool
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    plain = PlainStep(learner, loss)
    if not is_compiled:
        return plain
    compiled = CompiledStep(learner, loss)

    def step(x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        # Compiled for the one size that nearly all batches have: another would take as long again. The very
        # first step is the optimiser's own, since torch's schedules warn of one that never makes any.
        chosen = compiled if len(x) == full_size and learner.n_steps else plain
        return chosen(x, y, noise)

    return step


def _check(learner: Learner, sums: Tensor, batches: Batches, epoch: int) -> None:
    """Refuse an epoch that has lost its way; `sums` (steps, 3) are those of its batches."""
    finite = sums.isfinite().all(dim=1)
    if not finite.all():
        step = int((~finite).nonzero()[0])
        reconstruction, kl, _ = sums[step].tolist()
        raise FloatingPointError(
            f"the bound is not finite in epoch {epoch}, step {step + 1} of {len(sums)}: reconstruction "
            f"{reconstruction}, KL {kl}"
        )
    for name, weight in learner.network.named_parameters():
        if not weight.isfinite().all():
            raise FloatingPointError(f"{name} is not finite after epoch {epoch}, step {len(sums)}")
    bounds = (sums[:, 0] - sums[:, 1]).double()
    if learner.untrained_bound is None:
        learner.untrained_bound = float(bounds[0]) / min(batches.batch_size, batches.n_images)
    mean = float(bounds.sum()) / batches.n_images
    # Only steps too long make a network so much worse than it was when it knew nothing.
    if mean < learner.untrained_bound - abs(learner.untrained_bound):
        raise FloatingPointError(
            f"the bound diverges in epoch {epoch}, worst in step {int(bounds.argmin()) + 1} of {len(sums)}: its "
            f"mean is {mean:.6g} nats per image, and that of the untrained network {learner.untrained_bound:.6g}"
        )
