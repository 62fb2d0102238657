"""Work on a Ray cluster: actors that add up what they make of their blocks.

Each worker has a run of blocks one after the other, and adds up its own parts of the tree before it sends them, so
that one sum, or a few where the blocks cannot be dealt out by powers of two, goes up from each, and the parameters
go down to each machine once. A worker keeps nothing between two sums but its place: one that is lost begins anew,
on another machine if need be, and does its part again.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from latents.engines.interface import Engine
from latents.estimators.common.blocks import (
    NO_BLOCKS,
    Blocks,
    Composed,
    Task,
    as_it_is,
    in_turn,
    subtrees,
    sum_in_order,
    sum_of_subtrees,
)
from latents.estimators.common.threads import one_thread_each

if TYPE_CHECKING:
    import numpy as np
    import torch

    from latents.estimators import ConditionalVAE

B = TypeVar("B")
C = TypeVar("C")
S = TypeVar("S")

logger = logging.getLogger(__name__)

# Seconds until a cluster that does not answer, or has no room, is given up.
_PATIENCE = 20.0
# Seconds until a machine that has just begun to be of a cluster is known to its head.
_SECONDS_OF_A_NODE = 5
# Seconds that workers with a place may take to load all that they need, over a slow network too.
_LOADING = 120.0
# Seconds between two looks at whether the machines are still there that a sum waits for, at most.
_LOOK = 5.0
# A worker that has ended so often, as where its blocks outgrow its memory, is not begun again.
_MOST_RESTARTS = 4
# How an HTTP/2 connection begins, which is what Ray speaks, and the kind of the first frame of an answer.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = b"\x04"
# Images of a batch that a process trains on at least: fewer take it no longer than to speak with the others.
_LEAST_SHARE = 32
# Runs of blocks may differ from their even share by this part of it, where that spares sums.
_UNEVEN = 0.1
# What a worker and who asks it must have in common, or numbers or pickles may differ.
_SHARED = ("latents", "numpy", "scipy", "scikit-learn", "torch", "ray")
# Workers of a cluster of the engine's own, where it is not said how many.
_OWN_WORKERS = 2


class ClusterError(RuntimeError):
    """A cluster cannot be reached or cannot do what is asked of it."""


class RayEngine(Engine):
    """Works on blocks by the workers of a Ray cluster.

    Parameters
    ----------
    address : str, default="local"
        "local" begins a cluster of this machine alone, which ends with the engine; "auto" is the one that the
        variable RAY_ADDRESS names, or that this machine is of; else host:port of the head.
    n_workers : int, optional
        Where it is not given, as many as there are free processors for, and two on a cluster of the engine's own.
    n_threads : int, default=1
        Of each worker: so many blocks are worked on side by side, and so many processors are asked for.
    patience : float, default=20
        Seconds until a cluster that has no room for the workers is given up.

    Raises
    ------
    ValueError
        If a number is below 1.
    ModuleNotFoundError
        If Ray is not installed.
    ClusterError
        If there is no such cluster, it has no room, or a machine of it lacks this package or has another version.
    """

    is_elsewhere = True

    def __init__(
        self,
        address: str = "local",
        n_workers: int | None = None,
        n_threads: int = 1,
        *,
        patience: float = _PATIENCE,
    ) -> None:
        self.check_numbers(n_workers=n_workers, n_threads=n_threads)
        if address == "auto":
            address = os.environ.get("RAY_ADDRESS", address)
        self._ray = _ray(on_loopback=address == "local")
        self.n_threads, self._patience = n_threads, patience
        self._workers: list[Any] = []
        self._one_at_a_time = RLock()
        self._silent_since: float | None = None
        self._began = not self._ray.is_initialized()
        if self._began:
            if address == "local":
                n_workers = n_workers or _OWN_WORKERS
            begin(self._ray, address, (n_workers or 1) * n_threads)
        elif address not in ("local", "auto", there := self._ray.get_runtime_context().gcs_address):
            raise ClusterError(
                f"this process is connected to the cluster at {there}, and {address!r} is another"
            )
        try:
            _check_machines(self._ray)
            self.n_workers = n_workers or self._affordable()
            self._await_room(self.n_workers)
        except BaseException:
            self.close()
            raise

    def blocks(self, data: Any) -> Blocks[Any]:
        """Return data in blocks, as estimators take them."""
        return RayBlocks(self, self.put(data), len(data), as_it_is)

    def train(self, model: "ConditionalVAE", X: Any, y: Any, **given: Any) -> "ConditionalVAE":
        """Return a fitted model, trained by as many processes as there are workers.

        They are fewer where each would have less than some images of a batch.
        """
        from latents.engines.ray_training import TrainingError, train

        n_processes = max(1, min(self.n_workers, model.batch_size // _LEAST_SHARE))
        logger.info("Ray: %d processes of %d threads train", n_processes, self.n_threads)
        with self._one_at_a_time:
            self._end_workers()  # whose places it takes
            self._await_room(n_processes)
            try:
                return train(model, X, y, n_processes=n_processes, n_threads=self.n_threads, **given)
            except TrainingError as error:
                raise ClusterError(str(error)) from error

    def close(self) -> None:
        """End the workers, and the connection if it is the engine's own."""
        self._end_workers()
        if self._began:
            self._ray.shutdown()

    def _end_workers(self) -> None:
        while self._workers:
            self._ray.kill(self._workers.pop())

    def put(self, what: Any) -> Any:
        """Return what stands for something that workers are to have: it is sent to each machine once."""
        _send_tensors_as_arrays(self._ray)
        return self._ray.put(what)

    def add_up(self, source: Any, prepare: Any, work: Any, n_blocks: int) -> Any:
        """Return the sum over blocks, of which each worker adds up its own; all but `n_blocks` were ``put``."""
        with self._one_at_a_time:
            return self._add_up(source, prepare, work, n_blocks)

    def _add_up(self, source: Any, prepare: Any, work: Any, n_blocks: int) -> Any:
        edges = dealt_out(n_blocks, self.n_workers)
        runs = [
            (worker, subtrees(start, stop, n_blocks))
            for worker, (start, stop) in zip(self._begun(), pairwise(edges), strict=True)
            if start < stop
        ]
        found = self.get([worker.add_up.remote(source, prepare, work, parts) for worker, parts in runs])
        sums = {
            part: value
            for (_, parts), values in zip(runs, found, strict=True)
            for part, value in zip(parts, values, strict=True)
        }
        return sum_of_subtrees(sums, n_blocks)

    def of_first(self, source: Any, prepare: Any, work: Any) -> Any:
        """Return what work makes of the first block."""
        with self._one_at_a_time:
            ((value,),) = self.get([self._begun()[0].add_up.remote(source, prepare, work, [(0, 1)])])
        return value

    def get(self, waited_for: list[Any]) -> list[Any]:
        """Return what workers have made, or raise what has stopped them in their stead."""
        found: dict[Any, Any] = {}
        ray, pending = self._ray, list(waited_for)
        try:
            while pending:
                done, pending = ray.wait(pending, timeout=self._look, fetch_local=False)
                found |= {answer: ray.get(answer) for answer in done}  # what stops one is told at once
                if not done:
                    self._check_alive()
            return [found[answer] for answer in waited_for]
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"a worker has ended {_MOST_RESTARTS + 1} times, or its machine is lost, and Ray says: "
                f"{str(error).strip().splitlines()[0]}. Where it is memory, write smaller blocks or take fewer "
                "threads"
            ) from None

    @property
    def _look(self) -> float:
        return min(_LOOK, self._patience / 2)

    @property
    def _n_free(self) -> int:
        return int(self._ray.available_resources().get("CPU", 0))

    @property
    def _n_processors(self) -> int:
        return int(self._ray.cluster_resources().get("CPU", 0))

    def _affordable(self) -> int:
        """Return how many workers there is room for."""
        self._await_room(1)
        of_machines = sum(
            int(node["Resources"].get("CPU", 0)) // self.n_threads
            for node in self._ray.nodes()
            if node["Alive"]
        )
        return max(1, min(self._n_free // self.n_threads, of_machines))

    def _await_room(self, n_workers: int) -> None:
        """Wait until there is room for so many workers: what has just ended gives it back somewhat later."""
        wanted = n_workers * self.n_threads
        deadline = time.monotonic() + self._patience
        while (free := self._n_free) < wanted:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the cluster has {free} free processors of {self._n_processors}; "
                    f"n_workers={n_workers} with n_threads={self.n_threads} ask for {wanted}"
                )
            time.sleep(0.2)

    def _begun(self) -> list[Any]:
        """Return the workers, which begin when there is work, and stay."""
        if self._workers:
            return self._workers
        try:
            self._begin()
        except BaseException:
            self._end_workers()
            raise
        return self._workers

    def _begin(self) -> None:
        self._await_room(self.n_workers)  # which others may have taken since the engine was made
        ray = self._ray
        make = ray.remote(Worker).options(
            num_cpus=self.n_threads,
            max_restarts=_MOST_RESTARTS,
            max_task_retries=-1,
            max_concurrency=2,  # it says that it is there while it works
            scheduling_strategy="SPREAD",
        )
        self._workers = [make.remote(self.n_threads) for _ in range(self.n_workers)]
        asked = [worker.machine.remote() for worker in self._workers]
        done, _ = ray.wait(asked, num_returns=len(asked), timeout=_LOADING)
        if len(done) < len(asked):
            raise ClusterError(
                f"{len(done)} of {len(asked)} workers have begun within {_LOADING:.0f} s: the other machines are "
                "too slow, or somebody else has taken their places"
            )
        machines = self.get(asked)
        logger.info(
            "Ray: %d workers of %d threads on %s",
            len(asked),
            self.n_threads,
            ", ".join(sorted(set(machines))),
        )

    def _check_alive(self) -> None:
        """Say so where a worker has been silent for long and has no place to begin anew."""
        ray = self._ray
        asked = [worker.process.remote() for worker in self._workers]
        _, silent = ray.wait(asked, num_returns=len(asked), timeout=self._look, fetch_local=False)
        if not silent:
            self._silent_since = None
            return
        since = self._silent_since = self._silent_since or time.monotonic()
        free = self._n_free
        if time.monotonic() - since > self._patience and free < self.n_threads:
            self._silent_since = None
            raise ClusterError(
                f"{len(silent)} of {len(asked)} workers are gone, and {free} of {self._n_processors} processors "
                f"of the cluster are free: no room for one of {self.n_threads} threads to begin anew"
            )


def dealt_out(n_blocks: int, n_workers: int) -> list[int]:
    """Return where the runs of blocks of each worker begin and end, (n_workers + 1,).

    They are of like lengths, but for what lets them begin where larger parts of the tree do: the fewer sums go up.
    """
    share, edges = n_blocks / n_workers, [0]
    for worker in range(1, n_workers):
        even = worker * share
        edge, width = round(even), 2
        while width < n_blocks:
            rounder = width * round(even / width)
            if abs(rounder - even) <= _UNEVEN * share:
                edge = rounder
            width *= 2
        edges.append(min(max(edge, edges[-1]), n_blocks))
    return [*edges, n_blocks]


class RayBlocks(Blocks[B]):
    """Blocks that the workers of an engine read; `source` stands for the list of them, which all workers have."""

    def __init__(
        self, engine: RayEngine, source: Any, n_blocks: int, prepare: Callable[[Any, int], B]
    ) -> None:
        self._engine, self._source, self._n_blocks, self._prepare = engine, source, n_blocks, prepare
        if not n_blocks:
            raise ValueError(NO_BLOCKS)
        self._sent: Any = None

    def _prepared(self) -> Any:
        """Return what stands for `prepare`, which may have labels and weights of all documents: sent once."""
        if self._sent is None:
            self._sent = self._engine.put(self._prepare)
        return self._sent

    def add_up(self, work: Callable[[B], S]) -> S:
        """Return the sum of what work makes of the blocks."""
        sent = self._engine.put(work)
        total: S = self._engine.add_up(self._source, self._prepared(), sent, self._n_blocks)
        return total

    def of_first(self, work: Callable[[B], S]) -> S:
        """Return what work makes of the first block."""
        value: S = self._engine.of_first(self._source, self._prepared(), self._engine.put(work))
        return value

    def prepared(self, prepare: Callable[[B, int], C]) -> "RayBlocks[C]":
        """Return what workers prepare as they read it."""
        return RayBlocks(self._engine, self._source, self._n_blocks, Composed(self._prepare, prepare))


class Worker:
    """A process of the cluster that works on blocks, some side by side, each by one thread."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        # Polars, which is not here yet, would begin one for each processor of the machine.
        os.environ.setdefault("POLARS_MAX_THREADS", str(n_threads))

    def machine(self) -> str:
        """Return the name of the machine."""
        return socket.gethostname()

    def process(self) -> int:
        """Return the number of the process."""
        return os.getpid()

    def add_up(self, blocks: Any, prepare: Any, work: Any, parts: list[tuple[int, int]]) -> list[Any]:
        """Return the sum of each of some parts of the tree."""
        task = Task(prepare, work)
        try:
            with one_thread_each():
                sums = [
                    sum_in_order(
                        in_turn(task, ((number, blocks[number]) for number in range(*part)), self.n_threads)
                    )
                    for part in parts
                ]
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"the worker on {self.machine()} cannot see {error.filename or error}; allowed are blocks where "
                "all machines of the cluster see them by the same path"
            ) from error
        _send_tensors_as_arrays(_ray())
        return sums


def _ray(*, on_loopback: bool = False) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if on_loopback and "ray" not in sys.modules:
        # All that Ray listens on is then on 127.0.0.1, which it leaves to itself on other systems only. What it
        # does with no word of ours, too, it would warn of: that who calls must know the token of the user.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "there is no Ray to work on a cluster with; install it by: pip install 'latents[cluster]'",
            name="ray",
        ) from error
    return ray


def begin(ray: Any, address: str, n_processors: int, **given: Any) -> None:
    """Connect to a cluster, or begin one of this machine; as ``RayEngine`` does.

    Raises
    ------
    ClusterError
        If there is none at the address, it does not let this process in, or it is of another version.
    """
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, **given}
    if address == "local":
        options |= {"num_cpus": n_processors, "include_dashboard": False}
    elif address != "auto":
        _check_listens(address)
    try:
        if address != "local" and not address.startswith("ray://"):
            _check_is_of(address)
        ray.init(address=address, **options)
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise ClusterError(_why_not(ray, address, error)) from error
    except RuntimeError as error:
        if "ersion mismatch" not in str(error):
            raise
        raise ClusterError(
            f"the cluster at {address!r} is of another version: {_in_a_line(error)}"
        ) from error


def _check_is_of(address: str) -> None:
    """Ask the head, once and for some seconds, what Ray asks 20 times and for a minute."""
    try:
        from ray._private.authentication import authentication_token_setup as tokens
        from ray._private.services import canonicalize_bootstrap_address, get_node_to_connect_for_driver
        from ray._raylet import GcsClient  # type: ignore[attr-defined]
    except ImportError:  # these are Ray's own affair, and another version may have them elsewhere
        return
    # As ray.init does: without a token where one is asked for, the next line would end this process.
    if address == "auto":
        tokens.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    tokens.ensure_token_if_auth_enabled(create_token_if_missing=False)
    head = canonicalize_bootstrap_address(address)
    try:
        get_node_to_connect_for_driver(GcsClient(address=head), timeout_seconds=_SECONDS_OF_A_NODE)
    except RuntimeError as error:
        raise ClusterError(
            f"this machine is not of the cluster at {address!r}; type `ray start --address={head}` here, with "
            "--num-cpus=0 if it is not to work"
        ) from error


def _why_not(ray: Any, address: str, error: Exception) -> str:
    """Return why there is no way to a cluster, in words."""
    is_refused = "InvalidAuthToken" in f"{error} {error.__cause__}"
    where = "the cluster's in RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token"
    if not is_refused and not isinstance(error, ray.exceptions.AuthenticationError):
        return (
            f"no Ray cluster is found at {address!r}; begin one with `ray start --head`, or name its head as "
            "host:port"
        )
    if (mode := os.environ.get("RAY_AUTH_MODE")) != "token":
        return (
            f"the cluster at {address!r} asks for a token, and RAY_AUTH_MODE is {mode or 'not set'}; allowed is "
            f"token, with {where}"
        )
    if is_refused:
        return f"the token here is not that of the cluster at {address!r}; allowed is {where}"
    file = os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")
    return f"RAY_AUTH_MODE is token, and there is none in {file}; allowed is {where}"


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _check_listens(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ClusterError(
            f"the address of a cluster is {address!r}; allowed are 'local', 'auto' and host:port"
        )
    try:
        with socket.create_connection((host, int(port)), timeout=_PATIENCE / 2) as there:
            there.sendall(_PREFACE)
            answer = there.recv(9)
    except OSError as error:
        raise ClusterError(f"no Ray cluster answers at {address!r}: {error}") from error
    if answer[3:4] != _SETTINGS and not os.environ.get("RAY_USE_TLS"):
        raise ClusterError(f"what answers at {address!r} is no head of a Ray cluster")


def _check_machines(ray: Any) -> None:
    """Ask every machine of a cluster for what it has in common with this one."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = _versions()(_SHARED)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    asked = {}
    for node in nodes:
        on_it = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        # By value: a machine without the package can answer too.
        ask = ray.remote(_versions()).options(num_cpus=0, max_retries=0, scheduling_strategy=on_it)
        asked[ask.remote(_SHARED)] = node["NodeManagerAddress"]
    done, pending = ray.wait(list(asked), num_returns=len(asked), timeout=_PATIENCE)
    if pending:
        raise ClusterError(
            f"the machine {asked[pending[0]]} of the cluster does not answer within {_PATIENCE:.0f} s"
        )
    for answer in done:
        check_versions(asked[answer], ray.get(answer), here)


def check_versions(machine: str, there: Mapping[str, str | None], here: Mapping[str, str | None]) -> None:
    """Refuse a machine that lacks a package of this one, or has another version of it or of Python."""
    for name, found in there.items():
        if found is None:
            raise ClusterError(
                f"the machine {machine} of the cluster has no package {name}; install the same wheel and versions "
                "everywhere"
            )
        if found != here[name]:
            raise ClusterError(
                f"the machine {machine} of the cluster has {name} {found}, and this one {here[name]}; allowed is "
                "the same everywhere"
            )


def _versions() -> Callable[[tuple[str, ...]], dict[str, str | None]]:
    """Return what tells the versions of packages: a function that is sent as it is, not by its name here."""

    def versions(names: tuple[str, ...]) -> dict[str, str | None]:
        import platform
        from importlib.metadata import PackageNotFoundError, version

        found: dict[str, str | None] = {"Python": platform.python_version()}
        for name in names:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = None
        return found

    return versions


def _send_tensors_as_arrays(ray: Any) -> None:
    """Let tensors travel as the numbers they show: pickled they take along all that they are a part of."""
    if "torch" not in sys.modules:
        return  # there are none, and words and moments are not to wait for it
    import torch

    ray.util.register_serializer(torch.Tensor, serializer=_array, deserializer=_tensor)


def _array(tensor: "torch.Tensor") -> "np.ndarray[Any, Any]":
    import numpy as np

    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def _tensor(array: "np.ndarray[Any, Any]") -> "torch.Tensor":
    import torch

    return torch.tensor(array)  # what arrives is read-only
