"""Runs that are interrupted, as a user would interrupt them."""

import signal
import socket
import sys

import pytest
from kedro.runner import ThreadRunner

from latents.estimators import MinimumErrorPCA
from latents.hooks.run_status import SIGNALS
from latents.tracking.current_run import RunInterrupted, current_run
from tests.servers import LOCAL


@pytest.fixture(autouse=True)
def terminal():
    """Heed Ctrl-C, as in a terminal: a pytest that was started in the background would ignore it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def points(project):
    return [point for run in project.runs() for point in project.curve(run, "cvae/fit/lower_bound")]


@pytest.mark.parametrize(
    ("runner", "number"), [("SequentialRunner", signal.SIGINT), ("ThreadRunner", signal.SIGTERM)]
)
def test_an_interrupted_run_is_killed_and_its_points_are_there(project, runner, number):
    command = ["run", "--env", "test", "--pipelines", "cvae", "--runner", runner]
    # A bound in MLflow while the fit runs is what the UI draws live.
    output = project.interrupted(
        number, lambda: points(project), *command, "--params", "cvae.fit.epochs=100000"
    )
    (run,) = project.runs()
    assert run.info.status == "KILLED", output
    assert run.info.end_time is not None
    steps = [step for step, _ in points(project)]
    assert steps == list(range(1, len(steps) + 1))
    # The outputs are free again, and no file is half there.
    left = [path.name for path in (project.path / "data").rglob("*") if path.name.startswith(".writing")]
    assert left == []
    project.run("cvae", from_nodes=["cvae.fit"])


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_drops_is_one_all_the_same(project, monkeypatch):
    """As it does in a finaliser: of the signal there is only what the fit is told."""

    class Dropping:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def fit(*args, **kwargs):
        Dropping()
        current_run.raise_if_stopped()

    monkeypatch.setattr(MinimumErrorPCA, "fit", fit)
    with pytest.raises(RunInterrupted):
        project.run("pca")
    (run,) = project.runs()
    assert run.info.status == "KILLED"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_while_the_server_is_asked_is_one_already(project, number, code):
    """As soon as the project's code runs: before that, it is Python that ends."""
    with socket.create_server((LOCAL, 0)) as silent:
        address = f"http://{LOCAL}:{silent.getsockname()[1]}"
        command = project.start("run", "--env", "test", MLFLOW_TRACKING_URI=address)
        silent.settimeout(300)
        with silent.accept()[0]:  # it asks
            command.send_signal(number)
            assert "Aborted" not in command.wait(code)


# A signal whose exception Python drops, since it comes while an object is cleared up.
DROPPED = """
import signal, sys
import mlflow
from kedro.framework.cli import main
from latents.tracking import store

class Dropping:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

def dropping(function):
    def also(*arguments, **named):
        result = function(*arguments, **named)
        Dropping()
        return result
    return also

{place} = dropping({place})
sys.argv = ["kedro", "run", "--env", "test", "--pipelines", "pca"]
main()
"""


@pytest.mark.parametrize(("place", "statuses"), [("store.check", []), ("mlflow.start_run", ["KILLED"])])
def test_a_command_whose_interrupt_python_drops_begins_nothing(project, place, statuses):
    said = project.command(sys.executable, "-c", DROPPED.replace("{place}", place), code=143)
    assert "Traceback" not in said
    assert [run.info.status for run in project.runs()] == statuses
    assert "pca.ingest" not in said
    written = {path for path in (project.path / "data/test").rglob("*") if path.is_file()}
    assert {path.name for path in written if path.parent.name != "logs"} <= {".lock"}


def test_a_failure_in_one_thread_stops_the_fits_of_the_others(project):
    params = {"clustering": {"fit": {"n_components": 100000}}, "cvae": {"fit": {"epochs": 100000}}}
    with pytest.raises(ValueError, match="n_components=100000 exceeds"):
        project.run("clustering", "cvae", params=params, runner=ThreadRunner())
    (run,) = project.runs()
    assert run.info.status == "FAILED"


@pytest.mark.parametrize("ignored", [{signal.SIGHUP}, {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}])
def test_ignored_signals_stay_ignored(project, monkeypatch, ignored):
    """A run under nohup outlives its terminal."""
    seen, fit, unraisable = {}, MinimumErrorPCA.fit, sys.unraisablehook

    def look(*args, **kwargs):
        seen.update({number: signal.getsignal(number) for number in SIGNALS})
        return fit(*args, **kwargs)

    former = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    try:
        monkeypatch.setattr(MinimumErrorPCA, "fit", look)
        project.run("pca", until="fit")
        assert {number for number in SIGNALS if seen[number] == signal.SIG_IGN} == ignored
        assert signal.SIG_DFL not in seen.values()
        assert {signal.getsignal(number) for number in ignored} == {signal.SIG_IGN}
        assert sys.unraisablehook == unraisable
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def test_an_interrupt_in_a_notebook_leaves_the_process_usable(project, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        patch.setattr(MinimumErrorPCA, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            project.run("pca")
    project.run("pca", until="ingest")
    assert [run.info.status for run in project.runs()] == ["FINISHED", "KILLED"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.mark.slow
def test_pca_alone_does_not_wait_for_what_it_does_without(project):
    code = (
        "import sys; from pathlib import Path; from kedro.framework.session import KedroSession; "
        "import importlib_metadata; "  # of which this function reads the records of every package
        "importlib_metadata.packages_distributions = lambda: sys.exit('all packages are looked at'); "
        "from kedro.framework.startup import bootstrap_project; bootstrap_project(Path.cwd()); "
        "session = KedroSession.create(Path.cwd(), env='test'); session.run(pipeline_names=['pca']); "
        "names = ('torch', 'IPython', 'scipy.stats', 'sklearn.metrics'); "
        "sys.exit(' '.join(name for name in names if name in sys.modules) or None)"
    )
    project.command(sys.executable, "-c", code)
