"""Trained models with all that it takes to use them, between the pipeline that trains and the one that uses."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from latents import predictors
from latents.files import restore


class PredictorDataset(AbstractDataset[predictors.Predictor, predictors.Predictor]):
    """A predictor of this project, of whichever class, as a folder of safetensors and JSON.

    Parameters
    ----------
    filepath : str
        The folder.
    trained_by : str
        The pipeline that saves it, for the message where it has not yet.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(self, filepath: str, trained_by: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self._trained_by = trained_by
        self.metadata = metadata

    def load(self) -> predictors.Predictor:
        """Return the predictor."""
        if not self._exists():
            raise DatasetError(
                f"there is no trained model in {self._filepath}: train one first, by `kedro run --pipelines "
                f"{self._trained_by}` (with the same --env, if there is one)"
            )
        return predictors.load(self._filepath)

    def save(self, data: predictors.Predictor) -> None:
        """Write the predictor, whole or not at all."""
        data.save(self._filepath)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "trained_by": self._trained_by}

    def _exists(self) -> bool:
        restore(self._filepath)
        return self._filepath.is_dir()
