"""Parameters of the pipeline that clusters new documents."""

from latents.pipelines.shared import Parameters, PositiveInt


class PredictParameters(Parameters):
    """What is told of each document."""

    n_deciding_words: PositiveInt


class NearestParameters(Parameters):
    """How many training documents are named as nearest, and how much is quoted of each (characters)."""

    n_neighbours: PositiveInt
    excerpt_length: PositiveInt
