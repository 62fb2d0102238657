"""Fonts for pictures: Matplotlib's own, and installed ones for the characters that it lacks."""

import logging
import os
import unicodedata
from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

logger = logging.getLogger(__name__)

OWN = "DejaVu Sans"  # comes with Matplotlib, so that sheets look alike everywhere
# Not to be chosen: it has a box with the name of the script for every character.
_BOXES = "Last Resort"
_NOT_DRAWN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs")  # categories of what leaves no mark
# What Debian's package fonts-noto-cjk has; letters of others are in fonts-noto-core.
_IDEOGRAPHS = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH")


def families(text: str) -> list[str]:
    """Return the fonts that write a text, Matplotlib's first; say once which package brings what none has.

    No font is opened, and no folder searched, unless the text has a character that Matplotlib's lacks.
    """
    lacking = frozenset(c for c in text if not is_own(c) and unicodedata.category(c) not in _NOT_DRAWN)
    if not lacking:
        return [OWN]
    others, without = _others(lacking)
    for package in sorted({_package_of(character) for character in without}):
        _tell(package)
    return [OWN, *others]


def is_own(character: str) -> bool:
    """Tell whether Matplotlib's font has a character."""
    return ord(character) in _own_characters()


@cache
def _own_characters() -> frozenset[int]:
    return _characters_of(font_manager.findfont(OWN))


@cache
def _characters_of(path: str) -> frozenset[int]:
    """Return the characters of a font file; of one that cannot be drawn at all sizes, none."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError) as error:  # whatever lies in the folders of fonts
        logger.debug("%s is no font that can be read: %s", path, error)
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()


@cache
def _installed() -> list[tuple[str, str]]:
    """Return families and files, sans serif before others; those too that came after Matplotlib made its list."""
    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    added = [] if os.environ.get("MPL_IGNORE_SYSTEM_FONTS") else font_manager.findSystemFonts()
    for path in added:
        if path not in known and _characters_of(path):
            manager.addfont(path)
    files = {entry.name: entry.fname for entry in manager.ttflist if not entry.name.startswith(_BOXES)}
    return sorted(files.items(), key=lambda item: ("Sans" not in item[0], item[0]))


@cache
def _others(lacking: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """Return families that have as many as can be of some characters, as few as will do, and what they lack."""
    chosen: list[str] = []
    while lacking:
        known = {
            name: frozenset(c for c in lacking if ord(c) in _characters_of(path))
            for name, path in _installed()
        }
        best = max(known, key=lambda name: len(known[name]), default="")
        if not known.get(best):
            break
        chosen.append(best)
        lacking -= known[best]
    return chosen, lacking


def _package_of(character: str) -> str:
    if unicodedata.name(character, "").startswith(_IDEOGRAPHS):
        return "fonts-noto-cjk"
    # Emoji in colour are pictures of one size, which Matplotlib cannot draw.
    return "fonts-symbola" if unicodedata.category(character).startswith("S") else "fonts-noto-core"


@cache
def _tell(package: str) -> None:
    logger.warning(
        "no installed font has some of the characters in the figures, which are boxes there; Debian's package %s "
        "may bring one",
        package,
    )
