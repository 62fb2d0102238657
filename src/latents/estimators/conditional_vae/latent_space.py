"""A trained network's latents: codes of images, images of codes, and the arc between two of them.

In batches, without gradients, on the network's own device; what is given may lie on any.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from latents.estimators.conditional_vae.distributions import Gaussian
from latents.estimators.conditional_vae.evaluation import in_batches
from latents.estimators.conditional_vae.interface import ConditionalNetwork

# Sine of the angle up to which both ends point the same way, or opposite ways.
_FLAT = 1e-4


@torch.inference_mode()
def codes(network: ConditionalNetwork, x: Tensor, y: Tensor) -> Tensor:
    """Return the means of q(z | x, y), (N, L), on the network's device, for pixels x and class codes y."""
    return torch.cat([network.code(*rows) for rows in in_batches(network, x, y)])


@torch.inference_mode()
def standard_codes(network: ConditionalNetwork, x: Tensor, y: Tensor) -> Tensor:
    """Return the means of q(z | x, y) in units of p(z | y), (N, L), on the network's device."""
    return torch.cat(
        [network.standardise(network.code(*rows), rows[1]) for rows in in_batches(network, x, y)]
    )


@torch.inference_mode()
def latents_of(network: ConditionalNetwork, noise: Tensor, y: Tensor) -> Tensor:
    """Return the draws of p(z | y) that standard normal noise (N, L) stands for, on the network's device."""
    return network.generate(y.to(network.device), noise.to(network.device))


@torch.inference_mode()
def pixel_means(network: ConditionalNetwork, z: Tensor, y: Tensor) -> Tensor:
    """Return the means of the pixels, (N, p) on the CPU, for latents z (N, L) and classes y."""
    parts = [network.pixels.means(network.decode(*rows)).cpu() for rows in in_batches(network, z, y)]
    return torch.cat(parts)


@torch.inference_mode()
def prior_of_classes(network: ConditionalNetwork, n_classes: int) -> Gaussian:
    """Return p(z | y) of every class, parameters (C, L); of a hierarchy, that of its top level."""
    return network.top_prior(torch.arange(n_classes, device=network.device))


def arc(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Return the points on the arc between vectors, the given share of the way; lengths in even steps.

    Parameters
    ----------
    start, end : Tensor of shape (N, L)
        Where two of them span no plane (the same way, opposite ways, or no length), the way is straight.
    share : Tensor of shape (S, 1, 1)
        From 0 to 1.

    Returns
    -------
    Tensor of shape (S, N, L)
    """
    first, last = start.norm(dim=-1, keepdim=True), end.norm(dim=-1, keepdim=True)
    from_, to = normalize(start, dim=-1), normalize(end, dim=-1)
    angle = torch.arccos((from_ * to).sum(-1, keepdim=True).clamp(-1, 1))
    direction = (torch.sin((1 - share) * angle) * from_ + torch.sin(share * angle) * to) / torch.sin(angle)
    return torch.where(
        (torch.sin(angle) > _FLAT) & (first > 0) & (last > 0),
        torch.lerp(first, last, share) * direction,
        torch.lerp(start, end, share),
    )
