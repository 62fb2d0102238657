"""Parameters of the pipeline that encodes new images and draws others."""

from typing import Literal

from latents.pipelines.shared import Parameters, PositiveInt, Seed


class PredictParameters(Parameters):
    """How closely p(y | x) is estimated, and the class that bounds and latents are under.

    That is the predicted one, or the label that the images come with.
    """

    n_importance_samples: PositiveInt
    under: Literal["predicted", "label"]


class GenerateParameters(Parameters):
    """How many images are drawn for each label asked for, and from which seed."""

    n_images: PositiveInt
    random_state: Seed


class ReportParameters(Parameters):
    """How many images of a class the figure shows."""

    n_shown: PositiveInt
