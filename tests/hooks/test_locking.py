"""Two runs on the same outputs."""

import signal

import pytest
from filelock import FileLock

from latents.hooks.locking import OutputsInUseError


def test_a_second_run_stops_before_anything_is_written_or_logged(project):
    folder = project.path / "data/test/06_models/pca"
    folder.mkdir(parents=True)
    with (
        FileLock(folder / ".lock"),
        pytest.raises(OutputsInUseError, match=r"another run is writing to .*06_models/pca"),
    ):
        project.run("pca")
    assert not [
        path for path in (project.path / "data/test").rglob("*") if path.is_file() and path.name != ".lock"
    ]
    assert project.runs() == []


def test_other_outputs_may_be_written_meanwhile(project):
    folder = project.path / "data/test/06_models/cvae"
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        project.run("pca")
    assert (project.path / "data/test/08_reporting/pca/metrics.json").is_file()


def test_the_locks_are_released_by_a_run_that_ends_or_fails(project):
    with pytest.raises(ValueError, match="n_components"):
        project.run("pca", params={"pca": {"fit": {"n_components": 65}}})
    project.run("pca")
    project.run("pca")


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


def test_two_first_runs_at_once_share_a_new_database(project):
    (project.path / "mlflow.db").unlink()
    both = [project.start("run", "--env", "test", "--pipelines", name) for name in ("pca", "clustering")]
    for run in both:
        done = run.wait()
        assert done.returncode == 0, done.stdout
    assert [run.info.status for run in project.runs()] == ["FINISHED", "FINISHED"]
