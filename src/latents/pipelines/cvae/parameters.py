"""Parameters of the class-conditioned VAE pipeline."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from latents.memory import parsed_size
from latents.messages import shown
from latents.pipelines.shared import NAME_OR_NUMBER, Auto, Device, Parameters, PositiveInt, Seed, Text

_Label = Annotated[
    Annotated[int | float, Tag("number")] | Annotated[Text, Tag("text")],
    Discriminator(lambda value: "number" if type(value) in (int, float) else "text"),
]
ClassWeight = Annotated[
    Annotated[Literal["balanced"], Tag("name")]
    | Annotated[dict[_Label, Annotated[float, Field(gt=0)]], Tag("by class")],
    Discriminator(lambda value: "name" if isinstance(value, str) else "by class"),
]


def _in_bytes(value: object) -> object:
    size = parsed_size(value) if isinstance(value, str) else value
    if size is None:
        raise ValueError(
            f"{shown(value)} is no size; allowed are such as 256 MiB, or bytes as a whole number"
        )
    return size


Bytes = Annotated[PositiveInt, BeforeValidator(_in_bytes)]


Widths = Annotated[
    Auto | Annotated[list[PositiveInt], Tag("list")],
    Discriminator(lambda value: "name" if isinstance(value, str) else "list"),
]
Count = Annotated[Auto | Annotated[PositiveInt, Tag("number")], NAME_OR_NUMBER]


class FeaturesParameters(Parameters):
    """How pixels become probabilities."""

    white: Annotated[Auto | Annotated[float, Field(gt=0), Tag("number")], NAME_OR_NUMBER]


class FitParameters(Parameters):
    """The arguments of ``ConditionalVAE``, and how often its training is written down.

    What is ``auto`` here and a number or a name there follows from the images (``choosing``).
    """

    network: Literal["ladder", "reference"]
    prior: Literal["standard", "per_class"]
    posterior: Literal["correlated", "diagonal"]
    likelihood: Literal["auto", "bernoulli", "discretised", "gaussian"]
    objective: Literal["elbo", "iwae"]
    n_particles: PositiveInt
    n_latents: Count
    hidden: Widths
    spatial: list[PositiveInt]
    epochs: Count
    batch_size: Count
    learning_rate: Annotated[float, Field(gt=0)]
    beta_2: Annotated[float, Field(ge=0, lt=1)]
    schedule: Literal["constant", "cosine"]
    kl_warm_up: Annotated[float, Field(ge=0, le=1)]
    class_weight: ClassWeight | None
    precision: Literal["auto", "float32", "bfloat16"]
    compiled: Literal["auto"] | bool
    device: Device
    window: Bytes
    checkpoint_every: PositiveInt
    random_state: Seed

    @model_validator(mode="after")
    def _levels_of_a_ladder(self) -> Self:
        if self.spatial and self.network != "ladder":
            raise ValueError(
                f"spatial is {shown(self.spatial)}, but network is {self.network}, which has no levels"
            )
        if len(set(self.spatial)) > 1:
            raise ValueError(f"spatial is {shown(self.spatial)}, but these levels are all of the same width")
        if self.network != "ladder" or self.hidden == "auto":
            return self
        n_latents = None if self.n_latents == "auto" else self.n_latents
        if len(set(self.hidden)) != 1 or (n_latents is not None and len(self.hidden) > n_latents):
            raise ValueError(
                f"hidden is {shown(self.hidden)}, but a ladder has a level for each entry, one at least, all of "
                "the same width, and a latent or more on each"
                + ("" if n_latents is None else f"; n_latents is {n_latents}")
            )
        return self


class WatchParameters(Parameters):
    """What is looked at while the model is trained."""

    log_every: PositiveInt
    every: PositiveInt | None
    n_importance_samples: PositiveInt
    n_likelihood_images: PositiveInt | None
    n_generated: PositiveInt
    random_state: Seed


class EvaluateParameters(Parameters):
    """How closely the likelihoods are estimated, and what is drawn from the model."""

    n_importance_samples: PositiveInt
    n_likelihood_images: PositiveInt | None
    n_marginal_images: PositiveInt | None
    n_generated: PositiveInt
    n_drawn: PositiveInt
    n_classifier_steps: PositiveInt
    n_nearest_classes: PositiveInt
    n_reconstructions: PositiveInt
    n_paths: PositiveInt
    n_steps: Annotated[int, Field(ge=2)]
    n_traversed: PositiveInt
    n_traversed_classes: PositiveInt
    n_hardest: PositiveInt
    random_state: Seed


class ReportParameters(Parameters):
    """What the figures show."""

    n_scatter_points: PositiveInt
