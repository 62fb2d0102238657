"""Parameters of the clustering pipeline."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from latents.pipelines.shared import Parameters, PositiveInt, Seed

# An integer counts documents, a fraction is a share of them.
Frequency = Annotated[int, Field(ge=1)] | Annotated[float, Field(ge=0, le=1)]


class IngestParameters(Parameters):
    """Which columns of the raw table hold the documents."""

    text_column: str
    label_column: str | None


class FeaturesParameters(Parameters):
    """How documents become word counts (``CountVectorizer``)."""

    token_pattern: str
    lowercase: bool
    stop_words: Literal["english"] | list[str] | None
    min_df: Frequency
    max_df: Frequency
    max_features: PositiveInt | None

    @model_validator(mode="after")
    def _frequencies_leave_room(self) -> Self:
        alike = isinstance(self.min_df, int) == isinstance(self.max_df, int)
        if alike and self.min_df > self.max_df:
            raise ValueError(
                f"min_df is {self.min_df} and max_df {self.max_df}; min_df may be max_df at most"
            )
        return self

    @field_validator("token_pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        if groups > 1:
            raise ValueError(f"{pattern!r} has {groups} groups; at most one is allowed, which is the token")
        return pattern


class FitParameters(Parameters):
    """The arguments of ``MultinomialMixture``."""

    n_components: PositiveInt
    smoothing: Annotated[float, Field(ge=0)]
    initial_beta: Literal["auto"] | Annotated[float, Field(gt=0, le=1)]
    beta_growth: Annotated[float, Field(gt=1)]
    steps_per_beta: PositiveInt
    perturbation: Annotated[float, Field(ge=0)]
    max_iter: PositiveInt
    tol: Annotated[float, Field(ge=0)]
    n_init: PositiveInt
    random_state: Seed


class EvaluateParameters(Parameters):
    """What is computed of the fitted mixture."""

    n_top_words: Annotated[int, Field(ge=2)]
    relevance_weight: Annotated[float, Field(ge=0, le=1)]
    n_examples: PositiveInt
    map_documents: Annotated[int, Field(ge=0)]
    random_state: Seed
