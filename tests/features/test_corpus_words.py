"""The words of a corpus in blocks are those of all its texts at once, however it is parted."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse

from latents.estimators.common.blocks import LocalBlocks
from latents.features.corpus_words import CorpusCounts, words_of_corpus
from latents.features.scripts import BEGINNING, misfit, misfit_of_sample
from latents.features.words import WordRules, count_words, rules_of, stop_words_of

from .test_words import ODD, OPTIONS

# Python's opinion of the patterns that are tried.
pytestmark = pytest.mark.filterwarnings("ignore:Possible (nested set|set [a-z]+) at position:FutureWarning")

TEXT = st.text(st.sampled_from(ODD), max_size=25) | st.text("ab ", max_size=15)
PARTS = st.lists(st.lists(TEXT, max_size=4), min_size=1, max_size=6)
WORDS = WordRules(r"\w+", True, frozenset(), (1, 1))


def counted(parts, rules=WORDS, n_threads=1, **limits):
    """The words, and the counts of all blocks, each written where its number says."""
    written = {}

    def write(number, counts):
        assert counts.has_sorted_indices
        assert counts.dtype == np.int32
        written[number] = counts
        return number

    blocks = LocalBlocks(parts, n_threads)
    found = words_of_corpus(blocks, rules, **limits)
    counts = CorpusCounts(blocks, found, rules)
    told = counts.counted(write)
    assert told.written == sorted(written) == list(range(sum(map(bool, parts))))
    whole = sparse.csr_array(sparse.vstack([written[number] for number in told.written], format="csr"))
    assert (counts.in_memory() != whole).nnz == 0
    return found, told, whole


@settings(max_examples=200)
@given(
    parts=PARTS,
    **OPTIONS,
    n_threads=st.sampled_from([1, 2]),
)
@example(
    [["a b ab"], [], ["ab a b"]], r"\ba b\b|\w", True, None, (1, 2), 1, 1.0, None, 1
)  # "a b": a word, and two
@example([["\ud800 \ue000"], ["\U0001d4b3"]], r"\S+", True, None, (1, 1), 1, 1.0, 2, 1)
def test_any_parting_counts_the_same(
    parts, pattern, lowercase, stop_words, ngrams, min_df, max_df, max_features, n_threads
):
    texts = [text for part in parts for text in part]
    rules = WordRules(pattern, lowercase, stop_words_of(stop_words), ngrams)
    limits = {"min_df": min_df, "max_df": max_df, "max_features": max_features}
    try:
        expected = count_words(texts, **rules._asdict(), **limits)
    except ValueError:
        with pytest.raises(ValueError, match=r"no document has a token|max_df .* allows|none of .* words"):
            counted(parts, rules, n_threads, **limits)
        return
    found, told, counts = counted(parts, rules, n_threads, **limits)
    assert found.words == expected.words
    assert counts.shape == expected.counts.shape
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(counts, part), getattr(expected.counts, part))
    np.testing.assert_array_equal(found.n_documents, expected.n_documents)
    np.testing.assert_array_equal(found.n_occurrences, expected.counts.sum(axis=0))
    lengths, empty = expected.limited.lengths, expected.counts.sum(axis=1) == 0
    assert found.rows == [len(part) for part in parts]
    assert found.n_before == lengths.sum()
    assert (found.n_rare, found.n_common) == (expected.limited.n_rare, expected.limited.n_common)
    assert (told.n_empty, told.n_emptied) == (empty.sum(), (empty & (lengths > 0)).sum())
    assert told.n_nonzeros == counts.nnz
    assert told.first_empty == (empty.argmax() if empty.any() else None)


def test_ties_at_the_limit_of_features_are_broken_as_of_all_texts():
    rng = np.random.default_rng(0)
    words = np.array([f"{a}{b}" for a in "abcdefghijklmnop" for b in "abcdefghijklmnop"])
    texts = [" ".join(rng.choice(words, 40)) for _ in range(60)]
    for n in (1, 10, 100, 200):
        found, _, counts = counted([texts[:7], texts[7:50], texts[50:]], max_features=n)
        expected = count_words(texts, **WORDS._asdict(), max_features=n)
        assert found.words == expected.words
        np.testing.assert_array_equal(counts.toarray(), expected.counts.toarray())


@pytest.mark.parametrize("n_texts", [3, 2500])
def test_the_sample_is_that_of_all_texts(n_texts):
    rules = rules_of(r"(?u)\b[a-zA-Z]{3,}\b", lowercase=True, stop_words=None, ngram_range=(1, 1))
    texts = [f"the {n} " + "слова русского языка " * (150 if n % 40 == 0 else 1) for n in range(n_texts)]
    edges = [0, 1, 1, n_texts // 3, n_texts // 2, n_texts]
    parts = [texts[start:stop] for start, stop in pairwise(edges)]
    _, found, _ = counted(parts, rules)
    assert found.sample == [text[:BEGINNING] for text in texts[:: max(n_texts // 1000, 1)]]
    assert misfit_of_sample(found.sample, rules) == misfit(texts, rules) is not None


def test_a_block_that_changes_between_the_passes_is_refused():
    class Growing:
        def __init__(self):
            self.parts = [["a b"], ["a"]]

        def __iter__(self):
            yield from self.parts
            self.parts = [["a b"], ["a", "b"]]

    with pytest.raises(
        ValueError, match=r"^block 1: it has 2 documents, and had 1 when its words were sought"
    ):
        counted(Growing())


def test_no_document_at_all_is_refused():
    with pytest.raises(ValueError, match="no document has a token"):
        counted([[], []])
    with pytest.raises(ValueError, match="none of 3 words is in so many documents"):
        counted([["a b"], ["c"]], min_df=2)
