"""A trained model that stands for champion among those of its kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose, isfinite
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from latents.predictors.interface import Predictor

_ROUNDING = 1e-9  # relative; solvers that find the same optimum differ by less


@dataclass(frozen=True)
class Headline:
    """The one number by which models are compared, and what must be equal for that.

    Parameters
    ----------
    metric : str
        What is measured.
    value : float
        How much of it.
    highest_wins : bool
        Whether more is better.
    conditions : mapping of str to str
        Without these being equal two values mean different things: the data, and the size of the model where
        it decides.
    """

    metric: str
    value: float
    highest_wins: bool
    conditions: Mapping[str, str]

    def differences(self, metric: str | None, conditions: Mapping[str, str]) -> list[str]:
        """Return what forbids a comparison with another model's metric and conditions, in words; nothing may."""
        here = {"metric": self.metric, **self.conditions}
        there = {"metric": metric, **conditions}
        return [
            f"{name} is {here[name]}, not {there.get(name)}" for name in here if there.get(name) != here[name]
        ]

    def beats(self, value: float) -> bool:
        """Tell whether this value is better than another, by more than rounding; NaN and infinity never are."""
        if not isfinite(self.value) or isclose(self.value, value, rel_tol=_ROUNDING):
            return False
        return not isfinite(value) or (self.value > value) == self.highest_wins


@dataclass(frozen=True, eq=False)
class Candidate:
    """A predictor on its way to where people find it, an example of what it takes, and how good it is.

    Parameters
    ----------
    predictor : Predictor
        The trained model.
    example : DataFrame or ndarray
        Two rows that it was trained on: a table with a column ``text``, or of features by name; or images, as
        float64.
    headline : Headline
        By which it is compared.
    """

    predictor: Predictor
    example: pd.DataFrame | NDArray[Any]
    headline: Headline


@dataclass(frozen=True, eq=False)
class Champion:
    """The present champion, which a new model may be held against.

    Parameters
    ----------
    predictor : Predictor
        The trained model.
    version : str
        Its number among the registered ones.
    """

    predictor: Predictor
    version: str
