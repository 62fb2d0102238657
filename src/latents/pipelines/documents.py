"""Documents of any origin as one table: the first stage of the pipelines that read texts."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import pandas as pd
import polars as pl
from scipy import sparse

from latents.estimators.common.blocks import Blocks
from latents.features.documents import (
    DocumentBlocks,
    Documents,
    TextsOf,
    Told,
    ToldBy,
    check_columns,
    joined,
    place_of,
    texts_in,
    told_by,
)
from latents.messages import some_of
from latents.pipelines import bags
from latents.pipelines.shared import Parameters, Text

logger = logging.getLogger(__name__)


class IngestParameters(Parameters):
    """Which columns of the raw table hold the documents."""

    text_column: Text
    label_column: Text | None


class Read(NamedTuple):
    """Documents as they were read.

    Attributes
    ----------
    documents : DataFrame or DocumentBlocks
        ``text`` and, where there are any, ``label`` and ``name``: all str, whole numbers without a fraction; what
        is missing is empty, but for names, which then are the places.
    told : Told
        What was told of them beside the texts, with the places of the rows.
    bag : mapping
        The counts and words of a bag; of texts nothing.
    """

    documents: Documents
    told: Told
    bag: bags.Bag


def read_documents(
    raw_documents: pd.DataFrame | Mapping[str, Any] | Blocks[pd.DataFrame],
    params: IngestParameters,
    first_word: int | None = None,
) -> Read:
    """Give the columns of a corpus their names and types.

    Parameters
    ----------
    raw_documents : DataFrame, mapping or Blocks
        Texts: one row per document, in any order of columns; of pandas, of Polars (lazy ones too) or of any
        library that gives Arrow's streams, or of pandas in blocks. What pandas has as an index with a name is a
        column. Or a bag of words: ``counts`` (a csr_array of shape (n_documents, n_words)), ``words`` (of the
        columns) and ``documents``, a table like the other, without texts. A table whose ``attrs`` name its
        ``file`` has the places in it as its index, for messages.
    params : IngestParameters
        The column of the texts, which that of a bag gets too: the most frequent words, for people to read.
    first_word : int, optional
        Of new documents: the number of the first word in the training (see ``features.numbering``).

    Raises
    ------
    ValueError
        If there is no table and no bag, no document, no text column or two of one name, a value is of another kind
        than texts and numbers, a count of a bag is no number of occurrences, or nothing tells how its words are
        numbered. Names the place.
    """
    columns = (params.text_column, params.label_column)
    if isinstance(raw_documents, Blocks):
        parts = raw_documents.each(ToldBy(*columns))
        told = _all_told(parts, params)
        texts = raw_documents.prepared(TextsOf(params.text_column))
        return Read(DocumentBlocks(texts, _named(told), [len(part.table) for part in parts]), told, {})
    table, bag = _table_and_bag(raw_documents, params, first_word)
    check_columns(table, *columns)
    told = _all_told([told_by(table, *columns)], params)
    documents = _named(told)
    documents.insert(0, "text", texts_in(table, params.text_column))
    return Read(documents, told, bag)


def _named(told: Told) -> pd.DataFrame:
    """Return labels and names by the numbers of the documents."""
    named = told.table[told.table.columns.intersection(["label", "name"])].reset_index(drop=True)
    named.attrs = {}  # whose file is another now
    return named


def _table_and_bag(
    raw_documents: pd.DataFrame | Mapping[str, Any], params: IngestParameters, first_word: int | None
) -> tuple[pd.DataFrame, bags.Bag]:
    bag: bags.Bag = {}
    if isinstance(raw_documents, Mapping) and raw_documents.keys() >= {"counts", "words", "documents"}:
        bag = bags.to_arrays(raw_documents, first_word)
        table = bags.table_of(raw_documents["documents"], bag)
        raw_documents = table.rename(columns={"text": params.text_column})
    return _in_pandas(raw_documents), bag


def _in_pandas(given: Any) -> pd.DataFrame:
    """Return a table of whatever library as one of pandas, with its index as columns, where that has names."""
    table = given.collect() if isinstance(given, pl.LazyFrame) else given
    if not isinstance(table, pd.DataFrame) and hasattr(table, "__arrow_c_stream__"):
        with suppress(pl.exceptions.SchemaError):  # of a single column, which is none
            table = pl.DataFrame(table).to_pandas()
    if not isinstance(table, pd.DataFrame):
        raise ValueError(
            f"{_kind_of(given)}; allowed are tables with a column of texts (of pandas or Polars) and bags of words"
        )
    named = [name for name in table.index.names if name is not None and name not in table.columns]
    if named and "file" not in table.attrs:  # there the index has the places of the rows
        return table.reset_index(named)
    return table


def _kind_of(given: Any) -> str:
    """Say what is no table, and how it becomes documents."""
    if isinstance(given, Mapping) and given and all(map(callable, given.values())):
        return (
            f"the documents are {len(given)} partitions ({some_of(given, 2)}), as PartitionedDataset loads them; "
            "latents.datasets.TextFolderDataset reads a folder of texts, a table of them is one file"
        )
    if sparse.issparse(given):
        return (
            "the documents are a sparse matrix without the words of its columns; "
            "latents.datasets.BagOfWordsDataset reads counts with their words"
        )
    if isinstance(given, Mapping):
        return f"the documents are a {type(given).__name__} of {some_of(given) or 'nothing'}"
    return f"the documents are a {type(given).__name__}"


def _all_told(parts: Sequence[Told], params: IngestParameters) -> Told:
    """Return what parts of a table tell of its documents, with a name for each where some have one.

    Raises
    ------
    ValueError
        If there is no document, or some rows lack a column that others have.
    """
    told = joined(parts, {params.text_column, params.label_column, "name", "held_out"})
    if not len(told.table):
        raise ValueError("the corpus is empty: there is no document to cluster")
    if params.text_column not in told.columns:
        raise ValueError(
            f"{told.table.attrs.get('file', 'the documents')}: no column {params.text_column!r:.80} (parameter "
            f"ingest.text_column) among {some_of(told.columns)}"
        )
    if "name" in told.table:
        told.table["name"] = [name or f"document {row}" for row, name in enumerate(told.table["name"])]
    if told.n_without_text:
        # Tables on disk often cannot tell an empty text from a missing one.
        logger.warning(
            "%d documents have no text (the first: %s): taken as empty",
            told.n_without_text,
            place_of(told.table, told.first_without_text),
        )
    return told
