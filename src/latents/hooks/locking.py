"""Two runs never write the same outputs at once, and what a killed run has left is cleared up by the next."""

import logging
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from filelock import FileLock, Timeout
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from latents.files import sweep

logger = logging.getLogger(__name__)


class OutputsInUseError(click.ClickException):
    """Another run is writing to a folder that this run would write to."""


class OutputLockHook:
    """Holds a lock on every folder that a run writes to.

    The operating system frees the locks when the process ends, however it ends.
    """

    def __init__(self) -> None:
        self._held = ExitStack()

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> Generator[None, Any, Any]:
        """Take the locks, before MLflow opens a run, and clear up behind the killed."""
        self._held.close()  # of a run in this process that was interrupted
        with ExitStack() as taken:
            folders = output_folders(pipeline, catalog)
            for folder in sorted(folders):
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    taken.enter_context(FileLock(folder / ".lock", timeout=0))
                except Timeout as error:
                    raise OutputsInUseError(
                        f"another run is writing to {folder}; wait until it has ended, or run in another "
                        "environment (--env), whose outputs lie elsewhere"
                    ) from error
            for folder in sorted(folders | snapshot_folders(pipeline, catalog)):
                for restored in sweep(folder):
                    logger.warning("%s is as it was before a run replaced it that was killed", restored)
            result = yield
            self._held = taken.pop_all()
        return result

    @hook_impl(wrapper=True, tryfirst=True)
    def after_pipeline_run(self) -> Generator[None, Any, Any]:
        """Release the locks."""
        with self._held:
            return (yield)

    @hook_impl(wrapper=True, tryfirst=True)
    def on_pipeline_error(self) -> Generator[None, Any, Any]:
        """Release the locks."""
        with self._held:
            return (yield)


def output_folders(pipeline: Pipeline, catalog: DataCatalog) -> set[Path]:
    """Return the local folders that a run of a pipeline writes to."""
    folders = set()
    for name in pipeline.all_outputs():
        filepath: Any = getattr(catalog.get(name), "_filepath", None)
        if filepath is not None and getattr(catalog.get(name), "_protocol", "file") == "file":
            folders.add(Path(filepath).parent)
    return folders


def snapshot_folders(pipeline: Pipeline, catalog: DataCatalog) -> set[Path]:
    """Return the folders, within those, that fits write to while they run, and that are there."""
    folders: list[Path | None] = [getattr(catalog.get(name), "folder", None) for name in pipeline.inputs()]
    return {folder for folder in folders if folder is not None and folder.is_dir()}
