"""A fit that can be ended at any moment and go on from its last checkpoint."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from latents.estimators.conditional_vae.batches import Batches
from latents.estimators.conditional_vae.checkpoints import Checkpoints
from latents.estimators.conditional_vae.learner import Learner
from latents.estimators.conditional_vae.objective import Objective
from latents.estimators.conditional_vae.training import EpochMeans, train

Callback = Callable[[str, float, int], None]
# What is measured after an epoch, given the means over it and its number.
Observer = Callable[[EpochMeans, int], Mapping[str, float] | None]


@dataclass
class Progress:
    """How far a fit is: with its data and parameters, all that decides how it goes on."""

    learner: Learner
    generator: torch.Generator
    history: dict[str, list[float]] = field(default_factory=dict)
    epoch: int = 0
    seconds: float = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return everything by name; tensors of the learner are shared, not copied."""
        return {
            "learner": self.learner.state_dict(),
            "generator": self.generator.get_state(),
            "history": self.history,
            "epoch": self.epoch,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that ``state_dict`` gave."""
        self.learner.load_state_dict(state["learner"])
        self.generator.set_state(state["generator"])
        self.history.clear()
        self.history.update(state["history"])
        self.epoch, self.seconds = state["epoch"], state["seconds"]

    def record(self, values: Mapping[str, float], epoch: int, callback: Callback | None) -> None:
        """Add what was measured after an epoch to the history, NaN for epochs without, and tell of it."""
        for name, value in values.items():
            series = self.history.setdefault(name, [])
            series += [math.nan] * (epoch - 1 - len(series))
            series.append(value)
            if callback is not None:
                callback(name, value, epoch)

    def replay(self, callback: Callback) -> None:
        """Tell of every epoch that is done, as it was told of then."""
        for epoch in range(1, self.epoch + 1):
            for name, series in self.history.items():
                if epoch <= len(series) and not math.isnan(series[epoch - 1]):
                    callback(name, series[epoch - 1], epoch)


def carry_out(
    progress: Progress,
    batches: Batches,
    objective: Objective,
    observers: Sequence[Observer],
    *,
    epochs: int,
    callback: Callback | None = None,
    checkpoints: Checkpoints | None = None,
    precision: torch.dtype = torch.float32,
    is_compiled: bool = False,
) -> None:
    """Train to the last epoch, from the last checkpoint where there is one of this training.

    Parameters
    ----------
    progress : Progress
        At its beginning; at the end it holds the result.
    batches : Batches
        Drawn by the generator of `progress`.
    observers : sequence of callable
        Asked in turn after each epoch. What one measures joins the history before the next is asked.
    callback : callable, optional
        Told of everything in the history, epochs of an earlier process included, each once.
    checkpoints : Checkpoints, optional
    objective, epochs, precision, is_compiled
        As for ``train``.

    Raises
    ------
    FloatingPointError
        As ``train``; names the last good checkpoint.
    """
    state = None if checkpoints is None else checkpoints.load()
    if state is not None:
        progress.load_state_dict(state)
        if callback is not None:
            progress.replay(callback)
    began = time.perf_counter() - progress.seconds
    course = train(
        progress.learner,
        batches,
        objective,
        epochs=epochs,
        epochs_done=progress.epoch,
        precision=precision,
        is_compiled=is_compiled,
    )
    try:
        for means in course:
            progress.epoch += 1
            paused = time.perf_counter()
            for observer in observers:
                progress.record(observer(means, progress.epoch) or {}, progress.epoch, callback)
            began += time.perf_counter() - paused  # what is measured on the way is no training
            progress.seconds = time.perf_counter() - began
            if checkpoints is not None and checkpoints.is_due(progress.epoch, epochs):
                checkpoints.save(progress.epoch, progress.state_dict())
    except FloatingPointError as error:
        kept = "no checkpoints were asked for" if checkpoints is None else checkpoints.last_good
        raise FloatingPointError(f"{error}; try a lower learning_rate; {kept}") from error
