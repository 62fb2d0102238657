"""Where new texts fall on the map of a corpus, and which of its documents are nearest to them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from latents import estimators
from latents.estimators.multinomial_mixture.document_map import evidence, median_length
from latents.estimators.multinomial_mixture.reading import log_lift
from latents.features.nearest import Nearest, nearest

_NEIGHBOURS = 15
_ROUNDS = 500  # of the median, at most
_SAME, _STILL = 1e-12, 1e-7  # of distances on the map, whose half-width is 1


class DocumentMap:
    """Documents that have places on a map, among which others find theirs.

    A new document has no place of its own: the map is laid out for all of its documents at once. It is put at
    the geometric median of the places of those whose words say most nearly the same of the clusters: where these
    lie in two parts of the map, in the larger one, and not between them.

    Parameters
    ----------
    model : MultinomialMixture
        By which the map was made.
    counts : csr_array of shape (N, W)
        Of the documents on the map.
    places : array-like of shape (N, 2)
        Where they are.

    Raises
    ------
    ValueError
        If these do not fit together.
    """

    def __init__(
        self, model: estimators.MultinomialMixture, counts: sparse.csr_array, places: ArrayLike
    ) -> None:
        self.places = np.asarray(places, dtype=np.float64)
        shape = model.word_probabilities_.shape
        if counts.shape[1] != shape[1] or self.places.shape != (counts.shape[0], 2):
            raise ValueError(
                f"counts are {counts.shape}, places {self.places.shape}; the model has {shape[1]} words"
            )
        self._model = model
        self._counts = counts

    def nearest(self, counts: sparse.csr_array, n: int) -> Nearest:
        """Return the documents that share most words with others (see ``features.nearest``)."""
        return nearest(counts, self._counts, n)

    def place(self, counts: sparse.csr_array) -> NDArray[np.float64]:
        """Return where documents fall on the map, (n, 2); NaN for those without a word of the vocabulary."""
        points = evidence(counts, self._scores, self._usual_length)
        # In the order of evidence and not of shared words, since that is what the map shows.
        distances = np.linalg.norm(self._points[np.newaxis] - points[:, np.newaxis], axis=2)
        n = min(_NEIGHBOURS, distances.shape[1])
        around = np.argpartition(distances, n - 1, axis=1)[:, :n]
        nearness = 1 / (np.take_along_axis(distances, around, axis=1) + 1e-6)
        places = np.array(
            [_median(self.places[rows], weights) for rows, weights in zip(around, nearness, strict=True)]
        ).reshape(-1, 2)
        places[np.asarray(counts.sum(axis=1)) == 0] = np.nan
        return places

    @cached_property
    def _scores(self) -> NDArray[np.float64]:
        return log_lift(self._model.word_probabilities_, self._counts)

    @cached_property
    def _usual_length(self) -> float:
        return median_length(self._counts)

    @cached_property
    def _points(self) -> NDArray[np.float64]:
        return evidence(self._counts, self._scores, self._usual_length)


def _median(places: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the point with the least sum of weighted distances (Weiszfeld; at a place, Vardi and Zhang 2000)."""
    median = np.average(places, axis=0, weights=weights)
    for _ in range(_ROUNDS):
        away = places - median
        distances = np.linalg.norm(away, axis=1)
        others = distances > _SAME
        if not others.any():
            break
        pull = weights[others] / distances[others]
        step = pull @ away[others]
        # A place that the median is at holds it back with its own weight.
        held = float(weights[~others].sum())
        share = max(0.0, 1 - held / max(float(np.linalg.norm(step)), _SAME))
        moved = share * step / pull.sum()
        median = median + moved
        if np.linalg.norm(moved) < _STILL:
            break
    return median
