"""Files of the user's own, read so that what is wrong with one is said with its file and line."""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from kedro.io import DatasetError

from latents.datasets.unpacking import gunzipped
from latents.places import Place

# What begins a file of an encoding that says so itself; none of it is UTF-8. The longer ones come first.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def malformed(path: Place, line: int, reason: str) -> DatasetError:
    """Return the error that says what is wrong in a line (counted from 1) of a file."""
    return DatasetError(f"{path}, line {line}: {reason}")


@contextmanager
def opened(path: Place, max_unpacked: int | None = None) -> Iterator[IO[bytes]]:
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


def decoded(content: bytes, path: Place, encoding: str = "utf-8", first_line: int = 1) -> str:
    """Return the text of bytes that begin at a line of a file, without the byte-order mark of the first.

    A file that should be UTF-8 and begins as UTF-16 or UTF-32 does is read as that.

    Raises
    ------
    DatasetError
        If a byte is no character of the encoding.
    """
    if first_line == 1 and codecs.lookup(encoding).name == "utf-8":
        encoding = marked_encoding(content) or encoding
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = first_line + content[: error.start].decode(encoding, "replace").count("\n")
        raise malformed(
            path,
            line,
            f"byte {content[error.start : error.start + 1]!r} is no {encoding} ({error.reason}); if the file "
            "is in another encoding, name it (encoding: latin-1)",
        ) from error
    return text.removeprefix("\ufeff") if first_line == 1 else text


def marked_encoding(content: bytes) -> str | None:
    """Return the encoding other than UTF-8 that the beginning of a file says it is in, if it does."""
    return next((_MARKS[mark] for mark in _MARKS if content.startswith(mark)), None)


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


def text_of(path: Place, encoding: str = "utf-8", max_unpacked: int | None = None) -> str:
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
