"""Whether parameters of a fit are on the scale of its corpus."""

from __future__ import annotations  # so that naming MultinomialMixture in a signature does not import torch

import logging

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from latents import estimators
from latents.features.block_counts import BlockCounts

logger = logging.getLogger(__name__)


def warn(
    model: estimators.MultinomialMixture, train: sparse.csr_array | BlockCounts, clusters: NDArray[np.intp]
) -> None:
    """Say of a fit with empty components, or whose prior outweighs its documents, what is to be changed.

    Parameters
    ----------
    model : MultinomialMixture
        The fitted mixture.
    train : sparse array or BlockCounts of shape (n_documents, n_words)
        Counts of the documents that it was fitted to.
    clusters : ndarray of shape (n_documents,)
        The clusters of these, of labels that guided the fit as these say.
    """
    n_components, n_words = model.word_probabilities_.shape
    n_empty = n_components - len(np.unique(clusters))
    if n_empty:
        logger.warning(
            "%d of %d clusters hold no training document; a smaller clustering.fit.n_components will do, or let "
            "more of them live by a smaller annealing_smoothing (%g)",
            n_empty,
            n_components,
            model.annealing_smoothing,
        )
    total = float(train.sum())
    occurrences = float(train.n_occurrences() if isinstance(train, BlockCounts) else train.minimum(1).sum())
    priors = {
        "smoothing": n_components * n_words * model.pseudo_count_ if model.smoothing != "auto" else 0.0,
        "annealing_smoothing": model.annealing_smoothing
        * (occurrences if model.relative else n_components * n_words)
        * model.annealing,
    }
    for name, prior in priors.items():
        if prior > total:
            logger.warning(
                "the prior outweighs the documents: clustering.fit.%s (%g) adds %.0f pseudo-counts to their "
                "%.0f words, so that clusters are more alike than documents are; set a smaller one%s",
                name,
                getattr(model, name),
                prior,
                total,
                "" if model.relative else ", or relative: true, by which it is a share of what there is",
            )
