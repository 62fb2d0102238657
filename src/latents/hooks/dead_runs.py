"""What MLflow was not told of the end of a run, the next run tells."""

import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from mlflow.exceptions import MlflowException

from latents.files import whole_file
from latents.hooks.locking import output_folders
from latents.places import Place, PlaceError
from latents.tracking import store
from latents.tracking.child_run import end_open_children
from latents.tracking.current_run import current_run

logger = logging.getLogger(__name__)


class OpenRun(NamedTuple):
    """A run that MLflow may take for running, and what to tell it once the run's process is gone."""

    run_id: str
    status: str
    address: str


class DeadRunHook:
    """Ends MLflow runs whose process had no time to do so (``kill -9``, a power failure), or no store to tell.

    A run leaves its MLflow identifier beside the lock of every folder that it writes to, and removes it when
    MLflow has been told of its end. Who holds the lock and still finds one knows that its process is gone.
    """

    def __init__(self) -> None:
        self._marks: list[Place] = []
        self._untold: list[OpenRun] = []

    @hook_impl(trylast=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """End the dead, and leave the identifier of the run that begins; the locks are held by now."""
        self._marks = [folder / ".run" for folder in sorted(output_folders(pipeline, catalog), key=str)]
        found = {run for mark in self._marks if mark.is_file() for run in _read(mark)}
        # First of all the run that begins: telling of others may take seconds, in which it can be killed itself.
        self._untold = sorted(found)
        self._leave("KILLED")
        if found:
            # What is of another store waits for a run that writes to it.
            self._untold = [run for run in self._untold if run.address != _address() or not _end(run)]
            self._leave("KILLED")

    @hook_impl(wrapper=True)
    def after_pipeline_run(self) -> Generator[None, Any, Any]:
        """Remove the mark once MLflow has taken the run's end."""
        return (yield from self._told("FINISHED"))

    @hook_impl(wrapper=True)
    def on_pipeline_error(self) -> Generator[None, Any, Any]:
        """Remove the mark once MLflow has taken the run's end, for which it is asked but once.

        An interrupt is no error, but what it breaks off may end by one (``RunStatusHook.on_pipeline_error``).
        """
        with store.briefly():
            return (yield from self._told("KILLED" if current_run.is_interrupted else "FAILED"))

    def _told(self, status: str) -> Generator[None, Any, Any]:
        self._leave(status)
        try:
            result = yield
        except MlflowException as error:
            logger.error(
                "MLflow was not told that the run %s is %s (%s); the next run tells it",
                *(current_run.run_id, status, store.reason(error)),
            )
            return None
        self._leave(None)
        return result

    def _leave(self, status: str | None) -> None:
        """Write the marks anew: what is untold, and with a status the run in progress."""
        runs = list(self._untold)
        if status is not None and current_run.run_id is not None:
            runs.append(OpenRun(current_run.run_id, status, _address()))
        for mark in list(self._marks):
            if mark not in self._marks:  # of a store that is away
                continue
            try:
                if runs:
                    with whole_file(mark) as temporary:
                        temporary.write_text("".join(f"{' '.join(run)}\n" for run in runs))
                else:
                    mark.unlink(missing_ok=True)
            except PlaceError as error:  # of what the run itself writes there it will be told
                logger.warning("%s", error)
                self._marks = [mark for mark in self._marks if isinstance(mark, Path)]


def _address() -> str:
    return store.shown(mlflow.get_tracking_uri())


def _read(mark: Place) -> list[OpenRun]:
    """Return the runs that a mark names; earlier versions left an identifier alone."""
    lines = (line.split(" ", 2) for line in mark.read_text().splitlines())
    return [OpenRun(words[0], *(words[1:] or ("KILLED", _address()))) for words in lines]


def _end(run: OpenRun) -> bool:
    """Tell MLflow that a run has ended, and how; whether there is nothing more to do about it."""
    client = mlflow.MlflowClient()
    try:
        with store.briefly():
            if client.get_run(run.run_id).info.status == "RUNNING":
                client.set_terminated(run.run_id, run.status)
                end_open_children(run.run_id, run.status)
    except MlflowException as error:
        logger.warning(
            "the run %s, whose process is gone, could not be marked as %s (%s)",
            *(run.run_id, run.status, store.reason(error)),
        )
        return not store.is_away(error)
    return True
