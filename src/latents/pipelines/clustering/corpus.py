"""From documents to counts: the nodes that read a corpus and count its words."""

import logging
from collections.abc import Mapping
from numbers import Number
from typing import Any

import pandas as pd
from scipy import sparse

from latents.features import words
from latents.pipelines.clustering import bags
from latents.pipelines.clustering.parameters import FeaturesParameters, IngestParameters
from latents.pipelines.shared import truth_values

logger = logging.getLogger(__name__)


def ingest(
    raw_documents: pd.DataFrame | Mapping[str, Any], params: IngestParameters
) -> tuple[pd.DataFrame, bags.Bag]:
    """Check a corpus and give its columns their names and types.

    Parameters
    ----------
    raw_documents : DataFrame or mapping
        Texts: one row per document, in any order of columns. Or a bag of words: ``counts`` (a csr_array of shape
        (n_documents, n_words)), ``words`` (of the columns) and ``documents``, a table like the other, without
        texts. A table whose ``attrs`` name its ``file`` has the places in it as its index, for messages.
    params : IngestParameters
        Which columns are the text and the label.

    Returns
    -------
    documents : DataFrame
        Column ``text`` and, where given, ``label``, ``name`` (all three str) and ``held_out`` (bool). A missing
        text is an empty one; that of a document of a bag is made of its most frequent words, for people to
        read. Texts are composed (Unicode's NFC): an accent belongs to its letter, however it was typed.
    bag : mapping
        The counts and words of a bag; of texts nothing.

    Raises
    ------
    ValueError
        If there is no document or no text column, a value is of another kind than texts and numbers, or a row
        lacks its label or held-out mark; names the place.
    """
    bag: bags.Bag = {}
    text_column = params.text_column
    if isinstance(raw_documents, Mapping):
        bag = bags.to_arrays(raw_documents)
        raw_documents, text_column = bags.table_of(raw_documents), "text"
    if raw_documents.empty:
        raise ValueError("the corpus is empty: there is no document to cluster")
    columns = ", ".join(map(str, raw_documents.columns))
    if text_column not in raw_documents:
        raise ValueError(
            f"{raw_documents.attrs.get('file', 'the documents')}: no column {text_column!r} (parameter "
            f"clustering.ingest.text_column) among {columns}"
        )
    documents = pd.DataFrame({"text": _texts(raw_documents, text_column)})
    label_column = params.label_column
    if label_column is not None and label_column in raw_documents:
        documents["label"] = _texts(raw_documents, label_column)
        if (missing := documents.index[documents["label"] == ""]).size:
            raise ValueError(
                f"{_place(raw_documents, missing[0])}: there is no label; all documents must have one, or none"
            )
    elif label_column is not None:
        logger.warning(
            "no column %r among %s: without labels there is no NMI, ARI, accuracy or heat map",
            label_column,
            columns,
        )
    if "name" in raw_documents:
        names = _texts(raw_documents, "name")
        documents["name"] = [name or f"document {row}" for row, name in enumerate(names)]
    if "held_out" in raw_documents:
        documents["held_out"] = truth_values(
            raw_documents["held_out"].tolist(), lambda row: _place(raw_documents, row)
        )
    if (missing := documents.index[raw_documents[text_column].isna()]).size:
        # Tables on disk often cannot tell an empty text from a missing one.
        logger.warning(
            "%d documents have no text (the first: %s): taken as empty",
            missing.size,
            _place(raw_documents, missing[0]),
        )
    return documents, bag


def _texts(table: pd.DataFrame, column: str) -> list[str]:
    """Return the values of a column as texts; a missing one is empty."""
    values = table[column].astype(object)
    texts = []
    for row, (value, missing) in enumerate(zip(values, values.isna(), strict=True)):
        if not (missing or isinstance(value, str | Number)):
            raise ValueError(
                f"{_place(table, row)}: {column} is {value!r:.80}; allowed are texts and numbers"
            )
        texts.append("" if missing else words.composed(str(value)))
    return texts


def _place(table: pd.DataFrame, row: int) -> str:
    """Say where a row of a table comes from."""
    file = table.attrs.get("file")
    return f"{file}, {table.index.name} {table.index[row]}" if file else f"document {row}"


def count_words(
    documents: pd.DataFrame, bag: bags.Bag, params: FeaturesParameters
) -> tuple[sparse.csr_array, pd.DataFrame]:
    """Count the words of every document, or take the counts of the bag; then limit the vocabulary.

    A bag has words already: `params` lower-case them (words that are then the same are added up), leave out stop
    words and set the limits. The token pattern does not matter.

    Returns
    -------
    counts : sparse array of shape (n_documents, n_words)
        T, the number of times that each document uses each word.
    vocabulary : DataFrame
        One row per column of `counts`: ``word``, ``n_documents``, ``n_occurrences``.

    Raises
    ------
    ValueError
        If the vocabulary rules leave no word, or ask for n-grams of a bag.
    """
    limits = params.model_dump(include={"min_df", "max_df", "max_features"})
    if bag and params.ngram_range != [1, 1]:
        raise ValueError(
            f"clustering.features.ngram_range is {params.ngram_range}, but the words of a bag have no "
            "order; allowed is [1, 1]"
        )
    try:
        if bag:
            stop_words = words.stop_words_of(params.stop_words)
            columns = bags.words_of(bag, lowercase=params.lowercase, stop_words=stop_words)
            counted = words.limit_vocabulary(*columns, **limits)
        else:
            counted = words.count_words(documents["text"].tolist(), **params.model_dump())
    except ValueError as error:
        raise ValueError(
            f"the vocabulary rules leave no word of {len(documents)} documents ({error}); loosen "
            f"clustering.features: {params}"
        ) from error
    counts = counted.counts
    vocabulary = pd.DataFrame(
        {
            "word": counted.words,
            "n_documents": counted.n_documents,
            "n_occurrences": counts.sum(axis=0),
        }
    )
    lengths = counts.sum(axis=1)
    empty = (lengths == 0).nonzero()[0]
    if len(empty):
        logger.warning(
            "%d documents have no word of the vocabulary (the first is row %d); they are kept, and their "
            "responsibilities are the mixing weights",
            len(empty),
            empty[0],
        )
    logger.info("%d documents, %d words, %d counts", *counts.shape, counts.nnz)
    return counts, vocabulary
