"""Where words stand in a text: what is found there is what is counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latents.features.occurrences import occurrences
from latents.features.tokens import words_of_any_language
from latents.features.words import WordRules, composed, count_all, count_vocabulary
from tests.features.test_words import ODD

PATTERNS = [
    r"(?u)\b\w\w+\b",
    r"(?u)\b(\w)\w*\b",
    r"[a-z]*",
    r"\S+",
    r"[\W_]+",
    r"a|(b)",
    words_of_any_language(),
]
LETTERS = WordRules(words_of_any_language(), True, frozenset(), (1, 1), True)


@given(
    st.text(st.sampled_from(ODD + "Σfi\u00ad\ufb01"), max_size=30),
    st.sampled_from(PATTERNS),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(1, 1), (1, 2), (2, 3)]),
)
def test_what_is_found_is_what_is_counted(text, pattern, lowercase, plain_letters, ngram_range):
    rules = WordRules(pattern, lowercase, frozenset({"ab", "1"}), ngram_range, plain_letters)
    words = count_all([composed(text)], rules)[1]
    counts = count_vocabulary([composed(text)], words, rules).toarray()[0]
    found = list(occurrences(text, {word: column for column, word in enumerate(words)}, rules))
    np.testing.assert_array_equal(
        np.bincount([occurrence.column for occurrence in found], minlength=len(words)), counts
    )
    for occurrence in found:
        for start, stop in occurrence.places:
            assert 0 <= start <= stop <= len(text)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("Signals, signals!", ["Signals", "signals"]),
        ("the SIGNALS", ["SIGNALS"]),
        ("one ﬁlter, signals", ["ﬁlter,", "signals"]),  # a letter of it becomes two
        ("ﬁ\u00adlter (signals)", ["ﬁ\u00adlter", "signals"]),
        ("cafe\u0301 au lait, signals", ["cafe\u0301", "signals"]),
    ],
)
def test_places_are_those_of_the_text_as_it_was_written(text, marked):
    columns = {"signals": 0, "filter": 1, "café": 2}
    places = [place for found in occurrences(text, columns, LETTERS) for place in found.places]
    assert [text[start:stop] for start, stop in places] == marked


def test_an_n_gram_has_the_places_of_its_words():
    rules = WordRules(r"\w+", True, frozenset({"of"}), (2, 2))
    (found,) = occurrences("Rate of Change", {"rate change": 5}, rules)
    assert found == (((0, 4), (8, 14)), 5)
