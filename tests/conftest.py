"""A copy of the project for tests to run in, and a way to run it as a user would."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Read when these libraries are imported: no usage reports, and no more threads than cores, since tests run
# side by side.
os.environ["DO_NOT_TRACK"] = "true"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import mlflow
import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from kedro.framework import project as kedro_project
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import AbstractRunner
from sklearn.datasets import load_digits
from sqlalchemy import Engine, event

with warnings.catch_warnings(record=True):
    # Its model has no type hints, of which MLflow warns past all filters.
    import kedro_mlflow.mlflow  # noqa: F401

from latents import estimators, predictors  # which import torch when it is asked for, by those who run tests
from latents.features.words import count_words
from tests.predictors.examples import RULES, TEXTS
from tests.processes import KedroCommand
from tests.ray_workers import forked_workers
from tests.servers import all_runs

ROOT = Path(__file__).resolve().parents[1]

# No test fails for being slow, be it on a busy machine. Where CI is set, examples are the same each time.
settings.register_profile(
    "latents", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("latents")


@event.listens_for(Engine, "connect")
def _spare_the_disk(connection: Any, record: Any) -> None:
    """Let MLflow's files of tests go to the disk when the system likes: kedro-mlflow commits each parameter."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


SAVED = ROOT / "tests" / "saved"  # by earlier versions


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests before those that need a run of Kedro, and first of all those that share a Ray.

    What is first, one worker of pytest does: so one Ray is begun, and not one for each of them.
    """

    def place(item: pytest.Item) -> tuple[bool, bool]:
        fixtures = set(getattr(item, "fixturenames", ()))
        return "ray_of_two" not in fixtures, not fixtures.isdisjoint({"project", "finished"})

    items.sort(key=place)


class Project:
    """A copy of the project's configuration in a folder of its own; the code is the installed package.

    ``run`` is the cheapest way to a run (0.2 s beside the nodes), ``kedro`` has a process of its own (2 s), and
    ``command`` starts cold, as a terminal does (8 s).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(
        self,
        *pipelines: str,
        env: str | None = "test",
        params: dict[str, Any] | None = None,
        runner: AbstractRunner | None = None,
        until: str | None = None,
        **selection: Any,
    ) -> None:
        """Run pipelines in this process (a second session costs a fraction of a second one process).

        `until` is the last node of each, where what follows would be what other tests look at: figures and pages
        take longer than all before them.
        """
        if until is not None:
            selection["to_nodes"] = [f"{pipeline}.{until}" for pipeline in pipelines]
        # MLflow sets this variable for child processes; to the next project it would look like the user's wish.
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if kedro_project.PACKAGE_NAME is None:  # the package is one for all copies, and this takes 0.2 s
            bootstrap_project(self.path)
        with KedroSession.create(project_path=self.path, env=env, runtime_params=params) as session:
            session.run(pipeline_names=list(pipelines) or None, runner=runner, **selection)

    def command(self, *words: str, code: int = 0, **variables: str) -> str:
        """Run a command in the project's folder, as typed by a user, and return all that it printed."""
        environment = {**self.environment, **variables}
        done = subprocess.run(
            words, cwd=self.path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def start(self, *words: str, **variables: str) -> KedroCommand:
        """Start a `kedro` command in a process of its own, as typed by a user."""
        return KedroCommand(words, self.path, {**self.environment, **variables})

    def kedro(self, *words: str, code: int = 0, **variables: str) -> str:
        """Run a `kedro` command in a process of its own, and return what it printed."""
        return self.start(*words, **variables).wait(code)

    def interrupted(self, number: signal.Signals, once: Callable[[], bool], *words: str) -> str:
        """Run a `kedro` command, send it a signal once something holds, and return what it printed."""
        command = self.start(*words)
        command.until(once)
        command.send_signal(number)
        return command.wait(-number if number == signal.SIGKILL else 128 + number)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a terminal in which this Python's commands are found."""
        own = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        return {**own, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def write(self, path: str, text: str) -> None:
        """Write a file of the project, such as configuration of the user's own."""
        (self.path / path).parent.mkdir(parents=True, exist_ok=True)
        (self.path / path).write_text(text)

    @property
    def client(self) -> mlflow.MlflowClient:
        """MLflow, looking at this project's runs."""
        return mlflow.MlflowClient(f"sqlite:///{self.path / 'mlflow.db'}")

    def runs(self) -> list[mlflow.entities.Run]:
        """All runs of all experiments, the newest first."""
        return all_runs(self.client)

    def curve(self, run: mlflow.entities.Run, name: str) -> list[tuple[int, float]]:
        """Return the steps and values of a metric of a run."""
        return [(p.step, p.value) for p in self.client.get_metric_history(run.info.run_id, name)]

    def artifacts(self, run: mlflow.entities.Run, pipeline: str) -> set[str]:
        """Return the files that a run keeps of a pipeline, without the name of their folder."""
        kept = self.client.list_artifacts(run.info.run_id, pipeline)
        return {item.path.removeprefix(f"{pipeline}/") for item in kept}

    def data(self, env: str | None = "test") -> Path:
        """Where the runs of an environment write; None is the plain run's."""
        return self.path / "data" / (env or "")

    def metrics(self, pipeline: str, env: str | None = "test") -> dict[str, float]:
        """Return what a run has measured."""
        return json.loads((self.data(env) / "08_reporting" / pipeline / "metrics.json").read_text())

    def predictor(self, pipeline: str, env: str | None = "test") -> predictors.Predictor:
        """Return the predictor that a run has left."""
        return predictors.load(self.data(env) / "06_models" / pipeline / "predictor")


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of all workers of pytest: what takes seconds to make is made there by one, for all."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """Let `make` fill a folder unless a worker has done so; wait while one does."""
    done = path.with_name(f"{path.name}.done")
    with FileLock(f"{path}.lock"):
        if not done.exists():
            shutil.rmtree(path, ignore_errors=True)  # what a worker has left that failed
            make(path)
            done.touch()
    return path


@pytest.fixture(scope="session")
def empty_database(common: Path) -> Path:
    """Return an MLflow database without runs, to be copied: its tables take seconds to make."""

    def make(folder: Path) -> None:
        folder.mkdir()
        mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()

    return made_once(common / "empty_database", make) / "mlflow.db"


@pytest.fixture(scope="session")
def template(common: Path, empty_database: Path) -> Path:
    """Return a copy of the project in which nothing has run, to be copied in its turn."""

    def make(path: Path) -> None:
        # The content alone: a checkout's files may be read-only, and tests write to their copies.
        shutil.copytree(
            ROOT / "conf",
            path / "conf",
            ignore=lambda folder, names: _own(folder, names),
            copy_function=shutil.copyfile,
        )
        for name in ("pyproject.toml", "Makefile", "constraints.txt", "README.md", "data/README.md"):
            (path / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(ROOT / name, path / name)
        (path / "src").mkdir()
        shutil.copy2(empty_database, path / "mlflow.db")

    return made_once(common / "template", make)


def _own(folder: str, names: list[str]) -> list[str]:
    """Leave out the user's own configuration: tests speak of the project's."""
    return [name for name in names if Path(folder).name == "local" and name != ".gitkeep"]


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Yield a fresh copy of the project."""
    monkeypatch.delenv("LATENTS_DATA_HOME", raising=False)
    path = tmp_path / "project"
    shutil.copytree(template, path)
    yield Project(path)
    while mlflow.active_run():  # left by a test that failed
        mlflow.end_run("KILLED")


@pytest.fixture(scope="session")
def finished(common: Path, template: Path) -> Project:
    """Return a project in which all three pipelines have run once in the test environment, to be read alone."""

    def make(path: Path) -> None:
        shutil.copytree(template, path)
        Project(path).run()

    return Project(made_once(common / "finished", make))


def going_on(path: Path, template: Path, finished: Project) -> Project:
    """Make a fresh project with the files of a finished run, for tests that go on from there."""
    shutil.copytree(template, path, dirs_exist_ok=True)
    shutil.copytree(finished.path / "data", path / "data", dirs_exist_ok=True)
    return Project(path)


@pytest.fixture
def continued(project: Project, template: Path, finished: Project) -> Project:
    """Return the test's fresh project with the files of a finished run."""
    return going_on(project.path, template, finished)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send downloads to a port of this machine that nothing listens on, so that they fail at once."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # urllib keeps the proxies of its first call: forget them now, and these afterwards.
    monkeypatch.setattr(urllib.request, "_opener", None)


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, offline: None) -> None:
    """Let there be neither downloads nor what was downloaded before."""
    monkeypatch.setenv("LATENTS_DATA_HOME", str(tmp_path / "empty"))


@pytest.fixture(scope="session")
def ray_of_two(tmp_path_factory):
    """A Ray of this machine, begun once for all tests of a process: two processors, which it takes for eight."""
    ray = pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    from latents.engines import on_ray

    with forked_workers(tmp_path_factory.mktemp("workers")) as python:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", python)
            on_ray.begin(ray, "local", 8, object_store_memory=200 * 2**20)
        yield ray
        ray.shutdown()


@pytest.fixture(scope="session")
def clustering_predictor():
    counted = count_words(TEXTS, **RULES._asdict())
    model = estimators.MultinomialMixture(2, smoothing=0.1, random_state=0).fit(counted.counts)
    sea = int(model.predict(counted.counts)[0])
    names = ["sky", "sky"]
    names[sea] = "sea"
    return predictors.ClusteringPredictor(model, counted.words, RULES, names)


@pytest.fixture(scope="session")
def digits():
    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8)[:300], labels[:300]


@pytest.fixture(scope="session")
def pca_predictor(digits):
    return predictors.PCAPredictor(
        estimators.MinimumErrorPCA(4).fit(digits[0].reshape(300, 64)), shape=(8, 8)
    )


@pytest.fixture(scope="session")
def feature_predictor():
    rows = np.random.default_rng(0).normal(size=(30, 3))
    return predictors.PCAPredictor(
        estimators.MinimumErrorPCA(2).fit(rows), feature_names=["a", "b", "c"]
    ), rows


@pytest.fixture(scope="session")
def cvae_predictor(digits):
    images, labels = digits
    model = estimators.ConditionalVAE(
        n_latents=4, hidden=(32, 32), epochs=10, learning_rate=1e-2, compiled=False, random_state=0
    )
    return predictors.CVAEPredictor(model.fit(images.reshape(300, 64) / 16, labels), (8, 8), 16.0)
