"""The words that the numbers of a bag of words stand for, and the files that tell them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from kedro.io import DatasetError
from numpy.typing import NDArray

from latents.datasets.bags.numbers import LARGEST, Numbers, whole_number
from latents.datasets.files import malformed, text_of
from latents.places import Place


class Vocabulary(NamedTuple):
    """The words, and the numbers that the file of counts has for them, which rise.

    Where they are `explicit`, the file of words says them; else each line has the next one.
    """

    path: Place | None
    words: list[str]
    numbers: Numbers
    explicit: bool = False

    def columns(self, numbers: NDArray[Any]) -> Numbers:
        """Return the column of the word of each number, -1 where there is no such word."""
        found = np.searchsorted(self.numbers, numbers)
        return np.where(self.numbers[found % len(self.numbers)] == numbers, found, -1)

    def knows(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        """Say of each number whether it has a word."""
        return self.columns(numbers) >= 0

    def counted_from(self, first: int) -> "Vocabulary":
        """Return the same words, whose numbers begin at 0, with numbers that begin at another."""
        return self._replace(numbers=self.numbers + first)

    def __str__(self) -> str:
        ends = f"{self.numbers[0]} to {self.numbers[-1]}"
        return f"the numbers of the {len(self.words)} words of {self.path}, {ends}"


class Unnamed(NamedTuple):
    """Words that are known by their numbers alone, from the first to the last."""

    first: int
    last: int = LARGEST

    def knows(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        """Say of each number whether it may be that of a word."""
        return (numbers >= self.first) & (numbers <= self.last)

    @staticmethod
    def of(numbers: NDArray[Any]) -> Vocabulary:
        """Return the vocabulary of the numbers that occur: each is called by its number."""
        different = np.unique(numbers).astype(np.int64)
        return Vocabulary(None, [str(number) for number in different.tolist()], different)

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


def read_words(path: Place, max_unpacked: int | None) -> Vocabulary:
    """Return the words of a list, a word a line, numbered from 0; or of a dictionary as gensim writes it in text.

    Such a dictionary (``Dictionary.save_as_text``) has lines of ``number<TAB>word<TAB>frequency``, maybe after
    one with the number of documents.

    Raises
    ------
    DatasetError
        If a line is no such line, or a word or a number is there twice; names the line.
    """
    lines = _lines(path, max_unpacked)
    head = 1 if len(lines) > 1 and lines[0].strip().isdecimal() and _is_numbered(lines[1]) else 0
    if _is_numbered(lines[head]):
        return _numbered(path, list(enumerate(lines, start=1))[head:])
    for line, text in enumerate(lines, start=1):
        if "\t" in text.strip():
            raise malformed(path, line, f"{text.count(chr(9)) + 1} fields; allowed is a word a line")
    words = _different(path, "word", [text.strip() for text in lines])
    return Vocabulary(path, words, np.arange(len(words), dtype=np.int64))


def read_numbered_words(path: Place, max_unpacked: int | None) -> Vocabulary:
    """Return the words of lines of ``number<TAB>word<TAB>frequency``; raises as `read_words` does."""
    return _numbered(path, list(enumerate(_lines(path, max_unpacked), start=1)))


def read_features(path: Place, max_unpacked: int | None) -> Vocabulary:
    """Return the names of 10x Genomics' features, whose lines are ``id<TAB>name`` and maybe more, numbered from 0.

    Several features may have one name; the id then follows in brackets.

    Raises
    ------
    DatasetError
        If a line has no id and name, or an id is there twice; names the line.
    """
    rows = [text.strip("\r").split("\t") for text in _lines(path, max_unpacked)]
    for line, fields in enumerate(rows, start=1):
        if len(fields) < 2:
            raise malformed(path, line, f"{len(fields)} field; allowed are id, name and, if need be, more")
    ids = _different(path, "id", [fields[0].strip() for fields in rows])
    words = distinct([fields[1].strip() or name for name, fields in zip(ids, rows, strict=True)], ids)
    return Vocabulary(path, _different(path, "word", words), np.arange(len(words), dtype=np.int64))


def distinct(names: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Return the names, those that are there more than once with their ids in brackets."""
    times = Counter(names)
    return [f"{name} ({own})" if times[name] > 1 else name for name, own in zip(names, ids, strict=True)]


def read_names(path: Place, max_unpacked: int | None) -> list[str]:
    """Return the names of documents, one a line."""
    return [text.strip() for text in _lines(path, max_unpacked)]


def beside(path: Place, *names: str) -> Place | None:
    """Return the first of several files beside another that is there, compressed or not."""
    for name in names:
        for found in (path.with_name(name), path.with_name(f"{name}.gz")):
            if found.is_file() and found != path:
                return found
    return None


def named(path: Place, vocabulary: str | None, *usual: str) -> Place:
    """Return the file of words to a file of counts, which is named or is where it usually is.

    Raises
    ------
    DatasetError
        If it is not there.
    """
    found = path.parent / vocabulary if vocabulary is not None else beside(path, *usual)
    if found is None:
        raise DatasetError(
            f"there is no vocabulary {path.with_name(usual[0])} to {path}: name it by `vocabulary`"
        )
    return found


def _lines(path: Place, max_unpacked: int | None) -> list[str]:
    return text_of(path, max_unpacked=max_unpacked).removesuffix("\n").split("\n")


def _is_numbered(text: str) -> bool:
    fields = text.strip("\r").split("\t")
    return len(fields) == 3 and fields[0].isdecimal() and fields[2].isdecimal()


def _numbered(path: Place, lines: Sequence[tuple[int, str]]) -> Vocabulary:
    words: dict[str, int] = {}
    numbers: dict[int, int] = {}
    for line, text in lines:
        fields = text.strip("\r").split("\t")
        if len(fields) != 3:
            raise malformed(path, line, f"{len(fields)} fields; allowed are 3: number, word and frequency")
        number, word = whole_number(path, line, "the number", fields[0]), fields[1].strip()
        whole_number(path, line, "the frequency", fields[2])
        if not 0 <= number <= LARGEST:
            raise malformed(path, line, f"the number is {number}; allowed are 0 to {LARGEST}")
        _note(path, "word", words, word, line)
        if numbers.setdefault(number, line) != line:
            raise malformed(path, line, f"the number {number} is on line {numbers[number]} already")
    by_number = sorted(zip(numbers, words, strict=True))
    return Vocabulary(
        path, [word for _, word in by_number], np.array(sorted(numbers), dtype=np.int64), explicit=True
    )


def _different(path: Place, what: str, texts: Sequence[str]) -> list[str]:
    """Return the texts of lines, all of which must be there, once each."""
    lines: dict[str, int] = {}
    for line, text in enumerate(texts, start=1):
        _note(path, what, lines, text, line)
    return list(lines)


def _note(path: Place, what: str, lines: dict[str, int], text: str, line: int) -> None:
    if not text:
        raise malformed(path, line, f"there is no {what}")
    if lines.setdefault(text, line) != line:
        raise malformed(path, line, f"the {what} {text!r:.80} is on line {lines[text]} already")
