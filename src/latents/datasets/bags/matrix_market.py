"""Matrix Market files: sparse matrices as SciPy, gensim, R and 10x Genomics write them."""

from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from latents.datasets.bags.matrix import Options, added_up, check_empty
from latents.datasets.bags.numbers import (
    LARGEST,
    Known,
    count_of,
    entries_of,
    head_line,
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
from latents.datasets.files import malformed, opened
from latents.features.numbering import Numbering
from latents.places import Place

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


def read(path: Place, options: Options) -> dict[str, Any]:
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


def _read_header(path: Place, file: IO[bytes], transpose: bool) -> _Header:
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
    symmetric = symmetry == "symmetric"
    if symmetric and n_rows != n_columns:
        raise malformed(path, line, f"{n_rows} rows and {n_columns} columns are not symmetric")
    word_axes = (0, 1) if symmetric else (0 if transpose else 1,)
    return _Header(field, symmetric, (n_rows, n_columns), n_entries, line, word_axes)


def _vocabulary(path: Place, header: _Header, n_words: int, options: Options) -> Vocabulary | None:
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
        what, hint = "columns", "; where rows are words, say `transpose: true`"
        if options.transpose:
            what, hint = "rows", ""
        raise malformed(
            path, header.line, f"says {n_words} {what}; {words} has {len(vocabulary.words)} words{hint}"
        )
    return vocabulary.counted_from(1)


def _names(path: Place, header: _Header, n_documents: int, options: Options) -> list[str] | None:
    """Return the names of the columns of 10x Genomics' files, if they are there."""
    found = _neighbour(path, "barcodes.tsv")
    if found is None or not options.transpose:
        return None
    names = read_names(found, options.max_unpacked)
    if len(names) != n_documents:
        raise malformed(path, header.line, f"says {n_documents} columns; {found} has {len(names)} names")
    return names


def _neighbour(path: Place, *names: str) -> Place | None:
    """Return the first of 10x Genomics' files beside ``matrix.mtx``; what is before its name is before theirs."""
    own = path.name.removesuffix(".gz")
    before = own.removesuffix("matrix.mtx")
    return None if before == own else beside(path, *(f"{before}{name}" for name in names))


def _entries(
    path: Place, file: IO[bytes], header: _Header, words: Known
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return the row, column and count of each entry, those of the other half included."""
    width = 2 if header.field == "pattern" else 3
    read = reals_of if header.field == "real" else numbers_of

    def is_allowed(entries: NDArray[Any]) -> bool:
        inside = (entries[:, :2] >= 1) & (entries[:, :2] <= header.shape)
        counts = entries[:, 2:]
        whole = (entries == np.floor(entries)).all() and ((counts >= 0) & (counts <= LARGEST)).all()
        if not (whole and inside.all()):
            return False
        return all(words.knows(entries[:, axis].astype(np.int64)).all() for axis in header.word_axes)

    def entry_of(line: int, fields: list[str]) -> list[int]:
        if not fields:
            return []
        if len(fields) != width:
            allowed = "row and column" if width == 2 else "row, column and count"
            raise malformed(path, line, f"{len(fields)} fields; allowed are {width}: {allowed}")
        axes = ("row", "column")
        place = [whole_number(path, line, f"the {axis}", fields[i]) for i, axis in enumerate(axes)]
        for axis, number, size in zip(axes, place, header.shape, strict=True):
            if not 1 <= number <= size:
                raise malformed(path, line, f"the {axis} is {number}; allowed are 1 to {size}")
        for number in (place[i] for i in header.word_axes):
            if not words.knows(np.array([number]))[0]:
                raise malformed(path, line, f"the word is {number}; allowed are {words}")
        return [*place, *(count_of(path, line, "the count", text, least=0) for text in fields[2:])]

    entries = entries_of(path, file, header.line, (header.n_entries, width), read, is_allowed, entry_of)
    rows, columns = entries[:, :2].T
    counts = entries[:, 2] if width == 3 else np.ones(len(entries), dtype=np.int32)
    if header.symmetric:
        apart = rows != columns
        rows, columns = np.concatenate([rows, columns[apart]]), np.concatenate([columns, rows[apart]])
        counts = np.concatenate([counts, counts[apart]])
    return rows, columns, counts
