"""Pixels of 256 grey values: their masses against an oracle of double precision, and models of them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latents.estimators import ConditionalVAE, load
from latents.estimators.conditional_vae import evaluation
from latents.estimators.conditional_vae.logistics import clipped_mean, log_mass
from latents.estimators.conditional_vae.networks import build
from latents.estimators.conditional_vae.pixels import DiscretisedPixels
from tests.estimators.conditional_vae.test_estimator import SMALL, assert_same
from tests.estimators.conditional_vae.test_objective import seeded
from tests.oracles import discretised_colour_masses, discretised_logistic_masses, discretised_mixture_masses

LEVELS = torch.arange(256, dtype=torch.float64)
MEANS = st.floats(-3, 4)
LOG_SCALES = st.floats(math.log(1 / 5100), 5)


def made_up(n_channels, *shape, scale=1.0, seed=0):
    """A pixel model that has begun, and what a decoder may tell it of one place."""
    pixels = DiscretisedPixels(n_channels).double()
    pixels.begin(torch.rand(50, 6 * n_channels, dtype=torch.float64, generator=seeded(seed)))
    outputs = torch.randn(*shape, pixels.n_per_place, dtype=torch.float64, generator=seeded(seed + 1))
    return pixels, scale * outputs


# One logistic distribution


@given(MEANS, LOG_SCALES)
def test_masses_are_those_of_the_oracle_and_add_up_to_one(mean, log_scale):
    mean, log_scale = torch.tensor([mean, log_scale], dtype=torch.float64)
    found = log_mass(LEVELS, mean, log_scale)
    expected = discretised_logistic_masses(mean.item(), math.exp(log_scale))
    np.testing.assert_allclose(found.exp(), expected, rtol=1e-9, atol=1e-300)
    assert found.exp().sum().item() == pytest.approx(1, abs=1e-12)
    single = log_mass(LEVELS.float(), mean.float(), log_scale.float())
    # The distance from a mean is known to a rounding error of single precision, in units of the scale.
    np.testing.assert_allclose(single, found, rtol=1e-4, atol=1e-2)


def test_no_mass_is_nought_however_far():
    """Where differences of the distribution function would be, in double precision too."""
    log_scale = torch.tensor(-8.5)
    far = log_mass(torch.tensor([1.0, 254.0]), torch.tensor([3.0, -2.0]), log_scale)
    distances = (torch.tensor([3 - 1.5 / 255, 2 + 253.5 / 255])) * torch.exp(-log_scale)
    torch.testing.assert_close(far, -distances)


@pytest.mark.parametrize("log_scale", [-8.5, -3.0, 5.0])
@pytest.mark.parametrize("mean", [-1e4, -2.0, 0.0, 0.5, 1.0, 1e4])
def test_gradients_are_finite_at_all_extremes(mean, log_scale):
    mean = torch.full((256,), mean, requires_grad=True)
    log_scale = torch.full((256,), log_scale, requires_grad=True)
    mass = log_mass(LEVELS.float(), mean, log_scale)
    mass.sum().backward()
    for value in (mass, mean.grad, log_scale.grad):
        assert value.isfinite().all()


@given(MEANS, LOG_SCALES)
def test_the_mean_is_that_of_the_grey_values_to_half_a_step(mean, log_scale):
    exact = np.arange(256) / 255 @ discretised_logistic_masses(mean, math.exp(log_scale))
    found = clipped_mean(torch.tensor(mean), torch.tensor(log_scale)).item()
    assert found == pytest.approx(exact, abs=1 / 510 + 1e-5)
    if log_scale > math.log(1 / 255):  # where the midpoint rule hardly errs
        assert found == pytest.approx(exact, abs=2e-4)


# Mixtures


@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0])
def test_grey_pixels_are_drawn_as_often_as_their_masses_say(scale):
    pixels, outputs = made_up(1, 1, scale=scale)
    n = 100_000
    drawn = pixels.draw(outputs.expand(n, -1), np.random.RandomState(0))
    levels = np.rint(255 * drawn.detach().numpy()[:, 0]).astype(int)
    np.testing.assert_allclose(drawn[:, 0].detach(), levels / 255, atol=1e-6)
    masses = pixels.log_likelihood(LEVELS[:, None] / 255, outputs).exp().detach().numpy()
    counts = np.bincount(levels, minlength=256)
    # Five standard deviations of the binomial distribution, and one draw.
    assert (np.abs(counts - n * masses) < 5 * np.sqrt(n * masses) + 1).all()


@torch.no_grad()
def test_colours_are_drawn_as_often_as_their_masses_say():
    """Of the commonest reds all greens and blues, in sixteen parts so that many fall in each."""
    pixels, outputs = made_up(3, 1, scale=2.0)
    n = 200_000
    drawn = (255 * pixels.draw(outputs.expand(n, -1), np.random.RandomState(1))).round().long()
    others = torch.cartesian_prod(torch.arange(256), torch.arange(256))
    for red in torch.bincount(drawn[:, 0]).topk(5).indices.tolist():
        colours = torch.cat((torch.full((len(others), 1), red), others), dim=1)
        masses = pixels.log_likelihood(colours / 255.0, outputs.expand(len(colours), -1)).exp()
        expected = n * masses.new_zeros(16).index_add_(0, _part(others), masses)
        counts = torch.bincount(_part(drawn[drawn[:, 0] == red, 1:]), minlength=16)
        assert ((counts - expected).abs() < 5 * expected.sqrt() + 1).all()
        assert expected.sum() > 100


def _part(colours):
    return colours[:, 0] // 64 * 4 + colours[:, 1] // 64


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_grey_pixels_have_the_masses_of_the_oracle(scale):
    pixels, outputs = made_up(1, 3, scale=scale)
    shares, means, scales, _ = parts_of(pixels, outputs)
    for place in range(3):
        expected = discretised_mixture_masses(shares[place], means[place, 0], scales[place, 0])
        found = pixels.log_likelihood(LEVELS[:, None] / 255, outputs[place].expand(256, -1)).exp()
        np.testing.assert_allclose(found.detach(), expected, rtol=1e-8)
        assert expected.sum() == pytest.approx(1, abs=1e-12)
        mean = pixels.means(outputs[place]).item()
        assert mean == pytest.approx(np.arange(256) / 255 @ expected, abs=1 / 510)


def parts_of(pixels, outputs):
    """Shares (places, K), means and scales (places, C, K) and coefficients (places, pairs, K)."""
    log_shares, means, log_scales, coefficients = (
        part.detach().movedim(-1, 0).numpy() for part in pixels._mixture(outputs.flatten(-2))
    )
    return np.exp(log_shares), means, np.exp(log_scales), coefficients


def begin_at(pixels, means, log_scale):
    """Let all that outputs are relative to have these means (C, K), and one scale."""
    _, its_means, log_scales, _ = pixels._split(pixels.start.detach().unsqueeze(-1))
    its_means.copy_(means.unsqueeze(-1))
    log_scales.fill_(log_scale)


@pytest.mark.parametrize("seed", range(3))
def test_colours_have_the_masses_of_the_oracle_and_add_up_to_one(seed):
    """Of a red, all greens and blues add up to the share of that red, and all reds to one."""
    pixels, outputs = made_up(3, 1, scale=2.0, seed=seed)
    shares, means, scales, coefficients = (part[0] for part in parts_of(pixels, outputs))
    red = np.random.default_rng(seed).integers(256)
    green, blue = torch.meshgrid(LEVELS, LEVELS, indexing="ij")
    x = torch.stack((torch.full_like(green, float(red)), green, blue), dim=-1).reshape(-1, 3) / 255
    found = pixels.log_likelihood(x, outputs.expand(len(x), -1)).exp().detach().reshape(256, 256).numpy()
    expected = discretised_colour_masses(shares, means, scales, coefficients, red)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-300)
    of_red = discretised_mixture_masses(shares, means[0], scales[0])
    assert found.sum() == pytest.approx(of_red[red], rel=1e-10)
    assert of_red.sum() == pytest.approx(1)


def test_the_means_of_colours_follow_one_another():
    """Narrow components, within black and white: the chain is linear there, and exact."""
    pixels, outputs = made_up(3, 40, scale=0.3)
    begin_at(pixels, torch.rand(3, 5, generator=seeded()).double() * 0.2 + 0.4, -5.0)
    shares, means, scales, coefficients = parts_of(pixels, outputs)
    found = pixels.means(outputs.flatten()).detach().reshape(40, 3)
    # A colour's draw has mean m whatever the one before, so that it keeps what it follows on average.
    np.testing.assert_allclose(found, (shares[:, None] * means).sum(-1), atol=1e-3)
    rng = np.random.default_rng(0)
    place, n = 7, 40_000
    k = rng.choice(5, n, p=shares[place] / shares[place].sum())
    m, s, a = means[place][:, k], scales[place][:, k], coefficients[place][:, k]
    drawn = np.empty((3, n))
    for c in range(3):
        follows = (0, a[0] * (drawn[0] - m[0]), a[1] * (drawn[0] - m[0]) + a[2] * (drawn[1] - m[1]))[c]
        drawn[c] = np.round(255 * np.clip(rng.logistic(m[c] + follows, s[c]), 0, 1)) / 255
    error = drawn.std(axis=1) / np.sqrt(n)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=1) - found[place].numpy()), 5 * error + 1 / 510)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_an_image_has_the_sum_of_its_places(n_channels):
    pixels, outputs = made_up(n_channels, 2, 4, 5)
    x = torch.rand(4, 5 * n_channels, dtype=torch.float64, generator=seeded(5))
    whole = pixels.log_likelihood(x, outputs.flatten(-2))
    assert pixels.n_outputs(5 * n_channels) == outputs.flatten(-2).shape[-1]
    by_place = sum(
        pixels.log_likelihood(x[:, n_channels * i : n_channels * (i + 1)], outputs[..., i, :])
        for i in range(5)
    )
    torch.testing.assert_close(whole, by_place)
    torch.testing.assert_close(whole, pixels.log_likelihood(torch.round(255 * x) / 255, outputs.flatten(-2)))
    means = pixels.means(outputs.flatten(-2))
    assert means.shape == (2, 4, 5 * n_channels)
    assert ((means >= 0) & (means <= 1)).all()


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4, 1e9])
def test_any_outputs_have_finite_gradients(n_channels, scale):
    pixels, outputs = made_up(n_channels, 40, 3, scale=scale)
    pixels, outputs = pixels.float(), outputs.float().flatten(-2).requires_grad_()
    x = torch.rand(40, 3 * n_channels, generator=seeded(2)).round(decimals=1)
    found = pixels.log_likelihood(x, outputs)
    found.sum().backward()
    for value in (found, outputs.grad, pixels.start.grad, pixels.means(outputs)):
        assert value.isfinite().all()


def test_pixels_begin_as_the_images_are():
    grey = torch.cat([torch.zeros(600, 4), torch.rand(400, 4, generator=seeded())]).mul(255).round() / 255
    pixels = DiscretisedPixels()
    pixels.begin(grey)
    found = pixels.log_likelihood(grey[::7], torch.zeros(len(grey[::7]), 60)).mean() / 4
    # The entropy of these: black in six of ten, and all values alike in the others.
    entropy = -0.6 * math.log(0.6) + 0.4 * math.log(256 / 0.4)
    assert -found > entropy - 0.2
    assert -found < math.log(256) - 0.5
    for constant in (0.0, 0.5, 1.0):
        pixels.begin(torch.full((5, 6), constant))
        assert pixels.log_likelihood(torch.full((1, 6), constant), torch.zeros(1, 90)).item() > -20
    colours = DiscretisedPixels(3)
    colours.begin(torch.tensor([[0.1, 0.2, 0.3]]).repeat(9, 4))
    _, means, *_ = colours._split(colours.start.unsqueeze(-1))
    torch.testing.assert_close(means[:, 1, 0], torch.tensor([0.1, 0.2, 0.3]))


# Models


@pytest.fixture(scope="module")
def coloured():
    """Images of 4 x 4 in two classes: red on the left, or blue below, of a brightness of their own."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    images = rng.integers(0, 40, (300, 4, 4, 3)) / 255
    bright = rng.integers(120, 256, (300, 1, 1)) / 255
    images[y == 0, :, :2, 0] = bright[y == 0]
    images[y == 1, 2:, :, 2] = bright[y == 1]
    return images.reshape(300, -1), y


LADDER = {"network": "ladder", "n_latents": 4, "hidden": (8, 8)}


@pytest.mark.parametrize("network", [{}, LADDER])
@pytest.mark.parametrize("shape", [None, (4, 4, 3)])
def test_models_learn_and_are_saved(coloured, tmp_path, network, shape):
    X, y = coloured
    model = ConditionalVAE(**SMALL | network | {"epochs": 15}, likelihood="discretised", image_shape=shape)
    model.fit(X, y, validation=(X, y))
    n_places, n_numbers = (48, 15) if shape is None else (16, 50)
    last = model.network_.outputs if network else model.network_.decoder.layers[-1]
    assert last.out_features == n_places * n_numbers
    bits = -np.array(model.history_["lower_bound_test"]) / (48 * math.log(2))
    assert bits[-1] < bits[0] - 0.1
    assert bits[-1] < 8
    assert model.score(X, y) < model.log_likelihood(X, y, n_samples=30).mean() < 0
    assert (model.predict(X[:40], n_samples=5) == y[:40]).all()
    red, blue = model.sample([0] * 20 + [1] * 20).reshape(2, 20, 4, 4, 3).mean(1)
    assert red[:, :2, 0].min() > 0.5 > red[:, 2:].max()
    assert blue[2:, :, 2].min() > 0.5 > blue[:2].max()
    model.save(tmp_path / "model.safetensors")
    other = load(tmp_path / "model.safetensors")
    assert_same(model, other)
    np.testing.assert_array_equal(other.score_samples(X, y), model.score_samples(X, y))
    np.testing.assert_array_equal(other.reconstruct(X, y), model.reconstruct(X, y))


def test_colours_drawn_together_say_more():
    """Where green and blue are red, and nothing else is to be learned."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (400, 4, 1)).repeat(3, axis=2).reshape(400, 12) / 255
    y = np.arange(400) % 2
    alone, together = (
        ConditionalVAE(**SMALL | {"epochs": 40}, likelihood="discretised", image_shape=shape).fit(grey, y)
        for shape in (None, (2, 2, 3))
    )
    assert together.score(grey, y) > alone.score(grey, y) + 5


def test_bounds_of_models_of_the_same_pixels_compare(digits):
    """As probabilities they lie below nought, and that of chance is 8 bits a pixel."""
    X, y = digits
    model = ConditionalVAE(**SMALL, likelihood="discretised").fit(X, y)
    assert model.score(X, y) < 0
    assert -model.score(X, y) / (64 * math.log(2)) < 8


def test_colours_make_another_training(coloured, tmp_path, caplog):
    for shape in ((4, 12), (4, 4, 3)):
        ConditionalVAE(**SMALL, likelihood="discretised", image_shape=shape).fit(
            *coloured, checkpoint=tmp_path / "checkpoint"
        )
    assert "colours None there, 3 here" in caplog.text


def test_images_of_several_batches_are_the_same(coloured, monkeypatch):
    X, y = coloured
    model = ConditionalVAE(**SMALL, likelihood="discretised", image_shape=(4, 4, 3)).fit(X, y)
    monkeypatch.setattr(evaluation, "_NUMBERS", 4096 * 48)
    assert evaluation.rows_at_once(model.network_) == 4096 * 3 // 50 < len(X)
    z = model.transform(X, y)
    few = np.concatenate([model.inverse_transform(z[i : i + 7], y[i : i + 7]) for i in range(0, 300, 7)])
    np.testing.assert_allclose(model.inverse_transform(z, y), few, atol=1e-5)
    whole = model.log_likelihood(X, y, n_samples=20)
    monkeypatch.setattr(evaluation, "_ROWS", 100)
    apart = model.log_likelihood(X, y, n_samples=20)  # six draws at once, and other noise
    assert whole.mean() == pytest.approx(apart.mean(), abs=5 * (whole - apart).std() / np.sqrt(len(X)))


def test_as_many_rows_as_ever_of_pixels_that_take_one_number():
    for likelihood in ("bernoulli", "gaussian"):
        network = build(
            "reference",
            "standard",
            likelihood=likelihood,
            n_pixels=48,
            n_classes=2,
            n_latents=3,
            hidden=(4,),
            image_shape=(4, 4, 3),
            generator=seeded(),
        )
        assert evaluation.rows_at_once(network) == evaluation._ROWS
