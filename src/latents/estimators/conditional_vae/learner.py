"""A network and what changes its weights."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from latents.estimators.conditional_vae.interface import ConditionalNetwork
from latents.estimators.conditional_vae.schedules import make_schedule


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
        self.advance()

    def advance(self) -> None:
        """Take note of a step that has been made."""
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


def learner_with_adam(
    network: ConditionalNetwork,
    n_steps: int,
    *,
    learning_rate: float,
    beta_2: float,
    schedule: str,
    kl_warm_up: float,
) -> Learner:
    """Return what trains a network for `n_steps` by Adam; the other arguments are ``ConditionalVAE``'s."""
    # The fused step updates all parameters in one kernel.
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(0.9, beta_2), fused=True)
    steps_of_schedule = make_schedule(schedule, optimizer, n_steps)
    return Learner(network, optimizer, steps_of_schedule, kl_warm_up=round(kl_warm_up * n_steps))
