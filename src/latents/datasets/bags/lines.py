"""Formats with a document a line: svmlight, lda-c, and a numbered one with the documents' ids."""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd
from kedro.io import DatasetError
from numpy.typing import NDArray
from scipy import sparse

from latents.datasets.bags.matrix import Options, check_empty
from latents.datasets.bags.numbers import (
    LARGEST,
    Known,
    Numbers,
    all_allowed,
    blocks_of,
    lines_of,
    numbers_of,
    pair_of,
    whole_number,
)
from latents.datasets.bags.words import (
    Unnamed,
    Vocabulary,
    beside,
    named,
    read_numbered_words,
    read_words,
)
from latents.datasets.files import decoded, malformed, opened
from latents.features.numbering import Numbering
from latents.messages import shown
from latents.places import Place

# What scikit-learn writes before the documents, if it is given a comment.
_SAYS = re.compile(rb"# Column indices are (zero|one)-based\s*")


class _Documents(NamedTuple):
    """What the lines of a file hold, and where."""

    heads: list[str]
    lines: NDArray[np.int64]
    lengths: NDArray[np.int64]
    numbers: NDArray[np.int32]
    counts: NDArray[np.int32]

    def matrix(self, vocabulary: Vocabulary) -> sparse.csr_array:
        """Return the counts by the columns of a vocabulary."""
        ends = np.append(np.zeros(1, dtype=np.int64), np.cumsum(self.lengths))
        columns = vocabulary.columns(self.numbers).astype(np.int32)
        kind = np.int32 if ends[-1] <= LARGEST else np.int64
        parts: Any = (self.counts, columns, ends.astype(kind))
        matrix = sparse.csr_array(parts, shape=(len(self.heads), len(vocabulary.words)))
        matrix.sort_indices()
        return matrix

    def line_of(self, number: int) -> int:
        """Return the first line that has the number of a word."""
        at = int((self.numbers == number).argmax())
        return int(self.lines[np.searchsorted(np.cumsum(self.lengths), at, side="right")])


def read_numbered(path: Place, options: Options) -> dict[str, Any]:
    """Return the bag of ``id<TAB>number:count ...``, whose words are in ``number<TAB>word<TAB>frequency``.

    Raises
    ------
    DatasetError
        Names the file and line of what is wrong.
    """
    usual = Path(path.name.removesuffix(".gz")).with_suffix(".vocab").name
    vocabulary = read_numbered_words(named(path, options.vocabulary, usual), options.max_unpacked)
    with opened(path, options.max_unpacked) as file:
        found = _read(path, file, vocabulary, _after_id, options)
    lines: dict[str, int] = {}
    for line, name in zip(found.lines.tolist(), found.heads, strict=True):
        if lines.setdefault(name, line) != line:
            raise malformed(path, line, f"document {name!r:.80} is on line {lines[name]} already")
    documents = pd.DataFrame({"name": found.heads})
    return {"counts": found.matrix(vocabulary), "words": vocabulary.words, "documents": documents}


def read_lda_c(path: Place, options: Options) -> dict[str, Any]:
    """Return the bag of ``n number:count ...``: n is how many pairs follow, and words are numbered from 0.

    Raises
    ------
    DatasetError
        Names the file and line of what is wrong.
    """
    own = path.name.removesuffix(".gz")
    words = beside(path, f"{own}.vocab", Path(own).with_suffix(".vocab").name, "vocab.txt")
    if options.vocabulary is not None:
        words = path.parent / options.vocabulary
    vocabulary = None if words is None else read_words(words, options.max_unpacked)
    with opened(path, options.max_unpacked) as file:
        found = _read(path, file, vocabulary or Unnamed(0), _after_length, options)
    for line, head, n_pairs in zip(found.lines.tolist(), found.heads, found.lengths.tolist(), strict=True):
        if whole_number(path, line, "the number of words", head) != n_pairs:
            raise malformed(path, line, f"says {head:.40} different words; {n_pairs} pairs follow")
    by_number = Unnamed.of(found.numbers) if vocabulary is None else vocabulary
    return {
        "counts": found.matrix(by_number),
        "words": by_number.words,
        "documents": pd.DataFrame({"name": [f"line {line}" for line in found.lines]}),
        "numbering": Numbering(str(path), 0, named=False) if vocabulary is None else None,
    }


def read_svmlight(path: Place, options: Options) -> dict[str, Any]:
    """Return the bag of ``label number:count ...``, and whether the words are numbered from 0 or 1, or either.

    A comment of scikit-learn's before the first document says it, the parameter ``zero_based``, or a number that
    only one of both allows.

    Raises
    ------
    DatasetError
        Names the file and line of what is wrong.
    """
    given = None
    if options.vocabulary is not None:
        given = read_words(path.parent / options.vocabulary, options.max_unpacked)
    with opened(path, options.max_unpacked) as file:
        first = _first_number(path, file, options.zero_based)
    firsts = (0, 1) if first is None else (first,)
    either = _Either({n: Unnamed(n) if given is None else given.counted_from(n) for n in firsts})
    with opened(path, options.max_unpacked) as file:
        found = _read(path, file, either, _after_label, options)
    _check_labels(path, found)
    known = {first: words.knows(found.numbers) for first, words in either.by_first.items()}
    possible = [first for first in known if known[first].all()]
    if not possible:
        strange = [int(found.numbers[~those][0]) for those in known.values()]
        (line, word), (other_line, other) = sorted(
            ((found.line_of(word), word) for word in strange), reverse=True
        )
        raise malformed(
            path,
            line,
            f"the word is {word}, and line {other_line} has the word {other}; allowed are {either}",
        )
    documents = pd.DataFrame({"name": [f"line {line}" for line in found.lines], "label": found.heads})
    vocabulary, numbering = _words(path, found, given, possible[0] if len(possible) == 1 else None)
    return {
        "counts": found.matrix(vocabulary),
        "words": vocabulary.words,
        "documents": documents,
        "numbering": numbering,
    }


class _Either(NamedTuple):
    """Words by the number that the first of them may have: 0, 1 or either."""

    by_first: dict[int, Vocabulary | Unnamed]

    def knows(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = np.any([words.knows(numbers) for words in self.by_first.values()], axis=0)
        return known

    def __str__(self) -> str:
        said = (f"{words} (zero_based: {str(first == 0).lower()})" for first, words in self.by_first.items())
        return ", or else ".join(said)


def _words(
    path: Place, found: _Documents, given: Vocabulary | None, first: int | None
) -> tuple[Vocabulary, Numbering]:
    """Return the words by the numbers of the file, and how they came about."""
    occurring = Unnamed.of(found.numbers)
    if given is None:
        return occurring, Numbering(str(path), first, named=False)
    if first is not None:
        return given.counted_from(first), Numbering(str(path), first, named=True)
    # Either is possible for all numbers that occur; for others it need not be.
    from_zero, from_one = (
        [given.words[column] for column in given.counted_from(first).columns(occurring.numbers).tolist()]
        for first in (0, 1)
    )
    return occurring._replace(words=from_one), Numbering(str(path), None, named=True, from_zero=from_zero)


def _first_number(path: Place, file: IO[bytes], zero_based: bool | None) -> int | None:
    """Return the number of the first word, if a parameter or a comment before the documents says it."""
    said = None
    for line, content in enumerate(iter(lambda: file.readline(2**16), b""), start=1):
        text = content.removeprefix(BOM_UTF8).strip()
        if text and not text.startswith(b"#"):
            break
        if found := _SAYS.fullmatch(text):
            said = 0 if found[1] == b"zero" else 1
            if zero_based is not None and zero_based != (said == 0):
                raise malformed(
                    path,
                    line,
                    f"says that words are numbered from {said}; zero_based is {str(zero_based).lower()}",
                )
            break
    return said if zero_based is None else int(not zero_based)


def _check_labels(path: Place, found: _Documents) -> None:
    """Refuse lda-c's lines, where the number of pairs stands in the place of the label."""
    lengths = found.lengths.tolist()
    # Labels 0 and 1 of documents with no word and one may be some.
    if len(set(lengths)) > 1 and max(lengths) > 1 and all(map(str.__eq__, found.heads, map(str, lengths))):
        raise malformed(
            path,
            int(found.lines[0]),
            "the label is how many words the document has, as it is on every line: that is no label; say "
            "`format: lda-c`",
        )


_Split = Callable[[Place, int, bytes], tuple[bytes, bytes] | None]


def _read(path: Place, file: IO[bytes], known: Known, split: _Split, options: Options) -> _Documents:
    """Read lines that begin each with a head, which `split` parts from the pairs."""
    heads: list[str] = []
    once: dict[str, str] = {}  # of the same label, one str
    n_empty = 0
    lines, lengths = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    blocks = [np.empty((0, 2), dtype=np.int32)]
    for first_line, block in blocks_of(path, file, first_line=1):
        rows = list(_rows(path, first_line, block, split))
        heads.extend(once.setdefault(head, head) for _, head, _ in rows)
        lines.append(np.array([line for line, _, _ in rows], dtype=np.int64))
        n_pairs = [pairs.count(b":") for _, _, pairs in rows]
        body = b" ".join(pairs for _, _, pairs in rows if pairs)
        separators = (b": " * sum(n_pairs))[:-1]
        numbers = numbers_of(body, separators=separators, n=2 * sum(n_pairs)).reshape(-1, 2)
        if not len(numbers) or not all_allowed(numbers[:, 0], numbers[:, 1], known):
            found = [list(_pairs(path, line, pairs, known)) for line, _, pairs in rows]
            n_pairs = [len(row) for row in found]
            numbers = np.array([pair for row in found for pair in row], dtype=np.int64).reshape(-1, 2)
        lengths.append(np.array(n_pairs, dtype=np.int64))
        _check_once(path, numbers[:, 0], lines[-1], lengths[-1], len(heads) - len(rows))
        blocks.append(numbers.astype(np.int32))
        n_empty += n_pairs.count(0)
        check_empty(str(path), len(heads), len(heads) - n_empty, options)
    numbers_, counts = np.concatenate(blocks).T
    if not heads:
        raise DatasetError(f"{path} has no document")
    return _Documents(heads, np.concatenate(lines), np.concatenate(lengths), numbers_, counts)


def _check_once(path: Place, numbers: Numbers, lines: Numbers, lengths: Numbers, n_before: int) -> None:
    """Refuse documents that have a word twice; `n_before` others came before them."""
    documents = np.repeat(np.arange(len(lengths)), lengths)
    if (np.diff(numbers)[np.diff(documents) == 0] > 0).all():  # as most programs write them
        return
    order = np.lexsort((numbers, documents))
    same = (np.diff(numbers[order]) == 0) & (np.diff(documents[order]) == 0)
    if same.any():
        document = int(documents[order][1:][same][0])
        raise malformed(
            path, int(lines[document]), f"a word is there twice in document {n_before + document + 1}"
        )


def _rows(path: Place, first_line: int, block: bytes, split: _Split) -> Iterator[tuple[int, str, bytes]]:
    """Yield the line of each document, what it begins with, and its pairs."""
    for line, row in enumerate(lines_of(block), start=first_line):
        if parts := split(path, line, row):
            yield line, decoded(parts[0], path, first_line=line).strip(), parts[1].strip()


def _after_id(path: Place, line: int, row: bytes) -> tuple[bytes, bytes]:
    head, tab, pairs = row.partition(b"\t")
    if not tab or not head.strip():
        raise _misbegun(path, line, row, "the document's id and a tab")
    return head, pairs


def _after_length(path: Place, line: int, row: bytes) -> tuple[bytes, bytes]:
    head, _, pairs = row.removeprefix(BOM_UTF8).replace(b"\t", b" ").strip().partition(b" ")
    if not head or b":" in head:
        raise _misbegun(path, line, row, "the number of the document's words")
    return head, pairs


def _after_label(path: Place, line: int, row: bytes) -> tuple[bytes, bytes] | None:
    content = row.removeprefix(BOM_UTF8).partition(b"#")[0].strip()
    if not content:
        return None
    head, _, pairs = content.replace(b"\t", b" ").partition(b" ")
    if b":" in head or b"\0" in head:
        raise _misbegun(path, line, row, "a label")
    return head, pairs


def _misbegun(path: Place, line: int, row: bytes, allowed: str) -> DatasetError:
    return malformed(path, line, f"{shown(row.decode(errors='replace'))} does not begin with {allowed}")


def _pairs(path: Place, line: int, pairs: bytes, known: Known) -> Iterator[tuple[int, int]]:
    for pair in decoded(pairs, path, first_line=line).split():
        word, colon, count = pair.partition(":")
        if not colon:
            raise malformed(path, line, f"{pair!r:.40} is no number:count")
        yield pair_of(path, line, word, count, known)
