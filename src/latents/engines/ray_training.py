"""A ``ConditionalVAE`` trained by several processes of a Ray cluster, as if it were fitted here.

Ray Train starts the processes, joins them in a process group, and starts them anew where one is lost. The first of
them tells of the training, and asks where the half-trained model is to be looked at: whoever called answers, so
that callbacks run where they were made.
"""

import copy
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import ray
import torch
from numpy.typing import ArrayLike
from ray.exceptions import RayError
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from sklearn.utils import check_random_state

from latents.estimators import ConditionalVAE
from latents.estimators.common.blocks import are_blocks
from latents.estimators.conditional_vae.estimator import OnEpoch
from latents.estimators.conditional_vae.training import Callback
from latents.places import Remote

# An array, or the path of one in a .npy file, which every machine sees there.
Data: TypeAlias = ArrayLike | os.PathLike[str]

# Each takes Ray Train up to a minute, if others have taken the room in the meantime; by itself it never gives up.
_STARTS = 3
_SECONDS_TO_END = 30
_SECONDS_OF_A_LOOK = 0.5
# What the same data and parameters would only end in again.
_FINAL = (ValueError, TypeError, FloatingPointError, FileNotFoundError, PermissionError)


class TrainingError(RuntimeError):
    """A cluster has lost a training."""


def train(
    model: ConditionalVAE,
    X: Data,
    y: Data,
    *,
    n_processes: int,
    n_threads: int = 1,
    validation: tuple[Data, Data] | None = None,
    callback: Callback | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
) -> ConditionalVAE:
    """Fit a model on processes of the Ray cluster that this process is connected to.

    Parameters
    ----------
    model : ConditionalVAE
        Its parameters; it is left as it is.
    X, y : array-like or path-like
        As for ``ConditionalVAE.fit``. Of a path, a .npy file which every machine sees there, each process maps
        what it needs; an array is sent once to each machine, and so are blocks as they are, which should name
        files rather than hold what is in them. Each process reads all of those.
    n_processes : int
        Each takes its share of every batch. Where the cluster has a CUDA device for each and the model's
        ``device`` lets it, each trains on one, and they speak by NCCL; else by gloo.
    n_threads : int, default=1
        Cores of each.
    validation, callback, on_epoch, checkpoint_every
        As for ``ConditionalVAE.fit``. Both callables are called in this process, in the calling thread, and what
        they raise ends the training.
    checkpoint : path-like, optional
        As for ``ConditionalVAE.fit``: written by the first process, in a folder that all machines see. Where a
        process is lost, all start anew, once, from there, and end bit for bit as if none had been (three or more
        if all are on one machine both times, or neither: it adds up in another order); without a checkpoint they
        begin again.

    Returns
    -------
    ConditionalVAE
        The fitted model, a new one.

    Raises
    ------
    ValueError, TypeError, FloatingPointError
        As ``ConditionalVAE.fit``.
    FileNotFoundError, PermissionError
        If a machine does not see a file that was named.
    TrainingError
        If the training breaks off twice.
    """
    seeds = model.random_state
    if not isinstance(seeds, int | np.integer):
        # Drawn from here as a fit would: the processes, those that are started anew too, get all the same.
        seeds = np.random.RandomState()
        seeds.set_state(check_random_state(model.random_state).get_state())
        check_random_state(model.random_state).randint(2**31, size=2)
    # Held by this process as long as it trains: what Ray is given to keep, it cannot make anew.
    kept = [_kept(part) for part in (X, y, *(validation or ()))]
    told = Queue(actor_options={"num_cpus": 0})
    answers = None if on_epoch is None else Queue(actor_options={"num_cpus": 0})
    work = _Work(
        {**model.get_params(), "random_state": seeds},
        kept,
        {
            "checkpoint": checkpoint
            if checkpoint is None or isinstance(checkpoint, Remote)
            else Path(checkpoint).absolute(),
            "checkpoint_every": checkpoint_every,
        },
        n_threads,
        told,
        answers,
    )
    has_devices = ray.cluster_resources().get("GPU", 0) >= n_processes  # type: ignore[no-untyped-call]
    scaling = ScalingConfig(
        num_workers=n_processes,
        use_gpu=has_devices and model.device != "cpu",
        resources_per_worker={"CPU": n_threads},
    )
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    with tempfile.TemporaryDirectory(prefix="latents-") as folder:
        # In a process of its own, where to cancel it is to press Ctrl-C. In this one Ray Train would keep Ctrl-C
        # to itself ever after or, in a thread, go on with nobody to stop it.
        run = _supervise.options(scheduling_strategy=here).remote(work, scaling, folder)
        try:
            fitted = _Listener(model, told, answers, callback, on_epoch).listen(run)
            ray.get(run)
        finally:
            _end(run)
            for queue in filter(None, (told, answers)):
                queue.shutdown(force=True)
    return fitted


@dataclass
class _Work:
    """What each process does."""

    parameters: dict[str, Any]
    data: list[Any]
    arguments: dict[str, Any]
    n_threads: int
    told: Queue
    answers: Queue | None

    def __call__(self) -> None:
        torch.set_num_threads(self.n_threads)
        model = ConditionalVAE(**self.parameters)
        try:
            X, y, *validation = map(_loaded, self.data)
            model.fit(
                X,
                y,
                validation=tuple(validation) or None,
                callback=lambda *told: self.told.put(("value", told)),
                on_epoch=None if self.answers is None else partial(_ask, self.told, self.answers),
                process_group=torch.distributed.group.WORLD,
                **self.arguments,
            )
        except _FINAL as error:
            self.told.put(("error", error))
            return
        if ray.train.get_context().get_world_rank() == 0:
            self.told.put(("model", _as_bytes(model)))


def _ask(told: Queue, answers: Queue, model: ConditionalVAE, epoch: int) -> Mapping[str, float]:
    told.put(("look", (_as_bytes(model), epoch)))
    while True:  # an answer may be left that a lost process has asked for
        of_epoch, values = answers.get()
        if of_epoch == epoch:
            found: Mapping[str, float] = values
            return found


@ray.remote(num_cpus=0, max_retries=0)
def _supervise(work: _Work, scaling: ScalingConfig, folder: str) -> None:
    TorchTrainer(
        work.__call__,
        scaling_config=scaling,
        run_config=RunConfig(  # type: ignore[call-arg]  # which is another class where Ray is typed than where it runs
            name="training",
            storage_path=folder,
            failure_config=FailureConfig(max_failures=1, controller_failure_limit=_STARTS),  # type: ignore[call-arg]
            logging_config=LoggingConfig(log_level="WARNING"),
        ),
    ).fit()


def _end(run: Any) -> None:
    """Let a training that still runs give back its cores before it goes: killed, it would keep them."""
    if ray.wait([run], timeout=0)[0]:
        return  # Ray 2.60 may end this very process when what has just ended is cancelled
    # Not what it has started in its turn: it is the one who ends that.
    ray.cancel(run, recursive=False)
    if not ray.wait([run], timeout=_SECONDS_TO_END)[0]:
        ray.cancel(run, force=True)


@dataclass
class _Listener:
    """Who hears the first process: it is told each thing once, also by one that was started anew."""

    model: ConditionalVAE
    told: Queue
    answers: Queue | None
    callback: Callback | None
    on_epoch: OnEpoch | None
    heard: set[tuple[str, int]] = field(default_factory=set)
    looks: dict[int, Mapping[str, float]] = field(default_factory=dict)

    def listen(self, run: Any) -> ConditionalVAE:
        """Return the fitted model that `run` ends in."""
        while True:
            has_ended = bool(ray.wait([run], timeout=0)[0])
            try:
                kind, message = self.told.get(timeout=_SECONDS_OF_A_LOOK)
            except Empty:
                if not has_ended:
                    continue
                try:
                    ray.get(run)
                except RayError as error:
                    raise TrainingError(
                        "the training broke off, was started anew once and broke off again (the error before this)"
                    ) from error
                raise TrainingError("the training has ended without a model") from None
            if kind == "error":
                raise message
            if kind == "model":
                return self._model_of(message)
            if kind == "look":
                self._look(*message)
            if kind == "value":
                self._hear(*message)

    def _hear(self, name: str, value: float, epoch: int) -> None:
        if self.callback is not None and (name, epoch) not in self.heard:
            self.callback(name, value, epoch)
        self.heard.add((name, epoch))

    def _look(self, content: bytes, epoch: int) -> None:
        if self.on_epoch is None or self.answers is None:
            raise TypeError("there is nobody to look at the model")
        if epoch not in self.looks:
            self.looks[epoch] = self.on_epoch(self._model_of(content), epoch) or {}
        self.answers.put((epoch, self.looks[epoch]))

    def _model_of(self, content: bytes) -> ConditionalVAE:
        with tempfile.TemporaryDirectory(prefix="latents-") as folder:
            path = Path(folder, "model.safetensors")
            path.write_bytes(content)
            model = ConditionalVAE.load(path)
        model.random_state = self.model.random_state
        return model


def _as_bytes(model: ConditionalVAE) -> bytes:
    """Return what ``save`` writes, whose form has no place for a generator."""
    if not isinstance(model.random_state, int | np.integer):
        model = copy.copy(model)
        model.random_state = None
    with tempfile.TemporaryDirectory(prefix="latents-") as folder:
        path = Path(folder, "model.safetensors")
        model.save(path)
        return path.read_bytes()


def _kept(part: Data) -> Any:
    if isinstance(part, os.PathLike):
        return Path(part).absolute()
    return ray.put(part if are_blocks(part, reread=True) else np.asarray(part))


def _loaded(part: Any) -> Any:
    return np.load(part, mmap_mode="r") if isinstance(part, Path) else ray.get(part)
