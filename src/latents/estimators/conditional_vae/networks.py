"""The architectures by name. To add one, write a ``ConditionalNetwork`` and enter it here."""

from collections.abc import Sequence

import torch

from latents.estimators.conditional_vae.interface import ConditionalNetwork, Sizes
from latents.estimators.conditional_vae.ladder import LadderNetwork
from latents.estimators.conditional_vae.pixels import pixel_model
from latents.estimators.conditional_vae.reference import ReferenceNetwork

POSTERIORS = ("correlated", "diagonal")

# Name -> network, built of (sizes, prior, pixels, generator)
NETWORKS: dict[str, type[ReferenceNetwork] | type[LadderNetwork]] = {
    "ladder": LadderNetwork,
    "reference": ReferenceNetwork,
}


def n_weights(
    network: str,
    prior: str,
    *,
    likelihood: str = "bernoulli",
    n_pixels: int,
    n_classes: int,
    n_latents: int,
    hidden: Sequence[int],
    image_shape: tuple[int, ...] | None = None,
    posterior: str = "correlated",
) -> int:
    """Return how many numbers the named network learns, those of its pixel model apart; none is made."""
    n_outputs = pixel_model(likelihood, image_shape).n_outputs(n_pixels)
    is_correlated = posterior == "correlated"
    return NETWORKS[network].n_weights(
        Sizes(n_pixels, n_outputs, n_classes, n_latents, hidden, image_shape, is_correlated), prior
    )


def build(
    network: str,
    prior: str,
    *,
    likelihood: str = "bernoulli",
    n_pixels: int,
    n_classes: int,
    n_latents: int,
    hidden: Sequence[int],
    image_shape: tuple[int, ...] | None = None,
    posterior: str = "correlated",
    generator: torch.Generator,
) -> ConditionalNetwork:
    """Build the named network, prior and pixel model, initialised from `generator` (on the CPU).

    It is in evaluation mode, which training leaves for the length of an epoch.
    """
    pixels = pixel_model(likelihood, image_shape)
    n_outputs, is_correlated = pixels.n_outputs(n_pixels), posterior == "correlated"
    sizes = Sizes(n_pixels, n_outputs, n_classes, n_latents, hidden, image_shape, is_correlated)
    return NETWORKS[network](sizes, prior, pixels, generator).eval()
