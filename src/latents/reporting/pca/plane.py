"""The plane of the first two components, whose points are images (or rows of a table)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from latents.reporting.scatter import scatter_by_label


def scatter(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike | None = None,
    *,
    shares: tuple[float, float] | None = None,
    texts: Sequence[str] | None = None,
    is_whitened: bool = False,
    noun: str = "images",
    n_rows: int | None = None,
) -> go.Figure:
    """Scores on the first two components, coloured by label.

    Parameters
    ----------
    scores : array-like of shape (n, 2 or more)
        Scores z; the first two columns are drawn.
    labels : array-like of shape (n,), optional
        Label of each row.
    shares : pair of float, optional
        Shares of the variance along the two components.
    texts : sequence of str, of length n, optional
        What each point is, shown when one points at it; lines are parted by line feeds.
    is_whitened : bool
        Whether the scores are scaled to unit variance.
    noun : str
        What the rows are, in the plural.
    n_rows : int, optional
        How many rows there are in all, said where not all are shown.

    Returns
    -------
    plotly.graph_objects.Figure
        The first of every point's ``customdata`` is its row of `scores`.

    Raises
    ------
    ValueError
        If there are fewer than two columns or the lengths differ.
    """
    z = np.asarray(scores)
    if z.ndim != 2 or z.shape[1] < 2:
        raise ValueError(f"scores must have shape (n, 2 or more), got {z.shape}")
    units = "whitened" if is_whitened else "input units"
    parts = [f", {share:.1%} of the variance" for share in shares] if shares is not None else ["", ""]
    subtitle = ["Colour is the label, which the model never saw."] if labels is not None else []
    subtitle.append("Both axes share one scale.")
    if n_rows is not None and n_rows > len(z):
        subtitle.append(f"Shown: {len(z):,} of {n_rows:,}.")
    held = f" hold {sum(shares):.0%} of the variance" if shares is not None else ""
    return scatter_by_label(
        z[:, :2],
        labels,
        axis_titles=(
            f"score on component 1 ({units}){parts[0]}",
            f"score on component 2 ({units}){parts[1]}",
        ),
        title=f"{len(z):,} {noun} on the first two components" + (f", which{held}" if held else ""),
        subtitle=" ".join(subtitle),
        texts=texts,
    )
