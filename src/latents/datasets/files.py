"""Files of the user's own, read so that what is wrong with one is said with its file and line."""

import codecs
import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kedro.io import DatasetError

from latents.datasets.unpacking import gunzipped
from latents.messages import first_repeated, some_of

# What begins a file of an encoding that says so itself; none of it is UTF-8. The longer ones come first.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


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

    What should be UTF-8 and begins as UTF-16 or UTF-32 does is read as that.

    Raises
    ------
    DatasetError
        If a byte is no character of the encoding.
    """
    if first_line == 1 and codecs.lookup(encoding).name == "utf-8":
        encoding = next((_MARKS[mark] for mark in _MARKS if content.startswith(mark)), encoding)
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = first_line + content[: error.start].decode(encoding, "replace").count("\n")
        raise malformed(
            path,
            line,
            f"byte {content[error.start : error.start + 1]!r} is no {encoding} ({error.reason}); if the file "
            "is in another encoding, name it (encoding: latin-1)",
        ) from error


def check_encoding(encoding: str) -> str:
    """Return the encoding that an entry names.

    Raises
    ------
    DatasetError
        If Python knows none of that name.
    """
    try:
        "a".encode(encoding)
    except (LookupError, TypeError, ValueError) as error:
        raise DatasetError(
            f"encoding is {encoding!r:.80}; allowed are those that Python knows, such as utf-8, utf-16, "
            "latin-1 and cp1252"
        ) from error
    return encoding


def text_of(path: Path, encoding: str = "utf-8", max_unpacked: int | None = None) -> str:
    """Return the text of a file; raises as `opened` and `decoded` do."""
    with opened(path, max_unpacked) as file:
        return decoded(file.read(), path, encoding)


def lines_of(text: str) -> list[str]:
    r"""Return the lines of a text without the ``\n`` that ends them; where there is none, ``\r`` ends them."""
    return text.split("\n") if "\n" in text else text.split("\r")


def check_truth(name: str, value: bool) -> bool:
    """Return a parameter of an entry that is true or false: "no" in quotes would else count as true.

    Raises
    ------
    DatasetError
        If it is neither.
    """
    if not isinstance(value, bool):
        raise DatasetError(f"{name} is {value!r:.80}; allowed are true and false")
    return value


def check_separator(separator: str | None) -> str | None:
    """Return what is to part the fields of a table, which may be left open.

    Raises
    ------
    DatasetError
        If it is no single character, or one that has another meaning.
    """
    if separator is not None and (
        not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n'
    ):
        raise DatasetError(
            f"separator is {separator!r:.80}; allowed is one character, other than quotes and ends of lines"
        )
    return separator


def check_quoting(quoting: bool | None, separator: str) -> bool:
    """Return whether quotation marks enclose fields; if left open, they do unless tabs part the fields.

    Raises
    ------
    DatasetError
        If it is neither true nor false.
    """
    return separator != "\t" if quoting is None else check_truth("quoting", quoting)


def fields_of(path: Path, text: str, separator: str, quoting: bool) -> Iterator[tuple[int, list[str]]]:
    r"""Give the rows of a table with parted fields, each with the line that it begins in; empty lines are none.

    The first row has the names of the columns. If `quoting`, a field between quotation marks may have
    separators and line breaks in it; otherwise these marks are characters, and every row is a line. Where lines
    end in ``\n``, any ``\r`` that is not before it is a character, too.

    Raises
    ------
    DatasetError
        If a quoted field has no end, two columns have one name, or a row has more or fewer fields than names.
    """
    csv.field_size_limit(sys.maxsize)  # else no field could be longer than 131,072 characters
    lines, bare = lines_of(text), ""
    if "\n" in text and "\r" in text:  # to `csv` a bare \r would end a row
        bare = next(chr(code) for code in range(0xE000, 0x110000) if chr(code) not in text)
        lines = [_without_bare_returns(line, bare) for line in lines]
    reader = csv.reader(
        _ended(lines),
        delimiter=separator,
        strict=True,
        quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
    )
    names: list[str] = []
    begin = 1
    try:
        for row in reader:
            if bare and row:
                row = [field.replace(bare, "\r") for field in row]
            if row and not names:
                names = row
                _check_names(path, begin, names, quoting)
            if row and len(row) != len(names):
                marked = any('"' in field for field in row)
                raise malformed(
                    path,
                    begin,
                    f"{len(row)} fields; the first line names {len(names)}: {some_of(names)}"
                    + ("; where fields are quoted, say quoting: true" if marked and not quoting else ""),
                )
            if row:
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise malformed(
            path,
            begin,
            f"{error} in the row that begins here; where quotation marks are characters, say quoting: false",
        ) from error
    if not names:
        raise DatasetError(f"{path} is empty: a line with the names of the columns is missing")


def _without_bare_returns(line: str, instead: str) -> str:
    content = line.rstrip("\r")
    return content.replace("\r", instead) + line[len(content) :]


def _ended(lines: Sequence[str]) -> Iterator[str]:
    for line in lines[:-1]:
        yield line + "\n"
    if lines[-1]:
        yield lines[-1]


def _check_names(path: Path, line: int, names: Sequence[str], quoting: bool) -> None:
    if (twice := first_repeated(names)) is not None:
        raise malformed(path, line, f"there are several columns {twice!r:.80}; the first line must name them")
    if not quoting and all(len(name) > 1 and name[0] == name[-1] == '"' for name in names):
        raise malformed(
            path,
            line,
            "all names of columns are between quotation marks, which are characters here; where they enclose "
            "fields, say quoting: true",
        )
    if any("\0" in name for name in names):
        raise malformed(
            path,
            line,
            "NUL characters in the names of columns; another encoding has them (encoding: utf-16-le)",
        )
