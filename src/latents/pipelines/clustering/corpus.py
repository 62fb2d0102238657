"""From documents to counts: the nodes that read a corpus and count its words."""

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy import sparse

from latents.pipelines.clustering import bags, words
from latents.pipelines.clustering.parameters import FeaturesParameters, IngestParameters

logger = logging.getLogger(__name__)


def ingest(
    raw_documents: pd.DataFrame | Mapping[str, Any], params: IngestParameters
) -> tuple[pd.DataFrame, bags.Bag]:
    """Check a corpus and give its columns their names.

    Parameters
    ----------
    raw_documents : DataFrame or mapping
        Texts: one row per document, in any order of columns. Or a bag of words: ``counts`` (a csr_array of shape
        (n_documents, n_words)), ``words`` (of the columns) and ``documents``, a table like the other, without
        texts.
    params : IngestParameters
        Which columns are the text and the label.

    Returns
    -------
    documents : DataFrame
        Column ``text`` and, where given, ``label``, ``name`` and ``held_out``. A missing text is an empty
        one; that of a document of a bag is made of its most frequent words, for people to read.
    bag : mapping
        The counts and words of a bag; of texts nothing.

    Raises
    ------
    ValueError
        If there is no document or no text column, a text is none, or a row lacks its label or held-out mark.
    """
    bag: bags.Bag = {}
    text_column = params.text_column
    if isinstance(raw_documents, Mapping):
        bag = bags.to_arrays(raw_documents)
        raw_documents, text_column = bags.table_of(raw_documents), "text"
    if raw_documents.empty:
        raise ValueError("the corpus is empty: there is no document to cluster")
    if text_column not in raw_documents:
        raise ValueError(
            f"no column {text_column!r} (parameter clustering.ingest.text_column); "
            f"the documents have {', '.join(map(str, raw_documents.columns))}"
        )
    documents = pd.DataFrame({"text": raw_documents[text_column]})
    if params.label_column in raw_documents:
        documents["label"] = raw_documents[params.label_column]
    else:
        logger.warning(
            "no column %r: without labels there is no NMI, ARI, accuracy or heat map", params.label_column
        )
    for column in ("name", "held_out"):
        if column in raw_documents:
            documents[column] = raw_documents[column]
    documents = documents.reset_index(drop=True)
    for column in documents.columns.intersection(["label", "held_out"]):
        missing = documents.index[documents[column].isna() | (documents[column].astype(str) == "")]
        if len(missing):
            raise ValueError(f"document {missing[0]} has no {column}; all documents must have one, or none")
    return documents.assign(text=_texts(documents["text"])), bag


def _texts(column: "pd.Series[Any]") -> "pd.Series[str]":
    """Return the texts of a column; a missing one is empty."""
    absent = column.index[column.isna()]
    if len(absent):
        # Tables on disk often cannot tell an empty text from a missing one.
        logger.warning(
            "%d documents have no text (the first is row %d): taken as empty", len(absent), absent[0]
        )
    for row, text in enumerate(column):
        if isinstance(text, list | dict):
            raise ValueError(f"the text of document {row} is {text!r:.80}; allowed are texts")
    return column.fillna("").astype(str)


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
