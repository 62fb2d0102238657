"""A map of documents in the plane, drawn from what a mixture says of them."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[np.float64]

_PERPLEXITY = 30.0
_ALIKE = 1e-9
# Fewer documents than this have no neighbourhoods to keep.
MIN_DOCUMENTS = 5


def evidence(counts: Any, scores: Array, usual_length: float | None = None) -> Array:
    r"""Return what each document's words say for each cluster against the mean of the clusters.

    .. math::

        e_{dk} = \frac{1}{n_d + \bar n} \sum_w T_{dw} \left(s_{kw} - \tfrac{1}{K} \sum_j s_{jw}\right),
        \qquad x_d = e_d / \sqrt{\lVert e_d \rVert}

    With s the log lift (``reading.log_lift``), e_d is the centred log-ratio of the responsibilities
    (without the weights pi), per word. The responsibilities themselves are 0 or 1 on texts of some
    length and would leave one point a cluster. As if each document had n-bar more words that say
    nothing (the median length), short ones stay near the middle. The root keeps direction, which is
    what the document is about, ahead of strength. Of two clusters the differences are one number, which
    gives no map; there the mean is not taken off, and x has two dimensions.

    Parameters
    ----------
    counts : array-like or sparse matrix of shape (D, W)
        T.
    scores : ndarray of shape (K, W)
        s.
    usual_length : float, optional
        n-bar, where the documents are to be held against others; by default theirs.

    Returns
    -------
    ndarray of shape (D, K)
        x. Rows sum to 0 if K > 2; documents without words are at the origin.
    """
    T = sp.csr_array(counts, dtype=np.float64)
    n_words = np.asarray(T.sum(axis=1))
    usual = median_length(T) if usual_length is None else usual_length
    against = scores.mean(axis=0) if len(scores) > 2 else np.zeros(scores.shape[1])
    ratios = T @ (scores - against).T / (n_words + usual)[:, np.newaxis]
    length = np.linalg.norm(ratios, axis=1, keepdims=True)
    x: Array = ratios / np.sqrt(np.where(length > 0, length, 1.0))
    return x


def median_length(counts: sp.csr_array) -> float:
    """Return the median number of words of the documents that have any; 1 where none has."""
    n_words = np.asarray(counts.sum(axis=1))
    return float(np.median(n_words[n_words > 0])) if counts.nnz else 1.0


def plane(points: Array, random_state: int | np.random.RandomState | None = None) -> Array:
    """Lay points out in the plane so that neighbours stay neighbours (t-SNE, van der Maaten 2008).

    t-SNE starts from the first two principal components, which keep the large-scale arrangement (Kobak
    and Berens, "The art of using t-SNE", 2019). Distances between groups and their sizes on the
    plane still mean little. Two dimensions need none of this: their difference is drawn across, their
    sum upwards.

    Parameters
    ----------
    points : ndarray of shape (D, K)
        D of at least `MIN_DOCUMENTS`, K of at least 2.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    ndarray of shape (D, 2)
        Centred, the larger half-width 1; all at the origin where all points are the same.

    Raises
    ------
    ValueError
        If there are too few points or dimensions.
    """
    from sklearn.manifold import TSNE  # slow to load

    n_points, n_dimensions = points.shape
    if n_points < MIN_DOCUMENTS or n_dimensions < 2:
        raise ValueError(
            f"points are {n_points} in {n_dimensions} dimensions; a map needs {MIN_DOCUMENTS} in 2 at least"
        )
    if n_dimensions == 2:
        return _fitted(points @ np.array([[1.0, 1.0], [-1.0, 1.0]]))
    # Single precision, as t-SNE computes, must still tell the points apart.
    centred = (points - points.mean(axis=0)).astype(np.float32)
    if np.ptp(centred, axis=0).max() < _ALIKE:
        return np.zeros((n_points, 2))  # t-SNE would divide by their spread
    # Three times the perplexity is how many neighbours t-SNE looks at.
    perplexity = min(_PERPLEXITY, (n_points - 1) / 3)
    layout = TSNE(init="pca", perplexity=perplexity, random_state=random_state).fit_transform(centred)
    return _fitted(layout.astype(np.float64))


def _fitted(places: Array) -> Array:
    """Centre places, the larger half-width becoming 1; all the same become the origin."""
    centred = places - (places.min(axis=0) + places.max(axis=0)) / 2
    fitted: Array = centred / max(float(np.abs(centred).max()), _ALIKE)
    return fitted
