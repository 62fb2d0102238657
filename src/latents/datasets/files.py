"""Files of the user's own, read so that what is wrong with one is said with its file and line."""

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kedro.io import DatasetError

from latents.datasets.unpacking import gunzipped

TRUTH = {"true": True, "1": True, "false": False, "0": False}


def malformed(path: Path, line: int, reason: str) -> DatasetError:
    """Return the error that says what is wrong in a line (counted from 1) of a file."""
    return DatasetError(f"{path}, line {line}: {reason}")


@contextmanager
def opened(path: Path, max_unpacked: int | None = None) -> Iterator[IO[bytes]]:
    """Open a file, or what is in it if its name ends in ``.gz``.

    Raises
    ------
    DatasetError
        If there is no such file, or a ``.gz`` file is none, not whole, or unpacks to more than it may (see
        ``unpacking``).
    """
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")
    with path.open("rb") as plain:
        if path.suffix != ".gz":
            yield plain
        else:
            with gunzipped(path, plain, max_unpacked) as content:
                yield content


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


def text_of(path: Path, encoding: str = "utf-8", max_unpacked: int | None = None) -> str:
    """Return the text of a file; raises as `opened` and `decoded` do."""
    with opened(path, max_unpacked) as file:
        return decoded(file.read(), path, encoding)


def check_separator(separator: str | None) -> str | None:
    """Return what is to part the fields of a table, which may be left open.

    Raises
    ------
    DatasetError
        If it is no single character, or one that has another meaning.
    """
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise DatasetError(
            f"separator is {separator!r}; allowed is one character, other than quotes and ends of lines"
        )
    return separator


def fields_of(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Give the rows of a table with parted fields, each with the line that it begins in; empty lines are none.

    The first row has the names of the columns.

    Raises
    ------
    DatasetError
        If a quoted field has no end, two columns have one name, or a row has more or fewer fields than names.
    """
    csv.field_size_limit(sys.maxsize)  # else no field could be longer than 131,072 characters
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names: list[str] = []
    begin = 1
    try:
        for row in reader:
            if row and not names:
                names = row
                for name in names:
                    if names.count(name) > 1:
                        raise malformed(
                            path, begin, f"there are several columns {name!r}; the first line must name them"
                        )
            if row and len(row) != len(names):
                raise malformed(path, begin, f"{len(row)} fields; the first line names {len(names)}: {names}")
            if row:
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise malformed(path, begin, f"{error} in the row that begins here") from error
    if not names:
        raise DatasetError(f"{path} is empty: a line with the names of the columns is missing")


def truth_of(path: Path, line: int, mark: str) -> bool:
    """Return the truth value that a mark in the column ``held_out`` stands for.

    Raises
    ------
    DatasetError
        If it stands for none.
    """
    if mark.lower() not in TRUTH:
        raise malformed(path, line, f"held_out is {mark!r}; allowed are true and false, or 1 and 0")
    return TRUTH[mark.lower()]
