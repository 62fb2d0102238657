"""Word counting: what ``CountVectorizer`` counts, in less than half of its time.

`tokens` finds the words and numbers them; counting, n-grams and the limits of the vocabulary are arithmetic on
these numbers. The counts, the words and their order are ``CountVectorizer``'s.
"""

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from latents.features.spelling import lowered, plain
from latents.features.tokens import ANY_LANGUAGE, Indices, Tokens, compiled, pattern_of, tokenise


class WordRules(NamedTuple):
    """How a text becomes words.

    Attributes
    ----------
    token_pattern : str
        A regular expression of Python's ``re``; where it has a group, the group is the token.
    lowercase : bool
        Whether texts are put into lower case first.
    stop_words : frozenset of str
        Tokens that are left out, before n-grams are made.
    ngram_range : tuple of two int
        The numbers of words of the shortest and of the longest n-gram.
    plain_letters : bool, default=False
        Whether forms of letters become the letters, and what is not seen is left out (see `spelling.plain`).
    """

    token_pattern: str
    lowercase: bool
    stop_words: frozenset[str]
    ngram_range: tuple[int, int]
    plain_letters: bool = False

    def spelled(self, text: str) -> str:
        """Return a composed text as words are sought in it."""
        if self.plain_letters:
            text = plain(text)
            return lowered(text) if self.lowercase else text
        return text.lower() if self.lowercase else text

    def to_json(self) -> dict[str, Any]:
        """Return the rules as values of JSON."""
        return {
            **self._asdict(),
            "stop_words": sorted(self.stop_words),
            "ngram_range": list(self.ngram_range),
        }

    @classmethod
    def from_json(cls, rules: Mapping[str, Any]) -> "WordRules":
        """Undo ``to_json``; rules of releases that knew no ``plain_letters`` are without."""
        shortest, longest = rules["ngram_range"]
        return cls(
            rules["token_pattern"],
            bool(rules["lowercase"]),
            frozenset(rules["stop_words"]),
            (int(shortest), int(longest)),
            bool(rules.get("plain_letters", False)),
        )


class Limited(NamedTuple):
    """What limits of the vocabulary had to do with.

    Attributes
    ----------
    lengths : array of shape (n_documents,), int64
        The number of words of each document before the limits.
    n_rare, n_common : int
        The number of these whose word is in too few, and in too many documents.
    """

    lengths: NDArray[np.int64]
    n_rare: int
    n_common: int

    def plus(self, other: "Limited") -> "Limited":
        """Return what the limits had to do with in words of both kinds."""
        return Limited(
            self.lengths + other.lengths, self.n_rare + other.n_rare, self.n_common + other.n_common
        )


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
    limited : Limited
        What there was before the limits.
    """

    counts: sparse.csr_array
    words: list[str]
    n_documents: NDArray[np.int64]
    limited: Limited


def count_words(
    texts: Sequence[str],
    *,
    token_pattern: str = r"(?u)\b\w\w+\b",  # noqa: S107
    lowercase: bool = True,
    stop_words: Literal["english"] | Collection[str] | None = None,
    ngram_range: tuple[int, int] = (1, 1),
    plain_letters: bool = False,
    min_df: int | float = 1,
    max_df: int | float = 1.0,
    max_features: int | None = None,
) -> WordCounts:
    """Count words and n-grams as ``sklearn.feature_extraction.text.CountVectorizer`` does.

    Parameters
    ----------
    texts : sequence of str
        The documents.
    token_pattern, lowercase, ngram_range, plain_letters
        As for `WordRules`.
    stop_words : {"english"}, collection of str, or None
        As for `WordRules`; "english" is scikit-learn's list.
    min_df, max_df, max_features
        As for `limit_vocabulary`.

    Raises
    ------
    ValueError
        If `token_pattern` is no regular expression or has several groups, no document has a token, or the limits
        leave no word.
    """
    rules = WordRules(token_pattern, lowercase, stop_words_of(stop_words), ngram_range, plain_letters)
    tokens, words = _tokens_of(texts, rules)
    if not len(tokens.words):
        raise ValueError("no document has a token that is no stop word")
    limits = document_limits(len(texts), min_df, max_df)
    ambiguous = _are_ambiguous(words, ngram_range)
    tables: list[sparse.csr_array] = []
    names: list[str] = []
    limited: list[Limited] = []
    for grams, documents, columns in _ngrams(tokens, len(words), *ngram_range):
        table = _tally(documents, columns, (len(texts), len(grams)))
        if not ambiguous:  # rare n-grams are many: they are dropped before they are spelled
            kept, of_length = _within(table, limits)
            table, grams = table[:, kept], grams[kept]
            limited.append(of_length)
        tables.append(table)
        names.extend(_spelled(grams, words))
    counts = sparse.csr_array(sparse.hstack(tables, format="csr"))
    if ambiguous:
        counts, names = merge_words(counts, names)
    counted = limit_vocabulary(counts, names, min_df=min_df, max_df=max_df, max_features=max_features)
    return counted._replace(limited=reduce(Limited.plus, limited)) if limited else counted


def count_vocabulary(texts: Sequence[str], vocabulary: Sequence[str], rules: WordRules) -> sparse.csr_array:
    """Count the words and n-grams of a given vocabulary, and no others, as `count_words` does.

    Parameters
    ----------
    texts : sequence of str
        The documents.
    vocabulary : sequence of str
        The words of the columns, all different.
    rules : WordRules
        How the texts become words.

    Returns
    -------
    csr_array of shape (n_documents, n_words), int32
        The counts, with sorted indices.
    """
    return count_numbered(texts, {word: column for column, word in enumerate(vocabulary)}, rules)[0]


def count_numbered(
    texts: Sequence[str], columns: Mapping[str, int], rules: WordRules
) -> tuple[sparse.csr_array, NDArray[np.int64]]:
    """Count the words and n-grams that have a column, as `count_vocabulary` does.

    Returns
    -------
    counts : csr_array of shape (n_documents, n_columns), int32
        The counts, with sorted indices.
    lengths : array of shape (n_documents,), int64
        The number of all words of each document, with a column or without.
    """
    tokens, words = _tokens_of(texts, rules)
    lengths = np.zeros(len(texts), dtype=np.int64)
    found = []
    for grams, documents, places in _ngrams(tokens, len(words), *rules.ngram_range):
        lengths += np.bincount(documents, minlength=len(texts))
        numbers = np.array([columns.get(name, -1) for name in _spelled(grams, words)], dtype=np.int32)[places]
        known = numbers >= 0
        found.append((documents[known], numbers[known]))
    rows, numbers = (np.concatenate(parts) for parts in zip(*found, strict=True))
    counts = _tally(rows, numbers, (len(texts), len(columns)))
    counts.sort_indices()
    return counts, lengths


def count_all(texts: Sequence[str], rules: WordRules) -> tuple[sparse.csr_array, list[str]]:
    """Count all words and n-grams.

    Returns
    -------
    counts : csr_array of shape (n_documents, n_words), int32
        Some columns may be empty: those of stop words.
    words : list of str
        The words of the columns, all different, in no order.
    """
    tokens, words = _tokens_of(texts, rules)
    tables: list[sparse.csr_array] = []
    names: list[str] = []
    for grams, documents, columns in _ngrams(tokens, len(words), *rules.ngram_range):
        tables.append(_tally(documents, columns, (len(texts), len(grams))))
        names.extend(_spelled(grams, words))
    counts = sparse.csr_array(sparse.hstack(tables, format="csr"))
    return merge_words(counts, names) if _are_ambiguous(words, rules.ngram_range) else (counts, names)


def take_vocabulary(
    counts: sparse.csr_array, words: Sequence[str], vocabulary: Sequence[str], rules: WordRules
) -> sparse.csr_array:
    """Arrange counts of words by the columns of a given vocabulary; other words are left out.

    Parameters
    ----------
    counts : csr_array of shape (n_documents, n_given)
        Counts without stored zeros.
    words : sequence of str
        The words of the columns that are given.
    vocabulary : sequence of str
        The words of the columns that are wanted, all different.
    rules : WordRules
        How words are spelled; those that are then the same are added up.

    Returns
    -------
    csr_array of shape (n_documents, n_words)
    """
    numbers = {word: column for column, word in enumerate(vocabulary)}
    columns = np.array([numbers.get(rules.spelled(word), -1) for word in words], dtype=np.int32)
    given = counts.tocoo()
    taken = columns[given.col]
    known = taken >= 0
    shape = (counts.shape[0], len(vocabulary))
    return sparse.csr_array(
        sparse.coo_array((given.data[known], (given.row[known], taken[known])), shape=shape)
    )


def composed(text: str) -> str:
    """Return a text composed (Unicode's NFC): an accent belongs to its letter, however it was typed."""
    return unicodedata.normalize("NFC", text)


def stop_words_of(stop_words: Literal["english"] | Collection[str] | None) -> frozenset[str]:
    """Return the words that a parameter ``stop_words`` means."""
    if stop_words == "english":
        return frozenset(ENGLISH_STOP_WORDS)
    return frozenset(stop_words or ())


def rules_of(
    token_pattern: str,
    *,
    lowercase: bool,
    stop_words: Literal["english"] | Collection[str] | None,
    ngram_range: tuple[int, int],
) -> WordRules:
    """Return the rules that parameters mean.

    Parameters
    ----------
    token_pattern : str
        "words" stands for `tokens.words_of_any_language`, of plain letters.
    lowercase, ngram_range
        As for `WordRules`.
    stop_words : {"english"}, collection of str, or None
        As for `count_words`; they are spelled as texts are.
    """
    plain_letters = token_pattern == ANY_LANGUAGE
    rules = WordRules(pattern_of(token_pattern), lowercase, frozenset(), ngram_range, plain_letters)
    spelled = (rules.spelled(composed(word)) for word in stop_words_of(stop_words))
    return rules._replace(stop_words=frozenset(spelled))


def match_stop_words(rules: WordRules) -> tuple[WordRules, list[str]]:
    """Let stop words leave out what the token pattern makes of them: of "don't" it may leave "don".

    Returns
    -------
    rules : WordRules
        With the words more that the pattern finds in stop words, one in each.
    unmatched : list of str
        The stop words in which it finds none or several: no word of a text is such a one.
    """
    pattern = compiled(rules.token_pattern)
    found = {word: pattern.findall(word) for word in sorted(rules.stop_words)}
    matched = frozenset(words[0] for words in found.values() if len(words) == 1)
    unmatched = [word for word, words in found.items() if len(words) != 1]
    return rules._replace(stop_words=rules.stop_words | matched), unmatched


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
    kept, within = _within(counts, document_limits(counts.shape[0], min_df, max_df))
    if not len(kept):
        raise ValueError(f"none of {len(words):,} words is in so many documents")
    kept = kept[sorted(range(len(kept)), key=[words[column] for column in kept.tolist()].__getitem__)]
    limited = counts[:, kept]
    if max_features is not None and len(kept) > max_features:
        chosen = most_frequent(limited.sum(axis=0, dtype=np.int64), max_features)
        kept, limited = kept[chosen], limited[:, chosen]
    limited.sort_indices()
    names = [words[column] for column in kept.tolist()]
    return WordCounts(limited, names, document_frequencies(limited), within)


def most_frequent(n_occurrences: NDArray[np.int64], max_features: int) -> NDArray[np.intp]:
    """Return the numbers, in rising order, of at most so many words that occur most often.

    Parameters
    ----------
    n_occurrences : array of shape (n_words,), int64
        Of words in the order of their characters.
    max_features : int
        How many.
    """
    # The sort and its type are scikit-learn's: they decide which of equally frequent words stay.
    return np.sort(np.argsort(-n_occurrences)[:max_features])


def rare_and_common(
    n_documents: NDArray[np.int64], limits: tuple[float, float]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which words are in too few, and which in too many documents, by ``document_limits``."""
    # A share of 0 asks for nothing, yet stop words are no longer in any document.
    return n_documents < max(limits[0], 1), n_documents > limits[1]


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


def _tokens_of(texts: Sequence[str], rules: WordRules) -> tuple[Tokens, list[str]]:
    """Return the tokens that are no stop words, and the word of each number."""
    tokens, words = tokenise([rules.spelled(text) for text in texts], rules.token_pattern)
    kept = np.array([word not in rules.stop_words for word in words], dtype=bool)[tokens.words]
    return Tokens(tokens.documents[kept], tokens.words[kept]), words


def _are_ambiguous(words: Sequence[str], ngram_range: tuple[int, int]) -> bool:
    """Say whether two n-grams can be spelled alike, and so count as one: tokens have spaces of their own."""
    return ngram_range[1] > 1 and any(" " in word for word in words)


def _spelled(grams: Indices, words: Sequence[str]) -> Iterator[str]:
    return map(" ".join, zip(*(map(words.__getitem__, nth) for nth in grams.T.tolist()), strict=True))


def _ngrams(
    tokens: Tokens, n_words: int, shortest: int, longest: int
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


def document_frequencies(counts: sparse.csr_array) -> NDArray[np.int64]:
    """Return how many documents use each word, of counts without stored zeros or duplicates."""
    return np.bincount(counts.indices, minlength=counts.shape[1])


def _within(counts: sparse.csr_array, limits: tuple[float, float]) -> tuple[NDArray[np.intp], Limited]:
    """Return the columns within the limits, and what these had to do with."""
    rare, common = rare_and_common(document_frequencies(counts), limits)
    n_words, lengths = (counts.sum(axis=axis, dtype=np.int64) for axis in (0, 1))
    return np.flatnonzero(~rare & ~common), Limited(
        lengths, int(n_words[rare].sum()), int(n_words[common].sum())
    )
