"""Words that files know by numbers, and where these begin: some count from 0, some from 1, and few say so."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse


class Numbering(NamedTuple):
    """How the numbers of a file became the words of a bag.

    Parameters
    ----------
    file : str
        The file, for messages.
    first : int or None
        The number of the first word, 0 or 1; None where that cannot be known.
    named : bool
        Whether a list told the words of the numbers; else the words are the numbers, as the file has them.
    from_zero : sequence of str
        Where the first number cannot be known and there is a list: the words if it is 0. The bag's words are
        those if it is 1.
    """

    file: str
    first: int | None
    named: bool
    from_zero: Sequence[str] = ()


def settled(words: Sequence[str], numbering: Numbering | None, first: int | None = None) -> list[str]:
    """Return the words of a bag's columns, such that they mean what they did in a training.

    Parameters
    ----------
    words : sequence of str
        The words of the bag.
    numbering : Numbering, optional
        How numbers became words; None if the bag never had any.
    first : int, optional
        The number of the first word in the training, if that is known: what the file itself does not tell is
        taken from there. Words that are numbers are counted from there as well.

    Raises
    ------
    ValueError
        If nothing tells which words a list gives to the numbers.
    """
    if numbering is None:
        return list(words)
    if numbering.named:
        if numbering.first is None and first is None:
            raise ValueError(
                f"{numbering.file} does not tell whether its words are numbered from 0 or from 1: no document has "
                "the word that only one of both allows; say `zero_based: true` (as scikit-learn's "
                "dump_svmlight_file does it by default) or `zero_based: false`"
            )
        return list(numbering.from_zero if (numbering.first is None and first == 0) else words)
    if first is None or numbering.first is None or numbering.first == first:
        return list(words)
    return [str(int(word) + first - numbering.first) for word in words]


def with_room(counts: sparse.csr_array) -> sparse.csr_array:
    """Return counts as int32 or, where some could add up to more than that holds, as int64."""
    largest = np.iinfo(np.int32).max
    kind = np.int32 if counts.data.sum(dtype=np.float64) <= largest else np.int64
    return counts.astype(kind, copy=False)
