"""Two runs never write the same outputs at once."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline


class OutputsInUseError(RuntimeError):
    """Another run is writing to a folder that this run would write to."""


class OutputLockHook:
    """Holds a lock on every folder that a run writes to.

    The operating system frees the locks when the process ends, however it ends.
    """

    def __init__(self) -> None:
        self._held = ExitStack()

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Take the locks, before MLflow opens a run."""
        self._held.close()  # of a run in this process that was interrupted
        with ExitStack() as taken:
            for folder in sorted(output_folders(pipeline, catalog)):
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    taken.enter_context(FileLock(folder / ".lock", timeout=0))
                except Timeout as error:
                    raise OutputsInUseError(
                        f"another run is writing to {folder}; wait until it has ended, or run in another "
                        "environment (--env), whose outputs lie elsewhere"
                    ) from error
            self._held = taken.pop_all()

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Release the locks."""
        self._held.close()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Release the locks."""
        self._held.close()


def output_folders(pipeline: Pipeline, catalog: DataCatalog) -> set[Path]:
    """Return the local folders that a run of a pipeline writes to."""
    folders = set()
    for name in pipeline.all_outputs():
        filepath: Any = getattr(catalog.get(name), "_filepath", None)
        if filepath is not None and getattr(catalog.get(name), "_protocol", "file") == "file":
            folders.add(Path(filepath).parent)
    return folders
