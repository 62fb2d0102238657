"""Saving and loading estimators: one safetensors file whose header carries the rest as JSON.

Nothing is pickled. Arrays are stored as safetensors; everything else (constructor arguments, plain learned
values, class names, feature names) is JSON in the file's metadata, together with a format version.
"""

import json
import os
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors
from sklearn.utils.validation import check_is_fitted

from latents.files import whole_file

FORMAT_VERSION = 1
_HEADER = "latents"
_FIELDS = {"estimator": str, "params": dict, "values": dict}


class PersistentEstimator:
    """Adds ``save`` and ``load`` to a scikit-learn estimator.

    Learned attributes (names ending in ``_``) that are numeric arrays go to safetensors; arrays of strings,
    numbers, strings, lists and None go to JSON. A class whose state is neither overrides ``_state`` and
    ``_restore``.
    """

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to `path`, whole or not at all.

        Parameters
        ----------
        path : path-like
            The file to write, by custom ending in ``.safetensors``. Missing folders are made.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator has not been fitted.
        TypeError
            If an argument or attribute has no faithful form without pickle (a ``RandomState`` instance
            as ``random_state``, say).
        """
        check_is_fitted(self)
        arrays: dict[str, np.ndarray] = {}
        values: dict[str, Any] = {}
        for name, value in self._state().items():
            if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
                # safetensors writes the buffer as it lies: anything but C order would be read back permuted.
                arrays[name] = np.asarray(value, order="C")
            else:
                values[name] = _to_json(name, value)
        header = {
            "format_version": FORMAT_VERSION,
            "estimator": type(self).__name__,
            "params": {k: _to_json(k, v) for k, v in self.get_params(deep=False).items()},  # type: ignore[attr-defined]
            "values": values,
        }
        content = to_safetensors(arrays, metadata={_HEADER: json.dumps(header)})
        with whole_file(path) as temporary:
            temporary.write_bytes(content)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an estimator written by ``save``.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is damaged, is of another estimator, or has a format or parameters that this version
            does not know.
        """
        header, arrays = read(path)
        if header["estimator"] != cls.__name__:
            raise ValueError(f"{path} holds a {header['estimator']}, not a {cls.__name__}")
        known = cls().get_params(deep=False)  # type: ignore[attr-defined]
        if unknown := header["params"].keys() - known:
            raise ValueError(
                f"{path} has parameters that this version of {cls.__name__} does not know: "
                f"{', '.join(sorted(unknown))}"
            )
        estimator = cls(**{k: _from_json(v) for k, v in header["params"].items()})
        estimator._restore({**arrays, **{k: _from_json(v) for k, v in header["values"].items()}})
        return estimator

    def _state(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k.endswith("_") and not k.startswith("_")}

    def _restore(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the header and the arrays of a file written by ``PersistentEstimator.save``.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``PersistentEstimator.load``.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no saved estimator at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            header = _header(path, file.metadata() or {})
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error


def _header(path: str | os.PathLike[str], metadata: dict[str, str]) -> dict[str, Any]:
    """Return the header, checked, before anything is made of the rest of the file."""
    try:
        header = json.loads(metadata.get(_HEADER, "null"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} has a damaged header: {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"{path} is a safetensors file, but not one of a saved estimator")
    if header.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {header.get('format_version')}; this version reads {FORMAT_VERSION}"
        )
    for name, kind in _FIELDS.items():
        if not isinstance(header.get(name), kind):
            raise ValueError(f"{path} has a damaged header: it lacks {name!r}")
    return header


def _to_json(name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "OUS":
        if not all(isinstance(item, str) for item in value.ravel()):
            raise TypeError(f"{name} is an array of objects that are not all strings")
        return {"strings": value.tolist(), "dtype": "object" if value.dtype.kind == "O" else "str"}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple):
        return {"tuple": [_to_json(name, item) for item in value]}
    if isinstance(value, list):
        return [_to_json(name, item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} is a {type(value).__name__}, which has no form in a saved estimator")


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if "tuple" in value:
            return tuple(_from_json(item) for item in value["tuple"])
        return np.array(value["strings"], dtype=object if value["dtype"] == "object" else str)
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return value
