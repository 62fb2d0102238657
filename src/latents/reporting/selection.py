"""Chart of a search over the number of clusters: each criterion over K, and the K that was chosen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from latents.reporting import style


class _Criterion(NamedTuple):
    name: str
    better: str  # "lowest" or "highest"
    unit: str
    tick_format: str
    value_format: str


CRITERIA = {
    "heldout_perplexity": _Criterion("Held-out perplexity", "lowest", " words", ",.6~g", ",.3r"),
    "npmi": _Criterion("NPMI coherence", "highest", "", ".3~f", ".2f"),
    "bic": _Criterion("BIC", "lowest", "", ".4~s", ",.0f"),
    "icl": _Criterion("ICL", "lowest", "", ".4~s", ",.0f"),
}
# Clusters that nobody needs stay empty and change a criterion by rounding alone.
TOLERANCE = 1e-4
_LOG_FROM_RATIO = 16  # of the largest K to the smallest
_TICK_ROOM = 0.07  # of the axis, for a number to stand by itself


def near_best(values: npt.ArrayLike, criterion: str) -> npt.NDArray[np.bool_]:
    """Say of each fit whether its value is the best, or within ``TOLERANCE`` of it (relative).

    With more fits, those of before can only drop out.

    Parameters
    ----------
    values : array-like of shape (n_fits,)
        The values of a criterion.
    criterion : {"heldout_perplexity", "npmi", "bic", "icl"}
        Which one.
    """
    cost = np.asarray(values, dtype=np.float64) * (1 if CRITERIA[criterion].better == "lowest" else -1)
    near: npt.NDArray[np.bool_] = cost <= cost.min() + TOLERANCE * abs(cost.min())
    return near


def best_fit(n_components: npt.ArrayLike, values: npt.ArrayLike, criterion: str) -> int:
    """Return the position of the best of several fits: of those near the best value, the smallest K.

    Parameters
    ----------
    n_components : array-like of shape (n_fits,)
        K of each fit.
    values, criterion
        As for `near_best`.
    """
    return int(np.where(near_best(values, criterion), n_components, np.inf).argmin())


def criteria_over_k(selection: pd.DataFrame, criterion: str) -> go.Figure:
    """Held-out perplexity, NPMI coherence, BIC and ICL over the number of clusters K, a panel each.

    Parameters
    ----------
    selection : DataFrame with columns n_components, fit_seconds, chosen and those of the criteria
        One row per fit, in any order; a criterion that could not be measured is missing in all rows.
    criterion : {"heldout_perplexity", "npmi", "bic", "icl"}
        The criterion that has chosen.

    Returns
    -------
    plotly.graph_objects.Figure
        In each panel the best K (``best_fit``) is ringed; a dotted line stands at the chosen K.

    Raises
    ------
    ValueError
        As ``best_by_criterion``.
    """
    best = best_by_criterion(selection, criterion)
    table = selection.sort_values("n_components")
    k, chosen_k = table["n_components"].to_numpy(), best[criterion]
    measured = {key: CRITERIA[key] for key in best}
    rows, columns = (2, 2) if len(measured) == 4 else (1, len(measured))
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[
            f"<b>{about.name}</b><br>{about.better} is best: K = {best[key]}"
            for key, about in measured.items()
        ],
        horizontal_spacing=0.22 / columns,
        vertical_spacing=0.23,
    )
    figure.update_annotations(font={"size": 13}, yshift=6)
    for position, (key, about) in enumerate(measured.items()):
        place = {"row": position // columns + 1, "col": position % columns + 1}
        ring = k == best[key]
        figure.add_trace(
            go.Scatter(
                x=k,
                y=table[key],
                customdata=table["fit_seconds"],
                name=about.name,
                mode="lines+markers",
                line={"color": style.BLUE, "width": 2.5},
                marker={
                    "size": np.where(ring, 15, 8),
                    "opacity": 1.0,
                    "symbol": np.where(ring, "circle-open", "circle"),
                    "line": {"width": np.where(ring, 3, 0)},
                    "color": np.where(ring, style.ORANGE, style.BLUE),
                },
                hovertemplate=(
                    f"K = %{{x}}<br>{about.name} %{{y:{about.value_format}}}{about.unit}"
                    "<br>fitted in %{customdata:,.2r} s<extra></extra>"
                ),
            ),
            **place,
        )
        figure.add_vline(
            x=chosen_k, line={"dash": "dot", "color": style.ORANGE, "width": 2}, layer="below", **place
        )
        figure.update_yaxes(tickformat=about.tick_format, nticks=6, **place)
    is_log = k[-1] >= _LOG_FROM_RATIO * k[0]
    first, last = (float(np.log10(end) if is_log else end) for end in (k[0], k[-1]))
    room = 0.06 * (last - first)  # for a marker beyond the outermost points
    figure.update_xaxes(
        type="log" if is_log else "linear",
        range=[first - room, last + room],
        tickvals=_ticks(k, chosen_k, is_log),
        tickformat=",",
    )
    figure.update_xaxes(title_text="clusters K", row=rows)
    edge = {k[0]: ", the smallest tried", k[-1]: ", the largest tried"}.get(chosen_k, "")
    style.finish(
        figure,
        f"{measured[criterion].name} is {measured[criterion].better} with K = {chosen_k}{edge}",
        "Dotted: the K chosen. BIC and ICL charge for every word probability of every cluster, and so favour few.",
        height=680 if rows == 2 else 440,
    )
    return figure.update_layout(margin={"t": 130})


def best_by_criterion(selection: pd.DataFrame, criterion: str) -> dict[str, int]:
    """Return the best K by every criterion that was measured, sure that `criterion` has chosen.

    Parameters
    ----------
    selection, criterion
        As for `criteria_over_k`.

    Raises
    ------
    ValueError
        If there are fewer than two fits, not exactly one is chosen, or `criterion` cannot have chosen it.
    """
    chosen = selection.loc[selection["chosen"].astype(bool), "n_components"]
    if len(selection) < 2 or len(chosen) != 1:
        raise ValueError(
            f"selection must hold at least two fits, one of them chosen; got {len(selection)} fits, "
            f"{len(chosen)} of them chosen"
        )
    measured = [key for key in CRITERIA if selection[key].notna().all()]
    if criterion not in measured:
        raise ValueError(
            f"criterion must be among those that were measured, {', '.join(measured)}; got {criterion!r}"
        )
    k, chosen_k = selection["n_components"].to_numpy(), int(chosen.iloc[0])
    best = {key: int(k[best_fit(k, selection[key], key)]) for key in measured}
    if chosen_k != best[criterion]:
        raise ValueError(
            f"K = {chosen_k} was chosen, which is not the best by {criterion!r}: the criterion has changed since "
            "the fits"
        )
    return best


def _ticks(k: npt.NDArray[np.int64], chosen: int, is_log: bool) -> list[int]:
    """Return the chosen K, and of the others those that have room for a number below the axis."""
    places = np.log(k) if is_log else k.astype(float)
    places = (places - places[0]) / (places[-1] - places[0])
    shown = [int(np.flatnonzero(k == chosen)[0])]
    for i in reversed(range(len(k))):
        if np.abs(places[shown] - places[i]).min() >= _TICK_ROOM:
            shown.append(i)
    return sorted(int(value) for value in k[shown])
