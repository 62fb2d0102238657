"""Word counting is CountVectorizer's, whichever engine finds the words."""

# ruff: noqa: RUF001 - letters of other scripts are what is tried here

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from latents.features import tokens
from latents.features.tokens import words_of_any_language
from latents.features.words import (
    WordRules,
    composed,
    count_vocabulary,
    count_words,
    limit_vocabulary,
    match_stop_words,
    merge_words,
    rules_of,
    stop_words_of,
    take_vocabulary,
)

# CountVectorizer's opinion of the patterns and lists that it is tried with.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Your stop_words may be inconsistent:UserWarning"),
    pytest.mark.filterwarnings("ignore:Possible (nested set|set [a-z]+) at position:FutureWarning"),
]

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
    r"[\u0900-\u0963\u0971-\u097f]{2,}",
    r"[^\u0301\u200d\U0001d4b3-\U0001d4b5-]{2}",
    r"\w\d|[a-z]{2}",
    words_of_any_language(),
]
PYTHON = [
    r"(?u)\b(\w)\w*\b",
    r"(?<!a)b+",
    r"[a-z]*",
    r"\S+",
    r"(?i)a\w",
    r"\w+?b",
    r"a|ab",
    r"[\ud800-\udfff]+",
    r"[\U0000d800]+",
    r"\w+|\d|[a]",
    r"[[a]+",
    r"[a&&b]+",
    r"(?a:\w+)",
    r"\w+(?= )",
    r"(\w)\1",
    r"\ba b\b|\w",
    "",
]


def check(texts, vectorizer=None, **parameters):
    """Compare with scikit-learn: the same counts, words and order, or both refuse."""
    vectorizer = vectorizer or CountVectorizer(dtype=np.int32, **parameters)
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


# What words may be counted by.
OPTIONS = {
    "pattern": st.sampled_from(SHARED + PYTHON),
    "lowercase": st.booleans(),
    "stop_words": st.sampled_from([None, "english", ["ab", "a", "é"]]),
    "ngrams": st.sampled_from([(1, 1), (1, 2), (2, 2), (1, 3), (3, 3)]),
    "min_df": st.sampled_from([1, 2, 0.0, 0.3]),
    "max_df": st.sampled_from([1.0, 0.5, 2]),
    "max_features": st.sampled_from([None, 1, 3]),
}


@pytest.mark.parametrize(("pattern", "shared"), [(p, True) for p in SHARED] + [(p, False) for p in PYTHON])
def test_which_patterns_both_engines_read_alike(pattern, shared):
    assert (tokens._SHARED_GRAMMAR.fullmatch(pattern) is not None) == shared


@settings(max_examples=300)
@given(
    texts=TEXTS,
    **OPTIONS,
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


@settings(max_examples=100)
@given(texts=st.lists(st.text(max_size=40), max_size=5), pattern=st.sampled_from(SHARED))
def test_any_text_at_all(texts, pattern):
    check(texts, token_pattern=pattern)


@given(st.data())
@settings(max_examples=100)
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
    texts = ["plain", "été 日本", "e\u0301", "²", "\ud800", "हिन्दी", "🙂 “quoted”…"]
    assert tokens._read_alike(texts, r"\w+").tolist() == [True, True, False, False, False, False, True]
    numbered = tokens._read_alike(texts, words_of_any_language())
    assert numbered.tolist() == [True, True, True, True, False, True, True]


def test_several_groups_are_refused():
    with pytest.raises(ValueError, match=r"'\(a\)\(b\)' has 2 groups; at most one"):
        count_words(["ab"], token_pattern="(a)(b)")


@pytest.mark.parametrize("pattern", ["(", "(" * 100_000, "a{99999999999}"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match=r"^token_pattern '.* is no regular expression: ") as raised:
        count_words(["ab"], token_pattern=pattern)
    assert len(str(raised.value)) < 400


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


@pytest.mark.parametrize("ngrams", [(1, 1), (1, 2)])
def test_what_the_limits_had_to_do_with_is_counted(ngrams):
    texts = ["a b a", "a c", "a b d d", "_"]
    found = count_words(texts, token_pattern=r"[a-z]", ngram_range=ngrams, min_df=2, max_df=2)
    everything = count_words(texts, token_pattern=r"[a-z]", ngram_range=ngrams)
    assert found.words == (["a b", "b"] if ngrams[1] == 2 else ["b"])
    lengths = everything.counts.sum(axis=1)
    assert found.limited.lengths.tolist() == everything.limited.lengths.tolist() == lengths.tolist()
    assert found.limited.n_common == 4  # "a", in three documents
    assert found.limited.n_rare == lengths.sum() - found.counts.sum() - 4
    assert everything.limited[1:] == (0, 0)


@settings(max_examples=200)
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
    lower = WordRules(r"\w+", True, frozenset(), (1, 1))
    as_given = lower._replace(lowercase=False)
    taken = take_vocabulary(bag, words, ["sea", "sky", "tree"], lower)
    np.testing.assert_array_equal(taken.toarray(), [[4, 0, 9], [3, 0, 0]])
    exact = take_vocabulary(bag, words, ["sea", "sky", "tree"], as_given)
    np.testing.assert_array_equal(exact.toarray(), [[4, 0, 8], [3, 0, 0]])
    assert take_vocabulary(bag, words, ["none"], lower).nnz == 0


def test_composed_texts_have_one_spelling_of_an_accent():
    assert composed("scho\u0308n") == composed("schön") == "schön"


def words_in(text, **changes):
    """The words of a text by the default rules, in its order."""
    rules = rules_of("words", lowercase=True, stop_words=None, ngram_range=(1, 1))._replace(**changes)
    found, words = tokens.tokenise([rules.spelled(composed(text))], rules.token_pattern)
    return [words[word] for word in found.words]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("_remarkable_ __strong__ *so* it is", ["remarkable", "strong"]),
        ("word2vec and covid19, utf8_decoder, h2o", ["word", "vec", "and", "covid", "utf", "decoder"]),
        ("x² word² Python™ ½cup", ["word", "python", "cup"]),
        ("İzmir İZMİR IZMIR izmir", ["izmir"] * 4),
        ("ọ̀rọ̀ Ọ̀RỌ̀", ["ọ̀rọ̀", "ọ̀rọ̀"]),
        ("за́мок и замо́к", ["за́мок", "замо́к"]),
        ("كِتَابٌ كتاب", ["كِتَابٌ", "كتاب"]),
        ("שָׁלוֹם שלום", ["שָׁלוֹם", "שלום"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("किताब घर और", ["किताब", "घर", "और"]),
        ("ভাষা বই", ["ভাষা", "বই"]),
        ("ภาษาไทย น้ำ", ["ภาษาไทย", "น้ำ"]),
        ("학교 한국어 나", ["학교", "한국어"]),
        ("ቤት አማርኛ", ["ቤት", "አማርኛ"]),
        ("我们 喜欢 音乐", ["我们", "喜欢", "音乐"]),
        ("ΟΔΟΣ οδος", ["οδος", "οδος"]),
        ("straße STRAẞE", ["straße", "straße"]),
        ("co\u00adoperation coopera\u00adtion", ["cooperation", "cooperation"]),
        ("ﬁnancial ﬀect oﬃce", ["financial", "ffect", "office"]),
        ("Ｌａｔｅｎｔ 𝐥𝐚𝐭𝐞𝐧𝐭 𝓛𝓪𝓽𝓮𝓷𝓽", ["latent"] * 3),
        ("ﻛﺘﺎﺏ كتـــاب", ["كتاب", "كتاب"]),
        ("می\u200cخواهم میخواهم", ["میخواهم", "میخواهم"]),
        ("ශ්\u200dරී ශ්රී", ["ශ්රී", "ශ්රී"]),
        ("word\ufe0f \ufeffword \u200fword", ["word"] * 3),
        ("ភាសា\u200bខ្មែរ", ["ភាសា", "ខ្មែរ"]),  # a space of no width parts words
        ("don't l'avion", ["don", "avion"]),
        ("ab 12 _ !", []),
    ],
)
def test_the_words_of_any_language(text, words):
    assert words_in(text) == [composed(word) for word in words]
    assert words_in(f"{text} \ud800") == words_in(text)  # what goes to Python's engine


def test_case_is_kept_where_it_is_to_be():
    assert words_in("İzmir ﬁne", lowercase=False) == ["İzmir", "fine"]


# Letters, marks, digits and format characters of many scripts, with what parts them.
SCRIPTS = st.characters(categories=("L", "M", "N", "Cf", "Zs", "P")) | st.sampled_from(
    " _-'2\u00ad\u200b\ud800"
)


@settings(max_examples=300)
@given(texts=st.lists(st.text(SCRIPTS, max_size=40), min_size=1, max_size=4), lowercase=st.booleans())
def test_the_words_of_any_language_are_count_vectorizers(texts, lowercase):
    rules = rules_of("words", lowercase=lowercase, stop_words=None, ngram_range=(1, 1))
    vectorizer = CountVectorizer(
        dtype=np.int32, token_pattern=rules.token_pattern, preprocessor=rules.spelled
    )
    found = check(texts, vectorizer, **rules._asdict())
    if found is not None:
        known = count_vocabulary(texts, found.words, WordRules.from_json(rules.to_json()))
        np.testing.assert_array_equal(known.toarray(), found.counts.toarray())


@given(st.text(SCRIPTS, max_size=30))
@example("\ufcf2\ufe77a")  # Arabic marks that stand on a tatweel
def test_words_are_spelled_once_and_for_all(text):
    rules = rules_of("words", lowercase=True, stop_words=None, ngram_range=(1, 1))
    for word in words_in(text):
        assert words_in(word) == [word]
        assert rules.spelled(composed(word)) == word


def test_rules_saved_before_letters_were_made_plain_are_without():
    saved = {"token_pattern": r"\w+", "lowercase": True, "stop_words": [], "ngram_range": [1, 1]}
    rules = WordRules.from_json(saved)
    assert rules.plain_letters is False
    counts = count_vocabulary(["ﬁne İ fine"], ["fine", "i", "ﬁne"], rules)
    assert counts.toarray().tolist() == [[1, 1, 1]]
    assert WordRules.from_json(rules._replace(plain_letters=True).to_json()).plain_letters is True


@pytest.mark.parametrize(
    ("pattern", "given", "left_out", "unmatched"),
    [
        ("words", ["Und", "KÜCHE", "fu\u0308r"], {"und", "küche", "für"}, []),
        ("words", ["don't", "ﬁne", "İki"], {"don't", "don", "fine", "iki"}, []),
        ("words", ["no", "New York"], {"no", "new york"}, ["new york", "no"]),
        (r"\w", ["the", "A"], {"the", "a"}, ["the"]),  # single letters are not to vanish
        (r"(?<=#)\w+", ["news"], {"news"}, ["news"]),
    ],
)
def test_stop_words_are_read_as_texts_are(pattern, given, left_out, unmatched):
    rules = rules_of(pattern, lowercase=True, stop_words=given, ngram_range=(1, 1))
    matched, without = match_stop_words(rules)
    assert matched.stop_words == left_out
    assert without == unmatched


def test_english_stop_words_stay_the_list():
    rules = rules_of("words", lowercase=True, stop_words="english", ngram_range=(1, 1))
    assert match_stop_words(rules)[0].stop_words == stop_words_of("english")
