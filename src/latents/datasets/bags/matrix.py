"""From entries to the count matrix of a bag of words."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from kedro.io import DatasetError
from scipy import sparse

from latents.datasets.bags.numbers import LARGEST, RAW
from latents.places import Place

MAX_EMPTY = 1_000_000


class Options(NamedTuple):
    """What the dataset was told of its file, beside its format."""

    vocabulary: str | None = None
    zero_based: bool | None = None
    transpose: bool = False
    layer: str | None = None
    label: str | None = None
    max_unpacked: int | None = None
    max_empty_documents: int = MAX_EMPTY


def check_empty(where: str, n_documents: int, n_explained: int, options: Options) -> None:
    """Refuse documents that only a number in a header speaks of, if there are too many of them.

    Parameters
    ----------
    where : str
        The file and, if there is one, the line that has the number.
    n_documents : int
        The number of documents.
    n_explained : int
        How many of them the file can have a word or a name of.
    options : Options
        Its ``max_empty_documents`` says how many others there may be.

    Raises
    ------
    DatasetError
        Names the parameter.
    """
    if n_documents > n_explained + options.max_empty_documents:
        raise DatasetError(
            f"{where}: there are {n_documents} documents, and entries for {n_explained} at most; more than "
            f"{options.max_empty_documents} empty ones are allowed only by a larger `max_empty_documents`"
        )


def added_up(path: Place, matrix: Any) -> sparse.csr_array:
    """Return a matrix of whole counts by documents, int32: entries of one place added up, and zeros left out.

    Raises
    ------
    DatasetError
        If the counts of a word in a document are more than int32 holds.
    """
    counts = sparse.csr_array(matrix.astype(np.int64))  # which adds up, of coordinates
    counts.sum_duplicates()
    counts.eliminate_zeros()
    if counts.nnz and counts.data.max() > LARGEST:
        document, column = (index[counts.data.argmax()] for index in counts.tocoo().coords)
        raise DatasetError(
            f"{path}: document {document + 1} has word {column + 1} {counts.data.max()} times; allowed are 1 to "
            f"{LARGEST}"
        )
    parts: tuple[Any, ...] = (counts.data.astype(np.int32), counts.indices, counts.indptr)
    return sparse.csr_array(parts, shape=counts.shape)


def whole_counts(
    path: Place, matrix: Any, place: Callable[[int, int], str], remedy: str = ""
) -> sparse.csr_array | sparse.csc_array | sparse.coo_array:
    """Return a sparse matrix of the same format with its values as counts, int64: whole numbers from 0.

    Parameters
    ----------
    path : Path or Remote
        The file.
    matrix : sparse array
        Compressed rows or columns, or coordinates.
    place : callable
        What the value in a row and column is, for the message.
    remedy : str
        What to give instead of such values.

    Raises
    ------
    DatasetError
        If a value is none; names the first.
    """
    values = matrix.data
    if values.dtype.kind not in "buif":
        raise DatasetError(f"{path}: values are of type {values.dtype}; allowed are counts")
    bad = ~((values >= 0) & (values <= LARGEST) & (values == np.floor(values)))  # NaN is neither
    if bad.any():
        row, column = (int(index[bad.argmax()]) for index in matrix.tocoo(copy=False).coords)
        raise DatasetError(
            f"{path}: {place(row, column)} is {values[bad.argmax()]}; allowed are the whole numbers 0 to {LARGEST}"
            f"{RAW}{remedy}"
        )
    whole: sparse.csr_array = matrix.astype(np.int64)
    return whole
