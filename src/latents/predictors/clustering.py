"""Texts in, their clusters out."""

from __future__ import annotations  # so that naming MultinomialMixture in a signature does not import torch

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from latents import estimators
from latents.estimators.multinomial_mixture.reading import (
    is_unfamiliar,
    log_odds_by_word,
    relevance,
    runners_up,
)
from latents.features.numbering import Numbering, settled, with_room
from latents.features.occurrences import occurrences
from latents.features.tokens import compiled
from latents.features.words import WordRules, composed, count_vocabulary, take_vocabulary
from latents.messages import shown
from latents.predictors.interface import Predictor, check_model


@dataclass(frozen=True, eq=False)
class ClusteringPredictor(Predictor):
    """A mixture of multinomials that reads texts, by the words that it was trained on.

    Parameters
    ----------
    model : MultinomialMixture
        The fitted mixture.
    vocabulary : sequence of str
        The words of the columns of its counts, all different.
    rules : WordRules
        How texts became words in training.
    cluster_names : sequence of str
        A name for each component.
    first_word : int, optional
        The number of the first word, 0 or 1, where the training knew its words by numbers and where these began.
    least_familiarity : float, optional
        The familiarity (nats per word) at or below which a text fits nowhere; None where none is to be marked.

    Raises
    ------
    TypeError, ValueError
        If these are of other kinds, or do not fit together.
    """

    requirements: ClassVar = ("polars", "torch")

    model: estimators.MultinomialMixture
    vocabulary: Sequence[str]
    rules: WordRules
    cluster_names: Sequence[str]
    first_word: int | None = None
    least_familiarity: float | None = None

    def __post_init__(self) -> None:
        check_model(self.model, "MultinomialMixture")
        n_components, n_words = self.model.word_probabilities_.shape
        for name, words, n in (
            ("vocabulary", self.vocabulary, n_words),
            ("cluster_names", self.cluster_names, n_components),
        ):
            if isinstance(words, str) or not all(isinstance(word, str) for word in words):
                raise TypeError(f"{name} must be texts")
            if len(words) != n:
                raise ValueError(f"{name} has {len(words)} entries; the model has {n}")
        if self.first_word not in (None, 0, 1) or isinstance(self.first_word, bool | float):
            raise ValueError(f"first_word is {self.first_word!r:.80}; allowed are 0, 1 and None")
        least = self.least_familiarity
        if least is not None and (
            isinstance(least, bool) or not isinstance(least, int | float) or not isfinite(least)
        ):
            raise ValueError(f"least_familiarity is {least!r:.80}; allowed are finite numbers and None")
        if len(set(self.vocabulary)) != n_words:
            raise ValueError("vocabulary has a word twice")
        compiled(self.rules.token_pattern)
        shortest, longest = self.rules.ngram_range
        if not 1 <= shortest <= longest:
            raise ValueError(
                f"ngram_range is {self.rules.ngram_range}; allowed are a shortest and a longest length"
            )

    def predict(self, texts: Iterable[str] | pd.DataFrame, /, *, n_deciding_words: int = 5) -> pd.DataFrame:
        """Say which cluster each text belongs to, and why.

        Words that were not there in training say nothing. A text without any known word has the mixing weights for
        responsibilities, and no word has decided. Accents are composed first (Unicode's NFC); all else that makes
        one word of several spellings is in the rules.

        Parameters
        ----------
        texts : iterable of str, or DataFrame with a column ``text``
            The documents.
        n_deciding_words : int, default=5
            At most so many deciding words are named.

        Returns
        -------
        DataFrame
            ``cluster`` and ``cluster_name``, the most probable one, and its ``probability``; ``familiarity``, how
            many nats per word the clusters explain the text better than the word frequencies of the training do
            (NaN without known words), and, of a predictor with a ``least_familiarity``, whether it
            ``fits_nowhere``; ``n_tokens``, how many words of the text are known, repetitions counted;
            ``deciding_words``, those that speak most for the cluster against the second most probable one
            (``log_odds_by_word``), the strongest first, parted by commas; and ``p_0``, ``p_1``, ..., the
            responsibilities of all clusters.

        Raises
        ------
        ValueError
            If there is no text, or a value is none; or if a text is impossible in every cluster, as it may be
            where the model was trained without smoothing.
        """
        return self.predict_counts(self.count(texts), n_deciding_words=n_deciding_words)

    def mark(self, text: str) -> pd.DataFrame:
        r"""Say of each word of a text where it stands, and how much it speaks for the text's cluster.

        Each time that a word w is there it adds :math:`\log \mu_{zw} - \log \mu_{ow}` to the log-odds of the
        most probable cluster z against the second most probable one o; an n-gram adds to its words in equal parts.
        All marks add up to the log-odds but for the two mixing weights.

        Parameters
        ----------
        text : str
            The document.

        Returns
        -------
        DataFrame
            A row for each word of the vocabulary in the order of the text: ``start`` and ``stop``, its first
            character and the one after its last; ``log_odds``, in nats, above 0 where it speaks for z. No row
            where the model has a single cluster.

        Raises
        ------
        ValueError
            As ``predict``.
        """
        counts = self.count([text])
        log_odds: dict[tuple[int, int], float] = {}
        if self.model.word_probabilities_.shape[0] > 1 and counts.nnz:
            self.model.predict_proba(counts)  # or it raises: no cluster may allow the words
            cluster, second = self.ranking(counts)[:, :2].T
            once = sparse.csr_array(counts.astype(bool).astype(np.int32))
            told = log_odds_by_word(once, self.model.word_probabilities_, cluster, second)
            of_word = dict(zip(told.indices.tolist(), told.data.tolist(), strict=True))
            for places, column in occurrences(text, self._columns, self.rules):
                for place in places:
                    log_odds[place] = log_odds.get(place, 0.0) + of_word[column] / len(places)
        marked = [(*place, value) for place, value in sorted(log_odds.items()) if place[1] > place[0]]
        return pd.DataFrame(marked, columns=["start", "stop", "log_odds"])

    def ranking(self, counts: sparse.csr_array) -> NDArray[np.intp]:
        """Return the clusters of each row of counts, (n, K), from the most probable one on.

        They are told apart where probabilities are not, which of long texts are 0 but for one.
        """
        return np.argsort(-self.model.predict_joint_log_proba(counts), axis=1, kind="stable")

    def telling_words(self, n: int) -> list[list[str]]:
        """Return the `n` words that tell best of each cluster, by their relevance (``reading.relevance``)."""
        p = self.model.word_frequencies()[np.newaxis]
        told = relevance(self.model.word_probabilities_, p)
        best = np.argsort(-told, axis=1, kind="stable")[:, :n]
        return [
            [self.vocabulary[word] for word in words if np.isfinite(told[cluster, word])]
            for cluster, words in enumerate(best.tolist())
        ]

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {word: column for column, word in enumerate(self.vocabulary)}

    def count(self, texts: Iterable[str] | pd.DataFrame) -> sparse.csr_array:
        """Return how often each text uses each word of the vocabulary, by the rules of training.

        Raises
        ------
        ValueError
            If there is no text, or a value is none.
        """
        if isinstance(texts, pd.DataFrame):
            if "text" not in texts:
                raise ValueError(f"the table has no column 'text'; its columns are {list(texts.columns)}")
            texts = texts["text"]
        if isinstance(texts, str | Mapping) or not isinstance(texts, Iterable):
            raise ValueError(f"texts are {shown(texts)}; allowed is a list of texts, or a table of them")
        read = []
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"text {row} is {shown(text)}; allowed are texts")
            read.append(composed(text))
        if not read:
            raise ValueError("there is no text")
        return count_vocabulary(read, self.vocabulary, self.rules)

    def count_bag(
        self, counts: sparse.csr_array, words: Sequence[str], numbering: Numbering | None = None
    ) -> sparse.csr_array:
        """Return the counts of a bag of words, whose columns have other words, by those of the vocabulary.

        Parameters
        ----------
        counts : csr_array of shape (n_documents, n_given)
            The counts.
        words : sequence of str
            The words of the columns.
        numbering : Numbering, optional
            How they came from the numbers of a file, as ``BagOfWordsDataset`` says it: what the file does not tell
            is as in the training.

        Returns
        -------
        csr_array of shape (n_documents, n_words)

        Raises
        ------
        ValueError
            If the vocabulary has n-grams, which a bag cannot tell of, or nothing tells how words are numbered.
        """
        if self.rules.ngram_range != (1, 1):
            raise ValueError(
                f"the model counts n-grams (ngram_range {list(self.rules.ngram_range)}), but the words of a bag "
                "have no order; allowed are texts"
            )
        words = [composed(word) for word in settled(words, numbering, self.first_word)]
        return take_vocabulary(with_room(counts), words, self.vocabulary, self.rules)

    def clusters_of(self, counts: sparse.csr_array) -> NDArray[np.intp]:
        """Return the cluster of each row of counts by the columns of the vocabulary; -1 of one without words."""
        if not counts.shape[0]:
            return np.empty(0, dtype=np.intp)
        clusters: NDArray[np.intp] = np.where(counts.sum(axis=1) > 0, self.model.predict(counts), -1)
        return clusters

    def clusters_of_texts(self, texts: Sequence[str]) -> NDArray[np.intp]:
        """Return the cluster of each text; -1 of one without a word that the model knows."""
        return self.clusters_of(self.count(texts)) if len(texts) else np.empty(0, dtype=np.intp)

    def predict_counts(self, counts: sparse.csr_array, *, n_deciding_words: int = 5) -> pd.DataFrame:
        """Return the table of ``predict`` for counts by the columns of the vocabulary."""
        responsibilities = self.model.predict_proba(counts)
        clusters = responsibilities.argmax(axis=1)
        familiarity = self.model.familiarity(counts)
        table = pd.DataFrame(
            {
                "cluster": clusters,
                "cluster_name": np.array(self.cluster_names, dtype=object)[clusters],
                "probability": responsibilities.max(axis=1),
                "familiarity": familiarity,
            }
        )
        if self.least_familiarity is not None:
            table["fits_nowhere"] = is_unfamiliar(familiarity, self.least_familiarity)
        table = table.assign(n_tokens=counts.sum(axis=1), deciding_words="")
        n_components = responsibilities.shape[1]
        if n_components > 1:
            second = runners_up(self.model.predict_joint_log_proba(counts), clusters).clusters
            told = log_odds_by_word(counts, self.model.word_probabilities_, clusters, second)
            table["deciding_words"] = self._strongest(told, n_deciding_words)
        names = [f"p_{cluster}" for cluster in range(n_components)]
        return pd.concat([table, pd.DataFrame(responsibilities, columns=names)], axis=1)

    def _strongest(self, told: sparse.csr_array, n: int) -> list[str]:
        """Return the words of the `n` largest numbers of each row that are above 0."""
        strongest = []
        for start, stop in zip(told.indptr[:-1], told.indptr[1:], strict=True):
            values, columns = told.data[start:stop], told.indices[start:stop]
            order = np.argsort(-values, kind="stable")[:n]
            strongest.append(", ".join(self.vocabulary[columns[i]] for i in order if values[i] > 0))
        return strongest

    def _settings(self) -> dict[str, Any]:
        settings = {
            "vocabulary": list(self.vocabulary),
            "rules": self.rules.to_json(),
            "cluster_names": list(self.cluster_names),
        }
        known = {"first_word": self.first_word, "least_familiarity": self.least_familiarity}
        return settings | {name: value for name, value in known.items() if value is not None}

    @classmethod
    def _of(cls, model: Any, settings: dict[str, Any]) -> Self:
        rules = WordRules.from_json(settings["rules"])
        return cls(
            model,
            settings["vocabulary"],
            rules,
            settings["cluster_names"],
            settings.get("first_word"),
            settings.get("least_familiarity"),
        )
