"""A training on two processes of a real Ray, held against one that is made here."""

import os
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from latents.estimators import ConditionalVAE
from latents.places import place
from tests.estimators.conditional_vae.test_ranks import together, work

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


def processes_of_the_training():
    """Those that Ray Train has started below this one."""
    psutil = pytest.importorskip("psutil")
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "RayTrainWorker" in " ".join(child.cmdline())]


@pytest.fixture(scope="module")
def trained(ray_of_two, digits, tmp_path_factory):
    """A training of which a process is killed: what came of it, and what was told of on the way."""
    folder = tmp_path_factory.mktemp("trained")
    np.save(folder / "X.npy", digits[0])
    told, killed = [], []

    def kill_one(name, value, epoch):
        told.append((name, value, epoch, threading.current_thread()))
        if epoch == 3 and not killed:
            killed.extend(processes_of_the_training()[:1])
            os.kill(killed[0].pid, signal.SIGKILL)

    model = model_of()
    fitted = ray_training.train(
        *(model, folder / "X.npy", digits[1]),
        n_processes=2,
        callback=kill_one,
        checkpoint=place("dir://deep/checkpoint", {"path": str(folder), "target_protocol": "file"}),
        checkpoint_every=2,
        **arguments_of(digits),
    )
    assert len(killed) == 1
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


def test_who_called_is_told_each_thing_once_in_its_own_thread_while_it_runs(trained):
    history = trained.fitted.history_
    assert trained.told == [
        (name, series[i], i + 1, threading.current_thread())
        for i in range(5)
        for name, series in history.items()
    ]
    assert os.listdir(trained.folder / "deep") == ["checkpoint"]  # of a store, which it was sent to


def test_a_process_that_is_killed_changes_no_bit(trained, common):
    """Beside two that nothing has ended, and that no Ray has begun."""
    network = trained.given.network
    _, _, history = together(work, common / "ranks")[0][network]
    assert {name: trained.fitted.history_[name] for name in history} == history
    expected = ConditionalVAE.load(common / f"ranks/{network}.0.safetensors").network_.state_dict()
    for name, weight in trained.fitted.network_.state_dict().items():
        assert torch.equal(expected[name], weight), name


@pytest.mark.slow
def test_what_a_callback_raises_ends_the_training_and_frees_its_cores(ray_of_two, digits, tmp_path):
    def end(model, epoch):
        raise InterruptedError(f"enough of a model seeded by {model.random_state}")

    free = int(ray_of_two.available_resources()["CPU"])
    model = model_of(epochs=1000, random_state=None)
    with pytest.raises(InterruptedError, match="seeded by None"):
        ray_training.train(model, *digits, n_processes=1, on_epoch=end)
    # What no process can do is not tried again.
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ray_training.train(model_of(), tmp_path / "nowhere.npy", digits[1], n_processes=1)
    group = ray_of_two.util.placement_group([{"CPU": free}])
    assert group.wait(timeout_seconds=30)
    ray_of_two.util.remove_placement_group(group)
