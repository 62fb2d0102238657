"""A training from its first epoch, or its last checkpoint, to its end.

``carry_out`` is the whole of it, and can be ended at any moment; ``train`` is its loop: any network and optimiser,
an objective that gives a bound and its terms. ``choose_pace`` says how fast it can go on this machine: the type of
its products, and whether they are compiled.
"""

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from latents.estimators.common.warnings import warn_caller
from latents.estimators.conditional_vae.batches import Batch, Batches
from latents.estimators.conditional_vae.checkpoints import Checkpoints
from latents.estimators.conditional_vae.normalisation import normalised_over
from latents.estimators.conditional_vae.objective import Objective
from latents.estimators.conditional_vae.ranks import Ranks
from latents.estimators.conditional_vae.steps import CompiledStep, Learner, Loss, plain_step

PRECISIONS = ("auto", "float32", "bfloat16")

# Below this many weights, turning numbers into bfloat16 and back takes what the shorter products save.
_LEAST_WEIGHTS = 1 << 18
# On two cores compiling takes 15 s for a reference and 50 for a ladder, and saves 4 and 15 ms of a step.
_LEAST_STEPS = 5_000
# Of oneDNN's names of instruction sets, by which a user may limit it, those with AVX-512 but without bfloat16. It
# says by itself that it emulates those with less.
_AVX512_WITHOUT_BFLOAT16 = ("AVX512_CORE", "AVX512_CORE_VNNI")

Callback = Callable[[str, float, int], None]


class EpochMeans(NamedTuple):
    """Running means over one epoch, in nats per image, each batch under the weights it met."""

    lower_bound: float
    reconstruction: float
    kl: float
    trained_bound: float


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
    ranks: Ranks | None = None,
    class_weights: Tensor | None = None,
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
        Of several processes the first alone has them; all go on from where it does.
    objective, epochs, precision, is_compiled, ranks, class_weights
        As for ``train``.

    Raises
    ------
    FloatingPointError
        As ``train``; names the last good checkpoint.
    """
    state = None if checkpoints is None else checkpoints.load()
    if ranks is not None:
        state = ranks.of_first(state)
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
        ranks=ranks,
        class_weights=class_weights,
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


def train(
    learner: Learner,
    batches: Batches,
    objective: Objective,
    *,
    epochs: int,
    epochs_done: int = 0,
    precision: torch.dtype = torch.float32,
    is_compiled: bool = False,
    ranks: Ranks | None = None,
    class_weights: Tensor | None = None,
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
        The mean of its ``TrainingTerms.objective``, weighted by class, is ascended.
    epochs : int
        The last epoch.
    epochs_done : int
        The epoch after which the learner is; the first one that follows is the next.
    precision : torch.dtype
        What matrix products are multiplied in. Weights, their updates and bounds are float32 in any
        case.
    is_compiled : bool
        Whether torch compiles the step, for batches of full size (see ``CompiledStep``).
    ranks : Ranks, optional
        The processes that train together, all of which come here with the same learner and the same batches.
    class_weights : Tensor of shape (C,), optional
        As for ``Loss``.

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
    loss = Loss(learner.network, objective, precision, class_weights)
    plain = partial(plain_step, learner, loss, ranks)
    compiled = CompiledStep(learner, loss, ranks) if is_compiled else plain

    def step(batch: Batch) -> Tensor:
        # Compiled for the one size that nearly all batches have: another would take as long again. The very
        # first step is the optimiser's own, since torch's schedules warn of one that never makes any.
        return (compiled if batch.n_images == batches.batch_size and learner.n_steps else plain)(batch)

    device = learner.network.device
    for epoch in range(epochs_done + 1, epochs + 1):
        learner.network.train()
        with normalised_over(ranks, learner.network):
            # Looked at once an epoch, not once a step: reading a value makes a GPU wait.
            share = None if ranks is None else ranks.rows
            with closing(batches.epoch(share)) as drawn:  # whatever ends it, nothing is read any more
                # In one place: kept one by one among what comes and goes, they would let memory fall to pieces.
                sums = torch.empty((-(-batches.n_images // batches.batch_size), 3), device=device)
                for place, batch in enumerate(drawn):
                    sums[place] = step(batch)
        learner.network.eval()
        if ranks is not None:
            sums = ranks.total(sums)
            ranks.follow_first(learner.tensors)
        _check(learner, sums, batches, epoch)
        reconstruction, kl, trained_bound = (sums.double().sum(dim=0) / batches.n_images).tolist()
        yield EpochMeans(reconstruction - kl, reconstruction, kl, trained_bound)


@dataclass(frozen=True)
class Pace:
    """What ``train`` is told: the type of products, and whether the step is compiled."""

    precision: torch.dtype
    is_compiled: bool

    @classmethod
    def of_slowest(cls, paces: Sequence["Pace"]) -> "Pace":
        """Return the one that all can keep: compiled where all compile, and what any takes float32 for is that."""
        is_short = all(pace.precision == torch.bfloat16 for pace in paces)
        precision = torch.bfloat16 if is_short else torch.float32
        return cls(precision, all(pace.is_compiled for pace in paces))


def choose_pace(precision: str, compiled: bool | str, network: nn.Module, n_steps: int) -> Pace:
    """Return what was asked for, and in place of ``"auto"`` what pays for this network on this machine.

    The choice follows from machine and arguments alone, never from a clock: the same fit is made the same way
    each time.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
    compiled : {"auto"} or bool
        Without a compiler nothing is compiled.
    network : Module
        On the device that it is trained on.
    n_steps : int
        Of the whole training.

    Warns
    -----
    UserWarning
        If bfloat16 is asked for where it is emulated.
    """
    device = next(network.parameters()).device
    if precision == "auto":
        n_weights = sum(weight.numel() for weight in network.parameters())
        is_short = n_weights >= _LEAST_WEIGHTS and multiplies_bfloat16(device)
        precision = "bfloat16" if is_short else "float32"
    elif precision == "bfloat16" and not multiplies_bfloat16(device):
        warn_caller(
            f"precision='bfloat16': {device.type} has no instructions for it here and emulates it, about ten "
            "times slower than float32, which 'auto' takes"
        )
    if compiled == "auto":
        compiled = n_steps >= _LEAST_STEPS
    return Pace(getattr(torch, precision), bool(compiled) and _can_compile(device))


def multiplies_bfloat16(device: torch.device) -> bool:
    """Tell whether the device has instructions for it, and may use them; elsewhere it is emulated, slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch asks the processor by the one function, and oneDNN, which may be told to leave instructions out, by the
    # other; it has no public ones in all versions that we take.
    return (
        device.type == "cpu"
        and bool(torch.cpu._is_avx512_bf16_supported())
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        and os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() not in _AVX512_WITHOUT_BFLOAT16
    )


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


def _can_compile(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (7, 0)  # what Triton makes code for
    return device.type == "cpu" and any(shutil.which(name) for name in ("g++", "c++", "clang++"))
