"""Words and counts written as numbers, in the files of bags of words.

Files are read in blocks. A block of nothing but digits, with the separators in their places, is read at once; any
other is gone through line by line, to find what is wrong or to read what is only written otherwise.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from latents.datasets.files import decoded, malformed
from latents.places import Place

Numbers = NDArray[np.int64]

LARGEST = np.iinfo(np.int32).max
RAW = ": raw counts, not weights, shares or logarithms"
_BLOCK = 2**21  # bytes
_LINE = 2**26
_HEAD_LINE = 2**16


class Known(Protocol):
    """Which numbers are those of words."""

    def knows(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        """Say of each number whether it is."""
        ...


def blocks_of(path: Place, file: IO[bytes], first_line: int) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines, each with a line break at its end, and the number of the first of them."""
    rest = b""
    while read := file.read(_BLOCK):
        if len(rest) > _LINE:
            raise malformed(path, first_line, f"more than {_LINE} bytes; no line of counts is so long")
        complete, line_break, rest = (rest + read).rpartition(b"\n")
        if line_break:
            block = complete + line_break
            yield first_line, block.replace(b"\r\n", b"\n")
            first_line += block.count(b"\n")
    if rest:
        yield first_line, rest + b"\n"


def head_line(path: Place, file: IO[bytes], line: int) -> str:
    """Return a line of a file's head with its break; at the file's end nothing."""
    content = file.readline(_HEAD_LINE + 1)
    if len(content) > _HEAD_LINE:
        raise malformed(path, line, f"more than {_HEAD_LINE} bytes; no line of a head is so long")
    return decoded(content, path, first_line=line)


def lines_of(block: bytes) -> list[bytes]:
    """Return the lines of a block, without their breaks."""
    return block.split(b"\n")[:-1]


def numbers_of(block: bytes, separators: bytes, n: int) -> Numbers:
    """Return the `n` numbers of a block, or none if there is more to it than digits between the separators."""
    if block.translate(None, delete=b"0123456789") != separators:
        return np.empty(0, dtype=np.int64)
    numbers = np.fromstring(block.replace(b":", b" "), dtype=np.int64, sep=" ")
    return numbers if len(numbers) == n else numbers[:0]


def reals_of(block: bytes, separators: bytes, n: int) -> NDArray[np.float64]:
    """Return the `n` numbers of a block, which may have points and exponents, or none as `numbers_of` does."""
    if block.translate(None, delete=b"0123456789.eE+-") != separators:
        return np.empty(0)
    try:
        with warnings.catch_warnings(action="error", category=DeprecationWarning):  # what older NumPys gave
            numbers = np.fromstring(block, dtype=np.float64, sep=" ")
    except (ValueError, DeprecationWarning):  # of what is no number, as 1.2.3
        return np.empty(0)
    return numbers if len(numbers) == n else numbers[:0]


def entries_of(
    path: Place,
    file: IO[bytes],
    line: int,
    shape: tuple[int, int],
    read: Callable[[bytes, bytes, int], NDArray[Any]],
    is_allowed: Callable[[NDArray[Any]], bool],
    entry_of: Callable[[int, list[str]], Sequence[int]],
) -> NDArray[np.int32]:
    """Return the entries of a file, one a line, as whole numbers.

    Parameters
    ----------
    path, file : Path, file
        The file, for messages, and what is left to be read of it.
    line : int
        The number of the line before, which says how many entries follow.
    shape : (int, int)
        How many they are, and how many numbers each has.
    read : callable
        Reads a block of lines at once: `numbers_of` or `reals_of`.
    is_allowed : callable
        Whether all entries of a block are. Where one is not, or the block could not be read at once, its lines
        are read one by one.
    entry_of : callable
        Given a line's number and fields, returns its numbers (none of an empty line), or says what is wrong.

    Raises
    ------
    DatasetError
        If more or fewer entries follow, or `entry_of` raises it.
    """
    n_entries, width = shape
    blocks = [np.empty((0, width), dtype=np.int32)]
    n_found = 0
    for first_line, block in blocks_of(path, file, first_line=line + 1):
        n_lines = block.count(b"\n")
        separators = (b" " * (width - 1) + b"\n") * n_lines
        entries = read(block, separators, width * n_lines).reshape(-1, width)
        if not len(entries) or not is_allowed(entries):
            rows = enumerate(lines_of(block), start=first_line)
            found = (entry_of(row, decoded(text, path, first_line=row).split()) for row, text in rows)
            entries = np.array(list(filter(None, found)), dtype=np.int64).reshape(-1, width)
        blocks.append(entries.astype(np.int32))
        n_found += len(entries)
        if n_found > n_entries:
            break
    if n_found != n_entries:
        more = "at least " if n_found > n_entries else ""
        raise malformed(path, line, f"says {n_entries} entries; {more}{n_found} lines follow")
    return np.concatenate(blocks)


def all_allowed(numbers: Numbers, counts: Numbers, vocabulary: Known) -> bool:
    """Say whether all numbers are of words and all counts are counts."""
    return bool(((counts >= 1) & (counts <= LARGEST)).all() and vocabulary.knows(numbers).all())


def pair_of(path: Place, line: int, number: str, count: str, vocabulary: Known) -> tuple[int, int]:
    """Return the numbers of a word and of its count."""
    word = whole_number(path, line, "the word", number)
    if word > LARGEST or not vocabulary.knows(np.array([word]))[0]:
        raise malformed(path, line, f"the word is {word}; allowed are {vocabulary}")
    return word, count_of(path, line, f"the count of word {word}", count, least=1)


def count_of(path: Place, line: int, what: str, text: str, least: int) -> int:
    """Return the count that a field is, which may be written as `whole_number` reads it."""
    with suppress(ValueError):
        value = _whole(text)
        if least <= value <= LARGEST:
            return value
    raise malformed(
        path, line, f"{what} is {text!r:.40}; allowed are the whole numbers {least} to {LARGEST}{RAW}"
    )


def whole_number(path: Place, line: int, what: str, text: str) -> int:
    """Return the whole number that a field is, which may be written as 3, +3, 3.0 or 3e0."""
    try:
        return _whole(text)
    except ValueError as error:
        raise malformed(path, line, f"{what} is {text!r:.40}; allowed are whole numbers") from error


def _whole(text: str) -> int:
    if text.isdecimal():
        return int(text)
    value = float(text)
    if "_" in text or not value.is_integer():  # NaN and the infinities are none either
        raise ValueError(f"{text} is no whole number")
    return int(value)
