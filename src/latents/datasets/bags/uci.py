"""The format of the UCI repository's bags of words: three sizes, then an entry a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from latents.datasets.bags.matrix import Options, check_empty
from latents.datasets.bags.numbers import (
    LARGEST,
    all_allowed,
    blocks_of,
    head_line,
    lines_of,
    numbers_of,
    pair_of,
    whole_number,
)
from latents.datasets.bags.words import Vocabulary, named, read_words
from latents.datasets.files import decoded, malformed, opened


def read(path: Path, options: Options) -> dict[str, Any]:
    """Return the bag of a file ``docword.NAME.txt`` and its vocabulary, ``vocab.NAME.txt``.

    Raises
    ------
    DatasetError
        Names the file and line of what is wrong.
    """
    usual = path.name.replace("docword", "vocab", 1).removesuffix(".gz")
    vocabulary_file = named(path, options.vocabulary, usual)
    vocabulary = read_words(vocabulary_file, options.max_unpacked).counted_from(1)
    with opened(path, options.max_unpacked) as file:
        n_documents, n_words, n_entries = (
            whole_number(path, line, f"the number of {what}", head_line(path, file, line).strip())
            for line, what in enumerate(("documents", "words", "entries"), start=1)
        )
        if not 0 <= n_documents <= LARGEST:
            raise malformed(path, 1, f"the number of documents is {n_documents}; allowed are 0 to {LARGEST}")
        check_empty(f"{path}, line 1", n_documents, n_entries, options)
        if len(vocabulary.words) != n_words:
            raise malformed(path, 2, f"says {n_words} words; {vocabulary.path} has {len(vocabulary.words)}")
        blocks = [np.empty((0, 3), dtype=np.int32)]
        n_found = 0
        for line, block in blocks_of(path, file, first_line=4):
            n_lines = block.count(b"\n")
            entries = numbers_of(block, separators=b"  \n" * n_lines, n=3 * n_lines)
            documents, numbers, counts = entries.reshape(-1, 3).T
            if not len(entries) or not (
                all_allowed(numbers, counts, vocabulary)
                and ((documents >= 1) & (documents <= n_documents)).all()
            ):
                entries = np.array(list(_by_line(path, line, block, n_documents, vocabulary)), dtype=np.int64)
            blocks.append(entries.reshape(-1, 3).astype(np.int32))
            n_found += n_lines
            if n_found > n_entries:
                break
    if n_found != n_entries:
        more = "at least " if n_found > n_entries else ""
        raise malformed(path, 3, f"says {n_entries} entries; {more}{n_found} lines follow")
    documents, numbers, counts = np.concatenate(blocks).T
    columns = vocabulary.columns(numbers).astype(np.int32)
    matrix = sparse.csr_array((counts, (documents - 1, columns)), shape=(n_documents, n_words))
    if matrix.nnz < n_entries:  # what was there twice has been added up
        places = documents.astype(np.int64) * n_words + columns
        order = np.argsort(places, kind="stable")
        again = order[1:][np.diff(places[order]) == 0].min()
        raise malformed(path, 4 + int(again), f"a word is there twice in document {documents[again]}")
    names = [str(number) for number in range(1, n_documents + 1)]
    return {"counts": matrix, "words": vocabulary.words, "documents": pd.DataFrame({"name": names})}


def _by_line(
    path: Path, first_line: int, block: bytes, n_documents: int, vocabulary: Vocabulary
) -> Iterator[tuple[int, int, int]]:
    for line, entry in enumerate(lines_of(block), start=first_line):
        fields = decoded(entry, path, first_line=line).split()
        if len(fields) != 3:
            raise malformed(path, line, f"{len(fields)} fields; allowed are 3: document, word and count")
        document = whole_number(path, line, "the document", fields[0])
        if not 1 <= document <= n_documents:
            raise malformed(path, line, f"the document is {document}; allowed are 1 to {n_documents}")
        yield document, *pair_of(path, line, fields[1], fields[2], vocabulary)
