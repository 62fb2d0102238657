"""Parameters of the PCA pipeline."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from latents.pipelines.shared import Parameters, PositiveInt, Seed


class FitParameters(Parameters):
    """The arguments of ``MinimumErrorPCA``: a number of components, or a share of the variance to keep."""

    n_components: PositiveInt | Annotated[float, Field(gt=0, lt=1)]
    svd_solver: Literal["auto", "full", "covariance_eigh", "arpack", "randomized"]
    whiten: bool
    random_state: Seed

    @model_validator(mode="after")
    def _a_share_needs_the_whole_spectrum(self) -> Self:
        if isinstance(self.n_components, float) and self.svd_solver in ("arpack", "randomized"):
            raise ValueError(
                f"n_components is the share {self.n_components}, which svd_solver {self.svd_solver!r} cannot "
                "find; allowed are a whole number, or the solvers auto, full and covariance_eigh"
            )
        return self


class EvaluateParameters(Parameters):
    """What is computed of the fitted components."""

    reconstruct_from: Annotated[list[PositiveInt], Field(min_length=1)]
    n_reconstructions: PositiveInt


class ReportParameters(Parameters):
    """What the figures show."""

    n_eigenimages: PositiveInt
    n_scatter_points: PositiveInt
