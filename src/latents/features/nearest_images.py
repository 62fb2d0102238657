"""The images of a set that lie nearest to others."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from latents.features.images import ScaledRows

_BLOCK = 2**22  # numbers of the set that are looked at at a time


class NearestImages(NamedTuple):
    """For each image asked for, the nearest one of a set.

    Attributes
    ----------
    rows : ndarray of int, of shape (n_asked,)
        Which it is.
    distances : ndarray of shape (n_asked,)
        How far it lies, |x - x'|.
    """

    rows: NDArray[np.intp]
    distances: NDArray[np.float64]


def nearest_images(
    asked: NDArray[Any],
    X: NDArray[Any] | ScaledRows,
    rows: NDArray[np.intp],
    callback: Callable[[str, float, int], None] | None = None,
) -> NearestImages:
    """Find the nearest of some rows of `X`, by the Euclidean distance; a block of them is read at a time.

    Parameters
    ----------
    asked : ndarray of shape (n_asked, p)
    X : ndarray of shape (N, p), or ScaledRows
        In memory, or mapped from a file.
    rows : ndarray of int
        Which of them are sought among; one at least.
    callback : callable, optional
        Told how many have been looked at.
    """
    from sklearn.metrics import pairwise_distances_argmin_min  # slow to load

    found, distances = np.zeros(len(asked), np.intp), np.full(len(asked), np.inf)
    for block in gen_batches(len(rows), max(1, _BLOCK // X.shape[1])):
        places, nearer = pairwise_distances_argmin_min(asked, np.asarray(X[rows[block]]))
        better = nearer < distances
        found[better], distances[better] = rows[block][places[better]], nearer[better]
        if callback is not None:
            callback("images", block.stop, block.stop)
    # Found by |x|^2 - 2 x'x + |x'|^2, which leaves a rest of rounding where two images are the same.
    for part in gen_batches(len(asked), max(1, _BLOCK // X.shape[1])):
        distances[part] = np.linalg.norm(asked[part].astype(np.float64) - X[found[part]], axis=1)
    return NearestImages(found, distances)
