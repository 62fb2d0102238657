"""Runs whose MLflow server is away, goes away, and comes back."""

import re
import signal
import time

import pytest
from filelock import FileLock, Timeout
from mlflow import MlflowClient

from latents import estimators
from latents.hooks.store import StoreHook
from latents.tracking.current_run import RunInterrupted, current_run
from latents.tracking.store import StoreAwayError
from tests.conftest import Project
from tests.servers import LOCAL, Gate, all_runs, free_port, mlflow_server

LONG = ["run", "--env", "test", "--pipelines", "cvae", "--params", "cvae.fit.epochs=100000"]


@pytest.fixture(scope="module")
def server(tmp_path_factory, template):
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server(folder, f"sqlite:///{folder / 'server.db'}", Project(template).environment) as port:
        yield port


@pytest.fixture
def gate(server):
    gate = Gate(server)
    yield gate
    gate.close()


@pytest.fixture
def start(project, server, gate):
    """Return a function that starts a command whose requests go through the gate, twice at most each."""

    def start(*words):
        mlflow = {"MLFLOW_TRACKING_URI": gate.address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
        former = {run.info.run_id for run in runs_of(server)}
        command = project.start(*words, **mlflow)
        command.former = former
        return command

    return start


def runs_of(server):
    return all_runs(MlflowClient(f"http://{LOCAL}:{server}"))


def once_it_fits(command, server):
    """Wait until the server has points of the run, and return the run."""

    def fitting():
        fits = {run.info.run_id for run in runs_of(server) if "cvae/fit/lower_bound" in run.data.metrics}
        return fits - command.former

    return command.until(fitting).pop()


def status_of(server, run_id):
    (found,) = [run.info.status for run in runs_of(server) if run.info.run_id == run_id]
    return found


def marks(project):
    return {mark.read_text() for mark in (project.path / "data").rglob(".run")}


def test_a_server_that_is_away_stops_a_run_before_anything_and_no_other(project):
    away = {"MLFLOW_TRACKING_URI": f"http://{LOCAL}:{free_port()}"}
    said = project.kedro("run", "--env", "test", "--pipelines", "pca", code=1, **away)
    assert "Error: MLflow's store http://127.0.0.1:" in said
    assert "is away: Connection refused; without MLFLOW_TRACKING_URI" in said
    assert "Traceback" not in said
    assert not (project.path / "data/test").exists()
    assert not (project.path / "data/.mlflow-setup.lock").exists()


def test_who_sets_up_the_file_for_too_long_is_told_of(project, monkeypatch):
    monkeypatch.setattr(StoreHook, "LONGEST", 0.1)
    said = r"another process has been setting up MLflow's sqlite.* holds .*lock\)"
    with (
        FileLock(project.path / "data/.mlflow-setup.lock"),
        pytest.raises(StoreAwayError, match=said) as error,
    ):
        project.run("pca")
    assert not isinstance(error.value.__cause__, Timeout)


@pytest.mark.slow
@pytest.mark.parametrize("state", ["close", "silence"])
@pytest.mark.parametrize(
    ("number", "code", "options"),
    [(signal.SIGINT, 130, []), (signal.SIGTERM, 143, ["--runner", "ThreadRunner"])],
)
def test_an_interrupt_does_not_wait_for_the_server_and_the_next_run_tells_it(
    project, server, gate, start, state, number, code, options
):
    command = start(*LONG, *options)
    run_id = once_it_fits(command, server)
    getattr(gate, state)()
    time.sleep(1.5)  # points are on their way, in vain
    command.send_signal(number)
    command.wait(code)
    assert status_of(server, run_id) == "RUNNING"
    assert marks(project) == {f"{run_id} KILLED {gate.address}\n"}

    # A run of another store leaves that to one that can tell it.
    project.run("cvae", to_nodes=["cvae.ingest"])
    assert f"{run_id} KILLED {gate.address}\n" in marks(project)

    gate.open()
    start("run", "--env", "test", "--nodes", "cvae.ingest").wait()
    assert status_of(server, run_id) == "KILLED"
    assert not (project.path / "data/test/02_intermediate/cvae/.run").exists()


@pytest.mark.slow
def test_an_interrupt_that_ends_by_an_error_is_left_as_one(project, gate, monkeypatch):
    """Where Python drops what the signal's handler raises, and the server is away."""

    class Dropping:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    def fit(*args, **kwargs):
        gate.close()
        Dropping()
        current_run.raise_if_stopped()

    project.write("conf/test/mlflow.yml", f"server: {{mlflow_tracking_uri: '{gate.address}'}}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setattr(estimators.MinimumErrorPCA, "fit", fit)
    with pytest.raises((RunInterrupted, StoreAwayError)):
        project.run("pca")
    (mark,) = marks(project)
    assert mark.split()[1] == "KILLED"


@pytest.mark.slow
def test_a_second_interrupt_ends_it_at_once(project, server, gate, start):
    command = start(*LONG)
    run_id = once_it_fits(command, server)
    gate.silence()
    time.sleep(1.5)
    command.send_signal(signal.SIGINT)
    time.sleep(0.3)
    command.send_signal(signal.SIGINT)
    assert "was not told" not in command.wait(130)
    assert marks(project) == {f"{run_id} KILLED {gate.address}\n"}


@pytest.mark.slow
def test_a_fit_outlives_its_server_and_the_run_goes_on_once_it_is_back(project, server, gate, start):
    few = ["--params", "cvae.fit.epochs=300,cvae.watch.every=100"]
    command = start("run", "--env", "test", "--pipelines", "cvae", *few)
    run_id = once_it_fits(command, server)
    gate.close()
    said = command.wait(1)
    assert re.search(r"went away during the run: \S.*\. All that was written until then is there", said), said
    assert '--from-nodes "cvae.evaluate"' in " ".join(said.split())
    assert "Traceback" not in said
    assert max(map(len, said.splitlines())) < 600
    model = estimators.load(project.path / "data/test/06_models/cvae/model.safetensors")
    assert len(model.history_["lower_bound"]) == 300
    assert marks(project) == {f"{run_id} FAILED {gate.address}\n"}

    gate.open()
    start("run", "--env", "test", "--pipelines", "cvae", *few, "--from-nodes", "cvae.evaluate").wait()
    assert status_of(server, run_id) == "FAILED"


@pytest.mark.slow
def test_a_run_that_has_ended_well_without_its_server_is_told_of_later(
    project, server, gate, monkeypatch, caplog
):
    def register(*arguments):
        gate.close()
        raise ConnectionRefusedError("nobody is there")

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    project.write("conf/test/mlflow.yml", f"server: {{mlflow_tracking_uri: '{gate.address}'}}\n")
    with monkeypatch.context() as patch:
        patch.setattr("latents.hooks.model_registry.register", register)
        project.run("pca")
    assert "was not told that the run" in caplog.text
    (mark,) = marks(project)
    run_id, status, _ = mark.split()
    assert (status, status_of(server, run_id)) == ("FINISHED", "RUNNING")
    gate.open()
    project.run("pca", to_nodes=["pca.ingest"])
    assert status_of(server, run_id) == "FINISHED"
