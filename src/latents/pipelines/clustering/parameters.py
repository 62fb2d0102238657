"""Parameters of the clustering pipeline."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_serializer,
    field_validator,
    model_validator,
)

from latents.features.tokens import ANY_LANGUAGE, compiled
from latents.pipelines.shared import NAME_OR_NUMBER, Auto, Device, Parameters, PositiveInt, Seed, Text
from latents.reporting.selection import CRITERIA

# Tagged, so that an error speaks of the one that was meant.
OneOrSeveral = Annotated[
    Annotated[PositiveInt, Tag("number")] | Annotated[list[PositiveInt], Field(min_length=1), Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, list) else "number"),
]


def _known(name: Any) -> Any:
    if name != "english":
        raise ValueError(f"{name!r:.80} is none; allowed are english, null and a list of words")
    return name


StopWords = Annotated[
    Annotated[Literal["english"], BeforeValidator(_known), Tag("name")] | Annotated[list[Text], Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, list) else "name"),
]

NumberOfStarts = Annotated[Auto | Annotated[PositiveInt, Tag("number")], NAME_OR_NUMBER]
PseudoCount = Annotated[Auto | Annotated[float, Field(ge=0), Tag("number")], NAME_OR_NUMBER]

# An integer counts documents, a fraction is a share of them.
Frequency = Annotated[int, Field(ge=1)] | Annotated[float, Field(ge=0, le=1)]


class FeaturesParameters(Parameters):
    """How documents become word counts: the parameters of scikit-learn's ``CountVectorizer``.

    The token pattern may be a name as well: ``words``, for the words of any language.
    """

    token_pattern: Text
    lowercase: bool
    stop_words: StopWords | None
    ngram_range: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
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

    @field_validator("ngram_range")
    @classmethod
    def _is_a_range(cls, lengths: list[int]) -> list[int]:
        if lengths[0] > lengths[1]:
            raise ValueError(f"{lengths} begins above its end; allowed are a shortest and a longest length")
        return lengths

    @field_validator("token_pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        return pattern if pattern == ANY_LANGUAGE else compiled(pattern).pattern


class FitParameters(Parameters):
    """The arguments of ``MultinomialMixture``; of a list of ``n_components`` every one is fitted."""

    n_components: OneOrSeveral
    smoothing: PseudoCount
    annealing_smoothing: Annotated[float, Field(gt=0)]
    relative: bool
    annealing: bool
    length_growth: Annotated[float, Field(gt=1)]
    steps_per_length: PositiveInt
    perturbation: Annotated[float, Field(ge=0)]
    rearrangements: Annotated[int, Field(ge=0)]
    max_iter: PositiveInt
    tol: Annotated[float, Field(ge=0)]
    n_init: NumberOfStarts
    use_labels: Literal["judge", "guide"]
    components_per_class: PositiveInt
    seeds: dict[Text, Annotated[list[Text], Field(min_length=1)]]
    seed_strength: Annotated[float, Field(gt=0)]
    device: Device
    random_state: Seed

    @field_validator("n_components")
    @classmethod
    def _no_value_twice(cls, n_components: int | list[int]) -> int | list[int]:
        if isinstance(n_components, list):
            for k in n_components:
                if n_components.count(k) > 1:
                    raise ValueError(f"{k} is more than once in {n_components}; every value is fitted once")
        return n_components

    @field_validator("seeds")
    @classmethod
    def _have_names(cls, seeds: dict[str, list[str]]) -> dict[str, list[str]]:
        if "" in seeds:
            raise ValueError("a class is called ''; allowed are names of one character or more")
        return seeds

    @field_serializer("seeds", when_used="json")
    def _in_one(self, seeds: dict[str, list[str]]) -> str:
        # MLflow would make parameters of the classes, whose names may be as long and as odd as people like.
        return str(seeds)

    @model_validator(mode="after")
    def _seeds_are_smoothed(self) -> Self:
        if self.seeds and self.smoothing == 0:
            raise ValueError(
                "smoothing is 0, and seeds are pseudo-counts; allowed with seeds is a smoothing above 0"
            )
        return self

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """The arguments of each fit, one for every value of ``n_components``."""
        arguments = self.model_dump()
        several = self.n_components if isinstance(self.n_components, list) else [self.n_components]
        return [{**arguments, "n_components": k} for k in several]


class SelectParameters(Parameters):
    """What chooses among the fits of several ``n_components``."""

    criterion: str

    @field_validator("criterion")
    @classmethod
    def _is_one(cls, criterion: str) -> str:
        if criterion not in CRITERIA:
            raise ValueError(f"{criterion!r:.80} is no criterion; allowed are {', '.join(CRITERIA)}")
        return criterion


class EvaluateParameters(Parameters):
    """What is computed of the fitted mixture."""

    n_top_words: Annotated[int, Field(ge=2)]
    relevance_weight: Annotated[float, Field(ge=0, le=1)]
    n_examples: PositiveInt
    contamination: Annotated[float, Field(ge=0, lt=0.5)]
    map_documents: Annotated[int, Field(ge=0)]
    random_state: Seed
