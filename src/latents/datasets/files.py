"""Files of the user's own, read so that what is wrong with one is said with its file and line."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from kedro.io import DatasetError


def malformed(path: Path, line: int, reason: str) -> DatasetError:
    """Return the error that says what is wrong in a line (counted from 1) of a file."""
    return DatasetError(f"{path}, line {line}: {reason}")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, or what is in it if its name ends in ``.gz``.

    Raises
    ------
    DatasetError
        If there is no such file, or a ``.gz`` file is none or not whole.
    """
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")
    with path.open("rb") as plain:
        try:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=plain)) if path.suffix == ".gz" else plain
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DatasetError(f"{path} is no whole .gz file: {error}") from error


def decoded(content: bytes, path: Path, encoding: str = "utf-8", first_line: int = 1) -> str:
    """Return the text of bytes that begin at a line of a file, without a byte-order mark.

    Raises
    ------
    DatasetError
        If a byte is no character of the encoding.
    """
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = first_line + content.count(b"\n", 0, error.start)
        raise malformed(
            path, line, f"byte {content[error.start : error.start + 1]!r} is no {encoding} ({error.reason})"
        ) from error


def text_of(path: Path, encoding: str = "utf-8") -> str:
    """Return the text of a file; raises as `opened` and `decoded` do."""
    with opened(path) as file:
        return decoded(file.read(), path, encoding)
