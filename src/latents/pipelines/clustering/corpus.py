"""From documents to counts: the nodes that read a corpus and count its words."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from latents.estimators.common.blocks import Blocks
from latents.features import words
from latents.features.block_counts import BlockCounts
from latents.features.corpus_words import CorpusCounts, Counted, words_of_corpus
from latents.features.documents import DocumentBlocks, Documents, place_of
from latents.features.scripts import Misfit, Unspaced, misfit, misfit_of_sample
from latents.messages import some_of
from latents.pipelines import bags
from latents.pipelines.clustering.guiding import check_labels
from latents.pipelines.clustering.parameters import FeaturesParameters, FitParameters
from latents.pipelines.documents import IngestParameters, read_documents
from latents.pipelines.shared import truth_values

logger = logging.getLogger(__name__)

# What limits of the vocabulary may leave without words, of the documents, and drop, of the occurrences of words.
_MOST_EMPTIED, _MOST_DROPPED = 0.1, 0.5


def ingest(
    raw_documents: pd.DataFrame | Mapping[str, Any] | Blocks[pd.DataFrame],
    params: IngestParameters,
    fit: FitParameters,
) -> tuple[Documents, bags.Bag]:
    """Check a corpus and give its columns their names and types.

    Parameters
    ----------
    raw_documents : DataFrame, mapping or Blocks
        Tables of texts or a bag of words (see ``read_documents``).
    params : IngestParameters
        Which columns are the text and the label.
    fit : FitParameters
        Whether labels guide; then some may be missing.

    Returns
    -------
    documents : DataFrame or DocumentBlocks
        Column ``text`` and, where given, ``label``, ``name`` (str, see ``Read``) and ``held_out`` (bool).
    bag : mapping
        The counts and words of a bag; of texts nothing.

    Raises
    ------
    ValueError
        If there is no document or no text column, a value is of another kind than texts and numbers, or a row
        lacks its label or held-out mark; names the place. If labels are to guide, and there is none.
    """
    documents, told, bag = read_documents(raw_documents, params)
    place = partial(place_of, told.table)
    labels = documents["label"].tolist() if "label" in documents else None
    check_labels(labels, fit.use_labels, place)
    if labels is None and params.label_column is not None:
        logger.warning(
            "no column %.80r among %s: without labels there is no NMI, ARI, accuracy or heat map",
            params.label_column,
            some_of(told.columns),
        )
    if "held_out" in told.table:
        documents = documents.assign(held_out=truth_values(told.table["held_out"].tolist(), place))
    return documents, bag


def count_words(
    documents: Documents, bag: bags.Bag, params: FeaturesParameters
) -> tuple[sparse.csr_array | BlockCounts, pd.DataFrame, dict[str, Any]]:
    """Count the words of every document, or take the counts of the bag; then limit the vocabulary.

    A bag has words already: `params` spell them (words that are then the same are added up), leave out stop words
    and set the limits. What the token pattern finds does not matter.

    Returns
    -------
    counts : csr_array or BlockCounts of shape (n_documents, n_words)
        T, the number of times that each document uses each word. Of documents in blocks they are made when they
        are written, where the blocks are.
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
    if not bag:
        rules = _with_stop_words_matched(rules, params)
    counts: sparse.csr_array | BlockCounts
    try:
        if isinstance(documents, DocumentBlocks) and not bag:
            counts, vocabulary = _counted_in_blocks(documents, rules, limits, params)
        else:
            counts, vocabulary = _counted(documents, bag, rules, limits, params)
    except ValueError as error:
        raise ValueError(
            f"the vocabulary rules leave no word of {len(documents)} documents ({error}); loosen "
            f"clustering.features: {params}"
        ) from error
    return counts, vocabulary, rules.to_json()


def _counted(
    documents: Documents,
    bag: bags.Bag,
    rules: words.WordRules,
    limits: Mapping[str, Any],
    params: FeaturesParameters,
) -> tuple[sparse.csr_array, pd.DataFrame]:
    if bag:
        found = words.limit_vocabulary(*bags.words_of(bag, rules), **limits)
    else:
        texts = documents["text"].tolist()
        _warn_of_a_misfit(misfit(texts, rules))
        found = words.count_words(texts, **rules._asdict(), **limits)
    counts, limited = found.counts, found.limited
    empty = counts.sum(axis=1) == 0
    _tell(
        _Limits(
            int(limited.lengths.sum()),
            limited.n_rare,
            limited.n_common,
            n_after=int(counts.sum()),
            n_emptied=int((empty & (limited.lengths > 0)).sum()),
            n_empty=int(empty.sum()),
            first_empty=int(empty.argmax()) if empty.any() else None,
        ),
        (*counts.shape, counts.nnz),
        params,
    )
    return counts, _vocabulary(found.words, found.n_documents, counts.sum(axis=0))


def _counted_in_blocks(
    documents: DocumentBlocks, rules: words.WordRules, limits: Mapping[str, Any], params: FeaturesParameters
) -> tuple[BlockCounts, pd.DataFrame]:
    found = words_of_corpus(documents.texts, rules, **limits)

    def tell(counted: Counted[Any]) -> None:
        _warn_of_a_misfit(misfit_of_sample(counted.sample, rules))
        _tell(
            _Limits(
                found.n_before,
                found.n_rare,
                found.n_common,
                n_after=int(found.n_occurrences.sum()),
                n_emptied=counted.n_emptied,
                n_empty=counted.n_empty,
                first_empty=counted.first_empty,
            ),
            (len(documents), len(found.words), counted.n_nonzeros),
            params,
        )

    vocabulary = _vocabulary(found.words, found.n_documents, found.n_occurrences)
    return CorpusCounts(documents.texts, found, rules, tell), vocabulary


def _vocabulary(found: list[str], n_documents: NDArray[Any], n_occurrences: NDArray[Any]) -> pd.DataFrame:
    return pd.DataFrame({"word": found, "n_documents": n_documents, "n_occurrences": n_occurrences})


class _Limits(NamedTuple):
    """What limits of the vocabulary have left, in occurrences of words and in documents without any."""

    n_before: int
    n_rare: int
    n_common: int
    n_after: int
    n_emptied: int
    n_empty: int
    first_empty: int | None


def _tell(limits: _Limits, shape: tuple[int, int, int], params: FeaturesParameters) -> None:
    """Say what was counted, and what is to be set where limits of the vocabulary leave little of the corpus."""
    n_documents = shape[0]
    # Most pairs of words are rare: that they are dropped is as it should be.
    n_dropped = limits.n_rare + limits.n_common if params.ngram_range == [1, 1] else 0
    if limits.n_emptied > _MOST_EMPTIED * n_documents or n_dropped > _MOST_DROPPED * limits.n_before:
        n_beyond = limits.n_before - limits.n_rare - limits.n_common - limits.n_after
        advice = {
            "a smaller min_df: to some hundred short texts 1 or 2 is enough": limits.n_rare,
            "a greater max_df, with stop_words for what tells nothing": limits.n_common,
            "a greater max_features": n_beyond,
        }
        logger.warning(
            "of %d occurrences of words in %d documents clustering.features.min_df (%s) drops %d, max_df (%s) %d "
            "and max_features (%s) %d, and %d documents have no word left; set %s",
            limits.n_before,
            n_documents,
            params.min_df,
            limits.n_rare,
            params.max_df,
            limits.n_common,
            params.max_features,
            n_beyond,
            limits.n_emptied,
            max(advice, key=advice.__getitem__),
        )
    if limits.n_empty:
        logger.warning(
            "%d documents have no word of the vocabulary (the first is row %d); they are kept, and their "
            "responsibilities are the mixing weights",
            limits.n_empty,
            limits.first_empty,
        )
    logger.info("%d documents, %d words, %d counts", *shape)


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


def _warn_of_a_misfit(found: Misfit | None) -> None:
    """Say of a corpus in a script that the pattern cannot part into words, or cuts, what is to be set."""
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
