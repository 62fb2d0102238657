r"""Word counting: what ``CountVectorizer`` counts, in less than half of its time.

Finding the words is most of the work. Polars finds them on all cores, by a regular expression engine that
is not Python's: it has no look-around, and takes other characters for letters (combining marks, for one).
So it is given only what both engines read alike, which is made sure of beforehand:

- patterns of a small grammar (`_SHARED_GRAMMAR`): runs of ``\w``, ``\d`` and classes of letters, digits and
  apostrophes, between optional ``\b``, that never match nothing;
- texts without a character that one engine calls a letter or a digit and the other does not. Both are asked,
  for the characters that occur.

Other patterns and texts go to Python's ``re``. Either way, words become numbers; counting, n-grams and the
limits of the vocabulary are arithmetic on these. The counts, the words and their order are
``CountVectorizer``'s.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

# The constructs that both engines read alike. Everything must match something, since empty matches are counted
# differently, and repetitions are short, since Rust limits the size of a compiled pattern.
_MEMBER = r"(?:\\[wWdD]|[^\W_]-[^\W_]|[\w'\u2019])"
_ATOM = rf"(?:\\[wd]|\[\^?{_MEMBER}+-?\])(?:\+|\{{[1-9](?:,[1-9]?)?\}})?"
_SHARED_GRAMMAR = re.compile(rf"(?:\(\?u\))?(?:\\b)?(?:{_ATOM}){{1,4}}(?:\\b)?")
# Texts are taken in blocks of about so many characters, which bounds the words that are held as strings.
_BLOCK = 2**26
_SLICES = 8

Indices = NDArray[np.int32]


class WordCounts(NamedTuple):
    """How often each document uses each word.

    Attributes
    ----------
    counts : csr_array of shape (n_documents, n_words), int32
        T, with sorted indices.
    words : list of str
        The words of the columns, in the order of their characters.
    n_documents : array of shape (n_words,), int64
        The number of documents that use each word.
    """

    counts: sparse.csr_array
    words: list[str]
    n_documents: NDArray[np.int64]


class _Tokens(NamedTuple):
    """The tokens of a corpus, of shape (n_tokens,): those of a document together, in the order of its text."""

    documents: Indices
    words: Indices


def count_words(
    texts: Sequence[str],
    *,
    token_pattern: str = r"(?u)\b\w\w+\b",  # noqa: S107
    lowercase: bool = True,
    stop_words: Literal["english"] | Collection[str] | None = None,
    ngram_range: tuple[int, int] = (1, 1),
    min_df: int | float = 1,
    max_df: int | float = 1.0,
    max_features: int | None = None,
) -> WordCounts:
    """Count words and n-grams as ``sklearn.feature_extraction.text.CountVectorizer`` does.

    Parameters
    ----------
    texts : sequence of str
        The documents.
    token_pattern : str
        A regular expression of Python's ``re``; where it has a group, the group is the token.
    lowercase : bool
        Whether texts are put into lower case first.
    stop_words : {"english"}, collection of str, or None
        Tokens that are left out, before n-grams are made.
    ngram_range : tuple of two int
        The numbers of words of the shortest and of the longest n-gram.
    min_df, max_df, max_features
        As for `limit_vocabulary`.

    Raises
    ------
    ValueError
        If `token_pattern` has several groups, no document has a token, or the limits leave no word.
    """
    lowered = [text.lower() for text in texts] if lowercase else texts
    tokens, words = _tokenise(lowered, re.compile(token_pattern))
    tokens = _without_stop_words(tokens, words, stop_words_of(stop_words))
    if not len(tokens.words):
        raise ValueError("no document has a token that is no stop word")
    limits = document_limits(len(texts), min_df, max_df)
    # Two n-grams are spelled alike only where tokens have spaces of their own; they count as one.
    ambiguous = ngram_range[1] > 1 and any(" " in word for word in words)
    tables: list[sparse.csr_array] = []
    names: list[str] = []
    for grams, documents, columns in _ngrams(tokens, len(words), *ngram_range):
        table = _tally(documents, columns, (len(texts), len(grams)))
        if not ambiguous:  # rare n-grams are many: they are dropped before they are spelled
            kept = _within(table, limits)
            table, grams = table[:, kept], grams[kept]
        tables.append(table)
        names.extend(
            map(" ".join, zip(*(map(words.__getitem__, nth) for nth in grams.T.tolist()), strict=True))
        )
    counts = sparse.csr_array(sparse.hstack(tables, format="csr"))
    if ambiguous:
        counts, names = merge_words(counts, names)
    return limit_vocabulary(counts, names, min_df=min_df, max_df=max_df, max_features=max_features)


def stop_words_of(stop_words: Literal["english"] | Collection[str] | None) -> frozenset[str]:
    """Return the words that a parameter ``stop_words`` means."""
    if stop_words == "english":
        return frozenset(ENGLISH_STOP_WORDS)
    return frozenset(stop_words or ())


def document_limits(n_documents: int, min_df: int | float, max_df: int | float) -> tuple[float, float]:
    """Return the least and the greatest number of documents that a word may be in.

    Raises
    ------
    ValueError
        If the least is more than the greatest.
    """
    low, high = (limit if isinstance(limit, int) else limit * n_documents for limit in (min_df, max_df))
    if high < low:
        raise ValueError(
            f"of {n_documents} documents, max_df {max_df} allows {high:g} at most "
            f"and min_df {min_df} {low:g} at least"
        )
    return low, high


def limit_vocabulary(
    counts: sparse.csr_array,
    words: Sequence[str],
    *,
    min_df: int | float,
    max_df: int | float,
    max_features: int | None,
) -> WordCounts:
    """Keep the words within the limits, in the order of their characters.

    Parameters
    ----------
    counts : csr_array of shape (n_documents, n_words)
        Counts without stored zeros or duplicates.
    words : sequence of str
        The words of the columns, all different.
    min_df, max_df : int or float
        Words are kept that at least, and at most, so many documents use (int), or such a share of them (float).
    max_features : int, optional
        At most so many words are kept: those that occur most often. Ties are broken as by scikit-learn.

    Raises
    ------
    ValueError
        If the limits contradict each other or leave no word.
    """
    kept = _within(counts, document_limits(counts.shape[0], min_df, max_df))
    if not len(kept):
        raise ValueError(f"none of {len(words):,} words is in so many documents")
    kept = kept[sorted(range(len(kept)), key=[words[column] for column in kept.tolist()].__getitem__)]
    limited = counts[:, kept]
    if max_features is not None and len(kept) > max_features:
        # The sort and its type are scikit-learn's: they decide which of equally frequent words stay.
        chosen = np.sort(np.argsort(-limited.sum(axis=0, dtype=np.int64))[:max_features])
        kept, limited = kept[chosen], limited[:, chosen]
    limited.sort_indices()
    return WordCounts(limited, [words[column] for column in kept.tolist()], _document_frequencies(limited))


def merge_words(counts: sparse.csr_array, words: Sequence[str]) -> tuple[sparse.csr_array, list[str]]:
    """Add up the columns whose words are the same.

    Returns
    -------
    counts : csr_array of shape (n_documents, n_different_words)
        The sums.
    words : list of str
        The different words, in the order of their first columns.
    """
    numbers: dict[str, int] = {}
    columns = np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int32)
    merged = sparse.csr_array(
        (counts.data, columns[counts.indices], counts.indptr),
        shape=(counts.shape[0], len(numbers)),
        copy=True,
    )
    merged.sum_duplicates()
    return merged, list(numbers)


def _tokenise(texts: Sequence[str], pattern: re.Pattern[str]) -> tuple[_Tokens, list[str]]:
    """Return all tokens, and the word of each number."""
    if pattern.groups > 1:
        raise ValueError(
            f"token_pattern {pattern.pattern!r} has {pattern.groups} groups; at most one is allowed"
        )
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    shared = _SHARED_GRAMMAR.fullmatch(pattern.pattern) is not None
    found = [_Tokens(np.empty(0, np.int32), np.empty(0, np.int32))]
    for block in _blocks(texts):
        alike = _read_alike([texts[i] for i in block]) if shared else np.zeros(len(block), dtype=bool)
        rows = np.arange(block.start, block.stop, dtype=np.int32)
        for tokenise, chosen in ((_by_polars, rows[alike]), (_by_python, rows[~alike])):
            if len(chosen):
                lengths, words = tokenise([texts[i] for i in chosen], pattern, numbers)
                found.append(_Tokens(np.repeat(chosen, lengths), words))
    return _Tokens(*(np.concatenate(parts) for parts in zip(*found, strict=True))), list(numbers)


def _blocks(texts: Sequence[str]) -> Iterator[range]:
    start = size = 0
    for stop, text in enumerate(texts, start=1):
        size += len(text)
        if size >= _BLOCK:
            yield range(start, stop)
            start, size = stop, 0
    yield range(start, len(texts))


def _read_alike(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Say of each text whether both engines agree on the letters and digits in it."""
    # All texts of ASCII share a set: thousands of empty ones would set off Python's garbage collector.
    nothing: frozenset[str] = frozenset()
    characters = [nothing if text.isascii() else frozenset(text) for text in texts]
    occurring = sorted(nothing.union(*characters))
    doubtful = {
        character for character in occurring if "\ud800" <= character <= "\udfff"
    }  # no UTF-8 has these
    occurring = [character for character in occurring if character not in doubtful]
    for kind in (r"\w", r"\d"):
        in_polars = pl.Series(occurring, dtype=pl.String).str.contains(f"^{kind}$").to_list()
        in_python = [re.fullmatch(kind, character) is not None for character in occurring]
        doubtful |= {c for c, one, other in zip(occurring, in_polars, in_python, strict=True) if one != other}
    return np.array([doubtful.isdisjoint(own) for own in characters], dtype=bool)


def _by_polars(
    texts: Sequence[str], pattern: re.Pattern[str], numbers: defaultdict[str, int]
) -> tuple[NDArray[np.int64], Indices]:
    """Return how many tokens each text has, and the numbers of them all."""
    # Polars takes one column on one core: slices of it are as many queries, which it runs side by side.
    slices = pl.DataFrame({"word": texts}, schema={"word": pl.String}).iter_slices(-(-len(texts) // _SLICES))
    found_in = pl.col("word").str.extract_all(pattern.pattern)
    lists = pl.concat(pl.collect_all([part.lazy().select(found_in) for part in slices]))["word"]
    lengths = lists.list.len().to_numpy().astype(np.int64)
    tokens = lists.explode().drop_nulls().to_frame().with_row_index("position")
    words = tokens.group_by("word").agg("position")
    own = np.fromiter(map(numbers.__getitem__, words["word"].to_list()), np.int32, len(words))
    found = np.empty(len(tokens), dtype=np.int32)
    found[words["position"].explode().to_numpy()] = np.repeat(own, words["position"].list.len().to_numpy())
    return lengths, found


def _by_python(
    texts: Sequence[str], pattern: re.Pattern[str], numbers: defaultdict[str, int]
) -> tuple[NDArray[np.int64], Indices]:
    """Do what `_by_polars` does, for any pattern and text."""
    tokens = [pattern.findall(text) for text in texts]
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    found = map(numbers.__getitem__, chain.from_iterable(tokens))
    return lengths, np.fromiter(found, np.int32, int(lengths.sum()))


def _without_stop_words(tokens: _Tokens, words: list[str], stop_words: frozenset[str]) -> _Tokens:
    kept = np.array([word not in stop_words for word in words], dtype=bool)[tokens.words]
    return _Tokens(tokens.documents[kept], tokens.words[kept])


def _ngrams(
    tokens: _Tokens, n_words: int, shortest: int, longest: int
) -> Iterator[tuple[Indices, Indices, Indices]]:
    """For each length of n-gram, yield the different ones and where they are.

    Yields
    ------
    grams : array of shape (n_grams, length)
        The words of each different n-gram.
    documents, columns : arrays of shape (n_occurrences,)
        The document of each occurrence, and its row in `grams`.
    """
    starts, columns = np.arange(len(tokens.words)), tokens.words
    grams: Indices = np.arange(n_words, dtype=np.int32)[:, None]
    for length in range(1, longest + 1):
        if length > 1:
            # One word more, where there still is one in the same document.
            ends = starts + length - 1
            goes_on = ends < len(tokens.words)
            goes_on[goes_on] = tokens.documents[ends[goes_on]] == tokens.documents[starts[goes_on]]
            starts, ends = starts[goes_on], ends[goes_on]
            pairs = columns[goes_on].astype(np.int64) * n_words + tokens.words[ends]
            different, inverse = np.unique(pairs, return_inverse=True)
            columns = inverse.astype(np.int32)
            before, last = np.divmod(different, n_words)
            grams = np.column_stack([grams[before], last.astype(np.int32)])
        if length >= shortest:
            yield grams, tokens.documents[starts], columns


def _tally(documents: Indices, columns: Indices, shape: tuple[int, int]) -> sparse.csr_array:
    ones = np.ones(len(columns), dtype=np.int32)
    return sparse.csr_array(sparse.coo_array((ones, (documents, columns)), shape=shape))


def _document_frequencies(counts: sparse.csr_array) -> NDArray[np.int64]:
    return np.bincount(counts.indices, minlength=counts.shape[1])


def _within(counts: sparse.csr_array, limits: tuple[float, float]) -> NDArray[np.intp]:
    # A share of 0 asks for nothing, yet stop words are no longer in any document.
    frequencies = _document_frequencies(counts)
    return np.flatnonzero((max(limits[0], 1) <= frequencies) & (frequencies <= limits[1]))
