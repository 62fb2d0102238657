"""The training loop: any network, any optimiser, an objective that gives a bound and its terms."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from latents.estimators.conditional_vae.batches import Batches
from latents.estimators.conditional_vae.interface import ConditionalNetwork
from latents.estimators.conditional_vae.objective import TrainingTerms

Objective = Callable[[ConditionalNetwork, Tensor, Tensor, Tensor, Tensor], TrainingTerms]


@dataclass
class Learner:
    """A network and what changes its weights.

    Every part says all that it remembers by ``state_dict``, so that a checkpoint of the parts is one of
    the learner, whatever network, optimiser and schedule these are.

    Parameters
    ----------
    network : ConditionalNetwork
    optimizer : Optimizer
        Of the network's parameters.
    schedule : LRScheduler, optional
        Advanced after each step.
    kl_warm_up : int
        Steps over which the weight of the KL term rises to 1, in even steps.
    """

    network: ConditionalNetwork
    optimizer: Optimizer
    schedule: LRScheduler | None = None
    kl_warm_up: int = 0
    n_steps: int = field(default=0, init=False)  # made so far
    untrained_bound: float | None = field(default=None, init=False)  # of the first batch, per image

    @property
    def kl_weight(self) -> float:
        """Of the next step."""
        return min(1.0, (self.n_steps + 1) / (self.kl_warm_up + 1))

    def step(self) -> None:
        """Follow the gradient that the network's parameters have."""
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        self.n_steps += 1

    @property
    def _parts(self) -> dict[str, Any]:
        parts = {"network": self.network, "optimizer": self.optimizer, "schedule": self.schedule}
        return {name: part for name, part in parts.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each part by name; tensors are shared, not copied."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        return {**state, "n_steps": self.n_steps, "untrained_bound": self.untrained_bound}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state_dict`` gave."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.n_steps, self.untrained_bound = state["n_steps"], state["untrained_bound"]


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
        Whether torch compiles the objective and its gradient, for batches of full size.

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
    step = _Step(learner, objective, precision, is_compiled, batches.batch_size)
    for epoch in range(epochs_done + 1, epochs + 1):
        learner.network.train()
        # Looked at once an epoch, not once a step: reading a value makes a GPU wait.
        sums = torch.stack([step(*batch) for batch in batches.epoch()])
        learner.network.eval()
        _check(learner, sums, batches, epoch)
        reconstruction, kl, trained_bound = (sums.double().sum(dim=0) / batches.n_images).tolist()
        yield EpochMeans(reconstruction - kl, reconstruction, kl, trained_bound)


class _Step:
    """One step of the optimiser on one batch."""

    def __init__(
        self,
        learner: Learner,
        objective: Objective,
        precision: torch.dtype,
        is_compiled: bool,
        full_size: int,
    ) -> None:
        self._learner = learner
        self._objective = objective
        self._precision = precision
        self._full_size = full_size
        # Once for the one size that nearly all batches have: another would be compiled for as long.
        self._of_full_size = torch.compile(self._loss, dynamic=False) if is_compiled else self._loss

    def __call__(self, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Return the sums of reconstruction, KL and trained bound over the batch, (3,)."""
        learner = self._learner
        loss_of = self._of_full_size if len(x) == self._full_size else self._loss
        # A tensor, or each new value of it would be compiled for.
        kl_weight = torch.full((), learner.kl_weight, device=x.device)
        with torch.autocast(x.device.type, self._precision, enabled=self._precision != torch.float32):
            loss, sums = loss_of(x, y, noise, kl_weight)
        learner.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        learner.step()
        return sums

    def _loss(self, x: Tensor, y: Tensor, noise: Tensor, kl_weight: Tensor) -> tuple[Tensor, Tensor]:
        terms = self._objective(self._learner.network, x, y, noise, kl_weight)
        sums = torch.stack((terms.reconstruction, terms.kl, terms.trained_bound)).detach().sum(dim=1)
        return -terms.objective.mean(), sums


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
