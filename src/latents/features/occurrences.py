"""Where in a text its words stand."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from latents.features.tokens import compiled
from latents.features.words import WordRules, composed


class Occurrence(NamedTuple):
    """A word, or an n-gram, of a text.

    Attributes
    ----------
    places : tuple of (int, int)
        Of each word of it, the first character in the text as it was written, and the one after the last.
    column : int
        The number of the word.
    """

    places: tuple[tuple[int, int], ...]
    column: int


def occurrences(text: str, columns: Mapping[str, int], rules: WordRules) -> Iterator[Occurrence]:
    """Find what ``count_vocabulary`` counts: each word and n-gram that has a column, in the order of length.

    Rules may spell a text in more characters or fewer than it was written with. Where a run of characters between
    spaces changes its length so, all of the run is the place of what is found in it.

    Parameters
    ----------
    text : str
        As it was written.
    columns : mapping of str to int
        The number of each word of the vocabulary.
    rules : WordRules
        How texts become words.
    """
    spelled, places = _spelled(text, rules)
    pattern = compiled(rules.token_pattern)
    tokens = []
    for match in pattern.finditer(spelled):
        word, (start, stop) = match[pattern.groups] or "", match.span(pattern.groups)
        if word not in rules.stop_words:
            place = (places[start][0], places[stop - 1][1]) if stop > start else (0, 0)
            tokens.append((word, place))
    shortest, longest = rules.ngram_range
    for length in range(shortest, longest + 1):
        for gram in zip(*(tokens[first:] for first in range(length)), strict=False):
            column = columns.get(" ".join(word for word, _ in gram))
            if column is not None:
                yield Occurrence(tuple(place for _, place in gram), column)


def _spelled(text: str, rules: WordRules) -> tuple[str, list[tuple[int, int]]]:
    """Return a text as words are sought in it, and of each character which of the original it came from."""
    # Neither letters nor their cases are joined across a space, so parts are spelled as the whole is.
    parts, places, start = [], [], 0
    for part in re.split(r"(\s+)", text):
        spelled, stop = rules.spelled(composed(part)), start + len(part)
        if len(spelled) == len(part):
            places += [(place, place + 1) for place in range(start, stop)]
        else:
            places += [(start, stop)] * len(spelled)
        parts.append(spelled)
        start = stop
    return "".join(parts), places
