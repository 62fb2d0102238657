"""Saving and loading estimators: one safetensors file whose header carries the rest as JSON.

Nothing is pickled. Arrays are stored as safetensors; everything else (constructor arguments, plain learned
values, class names, feature names) is JSON in the file's metadata, together with a format version.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from latents.sealed import Sealed, check_keys, damaged, listed, read_sealed, write_sealed

# 1 has no digest.
FORMAT_VERSION, _FIRST_VERSION = 2, 1
_HEADER = "latents"
_FIELDS = {"format_version": int, "estimator": str, "params": dict, "values": dict}


class Learned(NamedTuple):
    """What a learned attribute is like.

    Attributes
    ----------
    kinds : str
        Of NumPy's letters: "f" (finite floating-point numbers), "i" (whole numbers), "b" (truth), "U" (text).
    axes : tuple of str
        A letter for each axis; where the same one stands twice, or in another attribute, lengths are the same.
        None for a single value.
    is_optional : bool
        Whether it may be missing.
    """

    kinds: str
    axes: tuple[str, ...] = ()
    is_optional: bool = False


class PersistentEstimator:
    """Adds ``save`` and ``load`` to a scikit-learn estimator, whose arguments ``_parameter_constraints`` checks.

    Learned attributes (names ending in ``_``) that are numeric arrays go to safetensors; arrays of strings,
    numbers, strings, lists and None go to JSON. A class whose state is neither overrides ``_state`` and
    ``_restore``. One that overrides ``_check_state`` neither saves nor loads what no fit can have left.
    """

    # Arguments that files of earlier versions lack, and what these meant.
    _added_params: ClassVar[Mapping[str, Any]] = {}

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
        ValueError
            If arguments were changed after the fit to what is not allowed, or attributes to what no fit leaves.
        """
        check_is_fitted(self)
        arrays: dict[str, np.ndarray] = {}
        values: dict[str, Any] = {}
        state = self._state()
        for name, value in state.items():
            if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
                arrays[name] = value
            else:
                values[name] = _to_json(name, value)
        params = {k: _to_json(k, v) for k, v in self.get_params(deep=False).items()}  # type: ignore[attr-defined]
        self._check_saved(state)
        header = {
            "format_version": FORMAT_VERSION,
            "estimator": type(self).__name__,
            "params": params,
            "values": values,
        }
        write_sealed(path, _HEADER, header, arrays)

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
        header, arrays, _ = read(path)
        if header["estimator"] != cls.__name__:
            raise ValueError(f"{path} holds a {header['estimator']}, not a {cls.__name__}")
        known = cls().get_params(deep=False).keys()  # type: ignore[attr-defined]
        if unknown := header["params"].keys() - known:
            raise ValueError(
                f"{path} has parameters that this version of {cls.__name__} does not know: {listed(unknown)}"
            )
        with damaged(path):
            missing = known - header["params"].keys() - cls._added_params.keys()
            if missing:
                raise ValueError(f"it lacks the parameters {listed(missing)}")
            params = {k: _from_json(v) for k, v in header["params"].items()}
            estimator = cls(**{**cls._added_params, **params})
            values = {k: _from_json(v) for k, v in header["values"].items()}
            if twice := values.keys() & arrays.keys():
                raise ValueError(f"it has {listed(twice)} twice")
            state = {**arrays, **values}
            estimator._check_saved(state)
            estimator._restore(state)
        return estimator

    def _check_saved(self, state: dict[str, Any]) -> None:
        """Refuse arguments and a state that no fit leaves: a ``ValueError``."""
        for name in state:
            if not name.partition(".")[0].endswith("_") or name.startswith("_"):
                raise ValueError(f"{name!r} is no name of a learned attribute")
        self._validate_params()  # type: ignore[attr-defined]
        self._check_state(state)

    def _check_state(self, state: dict[str, Any]) -> None:
        """Refuse a state that no fit leaves: a ``ValueError``."""

    def _state(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k.endswith("_") and not k.startswith("_")}

    def _restore(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


@contextmanager
def unchanged_on_failure(estimator: object) -> Iterator[None]:
    """Undo what was set: half a model, with the words of another, would be worse than none."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def check_learned(state: Mapping[str, Any], learned: Mapping[str, Learned]) -> dict[str, int]:
    """Return the lengths of axes by their letters, once every attribute is sure to be like what is said of it.

    Raises
    ------
    ValueError
        If an attribute is missing, or there is one too many; or if one is of another type or shape, or not finite.
    """
    if surplus := state.keys() - learned:
        raise ValueError(f"{listed(surplus)}: there is no such attribute")
    lengths: dict[str, int] = {}
    for name, (kinds, axes, is_optional) in learned.items():
        if name not in state:
            if is_optional:
                continue
            raise ValueError(f"{name} is missing")
        value = state[name]
        array = np.asarray(value)
        kind = {"u": "i"}.get(array.dtype.kind, array.dtype.kind)
        if kind == "O" and all(isinstance(item, str) for item in array.ravel()):
            kind = "U"
        if isinstance(value, list | tuple) or kind not in kinds:
            raise ValueError(
                f"{name} is of type {type(value).__name__} ({array.dtype}); allowed is {kinds!r}"
            )
        if array.ndim != len(axes):
            raise ValueError(f"{name} has shape {array.shape}; allowed are {len(axes)} axes")
        for axis, length in zip(axes, array.shape, strict=True):
            if lengths.setdefault(axis, length) != length:
                raise ValueError(f"{name} has shape {array.shape}, which does not fit the other attributes")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} has numbers that are not finite")
    return lengths


def read(path: str | os.PathLike[str]) -> Sealed:
    """Return the header and the arrays of a file written by ``PersistentEstimator.save``, and its digest.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``PersistentEstimator.load``.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no saved estimator at {path}")
    content = read_sealed(path, _HEADER, "not one of a saved estimator")
    header = content.header
    if not isinstance(header, dict):
        raise ValueError(f"{path} is a safetensors file, but not one of a saved estimator")
    version = header.get("format_version")
    if version not in (_FIRST_VERSION, FORMAT_VERSION) or isinstance(version, bool | float):
        raise ValueError(
            f"{path} has format version {version!r:.80}; this version reads {_FIRST_VERSION} and {FORMAT_VERSION}"
        )
    with damaged(path):
        if (content.digest is None) != (version == _FIRST_VERSION):
            raise ValueError(
                f"files of format version {FORMAT_VERSION} have a digest, earlier ones have none"
            )
        check_keys(header, _FIELDS, "its header")
    return content


def _to_json(name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "OUS":
        if not all(isinstance(item, str) for item in value.ravel()):
            raise TypeError(f"{name} is an array of objects that are not all strings")
        return {"strings": value.tolist(), "dtype": "object" if value.dtype.kind == "O" else "str"}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        items = [[_to_json(name, part) for part in item] for item in value.items()]
        return {"mapping": items}
    if isinstance(value, tuple):
        return {"tuple": [_to_json(name, item) for item in value]}
    if isinstance(value, list):
        return [_to_json(name, item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} is a {type(value).__name__}, which has no form in a saved estimator")


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"mapping"} and isinstance(value["mapping"], list):
            return dict(_from_json(item) for item in value["mapping"])
        if value.keys() == {"tuple"} and isinstance(value["tuple"], list):
            return tuple(_from_json(item) for item in value["tuple"])
        check_keys(value, {"strings": list, "dtype": str}, "an array of strings")
        if value["dtype"] not in ("object", "str"):
            raise ValueError(f"an array of strings is of type {value['dtype']!r:.80}")
        array = np.array(value["strings"], dtype=object)
        if not all(isinstance(item, str) for item in array.ravel()):
            raise ValueError("an array of strings has other values, or rows of different lengths")
        return array if value["dtype"] == "object" else array.astype(str)
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return value
