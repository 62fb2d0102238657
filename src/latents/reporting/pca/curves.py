"""Curves of PCA: the error over d, the spectrum, and how the errors of single rows are spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from latents import rounding
from latents.reporting import style

_MAX_BARS = 100
_MAX_BINS = 60
_ENOUGH_FOR_A_HUNDREDTH = 200
# Sums of eigenvalues below this share of the whole are rounding; a logarithmic axis ends above them.
_SMALLEST_SHARE = 1e-6


def distortion_curve(
    curve: npt.ArrayLike,
    measured_d: npt.ArrayLike,
    measured: npt.ArrayLike,
    n_components: int,
    *,
    held_out: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    unweighted: npt.ArrayLike | None = None,
    largest_error: float | None = None,
    lacks: bool = False,
) -> go.Figure:
    """J(d), the sum of the discarded eigenvalues, with the measured errors on top.

    Parameters
    ----------
    curve : array-like of shape (m + 1,)
        J(d) for d = 0, 1, ..., m, in squared input units; J(0) is the total variance (divisor N).
    measured_d : array-like of shape (k,)
        Numbers of components at which the data were rebuilt.
    measured : array-like of shape (k,)
        Mean squared reconstruction error at those, in squared input units.
    n_components : int
        d of the fitted model, marked by a line.
    held_out : pair of array-likes of shapes (n_components + 1,) and (k,), optional
        Mean squared error of held-out data at every d, and the same by rebuilding them, at `measured_d`.
    unweighted : array-like of shape (n_components + 1,), optional
        Of data with weights, the mean squared error of the same basis where all count alike.
    largest_error : float, optional
        The error that was asked for, drawn as a level.
    lacks : bool
        Whether numbers are missing: what is measured are then sums over those observed, and J is of whole rows.

    Returns
    -------
    plotly.graph_objects.Figure
        With a switch between a linear and a logarithmic axis; it begins with the latter where J at
        `n_components` is below 1 % of J(0).

    Raises
    ------
    ValueError
        If `curve` does not reach `n_components`, or the lengths differ.
    """
    theory, at, error = np.asarray(curve), np.asarray(measured_d), np.asarray(measured)
    style.check_lengths(measured_d=at, measured=error)
    if not 0 <= n_components < theory.size:
        raise ValueError(
            f"n_components must be within 0 and {theory.size - 1}, where the curve ends, got {n_components}"
        )
    total, kept = float(theory[0]), float(theory[n_components])
    # A long tail without error would leave the left of the chart to everything worth seeing.
    bend = int(np.argmax(theory <= 0.01 * total)) or theory.size - 1
    end = min(theory.size - 1, max(bend, 2 * n_components))
    is_small = 0 < kept < 0.01 * total
    verb = "component leaves" if n_components == 1 else "components leave"
    title = f"{n_components} {verb} an error of {rounding.number(kept)}"
    title += f", {kept / total:.1%} of the variance" if total > 0 else ""
    reading = "Marks on the lines: the error measured is the sum of the discarded eigenvalues."
    if lacks:
        reading = "Marks below the line: the error measured is over the numbers that are not missing."
    drawn = [theory[: end + 1], error]
    pairs = [("J(d), from the eigenvalues", "J", theory, "training", error, style.BLUE, "circle-open")]
    if held_out is not None:
        unseen, rebuilt = map(np.asarray, held_out)
        drawn.append(unseen)
        style.check_lengths(held_out=unseen, components_and_none=range(n_components + 1))
        pairs.append(
            ("held-out error", "held-out", unseen, "held-out", rebuilt, style.ORANGE, "diamond-open")
        )
        trained = float(error[at == n_components].max(initial=0.0))
        if trained > _SMALLEST_SHARE * total:
            excess = unseen[-1] / trained - 1
            reading = (
                f"Held out, the error at d = {n_components} is {rounding.number(float(unseen[-1]))}: "
                f"{abs(excess):.1%} {'above' if excess >= 0 else 'below'} that of training."
            )
    of_total = "<br>%{customdata:.1%} of the total<extra></extra>"
    figure = go.Figure()
    for name, what, line, kind, marks, colour, symbol in pairs:
        whole = line[0] if line[0] > 0 else np.inf
        figure.add_trace(
            go.Scatter(
                x=np.arange(line.size),
                y=line,
                customdata=line / whole,
                name=name,
                mode="lines",
                line={"color": colour, "width": 2.5},
                hovertemplate=f"d = %{{x}}<br>{what} %{{y:,.3r}}{of_total}",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=at,
                y=marks,
                customdata=marks / whole,
                name=f"measured, {kind}",
                mode="markers",
                marker={"size": 10, "symbol": symbol, "color": colour, "line": {"width": 2}},
                hovertemplate=f"d = %{{x}}<br>rebuilt %{{y:,.3r}}{of_total}",
            )
        )
    if unweighted is not None:
        alike = np.asarray(unweighted)
        style.check_lengths(unweighted=alike, components_and_none=range(n_components + 1))
        drawn.append(alike)
        reading += " Dashed: the same basis where all rows count alike, without weights."
        figure.add_trace(
            go.Scatter(
                x=np.arange(alike.size),
                y=alike,
                name="training, all alike",
                mode="lines",
                line={"color": style.GREY, "width": 2, "dash": "dash"},
                hovertemplate="d = %{x}<br>without weights %{y:,.3r}<extra></extra>",
            )
        )
    figure.add_vline(
        x=n_components,
        line={"dash": "dot", "color": style.GREY, "width": 1.5},
        annotation={"text": f"d = {n_components}<br>J = {rounding.number(kept)}", "align": "left"},
        annotation_position="top right" if n_components < 0.8 * end else "top left",
    )
    if largest_error is not None:
        figure.add_hline(y=largest_error, line={"dash": "dot", "color": style.GREY, "width": 1.5})
        figure.add_annotation(
            text=f"asked: at most {largest_error:,g}",
            x=1,
            xref="paper",
            xanchor="right",
            # A level is given as it stands, the place of a text on a logarithmic axis as its logarithm.
            y=float(np.log10(max(largest_error, 1e-300))) if is_small else largest_error,
            yanchor="bottom",
            showarrow=False,
        )
    figure.update_xaxes(title_text="number of components d", range=[-0.01 * end, 1.02 * end])
    figure.update_yaxes(title_text="mean squared error (squared input units)", tickformat=",")
    style.finish(figure, title, reading, height=520, legend="top")
    figure.update_layout(margin={"t": 150}, legend={"y": 1.0})
    _switch_axis(figure, drawn, is_log=is_small, plot=520 - 210)
    return figure


def _switch_axis(figure: go.Figure, drawn: list[Any], *, is_log: bool, plot: int) -> None:
    """Add buttons for a linear and a logarithmic axis; the latter leaves out zeros and rounding errors."""
    values = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in drawn])
    top = float(values.max(initial=0.0)) or 1.0
    floor = float(values[values > _SMALLEST_SHARE * top].min(initial=top))
    room = 0.06 * np.log10(top / floor) + 0.02
    linear: dict[str, Any] = {"yaxis.type": "linear", "yaxis.range": [0, 1.05 * top]}
    logarithmic: dict[str, Any] = {
        "yaxis.type": "log",
        "yaxis.range": [float(np.log10(floor) - room), float(np.log10(top) + room)],
    }
    for i, note in enumerate(figure.layout.annotations):
        if str(note.text).startswith("asked"):
            level = 10**note.y if is_log else note.y
            linear[f"annotations[{i}].y"] = level
            logarithmic[f"annotations[{i}].y"] = float(np.log10(max(level, 1e-300)))
    now = logarithmic if is_log else linear
    figure.layout.yaxis.update(type=now["yaxis.type"], range=now["yaxis.range"])
    figure.update_layout(
        updatemenus=[
            style.switch(
                [
                    {"label": "linear", "method": "relayout", "args": [linear]},
                    {"label": "logarithmic", "method": "relayout", "args": [logarithmic]},
                ],
                y=1 + 34 / plot,
            )
            | {"active": int(is_log)}
        ]
    )


def spectrum(explained_variance_ratio: npt.ArrayLike, n_components: int) -> go.Figure:
    """Share of the variance along each direction, and its running sum.

    Parameters
    ----------
    explained_variance_ratio : array-like of shape (m,)
        Shares by falling size; may stop before the last direction.
    n_components : int
        d of the fitted model; the directions kept are drawn in colour.

    Returns
    -------
    plotly.graph_objects.Figure
        Shares above, running sum below.

    Raises
    ------
    ValueError
        If `n_components` is not within 1 and m.
    """
    ratio = np.asarray(explained_variance_ratio)
    if not 1 <= n_components <= ratio.size:
        raise ValueError(f"n_components must be within 1 and {ratio.size}, got {n_components}")
    direction, cumulative = np.arange(1, ratio.size + 1), np.cumsum(ratio)
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.07)
    for name, colour, part in (
        ("kept", style.BLUE, slice(None, n_components)),
        ("discarded", style.GREY, slice(n_components, None)),
    ):
        shares = {"x": direction[part], "y": ratio[part], "name": name, "showlegend": True}
        hover = "direction %{x}<br>%{y:.1%} of the variance<extra></extra>"
        if ratio.size <= _MAX_BARS:
            trace = go.Bar(**shares, marker={"color": colour}, hovertemplate=hover)
        else:
            trace = go.Scatter(
                **shares, mode="lines", fill="tozeroy", line={"color": colour}, hovertemplate=hover
            )
        figure.add_trace(trace, row=1, col=1)
    figure.add_trace(
        go.Scatter(
            x=direction,
            y=cumulative,
            name="running sum",
            mode="lines+markers" if ratio.size == 1 else "lines",
            line={"color": style.ORANGE, "width": 2.5},
            showlegend=False,
            hovertemplate="first %{x} directions<br>%{y:.1%} of the variance<extra></extra>",
        ),
        row=2,
        col=1,
    )
    figure.add_vline(x=n_components + 0.5, line={"dash": "dot", "color": style.GREY, "width": 1.5}, row="all")
    kept = float(cumulative[n_components - 1])
    is_left = n_components >= 0.7 * ratio.size
    figure.add_annotation(
        text=f"d = {n_components}: {kept:.1%}",
        x=n_components + 0.5,
        y=0.04,
        xref="x2",
        yref="y2",
        xanchor="right" if is_left else "left",
        yanchor="bottom",
        xshift=-6 if is_left else 6,
        showarrow=False,
    )
    figure.update_xaxes(title_text="direction, by falling variance", row=2)
    figure.update_yaxes(title_text="share of variance", tickformat=".3~%", rangemode="tozero", row=1)
    figure.update_yaxes(title_text="running sum", tickformat=".0%", range=[0, 1.04], row=2)
    # The usual shares of the variance, as far as the spectrum is known.
    reached = [
        f"{share:.0%} in {int(np.searchsorted(cumulative, share)) + 1:,}"
        for share in (0.5, 0.9, 0.99)
        if cumulative[-1] >= share
    ]
    style.finish(
        figure,
        f"{n_components} component{' keeps' if n_components == 1 else 's keep'} {kept:.1%} of the variance",
        f"Of the variance {', '.join(reached)} directions."
        if reached
        else "Above the shares, below their sum.",
        height=595,
        legend="top",
    )
    figure.update_layout(bargap=0.15, margin={"t": 155}, legend={"y": 1.0})
    _switch_axis(figure, [ratio], is_log=False, plot=595 - 215)
    return figure


def error_spread(
    errors: npt.ArrayLike,
    held_out: npt.ArrayLike,
    worst: npt.ArrayLike,
    worst_names: Sequence[str],
    noun: str,
    cutoff: float | None = None,
) -> go.Figure:
    """Distribution of the errors |x - x~|^2 of single rows, training against held-out.

    Parameters
    ----------
    errors : array-like of shape (n,)
        Squared input units.
    held_out : array-like of bool, of shape (n,)
        Which rows the fit did not see.
    worst : array-like of shape (k,)
        The largest errors, marked below the curves.
    worst_names : sequence of str, of length k
        Shown when one points at a mark.
    noun : str
        What the rows are, in the plural.
    cutoff : float, optional
        Beyond what error rows were left out of the fit.

    Returns
    -------
    plotly.graph_objects.Figure
        Steps of equal width, of the error or, where errors are spread over decades, of its logarithm.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    error, unseen = np.asarray(errors, np.float64), np.asarray(held_out, bool)
    marked = np.asarray(worst, np.float64)
    style.check_lengths(errors=error, held_out=unseen)
    style.check_lengths(worst=marked, worst_names=worst_names)
    low, high = float(error.min()), float(error.max())
    # Of few rows finer steps would show chance alone.
    fewest = min(int(unseen.sum()) or len(error), int((~unseen).sum()) or len(error))
    n_bins = int(np.clip(2.5 * fewest ** (1 / 3), 8, _MAX_BINS))
    is_log = low > 0 and np.quantile(error, 0.999) > 50 * np.quantile(error, 0.001)
    if is_log:
        edges = np.geomspace(low, high, n_bins + 1)
    else:
        edges = np.linspace(low, high if high > low else low + 1.0, n_bins + 1)
    edges[-1] = np.nextafter(max(edges[-1], high), np.inf)
    figure = go.Figure()
    means, top = {}, 0.0
    for name, rows, colour in (("training", ~unseen, style.BLUE), ("held-out", unseen, style.ORANGE)):
        if not rows.any():
            continue
        share = np.histogram(error[rows], edges)[0] / rows.sum()
        means[name], top = float(error[rows].mean()), max(top, float(share.max()))
        figure.add_trace(
            go.Scatter(
                x=np.repeat(edges, 2)[1:-1],
                y=np.repeat(share, 2),
                name=f"{name}, mean {rounding.number(means[name])}",
                mode="lines",
                fill="tozeroy",
                line={"color": colour, "width": 2},
                hovertemplate=f"error about %{{x:,.3r}}<br>%{{y:.1%}} of the {name} {noun}<extra></extra>",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=marked,
            y=np.full(len(marked), 0.035 * top),
            text=[style.plain(name) for name in worst_names],
            name=f"the worst {len(marked)}",
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 12, "color": style.GREY, "line": {"width": 2}},
            hovertemplate="%{text}<br>error %{x:,.3r}<extra></extra>",
        )
    )
    if cutoff is not None:
        at = float(np.log10(cutoff)) if is_log else cutoff
        figure.add_vline(cutoff, line={"color": style.GREY, "width": 2, "dash": "dot"})
        figure.add_annotation(
            x=at, y=1, yref="paper", text="left out beyond ", showarrow=False, xanchor="right", yanchor="top"
        )
    figure.update_xaxes(
        title_text=f"error |x {rounding.MINUS} x̃|² (squared input units)"
        + (", logarithmic" if is_log else ""),
        type="log" if is_log else "linear",
    )
    figure.update_yaxes(title_text=f"share of the {noun}", tickformat=".3~%", rangemode="tozero")
    mean, limit = float(error.mean()), float(np.quantile(error, 0.99))
    if mean <= 0:
        title, subtitle = f"All {noun} are rebuilt without an error", ""
    else:
        times = rounding.number(high / mean, 2)
        title = f"The worst of {len(error):,} {noun} is {times} times as far off as the mean"
        subtitle = ""
        if len(error) >= _ENOUGH_FOR_A_HUNDREDTH:
            subtitle = f"One in a hundred is over {rounding.number(limit / mean, 2)} times as far off."
        if len(means) == 2:
            excess = means["held-out"] / means["training"] - 1
            subtitle += (
                f" Held-out {noun} are {abs(excess):.1%} {'further off' if excess >= 0 else 'closer'} on average"
                " than those of training."
            )
    style.finish(figure, title, subtitle.strip(), height=440, legend="top")
    return figure.update_layout(margin={"t": 130})
