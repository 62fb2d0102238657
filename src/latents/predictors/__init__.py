"""Trained models with all that they take to read raw data: raw data in, a table out.

Each is imported on first use, because torch takes seconds to load, and ``PCAPredictor`` does without it.
"""

from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING

from latents.predictors.candidate import Candidate, Champion, Headline
from latents.predictors.interface import Predictor, read_settings

if TYPE_CHECKING:
    from latents.predictors.clustering import ClusteringPredictor
    from latents.predictors.cvae import CVAEPredictor
    from latents.predictors.pca import PCAPredictor

_HOMES = {"CVAEPredictor": "cvae", "ClusteringPredictor": "clustering", "PCAPredictor": "pca"}

__all__ = [
    "CVAEPredictor",
    "Candidate",
    "Champion",
    "ClusteringPredictor",
    "Headline",
    "PCAPredictor",
    "Predictor",
    "load",
]


def load(folder: "str | PathLike[str]") -> Predictor:
    """Read a saved predictor of any of the three classes.

    Parameters
    ----------
    folder : path-like
        A folder written by a predictor's ``save``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or a file of it is missing.
    ValueError
        If it is damaged, of an unknown predictor, or of an unknown format version.
    """
    name = read_settings(folder).predictor
    if name not in _HOMES:
        raise ValueError(f"{folder} holds a {name!r}; allowed are {', '.join(_HOMES)}")
    return _class_of(name).load(folder)


def _class_of(name: str) -> type[Predictor]:
    found: type[Predictor] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _class_of(name)
