"""Processes that train together, held against one that trains alone: on two real ones, by gloo."""

import os
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from sklearn.datasets import load_digits

from latents.estimators import ConditionalVAE
from latents.estimators.conditional_vae import ranks as ranks_module
from latents.estimators.conditional_vae import steps
from latents.estimators.conditional_vae.batches import Batches, pixels_of
from latents.estimators.conditional_vae.networks import build
from latents.estimators.conditional_vae.objective import OBJECTIVES
from latents.estimators.conditional_vae.ranks import Ranks
from latents.estimators.conditional_vae.steps import learner_with_adam
from latents.estimators.conditional_vae.training import train
from tests.conftest import made_once
from tests.estimators.conditional_vae.test_objective import seeded

SIZE = 2
# The last batch has 5 images, of which one process takes 2 and the other 3; or 1, and one process has none.
CASES = [
    (network, objective, n_images, kind)
    for network in ("reference", "ladder")
    for objective in ("elbo", "iwae")
    for n_images in (29, 25)
    for kind in ("plain", "graph")
] + [("spatial", "elbo", n_images, kind) for n_images in (29, 25) for kind in ("plain", "graph")]


def state_after(network, objective, n_images, kind, hidden=(8, 8), ranks=None):
    """Two epochs of a small training: all that it remembers by name, and what it told of."""
    sizes = {"n_pixels": 9, "n_classes": 2, "n_latents": 4, "hidden": hidden}
    if network == "spatial":
        network, sizes = "ladder", {**sizes, "spatial": (4,), "image_shape": (3, 3)}
    learner = learner_with_adam(
        build(network, "per_class", generator=seeded(), **sizes),
        *(16,),
        **{"learning_rate": 1e-3, "beta_2": 0.99, "schedule": "cosine", "kl_warm_up": 0.5},
    )
    grey = torch.rand(n_images, 9, generator=seeded(1)).mul(255).round() / 255
    batches = Batches(
        pixels_of(grey, binarise=True),
        torch.arange(n_images) % 2,
        batch_size=8,
        n_latents=learner.network.n_latents,
        n_particles=3 if objective == "iwae" else 1,
        generator=seeded(3),
    )
    course = train(
        learner, batches, OBJECTIVES[objective], epochs=2, is_compiled=kind != "plain", ranks=ranks
    )
    means = [torch.tensor(epoch) for epoch in course]
    adam = learner.optimizer.state_dict()["state"]
    flat = {f"{place} {name}": value for place, state in adam.items() for name, value in state.items()}
    return {**learner.network.state_dict(), **flat, "means": torch.stack(means)}


def as_python_has_it(step, **options):
    return step


def digits():
    X, y = load_digits(n_class=3, return_X_y=True)
    return X[:301] / 16, np.array(["nil", "one", "two"])[y[:301]]


def model_of(network, **changes):
    parameters = {"n_latents": 4, "hidden": (32, 32), "batch_size": 64, "epochs": 5, "random_state": 0}
    return ConditionalVAE(network=network, **{**parameters, "compiled": False, **changes})


def error_of(call):
    try:
        call()
    except ValueError as error:
        return str(error)
    return None


def work(rank, folder):
    """Do everything that takes two processes, and leave it in a file."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=SIZE)
    ranks, real = Ranks(dist.group.WORLD), torch.compile
    found = {}
    steps.torch.compile = as_python_has_it
    for case in CASES:
        found[case] = state_after(*case, ranks=ranks)
    steps.torch.compile = real
    X, y = digits()
    for network in ("reference", "ladder"):
        told, looked = [], []
        model = model_of(network).fit(
            *(X, y),
            validation=(X[:50].round(), y[:50]),
            callback=lambda *told_of, told=told: told.append(told_of),
            on_epoch=lambda model, epoch, looked=looked: looked.append(epoch),
            checkpoint=folder / f"{network}.{rank}",
            process_group=dist.group.WORLD,
        )
        model.save(folder / f"{network}.{rank}.safetensors")
        found[network] = (told, looked, model.history_)
        again = model_of(network).fit(
            X,
            y,
            validation=(X[:50].round(), y[:50]),
            checkpoint=folder / f"{network}.0",
            process_group=dist.group.WORLD,
        )
        found[network, "again"] = again.network_.state_dict()
        other = model_of(network, random_state=None, epochs=1).fit(X, y, process_group=dist.group.WORLD)
        found[network, "unseeded"] = other.network_.state_dict()
    fit = partial(ConditionalVAE.fit, process_group=dist.group.WORLD)
    found["errors"] = [
        error_of(lambda: fit(model_of("reference", epochs=5 + rank), X, y)),
        error_of(lambda: fit(model_of("reference"), X[rank:], y[rank:])),
        error_of(lambda: fit(model_of("reference", batch_size=1), X, y)),
    ]
    alone = dist.new_group([0])
    if rank == 0:
        found["alone"] = model_of("ladder", epochs=2).fit(X, y, process_group=alone).network_.state_dict()
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def together(work, folder, size=SIZE):
    """Let processes work, and return what each has found."""
    made_once(folder, lambda folder: folder.mkdir() or multiprocessing.spawn(work, (folder,), nprocs=size))
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


@pytest.fixture(scope="module")
def both(common):
    return SimpleNamespace(folder=common / "ranks", found=together(work, common / "ranks"))


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def assert_same(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, **tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case)))
def test_two_processes_make_the_steps_of_one(case, both, monkeypatch):
    monkeypatch.setattr(steps.torch, "compile", as_python_has_it)
    expected = state_after(*case)
    # Adam divides a gradient by its own size, which magnifies the rounding of one that is next to nothing; sums
    # over cells have such, on some processors. A wrong share of a batch moves weights by a hundred times as much.
    near = 1e-5 if case[0] == "spatial" else 1e-6
    for found in both.found:
        assert_same(found[case], expected, rtol=near, atol=near)
    assert_same(both.found[0][case], both.found[1][case], rtol=0, atol=0)


# Of the last batch, of 5 images or 1, one has less than another, or two have none.
OF_THREE = [("reference", "elbo", 29, "plain"), ("ladder", "iwae", 25, "plain")]


ALLOCATE = getattr(os, "posix_fallocate", None)


def as_for_more_than_there_is(file, start, n_bytes):
    ALLOCATE(file, start, 2**62)


def work_of_three(rank, folder):
    """Train in memory that all see, and by what is sent where there is none, or too little for a gradient."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=3)
    found = {}
    for memory in ("there", "nowhere", "full"):
        ranks_module._MEMORY = folder / memory
        if memory != "nowhere":
            ranks_module._MEMORY.mkdir(exist_ok=True)
        if memory == "full":
            ranks_module.os.posix_fallocate = as_for_more_than_there_is
        ranks = Ranks(dist.group.WORLD)
        for case in OF_THREE:
            found[memory, case] = state_after(*case, ranks=ranks)
        shared = f"{folder / memory}/latents-" in Path("/proc/self/maps").read_text()
        left = [path.name for path in folder.glob(f"{memory}/*")]
        found[memory] = (shared, left)
        dist.barrier()
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="this system has no files in memory")
def test_three_processes_make_the_steps_of_one_with_memory_that_all_see_and_without(common):
    three = together(work_of_three, common / "ranks_of_three", 3)
    for found in three:
        assert [found[memory] for memory in ("there", "nowhere", "full")] == [
            (True, []),
            (False, []),
            (False, []),
        ]
    for case in OF_THREE:
        expected = state_after(*case)
        for memory in ("there", "nowhere", "full"):
            for found in three:
                assert_same(found[memory, case], expected, rtol=1e-6, atol=1e-6)
                assert_same(found[memory, case], three[0][memory, case], rtol=0, atol=0)


def work_compiled(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=SIZE)
    torch.save(state_after(*COMPILED, ranks=Ranks(dist.group.WORLD)), folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


COMPILED = ("ladder", "elbo", 29, "graph", (8,))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for the CPU by g++")
def test_two_processes_make_the_steps_of_one_when_torch_has_compiled_them(common):
    compiled = together(work_compiled, common / "ranks_compiled")
    expected = state_after(*COMPILED[:3], "plain", *COMPILED[4:])
    for found in compiled:
        assert_same(found, expected, rtol=1e-6, atol=1e-6)
    assert_same(*compiled, rtol=0, atol=0)


@pytest.mark.parametrize("network", ["reference", "ladder"])
def test_a_fit_of_two_processes_is_that_of_one(network, both, one_thread):
    X, y = digits()
    expected = model_of(network).fit(X, y, validation=(X[:50].round(), y[:50]))
    first, second = (
        ConditionalVAE.load(both.folder / f"{network}.{rank}.safetensors") for rank in range(SIZE)
    )
    assert first.history_.keys() == expected.history_.keys()
    assert second.history_.keys() == expected.history_.keys() - {"lower_bound_test"}
    for name, series in expected.history_.items():
        np.testing.assert_allclose(first.history_[name], series, rtol=0, atol=0.05, err_msg=name)
        np.testing.assert_allclose(first.history_[name][0], series[0], rtol=1e-4, err_msg=name)
    assert_same(second.network_.state_dict(), first.network_.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("network", ["reference", "ladder"])
def test_the_first_process_alone_tells_looks_and_writes(network, both):
    (told, looked, history), (its_told, its_looked, _) = (found[network] for found in both.found)
    assert (its_told, its_looked) == ([], [])
    assert looked == [1, 2, 3, 4, 5]
    assert told == [(name, series[i], i + 1) for i in range(5) for name, series in history.items()]
    assert (both.folder / f"{network}.0").exists()
    assert not (both.folder / f"{network}.1").exists()


@pytest.mark.parametrize("network", ["reference", "ladder"])
def test_all_processes_go_on_from_the_checkpoint_of_the_first(network, both):
    saved = ConditionalVAE.load(both.folder / f"{network}.0.safetensors").network_.state_dict()
    for found in both.found:
        assert_same(found[network, "again"], saved, rtol=0, atol=0)


@pytest.mark.parametrize("network", ["reference", "ladder"])
def test_seeds_that_nobody_gave_are_those_of_the_first(network, both):
    first, second = (found[network, "unseeded"] for found in both.found)
    assert_same(first, second, rtol=0, atol=0)


def test_processes_that_would_train_different_models_say_so(both):
    for found in both.found:
        parameters, data, batch = found["errors"]
        assert "process 1 of 2" in parameters
        assert "parameters.epochs 6 there, 5 here" in parameters
        assert "training data" in data
        assert "batch_size is 1, but 2 processes" in batch


def test_a_group_of_one_is_no_group(both, one_thread):
    X, y = digits()
    assert_same(
        both.found[0]["alone"], model_of("ladder", epochs=2).fit(X, y).network_.state_dict(), rtol=0, atol=0
    )
