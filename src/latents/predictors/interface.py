"""What the three predictors have in common: they predict, and they are saved and loaded without pickle."""

import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import pandas as pd

from latents import estimators
from latents.files import restore, whole_folder
from latents.messages import shown
from latents.sealed import check_keys, damaged, digest_of, parse_json, seal_of

# 1 has no digests.
FORMAT_VERSION, _FIRST_VERSION = 2, 1
_FIELDS = {"format_version": int, "predictor": str, "settings": dict}
_DIGESTS = {"model": str, "digest": str}
MODEL, SETTINGS = "model.safetensors", "predictor.json"


class Predictor(ABC):
    """A trained model with all that it takes to read raw data: raw data in, a table out.

    A predictor is two files in a folder: the estimator's own (``model.safetensors``), which
    ``latents.estimators.load`` reads too, and the rest as JSON (``predictor.json``). Each has a digest of what
    was written, and the latter that of the former, so that neither a flipped bit nor a file of another training
    passes.
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
        content = {
            "format_version": FORMAT_VERSION,
            "predictor": type(self).__name__,
            "settings": self._settings(),
        }
        json.dumps(content, allow_nan=False)  # or fail, before anything is written
        final = Path(folder)
        for path in [final] if final.is_file() else final.glob("*"):
            if path.name not in (MODEL, SETTINGS) and not path.name.startswith("."):  # such as .DS_Store
                raise FileExistsError(
                    f"{path} is no part of a predictor that is to be replaced; move it elsewhere"
                )
        with whole_folder(final) as new:
            self.model.save(new / MODEL)
            content["model"] = seal_of(new / MODEL)
            content["digest"] = settings_digest(content)
            (new / SETTINGS).write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a predictor written by ``save``.

        Raises
        ------
        FileNotFoundError
            If there is no such folder, or a file of it is missing.
        ValueError
            If a file is damaged, the two are of different trainings or do not fit together, or are of another
            predictor or format version.
        """
        name, settings, digest = read_settings(folder)
        if name != cls.__name__:
            raise ValueError(f"{folder} holds a {name}, not a {cls.__name__}")
        path, model_path = Path(folder) / SETTINGS, Path(folder) / MODEL
        model = estimators.load(model_path)
        if digest is not None and digest != seal_of(model_path):
            raise ValueError(
                f"{model_path} is not the model that {path} was saved with, but of another training"
            )
        with damaged(path):
            predictor = cls._of(model, settings)
            # What is read as something else than it is, or not at all, does not come back.
            again = predictor._settings()
            for setting, value in settings.items():
                if setting not in again or not _is_same(value, again[setting]):
                    raise ValueError(f"{setting!r} is {shown(value)}, which no predictor has saved")
        return predictor

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Return all but the estimator, as values of JSON."""

    @classmethod
    @abstractmethod
    def _of(cls, model: Any, settings: dict[str, Any]) -> Self:
        """Undo `_settings`."""


class Saved(NamedTuple):
    """What ``predictor.json`` says: the name of the class, its settings, and the digest of the model (or None)."""

    predictor: str
    settings: dict[str, Any]
    model: str | None


def read_settings(folder: str | os.PathLike[str]) -> Saved:
    """Return what the settings of a saved predictor are.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``Predictor.load``.
    """
    path = Path(folder) / SETTINGS
    restore(folder)
    if not path.is_file():
        raise FileNotFoundError(f"no saved predictor in {folder}: there is no {path}")
    content = parse_json(path, path.read_bytes(), allow_nan=False)
    if not isinstance(content, dict) or "format_version" not in content:
        raise ValueError(f"{path} is not of a saved predictor")
    version = content["format_version"]
    if version not in (_FIRST_VERSION, FORMAT_VERSION) or isinstance(version, bool | float):
        raise ValueError(
            f"{path} has format version {version!r:.80}; this version reads {_FIRST_VERSION} and {FORMAT_VERSION}"
        )
    with damaged(path):
        check_keys(content, _FIELDS if version == _FIRST_VERSION else {**_FIELDS, **_DIGESTS}, "it")
        if version > _FIRST_VERSION and content["digest"] != settings_digest(content):
            raise ValueError("it does not hold what was written")
    return Saved(content["predictor"], content["settings"], content.get("model"))


def settings_digest(content: dict[str, Any]) -> str:
    """Return the digest of all that ``predictor.json`` says, in whatever order and layout, but for the digest."""
    told = {name: value for name, value in content.items() if name != "digest"}
    return digest_of({}, json.dumps(told, sort_keys=True))


def _is_same(one: Any, other: Any) -> bool:
    """Compare values of JSON: 1 and 1.0 are the same, 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() <= other.keys() and all(_is_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    numbers = (int, float)
    alike = type(one) is type(other) or {type(one), type(other)} == set(numbers)
    return alike and bool(one == other)


def check_shape(shape: Any) -> None:
    """Refuse what is no shape of an image.

    Raises
    ------
    TypeError, ValueError
    """
    if len(shape) not in (2, 3) or min(shape) < 1 or (len(shape) == 3 and shape[2] != 3):
        raise ValueError(f"shape is {shape}; allowed are (height, width), or with 3 colours last")


def check_model(model: Any, kind: str) -> None:
    """Refuse an estimator that is of another kind than a predictor has.

    Raises
    ------
    TypeError
    """
    if type(model).__name__ != kind:
        raise TypeError(f"the model is a {type(model).__name__}; allowed is a {kind}")
