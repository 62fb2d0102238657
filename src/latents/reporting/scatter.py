"""A cloud of points in the plane, coloured by label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from latents.reporting import style

# SVG markers print crisply and need no WebGL; beyond this many they take a browser seconds.
MAX_SVG_POINTS = 2_000


def scatter_by_label(
    points: npt.ArrayLike,
    labels: npt.ArrayLike | None,
    *,
    axis_titles: tuple[str, str],
    title: str,
    subtitle: str,
    name_medians: bool = True,
    texts: Sequence[str] | None = None,
) -> go.Figure:
    """Scatter of points in the plane, one trace per label.

    Parameters
    ----------
    points : array-like of shape (n, 2)
        Coordinates; both axes share one scale, as distances mean something here.
    labels : array-like of shape (n,), optional
        Numbers or text; None draws one trace.
    axis_titles : tuple of str
        Names of the two axes, with units.
    title, subtitle : str
        What one sees, and how to read it.
    name_medians : bool
        Write each label at the median of its points; pointless where the labels lie on one another.
    texts : sequence of str, of length n, optional
        What each point is, shown when one points at it; lines are parted by line feeds.

    Returns
    -------
    plotly.graph_objects.Figure
        The first of every point's ``customdata`` is its row of `points`.

    Raises
    ------
    ValueError
        If `points` is not of shape (n, 2) or `labels` or `texts` are of another length.
    """
    xy = np.asarray(points)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"points must have shape (n, 2), got {xy.shape}")
    size = float(np.clip(9.0 - 1.5 * np.log10(max(len(xy), 1)), 2.0, 7.0))
    trace = go.Scatter if len(xy) <= MAX_SVG_POINTS else go.Scattergl
    figure = go.Figure()
    if texts is not None:
        style.check_lengths(points=xy, texts=texts)

    def add(rows: npt.NDArray[np.intp], name: str, colour: str, symbol: str) -> None:
        chosen = xy[rows]
        hover = {}
        if texts is not None:
            hover["text"] = [style.plain(texts[row]).replace("\n", "<br>") for row in rows.tolist()]
        figure.add_trace(
            trace(
                x=chosen[:, 0],
                y=chosen[:, 1],
                customdata=rows[:, None].astype(np.int32),
                **hover,
                mode="markers",
                name=name,
                marker={"size": size, "color": colour, "symbol": symbol, "opacity": 0.65},
                hovertemplate=("%{text}<br>" if hover else "")
                + "%{x:,.3r}, %{y:,.3r}<extra>%{fullData.name}</extra>",
            )
        )

    if labels is None:
        add(np.arange(len(xy)), "points", style.BLUE, "circle")
    else:
        label_of = np.asarray(labels)
        style.check_lengths(points=xy, labels=label_of)
        for category, label in enumerate(style.in_order(label_of)):
            rows = np.flatnonzero(label_of == label)
            colour = style.colour_of(category)
            add(rows, style.plain(label), colour, style.symbol_of(category))
            if name_medians:
                figure.add_annotation(style.name_tag(label, np.median(xy[rows], axis=0), colour))
    figure.update_xaxes(title_text=axis_titles[0])
    figure.update_yaxes(title_text=axis_titles[1], scaleanchor="x", scaleratio=1)
    return style.finish(figure, title, subtitle, height=640, legend="none" if labels is None else "right")
