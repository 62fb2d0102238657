"""The plane of the first two components, whose points are images (or rows of a table)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from latents.reporting import style
from latents.reporting.scatter import scatter_by_label


def scatter(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike | None,
    *,
    shares: tuple[float, float],
    texts: Sequence[str],
    is_whitened: bool,
    noun: str,
    n_rows: int,
    outlying: npt.ArrayLike | None = None,
) -> go.Figure:
    """Scores on the first two components, coloured by label.

    Parameters
    ----------
    scores : array-like of shape (n, 2)
        Scores z on the two.
    labels : array-like of shape (n,) or None
        Label of each row.
    shares : pair of float
        Shares of the variance along the two components.
    texts : sequence of str, of length n
        What each point is, shown when one points at it; lines are parted by line feeds.
    is_whitened : bool
        Whether the scores are scaled to unit variance.
    noun : str
        What the rows are, in the plural.
    n_rows : int
        How many rows there are in all, said where not all are shown.
    outlying : array-like of bool, of shape (n,), optional
        Which rows were left out of the fit: they get a ring.

    Returns
    -------
    plotly.graph_objects.Figure
        The first of every point's ``customdata`` is its row of `scores`.

    Raises
    ------
    ValueError
        If the scores are not two a row or the lengths differ.
    """
    n = len(np.asarray(scores))
    units = "whitened" if is_whitened else "input units"
    subtitle = ["Colour is the label, which the model never saw."] if labels is not None else []
    subtitle.append("Both axes share one scale.")
    ringed = np.flatnonzero(np.zeros(n, bool) if outlying is None else np.asarray(outlying, bool))
    if len(ringed):
        subtitle.append(f"Ringed: {noun} left out of the fit, as they lie apart.")
    if n_rows > n:
        subtitle.append(f"Shown: {n:,} of {n_rows:,}.")
    first, second = (
        f"score on component {i} ({units}), {share:.1%} of the variance" for i, share in enumerate(shares, 1)
    )
    figure = scatter_by_label(
        scores,
        labels,
        axis_titles=(first, second),
        title=f"{n:,} {noun} on the first two components, which hold {sum(shares):.0%} of the variance",
        subtitle=" ".join(subtitle),
        texts=texts,
    )
    if len(ringed):
        x, y = np.asarray(scores)[ringed].T
        ring = {"symbol": "circle-open", "size": 11, "color": style.GREY, "line": {"width": 1.5}}
        figure.add_scatter(
            x=x,
            y=y,
            customdata=ringed[:, None],
            mode="markers",
            marker=ring,
            hoverinfo="skip",
            name="left out",
        )
    return figure
