"""What messages say of values and names: enough to find them, however long they are."""

import reprlib
from collections.abc import Iterable
from itertools import islice

# What YAML takes for something else than the text that was meant.
_WRITTEN = {True: "yes, on and true", False: "no, off and false", None: "null and ~"}


_beginnings = reprlib.Repr()
_beginnings.maxlevel, _beginnings.maxother = 3, 80


def shown(value: object) -> str:
    """Return a value as Python writes it, or the beginning of one that is long; however deeply it is nested."""
    if isinstance(value, str | bytes):
        return repr(value[:80])[:80]
    return _beginnings.repr(value)[:80]


def some_of(names: Iterable[object], most: int = 8) -> str:
    """Return names for a message, the first of many."""
    listed = list(names)
    told = ", ".join(f"{name!r:.80}" for name in islice(listed, most))
    return told if len(listed) <= most else f"{told} and {len(listed) - most} more"


def unquoted(value: object) -> str:
    """Return what to say of a value where a text should be: how YAML comes to it. Of a text that is nothing."""
    if value is None or isinstance(value, bool):
        return f"{value!r} is what YAML makes of {_WRITTEN[value]} without quotes; put the word in quotes"
    if isinstance(value, int | float):
        return f"{value!r} is a number, and YAML has more than one way to write it; put the word in quotes"
    return ""


def printable(text: str) -> str:
    """Return a text that a log can write: halves of characters, which no UTF-8 has, become their numbers."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def first_repeated(names: Iterable[str]) -> str | None:
    """Return the first of some names that was there before, if any was."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
