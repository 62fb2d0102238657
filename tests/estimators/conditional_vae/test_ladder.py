"""The ladder network against quadrature over its latents, torch's own divergences, and itself."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal
from torch.distributions import kl_divergence as torch_kl

from latents.estimators import ConditionalVAE, binarise
from latents.estimators.conditional_vae import evaluation
from latents.estimators.conditional_vae.distributions import CorrelatedGaussian
from latents.estimators.conditional_vae.ladder import Normalise
from latents.estimators.conditional_vae.networks import build
from tests.estimators.conditional_vae.test_objective import normal, seeded

N_PIXELS, N_CLASSES = 5, 3
SIZES = {"n_pixels": N_PIXELS, "n_classes": N_CLASSES, "n_latents": 2, "hidden": (6, 6)}
# The prior, and latents that are alone on their levels, or together on one, with correlations or without.
MODELS = [
    ("standard", {}),
    ("per_class", {}),
    ("per_class", {"hidden": (6,)}),
    ("standard", {"hidden": (6,)}),
    ("standard", {"hidden": (6,), "posterior": "diagonal"}),
    ("standard", {"hidden": (6,), "n_latents": 1, "spatial": (4,), "image_shape": (2, 1), "n_pixels": 2}),
]
SPATIAL = {"hidden": (6, 6), "spatial": (4, 4), "image_shape": (1, 5)}  # on five cells


@pytest.fixture(scope="module")
def digits(digits):
    return binarise(digits[0], 0), digits[1]


def ladder(prior="per_class", **changes):
    """A ladder in evaluation mode whose weights are large enough for every level to matter."""
    sizes = {**SIZES, "posterior": "correlated", **changes}
    network = build("ladder", prior, **sizes, generator=seeded())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=seeded(1)))
    return network.eval()


def whole(gaussian):
    """A Gaussian of ours as torch's, by its Cholesky factor."""
    factor = torch.diag_embed(torch.exp(0.5 * gaussian.log_variance))
    if isinstance(gaussian, CorrelatedGaussian):
        factor = factor + gaussian.below
    return MultivariateNormal(gaussian.mean, scale_tril=factor)


def images(n=4, n_pixels=N_PIXELS):
    return torch.randint(0, 2, (n, n_pixels), generator=seeded(3)).float(), torch.arange(n) % N_CLASSES


def normal_grid(n_latents):
    """Nodes (S, L) and log weights (S,) of E f(e), e ~ N(0, I), by Gauss and Hermite: all is smooth here."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    points = torch.tensor(list(itertools.product(nodes, repeat=n_latents)), dtype=torch.float32)
    logs = torch.tensor(list(itertools.product(np.log(weights / math.sqrt(2 * math.pi)), repeat=n_latents)))
    return points, logs.sum(dim=1).float()


def exact_log_likelihood(network, x, y):
    """Log p(x | y) by quadrature over the noise of all levels, from the way down alone."""
    points, log_weights = normal_grid(network.n_latents)
    through = network.passage(y, noise=points[:, None].expand(-1, len(y), -1))
    return torch.logsumexp(network.pixels.log_likelihood(x, through.outputs) + log_weights[:, None], dim=0)


@pytest.mark.parametrize(("prior", "changes"), MODELS)
@torch.no_grad()
def test_importance_sampling_is_quadrature(prior, changes):
    network = ladder(prior, **changes)
    x, y = images(n_pixels=network.n_outputs)
    noise = torch.randn(30_000, len(x), network.n_latents, generator=seeded())
    weights = sum(network.weigh(x, y, noise)).double().exp()
    error = weights.std(dim=0) / weights.mean(dim=0) / math.sqrt(len(weights))
    assert (error < 0.05).all()
    exact = exact_log_likelihood(network, x, y).double()
    assert ((weights.mean(dim=0).log() - exact).abs() < 4 * error + 1e-4).all()
    assert ((evaluation.log_likelihood(network, x, y, 30_000) - exact).abs() < 5 * error + 1e-4).all()


def measured(network, x, y):
    """The network after batches of which it keeps means and variances that are not 0 and 1."""
    network.train()
    for step in range(20):
        network.passage(y, x=x, noise=torch.randn(len(x), network.n_latents, generator=seeded(step)))
    return network.eval()


@pytest.mark.parametrize(
    ("prior", "changes"), [*MODELS, ("per_class", {"n_latents": 5}), ("per_class", SPATIAL)]
)
@torch.inference_mode()
def test_the_sampler_draws_and_weighs_as_the_passage_does(prior, changes):
    network = ladder(prior, **changes)
    x, y = images(6, network.n_outputs)
    network = measured(network, x, y)
    noise = torch.randn(7, len(x), network.n_latents, generator=seeded(4))
    through, (log_likelihood, log_ratio) = (
        network.passage(y, x=x, noise=noise),
        network.weigh(x, y, noise),
    )
    draw = network.sampler(x, y)
    for part in (slice(0, 1), slice(1, 7)):  # one after the other, and of them a single draw
        outputs, own_ratio = draw(noise[part])
        torch.testing.assert_close(outputs, through.outputs[part], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(own_ratio, log_ratio[part], rtol=1e-5, atol=1e-5)
        own = network.pixels.log_likelihood_in_place(x, outputs)
        torch.testing.assert_close(own, log_likelihood[part], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"posterior": "diagonal"}, SPATIAL])
def test_shorter_products_move_likelihoods_by_hundredths_of_a_nat(changes):
    x, y = images(20)
    with torch.no_grad():
        network = measured(ladder(**changes), x, y)
    single, short = (
        evaluation.log_likelihood(network, x, y, 500, precision=precision)
        for precision in (torch.float32, torch.bfloat16)
    )
    assert 0 < (short - single).abs().max() < 0.1
    assert (short - single).mean().abs() < 0.02


@pytest.mark.parametrize(("prior", "changes"), MODELS)
@torch.no_grad()
def test_the_bound_is_the_exact_one_on_average(prior, changes):
    """E_q log p(x | z, y) - KL by quadrature over q, the divergences of the levels by torch."""
    network = ladder(prior, **changes)
    x, y = images(n_pixels=network.n_outputs)
    points, log_weights = normal_grid(network.n_latents)
    through = network.passage(y, x=x, noise=points[:, None].expand(-1, len(y), -1))
    kl = sum(torch_kl(whole(level.posterior), whole(level.prior)) for level in through.levels)
    exact = log_weights.exp() @ (network.pixels.log_likelihood(x, through.outputs) - kl)
    draws = 20_000
    noise = torch.randn(draws, len(x), network.n_latents, generator=seeded())
    terms = network.infer(x, y, noise)
    bounds = terms.reconstruction - terms.kl
    # That of the level at the top is the same for all draws.
    assert terms.kl.shape == ((draws, len(x)) if len(through.levels) > 1 else (len(x),))
    error = bounds.std(dim=0) / math.sqrt(draws)
    assert ((bounds.mean(dim=0) - exact).abs() < 5 * error).all()
    assert (exact < exact_log_likelihood(network, x, y)).all()


@pytest.mark.parametrize("changes", [{"n_latents": 5, "hidden": (6, 6, 6)}, SPATIAL])
@torch.no_grad()
def test_the_divergence_is_that_of_the_draws(changes):
    network = ladder(**changes)
    x, y = images()
    noise = torch.randn(40_000, len(x), network.n_latents, generator=seeded())
    kl = network.infer(x, y, noise)[1]
    log_ratio = network.weigh(x, y, noise)[1]
    difference = kl + log_ratio
    assert (difference.mean(dim=0).abs() < 5 * difference.std(dim=0) / 200).all()
    assert log_ratio.std(dim=0).min() > 0.01


def test_latents_are_dealt_out_from_the_top():
    assert ladder(n_latents=5, hidden=(6, 6, 6)).sizes == [2, 2, 1]
    assert ladder(n_latents=8, hidden=(6,)).sizes == [8]
    assert ladder(n_latents=6, hidden=(6, 6, 6)).sizes == [2, 2, 2]
    assert ladder(n_latents=3, **SPATIAL).sizes == [2, 1, 5, 5]
    assert ladder(n_latents=3, **SPATIAL).n_latents == 13


def test_an_impossible_ladder_is_refused_and_leaves_a_model_as_it_was(digits):
    model = ConditionalVAE(n_latents=2, hidden=(5, 5), epochs=1, random_state=0).fit(*digits)
    before = model.score(*digits)
    for hidden in [(), (8, 6), (5, 5, 5)]:
        with pytest.raises(ValueError, match=r"hidden is \[.*a level for each entry, all of the same width"):
            model.set_params(hidden=hidden).fit(*digits)
        assert model.score(*digits) == before


def test_a_passage_needs_a_way():
    with pytest.raises(TypeError, match="noise or z"):
        ladder().passage(torch.tensor([0]))


@pytest.mark.parametrize("changes", [{"n_latents": 5, "hidden": (6, 6, 6)}, {"n_latents": 3, **SPATIAL}])
@pytest.mark.parametrize("prior", ["standard", "per_class"])
@torch.no_grad()
def test_noise_and_latents_are_two_names_of_one_thing(prior, changes):
    network = ladder(prior, **changes)
    y = torch.tensor([2, 0, 1])
    noise = torch.randn(7, 3, network.n_latents, generator=seeded())
    drawn = network.passage(y, noise=noise)
    torch.testing.assert_close(network.standardise(drawn.z, y), noise, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network.passage(y, z=drawn.z).outputs, drawn.outputs, atol=1e-4, rtol=1e-4)
    corners = torch.eye(N_CLASSES)[y]
    torch.testing.assert_close(network.passage(corners, noise=noise).z, drawn.z)
    top = network.top_prior(y)
    torch.testing.assert_close(normal(top).mean + normal(top).stddev * noise[..., :2], drawn.z[..., :2])
    assert torch.equal(top.mean, torch.zeros(3, 2)) == (prior == "standard")


@torch.no_grad()
def test_another_prior_changes_the_divergence_of_the_top_level_alone():
    network = ladder(n_latents=4, hidden=(6, 6))
    x, y = images()
    noise = torch.randn(len(x), 4, generator=seeded())
    own, other = (n.passage(y, x=x, noise=noise) for n in (network, network.under_standard_prior()))
    assert torch.equal(own.outputs, other.outputs)
    for one, same in zip(own.levels, other.levels, strict=True):
        assert all(map(torch.equal, one.posterior, same.posterior))
    assert all(map(torch.equal, own.levels[1].prior, other.levels[1].prior))
    assert not other.levels[0].prior.mean.any()
    assert own.levels[0].prior.mean.any()
    assert not network.has_standard_prior


@pytest.mark.parametrize("changes", [{"n_latents": 4, "hidden": (6, 6)}, SPATIAL])
@pytest.mark.parametrize("prior", ["standard", "per_class"])
def test_every_weight_has_a_part_in_the_bound(prior, changes):
    network = ladder(prior, **changes).train()
    x, y = images(9)
    reconstruction, kl = network.infer(x, y, torch.randn(9, network.n_latents, generator=seeded()))
    (reconstruction - kl).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 1e-6, name


def test_one_image_looks_up_what_many_have_measured():
    norm, batch = Normalise(3), torch.randn(4, 50, 3, generator=seeded()) * 5 + 2
    for _ in range(200):
        norm(batch)
    flat = batch.flatten(0, 1)
    torch.testing.assert_close(norm.running_mean, flat.mean(dim=0), rtol=1e-3, atol=1e-3)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    alone = norm(flat[:1])
    torch.testing.assert_close(alone, (flat[:1] - flat.mean(dim=0)) / flat.std(dim=0), rtol=1e-2, atol=1e-2)
    for name, value in norm.state_dict().items():
        assert torch.equal(value, before[name])
    torch.testing.assert_close(norm.eval()(flat[:1]), alone)


def test_a_last_batch_of_one_image_is_trained_on():
    X, y = np.random.default_rng(0).random((9, 6)), np.arange(9) % 2
    model = ConditionalVAE(n_latents=2, hidden=(5, 5), batch_size=4, epochs=2, random_state=0).fit(X, y)
    assert np.isfinite(model.history_["lower_bound"]).all()
    assert not model.network_.training


def test_an_image_is_measured_alike_in_any_company():
    X, y = np.random.default_rng(0).integers(0, 2, (40, 6)), np.arange(40) % 2
    model = ConditionalVAE(n_latents=3, hidden=(5, 5), batch_size=8, epochs=2, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.transform(X, y)[7:8], model.transform(X[7:8], y[7:8]), atol=1e-6)


def test_images_and_latents_of_all_levels(digits):
    X, y = digits
    model = ConditionalVAE(n_latents=5, hidden=(16, 16, 16), epochs=10, batch_size=32, random_state=0)
    Z = model.fit(X, y).transform(X[:20], y[:20])
    rebuilt = model.reconstruct(X[:20], y[:20])
    np.testing.assert_allclose(model.inverse_transform(Z, y[:20]), rebuilt, atol=1e-5)
    np.testing.assert_allclose(model.restyle(X[:20], y[:20], y[:20]), rebuilt, atol=1e-4)
    paths = model.interpolate(X[:10], y[:10], X[10:20], y[10:20], steps=3)
    np.testing.assert_allclose(paths[:, [0, 2]], np.stack([rebuilt[:10], rebuilt[10:]], axis=1), atol=1e-4)
    # From noise 0 one latent moves, of whichever level, and the images with it.
    moved = model.traverse(["nil"], latents=range(5), values=[-2, 0, 2])[0]
    assert (np.abs(moved - moved[:, 1:2]).max(axis=(1, 2)) > 1e-3).all()
    np.testing.assert_allclose(moved[:, 1], np.repeat(moved[:1, 1], 5, axis=0), atol=1e-6)
    means, spreads = model.class_priors()
    assert means.shape == spreads.shape == (3, 2)
    assert model.score(X, y) < model.log_likelihood(X, y, n_samples=50).mean()
    assert (model.predict(X, n_samples=20) == y).mean() > 0.9
