"""A run whose process was killed outright is told of by the next one."""

import logging
from pathlib import Path

import mlflow
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from mlflow.exceptions import MlflowException

from latents.files import whole_file
from latents.hooks.locking import output_folders
from latents.tracking.child_run import end_open_children
from latents.tracking.current_run import current_run

logger = logging.getLogger(__name__)


class DeadRunHook:
    """Ends MLflow runs as KILLED whose process had no time to do so (``kill -9``, a power failure).

    A run leaves its MLflow identifier beside the lock of every folder that it writes to, and removes it when it
    ends. Who holds the lock and still finds one knows that its process is gone.
    """

    def __init__(self) -> None:
        self._marks: list[Path] = []

    @hook_impl(trylast=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """End the dead, and leave the identifier of the run that begins; the locks are held by now."""
        self._marks = [folder / ".run" for folder in sorted(output_folders(pipeline, catalog))]
        for run_id in {mark.read_text() for mark in self._marks if mark.is_file()}:
            _end_as_killed(run_id)
        self._remove_marks()
        if current_run.run_id is not None:
            for mark in self._marks:
                with whole_file(mark) as temporary:
                    temporary.write_text(current_run.run_id)

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """Remove the marks."""
        self._remove_marks()

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self) -> None:
        """Remove the marks."""
        self._remove_marks()

    def _remove_marks(self) -> None:
        for mark in self._marks:
            mark.unlink(missing_ok=True)


def _end_as_killed(run_id: str) -> None:
    client = mlflow.MlflowClient()
    try:
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_terminated(run_id, "KILLED")
            end_open_children(run_id, "KILLED")
    except MlflowException as error:
        logger.warning("the run %s, whose process is gone, could not be marked as killed (%s)", run_id, error)
