"""What has changed since the champion: new clusters held against those of the best model so far."""

from __future__ import annotations  # so that naming ClusteringPredictor in a signature does not import torch

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from latents.features.documents import DocumentBlocks, Documents
from latents.pipelines import bags
from latents.pipelines.clustering.description import best_columns, telling
from latents.pipelines.clustering.parameters import EvaluateParameters
from latents.predictors import Champion, ClusteringPredictor

logger = logging.getLogger(__name__)

_COLUMNS = [
    *["cluster", "cluster_name", "n_documents", "change", "champion_cluster", "champion_name"],
    *["champion_documents", "n_shared", "gained", "lost", "champion_version"],
]
# What holds at least this share of another has most of it.
_MOST = 0.5


def changes_since(
    champion: Champion | None,
    documents: Documents,
    bag: bags.Bag,
    described: Mapping[str, pd.DataFrame],
    params: EvaluateParameters,
) -> pd.DataFrame:
    """Hold the clusters of the training documents against those in which the champion puts the same documents.

    Those without a word that the champion knows are left out. `described` has the tables ``assignments``,
    ``topics`` and ``clusters``.

    Returns
    -------
    DataFrame
        A row for each cluster that has documents, and one for each of the champion's that is gone. ``change`` is

        - "kept": it has most of the documents of ``champion_cluster``, and most of its own from there,
        - "joined": it has most of the documents of several,
        - "split off": it has most of its own from ``champion_cluster``, which is larger,
        - "new": none of these,
        - "gone": no cluster keeps ``champion_cluster``; ``cluster`` has the largest part of its documents.

        ``champion_cluster`` is that with which most documents are shared, ``n_shared``; ``n_documents`` and
        ``champion_documents`` are of each. ``gained`` and ``lost``, of kept clusters, are the words that have come
        to the most relevant ones and those that have left them. ``champion_version`` is the same in all rows. No
        row where there is no champion, or it cannot read the documents.
    """
    nothing = pd.DataFrame(columns=_COLUMNS)
    if champion is None:
        return nothing
    predictor = champion.predictor
    if not isinstance(predictor, ClusteringPredictor):
        logger.warning(
            "the champion, version %s, is no clustering: %s", champion.version, type(predictor).__name__
        )
        return nothing
    assignments, topics = described["assignments"], described["topics"]
    trained = np.flatnonzero(~assignments["held_out"].to_numpy(dtype=bool))
    try:
        before = _clusters_before(predictor, documents, bag, trained)
    except ValueError as error:
        logger.warning("the champion, version %s, cannot read the documents: %s", champion.version, error)
        return nothing
    known = before >= 0
    shared = np.zeros((len(predictor.cluster_names), len(described["clusters"])), dtype=np.intp)
    np.add.at(shared, (before[known], assignments["cluster"].to_numpy()[trained][known]), 1)
    if not shared.any():
        logger.warning("the champion, version %s, knows no word of the documents", champion.version)
        return nothing
    ranking = telling(
        predictor.model,
        predictor.model.word_frequencies()[np.newaxis],  # words that are no more used were once
        shared.sum(axis=1),
        params.relevance_weight,
    )
    by_relevance = topics[topics["ranking"] == "relevance"]
    names = described["clusters"]["name"].tolist()
    rows = [
        _row(shared, old, new, change, names, predictor.cluster_names) for old, new, change in changes(shared)
    ]
    for row in rows:
        if row["change"] == "kept":
            now = by_relevance.loc[by_relevance["cluster"] == row["cluster"], "word"].tolist()
            best = best_columns(ranking[row["champion_cluster"]], params.n_top_words)
            then = [predictor.vocabulary[column] for column in best]
            row["gained"] = ", ".join(word for word in now if word not in then)
            row["lost"] = ", ".join(word for word in then if word not in now)
    return pd.DataFrame(rows, columns=_COLUMNS).assign(champion_version=champion.version)


def changes(shared: NDArray[np.intp]) -> list[tuple[int, int, str]]:
    """Return what has become of clusters, by the documents that old ones (rows) and new ones share.

    Returns
    -------
    list of tuple
        The old cluster, the new one and the change: of each new one that has documents, and of old ones gone.
    """
    of_old, of_new = shared.sum(axis=1), shared.sum(axis=0)
    has_most = shared >= _MOST * np.maximum(of_old[:, np.newaxis], of_new)
    # Of two exact halves only one is kept.
    olds, news = linear_sum_assignment(np.where(has_most, shared, 0), maximize=True)
    pairs = zip(olds.tolist(), news.tolist(), strict=True)
    kept = {new: old for old, new in pairs if has_most[old, new] and shared[old, new]}
    found = []
    for new in np.flatnonzero(of_new).tolist():
        old = kept.get(new, int(shared[:, new].argmax()))
        n_joined = int(((shared[:, new] >= _MOST * of_old) & (of_old > 0)).sum())
        if new in kept:
            change = "kept"
        elif n_joined > 1:
            change = "joined"
        elif shared[old, new] >= _MOST * of_new[new] and of_old[old] > of_new[new]:
            change = "split off"
        else:
            change = "new"
        found.append((old, new, change))
    gone = np.setdiff1d(np.flatnonzero(of_old), list(kept.values())).tolist()
    return [*found, *((old, int(shared[old].argmax()), "gone") for old in gone)]


def _clusters_before(
    predictor: ClusteringPredictor, documents: Documents, bag: bags.Bag, rows: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return in which clusters a predictor puts some of the documents; -1 of those without words that it knows."""
    if bag:
        counts, words = bags.counts_of(bag)
        return predictor.clusters_of(predictor.count_bag(counts[rows], words))
    if isinstance(documents, DocumentBlocks):
        return np.concatenate(documents.texts.each(predictor.clusters_of_texts))[rows]
    return predictor.clusters_of_texts(documents["text"].to_numpy()[rows].tolist())


def _row(
    shared: NDArray[np.intp], old: int, new: int, change: str, names: Sequence[str], old_names: Sequence[str]
) -> dict[str, Any]:
    return {
        "cluster": new,
        "cluster_name": names[new],
        "n_documents": shared[:, new].sum(),
        "change": change,
        "champion_cluster": old,
        "champion_name": old_names[old],
        "champion_documents": shared[old].sum(),
        "n_shared": shared[old, new],
        "gained": "",
        "lost": "",
    }
