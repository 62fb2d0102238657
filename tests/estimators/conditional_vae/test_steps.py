"""Both ways to make a step of training, held against each other."""

import shutil

import numpy as np
import pytest
import torch

from latents.estimators.conditional_vae import steps
from latents.estimators.conditional_vae.batches import Batches, pixels_of
from latents.estimators.conditional_vae.networks import build
from latents.estimators.conditional_vae.objective import OBJECTIVES
from latents.estimators.conditional_vae.steps import CompiledStep, Learner, Loss, learner_with_adam
from latents.estimators.conditional_vae.training import train
from tests.estimators.conditional_vae.test_objective import seeded

N_IMAGES, BATCH_SIZE, EPOCHS = 30, 8, 4


@pytest.fixture
def uncompiled(monkeypatch):
    """Let the graph be run as Python has it, since compiling takes half a minute; tell what it is given."""
    given = []

    def compile_(step, **options):
        return lambda *args: given.append(len(args[3][0])) or step(*args)

    monkeypatch.setattr(steps.torch, "compile", compile_)
    return given


def learner_of(network, likelihood="bernoulli", beta_2=0.99):
    network = build(
        "ladder" if network == "spatial" else network,
        "per_class",
        spatial=(4,) if network == "spatial" else (),
        image_shape=(3, 3),
        likelihood=likelihood,
        n_pixels=9,
        n_classes=2,
        n_latents=4,
        hidden=(8, 8),
        generator=seeded(),
    )
    return learner_with_adam(
        network, 16, learning_rate=3e-3, beta_2=beta_2, schedule="cosine", kl_warm_up=0.5
    )


def batches_of(learner, n_particles=1):
    grey = torch.rand(N_IMAGES, 9, generator=seeded(1)).mul(255).round() / 255
    return Batches(
        pixels_of(grey, binarise=learner.network.pixels.is_binary),
        torch.arange(N_IMAGES) % 2,
        batch_size=BATCH_SIZE,
        n_latents=learner.network.n_latents,
        n_particles=n_particles,
        generator=seeded(3),
    )


def state_of(learner):
    """Everything that a learner remembers, as flat names and values."""
    adam = learner.optimizer.state_dict()["state"]
    flat = {f"{place} {name}": value for place, state in adam.items() for name, value in state.items()}
    return {**learner.network.state_dict(), **flat}


@pytest.mark.parametrize("network", ["reference", "ladder", "spatial"])
@pytest.mark.parametrize(
    ("objective", "n_particles", "likelihood"),
    [("elbo", 1, "bernoulli"), ("iwae", 3, "bernoulli"), ("elbo", 1, "gaussian"), ("iwae", 2, "discretised")],
)
def test_one_graph_makes_the_steps_of_torchs_adam(uncompiled, network, objective, n_particles, likelihood):
    courses, learners = [], []
    for is_compiled in (False, True):
        learner = learner_of(network, likelihood)
        batches = batches_of(learner, n_particles)
        course = train(learner, batches, OBJECTIVES[objective], epochs=EPOCHS, is_compiled=is_compiled)
        courses.append(list(course))
        learners.append(learner)
    np.testing.assert_allclose(*courses, rtol=1e-4)
    assert uncompiled == [BATCH_SIZE] * (3 * EPOCHS - 1)  # not the first, nor an epoch's last, of 6 images
    plain, compiled = map(state_of, learners)
    assert plain.keys() == compiled.keys()
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-3, atol=1e-5, msg=name)
    assert all(compiled[name] == 4 * EPOCHS for name in compiled if name.endswith(" step"))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_classes_weigh_in_the_gradient_and_not_in_the_bounds(objective):
    """By the sums of each class apart: the loss of a batch is the weighted sum of what its classes add to it."""
    learner = learner_of("reference")
    batch = next(batches_of(learner, n_particles=2).epoch())
    weight, kl_weight = torch.tensor([0.25, 3.0]), torch.tensor(0.7)

    def gradient(*arguments, only=slice(None)):
        loss, sums = Loss(learner.network, OBJECTIVES[objective], torch.float32, *arguments)(
            batch._replace(x=batch.x[only], y=batch.y[only], noise=batch.noise[:, only]), kl_weight
        )
        return torch.cat([g.ravel() for g in torch.autograd.grad(loss, learner.network.parameters())]), sums

    weighted, sums = gradient(weight)
    of_classes = [gradient(only=batch.y == code)[0] for code in range(2)]
    torch.testing.assert_close(weighted, 0.25 * of_classes[0] + 3 * of_classes[1])
    torch.testing.assert_close(sums, gradient()[1])


def test_one_graph_weighs_classes_as_well(uncompiled):
    learners = [learner_of("ladder"), learner_of("ladder")]
    courses = [
        list(
            train(
                learner,
                batches_of(learner),
                OBJECTIVES["elbo"],
                epochs=EPOCHS,
                is_compiled=is_compiled,
                class_weights=torch.tensor([0.25, 3.0]),
            )
        )
        for learner, is_compiled in zip(learners, (False, True), strict=True)
    ]
    np.testing.assert_allclose(*courses, rtol=1e-4)
    assert uncompiled
    alike = learner_of("ladder")
    *_, last = train(alike, batches_of(alike), OBJECTIVES["elbo"], epochs=EPOCHS)
    assert abs(last.lower_bound - courses[0][-1].lower_bound) > 1e-3


COMPILED = pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for the CPU by g++")


def courses_of(network, beta_2=0.99):
    """Two epochs of a training, with steps as they are and compiled."""
    return [
        list(train(learner, batches_of(learner), OBJECTIVES["elbo"], epochs=2, is_compiled=is_compiled))
        for is_compiled in (False, True)
        for learner in [learner_of(network, beta_2=beta_2)]
    ]


@COMPILED
def test_what_torch_compiles_is_the_same_training_however_many_there_were():
    with torch._dynamo.config.patch(recompile_limit=1):  # which pytest's own patch would not put back
        for beta_2 in (0.99, 0.9):
            np.testing.assert_allclose(*courses_of("reference", beta_2), rtol=1e-4)


@COMPILED
@pytest.mark.slow
@pytest.mark.parametrize("network", ["ladder", "spatial"])
def test_levels_are_compiled_as_well(network):
    np.testing.assert_allclose(*courses_of(network), rtol=1e-4)


def test_only_processors_are_compiled_for_by_options_of_ours():
    known = torch._inductor.list_options()
    options = steps._compiler_options(torch.device("cpu"))
    assert options["cpp_wrapper"]
    assert {*options} <= {*known}
    assert not steps._compiler_options(torch.device("cuda"))


@pytest.mark.parametrize("network", ["reference", "ladder", "spatial"])
def test_a_training_that_is_taken_up_goes_on_bit_for_bit(uncompiled, network):
    whole, half = learner_of(network), learner_of(network)
    batches, its_batches = batches_of(whole), batches_of(half)
    expected = list(train(whole, batches, OBJECTIVES["elbo"], epochs=4, is_compiled=True))
    list(train(half, its_batches, OBJECTIVES["elbo"], epochs=2, is_compiled=True))
    taken_up = learner_of(network)
    taken_up.load_state_dict(half.state_dict())
    course = train(taken_up, its_batches, OBJECTIVES["elbo"], epochs=4, epochs_done=2, is_compiled=True)
    assert list(course) == expected[2:]
    for name, value in state_of(whole).items():
        assert torch.equal(value, state_of(taken_up)[name]), name


@pytest.mark.parametrize(
    "make",
    [
        lambda weights: torch.optim.SGD(weights),
        lambda weights: torch.optim.AdamW(weights),
        lambda weights: torch.optim.Adam(weights, weight_decay=0.1),
        lambda weights: torch.optim.Adam([{"params": weights[:1]}, {"params": weights[1:]}]),
    ],
)
def test_another_optimiser_than_a_plain_adam_is_not_compiled(make):
    network = learner_of("reference").network
    learner = Learner(network, make(list(network.parameters())))
    with pytest.raises(TypeError, match="plain Adam"):
        CompiledStep(learner, Loss(network, OBJECTIVES["elbo"], torch.float32))
