"""Parameters of the pipeline that compresses new images."""

from latents.pipelines.shared import Parameters, PositiveInt


class PredictParameters(Parameters):
    """How many images are kept as they are rebuilt, spread evenly; None is all."""

    n_reconstructions: PositiveInt | None


class ReportParameters(Parameters):
    """How many of those the figure shows."""

    n_shown: PositiveInt
