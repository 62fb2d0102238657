"""Documents of any origin as one table: the first stage of the pipelines that read texts."""

import logging
from collections.abc import Mapping
from numbers import Number
from typing import Any

import pandas as pd

from latents.features.words import composed
from latents.pipelines import bags
from latents.pipelines.shared import Parameters

logger = logging.getLogger(__name__)


class IngestParameters(Parameters):
    """Which columns of the raw table hold the documents."""

    text_column: str
    label_column: str | None


def table_and_bag(
    raw_documents: pd.DataFrame | Mapping[str, Any], params: IngestParameters, first_word: int | None = None
) -> tuple[pd.DataFrame, bags.Bag]:
    """Return the table of a corpus, and of a bag of words its counts and words.

    Parameters
    ----------
    raw_documents : DataFrame or mapping
        Texts: one row per document, in any order of columns. Or a bag of words: ``counts`` (a csr_array of shape
        (n_documents, n_words)), ``words`` (of the columns) and ``documents``, a table like the other, without
        texts. A table whose ``attrs`` name its ``file`` has the places in it as its index, for messages.
    params : IngestParameters
        The column of the texts, which that of a bag gets too: the most frequent words, for people to read.
    first_word : int, optional
        Of new documents: the number of the first word in the training (see ``features.numbering``).

    Raises
    ------
    ValueError
        If there is no document or no text column, a count of a bag is no number of occurrences, or nothing
        tells how its words are numbered.
    """
    bag: bags.Bag = {}
    if isinstance(raw_documents, Mapping):
        bag = bags.to_arrays(raw_documents, first_word)
        table = bags.table_of(raw_documents["documents"], bag)
        raw_documents = table.rename(columns={"text": params.text_column})
    if raw_documents.empty:
        raise ValueError("the corpus is empty: there is no document to cluster")
    if params.text_column not in raw_documents:
        raise ValueError(
            f"{raw_documents.attrs.get('file', 'the documents')}: no column {params.text_column!r} (parameter "
            f"ingest.text_column) among {', '.join(map(str, raw_documents.columns))}"
        )
    return raw_documents, bag


def texts_and_names(table: pd.DataFrame, params: IngestParameters) -> pd.DataFrame:
    """Return the columns ``text`` and, where there are any, ``label`` and ``name`` of a table of documents.

    All are str; what is missing is empty, but for names, which then are the places. Texts are composed (Unicode's
    NFC): an accent belongs to its letter, however it was typed.

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
                f"{place_of(table, row)}: {column} is {value!r:.80}; allowed are texts and numbers"
            )
        texts.append("" if missing else composed(str(value)))
    return texts
