"""Catalog entries that speak to MLflow, so that nodes need not know of it."""

import logging
from typing import Any

import mlflow
from kedro.io import AbstractDataset, DatasetError

from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.whole import JSONDataset
from latents.predictors import Candidate
from latents.tracking.current_run import current_run
from latents.tracking.model import log_model
from latents.tracking.monitor import FitMonitor

logger = logging.getLogger(__name__)


class FitMonitorDataset(ReadOnlyDataset[FitMonitor]):
    """Loads a ``FitMonitor``: what a node hands to a long fit to be watched by.

    Parameters
    ----------
    prefix : str
        The pipeline's name, put before the names of its metrics.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(self, prefix: str, metadata: dict[str, Any] | None = None) -> None:
        self._prefix = prefix
        super().__init__(metadata)

    def load(self) -> FitMonitor:
        """Return a monitor for the run in progress."""
        return FitMonitor(self._prefix)

    def _describe(self) -> dict[str, Any]:
        return {"prefix": self._prefix}


class MetricsDataset(JSONDataset):
    """Flat names and numbers as a JSON file and as metrics of the MLflow run in progress.

    Parameters
    ----------
    filepath : str
        The JSON file.
    prefix : str
        Put before each name, with a slash, in MLflow; the file keeps the plain names.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(self, filepath: str, prefix: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(filepath=filepath, save_args={"indent": 2}, metadata=metadata)
        self._prefix = prefix

    def save(self, data: dict[str, float]) -> None:
        """Write the file, then log the metrics."""
        super().save.__wrapped__(self, data)  # type: ignore[attr-defined]
        if current_run.run_id is None:
            logger.info("MLflow is off: the metrics are in %s alone", self._filepath)
            return
        mlflow.log_metrics(
            {f"{self._prefix}/{name}": value for name, value in data.items()}, run_id=current_run.run_id
        )


class MlflowModelDataset(AbstractDataset[Candidate, None]):
    """Logs a predictor as a model of the MLflow run in progress, which registers it when it has ended well.

    Parameters
    ----------
    name : str
        The model's name in the run, and a part of its name in the registry.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(self, name: str, metadata: dict[str, Any] | None = None) -> None:
        self._name = name
        self.metadata = metadata

    def load(self) -> None:
        """Refuse: the predictor itself is another entry of the catalog."""
        raise DatasetError("read the predictor from the catalog's predictor entry, or from MLflow")

    def save(self, data: Candidate) -> None:
        """Log the predictor, and note it for the registry."""
        if current_run.run_id is None:
            logger.info("MLflow is off: no model is logged")
            return
        current_run.logged_models[self._name] = (log_model(self._name, data), data.headline)

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name}
