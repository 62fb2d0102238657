"""What messages say of values and names: enough to find them, however long they are."""

from collections.abc import Iterable
from itertools import islice


def some_of(names: Iterable[object], most: int = 8) -> str:
    """Return names for a message, the first of many."""
    listed = list(names)
    told = ", ".join(f"{name!r:.80}" for name in islice(listed, most))
    return told if len(listed) <= most else f"{told} and {len(listed) - most} more"
