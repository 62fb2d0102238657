"""Bags of words: corpora that come as counts, their words in no order."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from latents.features.block_counts import BlockCounts
from latents.features.numbering import settled, with_room
from latents.features.words import WordRules, composed, merge_words

# A document without a text is shown by so many of its words.
SHOWN_WORDS = 20

_LARGEST = 2**31 - 1
"""The largest count; it is int32's."""
_TOTAL = 2**53
"""The largest sum of counts: up to here every whole number is a floating point number."""

Bag = dict[str, NDArray[Any]]


def table_of(documents: pd.DataFrame, bag: Bag) -> pd.DataFrame:
    """Return the table of the documents of a bag; the text of each is its words, the most frequent first.

    Those of equal count are in the order of columns.
    """
    counts, words = counts_of(bag)
    columns = np.asarray(words, dtype=object)
    texts = []
    for start, stop in zip(counts.indptr[:-1].tolist(), counts.indptr[1:].tolist(), strict=True):
        order = np.argsort(-counts.data[start:stop], kind="stable")[:SHOWN_WORDS]
        texts.append(" ".join(columns[counts.indices[start:stop][order]]))
    return documents.assign(text=texts)


def to_arrays(raw: Mapping[str, Any], first_word: int | None = None) -> Bag:
    """Return a bag as arrays: ``data``, ``indices`` and ``indptr`` of its counts, and its ``words``.

    Words are composed, as texts are (Unicode's NFC), and those that are then the same added up. Where they were
    numbers in a file, they mean what they did in the training; ``first_word`` then is the number of the first one,
    if that is known, and is in the bag too.

    Parameters
    ----------
    raw : mapping
        ``counts`` and ``words``, and ``numbering`` where words were numbers in a file.
    first_word : int, optional
        The number of the first word in the training (see ``features.numbering``).

    Raises
    ------
    ValueError
        If a count is no number of occurrences (see `check_counts`), or nothing tells how words are numbered.
    """
    counts, numbering = sparse.csr_array(raw["counts"]), raw.get("numbering")
    words = settled(raw["words"], numbering, first_word)
    check_counts(counts, words)
    counts = with_room(counts)
    counts, words = merge_words(counts, [composed(word) for word in words])
    bag: Bag = {
        "data": counts.data,
        "indices": counts.indices,
        "indptr": counts.indptr,
        "words": np.asarray(words, dtype=np.str_),
    }
    if numbering is not None and numbering.first is not None:
        bag["first_word"] = np.array(numbering.first)
    return bag


def check_counts(counts: sparse.csr_array | BlockCounts, words: Sequence[str] | None = None) -> None:
    """Refuse entries that are no number of occurrences; counts may come from anywhere.

    Parameters
    ----------
    counts : csr_array or BlockCounts of shape (n_documents, n_words)
        The counts of each document.
    words : sequence of str, optional
        The words of the columns, for the message.

    Raises
    ------
    ValueError
        If an entry is negative, fractional, NaN, infinite or larger than a count may be; names its document and
        word. Or if all add up to more than floating point numbers can tell apart.
    """
    total = (
        counts.add_up(_checked_total) if isinstance(counts, BlockCounts) else _checked_total(counts, words)
    )
    if total > _TOTAL:
        raise ValueError(f"the counts add up to {total:g}; allowed is up to {_TOTAL}")


def _checked_total(counts: sparse.csr_array, words: Sequence[str] | None = None) -> float:
    bad = ~((counts.data >= 0) & (counts.data <= _LARGEST) & (counts.data == np.round(counts.data)))
    if bad.any():
        row, column = (index[bad.argmax()] for index in counts.tocoo().coords)
        word = column if words is None else repr(str(words[column]))
        raise ValueError(
            f"count of document {row}, word {word} is {counts.data[bad.argmax()]}; allowed are the whole "
            f"numbers 0, 1, 2, ... up to {_LARGEST}"
        )
    return float(counts.data.sum(dtype=np.float64))


def counts_of(bag: Bag) -> tuple[sparse.csr_array, list[str]]:
    """Return the counts of a bag, (n_documents, n_words), and the words of its columns."""
    words: list[str] = bag["words"].tolist()
    shape = (len(bag["indptr"]) - 1, len(words))
    return sparse.csr_array((bag["data"], bag["indices"], bag["indptr"]), shape=shape), words


def words_of(bag: Bag, rules: WordRules) -> tuple[sparse.csr_array, list[str]]:
    """Return the counts of a bag by the rules of a vocabulary, and the words of the columns.

    Parameters
    ----------
    bag : mapping
        What `to_arrays` returns.
    rules : WordRules
        How words are spelled (those that are then the same are added up), and the stop words, which are left out.

    Returns
    -------
    counts : csr_array of shape (n_documents, n_words)
        The counts of each document.
    words : list of str
        All different.
    """
    counts, words = counts_of(bag)
    counts, words = merge_words(counts, [rules.spelled(word) for word in words])
    kept = [column for column, word in enumerate(words) if word not in rules.stop_words]
    return counts[:, kept], [words[column] for column in kept]
