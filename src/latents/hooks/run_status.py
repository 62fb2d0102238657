"""An MLflow run that was interrupted says so."""

import atexit
import signal
import threading
from types import FrameType
from typing import Any

import mlflow
from kedro.framework.hooks import hook_impl

from latents.tracking.child_run import end_open_children
from latents.tracking.current_run import current_run

# Ctrl-C, a request to end, and (where there is such a thing) a terminal that is closed.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class RunStatusHook:
    """Ends the MLflow run as KILLED when it is interrupted from outside.

    kedro-mlflow ends a run as FINISHED or, on an exception, FAILED. An interrupt is neither: it passes by
    Kedro's hooks, and MLflow itself would call the run finished when the process exits.
    """

    def __init__(self) -> None:
        self._former_handlers: dict[int, Any] = {}
        self._is_interrupted = False

    @hook_impl(tryfirst=True)
    def after_context_created(self) -> None:
        """Close what an interrupted run has left open in this process (a notebook's, say)."""
        self._end_as_killed()
        self._stop_watching()

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Note the run that kedro-mlflow has opened, and watch for interrupts."""
        active = mlflow.active_run()
        current_run.begin(active.info.run_id if active else None)
        self._is_interrupted = False
        if active and active.info.run_name == "__default__":
            mlflow.set_tag("mlflow.runName", "all pipelines")
        # Registered after MLflow's own exit function, and therefore run before it.
        atexit.register(self._end_as_killed)
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                # What was set to be ignored (by nohup, or for jobs in the background) stays so.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._former_handlers[number] = signal.signal(number, self._interrupt)

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """Stop watching."""
        self._stop_watching()

    @hook_impl
    def on_node_error(self) -> None:
        """Stop the fits of other threads: Kedro waits for them before it tells of the error."""
        current_run.request_stop()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Stop watching; kedro-mlflow has marked the run as FAILED, which is wrong if it was interrupted.

        Python drops what a signal's handler raises while it clears up an object. The fit then stops at its next
        step, by an error.
        """
        if self._is_interrupted:
            self._end_as_killed()
        self._stop_watching()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        # Fits in worker threads stop at their next step; the main thread stops here.
        self._is_interrupted = True
        current_run.request_stop()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    def _end_as_killed(self) -> None:
        if current_run.run_id is not None:
            for number in self._former_handlers:  # a second Ctrl-C must not leave it half done
                signal.signal(number, signal.SIG_IGN)
            if mlflow.active_run():
                mlflow.end_run("KILLED")
            mlflow.MlflowClient().set_terminated(current_run.run_id, "KILLED")
            end_open_children(current_run.run_id, "KILLED")
            current_run.end()

    def _stop_watching(self) -> None:
        current_run.end()
        atexit.unregister(self._end_as_killed)
        for number, handler in self._former_handlers.items():
            signal.signal(number, handler)
        self._former_handlers.clear()
