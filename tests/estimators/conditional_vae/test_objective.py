"""The bound, its gradient and the likelihood estimate against closed forms and quadrature."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.distributions import Bernoulli, MultivariateNormal, Normal
from torch.distributions import kl_divergence as torch_kl
from torch.nn.functional import logsigmoid

from latents.estimators.conditional_vae import evaluation
from latents.estimators.conditional_vae.distributions import (
    CorrelatedGaussian,
    Gaussian,
)
from latents.estimators.conditional_vae.networks import build
from latents.estimators.conditional_vae.objective import bayes
from latents.estimators.conditional_vae.pixels import BernoulliPixels

PARAMETERS = arrays(np.float64, (4, 3), elements=st.floats(-3, 3))
N_PIXELS, N_CLASSES = 5, 3


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small_network(n_latents=1, prior="per_class"):
    """A random network in float64, with class priors that differ from N(0, I) and from each other."""
    network = build(
        "reference",
        prior,
        n_pixels=N_PIXELS,
        n_classes=N_CLASSES,
        n_latents=n_latents,
        hidden=(6,),
        generator=seeded(),
    )
    if prior == "per_class":
        with torch.no_grad():
            network.prior.mean.normal_(generator=seeded(1))
            network.prior.log_variance.normal_(generator=seeded(2))
    return network.double()


def blind_network(n_latents=2):
    """A network whose decoder sees the class but not z, so that log p(x | y) is exact."""
    network = small_network(n_latents, prior="standard")
    with torch.no_grad():
        network.decoder.layers[0].weight[:, :n_latents] = 0
    return network


def images(n=4, seed=3):
    x = torch.randint(0, 2, (n, N_PIXELS), generator=seeded(seed)).double()
    return x, torch.arange(n) % N_CLASSES


def normal_grid(n_nodes=20_001):
    """Nodes and log weights of E f(e), e ~ N(0, 1): ReLU kinks rule Gauss-Hermite nodes out."""
    nodes = torch.linspace(-9, 9, n_nodes, dtype=torch.float64)
    return nodes, Normal(0.0, 1.0).log_prob(nodes) + math.log(nodes[1] - nodes[0])


def exact_bound(network, x, y):
    """Reconstruction by quadrature over the one latent, KL from torch, (n,) each."""
    nodes, log_weights = normal_grid()
    q, p = network.encoder(x, y), network.prior(y)
    z = q.mean + torch.exp(0.5 * q.log_variance) * nodes[:, None, None]
    logits = network.decoder(z, y)
    log_px = (x * logsigmoid(logits) + (1 - x) * logsigmoid(-logits)).sum(-1)
    kl = torch_kl(normal(q), normal(p)).sum(-1)
    return log_weights.exp() @ log_px, kl


def normal(gaussian):
    return Normal(gaussian.mean, torch.exp(0.5 * gaussian.log_variance))


@given(PARAMETERS, PARAMETERS, PARAMETERS, PARAMETERS)
def test_kl_is_that_of_torch(mean_q, log_q, mean_p, log_p):
    q = Gaussian(torch.from_numpy(mean_q), torch.from_numpy(log_q))
    p = Gaussian(torch.from_numpy(mean_p), torch.from_numpy(log_p))
    ours = q.divergence(p)
    torch.testing.assert_close(ours, torch_kl(normal(q), normal(p)).sum(-1), rtol=1e-9, atol=1e-9)
    assert (ours >= -1e-12).all()


def test_kl_gradient():
    mean_q, log_q, mean_p, log_p = torch.randn(4, 6, 3, dtype=torch.float64, generator=seeded())
    mean_q.requires_grad_()
    log_q.requires_grad_()
    Gaussian(mean_q, log_q).divergence(Gaussian(mean_p, log_p)).sum().backward()
    torch.testing.assert_close(mean_q.grad, (mean_q - mean_p) / log_p.exp())
    torch.testing.assert_close(log_q.grad, 0.5 * ((log_q - log_p).exp() - 1))


def test_gaussian_log_density_is_that_of_torch():
    mean, log_variance, z = torch.randn(3, 6, 4, dtype=torch.float64, generator=seeded())
    gaussian = Gaussian(mean, log_variance)
    torch.testing.assert_close(gaussian.log_density(z), normal(gaussian).log_prob(z).sum(-1))
    drawn = gaussian.draw(z)
    torch.testing.assert_close(
        gaussian.log_density_of_draw(drawn, z), normal(gaussian).log_prob(drawn).sum(-1)
    )


@given(st.integers(0, 2**31), st.integers(1, 6), st.floats(0, 3))
def test_a_correlated_gaussian_is_that_of_torch(seed, n_latents, spread):
    generator = torch.Generator().manual_seed(seed)
    mean, log_q, mean_p, log_p, noise = torch.randn(
        *(5, 4, n_latents), dtype=torch.float64, generator=generator
    )
    below = spread * torch.randn(4, n_latents, n_latents, dtype=torch.float64, generator=generator).tril(-1)
    q, p = CorrelatedGaussian(mean, log_q, below), Gaussian(mean_p, log_p)
    factor = below + torch.diag_embed(torch.exp(0.5 * log_q))
    whole = MultivariateNormal(mean, scale_tril=factor)
    drawn = q.draw(noise)
    torch.testing.assert_close(drawn, mean + (factor @ noise.unsqueeze(-1)).squeeze(-1))
    torch.testing.assert_close(q.log_density_of_draw(drawn, noise), whole.log_prob(drawn))
    other = MultivariateNormal(mean_p, scale_tril=torch.diag_embed(torch.exp(0.5 * log_p)))
    torch.testing.assert_close(q.divergence(p), torch_kl(whole, other))
    alone = CorrelatedGaussian(mean, log_q, torch.zeros_like(below))
    torch.testing.assert_close(alone.divergence(p), Gaussian(mean, log_q).divergence(p))


@given(arrays(np.float64, (3, N_PIXELS), elements=st.floats(-30, 30)), st.integers(0, 2**15 - 1))
def test_bernoulli_log_likelihood_is_that_of_torch(logits, bits):
    x = torch.tensor([(bits >> i) & 1 for i in range(15)], dtype=torch.float64).reshape(3, 5)
    logits = torch.from_numpy(logits)
    expected = Bernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(BernoulliPixels().log_likelihood(x, logits), expected)


def test_bernoulli_log_likelihood_of_extreme_logits_and_grey_pixels():
    logits = torch.tensor([[200.0, -200.0]])
    assert BernoulliPixels().log_likelihood(torch.tensor([[1.0, 0.0]]), logits).item() == 0
    assert BernoulliPixels().log_likelihood(torch.tensor([[0.0, 0.0]]), logits).item() == -200
    grey = BernoulliPixels().log_likelihood(torch.tensor([0.3]), torch.tensor([1.5]))
    black, white = (
        BernoulliPixels().log_likelihood(torch.tensor([v]), torch.tensor([1.5])) for v in (0.0, 1.0)
    )
    torch.testing.assert_close(grey, 0.7 * black + 0.3 * white)


@pytest.mark.parametrize("n_pixels", [1, 2, 5, 16, 31, 784])
@pytest.mark.parametrize("scale", [0.1, 5.0, 1e4])
@pytest.mark.parametrize("is_grey", [False, True])
def test_bernoulli_log_likelihood_in_place_is_the_same(n_pixels, scale, is_grey):
    x = torch.rand(3, n_pixels, generator=seeded())
    x = x if is_grey else x.round()
    outputs = scale * torch.randn(4, 3, n_pixels, generator=seeded(1))
    expected = BernoulliPixels().log_likelihood(x.double(), outputs.double())
    found = BernoulliPixels().log_likelihood_in_place(x, outputs.clone())
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-4)
    same_image = BernoulliPixels().log_likelihood_in_place(x[0], outputs[:, 0].clone())
    np.testing.assert_allclose(same_image, expected[:, 0], rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("prior", ["standard", "per_class"])
@torch.inference_mode()
def test_the_sampler_draws_and_weighs_as_the_passage_does(prior):
    network, (x, y) = small_network(2, prior), images()
    noise = torch.randn(6, len(x), 2, generator=seeded(4), dtype=torch.float64)
    outputs, log_ratio = network.sampler(x, y)(noise)
    torch.testing.assert_close(outputs, network.passage(y, x=x, noise=noise).outputs, rtol=0, atol=0)
    torch.testing.assert_close(log_ratio, network.weigh(x, y, noise)[1], rtol=0, atol=0)


@pytest.mark.parametrize("prior", ["standard", "per_class"])
def test_bound_is_the_exact_one_on_average(prior):
    network = small_network(prior=prior)
    x, y = images()
    reconstruction, kl = exact_bound(network, x, y)
    draws = 40_000
    noise = torch.randn(draws * len(x), 1, dtype=torch.float64, generator=seeded())
    with torch.no_grad():
        terms = network.infer(x.repeat(draws, 1), y.repeat(draws), noise)
    sampled = terms.reconstruction.reshape(draws, -1)
    error = sampled.std(dim=0) / math.sqrt(draws)
    assert ((sampled.mean(dim=0) - reconstruction).abs() < 5 * error + 1e-12).all()
    torch.testing.assert_close(terms.kl[: len(x)], kl)


@pytest.mark.parametrize("prior", ["standard", "per_class"])
def test_gradient_of_the_bound_is_the_exact_one_on_average(prior):
    network = small_network(prior=prior)
    x, y = images()
    parameters = list(network.parameters())
    reconstruction, kl = exact_bound(network, x, y)
    exact = torch.autograd.grad((reconstruction - kl).sum(), parameters)

    draws, repeats = 2_000, 30
    generator = seeded()
    estimates = []
    for _ in range(repeats):
        noise = torch.randn(draws * len(x), 1, dtype=torch.float64, generator=generator)
        terms = network.infer(x.repeat(draws, 1), y.repeat(draws), noise)
        bound = (terms.reconstruction - terms.kl).sum() / draws
        estimates.append(torch.autograd.grad(bound, parameters))
    for expected, *sampled in zip(exact, *estimates, strict=True):
        values = torch.stack(sampled)
        error = values.std(dim=0) / math.sqrt(repeats)
        assert ((values.mean(dim=0) - expected).abs() < 6 * error + 1e-3).all()


def test_gradient_of_a_decoder_blind_to_z_is_exact():
    network = blind_network()
    x, y = images(6)
    noise = torch.randn(6, 2, dtype=torch.float64, generator=seeded())
    network.infer(x, y, noise).reconstruction.sum().backward()
    probabilities = torch.sigmoid(network.decoder(noise, y)).detach()
    output = network.decoder.layers[-1]
    torch.testing.assert_close(output.bias.grad, (x - probabilities).sum(dim=0))
    assert all(p.grad is None or not p.grad.any() for p in network.encoder.parameters())


@pytest.mark.parametrize("prior", ["standard", "per_class"])
def test_importance_sampling_is_quadrature(prior):
    network = small_network(prior=prior)
    x, y = images()
    p = network.prior(y)
    nodes, log_weights = normal_grid()
    z = p.mean + torch.exp(0.5 * p.log_variance) * nodes[:, None, None]
    with torch.no_grad():
        log_px = network.pixels.log_likelihood(x, network.decoder(z, y))
        exact = torch.logsumexp(log_px + log_weights[:, None], dim=0)
        noise = torch.randn(30_000, 4, 1, dtype=torch.float64, generator=seeded())
        weights = sum(network.weigh(x, y, noise)).exp()
    error = weights.std(dim=0) / weights.mean(dim=0) / math.sqrt(len(weights))
    estimate = evaluation.log_likelihood(network.float(), x.float(), y, 30_000)
    assert (error < 0.02).all()
    assert ((estimate - exact).abs() < 5 * error + 1e-5).all()


@pytest.mark.parametrize("n_rows", [1, 7, 64, 4096])
def test_importance_sampling_counts_every_sample_however_it_is_cut(monkeypatch, n_rows):
    monkeypatch.setattr(evaluation, "_ROWS", n_rows)
    network = blind_network()
    with torch.no_grad():
        # q = p(z | y): every weight is p(x | y) itself.
        network.encoder.layers[-1].weight.zero_()
        exact = network.pixels.log_likelihood(
            images()[0], network.decoder(torch.zeros(4, 2, dtype=torch.float64), images()[1])
        )
    x, y = images()
    done = []
    network = network.float()
    estimate = evaluation.log_likelihood(network, x.float(), y, 50, on_progress=done.append)
    torch.testing.assert_close(estimate, exact, rtol=1e-5, atol=1e-5)
    assert done[-1] == len(x)
    assert done == sorted(done)


def test_bound_lies_below_the_likelihood():
    network = small_network(n_latents=2).float()
    x, y = images(200)
    terms = evaluation.bound(network, x.float(), y)
    likelihood = evaluation.log_likelihood(network, x.float(), y, 500)
    assert (terms.reconstruction - terms.kl).mean() < likelihood.mean()


def test_bayes():
    likelihood = np.log([[0.2, 0.1], [0.0001, 0.3]])
    prior = np.array([0.25, 0.75])
    log_marginal, posterior = bayes(likelihood, prior)
    marginal = np.array([0.25 * 0.2 + 0.75 * 0.1, 0.25 * 0.0001 + 0.75 * 0.3])
    np.testing.assert_allclose(np.exp(log_marginal), marginal)
    np.testing.assert_allclose(posterior[:, 0], 0.25 * np.array([0.2, 0.0001]) / marginal)
    np.testing.assert_allclose(posterior.sum(axis=1), 1)


def test_bayes_of_likelihoods_that_underflow():
    log_marginal, posterior = bayes(np.array([[-2000.0, -2001.0]]), np.array([0.5, 0.5]))
    np.testing.assert_allclose(log_marginal, -2000 + math.log(0.5 * (1 + math.exp(-1))))
    np.testing.assert_allclose(posterior, [[1 / (1 + math.exp(-1)), 1 / (1 + math.e)]])
