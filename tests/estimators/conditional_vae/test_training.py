"""What a training is made of: batches, binarisation, learners of any kind, and what stops it."""

import os
import platform
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from latents.estimators.conditional_vae import batches as batches_module
from latents.estimators.conditional_vae import training
from latents.estimators.conditional_vae.batches import Batches, grey_levels, pixels_of, uniform_bytes
from latents.estimators.conditional_vae.checkpoints import Checkpoints
from latents.estimators.conditional_vae.networks import build
from latents.estimators.conditional_vae.objective import elbo
from latents.estimators.conditional_vae.steps import Learner, make_schedule
from latents.estimators.conditional_vae.training import Progress, carry_out, choose_pace, train
from tests.estimators.conditional_vae.test_objective import seeded

# Grey levels and binarisation


@pytest.mark.parametrize("m", [1, 2, 15, 16, 100, 254, 255])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_multiples_are_found_as_such(m, dtype):
    k = np.arange(3 * (m + 1)).reshape(3, -1) % (m + 1)
    levels, found = grey_levels(torch.from_numpy((k.astype(dtype) / m).astype(np.float32)))
    assert found == m
    assert levels.dtype == torch.uint8
    np.testing.assert_array_equal(levels, k)


def test_the_fewest_levels_are_found_wherever_the_odd_one_is():
    grey = torch.zeros(1500, 1000)
    grey[0, 0] = 1
    assert grey_levels(grey)[1] == 1
    grey[-1, -1] = 0.5  # in another block than the first
    assert grey_levels(grey)[1] == 2
    grey[700, 3] = 1 / 255
    assert grey_levels(grey) is None  # only 510 would do


@pytest.mark.parametrize("values", [[0.0, 0.1234567, 1.0], [1 / 256, 3 / 256], [1e-9, 1.0], [1 / 255 + 2e-6]])
def test_other_values_are_left_as_they_are(values):
    grey = torch.tensor([values])
    assert grey_levels(grey) is None
    assert torch.equal(pixels_of(grey, binarise=False)(torch.zeros(1, dtype=torch.int64), seeded()), grey)


@pytest.mark.parametrize("bound", [128, 240, 255])
def test_bytes_are_uniform_below_their_bound(bound):
    n = 400_000
    counts = torch.bincount(uniform_bytes(n, bound, seeded()).long(), minlength=bound).double()
    assert len(counts) == bound
    chi_squared = float(((counts - n / bound) ** 2 / (n / bound)).sum())
    assert chi_squared < bound - 1 + 5 * (2 * bound) ** 0.5


@pytest.mark.parametrize("bound", [1, 2, 255])
def test_bytes_beyond_the_bound_are_drawn_again_in_their_order(bound):
    n, generator, its_generator = 5_003, seeded(), seeded()

    def words(n):
        return torch.empty(-(-n // 8), dtype=torch.int64).random_(-(2**63), None, generator=generator)

    expected = words(n).view(torch.uint8)[:n].tolist()
    places = [i for i in range(n) if expected[i] >= bound]
    while places:
        for i, byte in zip(places, words(len(places)).view(torch.uint8).tolist(), strict=False):
            expected[i] = byte
        places = [i for i in places if expected[i] >= bound]
    assert uniform_bytes(n, bound, its_generator).tolist() == expected
    assert torch.equal(generator.get_state(), its_generator.get_state())


@pytest.mark.parametrize("m", [1, 3, 16, 255])
@pytest.mark.parametrize("by", ["bytes", "floats"])
def test_a_pixel_is_one_with_just_its_grey_value(monkeypatch, m, by):
    """Over all u that can be drawn, k in m of them are below the threshold of k: no grey value is off."""
    k = torch.arange(m + 1, dtype=torch.float64)
    if by == "floats":
        monkeypatch.setattr(batches_module, "grey_levels", lambda grey: None)
    draw = pixels_of((k / m).float().unsqueeze(0), binarise=True)
    rows, generator = torch.zeros(40_000, dtype=torch.int64), seeded()
    drawn, afresh = (draw(rows, generator) for _ in range(2))
    torch.testing.assert_close(drawn.double().mean(dim=0), k / m, rtol=0, atol=0.0125)
    assert not drawn[:, 0].any()
    assert drawn[:, -1].all()
    assert m == 1 or not torch.equal(drawn, afresh)
    if by == "bytes":

        def every_byte(n, bound, generator):
            return torch.arange(bound, dtype=torch.uint8).repeat_interleave(n // bound)

        monkeypatch.setattr(batches_module, "uniform_bytes", every_byte)
        bound = m * (255 // m)
        share = draw(rows[:bound], generator).sum(dim=0).double() / bound
        torch.testing.assert_close(share, k / m, rtol=0, atol=1e-15)


# Batches


@pytest.mark.parametrize("n_images", [1, 7, 160, 163])
@pytest.mark.parametrize("n_particles", [1, 3])
def test_an_epoch_has_each_image_once_in_a_new_order(n_images, n_particles):
    grey = torch.rand(n_images, 4, generator=seeded())
    y = torch.arange(n_images)
    batches = Batches(
        pixels_of(grey, binarise=False),
        y,
        batch_size=5,
        n_latents=2,
        n_particles=n_particles,
        generator=seeded(),
    )
    first, second = list(batches.epoch()), list(batches.epoch())
    order = torch.cat([batch.y for batch in first])
    assert sorted(order.tolist()) == y.tolist()
    assert n_images == 1 or order.tolist() != torch.cat([batch.y for batch in second]).tolist()
    torch.testing.assert_close(torch.cat([batch.x for batch in first]), grey[order])
    sizes = [len(batch.x) for batch in first]
    assert sizes == [5] * (n_images // 5) + [n_images % 5] * bool(n_images % 5)
    for batch in first:
        assert batch.noise.shape == ((n_particles,) if n_particles > 1 else ()) + (len(batch.x), 2)
    noise = torch.cat([batch.noise.reshape(-1) for batch in first])
    assert len(noise.unique()) == len(noise)


@pytest.mark.parametrize("by", ["bytes", "floats", "grey"])
@pytest.mark.parametrize("n_particles", [1, 3])
@pytest.mark.parametrize("n_images", [160, 161])
def test_shares_are_what_one_draws_of_the_whole_of_each_batch(monkeypatch, by, n_particles, n_images):
    if by == "floats":
        monkeypatch.setattr(batches_module, "grey_levels", lambda grey: None)
    grey = torch.randint(256, (n_images, 40), generator=seeded(1)) / 255

    def drawn(share):
        batches = Batches(
            pixels_of(grey, binarise=by != "grey"),
            torch.arange(n_images),
            batch_size=5,
            n_latents=2,
            n_particles=n_particles,
            generator=seeded(),
        )
        return list(batches.epoch(share)), batches.generator.get_state()

    wholes, state = drawn(None)
    for rank in range(3):
        parts, its_state = drawn(lambda n, rank=rank: slice(rank * n // 3, (rank + 1) * n // 3))
        assert torch.equal(state, its_state)
        for part, whole in zip(parts, wholes, strict=True):
            assert part.n_images == whole.n_images == len(whole.x)
            own = slice(rank * len(whole.x) // 3, (rank + 1) * len(whole.x) // 3)
            assert torch.equal(part.x, whole.x[own])
            assert torch.equal(part.y, whole.y[own])
            assert torch.equal(part.noise, whole.noise[..., own, :])


# Learners of any kind


def learner_of(network="reference"):
    network = build(
        network, "per_class", n_pixels=9, n_classes=2, n_latents=2, hidden=(8,), generator=seeded()
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    schedule = OneCycleLR(optimizer, max_lr=0.02, total_steps=6 * 4)
    return Learner(network, optimizer, schedule, kl_warm_up=10)


def progress_of(learner):
    generator = seeded(3)
    grey = torch.rand(30, 9, generator=seeded(1)).mul(255).round() / 255
    y = torch.arange(30) % 2
    batches = Batches(pixels_of(grey, binarise=True), y, batch_size=8, n_latents=2, generator=generator)
    return Progress(learner, generator), batches


@pytest.mark.parametrize("network", ["reference", "ladder"])
def test_any_learner_goes_on_bit_for_bit(tmp_path, network):
    def run(epochs, path=None):
        progress, batches = progress_of(learner_of(network))
        checkpoints = None if path is None else Checkpoints(path, {"data": "these"}, every=2)
        observers = [lambda means, epoch: means._asdict()]
        told = []
        carry_out(
            progress,
            batches,
            elbo,
            observers,
            epochs=epochs,
            checkpoints=checkpoints,
            callback=lambda *call: told.append(call),
        )
        return progress, told

    path = tmp_path / "checkpoint.safetensors"
    whole, told_whole = run(6)
    run(3, path)
    resumed, told = run(6, path)
    assert told == told_whole
    assert resumed.history == whole.history
    assert resumed.learner.schedule.last_epoch == resumed.learner.n_steps == 24
    for name, weight in resumed.learner.network.state_dict().items():
        assert torch.equal(weight, whole.learner.network.state_dict()[name]), name


def test_the_rate_follows_its_schedule_and_the_kl_term_its_weight():
    learner = learner_of()
    _, batches = progress_of(learner)
    met = []

    def objective(*batch):
        met.append(batch[-1].item())
        return elbo(*batch)

    epochs = train(learner, batches, objective, epochs=6)
    rates = [learner.optimizer.param_groups[0]["lr"] for _ in epochs]
    assert max(rates) > 10 * rates[-1]
    np.testing.assert_allclose(met, np.minimum(1, np.arange(1, 25) / 11), rtol=1e-6)


def test_a_cosine_rises_and_falls_and_another_rate_stays():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    assert make_schedule("constant", optimizer, 1000) is None
    schedule = make_schedule("cosine", optimizer, 1000)
    rates = []
    for _ in range(1000):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(np.diff(rates[:20]), 0.5 / 21, rtol=1e-6)
    assert np.argmax(rates) == 20
    assert rates[20] == 0.5
    assert (np.diff(rates[20:]) < 0).all()
    np.testing.assert_allclose(rates[510], 0.5 * (0.01 + 0.99 / 2), rtol=1e-6)
    assert 0.005 < rates[-1] < 0.00501
    for n_steps in (1, 2, 50, 51):  # no rate is beyond the schedule's ends, however short it is
        steps = make_schedule("cosine", optimizer, n_steps)
        optimizer.step()
        for _ in range(n_steps):
            steps.step()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * steps.base_lrs[0])


# What stops a training


class Objective:
    """The bound until a step in which something happens to it."""

    def __init__(self, network, step, change):
        self.network, self.step, self.change, self.calls = network, step, change, 0

    def __call__(self, *batch):
        self.calls += 1
        terms = elbo(*batch)
        return self.change(terms, self.network) if self.calls == self.step else terms


def infinite(terms, network):
    return terms._replace(reconstruction=terms.reconstruction * torch.inf)


def astray(terms, network):
    return terms._replace(kl=terms.kl + 1e4)


def broken(terms, network):
    with torch.no_grad():
        network.prior.mean[0, 1] = torch.nan
    return terms


@pytest.mark.parametrize(
    ("change", "step", "said"),
    [
        (infinite, 11, r"bound is not finite in epoch 3, step 3 of 4: reconstruction -inf"),
        (astray, 10, r"bound diverges in epoch 3, worst in step 2 of 4: its mean is -"),
        (broken, 12, r"prior.mean is not finite after epoch 3, step 4"),
    ],
)
def test_a_training_that_loses_its_way_names_epoch_step_and_the_last_good_checkpoint(
    tmp_path, change, step, said
):
    learner = learner_of()
    progress, batches = progress_of(learner)
    path = tmp_path / "checkpoint.safetensors"
    objective = Objective(learner.network, step, change)
    with pytest.raises(FloatingPointError, match=rf"{said}.*last good checkpoint is that of epoch 2, {path}"):
        carry_out(progress, batches, objective, [], epochs=6, checkpoints=Checkpoints(path, {}, every=1))
    again, batches = progress_of(learner_of())
    carry_out(again, batches, elbo, [], epochs=3, checkpoints=Checkpoints(path, {}, every=1))
    assert again.epoch == 3


def test_without_a_checkpoint_there_is_none_to_name(tmp_path):
    learner = learner_of()
    progress, batches = progress_of(learner)
    objective, checkpoints = (
        Objective(learner.network, 2, infinite),
        Checkpoints(tmp_path / "new", {}, every=1),
    )
    with pytest.raises(FloatingPointError, match="there is no checkpoint"):
        carry_out(progress, batches, objective, [], epochs=1, checkpoints=checkpoints)


# Precision and compiling


def test_what_pays_is_chosen_and_what_is_asked_for_is_taken(monkeypatch):
    small, large = torch.nn.Linear(10, 10), torch.nn.Linear(600, 600)
    for has_instructions, expected in [(True, torch.bfloat16), (False, torch.float32)]:
        monkeypatch.setattr(training, "multiplies_bfloat16", lambda _, answer=has_instructions: answer)
        assert choose_pace("auto", False, large, 10).precision == expected
        assert choose_pace("auto", False, small, 10).precision == torch.float32
        assert choose_pace("float32", False, large, 10).precision == torch.float32
        with nullcontext() if has_instructions else pytest.warns(UserWarning, match="emulates it, about ten"):
            assert choose_pace("bfloat16", False, small, 10).precision == torch.bfloat16
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/g++")
    assert [choose_pace("auto", "auto", small, n).is_compiled for n in (100, 10**6)] == [False, True]
    assert choose_pace("auto", True, small, 1).is_compiled
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not choose_pace("auto", True, small, 10**6).is_compiled


@pytest.mark.parametrize(
    ("setting", "bits"),
    [
        ({"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}, 256),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "default"}, 1),
    ],
)
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="settings of x86 processors")
def test_a_processor_that_is_told_to_do_without_instructions_does(setting, bits):
    code = (
        "import torch; from latents.estimators.conditional_vae.steps import _compiler_options; "
        "from latents.estimators.conditional_vae.training import choose_pace; "
        "print(choose_pace('auto', False, torch.nn.Linear(600, 600), 10).precision); "
        "print(_compiler_options(torch.device('cpu'))['cpp.simdlen'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **setting},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["torch.float32", str(bits)]


@pytest.mark.parametrize("network", ["reference", "ladder"])
def test_shorter_products_train_as_well(network):
    bounds = {}
    for precision in (torch.float32, torch.bfloat16):
        learner = learner_of(network)
        _, batches = progress_of(learner)
        bounds[precision] = [
            means.lower_bound for means in train(learner, batches, elbo, epochs=6, precision=precision)
        ]
        assert all(weight.dtype == torch.float32 for weight in learner.network.parameters())
    np.testing.assert_allclose(*bounds.values(), rtol=0.01)
    assert bounds[torch.float32] != bounds[torch.bfloat16]
