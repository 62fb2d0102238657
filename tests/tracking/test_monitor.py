"""Watching a fit: points in MLflow, signs of life, and a way to stop."""

import io
import logging
import shutil
import threading
import time

import mlflow
import pytest
import rich
from mlflow.exceptions import MlflowException
from rich.console import Console

from latents.tracking.child_run import end_open_children
from latents.tracking.current_run import RunInterrupted, current_run
from latents.tracking.monitor import FitMonitor


@pytest.fixture
def run(tmp_path, empty_database):
    """Yield a function that reads the points of a metric of a run in progress."""
    shutil.copy2(empty_database, tmp_path)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    former = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(client.tracking_uri)
    created = client.create_run("0")
    current_run.begin(created.info.run_id)
    yield lambda name: [(p.step, p.value) for p in client.get_metric_history(created.info.run_id, name)]
    current_run.end()
    mlflow.set_tracking_uri(former)


def test_every_point_arrives_once_and_in_order(run):
    with FitMonitor("pipe", flush_seconds=0.2).watch("fit") as callback:
        for step in range(2500):
            callback("bound", -1.0 / (step + 1), step)
    assert run("pipe/fit/bound") == [(step, -1.0 / (step + 1)) for step in range(2500)]


def test_points_arrive_while_the_fit_goes_on(run):
    with FitMonitor("pipe", flush_seconds=0.011).watch("fit") as callback:
        callback("bound", -2.0, 1)
        deadline = time.monotonic() + 60
        while run("pipe/fit/bound") != [(1, -2.0)]:
            assert time.monotonic() < deadline


def fail_after(monitor, *points):
    with monitor.watch("fit") as callback:
        for point in points:
            callback(*point)
        raise RuntimeError("the fit broke")


def test_points_of_a_fit_that_fails_are_kept(run):
    with pytest.raises(RuntimeError, match="the fit broke"):
        fail_after(FitMonitor("pipe", flush_seconds=60), ("bound", -2.0, 1))
    assert run("pipe/fit/bound") == [(1, -2.0)]


@pytest.fixture
def away(monkeypatch):
    """Return a function after which a method of MLflow's client fails some times before it works."""

    def away(name, times):
        method, errors = getattr(mlflow.MlflowClient, name), [MlflowException("away")] * times

        def failing(self, *args, **kwargs):
            if errors:
                raise errors.pop()
            return method(self, *args, **kwargs)

        monkeypatch.setattr(mlflow.MlflowClient, name, failing)

    return away


def test_a_server_that_is_away_costs_neither_the_fit_nor_the_points(run, away, caplog):
    away("log_batch", times=2)
    with FitMonitor("pipe", flush_seconds=0.011).watch("fit") as callback:
        callback("bound", -2.0, 1)
        time.sleep(0.5)
        callback("bound", -1.0, 2)
    assert run("pipe/fit/bound") == [(1, -2.0), (2, -1.0)]
    assert "MLflow took no metrics (away); 1 points wait" in caplog.text


def test_points_that_never_arrive_are_told_of(run, away, caplog):
    away("log_batch", times=1000)
    with FitMonitor("pipe", flush_seconds=60).watch("fit") as callback:
        callback("bound", -2.0, 1)
    assert "1 metric points never reached MLflow" in caplog.text


def test_what_was_chosen_are_parameters_beside_those_that_were_given(run, away, caplog):
    client, run_id = mlflow.MlflowClient(), current_run.run_id
    client.log_param(run_id, "pipe.fit.hidden", "auto")
    FitMonitor("pipe").record_parameters({"hidden": [32, 32], "white": 16.0}, "choice")
    found = client.get_run(run_id).data.params
    assert found == {
        "pipe.fit.hidden": "auto",
        "pipe.choice.hidden": "[32, 32]",
        "pipe.choice.white": "16.0",
    }
    away("log_batch", times=1)
    FitMonitor("pipe").record_parameters({"epochs": 3}, "choice")  # it does not cost the fit
    assert "MLflow took no parameters of pipe (away)" in caplog.text
    current_run.end()
    FitMonitor("pipe").record_parameters({"epochs": 3}, "choice")


def test_other_threads_log_to_the_same_run(run):
    def fit():
        with FitMonitor("pipe").watch("fit") as callback:
            callback("bound", -3.0, 7)

    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()
    assert run("pipe/fit/bound") == [(7, -3.0)]


def test_signs_of_life_are_no_metrics(run):
    with FitMonitor("pipe", flush_seconds=0.01).watch("fit", log_metrics=False) as callback:
        callback("bound", -2.0, 1)
    assert run("pipe/fit/bound") == []


def test_a_stop_ends_the_fit_at_its_next_step(run):
    def stopped_fit():
        with FitMonitor("pipe").watch("fit") as callback:
            callback("bound", -2.0, 1)
            current_run.request_stop()
            callback("bound", -1.0, 2)

    with pytest.raises(RunInterrupted):
        stopped_fit()
    assert run("pipe/fit/bound") == [(1, -2.0)]


def test_without_a_run_there_is_nothing_to_log():
    with FitMonitor("pipe", flush_seconds=0.01).watch("fit") as callback:
        callback("bound", -2.0, 1)


def test_a_terminal_shows_bars_of_fits_side_by_side(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(rich, "_console", Console(file=screen, force_terminal=True, width=120))
    with FitMonitor("a").watch("first", total=4) as one, FitMonitor("b").watch("second", total=9) as two:
        one("bound", -2.5, 3)
        one("other", -9.5, 3)
        two("bound", -1.5, 8)
        time.sleep(0.5)  # the display draws ten times a second
    shown = screen.getvalue()
    for words in ("first", "3/4", "bound -2.5", "second", "8/9", "bound -1.5"):
        assert words in shown
    assert "-9.5" not in shown


def test_a_log_file_gets_a_line_now_and_then(caplog):
    with caplog.at_level(logging.INFO), FitMonitor("a", log_seconds=0.0).watch("first", total=4) as callback:
        callback("bound", -2.5, 3)
    assert "first: 3 of 4 bound -2.5" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO), FitMonitor("a", log_seconds=60.0).watch("first", total=4) as callback:
        callback("bound", -2.5, 3)
    assert caplog.text == ""


@pytest.fixture
def children(run):
    """Return a function that reads the child runs of the run in progress."""
    client = mlflow.MlflowClient()
    query = f"tags.`mlflow.parentRunId` = '{current_run.run_id}'"
    return lambda: client.search_runs(["0"], query, order_by=["attributes.start_time"])


def test_a_trial_is_a_child_run_with_its_parameters_curve_and_metrics(run, children):
    monitor = FitMonitor("pipe")
    for k in (2, 3):
        with monitor.trial(f"K = {k}", {"n_components": k, "device": None}) as trial:
            assert children()[-1].info.status == "RUNNING"
            with trial.watch("fit") as callback:
                callback("bound", -float(k), 1)
            trial.record({"bic": 10.0 * k})
        monitor.record({"bic": 10.0 * k}, step=k, group="select")
    first, second = children()
    assert [child.info.run_name for child in (first, second)] == ["pipe K = 2", "pipe K = 3"]
    assert [child.info.status for child in (first, second)] == ["FINISHED", "FINISHED"]
    assert second.data.params == {"pipe.fit.n_components": "3", "pipe.fit.device": "None"}
    assert second.data.metrics == {"pipe/fit/bound": -3.0, "pipe/bic": 30.0}
    assert run("pipe/select/bic") == [(2, 20.0), (3, 30.0)]
    assert run("pipe/fit/bound") == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError, "FAILED"),
        (RunInterrupted, "KILLED"),
        (KeyboardInterrupt, "KILLED"),
        (SystemExit, "KILLED"),
    ],
)
def test_a_trial_that_ends_early_says_how(children, error, status):
    def broken_trial():
        with FitMonitor("pipe").trial("K = 2", {}) as trial, trial.watch("fit") as callback:
            callback("bound", -2.0, 1)
            raise error

    with pytest.raises(error):
        broken_trial()
    (child,) = children()
    assert child.info.status == status
    assert child.info.end_time is not None
    assert child.data.metrics == {"pipe/fit/bound": -2.0}


def test_a_store_that_is_away_when_a_trial_ends_is_asked_again(children, away, caplog):
    away("set_terminated", times=1)
    with FitMonitor("pipe").trial("K = 2", {}):
        pass
    assert [child.info.status for child in children()] == ["FINISHED"]
    away("set_terminated", times=3)
    with FitMonitor("pipe").trial("K = 3", {}):
        pass
    assert "could not be told" in caplog.text
    assert "FINISHED (away)" in caplog.text


def test_children_that_an_interrupt_left_open_are_ended(children):
    with FitMonitor("pipe").trial("K = 2", {}):
        pass
    parent = current_run.run_id
    mlflow.MlflowClient().create_run("0", tags={"mlflow.parentRunId": parent}, run_name="left open")
    mlflow.MlflowClient().create_run("0", tags={"mlflow.parentRunId": "another"})
    end_open_children(parent, "KILLED")
    assert {child.info.run_name: child.info.status for child in children()} == {
        "pipe K = 2": "FINISHED",
        "left open": "KILLED",
    }
    assert len(mlflow.MlflowClient().search_runs(["0"], "attributes.status = 'RUNNING'")) == 2


def test_without_a_run_a_trial_is_just_watched():
    with FitMonitor("pipe").trial("K = 2", {"n_components": 2}) as trial:
        with trial.watch("fit") as callback:
            callback("bound", -2.0, 1)
        trial.record({"bic": 1.0})
