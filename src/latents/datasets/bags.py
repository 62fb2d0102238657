"""Bags of words: corpora that come as the counts of numbered words."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
import pandas as pd
from kedro.io import DatasetError
from numpy.typing import NDArray
from scipy import sparse

from latents.datasets.files import decoded, malformed, opened, text_of
from latents.datasets.numbered_words import (
    LARGEST,
    Unnamed,
    Vocabulary,
    all_allowed,
    blocks_of,
    lines_of,
    numbers_of,
    pair_of,
    shown,
    whole_number,
)
from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.unpacking import Size, bytes_of

Format = Literal["uci", "svmlight", "numbered"]


class BagOfWordsDataset(ReadOnlyDataset[dict[str, Any]]):
    """Counts of words by document, in one of three formats; any file may be compressed (``.gz``).

    ``uci``
        The UCI repository's: three lines with the numbers of documents, of words and of entries, then an entry
        a line: ``document word count``, both numbered from 1. The vocabulary has a word a line; it is
        ``vocab.NAME.txt`` beside ``docword.NAME.txt``.
    ``svmlight``
        A document a line: ``label number:count number:count ...``; what follows a ``#`` is a comment, and lines
        without anything else are none. The vocabulary has a word a line; without one, the words are their
        numbers.
    ``numbered``
        A document a line: ``id<TAB>number:count number:count ...``. The vocabulary has lines of
        ``number<TAB>word<TAB>frequency``, where the frequency is not used; it is ``NAME.vocab`` beside
        ``NAME.libsvm``.

    Parameters
    ----------
    filepath : str
        The file of counts.
    format : {"uci", "svmlight", "numbered"}
        Its format.
    vocabulary : str, optional
        The file of words, beside the file of counts, if it is not named as above.
    zero_based : bool
        Whether the words of ``svmlight`` are numbered from 0 and not from 1.
    max_unpacked : int or str, optional
        How large a file may become when unpacked, in bytes or as ``4 GiB``, if not as ``unpacking`` has it.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        format: Format,  # noqa: A002 - the word that YAML should have
        vocabulary: str | None = None,
        zero_based: bool = False,
        max_unpacked: Size = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if format not in get_args(Format):
            raise DatasetError(f"format is {format!r}; allowed are {', '.join(get_args(Format))}")
        if zero_based and format != "svmlight":
            raise DatasetError(f"zero_based is of the format svmlight, not of {format}")
        self._filepath = Path(filepath)
        self._format = format
        self._vocabulary = vocabulary
        self._zero_based = zero_based
        self._max_unpacked = bytes_of(max_unpacked)
        super().__init__(metadata)

    def load(self) -> dict[str, Any]:
        """Return ``counts`` (a csr_array of shape (n_documents, n_words), int32), ``words`` and ``documents``.

        ``documents`` is a table with the ``name`` of each document and, for ``svmlight``, its ``label``.
        """
        with opened(self._filepath, self._max_unpacked) as file:
            bag = self._load_entries(file) if self._format == "uci" else self._load_documents(file)
        if not bag["counts"].shape[0]:
            raise DatasetError(f"{self._filepath} has no document")
        return bag

    def _load_entries(self, file: IO[bytes]) -> dict[str, Any]:
        """Read the format whose lines are entries."""
        path = self._filepath
        n_documents, n_words, n_entries = (
            whole_number(
                path, line, f"the number of {what}", decoded(file.readline(), path, first_line=line).strip()
            )
            for line, what in enumerate(("documents", "words", "entries"), start=1)
        )
        if not 0 <= n_documents <= LARGEST:
            raise malformed(path, 1, f"the number of documents is {n_documents}; allowed are 0 to {LARGEST}")
        vocabulary = self._read_vocabulary()
        if len(vocabulary.words) != n_words:
            raise malformed(path, 2, f"says {n_words} words; {vocabulary.path} has {len(vocabulary.words)}")
        blocks = [np.empty((0, 3), dtype=np.int32)]
        for line, block in blocks_of(file, first_line=4):
            n_lines = block.count(b"\n")
            entries = numbers_of(block, separators=b"  \n" * n_lines, n=3 * n_lines)
            documents, words, counts = entries.reshape(-1, 3).T
            if not len(entries) or not (
                all_allowed(words, counts, vocabulary)
                and ((documents >= 1) & (documents <= n_documents)).all()
            ):
                found = self._entries_by_line(line, block, n_documents, vocabulary)
                entries = np.array(list(found), dtype=np.int64)
            blocks.append(entries.reshape(-1, 3).astype(np.int32))
        documents, words, counts = np.concatenate(blocks).T
        if len(counts) != n_entries:
            raise malformed(path, 3, f"says {n_entries} entries; {len(counts)} lines follow")
        lines = np.arange(4, 4 + n_entries)
        matrix = self._matrix(documents - 1, words - 1, counts, (n_documents, n_words), lines)
        names = [str(number) for number in range(1, n_documents + 1)]
        return {"counts": matrix, "words": vocabulary.words, "documents": pd.DataFrame({"name": names})}

    def _entries_by_line(
        self, first_line: int, block: bytes, n_documents: int, vocabulary: Vocabulary
    ) -> Iterator[tuple[int, int, int]]:
        path = self._filepath
        for line, entry in enumerate(lines_of(block), start=first_line):
            fields = decoded(entry, path, first_line=line).split()
            if len(fields) != 3:
                raise malformed(path, line, f"{len(fields)} fields; allowed are 3: document, word and count")
            document = whole_number(path, line, "the document", fields[0])
            if not 1 <= document <= n_documents:
                raise malformed(path, line, f"the document is {document}; allowed are 1 to {n_documents}")
            yield document, *pair_of(path, line, fields[1], fields[2], vocabulary)

    def _load_documents(self, file: IO[bytes]) -> dict[str, Any]:
        """Read the formats whose lines are documents."""
        vocabulary: Vocabulary | Unnamed = Unnamed(first=0 if self._zero_based else 1)
        if self._format == "numbered" or self._vocabulary is not None:
            vocabulary = self._read_vocabulary()
        heads: list[str] = []
        lines: list[int] = []
        lengths: list[int] = []
        blocks = [np.empty((0, 2), dtype=np.int32)]
        for line, block in blocks_of(file, first_line=1):
            rows = list(self._documents_of(line, block))
            heads.extend(head for _, head, _ in rows)
            lines.extend(number for number, _, _ in rows)
            n_pairs = [pairs.count(b":") for _, _, pairs in rows]
            body = b" ".join(pairs for _, _, pairs in rows if pairs)
            separators = (b": " * sum(n_pairs))[:-1]
            numbers = numbers_of(body, separators=separators, n=2 * sum(n_pairs)).reshape(-1, 2)
            if not len(numbers) or not all_allowed(numbers[:, 0], numbers[:, 1], vocabulary):
                found = [list(self._pairs_by_line(number, pairs, vocabulary)) for number, _, pairs in rows]
                n_pairs = [len(row) for row in found]
                numbers = np.array([pair for row in found for pair in row], dtype=np.int64).reshape(-1, 2)
            lengths.extend(n_pairs)
            blocks.append(numbers.astype(np.int32))
        numbers, counts = np.concatenate(blocks).T
        if isinstance(vocabulary, Unnamed):
            vocabulary = vocabulary.of(numbers)
        documents = np.repeat(np.arange(len(heads), dtype=np.int32), lengths)
        columns = vocabulary.columns(numbers).astype(np.int32)
        shape = (len(heads), len(vocabulary.words))
        matrix = self._matrix(documents, columns, counts, shape, np.repeat(np.array(lines, int), lengths))
        table = pd.DataFrame({"name": [f"line {line}" for line in lines], "label": heads})
        if self._format == "numbered":
            self._check_ids(heads)
            table = pd.DataFrame({"name": heads})
        return {"counts": matrix, "words": vocabulary.words, "documents": table}

    def _documents_of(self, first_line: int, block: bytes) -> Iterator[tuple[int, str, bytes]]:
        """Yield the line of each document, what it begins with, and its pairs."""
        for line, row in enumerate(lines_of(block), start=first_line):
            if self._format == "numbered":
                head, tab, pairs = row.partition(b"\t")
                if not tab or not head.strip():
                    raise malformed(
                        self._filepath, line, f"{shown(row)} does not begin with the document's id and a tab"
                    )
            else:
                content = row.removeprefix(BOM_UTF8).partition(b"#")[0].strip()
                if not content:
                    continue
                head, _, pairs = content.replace(b"\t", b" ").partition(b" ")
                if b":" in head:
                    raise malformed(self._filepath, line, f"{shown(row)} does not begin with a label")
            yield line, decoded(head, self._filepath, first_line=line).strip(), pairs.strip()

    def _pairs_by_line(
        self, line: int, pairs: bytes, vocabulary: Vocabulary | Unnamed
    ) -> Iterator[tuple[int, int]]:
        for pair in decoded(pairs, self._filepath, first_line=line).split():
            word, colon, count = pair.partition(":")
            if not colon:
                raise malformed(self._filepath, line, f"{pair!r:.40} is no number:count")
            yield pair_of(self._filepath, line, word, count, vocabulary)

    def _check_ids(self, ids: list[str]) -> None:
        lines: dict[str, int] = {}
        for line, name in enumerate(ids, start=1):
            if lines.setdefault(name, line) != line:
                raise malformed(self._filepath, line, f"document {name!r} is on line {lines[name]} already")

    def _matrix(
        self,
        documents: NDArray[np.int32],
        columns: NDArray[np.int32],
        counts: NDArray[np.int32],
        shape: tuple[int, int],
        lines: NDArray[np.int64],
    ) -> sparse.csr_array:
        matrix = sparse.csr_array(sparse.coo_array((counts, (documents, columns)), shape=shape))
        if matrix.nnz < len(counts):  # what was there twice has been added up
            places = documents.astype(np.int64) * shape[1] + columns
            order = np.argsort(places, kind="stable")
            again = order[1:][np.diff(places[order]) == 0].min()
            raise malformed(
                self._filepath, int(lines[again]), f"a word is there twice in document {documents[again] + 1}"
            )
        return matrix

    def _read_vocabulary(self) -> Vocabulary:
        path = self._vocabulary_path()
        lines = text_of(path, max_unpacked=self._max_unpacked).removesuffix("\n").split("\n")
        first = 0 if self._zero_based else 1
        numbers: dict[int, int] = {}
        words: dict[str, int] = {}
        for line, text in enumerate(lines, start=1):
            number, word = line - 1 + first, text.strip()
            if self._format == "numbered":
                fields = text.strip("\r").split("\t")
                if len(fields) != 3:
                    raise malformed(
                        path, line, f"{len(fields)} fields; allowed are 3: number, word and frequency"
                    )
                number, word = whole_number(path, line, "the number", fields[0]), fields[1].strip()
                whole_number(path, line, "the frequency", fields[2])
                if not 0 <= number <= LARGEST:
                    raise malformed(path, line, f"the number is {number}; allowed are 0 to {LARGEST}")
            if not word:
                raise malformed(path, line, "there is no word")
            if words.setdefault(word, line) != line:
                raise malformed(path, line, f"the word {word!r} is on line {words[word]} already")
            if numbers.setdefault(number, line) != line:
                raise malformed(path, line, f"the number {number} is on line {numbers[number]} already")
        order = sorted(range(len(lines)), key=list(numbers).__getitem__)
        by_line = list(words)
        return Vocabulary(path, [by_line[i] for i in order], np.array(sorted(numbers), dtype=np.int64))

    def _vocabulary_path(self) -> Path:
        folder, name = self._filepath.parent, self._filepath.name
        if self._vocabulary is not None:
            return folder / self._vocabulary
        if self._format == "uci":
            usual = folder / name.replace("docword", "vocab", 1).removesuffix(".gz")
        else:
            usual = (folder / name.removesuffix(".gz")).with_suffix(".vocab")
        compressed = usual.with_name(f"{usual.name}.gz")
        found = compressed if compressed.is_file() and not usual.is_file() else usual
        if found == self._filepath or not found.is_file():
            raise DatasetError(f"there is no vocabulary {usual} to {self._filepath}: name it by `vocabulary`")
        return found

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": str(self._filepath),
            "format": self._format,
            "vocabulary": self._vocabulary,
            "zero_based": self._zero_based,
            "max_unpacked": self._max_unpacked,
        }
