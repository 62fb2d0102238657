"""From documents to counts: the nodes that read a corpus and count its words."""

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy import sparse

from latents.features import words
from latents.features.scripts import Unspaced, misfit
from latents.messages import some_of
from latents.pipelines import bags
from latents.pipelines.clustering.guiding import check_labels
from latents.pipelines.clustering.parameters import FeaturesParameters, FitParameters
from latents.pipelines.documents import IngestParameters, place_of, table_and_bag, texts_and_names
from latents.pipelines.shared import truth_values

logger = logging.getLogger(__name__)

# What limits of the vocabulary may leave without words, of the documents, and drop, of the occurrences of words.
_MOST_EMPTIED, _MOST_DROPPED = 0.1, 0.5


def ingest(
    raw_documents: pd.DataFrame | Mapping[str, Any], params: IngestParameters, fit: FitParameters
) -> tuple[pd.DataFrame, bags.Bag]:
    """Check a corpus and give its columns their names and types.

    Parameters
    ----------
    raw_documents : DataFrame or mapping
        A table of texts or a bag of words (see ``table_and_bag``).
    params : IngestParameters
        Which columns are the text and the label.
    fit : FitParameters
        Whether labels guide; then some may be missing.

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
        lacks its label or held-out mark; names the place. If labels are to guide, and there is none.
    """
    table, bag = table_and_bag(raw_documents, params)
    documents = texts_and_names(table, params)
    labels = documents["label"].tolist() if "label" in documents else None
    check_labels(labels, fit.use_labels, lambda row: place_of(table, row))
    if labels is None and params.label_column is not None:
        logger.warning(
            "no column %.80r among %s: without labels there is no NMI, ARI, accuracy or heat map",
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

    A bag has words already: `params` spell them (words that are then the same are added up), leave out stop words
    and set the limits. What the token pattern finds does not matter.

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
    rules = words.rules_of(
        params.token_pattern,
        lowercase=params.lowercase,
        stop_words=params.stop_words,
        ngram_range=(params.ngram_range[0], params.ngram_range[1]),
    )
    if bag and params.ngram_range != [1, 1]:
        raise ValueError(
            f"clustering.features.ngram_range is {params.ngram_range}, but the words of a bag have no "
            "order; allowed is [1, 1]"
        )
    try:
        if bag:
            counted = words.limit_vocabulary(*bags.words_of(bag, rules), **limits)
        else:
            texts = documents["text"].tolist()
            rules = _with_stop_words_matched(rules, params)
            _warn_of_a_misfit(texts, rules)
            counted = words.count_words(texts, **rules._asdict(), **limits)
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
    empty = (counts.sum(axis=1) == 0).nonzero()[0]
    _warn_of_what_limits_drop(counts, counted.limited, params)
    if len(empty):
        logger.warning(
            "%d documents have no word of the vocabulary (the first is row %d); they are kept, and their "
            "responsibilities are the mixing weights",
            len(empty),
            empty[0],
        )
    logger.info("%d documents, %d words, %d counts", *counts.shape, counts.nnz)
    return counts, vocabulary, rules.to_json()


def _warn_of_what_limits_drop(
    counts: sparse.csr_array, limited: words.Limited, params: FeaturesParameters
) -> None:
    """Say what is to be set where the limits of the vocabulary leave little of the corpus."""
    n_documents, n_words = len(limited.lengths), int(limited.lengths.sum())
    n_emptied = int(((counts.sum(axis=1) == 0) & (limited.lengths > 0)).sum())
    # Most pairs of words are rare: that they are dropped is as it should be.
    n_dropped = limited.n_rare + limited.n_common if params.ngram_range == [1, 1] else 0
    if n_emptied <= _MOST_EMPTIED * n_documents and n_dropped <= _MOST_DROPPED * n_words:
        return
    n_beyond = n_words - limited.n_rare - limited.n_common - int(counts.sum())
    advice = {
        "a smaller min_df: to some hundred short texts 1 or 2 is enough": limited.n_rare,
        "a greater max_df, with stop_words for what tells nothing": limited.n_common,
        "a greater max_features": n_beyond,
    }
    logger.warning(
        "of %d occurrences of words in %d documents clustering.features.min_df (%s) drops %d, max_df (%s) %d and "
        "max_features (%s) %d, and %d documents have no word left; set %s",
        n_words,
        n_documents,
        params.min_df,
        limited.n_rare,
        params.max_df,
        limited.n_common,
        params.max_features,
        n_beyond,
        n_emptied,
        max(advice, key=advice.__getitem__),
    )


def _with_stop_words_matched(rules: words.WordRules, params: FeaturesParameters) -> words.WordRules:
    """Return the rules with what the pattern makes of the stop words, and say of which it makes nothing."""
    rules, unmatched = words.match_stop_words(rules)
    if unmatched and params.stop_words != "english":
        logger.warning(
            "%d of %d stop words, such as %s, are not one word to clustering.features.token_pattern (too short, "
            "or several), so that none of a text can be such a one",
            len(unmatched),
            len(params.stop_words or []),
            some_of(unmatched[:3]),
        )
    return rules


def _warn_of_a_misfit(texts: list[str], rules: words.WordRules) -> None:
    """Say of a corpus in a script that the pattern cannot part into words, or cuts, what is to be set."""
    found = misfit(texts, rules)
    if found is None:
        return
    script = found.script
    if isinstance(script, Unspaced):
        logger.warning(
            "the texts are mostly %s, without spaces between words, and clustering.features.token_pattern takes "
            "clauses for words, such as %r; put spaces between words, or set token_pattern: '%s', ngram_range: "
            "[%d, %d] and stop_words: null (docs/data.md, Texts in other languages)",
            script.languages,
            found.example[:20],
            script.pattern,
            script.n_together,
            script.n_together,
        )
    else:
        logger.warning(
            "the texts are mostly in %s letters, and clustering.features.token_pattern finds %.0f%% of them or of "
            "their marks; 'words' finds the words of any language (docs/data.md, Texts in other languages)",
            script,
            100 * found.share,
        )
