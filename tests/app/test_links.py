"""The state of a page as a link: what goes in comes out, and nothing else does."""

import json
import random
import string
import zlib
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latents.app.links import LONGEST, packed, unpacked

REFUSED = "the link is damaged: what comes after # is no state of this page"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=10,
)


def link_of(told):
    return urlsafe_b64encode(zlib.compress(told)).decode().rstrip("=")


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_what_goes_in_comes_out(state):
    link = packed(state)
    assert unpacked(link) == state
    assert set(link) <= set(string.ascii_letters + string.digits + "-_")  # which nobody escapes


@pytest.mark.parametrize("text", ["\ud800 alone", "😀 and \U0010ffff", "\x00", "'\"<>&#%"])
def test_every_character_comes_back(text):
    assert unpacked(packed({"text": text})) == {"text": text}


def test_a_state_that_takes_too_many_characters_has_no_link():
    random_text = "".join(random.Random(0).choices(string.printable, k=2 * LONGEST))
    assert packed({"text": random_text}) is None
    assert len(packed({"text": random_text[: LONGEST // 2]})) <= LONGEST
    assert unpacked(packed({"text": "a" * 200_000})) == {"text": "a" * 200_000}  # which few say


@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=5), st.data())
def test_a_link_that_was_cut_is_refused(state, data):
    link = packed(state)
    cut = link[: data.draw(st.integers(0, len(link) - 1))]
    with pytest.raises(ValueError, match=f"^{REFUSED}$"):
        unpacked(cut)


@given(st.dictionaries(st.text(), st.text(), min_size=1, max_size=5), st.data())
def test_a_link_with_another_character_says_the_same_or_is_refused(state, data):
    link = packed(state)
    place = data.draw(st.integers(0, len(link) - 1))
    other = data.draw(st.characters())
    try:
        found = unpacked(link[:place] + other + link[place + 1 :])
    except ValueError as error:
        found = str(error)
    assert found in (state, REFUSED)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "a",
        "abcde",
        "hello there",
        "äöü",
        "\ud800",
        urlsafe_b64encode(b'{"d":1}').decode(),
        link_of(b"[]"),
        link_of(b'"text"'),
        link_of(b"null"),
        link_of(b'{"text":'),
        link_of(b'{"text":"\xff"}'),
        link_of(b'{"a":NaN}'),
        link_of(b'{"a":[1,Infinity]}'),
        link_of(b'{"a":{"b":-Infinity}}'),
        link_of(b"[" * 200_000 + b"]" * 200_000),
    ],
)
def test_what_is_no_state_is_refused(link):
    with pytest.raises(ValueError, match=f"^{REFUSED}$"):
        unpacked(link)


def test_a_link_that_unpacks_to_more_than_4_mib_is_refused():
    def told(n_bytes):
        return json.dumps({"text": "a" * (n_bytes - len('{"text": ""}'))}).encode()

    assert len(unpacked(link_of(told(2**22)))["text"]) == 2**22 - 12
    with pytest.raises(ValueError, match=f"^{REFUSED}$"):
        unpacked(link_of(told(2**22 + 1)))
