"""Two runs on the same outputs."""

import os
import signal
import sys

import fsspec
import pytest
from filelock import FileLock
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node

from latents import datasets
from latents.hooks.locking import OutputLockHook, OutputsInUseError


def test_a_second_run_stops_before_anything_is_written_or_logged(project):
    folder = project.path / "data/test/06_models/pca"
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        said = project.kedro("run", "--env", "test", "--pipelines", "pca", code=1)
    assert f"Error: another run is writing to {folder}; wait until it has ended" in said
    assert "Traceback" not in said
    assert not [
        path for path in (project.path / "data/test").rglob("*") if path.is_file() and path.name != ".lock"
    ]
    assert project.runs() == []


def test_other_outputs_may_be_written_meanwhile(project):
    folder = project.path / "data/test/06_models/cvae"
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        project.run("pca", until="evaluate")
    assert project.metrics("pca")


def test_the_locks_are_released_by_a_run_that_ends_or_fails(project):
    with pytest.raises(ValueError, match="n_components"):
        project.run("pca", params={"pca": {"fit": {"n_components": 65}}})
    project.run("pca", until="report")
    project.run("pca", until="fit")


def test_a_lock_in_a_store_is_held_for_the_length_of_a_run_and_asked_for_no_longer(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTS_SCRATCH", str(tmp_path))
    store = fsspec.filesystem("memory")
    store.store.clear()
    catalog = DataCatalog({"x": datasets.NpzDataset(filepath="memory://b/out/x.npz")})
    pipeline = Pipeline([node(lambda: None, None, "x", name="n")])
    hook = OutputLockHook()

    def through(wrapper):
        next(wrapper)
        with pytest.raises(StopIteration):
            wrapper.send(None)

    for _ in range(2):
        through(hook.before_pipeline_run(pipeline, catalog))
        hook.before_node_run()
        assert store.find("/") == ["/b/out/.lock"]
        through(hook.after_pipeline_run())
        hook.before_dataset_saved()
        assert store.find("/") == []


@pytest.mark.slow
def test_of_two_runs_at_once_the_second_stops(project):
    def second_has_stopped():
        if not (project.path / "data/test/05_model_input/cvae/split.npz").exists():
            return False
        with pytest.raises(OutputsInUseError, match="another run is writing to"):
            project.run("cvae")
        return True

    words = ["run", "--env", "test", "--pipelines", "cvae", "--params", "cvae.fit.epochs=100000"]
    project.interrupted(signal.SIGTERM, second_has_stopped, *words)
    assert [run.info.status for run in project.runs()] == ["KILLED"]


@pytest.mark.slow
def test_two_first_runs_at_once_share_a_new_database(project):
    (project.path / "mlflow.db").unlink()
    both = [project.start("run", "--env", "test", "--pipelines", name) for name in ("pca", "clustering")]
    for run in both:
        run.wait()
    assert [run.info.status for run in project.runs()] == ["FINISHED", "FINISHED"]


# Ends a run as `kill -9` does, between taking the former predictor away and putting the new one in its place.
KILLED = """
import os, signal
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

rename = Path.rename

def killed(self, target):
    if Path(target).name == "predictor" and self.name == "new":
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)

Path.rename = killed
bootstrap_project(Path.cwd())
with KedroSession.create(Path.cwd(), env="test") as session:
    session.run(pipeline_names=["pca"], from_nodes=["pca.export"])
"""


@pytest.mark.slow
def test_a_run_killed_as_it_replaces_the_predictor_loses_neither_it_nor_leaves_anything(continued):
    models = continued.path / "data/test/06_models/pca"
    names = sorted(os.listdir(models))
    before = (models / "predictor/predictor.json").read_text()
    continued.command(sys.executable, "-c", KILLED, code=-signal.SIGKILL)
    assert not (models / "predictor").exists()

    # What reads it finds it, though it writes elsewhere; the run that writes here clears up.
    continued.run("pca_inference")
    assert (models / "predictor/predictor.json").read_text() == before
    continued.command(sys.executable, "-c", KILLED, code=-signal.SIGKILL)
    half = continued.path / "data/test/08_reporting/pca/.writing-0123456789ab-report.html"
    half.mkdir()
    (half / "report.html").write_text("half")
    continued.run("pca", from_nodes=["pca.fit"], to_nodes=["pca.fit"])
    assert continued.predictor("pca").model.n_components_ == 4
    continued.run("pca", from_nodes=["pca.evaluate"])
    assert sorted(os.listdir(models)) == names
    assert not [
        path for path in (continued.path / "data").rglob(".*") if path.name.startswith((".writ", ".repl"))
    ]
    statuses = {run.info.status for run in continued.runs()}
    assert statuses == {"FINISHED", "KILLED"}
