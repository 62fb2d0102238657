"""The state of a page as the part of its address after ``#``, which a browser sends to nobody."""

import binascii
import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

LONGEST = 30_000  # characters of a link; some programs cut longer ones
_LARGEST = 2**22  # bytes that a link may unpack to


def packed(state: Mapping[str, Any]) -> str | None:
    """Return a state of JSON's values in characters that no program changes; None if it takes too many."""
    told = zlib.compress(json.dumps(state, separators=(",", ":"), allow_nan=False).encode(), 9)
    link = urlsafe_b64encode(told).decode().rstrip("=")
    return link if len(link) <= LONGEST else None


def unpacked(link: str) -> dict[str, Any]:
    """Undo ``packed``.

    Raises
    ------
    ValueError
        If the link is damaged, or none of this page's.
    """
    try:
        unpacking = zlib.decompressobj()
        told = unpacking.decompress(urlsafe_b64decode(link + "=" * (-len(link) % 4)), _LARGEST)
        state = json.loads(told) if unpacking.eof else None
        json.dumps(state, allow_nan=False)  # numbers that are none, or too large, are no state either
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise ValueError("the link is damaged: what comes after # is no state of this page") from error
    if not isinstance(state, dict):
        raise ValueError("the link is damaged: what comes after # is no state of this page")
    return state
