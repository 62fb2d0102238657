"""Files that tell when they are no longer what was written: arrays and a header of JSON, with a digest of both.

A file is in the format safetensors; the header and the digest are in its metadata. Models, checkpoints and, but
for the arrays, the settings of predictors are kept so. Nothing is pickled.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from latents.files import whole_file
from latents.messages import first_repeated, printable

_DIGEST = "digest"


class Sealed(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    header : object of JSON
    arrays : dict of str to ndarray
    digest : str or None
        Of both, as the file has it; None where it has none. Whether it is true has been checked.
    """

    header: Any
    arrays: dict[str, NDArray[Any]]
    digest: str | None


def write_sealed(
    path: str | os.PathLike[str], key: str, header: Any, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a file, whole or not at all.

    Parameters
    ----------
    path : path-like
    key : str
        What the file is, the name of the header in the metadata.
    header : object of JSON
    arrays : mapping of str to ndarray
        Of numbers.
    """
    # safetensors writes the buffer as it lies: anything but C order would be read back permuted.
    ordered = {name: np.asarray(a, a.dtype.newbyteorder("="), order="C") for name, a in arrays.items()}
    text = json.dumps(header)
    content = to_safetensors(ordered, metadata={key: text, _DIGEST: digest_of(ordered, text)})
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def read_sealed(path: str | os.PathLike[str], key: str, what: str) -> Sealed:
    """Read a file that ``write_sealed`` wrote, or an earlier version without a digest.

    Parameters
    ----------
    path : path-like
    key : str
        The name of the header in the metadata.
    what : str
        What it is, for the message where it is something else.

    Raises
    ------
    ValueError
        If the file is not whole, is something else, or does not hold what was written.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if key not in metadata:
                raise ValueError(f"{path} is a safetensors file, but {what}")
            # An earlier version wrote no digest; whatever else is beside the header was one.
            if metadata.keys() not in ({key}, {key, _DIGEST}):
                raise ValueError(f"{path} is damaged: its metadata have {listed(metadata)}")
            with damaged(path):  # such as types that numpy does not have
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error
    digest = metadata.get(_DIGEST)
    if digest is not None and digest != digest_of(arrays, metadata[key]):
        raise ValueError(f"{path} is damaged: it does not hold what was written")
    return Sealed(parse_json(path, metadata[key]), arrays, digest)


def parse_json(path: str | os.PathLike[str], text: str | bytes, *, allow_nan: bool = True) -> Any:
    """Return a value of JSON in which no name is given twice; NaN and infinities, which JSON lacks, may be there.

    Raises
    ------
    ValueError
        If the text is none, nests too deeply, or has a name twice; names the file.
    """

    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is no number of JSON")

    def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError(f"{first_repeated(name for name, _ in pairs)!r} is there twice")
        return found

    with damaged(path, "its JSON cannot be read"):
        constant = None if allow_nan else refuse_constant
        return json.loads(text, object_pairs_hook=unrepeated, parse_constant=constant)


@contextmanager
def damaged(path: str | os.PathLike[str], how: str = "") -> Iterator[None]:
    """Turn what goes wrong while a file's content is made sense of into an error that names the file.

    Raises
    ------
    ValueError
        If anything was of another type, shape, length or depth than it is taken for, or is missing.
    """

    def fail(reason: str, error: Exception) -> NoReturn:
        parts = [part for part in (how, reason) if part]
        raise ValueError(f"{path} is damaged: {printable(': '.join(parts)[:1000])}") from error

    try:
        yield
    except KeyError as error:
        fail(f"it lacks {error}", error)
    except RecursionError as error:
        fail("it nests too deeply", error)
    except (ArithmeticError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        fail(str(error), error)


def check_keys(found: Mapping[str, Any], expected: Mapping[str, type], where: str) -> None:
    """Refuse an object of JSON with other names than expected, or values of other types.

    Raises
    ------
    ValueError
    """
    for name, kind in expected.items():
        if not isinstance(found.get(name), kind) or (kind is int and isinstance(found[name], bool)):
            raise ValueError(f"{where} lacks {name!r}, or has it as another type than {kind.__name__}")
    if surplus := found.keys() - expected:
        raise ValueError(f"{where} has {listed(surplus)}, which nothing there is called")


def listed(names: Iterable[str]) -> str:
    """Return names that a file has, for a message."""
    return printable(", ".join(sorted(names))[:1000])


def seal_of(path: str | os.PathLike[str]) -> str | None:
    """Return the digest that a file has, unchecked; None where it has none."""
    with safe_open(Path(path), framework="numpy") as file:
        found: str | None = (file.metadata() or {}).get(_DIGEST)
        return found


def digest_of(arrays: Mapping[str, NDArray[Any]], text: str = "") -> str:
    """Return a digest of a text and of arrays by name: their types, shapes and bytes."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(head_of(name, array.dtype.name, array.shape))
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def head_of(name: str, kind: str, shape: tuple[int, ...]) -> bytes:
    """Return what ``digest_of`` puts before the bytes of an array; `kind` is its type."""
    # Types are named as the first checkpoints did, by torch.
    return f"{name} torch.{kind} {shape} ".encode()
