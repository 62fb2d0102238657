"""Heat map of how the members of each group are spread: a row a group, colour the share of its members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from latents.reporting import style

_NAME_LENGTH = 28


def shares_of_rows(
    counts: npt.NDArray[np.int64],
    names: Sequence[object],
    columns: Sequence[str],
    *,
    row_title: str,
    share_title: str,
    hovertemplate: str,
    is_numbered: bool,
    customdata: npt.NDArray[Any] | None = None,
) -> go.Figure:
    """Draw counts as shares of their rows.

    Parameters
    ----------
    counts : ndarray of shape (R, C)
        Members of each group by column.
    names : sequence of length R
        Names of the groups, from above; the number of members stands behind them.
    columns : sequence of str, of length C
        Names of the columns, markup escaped.
    row_title, share_title : str
        What the rows are, and what colour says.
    hovertemplate : str
        Plotly's, over `customdata`, the counts unless others are given.
    is_numbered : bool
        Whether counts are written into the cells.

    Returns
    -------
    plotly.graph_objects.Figure
        Without a title.
    """
    totals = counts.sum(axis=1)
    rows, short = names_with_counts(names, totals)
    figure = go.Figure(
        go.Heatmap(
            z=counts / np.maximum(totals, 1)[:, np.newaxis],
            x=columns,
            y=rows,
            customdata=counts if customdata is None else customdata,
            text=np.where(counts > 0, counts.astype(str), "") if is_numbered else None,
            texttemplate="%{text}" if is_numbered else None,
            textfont={"size": 11},
            colorscale=style.SEQUENTIAL,
            zmin=0.0,
            zmax=1.0,
            xgap=1.5,
            ygap=1.5,
            colorbar={
                "title": {"text": share_title, "side": "right", "font": {"size": 13}},
                "tickformat": ".0%",
                "thickness": 14,
                "outlinewidth": 0,
            },
            hovertemplate=hovertemplate,
        )
    )
    figure.update_xaxes(type="category", showgrid=False, showline=False, dtick=1)
    figure.update_yaxes(title_text=row_title, showgrid=False, showline=False)
    return list_downwards(figure, rows, short)


def names_with_counts(names: Iterable[object], counts: Iterable[int]) -> tuple[list[str], list[str]]:
    """Return names with numbers of members behind them: whole, so that they differ, and as they are shown."""
    named = list(zip(names, counts, strict=True))
    whole = [f"{style.plain(name)}  ({n:,})" for name, n in named]
    short = [f"{style.plain(style.shorten(name, _NAME_LENGTH))}  ({n:,})" for name, n in named]
    return whole, short


def list_downwards(figure: go.Figure, rows: Sequence[str], short: Sequence[str]) -> go.Figure:
    """Let the rows of a chart follow one another from above, every one named by its short name."""
    return figure.update_yaxes(
        type="category",
        autorange="reversed",
        dtick=1,
        labelalias=dict(zip(rows, short, strict=True)),
    )
