"""One spelling of a word, however it was set: what is typography alone is taken out before words are sought.

Unicode's compatibility forms (NFKC) do too much for that: they make ``Python™`` ``PythonTM``, ``x²`` ``x2``, and
take Thai and Korean letters apart. So the forms of letters alone are replaced.
"""

import re
import unicodedata
from functools import cache

# What is left out. None of these characters is seen, but for the Arabic tatweel, which stretches a word: the soft
# hyphen, the combining grapheme joiner, joiners and non-joiners, directions, variation selectors, tags. Not among
# them is the zero-width space, which parts words, in Khmer for one.
_UNSEEN = (
    r"\u00ad\u034f\u061c\u0640\u180b-\u180f\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    r"\U000e0000-\U000e0fff"
)
# How Unicode marks characters that are another's presentation; super- and subscripts, and what is circled or
# squared, say something of their own.
_PRESENTATION = ("<compat>", "<font>", "<initial>", "<medial>", "<final>", "<isolated>", "<wide>", "<narrow>")
# Thai and Lao am, and the Korean letters of today's keyboards, are spelled as one there.
_LEFT = frozenset("\u0e33\u0eb3").union(map(chr, range(0x3131, 0x318F)), map(chr, range(0xFFA0, 0xFFDD)))
_LATIN_TO_MATHEMATICAL = range(0x80, 0x1F000)
_ABOVE_THE_BASIC_PLANE = r"\U0001d400-\U0001efff"


@cache
def _letters() -> dict[str, str]:
    """Return the letters that each form of presentation stands for."""
    found = {}
    unseen = re.compile(f"[{_UNSEEN}]")  # some Arabic marks stand on a tatweel
    for character in map(chr, _LATIN_TO_MATHEMATICAL):
        if unicodedata.decomposition(character).startswith(_PRESENTATION) and character not in _LEFT:
            meant = unicodedata.normalize("NFKC", character)
            if all(unicodedata.category(part)[0] in "LM" for part in meant):
                found[character] = unseen.sub("", meant)
    return found


@cache
def _replaced() -> re.Pattern[str]:
    # A class is searched fast up to U+FFFF, and range by range above: there it may have more than is replaced.
    basic = "".join(character for character in _letters() if character <= "\uffff")
    return re.compile(f"[{_UNSEEN}{basic}{_ABOVE_THE_BASIC_PLANE}]")


def plain(text: str) -> str:
    """Return a composed text whose letters are the plain ones, and that has no unseen characters.

    Ligatures (``ﬁ``), full-width, mathematical and Arabic forms of letters become the letters that they stand for.
    Soft hyphens, joiners, marks of direction, variation selectors and the tatweel are left out.

    >>> plain("ﬁne co\u00adoperation"), plain("Ｋｅｄｒｏ 𝐛𝐨𝐥𝐝 ™ x²")
    ('fine cooperation', 'Kedro bold ™ x²')
    """
    if text.isascii():
        return text
    letters = _letters()

    def meant(match: re.Match[str]) -> str:
        character = match[0]
        return letters.get(character, character if "\U0001d400" <= character < "\U000e0000" else "")

    return unicodedata.normalize("NFC", _replaced().sub(meant, text))


def lowered(text: str) -> str:
    """Return a text in lower case, where ``İ`` is ``i`` too: Python makes an i and a second dot of it."""
    lower = text.lower()
    return lower if lower.isascii() else unicodedata.normalize("NFC", lower.replace("i\u0307", "i"))
