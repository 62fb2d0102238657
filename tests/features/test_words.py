"""Word counting is CountVectorizer's, whichever engine finds the words."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from latents.features import tokens
from latents.features.words import (
    WordRules,
    composed,
    count_vocabulary,
    count_words,
    limit_vocabulary,
    merge_words,
    stop_words_of,
    take_vocabulary,
)

# Letters that upset tokenisers: capital İ (two characters in lower case), final sigma, combining marks, digits
# that are no decimals, letter numbers, circled letters, joiners, ideographs, vowel signs, a lone surrogate.
ODD = "aAbB12_ '-.\n\t\x1cİßΣ\u03c3ς\u0301é²½ⅣⓐⒶ\u200d\u200c日本हिन्दी٣͜\U0001d4b3🙂\ud800\u00a0\u2019"
TEXTS = st.lists(st.text(st.sampled_from(ODD), max_size=25) | st.text("ab ", max_size=15), max_size=6)
SHARED = [
    r"(?u)\b\w\w+\b",
    r"(?u)\b[^\W\d_]{3,}\b",
    r"(?u)\b[a-zA-Z]{3,}\b",
    r"\w+",
    r"\b[\w'-]+\b",
    r"[a-z]{1,2}\d",
    r"\d{2}",
    r"[^a]",
    r"[\W_]+",
    r"[éא-ת日a]+\b",
]
PYTHON = [
    r"(?u)\b(\w)\w*\b",
    r"(?<!a)b+",
    r"[a-z]*",
    r"\S+",
    r"(?i)a\w",
    r"\w+?b",
    r"a|ab",
    r"[[a]+",
    r"[a&&b]+",
    r"(?a:\w+)",
    r"\w+(?= )",
    r"(\w)\1",
    r"\ba b\b|\w",
    "",
]


def check(texts, **parameters):
    """Compare with scikit-learn: the same counts, words and order, or both refuse."""
    vectorizer = CountVectorizer(dtype=np.int32, **parameters)
    try:
        expected = sparse.csr_array(vectorizer.fit_transform(texts))
    except ValueError:
        with pytest.raises(ValueError, match=r"no document has a token|max_df .* allows|none of .* words"):
            count_words(texts, **parameters)
        return None
    expected.sort_indices()
    found = count_words(texts, **parameters)
    assert found.words == vectorizer.get_feature_names_out().tolist()
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found.counts, part), getattr(expected, part))
        assert getattr(found.counts, part).dtype == np.int32
    assert found.counts.shape == expected.shape
    np.testing.assert_array_equal(found.n_documents, expected.count_nonzero(axis=0))
    return found


@pytest.mark.parametrize(("pattern", "shared"), [(p, True) for p in SHARED] + [(p, False) for p in PYTHON])
def test_which_patterns_both_engines_read_alike(pattern, shared):
    assert (tokens._SHARED_GRAMMAR.fullmatch(pattern) is not None) == shared


@settings(max_examples=300, deadline=None)
@given(
    texts=TEXTS,
    pattern=st.sampled_from(SHARED + PYTHON),
    lowercase=st.booleans(),
    stop_words=st.sampled_from([None, "english", ["ab", "a", "é"]]),
    ngrams=st.sampled_from([(1, 1), (1, 2), (2, 2), (1, 3), (3, 3)]),
    min_df=st.sampled_from([1, 2, 0.0, 0.3]),
    max_df=st.sampled_from([1.0, 0.5, 2]),
    max_features=st.sampled_from([None, 1, 3]),
)
@example(["ΣΑΣ. ΑΣ İİ", "σας ας i̇i̇"], SHARED[0], True, None, (1, 2), 1, 1.0, None)
@example(["a b ab", "ab a b"], r"\ba b\b|\w", True, None, (1, 2), 1, 1.0, None)  # "a b": a word, and two
def test_counts_are_those_of_count_vectorizer(
    texts, pattern, lowercase, stop_words, ngrams, min_df, max_df, max_features
):
    check(
        texts,
        token_pattern=pattern,
        lowercase=lowercase,
        stop_words=stop_words,
        ngram_range=ngrams,
        min_df=min_df,
        max_df=max_df,
        max_features=max_features,
    )


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text(max_size=40), max_size=5), pattern=st.sampled_from(SHARED))
def test_any_text_at_all(texts, pattern):
    check(texts, token_pattern=pattern)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_pattern_of_the_shared_grammar(data):
    pattern = data.draw(st.from_regex(tokens._SHARED_GRAMMAR, fullmatch=True))
    texts = data.draw(TEXTS)
    try:
        tokens.re.compile(pattern)
    except tokens.re.error:  # such as [b-a] or {3,2}
        return
    check(texts, token_pattern=pattern)


def test_many_equally_frequent_words():
    rng = np.random.default_rng(0)
    alphabet = np.array(
        ["".join(pair) for pair in np.stack(np.meshgrid(*[list("abcdefghijklmnop")] * 2), -1).reshape(-1, 2)]
    )
    texts = [" ".join(rng.choice(alphabet, 40)) for _ in range(60)]
    for n in (1, 10, 100, 200):
        check(texts, max_features=n, token_pattern=r"\w+")


def test_blocks_change_nothing(monkeypatch):
    texts = ["one two three", "", "two été", "three e\u0301te\u0301 one", "two " * 30] * 3
    whole = check(texts, token_pattern=r"\w+", ngram_range=(1, 2))
    monkeypatch.setattr(tokens, "_BLOCK", 10)
    blocks = check(texts, token_pattern=r"\w+", ngram_range=(1, 2))
    assert whole.words == blocks.words
    np.testing.assert_array_equal(whole.counts.toarray(), blocks.counts.toarray())


def test_each_text_goes_to_the_engine_that_is_sure():
    sure = tokens._read_alike(["plain", "été 日本", "e\u0301", "²", "\ud800", "हिन्दी", "🙂 “quoted”…"])
    assert sure.tolist() == [True, True, False, False, False, False, True]


def test_several_groups_are_refused():
    with pytest.raises(ValueError, match=r"'\(a\)\(b\)' has 2 groups; at most one"):
        count_words(["ab"], token_pattern="(a)(b)")


def test_merging_adds_columns_of_the_same_word():
    counts = sparse.csr_array(np.array([[1, 0, 2, 4], [0, 3, 0, 5]], dtype=np.int32))
    merged, words = merge_words(counts, ["b", "a", "b", "c"])
    assert words == ["b", "a", "c"]
    np.testing.assert_array_equal(merged.toarray(), [[3, 0, 4], [0, 3, 5]])
    assert merged.nnz == 4
    np.testing.assert_array_equal(counts.toarray(), [[1, 0, 2, 4], [0, 3, 0, 5]])  # left as it was


def test_limits_sort_and_choose():
    counts = sparse.csr_array(np.array([[1, 0, 2, 4], [0, 3, 1, 5], [0, 0, 1, 1]], dtype=np.int32))
    limited = limit_vocabulary(counts, ["d", "c", "b", "a"], min_df=1, max_df=1.0, max_features=2)
    assert limited.words == ["a", "b"]
    np.testing.assert_array_equal(limited.counts.toarray(), [[4, 2], [5, 1], [1, 1]])
    assert limited.n_documents.tolist() == [3, 3]


@settings(max_examples=200, deadline=None)
@given(
    texts=TEXTS,
    vocabulary=st.lists(
        st.sampled_from(["a", "b", "ab", "a b", "ab ab", "é", "b a b", "A", "日本"]), unique=True
    ),
    pattern=st.sampled_from(SHARED + PYTHON),
    lowercase=st.booleans(),
    stop_words=st.sampled_from([None, ["ab", "a", "é"]]),
    ngrams=st.sampled_from([(1, 1), (1, 2), (2, 2), (1, 3), (3, 3)]),
)
@example(["a b ab", "ab a b"], ["a b", "b"], r"\ba b\b|\w", True, None, (1, 2))
def test_counts_of_a_given_vocabulary_are_those_of_count_vectorizer(
    texts, vocabulary, pattern, lowercase, stop_words, ngrams
):
    rules = WordRules(pattern, lowercase, stop_words_of(stop_words), ngrams)
    found = count_vocabulary(texts, vocabulary, rules)
    assert found.shape == (len(texts), len(vocabulary))
    assert found.has_sorted_indices
    if not vocabulary:
        return
    vectorizer = CountVectorizer(
        vocabulary=vocabulary,
        token_pattern=pattern,
        lowercase=lowercase,
        stop_words=stop_words,
        ngram_range=ngrams,
    )
    expected = vectorizer.transform(texts)
    np.testing.assert_array_equal(found.toarray(), expected.toarray())


def test_the_words_of_a_bag_go_to_the_columns_of_a_vocabulary():
    bag = sparse.csr_array(np.array([[1, 2, 4, 8], [0, 0, 3, 0]], dtype=np.int32))
    words = ["Tree", "unknown", "sea", "tree"]
    taken = take_vocabulary(bag, words, ["sea", "sky", "tree"], lowercase=True)
    np.testing.assert_array_equal(taken.toarray(), [[4, 0, 9], [3, 0, 0]])
    exact = take_vocabulary(bag, words, ["sea", "sky", "tree"], lowercase=False)
    np.testing.assert_array_equal(exact.toarray(), [[4, 0, 8], [3, 0, 0]])
    assert take_vocabulary(bag, words, ["none"], lowercase=True).nnz == 0


def test_composed_texts_have_one_spelling_of_an_accent():
    assert composed("scho\u0308n") == composed("schön") == "schön"
