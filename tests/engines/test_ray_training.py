"""A training on two processes of a real Ray, held against one that is made here."""

import os
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from latents.estimators import ConditionalVAE
from latents.places import place

ray_training = pytest.importorskip(
    "latents.engines.ray_training", reason="the extra 'cluster' is not installed", exc_type=ImportError
)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(n_class=3, return_X_y=True)
    return X[:301] / 16, np.array(["nil", "one", "two"])[y[:301]]


def model_of(**changes):
    parameters = {"n_latents": 4, "hidden": (32, 32), "batch_size": 64, "epochs": 5, "random_state": 0}
    return ConditionalVAE(**{**parameters, "compiled": False, **changes})


def arguments_of(digits, **changes):
    X, y = digits
    return {
        "validation": (X[:50].round(), y[:50]),
        "on_epoch": lambda model, epoch: {"norm": float(model.sample(["two"], random_state=0).sum())},
        **changes,
    }


@pytest.fixture(scope="module")
def trained(ray_of_two, digits, tmp_path_factory):
    """A training that nothing ends: what came of it, and what was told of on the way."""
    folder = tmp_path_factory.mktemp("trained")
    np.save(folder / "X.npy", digits[0])
    told = []
    model = model_of()
    fitted = ray_training.train(
        *(model, folder / "X.npy", digits[1]),
        n_processes=2,
        callback=lambda *told_of: told.append((*told_of, threading.current_thread())),
        checkpoint=folder / "checkpoint",
        **arguments_of(digits),
    )
    return SimpleNamespace(given=model, fitted=fitted, told=told, folder=folder)


def test_it_fits_what_one_process_does(trained, digits):
    expected = model_of().fit(*digits, **arguments_of(digits))
    fitted = trained.fitted
    assert fitted.history_.keys() == expected.history_.keys()
    for name, series in expected.history_.items():
        np.testing.assert_allclose(fitted.history_[name], series, rtol=0, atol=0.05, err_msg=name)
        np.testing.assert_allclose(fitted.history_[name][0], series[0], rtol=1e-4, err_msg=name)
    assert fitted.get_params() == expected.get_params()
    np.testing.assert_array_equal(fitted.classes_, expected.classes_)
    assert not hasattr(trained.given, "network_")


def test_who_called_is_told_in_its_own_thread_while_it_runs(trained):
    history = trained.fitted.history_
    assert trained.told == [
        (name, series[i], i + 1, threading.current_thread())
        for i in range(5)
        for name, series in history.items()
    ]
    assert (trained.folder / "checkpoint").is_file()


def processes_of_the_training():
    """Those that Ray Train has started below this one."""
    psutil = pytest.importorskip("psutil")
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "RayTrainWorker" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_a_process_that_is_killed_changes_no_bit(ray_of_two, trained, digits, tmp_path):
    told, killed = [], []

    def kill_one(name, value, epoch):
        told.append((name, value, epoch))
        if epoch == 3 and not killed:
            killed.extend(processes_of_the_training()[:1])
            os.kill(killed[0].pid, signal.SIGKILL)

    fitted = ray_training.train(
        *(model_of(), *digits),
        n_processes=2,
        callback=kill_one,
        checkpoint=place("dir://deep/checkpoint", {"path": str(tmp_path), "target_protocol": "file"}),
        checkpoint_every=2,
        **arguments_of(digits),
    )
    assert len(killed) == 1
    assert os.listdir(tmp_path / "deep") == ["checkpoint"]  # of a store, which it was sent to
    assert told == [told_of[:3] for told_of in trained.told]
    assert fitted.history_ == trained.fitted.history_
    for name, weight in trained.fitted.network_.state_dict().items():
        assert torch.equal(fitted.network_.state_dict()[name], weight), name


@pytest.mark.slow
def test_what_a_callback_raises_ends_the_training_and_frees_its_cores(ray_of_two, digits, tmp_path):
    def end(model, epoch):
        raise InterruptedError(f"enough of a model seeded by {model.random_state}")

    model = model_of(epochs=1000, random_state=None)
    with pytest.raises(InterruptedError, match="seeded by None"):
        ray_training.train(model, *digits, n_processes=2, on_epoch=end)
    # For which there would be no room if that one held its own. What no process can do is not tried again.
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ray_training.train(model_of(), tmp_path / "nowhere.npy", digits[1], n_processes=2)
    group = ray_of_two.util.placement_group([{"CPU": 8}])
    assert group.wait(timeout_seconds=30)
    ray_of_two.util.remove_placement_group(group)


def test_more_cores_than_there_are_is_said_at_once(ray_of_two, digits):
    with pytest.raises(ValueError, match="10 cores are asked for, but the cluster has 8"):
        ray_training.train(model_of(), *digits, n_processes=2, n_threads=5)


def test_a_full_cluster_is_not_waited_for_for_ever(ray_of_two, digits, monkeypatch):
    monkeypatch.setattr(ray_training, "_SECONDS_FOR_ROOM", 0)
    group = ray_of_two.util.placement_group([{"CPU": 7}])
    assert group.wait(timeout_seconds=30)
    try:
        while ray_of_two.available_resources()["CPU"] > 1:  # Ray tells of what it gives somewhat later
            time.sleep(0.1)
        with pytest.raises(RuntimeError, match="the cluster is full: 2 of its 8 cores"):
            ray_training.train(model_of(), *digits, n_processes=2)
    finally:
        ray_of_two.util.remove_placement_group(group)
