"""The architectures by name. To add one, write a ``ConditionalNetwork`` and enter it here."""

from collections.abc import Sequence
from typing import Required, TypedDict, Unpack

import torch

from latents.estimators.conditional_vae.interface import ConditionalNetwork, Sizes
from latents.estimators.conditional_vae.ladder import LadderNetwork
from latents.estimators.conditional_vae.pixels import PixelModel, pixel_model
from latents.estimators.conditional_vae.reference import ReferenceNetwork

POSTERIORS = ("correlated", "diagonal")

# Name -> network, built of (sizes, prior, pixels, generator)
NETWORKS: dict[str, type[ReferenceNetwork] | type[LadderNetwork]] = {
    "ladder": LadderNetwork,
    "reference": ReferenceNetwork,
}


class Options(TypedDict, total=False):
    """What a network is built by, beside name and prior: sizes of the data, arguments of ``ConditionalVAE``."""

    n_pixels: Required[int]
    n_classes: Required[int]
    n_latents: Required[int]
    hidden: Required[Sequence[int]]
    likelihood: str  # by default bernoulli
    posterior: str  # by default correlated
    spatial: Sequence[int]  # by default none
    image_shape: tuple[int, ...] | None


def n_weights(network: str, prior: str, **options: Unpack[Options]) -> int:
    """Return how many numbers the named network learns, those of its pixel model apart; none is made."""
    return NETWORKS[network].n_weights(_sizes_and_pixels(options)[0], prior)


def build(
    network: str, prior: str, *, generator: torch.Generator, **options: Unpack[Options]
) -> ConditionalNetwork:
    """Build the named network, prior and pixel model, initialised from `generator` (on the CPU).

    It is in evaluation mode, which training leaves for the length of an epoch.
    """
    sizes, pixels = _sizes_and_pixels(options)
    return NETWORKS[network](sizes, prior, pixels, generator).eval()


def _sizes_and_pixels(options: Options) -> tuple[Sizes, PixelModel]:
    pixels = pixel_model(options.get("likelihood", "bernoulli"), options.get("image_shape"))
    sizes = Sizes(
        n_pixels=options["n_pixels"],
        n_outputs=pixels.n_outputs(options["n_pixels"]),
        n_classes=options["n_classes"],
        n_latents=options["n_latents"],
        hidden=options["hidden"],
        is_correlated=options.get("posterior", "correlated") == "correlated",
        spatial=options.get("spatial", ()),
        image_shape=options.get("image_shape"),
    )
    return sizes, pixels
