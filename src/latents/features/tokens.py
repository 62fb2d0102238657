r"""Finding the words of texts, by whichever of two engines is sure to find Python's.

Finding the words is most of the work of counting. Polars finds them on all cores, by a regular expression engine
that is not Python's: it has no look-around, and takes other characters for letters (combining marks, for one).
So it is given only what both engines read alike, which is made sure of beforehand:

- patterns of a small grammar (`_SHARED_GRAMMAR`): runs of ``\w``, ``\d`` and classes of letters, digits,
  apostrophes and numbered characters, between optional ``\b``, that never match nothing;
- texts without a character that one engine calls a letter or a digit and the other does not, where the pattern
  asks that. Both are asked, for the characters that occur.

Other patterns and texts go to Python's ``re``. Either way, words become numbers.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

# The constructs that both engines read alike. Everything must match something, since empty matches are counted
# differently, and repetitions are short, since Rust limits the size of a compiled pattern.
_HEX = "[0-9a-fA-F]"
_NUMBERED = (  # no surrogates, which Rust refuses
    rf"\\u(?:[0-9abcefABCEF]{_HEX}|[dD][0-7]){_HEX}{{2}}|\\U00(?:0[1-9a-fA-F]|10){_HEX}{{4}}"
)
_MEMBER = rf"(?:\\[wWdD]|(?:{_NUMBERED})(?:-(?:{_NUMBERED}))?|[^\W_]-[^\W_]|[\w'\u2019])"
_ATOM = rf"(?:\\[wd]|\[\^?{_MEMBER}+-?\])(?:\+|\{{[1-9](?:,[1-9]?)?\}})?"
_SEQUENCE = rf"(?:\\b)?(?:{_ATOM}){{1,4}}(?:\\b)?"
_SHARED_GRAMMAR = re.compile(rf"(?:\(\?u\))?{_SEQUENCE}(?:\|{_SEQUENCE})?")
_SURROGATE = re.compile("[\ud800-\udfff]")  # no UTF-8 has these
# Texts are taken in blocks of about so many characters, which bounds the words that are held as strings.
_BLOCK = 2**26
_SLICES = 8

# Where a letter is a syllable or a word, two of them make a word: from Devanagari to Burmese, Ethiopic to Lepcha,
# ideographs, kana and Hangul. The alphabets that lie between them (Ogham, runes, Mongolian) need no exception.
_SYLLABLES = (
    range(0x0900, 0x10A0),
    range(0x1200, 0x1C50),
    range(0x2D80, 0x2DE0),
    range(0x3005, 0xA4D0),
    range(0xA500, 0xA640),
    range(0xA6A0, 0xA700),
    range(0xA800, 0xAB30),
    range(0xAB70, 0xD7B0),
    range(0xF900, 0xFB00),
    range(0x11000, 0x12000),
    range(0x16800, 0x16A40),
    range(0x1B000, 0x1B300),
    range(0x20000, 0x40000),
)
# The planes of Unicode that have letters and marks.
_PLANES = (range(0x40000), range(0xE0000, 0xE1000))

ANY_LANGUAGE = "words"  # names the pattern `words_of_any_language`

Indices = NDArray[np.int32]


class Tokens(NamedTuple):
    """The tokens of a corpus, of shape (n_tokens,): those of a document together, in the order of its text."""

    documents: Indices
    words: Indices


def pattern_of(token_pattern: str) -> str:
    """Return the regular expression that a parameter ``token_pattern`` means: itself, unless it is a name."""
    return words_of_any_language() if token_pattern == ANY_LANGUAGE else token_pattern


def compiled(token_pattern: str) -> re.Pattern[str]:
    """Return what finds tokens; where it has a group, the group is the token.

    Raises
    ------
    ValueError
        If `token_pattern` is no regular expression of Python's, or has several groups.
    """
    try:
        pattern = re.compile(token_pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(
            f"token_pattern {token_pattern!r:.80} is no regular expression: {error!s:.200}"
        ) from error
    if pattern.groups > 1:
        raise ValueError(
            f"token_pattern {token_pattern!r:.80} has {pattern.groups} groups; at most one is allowed, which is "
            "the token"
        )
    return pattern


@cache
def words_of_any_language() -> str:
    """Return the pattern that `token_pattern: words` stands for: runs of three letters or more, with their marks.

    Where letters are syllables or words (as in Hindi, Amharic, Korean), two are enough. Everything else parts
    words: digits and underscores, too. Every character is named by its number, since neither engine calls marks
    letters, nor do they agree on the letters; so a pattern that was saved finds the same words everywhere.
    """
    kinds = {
        code: kind for code in chain(*_PLANES) if (kind := unicodedata.category(chr(code))[0]) in ("L", "M")
    }
    letters = [code for code, kind in kinds.items() if kind == "L"]
    in_syllables = frozenset(chain(*_SYLLABLES))
    syllables = [code for code in letters if code in in_syllables]
    letter, syllable, part = (_class_of(codes) for codes in (letters, syllables, kinds))
    return f"{letter}{part}{{2,}}|{syllable}{part}"


def _class_of(codes: Iterable[int]) -> str:
    """Return the class of a regular expression that has these characters, given in rising order."""
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    named = [[f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}" for code in ends] for ends in ranges]
    return f"[{''.join(first if first == last else f'{first}-{last}' for first, last in named)}]"


def tokenise(texts: Sequence[str], token_pattern: str) -> tuple[Tokens, list[str]]:
    """Return all tokens of texts, and the word of each number.

    Raises
    ------
    ValueError
        As `compiled`.
    """
    pattern = compiled(token_pattern)
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    shared = _SHARED_GRAMMAR.fullmatch(pattern.pattern) is not None
    found = [Tokens(np.empty(0, np.int32), np.empty(0, np.int32))]
    for block in _blocks(texts):
        alike = np.zeros(len(block), dtype=bool)
        if shared:
            alike = _read_alike([texts[i] for i in block], pattern.pattern)
        rows = np.arange(block.start, block.stop, dtype=np.int32)
        for engine, chosen in ((_by_polars, rows[alike]), (_by_python, rows[~alike])):
            if len(chosen):
                lengths, words = engine([texts[i] for i in chosen], pattern, numbers)
                found.append(Tokens(np.repeat(chosen, lengths), words))
    return Tokens(*(np.concatenate(parts) for parts in zip(*found, strict=True))), list(numbers)


def _blocks(texts: Sequence[str]) -> Iterator[range]:
    start = size = 0
    for stop, text in enumerate(texts, start=1):
        size += len(text)
        if size >= _BLOCK:
            yield range(start, stop)
            start, size = stop, 0
    yield range(start, len(texts))


def _read_alike(texts: Sequence[str], token_pattern: str) -> NDArray[np.bool_]:
    """Say of each text whether both engines agree on the letters and digits in it, as far as a pattern asks."""
    asked = {r"\w": r"\\[wWb]", r"\d": r"\\[dD]"}
    kinds = [kind for kind, asking in asked.items() if re.search(asking, token_pattern)]
    if not kinds:
        return np.array([text.isascii() or not _SURROGATE.search(text) for text in texts], dtype=bool)
    # All texts of ASCII share a set: thousands of empty ones would set off Python's garbage collector.
    nothing: frozenset[str] = frozenset()
    characters = [nothing if text.isascii() else frozenset(text) for text in texts]
    occurring = sorted(nothing.union(*characters))
    doubtful = set(filter(_SURROGATE.match, occurring))
    occurring = [character for character in occurring if character not in doubtful]
    for kind in kinds:
        in_polars = pl.Series(occurring, dtype=pl.String).str.contains(f"^{kind}$").to_list()
        in_python = [re.fullmatch(kind, character) is not None for character in occurring]
        doubtful |= {c for c, one, other in zip(occurring, in_polars, in_python, strict=True) if one != other}
    return np.array([doubtful.isdisjoint(own) for own in characters], dtype=bool)


def _by_polars(
    texts: Sequence[str], pattern: re.Pattern[str], numbers: defaultdict[str, int]
) -> tuple[NDArray[np.int64], Indices]:
    """Return how many tokens each text has, and the numbers of them all."""
    # Polars takes one column on one core: slices of it are as many queries, which it runs side by side.
    slices = pl.DataFrame({"word": texts}, schema={"word": pl.String}).iter_slices(-(-len(texts) // _SLICES))
    found_in = pl.col("word").str.extract_all(pattern.pattern)
    lists = pl.concat(pl.collect_all([part.lazy().select(found_in) for part in slices]))["word"]
    lengths = lists.list.len().to_numpy().astype(np.int64)
    tokens = lists.explode().drop_nulls().to_frame().with_row_index("position")
    words = tokens.group_by("word").agg("position")
    own = np.fromiter(map(numbers.__getitem__, words["word"].to_list()), np.int32, len(words))
    found = np.empty(len(tokens), dtype=np.int32)
    found[words["position"].explode().to_numpy()] = np.repeat(own, words["position"].list.len().to_numpy())
    return lengths, found


def _by_python(
    texts: Sequence[str], pattern: re.Pattern[str], numbers: defaultdict[str, int]
) -> tuple[NDArray[np.int64], Indices]:
    """Do what `_by_polars` does, for any pattern and text."""
    tokens = [pattern.findall(text) for text in texts]
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    found = map(numbers.__getitem__, chain.from_iterable(tokens))
    return lengths, np.fromiter(found, np.int32, int(lengths.sum()))
