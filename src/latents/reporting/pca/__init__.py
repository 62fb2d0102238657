"""Pictures and charts of PCA by minimum error (source, section 2)."""

from latents.reporting.pca.basis import eigenimages, loadings
from latents.reporting.pca.choice import against_noise, of_held_out_entries
from latents.reporting.pca.curves import distortion_curve, error_spread, spectrum
from latents.reporting.pca.imputed import imputed_images, imputed_rows
from latents.reporting.pca.plane import scatter
from latents.reporting.pca.rebuilt import rebuilt_images, reconstructions, worst_images
from latents.reporting.pca.slider import Slider, slider

__all__ = [
    "Slider",
    "against_noise",
    "distortion_curve",
    "eigenimages",
    "error_spread",
    "imputed_images",
    "imputed_rows",
    "loadings",
    "of_held_out_entries",
    "rebuilt_images",
    "reconstructions",
    "scatter",
    "slider",
    "spectrum",
    "worst_images",
]
