"""Figures of a class-conditioned VAE (section 3 of the source document)."""

from latents.reporting.cvae.classes import class_bounds, confusion
from latents.reporting.cvae.drawings import nearest, nearest_distances
from latents.reporting.cvae.latents import class_priors, latent_scatter
from latents.reporting.cvae.paths import class_paths, interpolations, styles, traversals
from latents.reporting.cvae.pictures import generated_grid, hardest, reconstructions
from latents.reporting.cvae.training import bound_per_epoch, learning

__all__ = [
    "bound_per_epoch",
    "class_bounds",
    "class_paths",
    "class_priors",
    "confusion",
    "generated_grid",
    "hardest",
    "interpolations",
    "latent_scatter",
    "learning",
    "nearest",
    "nearest_distances",
    "reconstructions",
    "styles",
    "traversals",
]
