"""The node that draws: the figures of a clustering."""

from __future__ import annotations  # so that naming MultinomialMixture in a signature does not import torch

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from latents import estimators, reporting
from latents.features.documents import Documents, excerpts
from latents.pipelines.clustering.guiding import GUIDE
from latents.pipelines.clustering.parameters import SelectParameters


def draw(
    model: estimators.MultinomialMixture,
    documents: Documents,
    assignments: pd.DataFrame,
    topics: pd.DataFrame,
    clusters: pd.DataFrame,
    positions: pd.DataFrame,
    selection: pd.DataFrame,
    select: SelectParameters,
) -> dict[str, Any]:
    """Draw the figures, over the training documents but for the map, and for labels that guided the fit.

    Returns
    -------
    mapping
        ``bound``, ``topics``, ``labels``, ``sizes``, ``map`` and ``selection`` (Plotly figures). Those that the
        data do not allow say why.
    """
    names = clusters["name"].tolist()
    train = assignments[~assignments["held_out"]]
    classes = clusters["class"].tolist() if model.use_labels == GUIDE else None
    return {
        "bound": reporting.clustering.bound_per_iteration(model.lower_bounds_, model.tempered_bounds_),
        "topics": reporting.clustering.topic_words(topics[topics["cluster"].isin(train["cluster"])], names),
        "sizes": reporting.clustering.cluster_sizes(train["cluster"], names, model.weights_),
        "labels": _labels(assignments, names, classes),
        "map": _map(positions, documents, assignments, names, classes),
        "selection": (
            reporting.selection.criteria_over_k(selection, select.criterion)
            if len(selection) > 1
            else reporting.style.absent(
                "Choosing K",
                "One number of clusters was fitted; clustering.fit.n_components may be a list of several.",
            )
        ),
    }


def _labels(assignments: pd.DataFrame, names: Sequence[str], classes: Sequence[str] | None) -> go.Figure:
    """Draw where labels went, of those that guided the fit the held-out ones, or say why there is nothing."""
    title, held_out = "Labels by cluster", assignments["held_out"].astype(bool)
    if "label" not in assignments:
        return reporting.style.absent(
            title, "The documents have no labels to compare with, or all the same one."
        )
    if classes is None:
        train = assignments[~held_out]
        return reporting.clustering.label_by_cluster(train["label"], train["cluster"], names)
    judged = assignments[held_out & assignments["label"].isin(set(classes) - {""})]
    if judged.empty:
        return reporting.style.absent(
            title, "The labels guided the fit, and no held-out document has one to compare with."
        )
    return reporting.clustering.label_by_cluster(judged["label"], judged["cluster"], names, classes)


def _map(
    positions: pd.DataFrame,
    documents: Documents,
    assignments: pd.DataFrame,
    names: Sequence[str],
    classes: Sequence[str] | None = None,
) -> go.Figure:
    """Draw the map, or say why there is none."""
    if positions.empty:
        return reporting.style.absent(
            "Map of the documents",
            "A map was not asked for (clustering.evaluate.map_documents), or there are too few documents or "
            "clusters for one.",
        )
    rows = positions["document"].to_numpy()
    shown = assignments.iloc[rows]
    labelled = {}
    if "label" in shown:
        labelled = {
            "labels": shown["label"].replace("", "no label").to_numpy(),
            "agreeing": _agreeing(assignments, len(names), classes)[rows],
        }
    return reporting.clustering.document_map(
        positions[["x", "y"]].to_numpy(),
        shown["cluster"].to_numpy(),
        names,
        texts=excerpts(documents, rows, 200),
        titles=shown["name"].astype(str).tolist() if "name" in shown else [f"document {row}" for row in rows],
        n_documents=len(assignments),
        **labelled,
    )


def _agreeing(
    assignments: pd.DataFrame, n_clusters: int, classes: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Return which documents are in the cluster matched to their label over the training documents.

    Where labels guided the fit: in one of their class. Those without a label contradict nothing.
    """
    if classes is not None:
        own = np.array(classes, dtype=object)[assignments["cluster"]]
        contradicts = (own != assignments["label"]) & (assignments["label"] != "")
        in_own: NDArray[np.bool_] = ~contradicts.to_numpy(dtype=bool)
        return in_own
    train = assignments[~assignments["held_out"].astype(bool)]
    labels, _, matched = reporting.clustering.matched_clusters(train["label"], train["cluster"], n_clusters)
    wanted = np.array([*labels, None], dtype=object)[matched]
    agreeing: NDArray[np.bool_] = wanted[assignments["cluster"]] == assignments["label"].to_numpy(
        dtype=object
    )
    return agreeing
