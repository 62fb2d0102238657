"""The words of a corpus that comes in blocks: the vocabulary and the counts are those of all its texts at once.

It is passed over twice. First each block tells of its words in how many documents and how often they are; two such
lists are added up by merging them in order, and the limits choose from the sum. Then each block is counted by the
words that were chosen, and written where the caller says. Nobody holds the texts, or the counts, of two blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from latents.estimators.common.blocks import Blocks, ByBlock, Numbered, with_number
from latents.features.scripts import BEGINNING, step_of
from latents.features.words import (
    WordRules,
    count_all,
    count_numbered,
    document_frequencies,
    document_limits,
    most_frequent,
    rare_and_common,
)

W = TypeVar("W")

_SIZES = ("n_documents", "n_occurrences")


@dataclass(frozen=True)
class Usage:
    """Which words blocks have: the sum of two is of the blocks of both.

    Attributes
    ----------
    words : DataFrame
        ``word`` (UTF-8, in rising order), ``n_documents`` that use it, ``n_occurrences``.
    rows : mapping
        The number of documents of each block.
    """

    words: pl.DataFrame
    rows: ByBlock[int]

    def __add__(self, other: "Usage") -> "Usage":
        """Return the words of either, in order."""
        both = self.words.merge_sorted(other.words, "word")
        word = both["word"]
        if not len(word):
            return Usage(both, self.rows + other.rows)
        begins = np.flatnonzero(np.append(True, (word.slice(1) != word.slice(0, len(word) - 1)).to_numpy()))
        sums = {name: np.add.reduceat(both[name].to_numpy(), begins) for name in _SIZES}
        return Usage(pl.DataFrame({"word": word.gather(begins), **sums}), self.rows + other.rows)


class Counted(NamedTuple, Generic[W]):
    """What counting made of a block.

    Attributes
    ----------
    written : list
        What ``write`` returned; nothing of a block without documents, which is not written.
    n_empty, first_empty : int, int or None
        The number of documents without a word of the vocabulary, and the first one's row in the block.
    n_emptied : int
        The number of these that had words before the limits.
    sample : list of str
        The beginnings of those of its texts that belong to the sample of ``misfit_of_sample``.
    """

    written: list[W]
    n_empty: int
    first_empty: int | None
    n_emptied: int
    sample: list[str]


@dataclass(frozen=True)
class CorpusWords(Generic[W]):
    """The vocabulary of a corpus, and what the limits of it had to do with.

    Attributes
    ----------
    words : list of str
        The words of the columns, in the order of their characters.
    n_documents, n_occurrences : array of shape (n_words,), int64
        The number of documents that use each word, and how often they do.
    written : list
        What ``write`` returned, of each block with documents.
    rows : list of int
        The number of documents of each of all blocks.
    n_texts, n_before : int
        The number of all documents, and of the occurrences of words in them before the limits.
    n_rare, n_common : int
        The number of these whose word is in too few, and in too many documents.
    n_empty, first_empty : int, int or None
        The number of documents without a word of the vocabulary, and the first one's row in the corpus.
    n_emptied : int
        The number of these that had words before the limits.
    sample : list of str
        The beginnings of texts from all over the corpus, for ``misfit_of_sample``.
    """

    words: list[str]
    n_documents: NDArray[np.int64]
    n_occurrences: NDArray[np.int64]
    written: list[W]
    rows: list[int]
    n_before: int
    n_rare: int
    n_common: int
    n_empty: int
    first_empty: int | None
    n_emptied: int
    sample: list[str] = field(repr=False)

    @property
    def n_texts(self) -> int:
        """Return the number of documents."""
        return sum(self.rows)


def count_corpus(
    blocks: Blocks[Sequence[str]],
    rules: WordRules,
    write: Callable[[int, sparse.csr_array], W],
    *,
    min_df: int | float = 1,
    max_df: int | float = 1.0,
    max_features: int | None = None,
) -> CorpusWords[W]:
    """Count the words of texts in blocks, as `words.count_words` counts those of all of them.

    Parameters
    ----------
    blocks : Blocks of sequences of str
        The documents; some blocks may have none.
    rules : WordRules
        How the texts become words.
    write : callable
        Is given the number of each block that has documents (counted from 0, those without left out) and its
        counts, a csr_array of shape (n_documents, n_words), int32, with sorted indices. It is called where the
        block is worked on, and again for the same block if that worker is lost.
    min_df, max_df, max_features
        As for `words.limit_vocabulary`.

    Raises
    ------
    ValueError
        If no document has a token, the limits contradict each other or leave no word, or a block has another
        number of documents when it is read again.
    """
    numbered = blocks.prepared(with_number)
    usage = numbered.add_up(_UsageOf(rules))
    rows = usage.rows.in_order()
    if not len(usage.words):
        raise ValueError("no document has a token that is no stop word")
    n_documents, n_occurrences = (usage.words[name].to_numpy() for name in _SIZES)
    rare, common = rare_and_common(n_documents, document_limits(sum(rows), min_df, max_df))
    kept = np.flatnonzero(~rare & ~common)
    if not len(kept):
        raise ValueError(f"none of {len(usage.words):,} words is in so many documents")
    if max_features is not None and len(kept) > max_features:
        kept = kept[most_frequent(n_occurrences[kept], max_features)]
    words = [word.decode("utf-8", "surrogatepass") for word in usage.words["word"].gather(kept).to_list()]
    counted = numbered.each(_CountsOf(words, rules, rows, write))
    firsts = [
        start + block.first_empty
        for start, block in zip(_starts(rows), counted, strict=True)
        if block.first_empty is not None
    ]
    return CorpusWords(
        words,
        n_documents[kept],
        n_occurrences[kept],
        [written for block in counted for written in block.written],
        rows,
        n_before=int(n_occurrences.sum()),
        n_rare=int(n_occurrences[rare].sum()),
        n_common=int(n_occurrences[common].sum()),
        n_empty=sum(block.n_empty for block in counted),
        first_empty=firsts[0] if firsts else None,
        n_emptied=sum(block.n_emptied for block in counted),
        sample=[text for block in counted for text in block.sample],
    )


def _starts(rows: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(rows)[:-1].tolist()]


@dataclass(frozen=True)
class _UsageOf:
    """The first pass over a block."""

    rules: WordRules

    def __call__(self, block: Numbered) -> Usage:
        counts, words = count_all(block.block, self.rules)
        frequencies = document_frequencies(counts)
        used = np.flatnonzero(frequencies)  # stop words are not
        table = {
            # Polars' texts have no halves of characters, which ours may have; their order is the same.
            "word": [words[column].encode("utf-8", "surrogatepass") for column in used.tolist()],
            "n_documents": frequencies[used],
            "n_occurrences": counts.sum(axis=0, dtype=np.int64)[used],
        }
        schema = {"word": pl.Binary, **dict.fromkeys(_SIZES, pl.Int64)}
        return Usage(pl.DataFrame(table, schema).sort("word"), ByBlock({block.number: len(block.block)}))


@dataclass(frozen=True)
class _CountsOf(Generic[W]):
    """The second pass over a block."""

    words: list[str]
    rules: WordRules
    rows: list[int]
    write: Callable[[int, sparse.csr_array], W]

    def __call__(self, block: Numbered) -> Counted[W]:
        number, texts = block
        if len(texts) != self.rows[number]:
            raise ValueError(
                f"it has {len(texts)} documents, and had {self.rows[number]} when its words were sought: "
                "what it is read from was changed"
            )
        counts, lengths = count_numbered(texts, self._columns, self.rules)
        empty = counts.sum(axis=1) == 0
        start, step = _starts(self.rows)[number], step_of(sum(self.rows))
        return Counted(
            [self.write(self._numbers[number], counts)] if len(texts) else [],
            n_empty=int(empty.sum()),
            first_empty=int(empty.argmax()) if empty.any() else None,
            n_emptied=int((empty & (lengths > 0)).sum()),
            sample=[text[:BEGINNING] for text in texts[-start % step :: step]],
        )

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {word: column for column, word in enumerate(self.words)}

    @cached_property
    def _numbers(self) -> list[int]:
        """Return the numbers of the blocks among those that have documents."""
        return _starts([min(n, 1) for n in self.rows])
