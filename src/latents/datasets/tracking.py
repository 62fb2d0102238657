"""Catalog entries that speak to MLflow, so that nodes need not know of it."""

import logging
from typing import Any

import mlflow

from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.whole import JSONDataset
from latents.places import Access, place
from latents.tracking.current_run import current_run
from latents.tracking.monitor import FitMonitor

logger = logging.getLogger(__name__)


class FitMonitorDataset(ReadOnlyDataset[FitMonitor]):
    """Loads a ``FitMonitor``: what a node hands to a long fit to be watched by.

    Parameters
    ----------
    prefix : str
        The pipeline's name, put before the names of its metrics.
    filepath : str, optional
        The checkpoint: a file that the fit writes to and reads from, again and again, while it runs. It outlives
        the fit, so that a run that ends while the fitted model is evaluated loses nothing; a run that ends well
        discards it (``hooks.checkpoints.CheckpointHook``).
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        prefix: str,
        filepath: str | None = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._prefix = prefix
        self._checkpoint = None if filepath is None else place(filepath, credentials, fs_args)
        super().__init__(metadata)

    def load(self) -> FitMonitor:
        """Return a monitor for the run in progress."""
        return FitMonitor(self._prefix, checkpoint=self._checkpoint)

    def discard(self) -> None:
        """Remove the checkpoint, if there is one."""
        if self._checkpoint is not None:
            self._checkpoint.unlink(missing_ok=True)

    def _describe(self) -> dict[str, Any]:
        return {"prefix": self._prefix, "filepath": self._checkpoint and str(self._checkpoint)}


class MetricsDataset(JSONDataset):
    """Flat names and numbers as a JSON file and as metrics of the MLflow run in progress.

    Parameters
    ----------
    filepath : str
        The JSON file.
    prefix : str
        Put before each name, with a slash, in MLflow; the file keeps the plain names.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        prefix: str,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            filepath=filepath,
            save_args={"indent": 2},
            credentials=credentials,
            fs_args=fs_args,
            metadata=metadata,
        )
        self._prefix = prefix

    def save(self, data: dict[str, float]) -> None:
        """Write the file, then log the metrics."""
        super().save.__wrapped__(self, data)  # type: ignore[attr-defined]
        if current_run.run_id is None:
            logger.info("MLflow is off: the metrics are in %s alone", self._place or self._filepath)
            return
        mlflow.log_metrics(
            {f"{self._prefix}/{name}": value for name, value in data.items()}, run_id=current_run.run_id
        )
