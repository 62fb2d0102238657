"""What the three predictors have in common: they predict, and they are saved and loaded without pickle."""

import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import pandas as pd

from latents import estimators
from latents.files import restore, whole_folder

FORMAT_VERSION = 1
MODEL, SETTINGS = "model.safetensors", "predictor.json"


class Predictor(ABC):
    """A trained model with all that it takes to read raw data: raw data in, a table out.

    A predictor is two files in a folder: the estimator's own (``model.safetensors``), which
    ``latents.estimators.load`` reads too, and the rest as JSON (``predictor.json``).
    """

    model: Any
    requirements: ClassVar[tuple[str, ...]] = ()
    """Packages that it needs beyond those that all predictors do."""

    @abstractmethod
    def predict(self, data: Any, /) -> pd.DataFrame:
        """Return a table with a row for each text or image of `data`, in their order.

        Raises
        ------
        ValueError
            If the data are none that the model can read; names the first row that is not.
        """

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the predictor to a folder, whole or not at all; one that was there before is replaced.

        Raises
        ------
        FileExistsError
            If the folder has anything else in it, but for hidden files.
        """
        settings = {
            "format_version": FORMAT_VERSION,
            "predictor": type(self).__name__,
            "settings": self._settings(),
        }
        content = json.dumps(settings, indent=1, allow_nan=False)
        final = Path(folder)
        for path in [final] if final.is_file() else final.glob("*"):
            if path.name not in (MODEL, SETTINGS) and not path.name.startswith("."):  # such as .DS_Store
                raise FileExistsError(
                    f"{path} is no part of a predictor that is to be replaced; move it elsewhere"
                )
        with whole_folder(final) as new:
            self.model.save(new / MODEL)
            (new / SETTINGS).write_text(content, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a predictor written by ``save``.

        Raises
        ------
        FileNotFoundError
            If there is no such folder, or a file of it is missing.
        ValueError
            If a file is damaged, the two do not fit together, or are of another predictor or format version.
        """
        name, settings = read_settings(folder)
        if name != cls.__name__:
            raise ValueError(f"{folder} holds a {name}, not a {cls.__name__}")
        model = estimators.load(Path(folder) / MODEL)
        try:
            return cls._of(model, settings)
        except KeyError as error:
            raise ValueError(f"{Path(folder) / SETTINGS} is damaged: it lacks {error}") from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"{Path(folder) / SETTINGS} is damaged: {error}") from error

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Return all but the estimator, as values of JSON."""

    @classmethod
    @abstractmethod
    def _of(cls, model: Any, settings: dict[str, Any]) -> Self:
        """Undo `_settings`."""


def read_settings(folder: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """Return the name of the class of a saved predictor, and its settings.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``Predictor.load``.
    """
    path = Path(folder) / SETTINGS
    restore(folder)
    if not path.is_file():
        raise FileNotFoundError(f"no saved predictor in {folder}: there is no {path}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict) or "format_version" not in content:
        raise ValueError(f"{path} is not of a saved predictor")
    if content["format_version"] != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {content['format_version']}; this version reads {FORMAT_VERSION}"
        )
    if not isinstance(content.get("settings"), dict):
        raise ValueError(f"{path} is damaged: it lacks 'settings'")
    return str(content.get("predictor")), content["settings"]


def check_model(model: Any, kind: str) -> None:
    """Refuse an estimator that is of another kind than a predictor has.

    Raises
    ------
    TypeError
    """
    if type(model).__name__ != kind:
        raise TypeError(f"the model is a {type(model).__name__}; allowed is a {kind}")
