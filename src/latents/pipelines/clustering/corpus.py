"""From documents to counts: the nodes that read a corpus and count its words."""

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy import sparse

from latents.features import words
from latents.messages import some_of
from latents.pipelines import bags
from latents.pipelines.clustering.parameters import FeaturesParameters
from latents.pipelines.documents import IngestParameters, place_of, table_and_bag, texts_and_names
from latents.pipelines.shared import truth_values

logger = logging.getLogger(__name__)


def ingest(
    raw_documents: pd.DataFrame | Mapping[str, Any], params: IngestParameters
) -> tuple[pd.DataFrame, bags.Bag]:
    """Check a corpus and give its columns their names and types.

    Parameters
    ----------
    raw_documents : DataFrame or mapping
        A table of texts or a bag of words (see ``table_and_bag``).
    params : IngestParameters
        Which columns are the text and the label.

    Returns
    -------
    documents : DataFrame
        Column ``text`` and, where given, ``label``, ``name`` (all three str, see ``texts_and_names``) and
        ``held_out`` (bool).
    bag : mapping
        The counts and words of a bag; of texts nothing.

    Raises
    ------
    ValueError
        If there is no document or no text column, a value is of another kind than texts and numbers, or a row
        lacks its label or held-out mark; names the place.
    """
    table, bag = table_and_bag(raw_documents, params)
    documents = texts_and_names(table, params)
    if "label" in documents:
        if (missing := documents.index[documents["label"] == ""]).size:
            raise ValueError(
                f"{place_of(table, missing[0])}: there is no label; all documents must have one, or none"
            )
    elif params.label_column is not None:
        logger.warning(
            "no column %r among %s: without labels there is no NMI, ARI, accuracy or heat map",
            params.label_column,
            some_of(table.columns),
        )
    if "held_out" in table:
        documents["held_out"] = truth_values(table["held_out"].tolist(), lambda row: place_of(table, row))
    return documents, bag


def count_words(
    documents: pd.DataFrame, bag: bags.Bag, params: FeaturesParameters
) -> tuple[sparse.csr_array, pd.DataFrame, dict[str, Any]]:
    """Count the words of every document, or take the counts of the bag; then limit the vocabulary.

    A bag has words already: `params` lower-case them (words that are then the same are added up), leave out stop
    words and set the limits. The token pattern does not matter.

    Returns
    -------
    counts : sparse array of shape (n_documents, n_words)
        T, the number of times that each document uses each word.
    vocabulary : DataFrame
        One row per column of `counts`: ``word``, ``n_documents``, ``n_occurrences``.
    word_rules : mapping
        How a text becomes words: ``WordRules`` as JSON.

    Raises
    ------
    ValueError
        If the vocabulary rules leave no word, or ask for n-grams of a bag.
    """
    limits = params.model_dump(include={"min_df", "max_df", "max_features"})
    shortest, longest = params.ngram_range
    stop_words = words.stop_words_of(params.stop_words)
    rules = words.WordRules(params.token_pattern, params.lowercase, stop_words, (shortest, longest))
    if bag and params.ngram_range != [1, 1]:
        raise ValueError(
            f"clustering.features.ngram_range is {params.ngram_range}, but the words of a bag have no "
            "order; allowed is [1, 1]"
        )
    try:
        if bag:
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
    return counts, vocabulary, rules.to_json()
