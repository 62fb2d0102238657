"""Whether a token pattern fits the script of a corpus: one without spaces, or of letters that it does not find."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from latents.features.tokens import tokenise
from latents.features.words import WordRules

_SAMPLE = 1000  # texts, from all over the corpus
BEGINNING = 2000
"""So many characters of each say what script it is in."""


class Unspaced(NamedTuple):
    """A script that has no spaces between words.

    Attributes
    ----------
    languages : str
        What is written in it.
    blocks : tuple of range
        Where its characters are.
    longest : int
        Hardly a word has more characters.
    pattern, n_together : str, int
        A token pattern of single characters, and how many of them to count together.
    """

    languages: str
    blocks: tuple[range, ...]
    longest: int
    pattern: str
    n_together: int


UNSPACED = (
    Unspaced("Chinese or Japanese", (range(0x3005, 0x3100), range(0x3400, 0xA000)), 6, "[ぁ-ヿ一-鿿]", 2),
    Unspaced("Thai", (range(0x0E00, 0x0E80),), 12, r"[\u0e01-\u0e4e]", 3),
    Unspaced("Lao", (range(0x0E80, 0x0F00),), 12, r"[\u0e81-\u0ece]", 3),
    Unspaced("Burmese", (range(0x1000, 0x10A0),), 12, r"[\u1000-\u103f]", 3),
    Unspaced("Khmer", (range(0x1780, 0x1800),), 12, r"[\u1780-\u17d3]", 3),
)


class Misfit(NamedTuple):
    """What a pattern makes of the script that a corpus is mostly of.

    Attributes
    ----------
    script : Unspaced or str
        The script, or the name of its letters.
    share : float
        How much of its letters and marks is in words that are too long or, of a script by name, in any word.
    example : str
        A word that is too long; of a script by name nothing.
    """

    script: Unspaced | str
    share: float
    example: str = ""


def misfit(texts: Sequence[str], rules: WordRules) -> Misfit | None:
    """Return what goes wrong, by a sample of the texts: words that are clauses, or most of the letters lost."""
    return misfit_of_sample([text[:BEGINNING] for text in texts[:: step_of(len(texts))]], rules)


def step_of(n_texts: int) -> int:
    """Return the distance of texts that are a sample of so many, from the first on."""
    return max(n_texts // _SAMPLE, 1)


def misfit_of_sample(texts: Sequence[str], rules: WordRules) -> Misfit | None:
    """Return what goes wrong with the texts of a sample, each but `BEGINNING` characters of it."""
    sample = [rules.spelled(text) for text in texts]
    if 2 * sum(len(text) for text in sample if text.isascii()) >= sum(map(len, sample)):
        return None
    tokens, words = tokenise(sample, rules.token_pattern)
    occurrences = np.bincount(tokens.words, minlength=len(words)).tolist()
    found = dict(zip(words, occurrences, strict=True))
    return _too_long(found) or _lost(sample, found)


def _too_long(found: dict[str, int]) -> Misfit | None:
    n_characters = sum(len(word) * n for word, n in found.items())
    for script in UNSPACED:
        long = [
            word
            for word in found
            if len(word) > script.longest and any(ord(word[0]) in block for block in script.blocks)
        ]
        share = sum(len(word) * found[word] for word in long) / max(n_characters, 1)
        if share > 0.5:
            return Misfit(script, share, max(long, key=lambda word: (len(word) * found[word], word)))
    return None


def _lost(sample: Sequence[str], found: dict[str, int]) -> Misfit | None:
    given = _letters_and_marks("".join(sample))
    kept = _letters_and_marks("".join(word * n for word, n in found.items()))
    others = {
        c: n for c, n in given.items() if not unicodedata.name(c, "").startswith(("LATIN", "COMBINING"))
    }
    if sum(others.values()) <= given.total() / 2:
        return None
    marks = {c: n for c, n in others.items() if unicodedata.category(c)[0] == "M"}
    for characters, least in ((others, 0.0), (marks, 0.05)):  # a few marks say nothing of a script
        n_given = sum(characters.values())
        share = sum(kept[c] for c in characters) / max(n_given, 1)
        if n_given > least * given.total() and share < 0.5:
            letters = {c: n for c, n in others.items() if c not in marks}
            name = unicodedata.name(max(letters or others, key=others.__getitem__)).split()[0].title()
            return Misfit(name, share)
    return None


def _letters_and_marks(text: str) -> Counter[str]:
    return Counter({c: n for c, n in Counter(text).items() if unicodedata.category(c)[0] in "LM"})
