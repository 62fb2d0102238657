"""Catalog entries that speak to MLflow, so that nodes need not know of it."""

import logging
from collections.abc import Sequence
from typing import Any

import mlflow
from kedro.io import AbstractDataset, DatasetError

from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.whole import JSONDataset
from latents.tracking.current_run import current_run
from latents.tracking.model import REQUIREMENTS, log_model
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


class MlflowModelDataset(AbstractDataset[dict[str, Any], None]):
    """Logs a fitted estimator as a model of the MLflow run in progress.

    Parameters
    ----------
    name : str
        The model's name in the run.
    requirements : sequence of str
        The packages that the model runs on, beside those of every estimator.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self, name: str, requirements: Sequence[str] = (), metadata: dict[str, Any] | None = None
    ) -> None:
        self._name = name
        self._requirements = (*REQUIREMENTS, *requirements)
        self.metadata = metadata

    def load(self) -> None:
        """Refuse: the estimator itself is the catalog's model entry."""
        raise DatasetError("read the estimator from the catalog's model entry, or from MLflow")

    def save(self, data: dict[str, Any]) -> None:
        """Log the ``estimator`` of the mapping, with its ``input_example``."""
        if current_run.run_id is None:
            logger.info("MLflow is off: no model is logged")
            return
        log_model(self._name, data["estimator"], data["input_example"], self._requirements)

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name}
