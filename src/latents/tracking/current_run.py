"""The one run of this process: its MLflow identity, its models, and whether it has been asked to stop.

MLflow's own active run belongs to a thread, so a fit in a worker thread would not find it. The hooks write
here, and whatever logs or computes for long reads here.
"""

import threading

from latents.predictors import Headline


class RunInterrupted(Exception):  # noqa: N818 - it is an interruption, not an error
    """The run was asked to stop (from outside, or since another node failed) while this thread was computing."""


class CurrentRun:
    """MLflow's identifier of the run in progress, the models it has logged, and the request to stop it."""

    def __init__(self) -> None:
        # That of a plain `kedro run`, of ``conf/base`` and ``conf/local``, is called base.
        self.environment = "base"
        self.run_id: str | None = None
        # By pipeline: MLflow's identifier of the model, and by what it is compared.
        self.logged_models: dict[str, tuple[str, Headline]] = {}
        self._stop = threading.Event()
        self.is_interrupted = False

    def begin(self, run_id: str | None) -> None:
        """Note the run that starts; `run_id` is None where MLflow is switched off."""
        self.run_id = run_id
        self.logged_models.clear()
        self._stop.clear()
        self.is_interrupted = False

    def end(self) -> None:
        """Forget the run, once no thread of it is left."""
        self.begin(None)

    def request_stop(self) -> None:
        """Ask every thread of the run to stop at its next step."""
        self._stop.set()

    def interrupt(self) -> None:
        """Ask the same, from outside: however the run then ends, it was killed and did not fail."""
        self.is_interrupted = True
        self.request_stop()

    def raise_if_stopped(self) -> None:
        """Raise ``RunInterrupted`` once the run has been asked to stop."""
        if self._stop.is_set():
            raise RunInterrupted("the run was asked to stop")


current_run = CurrentRun()
