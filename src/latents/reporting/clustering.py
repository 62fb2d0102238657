"""Charts of a mixture of multinomials: how the fit went, what the clusters say, how they fall."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.optimize import linear_sum_assignment

from latents.reporting import style

RANKINGS = {
    "probability": "probability of the word in the cluster, p(w | k)",
    "lift": "lift: p(w | k) over the word's share of the corpus",
}
_MAX_TOPIC_COLUMNS = 4
_MAX_WORD_LENGTH = 17
_MAX_LABEL_LENGTH = 28
_MAX_NUMBERED_COLUMNS = 24
# Digits that fit side by side into the bars of one chart, before they run into each other.
_MAX_DIGITS = 110


def bound_per_iteration(lower_bounds: npt.ArrayLike, tempered_bounds: npt.ArrayLike = ()) -> go.Figure:
    """Objective per document over the EM steps, above what annealed steps raise in its place.

    Under annealing the responsibilities come from the log joint times beta < 1, and what EM then
    raises is another objective, which falls whenever beta rises. It has a panel and a scale of its
    own below the beta = 1 objective (source, section 1.2), which cannot fall once beta is 1.

    Parameters
    ----------
    lower_bounds : array-like of shape (n_iter + 1,)
        Objective per document at beta = 1, in nats, before the first EM step and after each.
    tempered_bounds : array-like of shape (n_annealed,), optional
        Tempered objective per document, in nats, before each annealed step; these come first.

    Returns
    -------
    plotly.graph_objects.Figure
        Steps count from 0, the start. The annealed stretch is shaded.

    Raises
    ------
    ValueError
        If `lower_bounds` is empty or does not outlast `tempered_bounds`.
    """
    bounds, tempered = np.asarray(lower_bounds), np.asarray(tempered_bounds)
    if bounds.size <= tempered.size:
        raise ValueError(
            f"lower_bounds must hold more values than tempered_bounds, got {bounds.size} and {tempered.size}"
        )
    panels = [("objective", bounds, style.BLUE)]
    if tempered.size:
        panels.append(("tempered objective", tempered, style.ORANGE))
    figure = make_subplots(
        rows=len(panels),
        row_heights=[0.66, 0.34][: len(panels)],
        shared_xaxes=True,
        vertical_spacing=0.07,
    )
    for row, (name, values, colour) in enumerate(panels, start=1):
        figure.add_trace(
            go.Scatter(
                x=np.arange(values.size),
                y=values,
                name=name,
                mode="lines+markers" if values.size <= 80 else "lines",
                line={"color": colour, "width": 2.5},
                marker={"size": 5},
                hovertemplate=f"after %{{x}} EM steps<br>{name} %{{y:,.4f}} nats per document<extra></extra>",
            ),
            row=row,
            col=1,
        )
        figure.update_yaxes(title_text=f"{name}<br>(nats per document)", tickformat=",", row=row)
    figure.update_xaxes(title_text="EM steps taken", rangemode="tozero", row=len(panels))
    subtitle = "EM never lowers the objective."
    if tempered.size:
        figure.add_vrect(
            x0=0, x1=tempered.size, fillcolor=style.GREY, opacity=0.12, line_width=0, layer="below", row="all"
        )
        # The objective rises and the tempered one falls: these corners of the panels are empty.
        notes = [
            ("shaded: annealing, β rises to 1", "y domain", "bottom"),
            ("what annealed steps raise; drops whenever β rises", "y2 domain", "top"),
        ]
        for text, panel, edge in notes:
            figure.add_annotation(
                text=text,
                x=1,
                y=float(edge == "top"),
                xref="paper",
                yref=panel,
                xanchor="right",
                yanchor=edge,
                showarrow=False,
                borderpad=6,
            )
        subtitle = (
            "While β rises the objective may dip, as at each perturbation; once β is 1, EM never lowers it."
        )
    steps = bounds.size - 1
    title = (
        f"EM reached {style.number(float(bounds[-1]))} nats per document "
        f"after {steps:,} step{'' if steps == 1 else 's'}"
    )
    return style.finish(figure, title, subtitle, height=620 if tempered.size else 460)


def topic_words(topics: pd.DataFrame) -> go.Figure:
    """Top words of every cluster as bars, one panel per cluster.

    Parameters
    ----------
    topics : DataFrame with columns cluster, ranking, rank, word, value
        One row a word: its cluster, the ranking it belongs to ("probability" or "lift"), its rank
        within (smallest first) and the value ranked by. Where both rankings are there, a switch
        changes between them.

    Returns
    -------
    plotly.graph_objects.Figure
        Panels in order of the cluster's number, four to a row; each has its own scale.

    Raises
    ------
    ValueError
        If a column is missing, the table is empty or a ranking has another name.
    """
    missing = {"cluster", "ranking", "rank", "word", "value"} - set(topics.columns)
    if missing:
        raise ValueError(f"topics lacks the columns {sorted(missing)}")
    unknown = set(topics["ranking"]) - set(RANKINGS)
    if unknown or topics.empty:
        raise ValueError(f"topics must hold rankings among {list(RANKINGS)}, got {sorted(unknown)}")
    rankings = [ranking for ranking in RANKINGS if (topics["ranking"] == ranking).any()]
    clusters = style.in_order(topics["cluster"])
    columns = min(_MAX_TOPIC_COLUMNS, len(clusters))
    rows = math.ceil(len(clusters) / columns)
    n_words = int(topics.groupby(["cluster", "ranking"]).size().max())
    panel, gap, top, bottom = 20 * n_words + 12, 62, 120, 70
    height = top + bottom + rows * panel + (rows - 1) * gap
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[f"<b>Cluster {cluster}</b>" for cluster in clusters],
        horizontal_spacing=0.42 / columns if columns > 1 else 0.0,
        vertical_spacing=gap / (height - top - bottom) if rows > 1 else 0.0,
    )
    shown: list[str] = []
    for position, cluster in enumerate(clusters):
        row, column = position // columns + 1, position % columns + 1
        for ranking in rankings:
            chosen = (topics["cluster"] == cluster) & (topics["ranking"] == ranking)
            words = topics[chosen].sort_values("rank")
            shown.append(ranking)
            figure.add_trace(
                go.Bar(
                    x=words["value"].to_numpy(),
                    y=[style.plain(word) for word in words["word"]],
                    orientation="h",
                    name=f"cluster {cluster}, {ranking}",
                    marker={"color": style.BLUE if ranking == "probability" else style.ORANGE},
                    visible=ranking == rankings[0],
                    hovertemplate=f"%{{y}}<br>{ranking} %{{x:.4g}}<extra>cluster {cluster}</extra>",
                ),
                row=row,
                col=column,
            )
    figure.update_yaxes(
        autorange="reversed",
        type="category",
        tickfont={"size": 11},
        showgrid=False,
        dtick=1,
        labelalias={
            style.plain(word): style.plain(style.shorten(word, _MAX_WORD_LENGTH))
            for word in topics["word"].unique()
            if len(str(word)) > _MAX_WORD_LENGTH
        },
    )
    figure.update_xaxes(rangemode="tozero", nticks=4, tickfont={"size": 10})
    figure.update_annotations(font={"size": 13})
    style.finish(
        figure,
        _topics_title(rankings[0]),
        f"Each panel has its own scale: {RANKINGS[rankings[0]]}.",
        height=height,
    )
    figure.update_layout(margin={"t": top, "b": bottom, "l": 110}, bargap=0.25)
    figure.add_annotation(
        text=RANKINGS[rankings[0]],
        x=0.5,
        y=-52 / (height - top - bottom),
        xref="paper",
        yref="paper",
        showarrow=False,
    )
    if len(rankings) > 1:
        _add_switch(figure, rankings, shown)
    return figure


def _topics_title(ranking: str) -> str:
    return {
        "probability": "The most probable words of each cluster",
        "lift": "The words that set each cluster apart",
    }[ranking]


def _add_switch(figure: go.Figure, rankings: list[str], shown: list[str]) -> None:
    """Add buttons that show the traces of one ranking, and name the axes after it."""
    caption = len(figure.layout.annotations) - 1
    buttons = [
        {
            "label": f"by {ranking}",
            "method": "update",
            "args": [
                {"visible": [name == ranking for name in shown]},
                {
                    "title.text": _topics_title(ranking),
                    "title.subtitle.text": f"Each panel has its own scale: {RANKINGS[ranking]}.",
                    f"annotations[{caption}].text": RANKINGS[ranking],
                },
            ],
        }
        for ranking in rankings
    ]
    figure.update_layout(
        updatemenus=[
            {
                "type": "buttons",
                "direction": "right",
                "buttons": buttons,
                "x": 1,
                "xanchor": "right",
                "y": 1 + 52 / (figure.layout.height - 190),
                "yanchor": "bottom",
                "bgcolor": "#d9e8f6",
                "bordercolor": style.GREY,
                "font": {"color": "#1f2933", "size": 12},
                "pad": {"t": 0, "b": 0},
            }
        ]
    )


def label_by_cluster(labels: npt.ArrayLike, clusters: npt.ArrayLike, n_clusters: int) -> go.Figure:
    """Heat map of where the documents of each label went.

    Clusters carry no names, so the columns are put in the order in which the optimal matching of
    clusters to labels (Hungarian method on the counts) runs down the diagonal; a cluster left over
    stands beside the label that it holds most of.

    Parameters
    ----------
    labels : array-like of shape (n,)
        Known label of each document, numbers or text.
    clusters : array-like of shape (n,)
        Assigned cluster of each document, 0 to n_clusters - 1.
    n_clusters : int
        Number of components, so that an empty cluster is shown too.

    Returns
    -------
    plotly.graph_objects.Figure
        Colour is the share of the label's documents (rows sum to 1); counts are in `customdata`.

    Raises
    ------
    ValueError
        If the lengths differ, there is no document, or a cluster is out of range.
    """
    label_of, cluster_of = np.asarray(labels), _cluster_numbers(clusters, n_clusters)
    style.check_lengths(labels=label_of, clusters=cluster_of)
    if label_of.size == 0:
        raise ValueError("labels must name at least one document, got none")
    names, row_of = np.unique(label_of, return_inverse=True)
    counts = np.zeros((len(names), n_clusters), dtype=np.int64)
    np.add.at(counts, (row_of, cluster_of), 1)

    home = counts.argmax(axis=0)
    matched_rows, matched_columns = linear_sum_assignment(counts, maximize=True)
    home[matched_columns] = matched_rows
    is_matched = np.isin(np.arange(n_clusters), matched_columns)
    order = np.lexsort((np.arange(n_clusters), ~is_matched, home))

    counts = counts[:, order]
    totals = counts.sum(axis=1)
    shares = counts / totals[:, np.newaxis]
    rows = [f"{style.plain(name)}  ({n:,})" for name, n in zip(names, totals, strict=True)]
    short = [
        f"{style.plain(style.shorten(name, _MAX_LABEL_LENGTH))}  ({n:,})"
        for name, n in zip(names, totals, strict=True)
    ]
    numbered = n_clusters <= _MAX_NUMBERED_COLUMNS
    text = np.where(counts > 0, counts.astype(str), "")
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=[str(cluster) for cluster in order],
            y=rows,
            customdata=counts,
            text=text if numbered else None,
            texttemplate="%{text}" if numbered else None,
            textfont={"size": 11},
            colorscale=style.SEQUENTIAL,
            zmin=0.0,
            zmax=1.0,
            xgap=1.5,
            ygap=1.5,
            colorbar={
                "title": {
                    "text": "share of the label's documents",
                    "side": "right",
                    "font": {"size": 13},
                },
                "tickformat": ".0%",
                "thickness": 14,
                "outlinewidth": 0,
            },
            hovertemplate=(
                "label %{y}<br>cluster %{x}<br>%{customdata:,} documents, %{z:.1%} of the label"
                "<extra></extra>"
            ),
        )
    )
    figure.update_xaxes(title_text="cluster", type="category", showgrid=False, showline=False)
    figure.update_yaxes(
        title_text="label (documents)",
        type="category",
        autorange="reversed",
        showgrid=False,
        showline=False,
        dtick=1,
        labelalias=dict(zip(rows, short, strict=True)),
    )
    matched = counts[:, np.argsort(order)][matched_rows, matched_columns].sum() / label_of.size
    return style.finish(
        figure,
        f"{matched:.0%} of the documents are in the cluster matched to their label",
        "Rows are labels; a row with one dark cell is a label that one cluster has found."
        + (" Numbers are documents." if numbered else ""),
        height=190 + max(26 * len(names), 260),
    )


def cluster_sizes(
    clusters: npt.ArrayLike, n_clusters: int, weights: npt.ArrayLike | None = None
) -> go.Figure:
    """Documents per cluster as bars, beside the number that the mixing weights expect.

    Parameters
    ----------
    clusters : array-like of shape (n,)
        Assigned cluster of each document, 0 to n_clusters - 1.
    n_clusters : int
        Number of components, so that an empty cluster is shown too.
    weights : array-like of shape (n_clusters,), optional
        Mixing weights pi_k; n pi_k is drawn as a marker.

    Returns
    -------
    plotly.graph_objects.Figure
        Clusters from largest to smallest.

    Raises
    ------
    ValueError
        If a cluster is out of range or the weights are not one per cluster.
    """
    cluster_of = _cluster_numbers(clusters, n_clusters)
    counts = np.bincount(cluster_of, minlength=n_clusters)
    order = np.argsort(-counts, kind="stable")
    names = [str(cluster) for cluster in order]
    digits = n_clusters * len(f"{counts.max():,}")
    figure = go.Figure(
        go.Bar(
            x=names,
            y=counts[order],
            name="documents assigned",
            marker={"color": style.BLUE},
            text=counts[order],
            textposition="inside" if digits <= _MAX_DIGITS else "none",
            insidetextanchor="start",
            constraintext="none",
            textangle=0,
            textfont={"color": style.ink_on(style.BLUE)},
            texttemplate="%{text:,}",
            hovertemplate="cluster %{x}<br>%{y:,} documents<extra></extra>",
        )
    )
    subtitle = "Largest first."
    if weights is not None:
        pi = np.asarray(weights, dtype=np.float64)
        if pi.shape != (n_clusters,):
            raise ValueError(f"weights must have shape ({n_clusters},), got {pi.shape}")
        figure.add_trace(
            go.Scatter(
                x=names,
                y=cluster_of.size * pi[order],
                name="expected, π · documents",
                mode="markers",
                marker={
                    "symbol": "line-ew",
                    "size": min(22.0, 360.0 / n_clusters),
                    "line": {"width": 3, "color": style.ORANGE},
                },
                hovertemplate="cluster %{x}<br>%{y:,.1f} documents expected<extra></extra>",
            )
        )
        subtitle = "Largest first. Bar and mark agree where documents belong clearly to one cluster."
    figure.update_xaxes(title_text="cluster", type="category")
    figure.update_yaxes(title_text="documents", rangemode="tozero", tickformat=",")
    empty = int((counts == 0).sum())
    title = f"{cluster_of.size:,} documents in {n_clusters - empty} clusters"
    if empty:
        title += f", {empty} empty"
    return style.finish(figure, title, subtitle, legend="none" if weights is None else "top")


def _cluster_numbers(clusters: npt.ArrayLike, n_clusters: int) -> npt.NDArray[Any]:
    """Check that assigned clusters are among 0 ... n_clusters - 1."""
    numbers = np.asarray(clusters, dtype=np.int64)
    outside = (numbers < 0) | (numbers >= n_clusters)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise ValueError(f"clusters must be within 0 and {n_clusters - 1}, got {numbers[row]} in row {row}")
    return numbers
