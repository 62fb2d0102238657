"""Parameters of the PCA pipeline."""

from typing import Annotated, Literal

from pydantic import Field

from latents.pipelines.shared import Parameters, PositiveInt, Seed


class FitParameters(Parameters):
    """The arguments of ``MinimumErrorPCA``: a number of components, or a share of the variance to keep."""

    n_components: PositiveInt | Annotated[float, Field(gt=0, lt=1)]
    svd_solver: Literal["auto", "full", "covariance_eigh", "arpack", "randomized"]
    whiten: bool
    random_state: Seed


class EvaluateParameters(Parameters):
    """What is computed of the fitted components."""

    reconstruct_from: Annotated[list[PositiveInt], Field(min_length=1)]
    n_reconstructions: PositiveInt


class ReportParameters(Parameters):
    """What the figures show."""

    n_eigenimages: PositiveInt
    n_scatter_points: PositiveInt
