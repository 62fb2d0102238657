"""Two runs never write the same outputs at once, and what a killed run has left is cleared up by the next."""

import atexit
import concurrent.futures.thread  # noqa: F401 - what is registered after it has its turn before its pools end
import logging
import threading
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
from latents.leases import HeldError, Leases, LostError
from latents.places import Place, Remote, guarded

logger = logging.getLogger(__name__)


class OutputsInUseError(click.ClickException):
    """Another run is writing to a folder that this run would write to."""


_WAY_OUT = "wait until it has ended, or run in another environment (--env), whose outputs lie elsewhere"


class OutputLockHook:
    """Holds a lock on every folder that a run writes to.

    The operating system frees the locks when the process ends, however it ends. Those in a store end by themselves
    (see ``leases``).
    """

    def __init__(self) -> None:
        self._held = ExitStack()
        self._leases = Leases(())
        atexit.register(lambda: self._held.close())
        # A store's driver works by threads, which are shut down before `atexit` has its turn.
        threading._register_atexit(self._give_back)  # type: ignore[attr-defined]

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> Generator[None, Any, Any]:
        """Take the locks, before MLflow opens a run, and clear up behind the killed."""
        self._held.close()  # of a run in this process that was interrupted
        with ExitStack() as taken:
            places = output_folders(pipeline, catalog)
            folders = {folder for folder in places if isinstance(folder, Path)}
            for folder in sorted(folders):
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    taken.enter_context(FileLock(folder / ".lock", timeout=0))
                except Timeout as error:
                    raise OutputsInUseError(f"another run is writing to {folder}; {_WAY_OUT}") from error
            try:
                leases = taken.enter_context(Leases({place for place in places if isinstance(place, Remote)}))
            except HeldError as error:
                raise OutputsInUseError(
                    f"another run is writing to {error.folder} ({error.who}); {_WAY_OUT}. The lock of a run that "
                    f"was killed ends by itself within {Leases.LENGTH:.0f} seconds."
                ) from error
            taken.enter_context(guarded(leases.check))
            for folder in sorted(folders | snapshot_folders(pipeline, catalog)):
                for restored in sweep(folder):
                    logger.warning("%s is as it was before a run replaced it that was killed", restored)
            result = yield
            self._held, self._leases = taken.pop_all(), leases
            self._held.callback(self._forget)
        return result

    @hook_impl(tryfirst=True)
    def before_node_run(self) -> None:
        """Begin no node that would write to what another may be writing to."""
        self._check()

    @hook_impl(tryfirst=True)
    def before_dataset_saved(self) -> None:
        """Write nothing that another may be writing."""
        self._check()

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

    def _check(self) -> None:
        try:
            self._leases.check()
        except LostError as error:
            raise OutputsInUseError(str(error)) from error

    def _forget(self) -> None:
        """Ask no more for locks that were given back at the end of a run."""
        self._leases = Leases(())

    def _give_back(self) -> None:
        """Free the locks in stores of a run that was interrupted; nothing is uploaded any more."""
        self._leases.close()


def output_folders(pipeline: Pipeline, catalog: DataCatalog) -> set[Place]:
    """Return the folders that a run of a pipeline writes to, but for those that only Kedro's own datasets know."""
    found = (place_of(catalog.get(name)) for name in pipeline.all_outputs())
    return {place.parent for place in found if place is not None}


def place_of(entry: Any) -> Place | None:
    """Return where an entry of the catalog has its file or folder; None where it has none, or only Kedro knows."""
    filepath = getattr(entry, "_place", None) or getattr(entry, "_filepath", None)
    if filepath is None or isinstance(filepath, Remote):
        return filepath
    return Path(filepath) if getattr(entry, "_protocol", "file") == "file" else None


def snapshot_folders(pipeline: Pipeline, catalog: DataCatalog) -> set[Path]:
    """Return the folders, within those, that fits write to while they run, and that are there."""
    folders: list[Any] = [getattr(catalog.get(name), "folder", None) for name in pipeline.inputs()]
    return {folder for folder in folders if isinstance(folder, Path) and folder.is_dir()}
