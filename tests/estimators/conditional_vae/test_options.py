"""What a ``ConditionalVAE`` can be asked to be: its pixels, its objective, its prior, and to be watched."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from latents.estimators import ConditionalVAE, load
from latents.estimators.conditional_vae import training
from latents.estimators.conditional_vae.objective import elbo, iwae
from latents.estimators.conditional_vae.pixels import BernoulliPixels, GaussianPixels, binarise
from tests.estimators.conditional_vae.test_estimator import SMALL, assert_same
from tests.estimators.conditional_vae.test_objective import images, normal_grid, seeded, small_network


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


# The objective

ONE = torch.tensor(1.0)  # the weight of the KL term


def test_the_bound_of_several_draws_is_the_mean_over_them():
    network, (x, y) = small_network(), images()
    draws = noise(5, 4, 1)
    terms = elbo(network, x, y, draws, ONE)
    single = [network.infer(x, y, draw) for draw in draws]
    torch.testing.assert_close(terms.reconstruction, torch.stack([s.reconstruction for s in single]).mean(0))
    torch.testing.assert_close(terms.kl, single[0].kl)
    torch.testing.assert_close(terms.objective, terms.reconstruction - terms.kl)
    one = elbo(network, x, y, draws[0], ONE)
    torch.testing.assert_close(one.objective, single[0].reconstruction - single[0].kl)
    tempered = elbo(network, x, y, draws, torch.tensor(0.3))
    torch.testing.assert_close(tempered.objective, terms.reconstruction - 0.3 * terms.kl)
    assert torch.equal(tempered.kl, terms.kl)


def test_the_importance_weighted_bound_is_the_log_of_the_mean_weight():
    network, (x, y) = small_network(), images()
    draws = noise(5, 4, 1)
    terms = iwae(network, x, y, draws, ONE)
    weights = sum(network.weigh(x, y, draws))
    torch.testing.assert_close(terms.objective, weights.exp().mean(0).log())
    torch.testing.assert_close(terms.reconstruction - terms.kl, weights.mean(0))
    torch.testing.assert_close(iwae(network, x, y, draws[0], ONE).objective, weights[0])
    likelihood, log_ratio = network.weigh(x, y, draws)
    tempered = iwae(network, x, y, draws, torch.tensor(0.3))
    torch.testing.assert_close(tempered.objective, (likelihood + 0.3 * log_ratio).exp().mean(0).log())
    assert torch.equal(tempered.kl, terms.kl)
    assert torch.equal(tempered.trained_bound, terms.objective)


@pytest.mark.parametrize("prior", ["standard", "per_class"])
def test_the_importance_weighted_bound_of_two_draws_is_that_of_quadrature(prior):
    network, (x, y) = small_network(prior=prior), images()
    nodes, log_weights = normal_grid(401)
    with torch.no_grad():
        log_w = sum(network.weigh(x, y, nodes[:, None, None].expand(-1, len(x), 1)))
        pairs = torch.logaddexp(log_w[:, None], log_w[None]) - math.log(2)
        share = log_weights.exp()
        exact = torch.einsum("a,b,abn->n", share, share, pairs)
        draws = 40_000
        sampled = iwae(
            network, x.repeat(draws, 1), y.repeat(draws), noise(2, draws * len(x), 1), ONE
        ).objective
    sampled = sampled.reshape(draws, -1)
    error = sampled.std(dim=0) / math.sqrt(draws)
    assert ((sampled.mean(dim=0) - exact).abs() < 5 * error + 1e-6).all()
    # Between the bound and the likelihood, and nearer to the latter than one draw is.
    with torch.no_grad():
        bound, likelihood = share @ log_w, torch.logsumexp(log_w + log_weights[:, None], dim=0)
    assert (bound < exact).all()
    assert (exact < likelihood).all()


def test_the_objective_is_what_training_ascends(digits):
    X = binarise(digits[0], 0)
    still = {**SMALL, "learning_rate": 1e-12, "epochs": 2}
    plain = ConditionalVAE(**still).fit(X, digits[1])
    history = ConditionalVAE(**still, objective="iwae", n_particles=20).fit(X, digits[1]).history_
    assert "importance_bound" not in plain.history_
    # Weights that stand still: the two bounds are of one model, and twenty draws say more than one.
    assert history["lower_bound"][0] == pytest.approx(plain.history_["lower_bound"][0], abs=0.3)
    assert history["importance_bound"][0] > history["lower_bound"][0]
    np.testing.assert_allclose(
        history["lower_bound"], np.subtract(history["reconstruction"], history["kl"]), rtol=1e-9
    )


@pytest.mark.parametrize("objective", ["elbo", "iwae"])
def test_each_objective_learns(digits, objective):
    model = ConditionalVAE(**{**SMALL, "epochs": 12}, objective=objective, n_particles=3)
    model.fit(*digits, validation=(binarise(digits[0], 0), digits[1]))
    bounds = model.history_["lower_bound_test"]
    assert bounds[-1] > bounds[0] + 5
    # Evaluation is of one draw, whatever was trained.
    assert bounds[-1] == pytest.approx(model.score(binarise(digits[0], 0), digits[1]))


# The shape of the images


@pytest.mark.parametrize("shape", [(8, 8), [4, 16, 1], (np.int64(2), 32), None])
def test_the_shape_of_the_images_changes_nothing_and_is_saved(digits, tmp_path, shape):
    model = ConditionalVAE(**SMALL, image_shape=shape).fit(*digits, checkpoint=tmp_path / "checkpoint")
    assert_same(model, ConditionalVAE(**SMALL).fit(*digits))
    model.save(tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").image_shape == shape


def test_a_training_of_a_known_shape_goes_on_from_a_checkpoint_that_does_not_know_it(
    digits, tmp_path, caplog
):
    caplog.set_level("INFO", logger="latents")
    ConditionalVAE(**SMALL).fit(*digits, checkpoint=tmp_path / "checkpoint")
    ConditionalVAE(**SMALL, image_shape=(8, 8)).fit(*digits, checkpoint=tmp_path / "checkpoint")
    assert "going on after epoch 3" in caplog.text


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 7), r"image_shape is \(8, 7\), which makes 56 pixels; X has 64"),
        ((64,), r"image_shape is \(64,\); allowed are \(height, width\) and \(height, width, channels\)"),
        ([4, 8, 2], r"image_shape is \[4, 8, 2\]; allowed .* 1 or 3 channels"),
        ((8, 8.0), r"image_shape is \(8, 8.0\); allowed"),
        ((-8, -8), r"image_shape is \(-8, -8\); allowed"),
        ((True, 64), r"image_shape is \(True, 64\); allowed"),
        (64, "'image_shape' parameter of ConditionalVAE must be"),
    ],
)
def test_impossible_shapes_are_named(digits, shape, message):
    with pytest.raises(ValueError, match=message):
        ConditionalVAE(**SMALL, image_shape=shape).fit(*digits)


# The pixels


def test_gaussian_pixels_have_the_density_of_torch():
    pixels = GaussianPixels().double()
    with torch.no_grad():
        pixels.log_excess.fill_(-3.0)
    outputs, x = noise(6, 4, 5), torch.rand(4, 5, dtype=torch.float64, generator=seeded(1))
    spread = torch.exp(0.5 * pixels.log_variance)
    expected = Normal(torch.sigmoid(outputs), spread).log_prob(x).sum(-1)
    torch.testing.assert_close(pixels.log_likelihood(x, outputs), expected)
    torch.testing.assert_close(spread.item(), math.sqrt(math.exp(-3) + 1 / (256**2 * 12)))
    torch.testing.assert_close(pixels.means(outputs), torch.sigmoid(outputs))


def test_pixels_are_drawn_about_their_means(digits):
    y = np.repeat(["nil", "one"], 500)
    for likelihood in ("bernoulli", "gaussian", "discretised"):
        model = ConditionalVAE(**SMALL, likelihood=likelihood).fit(*digits)
        means = model.sample(y, random_state=3)
        drawn = model.sample(y, pixels="drawn", random_state=3)  # of the same z
        assert drawn.shape == means.shape
        assert drawn.dtype == means.dtype
        if likelihood == "bernoulli":
            assert set(np.unique(drawn)) == {0, 1}
            variance = float((means * (1 - means)).mean())
        elif likelihood == "discretised":  # how widely they spread, another test says
            np.testing.assert_allclose(255 * drawn, np.rint(255 * drawn), atol=1e-4)
            variance = float(np.mean((drawn - means) ** 2))
        else:
            variance = torch.exp(model.network_.pixels.log_variance).item()
        assert np.mean((drawn - means) ** 2) == pytest.approx(variance, rel=0.05)
        # Five standard errors of the mean over all pixels.
        assert abs(np.mean(drawn - means)) < 5 * np.sqrt(variance / means.size)
        np.testing.assert_array_equal(drawn, model.sample(y, pixels="drawn", random_state=3))
    with pytest.raises(ValueError, match="pixels is 'mean'; allowed are 'means' and 'drawn'"):
        model.sample(y, pixels="mean")


def test_gaussian_pixels_begin_at_the_spread_of_the_images_and_stay_above_that_of_rounding():
    grey = torch.rand(50, 7, generator=seeded())
    pixels = GaussianPixels()
    pixels.begin(grey)
    assert pixels.log_variance.exp().item() == pytest.approx(
        grey.var(0, correction=0).mean().item(), rel=1e-4
    )
    pixels.begin(torch.full((5, 7), 0.5))
    with torch.no_grad():
        pixels.log_excess.fill_(-1e4)
    density = pixels.log_likelihood(torch.full((1, 7), 0.5), torch.zeros(1, 7))
    assert density.item() == pytest.approx(
        7 * Normal(0.0, 1 / (256 * math.sqrt(12))).log_prob(torch.zeros(()))
    )


@pytest.fixture(scope="module")
def noisy():
    """Two classes, each a pattern that noise of 0.1 lies upon, and nothing else to learn."""
    rng = np.random.default_rng(0)
    y = np.arange(1200) % 2
    patterns = rng.uniform(0.3, 0.7, size=(2, 30))
    return np.clip(patterns[y] + rng.normal(scale=0.1, size=(1200, 30)), 0, 1), y, patterns


def test_grey_values_are_learned_as_they_are(noisy):
    X, y, patterns = noisy
    model = ConditionalVAE(**{**SMALL, "epochs": 25}, likelihood="gaussian").fit(X[:1000], y[:1000])
    spread = math.exp(0.5 * model.network_.pixels.log_variance.item())
    assert spread == pytest.approx(0.1, rel=0.1)
    np.testing.assert_allclose(
        model.sample(np.repeat([0, 1], 300)).reshape(2, 300, 30).mean(1), patterns, atol=0.04
    )
    # The density of the noise itself is the most that any model can reach.
    best = -30 * (math.log(0.1 * math.sqrt(2 * math.pi)) + 0.5)
    assert best > 0
    held_out = X[1000:], y[1000:]
    assert best - 3 < model.score(*held_out) < best + 1
    assert model.score(*held_out) < model.log_likelihood(*held_out, n_samples=50).mean()
    assert (model.predict(held_out[0], n_samples=5) == held_out[1]).mean() > 0.95


@pytest.mark.parametrize(
    "network",
    [
        {},
        {"network": "ladder", "n_latents": 4, "hidden": (8, 8)},
        {"network": "ladder", "hidden": (8,), "spatial": (4,), "image_shape": (8, 8)},
    ],
)
@pytest.mark.parametrize("changes", [{"likelihood": "gaussian"}, {"objective": "iwae", "n_particles": 3}])
def test_options_learn_on_either_network_and_are_saved(digits, tmp_path, network, changes):
    model = ConditionalVAE(**SMALL | network | changes)
    model.fit(*digits, on_epoch=lambda _, epoch: {"rare": 1.0} if epoch == 3 else None)
    assert model.history_["lower_bound"][-1] > model.history_["lower_bound"][0]
    model.save(tmp_path / "model.safetensors")
    other = load(tmp_path / "model.safetensors")
    assert other.get_params() == model.get_params()
    assert_same(model, other)
    assert str(other.history_) == str(model.history_)
    np.testing.assert_array_equal(other.history_["rare"], [np.nan, np.nan, 1.0])
    np.testing.assert_array_equal(other.score_samples(*digits), model.score_samples(*digits))


def test_bernoulli_pixels_have_nothing_to_learn():
    pixels = BernoulliPixels()
    pixels.begin(torch.zeros(2, 2))
    assert not pixels.state_dict()


# The prior


def test_codes_can_be_held_against_another_prior(digits):
    X, y = binarise(digits[0][:40], 0), digits[1][:40]
    model = ConditionalVAE(**{**SMALL, "epochs": 15}, prior="per_class").fit(*digits)
    reconstruction, own = model.bound_terms(X, y)
    same, standard = model.bound_terms(X, y, prior="standard")
    np.testing.assert_array_equal(same, reconstruction)
    with torch.no_grad():
        q = model.network_.encoder(
            torch.from_numpy(X).float(), torch.from_numpy(model.classes_.searchsorted(y))
        )
    expected = torch_kl(Normal(q.mean, torch.exp(0.5 * q.log_variance)), Normal(0.0, 1.0)).sum(-1)
    np.testing.assert_allclose(standard, expected, rtol=1e-4)
    # That is what the learned priors are for.
    assert own.mean() < standard.mean()
    plain = ConditionalVAE(**SMALL).fit(*digits)
    np.testing.assert_array_equal(plain.bound_terms(X, y)[1], plain.bound_terms(X, y, prior="standard")[1])
    with pytest.raises(ValueError, match="prior is 'flat'"):
        model.bound_terms(X, y, prior="flat")


def test_priors_of_classes(digits):
    means, spreads = ConditionalVAE(**SMALL).fit(*digits).class_priors()
    np.testing.assert_array_equal(means, np.zeros((3, 3)))
    np.testing.assert_array_equal(spreads, np.ones((3, 3)))
    model = ConditionalVAE(**SMALL, prior="per_class").fit(*digits)
    means, spreads = model.class_priors()
    np.testing.assert_array_equal(means, model.network_.prior.mean.detach())
    np.testing.assert_allclose(spreads**2, model.network_.prior.log_variance.detach().exp(), rtol=1e-5)


def test_a_prior_between_classes():
    network = small_network(n_latents=2)
    codes, corners = torch.tensor([2, 0]), torch.eye(3, dtype=torch.float64)
    for corner, same in zip(network.prior(corners[codes]), network.prior(codes), strict=True):
        torch.testing.assert_close(corner, same)
    middle = network.prior(torch.tensor([[0.5, 0.0, 0.5]], dtype=torch.float64))
    torch.testing.assert_close(middle.mean[0], network.prior.mean[[0, 2]].mean(0))


# Watching


def test_the_half_trained_model_is_handed_over(digits):
    X = binarise(digits[0], 0)
    seen, told = [], []

    def look(model, epoch):
        assert model.history_["lower_bound_test"][epoch - 1 :] == [model.score(X, digits[1])]
        seen.append((epoch, model.score(X, digits[1]), model.sample(["nil"], random_state=0)))
        return {"measured": epoch / 2, "rare": 1.0} if epoch == 2 else {"measured": epoch / 2}

    model = ConditionalVAE(**SMALL)
    model.fit(*digits, validation=(X, digits[1]), on_epoch=look, callback=lambda *call: told.append(call))
    assert [epoch for epoch, *_ in seen] == [1, 2, 3]
    assert [score for _, score, _ in seen] == pytest.approx(model.history_["lower_bound_test"])
    np.testing.assert_array_equal(seen[-1][2], model.sample(["nil"], random_state=0))
    assert np.abs(seen[0][2] - seen[-1][2]).max() > 0.01
    assert model.history_["measured"] == [0.5, 1.0, 1.5]
    np.testing.assert_array_equal(model.history_["rare"], [np.nan, 1.0, np.nan])
    assert [call for call in told if call[0] in ("measured", "rare")] == [
        ("measured", 0.5, 1),
        ("measured", 1.0, 2),
        ("rare", 1.0, 2),
        ("measured", 1.5, 3),
    ]
    # Looking on changes nothing.
    assert_same(model, ConditionalVAE(**SMALL).fit(*digits))


def test_looking_on_counts_as_no_training(digits, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(training.time, "perf_counter", lambda: clock[0])

    def look(model, epoch):
        clock[0] += 100.0

    assert ConditionalVAE(**SMALL).fit(*digits, on_epoch=look).fit_seconds_ == 0
