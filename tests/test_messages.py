"""Messages say enough to find a value, whatever it is, and no more."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latents.messages import printable, shown

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(VALUES)
def test_a_value_is_shown_by_its_beginning(value):
    assert len(shown(value)) <= 80
    if not isinstance(value, list | dict) and len(repr(value)) <= 30:
        assert shown(value) == repr(value)


@pytest.mark.parametrize(
    ("value", "beginning"),
    [
        (reduce(lambda inner, _: [inner], range(100_000), 1), "[[[[...]]]]"),
        ([8] * 10**6, "[8, 8, 8, 8, 8, 8, ...]"),
        ("a" * 10**7, "'aaaaaa"),
        (b"\0" * 10**7, r"b'\x00\x00"),
    ],
)
def test_what_is_long_or_deep_is_shown_all_the_same(value, beginning):
    assert shown(value).startswith(beginning)


@given(st.text(st.characters()))
def test_what_is_printable_can_be_written(text):
    printable(text + "\ud800").encode()
