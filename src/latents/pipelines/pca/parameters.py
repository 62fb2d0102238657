"""Parameters of the PCA pipeline."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from latents.pipelines.shared import Device, Parameters, PositiveInt, Seed

_ASKS = ("n_components", "max_distortion", "max_distortion_share")
Criterion = Literal["mle", "parallel", "cross_validation"]
_TRUNCATED = ("arpack", "randomized")  # these find the leading directions alone


class FitParameters(Parameters):
    """The arguments of ``MinimumErrorPCA``, and whether rows weigh as the data say, where these say it.

    One of three says how many components there are to be, the other two are null: ``n_components`` (a number, a
    share of the variance to keep, or a criterion: "mle", "parallel" or "cross_validation"), ``max_distortion``
    (the largest J, in squared input units) and ``max_distortion_share`` (the same as a share of the total).
    """

    n_components: PositiveInt | Annotated[float, Field(gt=0, lt=1)] | Criterion | None
    max_distortion: Annotated[float, Field(ge=0)] | None
    max_distortion_share: Annotated[float, Field(ge=0, lt=1)] | None  # at 1 nothing would be kept
    svd_solver: Literal["auto", "full", "covariance_eigh", "gram", "arpack", "randomized"]
    whiten: bool
    device: Device
    random_state: Seed
    use_weights: bool
    robust: bool
    missing: Literal["error", "em"]
    max_iter: PositiveInt
    em_tol: Annotated[float, Field(gt=0)]

    def arguments(self) -> dict[str, Any]:
        """Return the estimator's arguments that are given."""
        return self.model_dump(exclude_none=True, exclude={"use_weights"})

    @model_validator(mode="after")
    def _one_way_to_ask(self) -> Self:
        given = {name: getattr(self, name) for name in _ASKS if getattr(self, name) is not None}
        if len(given) != 1:
            found = " and ".join(f"{name}={value!r}" for name, value in given.items()) or "none of them"
            raise ValueError(
                f"{found} given; allowed is one of n_components, max_distortion and max_distortion_share, the "
                "others null"
            )
        (name,) = given
        if self.svd_solver in _TRUNCATED and not isinstance(given[name], int):
            asked = "the share " if isinstance(given[name], float) and name == "n_components" else ""
            raise ValueError(
                f"{name} is {asked}{given[name]!r}, which svd_solver {self.svd_solver!r} cannot find; allowed are "
                "a whole number of components, or the solvers auto, full, covariance_eigh and gram"
            )
        return self


class EvaluateParameters(Parameters):
    """What is computed of the fitted components."""

    reconstruct_from: Annotated[list[PositiveInt], Field(min_length=1)]
    n_reconstructions: PositiveInt
    n_worst: PositiveInt


class ReportParameters(Parameters):
    """What the figures show."""

    n_eigenimages: PositiveInt
    n_scatter_points: PositiveInt
