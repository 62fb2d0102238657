"""Bags of words in sparse matrices as SciPy's ``save_npz`` writes them."""

from typing import Any

import numpy as np
import pandas as pd
from kedro.io import DatasetError
from scipy import sparse

from latents.datasets.bags.matrix import Options, added_up, check_empty, whole_counts
from latents.datasets.bags.words import Unnamed, read_words
from latents.datasets.sparse_npz import read_matrix
from latents.features.numbering import Numbering
from latents.places import Place


def read(path: Place, options: Options) -> dict[str, Any]:
    """Return the bag of a matrix of documents by words, or of its transpose.

    Entries of one place are added up, as SciPy does it. Without a list the words are the numbers of the columns
    that have any, from 0.

    Raises
    ------
    DatasetError
        As `read_matrix`; or if an entry is no count, or there are more or fewer words than columns.
    """
    matrix: Any = read_matrix(path, options.max_unpacked)
    matrix = whole_counts(path, matrix, lambda row, column: f"the value in row {row}, column {column}")
    explained = matrix.nnz if matrix.format == "coo" else max(matrix.nnz, len(matrix.indptr) - 1)
    matrix = matrix.T if options.transpose else matrix
    n_documents, n_words = matrix.shape
    check_empty(str(path), n_documents, explained, options)
    counts = added_up(path, matrix)
    documents = pd.DataFrame({"name": [f"row {row}" for row in range(n_documents)]})
    if options.vocabulary is None:
        occurring = Unnamed.of(counts.indices)
        columns = occurring.columns(counts.indices).astype(np.int32)
        shape = (n_documents, len(occurring.words))
        return {
            "counts": sparse.csr_array((counts.data, columns, counts.indptr), shape=shape),
            "words": occurring.words,
            "documents": documents,
            "numbering": Numbering(str(path), 0, named=False),
        }
    vocabulary = read_words(path.parent / options.vocabulary, options.max_unpacked)
    if len(vocabulary.words) != n_words or vocabulary.numbers[-1] != n_words - 1:
        hint = "" if options.transpose else "; where rows are words, say `transpose: true`"
        raise DatasetError(
            f"{path} has {n_words} columns; {vocabulary.path} has {len(vocabulary.words)} words{hint}"
        )
    return {"counts": counts, "words": vocabulary.words, "documents": documents}
