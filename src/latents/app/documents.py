"""What a page says of texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latents.features.documents import excerpt
from latents.predictors import ClusteringPredictor
from latents.predictors.document_map import DocumentMap

LONGEST = 100_000  # characters of a text
MOST = 10_000  # texts at a time
_N_BARS = 5
_N_NEAREST = 5
_N_WORDS = 10
# Of an example: characters, words that are known, the share of its cluster; and the documents looked at for one.
_EXAMPLE, _FEWEST, _CONTEST, _N_EXAMPLES = 320, 10, 0.8, 100
_EXCERPT = 220


class Corpus(NamedTuple):
    """Documents of a run that lie on its map.

    Attributes
    ----------
    map : DocumentMap
    texts : sequence of str
        Empty where the run had bags of words.
    titles : sequence of str
    clusters : ndarray of int, of shape (N,)
    """

    map: DocumentMap
    texts: Sequence[str]
    titles: Sequence[str]
    clusters: NDArray[np.intp]


class Bar(NamedTuple):
    """A cluster and its probability."""

    cluster: int
    name: str
    probability: float


class Neighbour(NamedTuple):
    """A document near a text: its row in the corpus, what it is called, how it begins, and how alike it is."""

    row: int
    title: str
    excerpt: str
    cluster: int
    similarity: float


class Reading(NamedTuple):
    """What the mixture makes of a text.

    Attributes
    ----------
    cluster, name, probability
        The most probable cluster.
    against : str
        The second most probable one; empty where there is none.
    n_words : int
        Words that the model knows.
    fits_nowhere : bool
    telling_words : list of str
        Of the cluster.
    marks : list of (str, float)
        The text in pieces, each with what it adds to the log-odds of the cluster against the second one, in nats:
        0 for what is between words, and words that the model does not know.
    bars : list of Bar
        The most probable clusters, the first first.
    nearest : list of Neighbour
    place : tuple of float, or None
        On the map.
    """

    cluster: int
    name: str
    probability: float
    against: str
    n_words: int
    fits_nowhere: bool
    telling_words: list[str]
    marks: list[tuple[str, float]]
    bars: list[Bar]
    nearest: list[Neighbour]
    place: tuple[float, float] | None


@dataclass(frozen=True)
class Documents:
    """A mixture of multinomials, and the documents among which it finds places for others.

    Parameters
    ----------
    predictor : ClusteringPredictor
    corpus : Corpus, optional
    """

    predictor: ClusteringPredictor
    corpus: Corpus | None = None

    def read(self, text: str) -> Reading:
        """Say what the mixture makes of a text.

        Raises
        ------
        ValueError
            If it is too long, or impossible in every cluster.
        """
        if len(text) > LONGEST:
            raise ValueError(
                f"the text has {len(text):,} characters; allowed are {LONGEST:,}. A part of it will do."
            )
        counts = self.predictor.count([text])
        table = self.predictor.predict_counts(counts)
        row = table.iloc[0]
        cluster = int(row["cluster"])
        shares = table.filter(regex=r"^p_\d+$").to_numpy()[0]
        order = self.predictor.ranking(counts)[0, :_N_BARS].tolist()
        names = self.predictor.cluster_names
        place, nearest = None, []
        n_words = int(row["n_tokens"])
        if self.corpus is not None and n_words:
            (x, y) = self.corpus.map.place(counts)[0]
            place = (float(x), float(y))
            found = self.corpus.map.nearest(counts, _N_NEAREST)
            nearest = [
                self._neighbour(number, similarity)
                for number, similarity in zip(
                    found.rows[0].tolist(), found.similarities[0].tolist(), strict=True
                )
                if similarity > 0
            ]
        return Reading(
            cluster=cluster,
            name=names[cluster],
            probability=float(row["probability"]),
            against=names[order[1]] if len(order) > 1 else "",
            n_words=n_words,
            fits_nowhere=bool(row.get("fits_nowhere", False)) and n_words > 0,
            telling_words=self.telling_words[cluster],
            marks=self._marks(text),
            bars=[Bar(k, names[k], float(shares[k])) for k in order],
            nearest=nearest,
            place=place,
        )

    def example(self, seed: int) -> str:
        """Return a piece of a document, of those looked at the one between two clusters most nearly.

        Parameters
        ----------
        seed : int
            Which documents are looked at.
        """
        if self.corpus is None or not len(self.corpus.texts):
            return ""
        rng = np.random.default_rng(seed)
        pieces = []
        for row in rng.choice(
            len(self.corpus.texts), min(_N_EXAMPLES, len(self.corpus.texts)), replace=False
        ):
            text = self.corpus.texts[row]
            pieces += [text[begin : begin + _EXAMPLE] for begin in (0, len(text) // 2)]
        # From a word's begin to a word's end.
        whole = [" ".join(piece.split(" ")[1:-1]) for piece in pieces if len(piece) == _EXAMPLE]
        pieces = list(filter(_reads_well, whole)) or whole or pieces
        counts = self.predictor.count(pieces)
        best = self.predictor.predict_counts(counts)["probability"].to_numpy()
        has_words = np.asarray(counts.sum(axis=1)) >= _FEWEST
        chosen: str = pieces[int(np.where(has_words, np.abs(best - _CONTEST), 1.0).argmin())]
        return chosen

    def table(self, texts: Sequence[str]) -> pd.DataFrame:
        """Return a row for each of several texts, for people to read and spreadsheets to take.

        Raises
        ------
        ValueError
            If there is none, there are too many, or one is too long.
        """
        if not len(texts):
            raise ValueError("there is no text in it")
        if len(texts) > MOST:
            raise ValueError(f"there are {len(texts):,} texts; allowed at a time are {MOST:,}")
        for number, text in enumerate(texts, start=1):
            if len(text) > LONGEST:
                raise ValueError(f"text {number} has {len(text):,} characters; allowed are {LONGEST:,}")
        found = self.predictor.predict(texts)
        kept = [c for c in found if not re.fullmatch(r"p_\d+", str(c))]
        return pd.concat([pd.DataFrame({"text": list(texts)}), found[kept]], axis=1)

    def warm_up(self) -> None:
        """Reckon what answers are held against, before the first is asked for."""
        self.read("")
        if self.corpus is not None:
            self.corpus.map.place(self.predictor.count([""]))

    @cached_property
    def telling_words(self) -> list[list[str]]:
        """The words that tell best of each cluster."""
        return self.predictor.telling_words(_N_WORDS)

    def _marks(self, text: str) -> list[tuple[str, float]]:
        pieces, begin = [], 0
        for place, stop, value in self.predictor.mark(text).itertuples(index=False):
            # Words of a run of characters that rules spell in more, or fewer, all have the run for a place.
            start = max(place, begin)
            pieces += [(text[begin:start], 0.0), (text[start:stop], float(value))]
            begin = stop
        pieces.append((text[begin:], 0.0))
        return [(piece, value) for piece, value in pieces if piece]

    def _neighbour(self, row: int, similarity: float) -> Neighbour:
        if self.corpus is None:
            raise TypeError("there is no corpus")
        text = self.corpus.texts[row] if len(self.corpus.texts) else ""
        cluster = int(self.corpus.clusters[row])
        return Neighbour(row, self.corpus.titles[row], excerpt(text, _EXCERPT), cluster, similarity)


def _reads_well(text: str) -> bool:
    """Tell whether a text is mostly words: no head of a letter, no formula."""
    letters = sum(character.isalpha() or character == " " for character in text)
    return letters >= 0.93 * len(text) and "@" not in text
