"""Watching a fit while it runs: points to MLflow, a bar on the terminal, and a way to stop it."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Self

import rich
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from latents.key_numbers import written
from latents.predictors import Champion
from latents.tracking import registry
from latents.tracking.child_run import child_run
from latents.tracking.current_run import RunInterrupted, current_run
from latents.tracking.store import PATIENCE, briefly, reason

logger = logging.getLogger(__name__)

Callback = Callable[[str, float, int], None]
FindRun = Callable[[], str | None]


class FitMonitor:
    """Makes the callbacks that estimators report to.

    Parameters
    ----------
    prefix : str
        Put before each metric's name, followed by ``/fit/``: what is measured along the way must not mix with
        the final metrics of the same names. MLflow's pages group metrics by such prefixes.
    flush_seconds : float
        Points are sent this often: one request for many points costs little more than one for a single point.
    log_seconds : float
        Without a terminal, a line of progress goes to the log this often.
    find_run : callable, optional
        Gives the MLflow run that is written to, or None where there is none: by default the run in progress,
        which may start after the monitor is made.
    checkpoint : path-like, optional
        A file that the fit itself writes to and goes on from, where there is one for it; it need not be there.
    """

    def __init__(
        self,
        prefix: str,
        flush_seconds: float = 1.0,
        log_seconds: float = 10.0,
        find_run: FindRun = lambda: current_run.run_id,
        checkpoint: os.PathLike[str] | None = None,
    ) -> None:
        self._prefix = prefix
        self._flush_seconds = flush_seconds
        self._log_seconds = log_seconds
        self._find_run = find_run
        self.checkpoint = checkpoint

    @contextmanager
    def watch(self, task: str, total: int | None = None, log_metrics: bool = True) -> Iterator[Callback]:
        """Give a callback ``(name, value, step)`` for the length of the block.

        Parameters
        ----------
        task : str
            What the progress bar says.
        total : int, optional
            The last step, where it is known.
        log_metrics : bool
            Whether the values are metrics of the MLflow run, or only signs of life.
        """
        points = self._points("fit") if log_metrics else nullcontext()
        with points as add, _progress(task, total, self._log_seconds) as advance:
            shown = None

            def callback(name: str, value: float, step: int) -> None:
                nonlocal shown
                current_run.raise_if_stopped()
                if add is not None:
                    add(name, value, step)
                shown = shown or name  # of several values, the one that comes first is the one to watch
                if name == shown:
                    advance(step, f"{name} {written(name, value)}" if log_metrics else "")

            yield callback

    @contextmanager
    def trial(self, name: str, parameters: Mapping[str, Any]) -> Iterator[Self]:
        """Give a monitor for one fit of several: what it is told goes to a child run of its own.

        Parameters
        ----------
        name : str
            What tells the fits apart, as "K = 20".
        parameters : mapping
            The arguments of the fit.
        """
        named = {f"{self._prefix}.fit.{key}": value for key, value in parameters.items()}
        with child_run(self._find_run(), f"{self._prefix} {name}", named) as child:
            yield type(self)(self._prefix, self._flush_seconds, self._log_seconds, lambda: child)

    def champion(self) -> Champion | None:
        """Return the champion among the registered models of the pipeline, in the environment of this run.

        None where there is none, MLflow is off, or the registry does not answer, which it tells: it is there to
        look back, which should not cost the run.
        """
        if self._find_run() is None:
            return None
        name = registry.registered_name(self._prefix, current_run.environment)
        try:
            return registry.champion(name)
        except Exception as error:
            logger.warning(
                "the champion of %s cannot be read (%s): nothing is held against it", name, reason(error)
            )
            return None

    def record(self, metrics: Mapping[str, float], step: int = 0, group: str | None = None) -> None:
        """Write metrics that are final, or one point each of curves over `step`.

        Parameters
        ----------
        metrics : mapping
            Flat names and numbers.
        step : int
            Where the points lie.
        group : str, optional
            Put between prefix and names, parted by slashes.
        """
        with self._points(group) as add:
            for name, value in metrics.items():
                add(name, value, step)

    def record_parameters(self, parameters: Mapping[str, Any], group: str) -> None:
        """Write what a fit goes by that the run's own parameters do not say, where these are ``auto``.

        Parameters
        ----------
        parameters : mapping
            Names and values.
        group : str
            Put between prefix and names, parted by dots as in the names of the run's own parameters, none of which
            MLflow lets one write twice.
        """
        if (run_id := self._find_run()) is not None:
            named = [Param(f"{self._prefix}.{group}.{key}", str(value)) for key, value in parameters.items()]
            try:
                with briefly():
                    MlflowClient().log_batch(run_id, params=named)
            except Exception as error:  # which should not cost the fit
                logger.warning("MLflow took no parameters of %s (%s)", self._prefix, reason(error))

    def _points(self, group: str | None) -> "_Points":
        prefix = f"{self._prefix}/{group}" if group else self._prefix
        return _Points(prefix, self._flush_seconds, self._find_run)


class _Points:
    """Metric points on their way to MLflow; a thread sends them in batches, so that the fit need not wait."""

    MAX_BATCH = 1000  # MLflow refuses larger requests

    def __init__(self, prefix: str, flush_seconds: float, find_run: FindRun) -> None:
        self._prefix = prefix
        self._flush_seconds = flush_seconds
        self._find_run = find_run
        self._points: list[Metric] = []
        self._waiting = 0  # those that are on their way among them
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._sender = threading.Thread(target=self._send_now_and_then, daemon=True)

    def __enter__(self) -> Callback:
        self._sender.start()
        return self._add

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._done.set()
        is_interrupted = kind is not None and (not issubclass(kind, Exception) or kind is RunInterrupted)
        # Of a fit that has been done, MLflow's own tries are waited for.
        self._sender.join(PATIENCE if is_interrupted else None)
        with briefly():
            for pause in (0.0,) if is_interrupted else (0.0, 0.5, 1.0):  # a last few tries
                time.sleep(pause)
                if not self._sender.is_alive():
                    self._send()
                if not self._waiting:
                    return
        logger.error("%d metric points never reached MLflow", self._waiting)

    def _add(self, name: str, value: float, step: int) -> None:
        point = Metric(f"{self._prefix}/{name}", float(value), int(time.time() * 1000), step)
        with self._lock:
            self._points.append(point)
            self._waiting += 1

    def _send_now_and_then(self) -> None:
        while not self._done.wait(self._flush_seconds):
            self._send()

    def _send(self) -> None:
        with self._lock:
            points, self._points = self._points, []
        run_id = self._find_run()
        if run_id is None:
            self._waiting = 0
            return
        client = MlflowClient()
        while points:
            try:
                client.log_batch(run_id, metrics=points[: self.MAX_BATCH])
            except Exception as error:
                # Whatever keeps MLflow's store away for a while should not cost the fit.
                logger.warning("MLflow took no metrics (%s); %d points wait", reason(error), len(points))
                with self._lock:
                    self._points = points + self._points
                return
            with self._lock:
                self._waiting -= len(points[: self.MAX_BATCH])
            points = points[self.MAX_BATCH :]


class _Display:
    """The terminal's one live display, shared by fits that run at the same time in several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None

    def add(self, task: str, total: int | None) -> tuple[Progress, TaskID]:
        with self._lock:
            if self._progress is None:
                self._progress = Progress(
                    TextColumn("{task.description}"),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TimeElapsedColumn(),
                    TextColumn("{task.fields[value]}"),
                    console=rich.get_console(),
                    transient=True,
                )
                self._progress.start()
            return self._progress, self._progress.add_task(task, total=total, value="")

    def remove(self, task_id: TaskID) -> None:
        with self._lock:
            if self._progress is not None:
                self._progress.remove_task(task_id)
                if not self._progress.task_ids:
                    self._progress.stop()
                    self._progress = None


_display = _Display()


@contextmanager
def _progress(task: str, total: int | None, log_seconds: float) -> Iterator[Callable[[int, str], None]]:
    """Show progress on the terminal, or in the log where there is none."""
    if rich.get_console().is_terminal:
        progress, task_id = _display.add(task, total)

        def show(step: int, value: str) -> None:
            progress.update(task_id, completed=step, value=value)

        try:
            yield show
        finally:
            _display.remove(task_id)
        return

    last = time.monotonic()

    def tell(step: int, value: str) -> None:
        nonlocal last
        if time.monotonic() - last >= log_seconds:
            last = time.monotonic()
            logger.info("%s: %d%s %s", task, step, f" of {total}" if total else "", value)

    yield tell
