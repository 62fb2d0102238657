"""The source's network, to the last bit: its first steps against a loop that is written out and never changes."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear, one_hot, relu

from latents.estimators.conditional_vae.batches import Batch
from latents.estimators.conditional_vae.networks import build
from latents.estimators.conditional_vae.objective import OBJECTIVES
from latents.estimators.conditional_vae.steps import Loss, learner_with_adam, plain_step
from tests.estimators.conditional_vae.test_objective import seeded

N_PIXELS, N_CLASSES, N_LATENTS, HIDDEN = 49, 3, 5, (20, 10)
N_STEPS, N_IMAGES, RATE, BETA_2 = 3, 16, 1e-3, 0.999


def batch_of(step, n_particles):
    x = torch.rand(N_IMAGES, N_PIXELS, generator=seeded(step)).round()
    y = torch.arange(N_IMAGES) % N_CLASSES
    shape = (N_LATENTS,) if n_particles == 1 else (N_LATENTS, n_particles)
    noise = torch.randn(N_IMAGES, *shape, generator=seeded(100 + step))
    return x, y, noise if n_particles == 1 else noise.permute(2, 0, 1).contiguous()


def layers(values, weights):
    """Linear layers with ReLU between them."""
    for i, (weight, bias) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
        values = linear(values if not i else relu(values), weight, bias)
    return values


def beside(values, y):
    classes = one_hot(y, N_CLASSES).to(values.dtype).expand(*values.shape[:-1], N_CLASSES)
    return torch.cat((values, classes), dim=-1)


def log_normal(z, mean, log_variance):
    scaled = (z - mean).square() * torch.exp(-log_variance)
    return -0.5 * (math.log(2 * math.pi) + log_variance + scaled).sum(-1)


def loss_of(objective, encoder, decoder, x, y, noise):
    mean, log_variance = layers(beside(x, y), encoder).chunk(2, dim=-1)
    z = mean + torch.exp(0.5 * log_variance) * noise
    logits = layers(beside(z, y), decoder)
    log_px = -binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
    zeros = torch.zeros_like(mean)
    if objective == "elbo":
        distance = (mean - zeros).square() * torch.exp(-zeros)
        kl = 0.5 * (torch.expm1(log_variance) - log_variance + distance).sum(-1)
        ascended = log_px - kl
    else:
        log_ratio = log_normal(z, zeros, zeros) - log_normal(z, mean, log_variance)
        ascended = (log_px + log_ratio).logsumexp(0) - math.log(len(noise))
    return -ascended.sum() / len(x)


@pytest.mark.parametrize(("objective", "n_particles"), [("elbo", 1), ("iwae", 4)])
def test_three_steps_are_those_of_the_loop_bit_for_bit(objective, n_particles):
    network = build(
        "reference",
        "standard",
        n_pixels=N_PIXELS,
        n_classes=N_CLASSES,
        n_latents=N_LATENTS,
        hidden=HIDDEN,
        generator=seeded(),
    )
    generator = seeded()
    ends = [N_PIXELS + N_CLASSES, *HIDDEN, 2 * N_LATENTS], [N_LATENTS + N_CLASSES, *HIDDEN[::-1], N_PIXELS]
    encoder, decoder = weights = [], []
    for way, widths in zip(weights, ends, strict=True):
        for n_in, n_out in pairwise(widths):
            matrix = torch.empty(n_out, n_in)
            nn.init.xavier_uniform_(matrix, generator=generator)
            way += [matrix.requires_grad_(), torch.zeros(n_out, requires_grad=True)]
    adam = torch.optim.Adam([*encoder, *decoder], lr=RATE, betas=(0.9, BETA_2), fused=True)
    learner = learner_with_adam(
        network, N_STEPS, learning_rate=RATE, beta_2=BETA_2, schedule="constant", kl_warm_up=0.0
    )
    ours = Loss(network.train(), OBJECTIVES[objective], torch.float32)
    for step in range(N_STEPS):
        x, y, noise = batch_of(step, n_particles)
        expected = loss_of(objective, encoder, decoder, x, y, noise)
        found, _ = ours(Batch(x, y, noise, N_IMAGES), torch.ones(()))
        assert torch.equal(found, expected)
        adam.zero_grad()
        expected.backward()
        adam.step()
        plain_step(learner, ours, None, Batch(x, y, noise, N_IMAGES))
        for made, wanted in zip(network.parameters(), [*encoder, *decoder], strict=True):
            assert torch.equal(made, wanted)
