"""What a long fit leaves on its way: files that are there while it still runs."""

import io
import logging
import os
from collections.abc import Mapping
from typing import Any

import mlflow
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from latents.datasets.read_only import ReadOnlyDataset
from latents.files import whole_file
from latents.places import Access, Place, place
from latents.tracking.current_run import current_run
from latents.tracking.store import reason

logger = logging.getLogger(__name__)


class Snapshots:
    """A folder of arrays and pictures by epoch, kept where its entry says and by the MLflow run in progress.

    Parameters
    ----------
    folder : Path or Remote
        Gets ``epoch_<number>.npz`` and ``epoch_<number>.png``.
    artifact_path : str
        The folder of the pictures in MLflow.
    """

    def __init__(self, folder: Place, artifact_path: str) -> None:
        self._folder = folder
        self._artifact_path = artifact_path

    def clear(self) -> None:
        """Remove what an earlier fit has left."""
        for kind in ("npz", "png"):
            for path in self._folder.glob(f"epoch_*.{kind}"):
                path.unlink()

    def save(self, epoch: int, arrays: Mapping[str, NDArray[Any]], picture: Figure) -> None:
        """Write arrays of numbers and a picture, each whole or not at all."""
        path = self._folder / f"epoch_{epoch:04d}.png"
        content = io.BytesIO()
        picture.savefig(content, format="png")
        with whole_file(path) as temporary:
            temporary.write_bytes(content.getvalue())
        with whole_file(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        if current_run.run_id is None:
            return
        try:
            mlflow.MlflowClient().log_artifact(current_run.run_id, os.fspath(path), self._artifact_path)
        except Exception as error:
            # Whatever keeps MLflow's store away for a while should not cost the fit.
            logger.warning("MLflow took no picture of epoch %d (%s); it is %s", epoch, reason(error), path)

    def load(self) -> dict[int, dict[str, NDArray[Any]]]:
        """Return the arrays by epoch, in rising order."""
        found = {}
        paths: list[Place] = sorted(self._folder.glob("epoch_*.npz"), key=str)
        for path in paths:
            with np.load(path, allow_pickle=False) as file:
                found[int(path.stem.removeprefix("epoch_"))] = {name: file[name] for name in file.files}
        return found


class SnapshotsDataset(ReadOnlyDataset[Snapshots]):
    """Loads ``Snapshots``: where a node leaves what it sees of a model while that is fitted.

    Parameters
    ----------
    path : str
        The folder.
    artifact_path : str
        Where in MLflow.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        path: str,
        artifact_path: str,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._path = place(path, credentials, fs_args)
        self._artifact_path = artifact_path
        super().__init__(metadata)

    @property
    def folder(self) -> Place:
        """The folder, which need not be there."""
        return self._path

    def load(self) -> Snapshots:
        """Return the folder's snapshots, none at first."""
        return Snapshots(self._path, self._artifact_path)
