"""Two runs on the same outputs."""

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
