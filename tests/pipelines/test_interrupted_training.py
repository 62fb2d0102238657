"""A training that is ended at random moments, as the world ends it, and the same command again."""

import json
import random
import signal

import pytest
import torch
from safetensors import safe_open

from latents import estimators

EPOCHS = 120
PARAMS = {"cvae": {"fit": {"epochs": EPOCHS}, "watch": {"every": 50}}}
COMMAND = [
    *("run", "--env", "test", "--pipelines", "cvae"),
    *("--params", f"cvae.fit.epochs={EPOCHS},cvae.watch.every=50"),
]
MODEL = "data/test/06_models/cvae/model.safetensors"
CHECKPOINT = "data/test/06_models/cvae/checkpoint.safetensors"


def epoch_of(project):
    """Return the epoch of the checkpoint, which may be replaced meanwhile: only its header is read."""
    path = project.path / CHECKPOINT
    if not path.exists():
        return 0
    with safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["latents_checkpoint"])["epoch"]


def outcome(project):
    """Return the weights, the history and the last run's curves."""
    model = estimators.load(project.path / MODEL)
    last = project.runs()[0]
    assert last.info.status == "FINISHED"
    assert not (project.path / CHECKPOINT).exists()
    names = ("lower_bound", "lower_bound_test", "log_likelihood_test")
    curves = [project.curve(last, f"cvae/fit/{name}") for name in names]
    return model.network_.state_dict(), model.history_, curves


def assert_same(found, expected):
    for name, tensor in expected[0].items():
        assert torch.equal(found[0][name], tensor), name
    assert str(found[1]) == str(expected[1])  # NaN, where nothing was measured, is equal to no number
    assert found[2] == expected[2]


@pytest.mark.slow
def test_killed_twice_it_ends_where_an_undisturbed_run_ends(project):
    project.run("cvae", params=PARAMS, until="fit")
    undisturbed = outcome(project)
    assert [step for step, _ in undisturbed[2][0]] == list(range(1, EPOCHS + 1))
    assert [step for step, _ in undisturbed[2][2]] == [50, 100]

    for number in (signal.SIGKILL, signal.SIGTERM):
        least = epoch_of(project) + random.randint(1, 30)
        output = project.interrupted(number, lambda least=least: epoch_of(project) >= least, *COMMAND)
        assert epoch_of(project) < EPOCHS, output
        assert [path for path in (project.path / "data").rglob("*") if path.name == ".run"]
    project.run("cvae", params=PARAMS, until="evaluate")
    assert_same(outcome(project), undisturbed)
    statuses = [run.info.status for run in project.runs()]
    assert statuses == ["FINISHED", "KILLED", "KILLED", "FINISHED"]
    assert not [path for path in (project.path / "data").rglob("*") if path.name == ".run"]


@pytest.fixture
def end_in_the_evaluation(project, monkeypatch):
    """Return a function that runs the pipeline and interrupts it when the training is done."""

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    def run(**options):
        with monkeypatch.context() as patch:
            patch.setattr(estimators.ConditionalVAE, "class_log_likelihood", interrupted)
            with pytest.raises(KeyboardInterrupt):
                project.run("cvae", **options)

    return run


def test_what_is_ended_in_the_evaluation_does_not_train_again(project, end_in_the_evaluation, caplog):
    end_in_the_evaluation()
    assert epoch_of(project) == 3
    project.run("cvae", until="evaluate")
    assert "going on after epoch 3" in caplog.text
    first, second = project.runs()[::-1]
    curves = [project.curve(run, "cvae/fit/lower_bound") for run in (first, second)]
    assert curves[0] == curves[1]
    assert [step for step, _ in curves[0]] == [1, 2, 3]
    assert not (project.path / CHECKPOINT).exists()


def test_a_run_that_trains_nothing_keeps_the_checkpoint(project, end_in_the_evaluation):
    end_in_the_evaluation()
    project.run("cvae", from_nodes=["cvae.evaluate"], until="evaluate")
    assert epoch_of(project) == 3


def test_other_parameters_begin_anew_and_say_so(project, finished, end_in_the_evaluation, caplog):
    end_in_the_evaluation(params={"cvae": {"fit": {"learning_rate": 0.004}}})
    project.run("cvae", to_nodes=["cvae.fit"])
    assert "another training (parameters.learning_rate 0.004 there, 0.003 here)" in caplog.text
    assert_same(outcome(project), outcome(finished))
