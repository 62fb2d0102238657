"""How far packed files are unpacked: a file of a few bytes can hold gigabytes.

What a ``.gz`` or ``.npz`` file unpacks to is bounded by its size: files of counts, texts and pictures become some
ten times as large. The parameter ``max_unpacked`` of a dataset sets another bound, in bytes or as ``4 GiB``.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from kedro.io import DatasetError
from numpy.typing import NDArray

from latents.memory import parsed_size
from latents.places import Place

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Size = int | str | None

ALWAYS = 32 * 2**20
"""So many bytes any file may unpack to."""
TIMES = 50
"""So many times its size a larger one may."""

NO_HEADER = (ValueError, TypeError, OverflowError, SyntaxError, TokenError, RecursionError, MemoryError)
"""What NumPy and Python's parser, by which it reads the header of a ``.npy`` file, raise where there is none."""


def bytes_of(size: Size, name: str = "max_unpacked") -> int | None:
    """Return the bytes of a parameter of this name, such as 4294967296 or "4 GiB".

    Raises
    ------
    DatasetError
        If it is none.
    """
    if size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0):
        return size
    n_bytes = parsed_size(size) if isinstance(size, str) else None
    if n_bytes is None:
        raise DatasetError(f"{name} is {size!r:.40}; allowed are bytes, or a size such as 500 MiB or 4 GiB")
    return n_bytes


def check_unpacked(path: Place, n_bytes: int, max_unpacked: int | None, packed: int | None = None) -> None:
    """Refuse what is larger than a packed file may unpack to.

    Parameters
    ----------
    path : Path or Remote
        The packed file.
    n_bytes : int
        The bytes that it unpacks to, or that it has unpacked to so far.
    max_unpacked : int or None
        The bound in bytes, or None for the one that follows from the file's size.
    packed : int, optional
        The size of the file, if it is known.

    Raises
    ------
    DatasetError
        Names the file, the bound and the parameter.
    """
    packed = path.stat().st_size if packed is None else packed
    bound = max_unpacked or max(ALWAYS, TIMES * packed)
    if n_bytes > bound:
        raise DatasetError(
            f"{path} has {_shown(packed)} and unpacks to more than {_shown(bound)}, which is not read; if that is "
            f"as it should be, say `max_unpacked: {_shown(2 * bound)}` or more"
        )


def _shown(n_bytes: int) -> str:
    """Return a size as `bytes_of` reads it, rounded up."""
    for factor, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if n_bytes >= factor:
            return f"{-(-n_bytes // factor)} {unit}"
    return f"{n_bytes} B"


class _Bounded(io.RawIOBase):
    """The content of a packed file, which ends in an error where there is too much of it."""

    def __init__(self, content: io.BufferedIOBase, check: Callable[[int], None]) -> None:
        self._content = content
        self._check = check
        self._n_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        n_bytes = self._content.readinto(buffer)
        self._n_bytes += n_bytes
        self._check(self._n_bytes)
        return n_bytes


@contextmanager
def gunzipped(path: Place, packed: IO[bytes], max_unpacked: int | None = None) -> Iterator[IO[bytes]]:
    """Give the content of an open ``.gz`` file, to be read from its beginning.

    Raises
    ------
    DatasetError
        While it is read: if the file is none or not whole, or unpacks to more than it may.
    """
    size = path.stat().st_size
    content = _Bounded(gzip.GzipFile(fileobj=packed), lambda n: check_unpacked(path, n, max_unpacked, size))
    try:
        yield io.BufferedReader(content, 2**20)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} is no whole .gz file: {error}") from error


def read_npz(path: Place, max_unpacked: int | None = None) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file by name; sizes are held against the file before anything is made.

    Raises
    ------
    DatasetError
        If there is no such file, it is none or not whole, holds anything but arrays of numbers, truth values and
        strings, or unpacks to more than it may.
    """
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")
    if path.suffix == ".npy":
        raise DatasetError(f"{path} holds one array; latents.datasets.NpyDataset reads it")
    try:
        with ZipFile(path) as archive:
            members = archive.infolist()
            check_unpacked(path, sum(member.file_size for member in members), max_unpacked)
            return {member.filename.removesuffix(".npy"): _array(path, archive, member) for member in members}
    except (BadZipFile, EOFError, OSError, zlib.error) as error:
        raise DatasetError(f"{path} is no whole .npz file: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # unknown methods, passwords
        raise DatasetError(f"{path} is packed as no .npz file is: {error}") from error


def _array(path: Place, archive: ZipFile, member: ZipInfo) -> NDArray[Any]:
    name = member.filename.removesuffix(".npy")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # LZMA may ask for gigabytes at once
        raise DatasetError(
            f"{path} is packed as no .npz file is: array {name!r:.80} by compression method "
            f"{member.compress_type}; allowed are 0 (none) and 8 (deflate)"
        )
    try:
        with archive.open(member) as file:
            variable = name if name.isidentifier() and len(name) <= 40 else "array"
            shape, kind = npy_header(file, f"{path}: array {name!r:.80}", variable)
            length = member.file_size - file.tell()
        expected = prod(shape) * kind.itemsize
        if length != expected:
            raise DatasetError(
                f"{path}: array {name!r:.80} has {length} bytes; its header says {expected} (shape {shape} of "
                f"{kind})"
            )
        with archive.open(member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except NO_HEADER as error:  # also of a shape that no array has
        raise DatasetError(f"{path}: {name!r:.80} is no array of NumPy's: {error!s:.200}") from error


def npy_header(file: IO[bytes], what: str, variable: str = "array") -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the beginning of a ``.npy`` file: the shape and type of its numbers.

    Parameters
    ----------
    file : file of bytes
    what, variable : str
        What the array is called in a message, and in Python.

    Raises
    ------
    DatasetError
        If it holds Python objects.
    Exception
        One of `NO_HEADER`, where it is none.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    if any(size < 0 for size in shape):
        raise ValueError(f"shape is {shape}; allowed are sizes from 0")
    if kind.hasobject:
        raise DatasetError(
            f"{what} holds Python objects, which are not read; allowed are numbers, truth values and strings: "
            f"save texts as `{variable}.astype(str)`, and images all in one size"
        )
    return shape, kind
