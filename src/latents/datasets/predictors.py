"""Trained models with all that it takes to use them, between the pipeline that trains and the one that uses."""

import logging
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from latents import predictors
from latents.datasets.placed import Placed
from latents.files import restore, share, whole_folder
from latents.places import Access, here, place
from latents.predictors.interface import MODEL
from latents.sealed import seal_of
from latents.tracking.current_run import current_run

logger = logging.getLogger(__name__)


class PredictorDataset(Placed, AbstractDataset[predictors.Candidate, predictors.Predictor]):
    """A predictor of this project, of whichever class, as a folder of safetensors and JSON.

    Where the pipeline has kept the estimator beside the folder, the folder's file is a second name of that one (a
    hard link, where the file system has such) and no copy.

    Saved, it is also a model of the MLflow run in progress, which registers it when it has ended well. MLflow
    keeps a copy of the folder: a version in its registry outlives the next run, and may be served elsewhere.

    Parameters
    ----------
    filepath : str
        The folder.
    trained_by : str
        The pipeline that saves it: the model's name in MLflow, and in the message where there is no folder yet.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        trained_by: str,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._place = place(filepath, credentials, fs_args)
        self._trained_by = trained_by
        self.metadata = metadata

    def load(self) -> predictors.Predictor:
        """Return the predictor."""
        if not self._exists():
            raise DatasetError(
                f"there is no trained model in {self._place}: train one first, by `kedro run --pipelines "
                f"{self._trained_by}` (with the same --env, if there is one)"
            )
        return predictors.load(here(self._place))

    def save(self, data: predictors.Candidate) -> None:
        """Write the predictor, whole or not at all, log it, and note it for the registry."""
        if isinstance(self._place, Path):
            data.predictor.save(self._place)
            kept, saved = self._place.parent / MODEL, self._place / MODEL
            if kept.is_file() and seal_of(kept) == seal_of(saved):
                share(kept, saved)
            self._log(data, self._place)
            return
        with TemporaryDirectory() as temporary:
            folder = Path(temporary) / self._place.name  # by which MLflow calls it
            data.predictor.save(folder)
            with whole_folder(self._place) as new:
                shutil.copytree(folder, new, dirs_exist_ok=True)
            self._log(data, folder)

    def _log(self, data: predictors.Candidate, folder: Path) -> None:
        if current_run.run_id is None:
            logger.info("MLflow is off: no model is logged")
            return
        from latents.tracking.model import log_model  # imports MLflow

        model_id = log_model(self._trained_by, data, folder)
        current_run.logged_models[self._trained_by] = (model_id, data.headline)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._place), "trained_by": self._trained_by}

    def _exists(self) -> bool:
        restore(self._place)
        return self._place.is_dir()
