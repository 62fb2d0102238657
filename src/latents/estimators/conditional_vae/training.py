"""The training loop: Adam on the bound, the data resident in memory."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from latents.estimators.conditional_vae.networks import ConditionalNetwork
from latents.estimators.conditional_vae.objective import OBJECTIVES


class EpochMeans(NamedTuple):
    """Running means over one epoch, in nats per image, each batch under the weights it met."""

    lower_bound: float
    reconstruction: float
    kl: float
    objective: float


def train(
    network: ConditionalNetwork,
    grey: Tensor,
    y: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    generator: torch.Generator,
    objective: str = "elbo",
    n_particles: int = 1,
) -> Iterator[EpochMeans]:
    """Train `network` in place, one epoch each time the next item is asked for.

    Every epoch visits the images in a new order, the last batch taking what is left. Whoever drives
    the iterator may look at the network between epochs, or stop.

    Parameters
    ----------
    network : ConditionalNetwork
    grey : Tensor of shape (N, p)
        Grey values in [0, 1], on the network's device.
    y : Tensor of shape (N,)
        Class codes, on the network's device.
    epochs, batch_size, learning_rate
        As in ``ConditionalVAE``.
    generator : Generator
        Gives the order of the images, the binarisations and the latent noise, on the network's
        device.
    objective, n_particles
        As in ``ConditionalVAE``.

    Yields
    ------
    EpochMeans
        The source's running means.

    Raises
    ------
    FloatingPointError
        At the end of the epoch in which the bound of a batch was no longer finite.
    """
    # The fused step updates all parameters in one kernel.
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
    draws = (n_particles,) if n_particles > 1 else ()
    for epoch in range(1, epochs + 1):
        order = torch.randperm(len(grey), generator=generator, device=grey.device)
        sums = []
        for rows in torch.split(order, batch_size):
            x = draw_pixels(grey[rows], generator) if network.pixels.is_binary else grey[rows]
            noise = torch.randn(*draws, len(rows), network.n_latents, generator=generator, device=grey.device)
            terms = OBJECTIVES[objective](network, x, y[rows], noise)
            optimizer.zero_grad()
            (-terms.objective.mean()).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            sums.append(torch.stack((terms.reconstruction, terms.kl, terms.objective)).detach().sum(1))
        yield _epoch_means(torch.stack(sums), len(grey), epoch, learning_rate)


def draw_pixels(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a Bernoulli image from each grey one: 1 with probability grey, as floats."""
    # rand() lies in [0, 1), so that black stays black and white stays white. bernoulli() takes four
    # times as long.
    uniform = torch.rand(grey.shape, generator=generator, device=grey.device)
    return (uniform < grey).to(grey.dtype)


def _epoch_means(sums: Tensor, n_images: int, epoch: int, learning_rate: float) -> EpochMeans:
    # Looked at once an epoch, not once a step: reading a value makes a GPU wait.
    finite = sums.isfinite().all(dim=1)
    if not finite.all():
        step = int((~finite).nonzero()[0]) + 1
        reconstruction, kl, _ = sums[step - 1].tolist()
        raise FloatingPointError(
            f"the bound is not finite in epoch {epoch}, step {step} of {len(sums)}: reconstruction "
            f"{reconstruction}, KL {kl}; try a learning_rate below {learning_rate}"
        )
    reconstruction, kl, objective = (sums.double().sum(dim=0) / n_images).tolist()
    return EpochMeans(reconstruction - kl, reconstruction, kl, objective)
