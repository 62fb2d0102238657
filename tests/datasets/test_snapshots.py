"""Pictures and arrays that a fit leaves on its way."""

import shutil

import mlflow
import numpy as np
import pytest
from kedro.io import DatasetError
from matplotlib.figure import Figure

from latents.datasets import SnapshotsDataset
from latents.tracking.current_run import current_run


@pytest.fixture
def dataset(tmp_path):
    return SnapshotsDataset(path=str(tmp_path / "epochs"), artifact_path="model/epochs")


def test_what_is_saved_is_loaded_in_order(dataset, tmp_path):
    assert dataset.load().load() == {}
    for epoch in (100, 20):
        dataset.load().save(epoch, {"images": np.full(3, epoch), "bound": np.array(-1.5)}, Figure())
    found = dataset.load().load()
    assert list(found) == [20, 100]
    np.testing.assert_array_equal(found[100]["images"], [100] * 3)
    assert float(found[20]["bound"]) == -1.5
    names = sorted(path.name for path in (tmp_path / "epochs").iterdir())
    assert names == ["epoch_0020.npz", "epoch_0020.png", "epoch_0100.npz", "epoch_0100.png"]
    assert (tmp_path / "epochs/epoch_0020.png").read_bytes().startswith(b"\x89PNG")


def test_clearing_takes_nothing_else(dataset, tmp_path):
    dataset.load().clear()
    dataset.load().save(1, {}, Figure())
    (tmp_path / "epochs/mine.png").write_text("mine")
    dataset.load().clear()
    assert [path.name for path in (tmp_path / "epochs").iterdir()] == ["mine.png"]


def test_pictures_go_to_the_run_in_progress(dataset, tmp_path, empty_database, monkeypatch):
    shutil.copy2(empty_database, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = mlflow.MlflowClient().create_experiment("one", str(tmp_path / "artifacts"))
    run = mlflow.MlflowClient().create_run(experiment)
    current_run.begin(run.info.run_id)
    try:
        dataset.load().save(7, {}, Figure())
    finally:
        current_run.end()
    (logged,) = mlflow.MlflowClient().list_artifacts(run.info.run_id, "model/epochs")
    assert logged.path == "model/epochs/epoch_0007.png"


def test_a_tracker_that_is_away_costs_a_warning(dataset, monkeypatch, caplog):
    def refuse(*words):
        raise OSError("no such store")

    monkeypatch.setattr(mlflow.MlflowClient, "log_artifact", refuse)
    current_run.begin("some-run")
    try:
        dataset.load().save(7, {}, Figure())
    finally:
        current_run.end()
    assert "MLflow took no picture of epoch 7 (no such store)" in caplog.text
    assert list(dataset.load().load()) == [7]


def test_nothing_is_saved_through_the_catalog(dataset):
    with pytest.raises(DatasetError, match="read only"):
        dataset.save({})
