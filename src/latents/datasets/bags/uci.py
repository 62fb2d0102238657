"""The format of the UCI repository's bags of words: three sizes, then an entry a line."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from latents.datasets.bags.matrix import Options, check_empty
from latents.datasets.bags.numbers import (
    LARGEST,
    all_allowed,
    entries_of,
    head_line,
    numbers_of,
    pair_of,
    whole_number,
)
from latents.datasets.bags.words import named, read_words
from latents.datasets.files import malformed, opened
from latents.places import Place


def read(path: Place, options: Options) -> dict[str, Any]:
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

        def is_allowed(entries: NDArray[Any]) -> bool:
            documents, numbers, counts = entries.T
            inside = ((documents >= 1) & (documents <= n_documents)).all()
            return all_allowed(numbers, counts, vocabulary) and bool(inside)

        def entry_of(line: int, fields: list[str]) -> tuple[int, int, int]:
            if len(fields) != 3:
                raise malformed(path, line, f"{len(fields)} fields; allowed are 3: document, word and count")
            document = whole_number(path, line, "the document", fields[0])
            if not 1 <= document <= n_documents:
                raise malformed(path, line, f"the document is {document}; allowed are 1 to {n_documents}")
            return document, *pair_of(path, line, fields[1], fields[2], vocabulary)

        entries = entries_of(path, file, 3, (n_entries, 3), numbers_of, is_allowed, entry_of)
    documents, numbers, counts = entries.T
    columns = vocabulary.columns(numbers).astype(np.int32)
    matrix = sparse.csr_array((counts, (documents - 1, columns)), shape=(n_documents, n_words))
    if matrix.nnz < n_entries:  # what was there twice has been added up
        places = documents.astype(np.int64) * n_words + columns
        order = np.argsort(places, kind="stable")
        again = order[1:][np.diff(places[order]) == 0].min()
        raise malformed(path, 4 + int(again), f"a word is there twice in document {documents[again]}")
    names = [str(number) for number in range(1, n_documents + 1)]
    return {"counts": matrix, "words": vocabulary.words, "documents": pd.DataFrame({"name": names})}
