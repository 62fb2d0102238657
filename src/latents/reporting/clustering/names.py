"""How the names of clusters are written where there is little room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from latents.reporting import style

_MAX_WORD_LENGTH = 14


def short_name(name: str, length: int) -> str:
    """Cut a name of words parted by commas, where it is too long: overlong words, then whole words from its end.

    >>> short_name("image, structuring, multidimensional", 34)
    'image, structuring, multidimensio…'
    >>> short_name("image, structuring, multidimensional", 20)
    'image, structuring'
    >>> short_name("sci.space.news: orbit, telescope", 25)
    'sci.space.news: orbit'
    """
    if len(name) <= length:
        return name
    of_class, colon, rest = name.rpartition(": ")
    words = rest.split(", ")
    if len(words) > 1:
        words = [style.shorten(word, _MAX_WORD_LENGTH) for word in words]
    while len(words) > 1 and len(f"{of_class}{colon}{', '.join(words)}") > length:
        words.pop()
    return style.shorten(f"{of_class}{colon}{', '.join(words)}", length)


def short_names(names: Sequence[str], length: int) -> list[str]:
    """Cut every name, with its number behind those that would be the same.

    >>> short_names(["wind, sails, ship", "wind, sails, plane", "sky"], 11)
    ['wind (0)', 'wind (1)', 'sky']
    """
    short = [short_name(name, length) for name in names]
    times = Counter(short)
    return [
        f"{short_name(name, max(length - len(f' ({number})'), 2))} ({number})"
        if times[short[number]] > 1
        else short[number]
        for number, name in enumerate(names)
    ]
