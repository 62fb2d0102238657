"""How the documents fall: sizes of the clusters, and where each label went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from scipy.optimize import linear_sum_assignment

from latents.reporting import heat_map, style
from latents.reporting.clustering.names import short_names

_MAX_NAME_LENGTH = 30
_MAX_NUMBERED_COLUMNS, _MAX_NAMED_COLUMNS = 24, 60


def matched_clusters(
    labels: npt.ArrayLike, clusters: npt.ArrayLike, n_clusters: int
) -> tuple[list[Any], npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """Count labels by cluster and give every cluster the label it is matched to.

    The matching is optimal and one to one (Hungarian method on the counts). A cluster left over, or without a
    document of the label that is left for it, has no match.

    Parameters
    ----------
    labels : array-like of shape (n,)
        Known label of each document, numbers or text.
    clusters : array-like of shape (n,)
        Assigned cluster of each document, 0 to n_clusters - 1.
    n_clusters : int
        Number of components, so that an empty cluster counts too.

    Returns
    -------
    names : list
        The distinct labels, in order.
    counts : ndarray of shape (n_labels, n_clusters)
    label_of : ndarray of shape (n_clusters,)
        The position of each cluster's label in `names`, or -1 for a cluster left over.
    """
    names, row_of = np.unique(np.asarray(labels), return_inverse=True)
    counts = np.zeros((len(names), n_clusters), dtype=np.int64)
    np.add.at(counts, (row_of, _cluster_numbers(clusters, n_clusters)), 1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    label_of = np.full(n_clusters, -1, dtype=np.intp)
    shares = counts[rows, columns] > 0  # what has no document of a label is not matched to it
    label_of[columns[shares]] = rows[shares]
    return names.tolist(), counts, label_of


def label_by_cluster(
    labels: npt.ArrayLike,
    clusters: npt.ArrayLike,
    names: Sequence[str],
    classes: Sequence[str] | None = None,
) -> go.Figure:
    """Heat map of where the documents of each label went.

    Each cluster stands where the label is of which it holds the largest share, so that the darkest cells run down
    the diagonal, or where its class is; those matched to a label (``matched_clusters``) come before others there,
    and empty ones at the end.

    Parameters
    ----------
    labels : array-like of shape (n,)
        Known label of each document, numbers or text.
    clusters : array-like of shape (n,)
        Assigned cluster of each document, a position in `names`.
    names : sequence of str
        The name of every cluster, the empty ones included.
    classes : sequence of str, optional
        The label that every cluster is of, "" for none, where that is known and not matched.

    Returns
    -------
    plotly.graph_objects.Figure
        Colour is the share of the label's documents (rows sum to 1); `customdata` holds counts and
        the clusters' numbers.

    Raises
    ------
    ValueError
        If the lengths differ, there is no document, or a cluster is out of range.
    """
    label_of, cluster_of = np.asarray(labels), _cluster_numbers(clusters, len(names))
    style.check_lengths(labels=label_of, clusters=cluster_of)
    if label_of.size == 0:
        raise ValueError("labels must name at least one document, got none")
    label_names, counts, matched = matched_clusters(label_of, cluster_of, len(names))
    if classes is not None:
        places = {label: place for place, label in enumerate(label_names)}
        matched = np.array([places.get(of_cluster, -1) for of_cluster in classes], dtype=np.intp)
    is_matched = matched >= 0
    home = (counts / counts.sum(axis=1, keepdims=True)).argmax(axis=0)
    if classes is not None:
        home[is_matched] = matched[is_matched]
    home[counts.sum(axis=0) == 0] = len(label_names)
    order = np.lexsort((np.arange(len(names)), ~is_matched, home))
    n_agreeing = counts[matched[is_matched], np.flatnonzero(is_matched)].sum()

    counts = counts[:, order]
    columns = [style.plain(name) for name in short_names(names, _MAX_NAME_LENGTH)]
    numbered = len(names) <= _MAX_NUMBERED_COLUMNS
    figure = heat_map.shares_of_rows(
        counts,
        label_names,
        [columns[cluster] for cluster in order],
        row_title="label (documents)",
        share_title="share of the label's documents",
        hovertemplate=(
            "label %{y}<br>cluster %{customdata[1]}: %{x}<br>%{customdata[0]:,} documents, %{z:.1%} of the "
            "label<extra></extra>"
        ),
        is_numbered=numbered,
        customdata=np.dstack([counts, np.broadcast_to(order, counts.shape)]),
    )
    reading = "Rows are labels; a row with one dark cell is a label that one cluster has found."
    if len(names) > _MAX_NAMED_COLUMNS:
        reading += " Point at a cell to see which cluster it is of."
    elif numbered:
        reading += " Numbers are documents."
    figure.update_xaxes(
        tickangle=-45 if numbered else -90, showticklabels=len(names) <= _MAX_NAMED_COLUMNS, ticks=""
    )
    return style.finish(
        figure,
        f"{n_agreeing / label_of.size:.1%} of the documents are in the cluster matched to their label"
        if classes is None
        else f"{n_agreeing / label_of.size:.1%} of the held-out documents are in a cluster of their label",
        reading,
        height=310 + max(26 * len(label_names), 260),
    )


def cluster_sizes(clusters: npt.ArrayLike, names: Sequence[str], weights: npt.ArrayLike) -> go.Figure:
    """Documents per cluster as bars, beside the number that the mixing weights expect.

    Parameters
    ----------
    clusters : array-like of shape (n,)
        Assigned cluster of each document, a position in `names`.
    names : sequence of str
        The name of every cluster, the empty ones included.
    weights : array-like of shape (K,)
        Mixing weights pi_k; n pi_k is drawn as a mark.

    Returns
    -------
    plotly.graph_objects.Figure
        Clusters from largest to smallest, downwards.

    Raises
    ------
    ValueError
        If a cluster is out of range or the weights are not one per cluster.
    """
    n_clusters = len(names)
    cluster_of, pi = _cluster_numbers(clusters, n_clusters), np.asarray(weights, dtype=np.float64)
    if pi.shape != (n_clusters,):
        raise ValueError(f"weights must have shape ({n_clusters},), got {pi.shape}")
    counts = np.bincount(cluster_of, minlength=n_clusters)
    order = np.argsort(-counts, kind="stable")
    short = [style.plain(name) for name in short_names(names, _MAX_NAME_LENGTH)]
    rows = [short[cluster] for cluster in order]
    figure = go.Figure(
        [
            go.Bar(
                x=counts[order],
                y=rows,
                orientation="h",
                name="documents assigned",
                marker={"color": style.BLUE},
                text=counts[order],
                textposition="auto",
                insidetextanchor="start",
                textangle=0,
                textfont={"size": 11},
                texttemplate="%{text:,}",
                customdata=order,
                hovertemplate="cluster %{customdata}: %{y}<br>%{x:,} documents<extra></extra>",
            ),
            go.Scatter(
                x=cluster_of.size * pi[order],
                y=rows,
                name="expected, π · documents",
                mode="markers",
                marker={"symbol": "line-ns", "size": 14, "line": {"width": 3, "color": style.ORANGE}},
                hovertemplate="%{y}<br>%{x:,.1f} documents expected<extra></extra>",
            ),
        ]
    )
    figure.update_yaxes(type="category", range=[n_clusters - 0.5, -0.5], showgrid=False, dtick=1)
    figure.update_xaxes(title_text="documents", rangemode="tozero", tickformat=",")
    empty = int((counts == 0).sum())
    used = n_clusters - empty
    title = f"{cluster_of.size:,} documents in {used} cluster{'' if used == 1 else 's'}"
    if empty:
        title += f", {empty} empty"
    style.finish(figure, title, "Largest first.", height=170 + max(24 * n_clusters, 80), legend="top")
    return figure.update_layout(bargap=0.25)


def _cluster_numbers(clusters: npt.ArrayLike, n_clusters: int) -> npt.NDArray[Any]:
    """Check that assigned clusters are among 0 ... n_clusters - 1."""
    numbers = np.asarray(clusters, dtype=np.int64)
    outside = (numbers < 0) | (numbers >= n_clusters)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise ValueError(f"clusters must be within 0 and {n_clusters - 1}, got {numbers[row]} in row {row}")
    return numbers
