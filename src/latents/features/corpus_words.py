"""The words of a corpus that comes in blocks: the vocabulary and the counts are those of all its texts at once.

It is passed over twice. First each block tells of its words in how many documents and how often they are; two such
lists are added up by merging them in order, and the limits choose from the sum. Then each block is counted by the
words that were chosen, and written where the caller says. Nobody holds the texts, or the counts, of two blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from latents.estimators.common.blocks import Blocks, ByBlock, Numbered, with_number
from latents.features.block_counts import BlockCounts
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


@dataclass(frozen=True)
class CorpusWords:
    """The vocabulary of a corpus, and what the limits of it had to do with.

    Attributes
    ----------
    words : list of str
        The words of the columns, in the order of their characters.
    n_documents, n_occurrences : array of shape (n_words,), int64
        The number of documents that use each word, and how often they do.
    rows : list of int
        The number of documents of each block.
    n_before : int
        The number of all occurrences of words before the limits.
    n_rare, n_common : int
        The number of these whose word is in too few, and in too many documents.
    """

    words: list[str]
    n_documents: NDArray[np.int64]
    n_occurrences: NDArray[np.int64]
    rows: list[int]
    n_before: int
    n_rare: int
    n_common: int


class Counted(NamedTuple, Generic[W]):
    """What was made of the counts of a corpus, and what they say of its documents.

    Attributes
    ----------
    written : list
        What ``write`` returned, of each block with documents.
    n_nonzeros : int
        The number of counts that are not 0.
    n_empty, first_empty : int, int or None
        The number of documents without a word of the vocabulary, and the first one's row.
    n_emptied : int
        The number of these that had words before the limits.
    sample : list of str
        The beginnings of texts from all over the corpus, for ``misfit_of_sample``.
    """

    written: list[W]
    n_nonzeros: int
    n_empty: int
    first_empty: int | None
    n_emptied: int
    sample: list[str]


def words_of_corpus(
    blocks: Blocks[Sequence[str]],
    rules: WordRules,
    *,
    min_df: int | float = 1,
    max_df: int | float = 1.0,
    max_features: int | None = None,
) -> CorpusWords:
    """Return the words of texts in blocks that `words.count_words` would choose of all of them.

    Parameters
    ----------
    blocks : Blocks of sequences of str
        The documents; some blocks may have none.
    rules : WordRules
        How the texts become words.
    min_df, max_df, max_features
        As for `words.limit_vocabulary`.

    Raises
    ------
    ValueError
        If no document has a token, or the limits contradict each other or leave no word.
    """
    usage = blocks.prepared(with_number).add_up(_UsageOf(rules))
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
    return CorpusWords(
        [word.decode("utf-8", "surrogatepass") for word in usage.words["word"].gather(kept).to_list()],
        n_documents[kept],
        n_occurrences[kept],
        rows,
        n_before=int(n_occurrences.sum()),
        n_rare=int(n_occurrences[rare].sum()),
        n_common=int(n_occurrences[common].sum()),
    )


class CorpusCounts(BlockCounts):
    """The counts of a corpus, made wherever and whenever they are read: to be written once, and read from there.

    Parameters
    ----------
    blocks : Blocks of sequences of str
        The documents; some blocks may have none.
    words : CorpusWords
        Those of the columns.
    rules : WordRules
        How the texts become words.
    tell : callable, optional
        Is given what was `counted` when the counts are ``written``.
    """

    def __init__(
        self,
        blocks: Blocks[Sequence[str]],
        words: CorpusWords,
        rules: WordRules,
        tell: Callable[[Counted[Any]], None] | None = None,
    ) -> None:
        self._texts, self._counting, self._tell = blocks, _CountsOf(words.words, rules, words.rows), tell
        super().__init__(blocks.prepared(self._counting.both_ways), words.rows, len(words.words))

    def written(self, write: Callable[[int, sparse.csr_array], W]) -> list[W]:
        """Return what `write` makes of the counts of each block (`counted`)."""
        counted = self.counted(write)
        if self._tell is not None:
            self._tell(counted)
        return counted.written

    def counted(self, write: Callable[[int, sparse.csr_array], W]) -> Counted[W]:
        """Count all blocks, once.

        Parameters
        ----------
        write : callable
            Is given the number of each block that has documents (counted from 0, those without left out) and its
            counts, a csr_array of shape (n_documents, n_words), int32, with sorted indices. It is called where the
            block is worked on, and again for the same block if that worker is lost.

        Raises
        ------
        ValueError
            If a block has another number of documents than when its words were sought.
        """
        found = self._texts.prepared(with_number).each(_Writing(self._counting, write))
        starts = _starts(self._counting.rows)
        firsts = [
            start + block.first_empty
            for start, block in zip(starts, found, strict=True)
            if block.first_empty is not None
        ]
        return Counted(
            [written for block in found for written in block.written],
            n_nonzeros=sum(block.n_nonzeros for block in found),
            n_empty=sum(block.n_empty for block in found),
            first_empty=firsts[0] if firsts else None,
            n_emptied=sum(block.n_emptied for block in found),
            sample=[text for block in found for text in block.sample],
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
class _CountsOf:
    """Counts a block by the words that were chosen."""

    words: list[str]
    rules: WordRules
    rows: list[int]

    def __call__(self, texts: Sequence[str], number: int) -> tuple[sparse.csr_array, NDArray[np.int64]]:
        """Return the counts of a numbered block, and the number of words of each document before the limits."""
        if len(texts) != self.rows[number]:
            raise ValueError(
                f"it has {len(texts)} documents, and had {self.rows[number]} when its words were sought: "
                "what it is read from was changed"
            )
        return count_numbered(texts, self._columns, self.rules)

    def both_ways(self, texts: Sequence[str], number: int) -> tuple[sparse.csr_array, sparse.csc_array]:
        """Return the counts as estimators take them; prepares a block."""
        counts, _ = self(texts, number)
        return counts, counts.tocsc()

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {word: column for column, word in enumerate(self.words)}


@dataclass(frozen=True)
class _Writing(Generic[W]):
    """The second pass over a block."""

    counts_of: _CountsOf
    write: Callable[[int, sparse.csr_array], W]

    def __call__(self, block: Numbered) -> Counted[W]:
        number, texts = block
        counts, lengths = self.counts_of(texts, number)
        empty = counts.sum(axis=1) == 0
        rows = self.counts_of.rows
        start, step = self._starts[number], step_of(self._starts[-1] + rows[-1])
        return Counted(
            [self.write(self._numbers[number], counts)] if len(texts) else [],
            n_nonzeros=counts.nnz,
            n_empty=int(empty.sum()),
            first_empty=int(empty.argmax()) if empty.any() else None,
            n_emptied=int((empty & (lengths > 0)).sum()),
            sample=[text[:BEGINNING] for text in texts[-start % step :: step]],
        )

    @cached_property
    def _starts(self) -> list[int]:
        return _starts(self.counts_of.rows)

    @cached_property
    def _numbers(self) -> list[int]:
        """Return the numbers of the blocks among those that have documents."""
        return _starts([min(n, 1) for n in self.counts_of.rows])
