"""Where a file of rows can be parted so that each part has whole rows, however much of it fits into memory.

The file is gone through once, in order, at hundreds of megabytes a second: whether a line break ends a row of
quoted fields hangs on all that comes before, and messages name lines, which must be counted.
"""

import codecs
import re
from importlib import import_module
from mmap import ACCESS_READ, mmap
from typing import NamedTuple

from latents.datasets.files import marked_encoding
from latents.places import Place

_ASCII = bytes(range(128)).decode()
# In these, and most others where a byte is a character, line breaks and quotation marks are bytes of their own.
_CUT = ("utf-8", "ascii", "iso8859-1")


class Cut(NamedTuple):
    """Whole rows of a file.

    Attributes
    ----------
    start, stop : int
        The bytes that they are.
    first_line : int
        The number of the first of their lines, from 1.
    line_break : str
        What ends the lines of the file.
    """

    start: int
    stop: int
    first_line: int
    line_break: str


def cuts_of(path: Place, size: int, encoding: str = "utf-8", separator: str | None = None) -> list[Cut]:
    r"""Return parts of about `size` bytes; a row that is longer is one.

    What is packed, or in an encoding whose line breaks are no bytes of their own (UTF-16), is one part.

    Parameters
    ----------
    path : Path or Remote
        The file.
    size : int
        Bytes of a part.
    encoding : str
        The file's.
    separator : str, optional
        What parts fields that may be between quotation marks, with line breaks in them; without, each line is a
        row. Where lines end in ``\n``, a ``\r`` ends none, as for ``lines_of``.
    """
    n_bytes = path.stat().st_size
    if n_bytes <= size or path.suffix == ".gz" or not _is_cuttable(encoding):
        return [Cut(0, n_bytes, 1, "\n")]
    cuts = []
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        if marked_encoding(content[:4]):
            return [Cut(0, n_bytes, 1, "\n")]
        line_break = b"\n" if content.find(b"\n") >= 0 else b"\r"
        rows = None if separator is None else _rows(separator.encode(encoding), line_break)
        is_marked = codecs.lookup(encoding).name == "utf-8" and content[:3] == codecs.BOM_UTF8
        begin, start, first_line = 3 * is_marked, 0, 1
        while start < n_bytes:
            stop = _end_of_rows(content, begin, begin + size, line_break, rows)
            cuts.append(Cut(start, stop, first_line, line_break.decode()))
            first_line += content[start:stop].count(line_break)
            begin = start = stop
    return cuts


def _end_of_rows(
    content: mmap, start: int, stop: int, line_break: bytes, rows: re.Pattern[bytes] | None
) -> int:
    """Return where the last row ends that is whole between two bytes; if none is, the second is farther off."""
    while stop < len(content):
        if rows is None or content.find(b'"', start, stop) < 0:
            end = content.rfind(line_break, start, stop) + 1
        else:
            match = rows.match(content, start, stop)
            end = match.end() if match else start
        if end > start:
            return end
        stop += stop - start
    return len(content)


def _rows(separator: bytes, line_break: bytes) -> re.Pattern[bytes]:
    """Return what matches as many whole rows as there are, as ``csv`` reads them, without a way back."""
    between = re.escape(separator)
    other = b"(?:(?!" + between + b")[^" + line_break + b"])*+"
    if len(separator) == 1:
        other = b"[^" + between + line_break + b"]*+"
    field = rb'(?:"(?:[^"]++|"")*+"' + other + rb'|(?!")' + other + b")"
    return re.compile(b"(?:" + field + b"(?:" + between + field + b")*+" + line_break + b")*+")


def _is_cuttable(encoding: str) -> bool:
    name = codecs.lookup(encoding).name
    if name in _CUT:
        return True
    try:
        table: str = getattr(import_module(f"encodings.{name.replace('-', '_')}"), "decoding_table", "")
    except ModuleNotFoundError:
        return False
    return table[:128] == _ASCII and set(_ASCII).isdisjoint(table[128:])
