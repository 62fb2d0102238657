"""The map: every document a point, near those that the mixture sees alike."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from latents.reporting import style
from latents.reporting.clustering.names import short_names
from latents.reporting.clustering.placing import apart, categories, heads

_HEIGHT = 840
_MARGIN = {"l": 16, "r": 16, "t": 128, "b": 24}
# What names take on the map in pixels: of a character, of a line with its padding.
_CHARACTER, _LINE = 6.4, 19.0
_MAX_NAME_LENGTH = 26
_HOVER_WIDTH = 64
# More names would hide what they name.
_MAX_TAGS = 40
# Colours and symbols tell so many labels apart.
_MAX_LABELS = len(style.CATEGORY_COLOURS) * len(style.CATEGORY_SYMBOLS)


def document_map(
    positions: npt.ArrayLike,
    clusters: npt.ArrayLike,
    names: Sequence[str],
    *,
    texts: Sequence[str],
    titles: Sequence[str],
    labels: npt.ArrayLike | None = None,
    agreeing: npt.ArrayLike | None = None,
    n_documents: int,
) -> go.Figure:
    """Scatter of documents, coloured by cluster, with a switch to their labels.

    Parameters
    ----------
    positions : array-like of shape (n, 2)
        Places on the map; both axes share one scale.
    clusters : array-like of shape (n,)
        Assigned cluster of each document, a position in `names`.
    names : sequence of str
        The name of every cluster.
    texts, titles : sequence of str
        The beginning and the name of each document, shown on hovering.
    labels : array-like of shape (n,), optional
        Known labels: adds the switch, to colours by label (of sixty labels at most) and by agreement.
    agreeing : array-like of bool, of shape (n,), optional
        Whether each document is in the cluster matched to its label; needed with `labels`.
    n_documents : int
        How many documents there are in all, said where not all are shown.

    Returns
    -------
    plotly.graph_objects.Figure
        One WebGL trace a cluster, the largest first; names of clusters and labels, of forty at most, the largest,
        are annotations.

    Raises
    ------
    ValueError
        If the columns differ in length.
    """
    xy = np.asarray(positions, dtype=np.float64).reshape(-1, 2)
    cluster_of = np.asarray(clusters, dtype=np.intp)
    columns: dict[str, Any] = {"positions": xy, "clusters": cluster_of, "texts": texts, "titles": titles}
    if labels is not None:
        columns |= {
            "labels": np.asarray(labels),
            "agreeing": np.asarray([] if agreeing is None else agreeing),
        }
    style.check_lengths(**columns)
    by_size = np.argsort(-np.bincount(cluster_of, minlength=len(names)), kind="stable")
    members = {int(k): np.flatnonzero(cluster_of == k) for k in by_size if (cluster_of == k).any()}
    short = short_names(names, _MAX_NAME_LENGTH)
    looks = categories(heads(xy, cluster_of, len(names)))
    size = float(np.clip(10.0 - 1.6 * np.log10(max(len(xy), 1)), 3.0, 8.0))
    figure = go.Figure()
    for k, rows in members.items():
        figure.add_trace(
            go.Scattergl(
                x=xy[rows, 0].astype(np.float32),
                y=xy[rows, 1].astype(np.float32),
                text=[
                    _hover(
                        titles[row], None if labels is None else columns["labels"][row], names[k], texts[row]
                    )
                    for row in rows.tolist()
                ],
                mode="markers",
                name=style.plain(short[k]),
                marker={"size": size, "color": looks[k][0], "symbol": looks[k][1], "opacity": 0.75},
                hovertemplate="%{text}<extra></extra>",
            )
        )
    tags = _tags(xy, cluster_of, short, looks)
    title = f"{len(xy):,} documents as the mixture of {len(names)} sees them"
    subtitle = "Near one another: words that speak for the same clusters. Only neighbourhoods mean something."
    if n_documents > len(xy):
        subtitle += f" Shown: {len(xy):,} of {n_documents:,}."
    if len(tags) < len(members):
        subtitle += f" Named: the {len(tags)} largest clusters."
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x", scaleratio=1)
    style.finish(figure, title, subtitle, height=_HEIGHT, legend="right")
    figure.update_layout(
        margin=_MARGIN, hovermode="closest", dragmode="pan", legend={"font": {"size": 11}}, annotations=tags
    )
    if labels is not None:
        _add_switch(figure, xy, list(members.values()), columns["labels"], columns["agreeing"].astype(bool))
    return figure


def _hover(title: str, label: Any, name: str, text: str) -> str:
    lines = [f"<b>{style.plain(style.shorten(title, _HOVER_WIDTH))}</b>"]
    if label is not None:
        lines.append(f"label: {style.plain(style.shorten(label, _HOVER_WIDTH))}")
    lines.append(f"cluster: {style.plain(style.shorten(name, _HOVER_WIDTH))}")
    lines += [f"<i>{style.plain(line)}</i>" for line in textwrap.wrap(text, _HOVER_WIDTH)]
    return "<br>".join(lines)


def _tags(
    xy: npt.NDArray[np.float64],
    groups: npt.NDArray[np.intp],
    names: Sequence[str],
    looks: Sequence[tuple[str, str]],
) -> list[dict[str, Any]]:
    """Return annotations that name the largest groups at their places, moved apart where they would overlap."""
    places, sizes = heads(xy, groups, len(names)), np.bincount(groups, minlength=len(names))
    here = [k for k in sorted(np.argsort(-sizes, kind="stable")[:_MAX_TAGS].tolist()) if sizes[k]]
    # Pixels of a unit of the map, at the usual height and with the margin that Plotly leaves around points.
    extent = float(np.ptp(xy, axis=0).max()) if len(xy) else 0.0
    scale = (_HEIGHT - _MARGIN["t"] - _MARGIN["b"]) / max(1.1 * extent, 1e-9)
    # Pixels count downwards; half a line more shows the points beneath.
    wanted = places[here] * [scale, -scale] - [0, 0.75 * _LINE]
    boxes = np.array([[_CHARACTER * len(names[k]) + 8, _LINE] for k in here]).reshape(-1, 2)
    offsets = apart(wanted, boxes) - places[here] * [scale, -scale]
    return [
        {
            "x": float(places[k, 0]),
            "y": float(places[k, 1]),
            "ax": float(ax),
            "ay": float(ay),
            "text": style.plain(names[k]),
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 1,
            "arrowcolor": style.GREY,
            "bgcolor": looks[k][0],
            "borderpad": 2,
            "opacity": 0.9,
            "font": {"color": style.ink_on(looks[k][0]), "size": 11},
        }
        for k, (ax, ay) in zip(here, offsets, strict=True)
    ]


def _add_switch(
    figure: go.Figure,
    xy: npt.NDArray[np.float64],
    members: list[npt.NDArray[np.intp]],
    labels: npt.NDArray[Any],
    agreeing: npt.NDArray[np.bool_],
) -> None:
    """Add buttons that colour the same points by cluster, by label, and by whether the two agree."""
    subtitle = figure.layout.title.subtitle.text
    n_clusters = len(figure.layout.annotations)
    modes = {
        "by cluster": (
            [trace.marker.color for trace in figure.data],
            [trace.marker.symbol for trace in figure.data],
            subtitle,
        )
    }
    present, label_number = np.unique(labels, return_inverse=True)
    if len(present) <= _MAX_LABELS:
        looks = categories(heads(xy, label_number, len(present)))
        short = [style.shorten(label, _MAX_NAME_LENGTH) for label in present]
        for tag in _tags(xy, label_number, short, looks):
            figure.add_annotation(tag, visible=False)
        colours, symbols = (
            [[looks[label][i] for label in label_number[rows]] for rows in members] for i in (0, 1)
        )
        modes["by label"] = (colours, symbols, "The same documents, coloured and named by their labels.")
    modes["by agreement"] = (
        [np.where(agreeing[rows], style.GREY, style.ORANGE).tolist() for rows in members],
        ["circle"] * len(members),
        f"Orange: the {1 - agreeing.mean():.1%} of these documents whose cluster is not matched to their label.",
    )
    buttons = [
        {
            "label": mode,
            "method": "update",
            "args": [
                {"marker.color": colours, "marker.symbol": symbols},
                {
                    "showlegend": mode == "by cluster",
                    "title.subtitle.text": text,
                    **{
                        f"annotations[{i}].visible": (i < n_clusters) == (mode != "by label")
                        for i in range(len(figure.layout.annotations))
                    },
                },
            ],
        }
        for mode, (colours, symbols, text) in modes.items()
    ]
    plot = _HEIGHT - _MARGIN["t"] - _MARGIN["b"]
    figure.update_layout(updatemenus=[style.switch(buttons, y=1 + 10 / plot)])
