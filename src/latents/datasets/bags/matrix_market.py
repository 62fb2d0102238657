"""Matrix Market files: sparse matrices as SciPy, gensim, R and 10x Genomics write them."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from latents.datasets.bags.matrix import Options, added_up, check_empty
from latents.datasets.bags.numbers import (
    LARGEST,
    Known,
    blocks_of,
    count_of,
    head_line,
    lines_of,
    numbers_of,
    reals_of,
    whole_number,
)
from latents.datasets.bags.words import (
    Unnamed,
    Vocabulary,
    beside,
    read_features,
    read_names,
    read_words,
)
from latents.datasets.files import decoded, malformed, opened
from latents.features.numbering import Numbering

_FIELDS = ("integer", "unsigned-integer", "real", "pattern")
_SYMMETRIES = ("general", "symmetric")


class _Header(NamedTuple):
    """What the lines before the entries say, and the line of the sizes."""

    field: str
    symmetric: bool
    shape: tuple[int, int]
    n_entries: int
    line: int
    word_axes: tuple[int, ...]  # which of row and column are numbers of words; of a symmetric file both


def read(path: Path, options: Options) -> dict[str, Any]:
    """Return the bag of a matrix of documents by words, or of its transpose.

    Entries of one place are added up, as SciPy does it; of a ``symmetric`` file's halves the other one is added.
    An entry of ``pattern`` is a word that is there once.

    Raises
    ------
    DatasetError
        Names the file and line of what is wrong.
    """
    with opened(path, options.max_unpacked) as file:
        header = _read_header(path, file, options.transpose)
        n_documents, n_words = header.shape[::-1] if options.transpose else header.shape
        vocabulary = _vocabulary(path, header, n_words, options)
        names = _names(path, header, n_documents, options)
        if names is None:
            explained = header.n_entries * (1 + header.symmetric)
            check_empty(f"{path}, line {header.line}", n_documents, explained, options)
        known = Unnamed(1, n_words) if vocabulary is None else vocabulary
        rows, columns, counts = _entries(path, file, header, known)
    documents, words = (columns, rows) if options.transpose else (rows, columns)
    named = vocabulary is not None
    vocabulary = Unnamed.of(words[counts > 0]) if vocabulary is None else vocabulary
    kept = counts > 0
    places = (documents[kept] - 1, vocabulary.columns(words[kept]).astype(np.int32))
    shape = (n_documents, len(vocabulary.words))
    matrix = added_up(path, sparse.coo_array((counts[kept].astype(np.int64), places), shape=shape))
    if names is None:
        names = [str(number) for number in range(1, n_documents + 1)]
    return {
        "counts": matrix,
        "words": vocabulary.words,
        "documents": pd.DataFrame({"name": names}),
        "numbering": None if named else Numbering(str(path), 1, named=False),
    }


def _read_header(path: Path, file: IO[bytes], transpose: bool) -> _Header:
    kind = head_line(path, file, 1).lower().split()
    if len(kind) != 5 or kind[:2] != ["%%matrixmarket", "matrix"]:
        raise malformed(
            path,
            1,
            "this is no Matrix Market file: it does not begin with %%MatrixMarket matrix, and three words",
        )
    layout, field, symmetry = kind[2:]
    if layout != "coordinate":
        raise malformed(
            path,
            1,
            f"the format is {layout!r:.40}; allowed is coordinate, which mmwrite makes of a sparse matrix",
        )
    if field not in _FIELDS:
        raise malformed(path, 1, f"the field is {field!r:.40}; allowed are {', '.join(_FIELDS)}")
    if symmetry not in _SYMMETRIES:
        raise malformed(path, 1, f"the symmetry is {symmetry!r:.40}; allowed are {', '.join(_SYMMETRIES)}")
    line, text = 2, head_line(path, file, 2)
    while text.startswith("%") or text.isspace():
        line, text = line + 1, head_line(path, file, line + 1)
    sizes = text.split()
    if len(sizes) != 3:
        raise malformed(path, line, f"{len(sizes)} sizes; allowed are 3: rows, columns and entries")
    n_rows, n_columns, n_entries = (
        whole_number(path, line, f"the number of {what}", size)
        for what, size in zip(("rows", "columns", "entries"), sizes, strict=True)
    )
    for what, size in (("rows", n_rows), ("columns", n_columns)):
        if not 0 <= size <= LARGEST:
            raise malformed(path, line, f"the number of {what} is {size}; allowed are 0 to {LARGEST}")
    if symmetry == "symmetric" and n_rows != n_columns:
        raise malformed(path, line, f"{n_rows} rows and {n_columns} columns are not symmetric")
    symmetric = symmetry == "symmetric"
    word_axes = (0, 1) if symmetric else (0 if transpose else 1,)
    return _Header(field, symmetric, (n_rows, n_columns), n_entries, line, word_axes)


def _vocabulary(path: Path, header: _Header, n_words: int, options: Options) -> Vocabulary | None:
    """Return the words by their numbers in the file, from 1, if there are any."""
    features = _neighbour(path, "features.tsv", "genes.tsv")
    words = features if options.transpose else None
    if options.vocabulary is not None:
        words = path.parent / options.vocabulary
    if words is None:
        n_rows, n_columns = header.shape
        if features and len(read_features(features, options.max_unpacked).words) == n_rows != n_columns:
            raise malformed(
                path, header.line, f"its {n_rows} rows are the words of {features}; say `transpose: true`"
            )
        return None
    of_genes = any(name in words.name for name in ("features.tsv", "genes.tsv"))
    vocabulary = (read_features if of_genes else read_words)(words, options.max_unpacked)
    if len(vocabulary.words) != n_words and not vocabulary.explicit:
        what, hint = (
            ("rows", "")
            if options.transpose
            else ("columns", "; where rows are words, say `transpose: true`")
        )
        raise malformed(
            path, header.line, f"says {n_words} {what}; {words} has {len(vocabulary.words)} words{hint}"
        )
    return vocabulary.counted_from(1)


def _names(path: Path, header: _Header, n_documents: int, options: Options) -> list[str] | None:
    """Return the names of the columns of 10x Genomics' files, if they are there."""
    found = _neighbour(path, "barcodes.tsv")
    if found is None or not options.transpose:
        return None
    names = read_names(found, options.max_unpacked)
    if len(names) != n_documents:
        raise malformed(path, header.line, f"says {n_documents} columns; {found} has {len(names)} names")
    return names


def _neighbour(path: Path, *names: str) -> Path | None:
    """Return the first of 10x Genomics' files beside ``matrix.mtx``; what is before its name is before theirs."""
    own = path.name.removesuffix(".gz")
    before = own.removesuffix("matrix.mtx")
    return None if before == own else beside(path, *(f"{before}{name}" for name in names))


def _entries(
    path: Path, file: IO[bytes], header: _Header, words: Known
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return the row, column and count of each entry, those of the other half included."""
    width = 2 if header.field == "pattern" else 3
    read = reals_of if header.field == "real" else numbers_of
    blocks = [np.empty((0, 3), dtype=np.int32)]
    n_found = 0
    for line, block in blocks_of(path, file, first_line=header.line + 1):
        n_lines = block.count(b"\n")
        separators = (b" " * (width - 1) + b"\n") * n_lines
        entries: NDArray[Any] = read(block, separators=separators, n=width * n_lines).reshape(-1, width)
        if width == 2:
            entries = np.column_stack([entries, np.ones(len(entries), dtype=np.int64)])
        if not len(entries) or not _all_allowed(entries, header, words):
            found = list(_by_line(path, line, block, header, words))
            entries = np.array(found, dtype=np.int64).reshape(-1, 3)
        blocks.append(entries.astype(np.int32))
        n_found += len(entries)
        if n_found > header.n_entries:
            break
    if n_found != header.n_entries:
        more = "at least " if n_found > header.n_entries else ""
        raise malformed(path, header.line, f"says {header.n_entries} entries; {more}{n_found} lines follow")
    rows, columns, counts = np.concatenate(blocks).T
    if header.symmetric:
        apart = rows != columns
        rows, columns = np.concatenate([rows, columns[apart]]), np.concatenate([columns, rows[apart]])
        counts = np.concatenate([counts, counts[apart]])
    return rows, columns, counts


def _all_allowed(entries: NDArray[Any], header: _Header, words: Known) -> bool:
    inside = (entries[:, :2] >= 1) & (entries[:, :2] <= header.shape)
    counts = entries[:, 2]
    whole = (entries == np.floor(entries)).all() and ((counts >= 0) & (counts <= LARGEST)).all()
    if not (whole and inside.all()):
        return False
    return all(words.knows(entries[:, axis].astype(np.int64)).all() for axis in header.word_axes)


def _by_line(
    path: Path, first_line: int, block: bytes, header: _Header, words: Known
) -> Iterator[tuple[int, int, int]]:
    n_fields = 2 if header.field == "pattern" else 3
    for line, entry in enumerate(lines_of(block), start=first_line):
        fields = decoded(entry, path, first_line=line).split()
        if not fields:
            continue
        if len(fields) != n_fields:
            allowed = "row and column" if n_fields == 2 else "row, column and count"
            raise malformed(path, line, f"{len(fields)} fields; allowed are {n_fields}: {allowed}")
        row, column = place = [
            whole_number(path, line, f"the {what}", text)
            for what, text in zip(("row", "column"), fields, strict=False)
        ]
        for what, number, size in zip(("row", "column"), place, header.shape, strict=True):
            if not 1 <= number <= size:
                raise malformed(path, line, f"the {what} is {number}; allowed are 1 to {size}")
        for axis in header.word_axes:
            if not words.knows(np.array([place[axis]]))[0]:
                raise malformed(path, line, f"the word is {place[axis]}; allowed are {words}")
        yield row, column, 1 if n_fields == 2 else count_of(path, line, "the count", fields[2], least=0)
