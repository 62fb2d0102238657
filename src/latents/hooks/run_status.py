"""An MLflow run that was interrupted says so, and the process ends soon, whatever MLflow does."""

import atexit
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Generator
from types import FrameType
from typing import Any

import click
import mlflow
from kedro.framework.hooks import hook_impl
from mlflow.exceptions import MlflowException

from latents import files
from latents.tracking import store
from latents.tracking.child_run import end_open_children
from latents.tracking.current_run import current_run

logger = logging.getLogger(__name__)

# Ctrl-C, a request to end, and (where there is such a thing) a terminal that is closed.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class RunStatusHook:
    """Ends the MLflow run as KILLED when it is interrupted from outside.

    kedro-mlflow ends a run as FINISHED or, on an exception, FAILED. An interrupt is neither: it passes by
    Kedro's hooks, and MLflow itself would call the run finished when the process exits.

    A command (``kedro run``) that is interrupted ends within `store.PATIENCE` seconds with 128 and the signal's
    number; what MLflow has not taken by then, the next run tells it (``DeadRunHook``). A second signal ends it at
    once, and so does the first before anything has begun. Elsewhere, in a notebook say, Ctrl-C is Python's
    ``KeyboardInterrupt``.
    """

    def __init__(self) -> None:
        self._former_handlers: dict[int, Any] = {}
        self._former_unraisable = sys.unraisablehook
        self._raised: BaseException | None = None
        self._signal: int | None = None
        self._is_command = False
        self._has_begun = False
        self._is_ending = threading.Event()

    @hook_impl(wrapper=True, tryfirst=True)
    def after_context_created(self) -> Generator[None, Any, Any]:
        """Close what an interrupted run has left open in this process (a notebook's, say), and watch a command.

        From before MLflow's store is asked, which may take seconds.
        """
        self._end_as_killed()
        self._stop_watching()
        self._signal = self._raised = None
        self._has_begun = False
        self._is_command = _is_run_command()
        if self._is_command:
            self._watch()
            threading.Thread(target=self._end_in_time, daemon=True).start()
        return (yield)

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Note the run that kedro-mlflow has opened, and watch for interrupts."""
        active = mlflow.active_run()
        self._begin(active)
        self._watch()
        if self._is_command and self._signal is not None:  # Python had dropped it
            raise SystemExit(128 + self._signal)
        if active and active.info.run_name == "__default__":
            mlflow.set_tag("mlflow.runName", "all pipelines")

    @hook_impl(tryfirst=True)
    def before_node_run(self) -> None:
        """Begin no node once the run has been asked to stop."""
        current_run.raise_if_stopped()

    @hook_impl(wrapper=True, tryfirst=True)
    def after_pipeline_run(self) -> Generator[None, Any, Any]:
        """Stop watching."""
        try:
            return (yield)
        finally:
            self._stop_watching()

    @hook_impl
    def on_node_error(self) -> None:
        """Stop the fits of other threads: Kedro waits for them before it tells of the error."""
        current_run.request_stop()

    @hook_impl(wrapper=True, tryfirst=True)
    def on_pipeline_error(self) -> Generator[None, Any, Any]:
        """Stop watching; kedro-mlflow has marked the run as FAILED, which is wrong if it was interrupted.

        Python drops what a signal's handler raises while it clears up an object (``_drop``). The fit then stops
        at its next step, by an error.
        """
        try:
            result = yield
        finally:
            if self._signal is not None:
                self._end_as_killed()
            self._stop_watching()
        if self._signal is not None and self._is_command:
            raise SystemExit(128 + self._signal)
        return result

    def _begin(self, active: mlflow.ActiveRun | None) -> None:
        self._has_begun = True
        current_run.begin(active.info.run_id if active else None)
        atexit.register(self._end_as_killed)  # after MLflow's own exit function, and therefore run before it

    def _watch(self) -> None:
        if threading.current_thread() is threading.main_thread() and not self._former_handlers:
            for number in SIGNALS:
                # What was set to be ignored (by nohup, or for jobs in the background) stays so.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._former_handlers[number] = signal.signal(number, self._interrupt)
            if self._former_handlers:
                self._former_unraisable, sys.unraisablehook = sys.unraisablehook, self._drop

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._is_command and self._signal is not None:
            _exit_at_once(number)
        if self._is_command and not self._has_begun:
            active = mlflow.active_run()
            if active is None:
                # Nothing is there to be ended; what libraries do while they are imported takes no exceptions.
                _exit_at_once(number)
            self._begin(active)
        # Fits in worker threads stop at their next step; the main thread stops here.
        self._signal = number
        current_run.interrupt()
        if self._is_command:
            self._is_ending.set()
        is_pythons = number == signal.SIGINT and not self._is_command
        self._raised = KeyboardInterrupt() if is_pythons else SystemExit(128 + number)
        raise self._raised

    def _drop(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """Say nothing of an interrupt that Python drops: every thread has been asked to stop all the same."""
        if unraisable.exc_value is None or unraisable.exc_value is not self._raised:
            self._former_unraisable(unraisable)

    def _end_in_time(self) -> None:
        """Wait for an interrupt, and then for the process to end: it may be waiting for a long step, or MLflow."""
        self._is_ending.wait()
        time.sleep(0.75 * store.PATIENCE)
        last_try = threading.Thread(target=self._tell_that_it_is_killed, daemon=True)
        last_try.start()
        last_try.join(0.2 * store.PATIENCE)
        _exit_at_once(self._signal or signal.SIGTERM)

    def _end_as_killed(self) -> None:
        if current_run.run_id is not None:
            self._tell_that_it_is_killed()
            current_run.end()

    def _tell_that_it_is_killed(self) -> None:
        run_id = current_run.run_id
        if run_id is None:
            return
        try:
            with store.briefly():
                if mlflow.active_run():  # of this thread
                    mlflow.end_run("KILLED")
                mlflow.MlflowClient().set_terminated(run_id, "KILLED")
                end_open_children(run_id, "KILLED")
        except MlflowException as error:
            logger.error(
                "MLflow was not told that the run %s is KILLED (%s); the next run tells it",
                *(run_id, store.reason(error)),
            )

    def _stop_watching(self) -> None:
        current_run.end()
        atexit.unregister(self._end_as_killed)
        for number, handler in self._former_handlers.items():
            signal.signal(number, handler)
        if self._former_handlers and sys.unraisablehook == self._drop:
            sys.unraisablehook = self._former_unraisable
        self._former_handlers.clear()


def _is_run_command() -> bool:
    """Tell ``kedro run`` and ``python -m latents`` from sessions of a notebook's or a script's own."""
    context = click.get_current_context(silent=True)
    return context is not None and context.command.name == "run"


def _exit_at_once(number: int) -> None:
    try:
        files.remove_own(final=False)
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), b"\x1b[?25h\n")  # a progress bar hides the cursor
    finally:
        os._exit(128 + number)
