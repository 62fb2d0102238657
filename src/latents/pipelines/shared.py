"""What the pipelines have in common: typed parameters, the split into training and held-out rows, and diagrams."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

import numpy as np
from kedro.pipeline.preview_contract import MermaidPreview
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from latents.engines import Engine, named
from latents.features.labels import truth_of
from latents.messages import shown, unquoted
from latents.predictors import Champion

Seed = Annotated[int, Field(ge=0, lt=2**32)]
PositiveInt = Annotated[int, Field(ge=1)]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
Rows = dict[str, NDArray[np.intp]]

# A number, or the name of what chooses it: tagged, so that an error speaks of the one that was meant.
NAME_OR_NUMBER = Discriminator(lambda value: "name" if isinstance(value, str) else "number")
Auto = Annotated[Literal["auto"], Tag("name")]


def _in_quotes(value: Any) -> Any:
    if said := unquoted(value):
        raise ValueError(said)
    return value


# A text that may look like something else in YAML.
Text = Annotated[str, BeforeValidator(_in_quotes)]


class Parameters(BaseModel):
    """A group of parameters: every key is required, no other is allowed, and types are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data.keys() - cls.model_fields.keys():
                raise ValueError(
                    f"unknown key {key!r:.80} with value {shown(data[key])}; "
                    f"allowed are {', '.join(cls.model_fields)}"
                )
        return data


class SplitParameters(Parameters):
    """How rows are held out, where the data themselves do not say."""

    held_out_fraction: Annotated[float, Field(ge=0, lt=1)]
    random_state: Seed


class EngineParameters(Parameters):
    """Who carries out a fit: this process, or the workers of a Ray cluster (``latents.engines``)."""

    name: Literal["local", "ray"]
    address: str | None = None
    n_workers: PositiveInt | None = None
    n_threads: PositiveInt | None = None

    def begun(self) -> Engine:
        """Return the engine, which ends with the run."""
        return named(**self.model_dump(exclude_none=True))


def plain(value: Any) -> Any:
    """Return parameters as nested mappings, lists and numbers, with validated groups undone."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


class Monitor(Protocol):
    """What a node hands to a long computation to be watched by (``latents.datasets.FitMonitorDataset``)."""

    checkpoint: Path | None
    """The file from which a fit goes on that was ended."""

    def watch(
        self, task: str, total: int | None = None, log_metrics: bool = True
    ) -> AbstractContextManager[Callable[[str, float, int], None]]:
        """Give a callback ``(name, value, step)`` for the length of a block."""

    def trial(self, name: str, parameters: Mapping[str, Any]) -> AbstractContextManager[Self]:
        """Give a monitor for one fit of several, tracked by itself, for the length of a block."""

    def champion(self) -> Champion | None:
        """Return the best model of the pipeline so far, if it can be had."""

    def record(self, metrics: Mapping[str, float], step: int = 0, group: str | None = None) -> None:
        """Write metrics of what has been fitted, or points of their curves over `step`."""

    def record_parameters(self, parameters: Mapping[str, Any], group: str) -> None:
        """Write what a fit goes by that the run's own parameters do not say."""


def split_rows(
    n_rows: int, held_out: NDArray[Any] | None, params: SplitParameters, labels: NDArray[Any] | None = None
) -> Rows:
    """Divide the rows 0..n_rows - 1 into ``train`` and ``held_out``, both in rising order.

    Parameters
    ----------
    n_rows : int
        Number of documents or images.
    held_out : array of shape (n_rows,), optional
        Truth values that say which rows are held out; they win over `params`.
    params : SplitParameters
        The share to hold out at random, and the seed.
    labels : array of shape (n_rows,), optional
        Classes of which each needs a row to train on: of one that was drawn as a whole, the first row stays. One
        row at least is held out where any is to be, and a class has two.

    Raises
    ------
    ValueError
        If nothing would be left to train on, or a mark is no truth value.
    """
    if held_out is None:
        chosen = np.zeros(n_rows, dtype=bool)
        order = np.random.default_rng(params.random_state).permutation(n_rows)
        chosen[order[: round(params.held_out_fraction * n_rows)]] = True
        if labels is not None:
            _, firsts, numbers, sizes = np.unique(
                labels, return_index=True, return_inverse=True, return_counts=True
            )
            chosen[firsts[np.bincount(numbers, weights=~chosen) == 0]] = False
            if params.held_out_fraction and not chosen.any():
                chosen[order[sizes[numbers[order]] > 1][:1]] = True
    else:
        chosen = truth_values(held_out.tolist())
    if chosen.all():
        raise ValueError(
            f"all {n_rows} rows would be held out and none trained on; hold out fewer (held_out_fraction is "
            f"{params.held_out_fraction})"
        )
    return {"train": np.flatnonzero(~chosen), "held_out": np.flatnonzero(chosen)}


def truth_values(marks: Sequence[Any], place: Callable[[int], str] = "row {}".format) -> NDArray[np.bool_]:
    """Return marks of what is held out as truth values (see `truth_of`).

    Parameters
    ----------
    marks : sequence
        One for each row.
    place : callable
        Says where the mark of a row is, for the message.

    Raises
    ------
    ValueError
        If a mark is none of these.
    """
    found = [truth_of(mark) for mark in marks]
    if None in found:
        row = found.index(None)
        raise ValueError(
            f"{place(row)}: held_out is {shown(marks[row])}; allowed are true and false, or 1 and 0"
        )
    return np.array(found, dtype=bool)


def are_one_class(labels: NDArray[Any]) -> bool:
    """Tell whether labels tell nothing apart: there is only one, which some tools write where there are none."""
    return len(set(labels.tolist())) == 1


def diagram(content: str) -> MermaidPreview:
    """Return a Mermaid diagram for Kedro-Viz, at its own size: made to fit, it would be too small to read.

    Labels are formulas between ``$$``; plain text in them breaks lines where it should not.
    """
    return MermaidPreview(content=content, meta={"flowchart": {"useMaxWidth": False}})
