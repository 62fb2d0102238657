"""Documents of any origin as one table: the first stage of the pipelines that read texts."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from numbers import Number
from typing import Any

import pandas as pd
import polars as pl
from scipy import sparse

from latents.features.words import composed
from latents.messages import shown, some_of
from latents.pipelines import bags
from latents.pipelines.shared import Parameters, Text

logger = logging.getLogger(__name__)


class IngestParameters(Parameters):
    """Which columns of the raw table hold the documents."""

    text_column: Text
    label_column: Text | None


def table_and_bag(
    raw_documents: pd.DataFrame | Mapping[str, Any], params: IngestParameters, first_word: int | None = None
) -> tuple[pd.DataFrame, bags.Bag]:
    """Return the table of a corpus, and of a bag of words its counts and words.

    Parameters
    ----------
    raw_documents : DataFrame or mapping
        Texts: one row per document, in any order of columns; of pandas, of Polars (lazy ones too) or of any
        library that gives Arrow's streams. What pandas has as an index with a name is a column. Or a bag of
        words: ``counts`` (a csr_array of shape (n_documents, n_words)), ``words`` (of the columns) and
        ``documents``, a table like the other, without texts. A table whose ``attrs`` name its ``file`` has the
        places in it as its index, for messages.
    params : IngestParameters
        The column of the texts, which that of a bag gets too: the most frequent words, for people to read.
    first_word : int, optional
        Of new documents: the number of the first word in the training (see ``features.numbering``).

    Raises
    ------
    ValueError
        If there is no table and no bag, no document, no text column or two of one name, a count of a bag is no
        number of occurrences, or nothing tells how its words are numbered.
    """
    bag: bags.Bag = {}
    if isinstance(raw_documents, Mapping) and raw_documents.keys() >= {"counts", "words", "documents"}:
        bag = bags.to_arrays(raw_documents, first_word)
        table = bags.table_of(raw_documents["documents"], bag)
        raw_documents = table.rename(columns={"text": params.text_column})
    raw_documents = _in_pandas(raw_documents)
    _check_columns(raw_documents, params)
    if raw_documents.empty:
        raise ValueError("the corpus is empty: there is no document to cluster")
    if params.text_column not in raw_documents:
        raise ValueError(
            f"{raw_documents.attrs.get('file', 'the documents')}: no column {params.text_column!r:.80} (parameter "
            f"ingest.text_column) among {some_of(raw_documents.columns)}"
        )
    return raw_documents, bag


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


def _check_columns(table: pd.DataFrame, params: IngestParameters) -> None:
    """Refuse names that two columns have, or that mean something but for blanks around them."""
    place = table.attrs.get("file", "the documents")
    if (twice := table.columns[table.columns.duplicated()]).size:
        raise ValueError(f"{place}: there are several columns {twice[0]!r:.80}; allowed is one of each name")
    meant = {params.text_column, params.label_column, "name", "held_out"}
    lacking = meant.difference(table.columns)
    for name in table.columns:
        if isinstance(name, str) and name not in meant and name.strip() in lacking:
            raise ValueError(
                f"{place}: the name of column {name!r:.80} begins or ends with blanks; call it "
                f"{name.strip()!r:.80}"
            )


def texts_and_names(table: pd.DataFrame, params: IngestParameters) -> pd.DataFrame:
    """Return the columns ``text`` and, where there are any, ``label`` and ``name`` of a table of documents.

    All are str, whole numbers without a fraction; what is missing is empty, but for names, which then are the
    places. Texts are composed (Unicode's NFC): an accent belongs to its letter, however it was typed.

    Raises
    ------
    ValueError
        If a value is of another kind than texts and numbers; names the place.
    """
    documents = pd.DataFrame({"text": _texts(table, params.text_column)})
    if params.label_column is not None and params.label_column in table:
        documents["label"] = _texts(table, params.label_column)
    if "name" in table:
        names = _texts(table, "name")
        documents["name"] = [name or f"document {row}" for row, name in enumerate(names)]
    if (missing := documents.index[table[params.text_column].isna()]).size:
        # Tables on disk often cannot tell an empty text from a missing one.
        logger.warning(
            "%d documents have no text (the first: %s): taken as empty",
            missing.size,
            place_of(table, missing[0]),
        )
    return documents


def place_of(table: pd.DataFrame, row: int) -> str:
    """Say where a row of a table comes from."""
    file = table.attrs.get("file")
    return f"{file}, {table.index.name} {table.index[row]}" if file else f"document {row}"


def excerpt(text: str, length: int) -> str:
    """Return the beginning of a text, its white space made even; the last character tells of a cut."""
    even = " ".join(text.split(maxsplit=length)[:length])  # so many words are longer than wanted
    return even if len(even) <= length else even[: length - 1].rstrip() + "…"


def _texts(table: pd.DataFrame, column: str) -> list[str]:
    """Return the values of a column as texts; a missing one is empty."""
    values = table[column].astype(object)
    texts = []
    for row, (value, missing) in enumerate(zip(values, values.isna(), strict=True)):
        if not (missing or isinstance(value, str | Number)):
            raise ValueError(
                f"{place_of(table, row)}: {column} is {shown(value)}; allowed are texts and numbers"
            )
        if isinstance(value, float) and value.is_integer():  # where one is missing, pandas has 7 as 7.0
            value = int(value)
        texts.append("" if missing else composed(str(value)))
    return texts
