"""Why so many components: the curve of the criterion that chose them, and what noise would hide from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from latents import rounding
from latents.reporting import style

# The curve is shown to so many times d, and so many directions at least.
_BEYOND, _LEAST = 3, 20
# The axis ends at so small a part of the lowest threshold.
_BELOW = 20


def against_noise(
    eigenvalues: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    n_components: int,
    least_variance: float,
) -> go.Figure:
    """Draw eigenvalues beside what the largest of noise would be (parallel analysis).

    Parameters
    ----------
    eigenvalues : array-like of shape (k,)
        lambda_i, falling, in squared input units.
    thresholds : array-like of shape (t,)
        For the first t of them, what they have to exceed: noise of what is left without those before.
    n_components : int
        d of the fitted model: those kept are drawn in colour.
    least_variance : float
        The least variance along a direction that such data show.

    Returns
    -------
    plotly.graph_objects.Figure
        On a logarithmic axis.

    Raises
    ------
    ValueError
        If `n_components` is not within 1 and k, or there are more thresholds than eigenvalues.
    """
    values, noise = np.asarray(eigenvalues, np.float64), np.asarray(thresholds, np.float64)
    _check_within(n_components, 1, values.size)
    if not 1 <= noise.size <= values.size:
        raise ValueError(f"there are {noise.size} thresholds for {values.size} eigenvalues")
    end = _end(n_components, values.size)
    floor = max(float(values[0]) * 1e-9, 1e-300)
    direction = np.arange(1, end + 1)
    figure = go.Figure()
    for name, colour, part in (
        ("kept", style.BLUE, slice(None, n_components)),
        ("left out", style.GREY, slice(n_components, end)),
    ):
        figure.add_trace(
            go.Scatter(
                x=direction[part],
                y=np.maximum(values[part], floor),
                name=name,
                mode="markers",
                marker={"color": colour, "size": 7},
                hovertemplate="direction %{x}<br>variance %{y:,.3r}<extra></extra>",
            )
        )
    tested = min(noise.size, end)
    hover = "direction %{x}<br>noise reaches %{y:,.3r}<extra></extra>"
    line = {"color": style.ORANGE, "width": 2.5}
    figure.add_trace(
        go.Scatter(
            x=direction[:tested],
            y=np.maximum(noise[:tested], floor),
            name="noise, in 39 of 40 data sets at most",
            mode="lines+markers" if tested == 1 else "lines",
            line=line,
            hovertemplate=hover,
        )
    )
    if end > tested:
        figure.add_trace(
            go.Scatter(
                x=[tested, end],
                y=np.maximum(noise[[tested - 1] * 2], floor),
                mode="lines",
                line={**line, "dash": "dot"},
                showlegend=False,
                hovertemplate=hover,
            )
        )
    _mark(figure, n_components, end, at=n_components + 0.5)
    figure.update_xaxes(title_text="direction, by falling variance", range=[0, end + 1])
    # Null eigenvalues, far below, would press together what is to be seen.
    low, high = np.log10([max(float(noise.min()) / _BELOW, floor), max(values[0], noise[0], floor)])
    figure.update_yaxes(
        title_text="variance along it (squared input units)",
        type="log",
        tickformat=",",
        range=[max(low, float(np.log10(max(values[end - 1], floor)))) - 0.1, high + 0.1],
    )
    verb = "component stands" if n_components == 1 else "components stand"
    style.finish(
        figure,
        f"{n_components} {verb} out of the noise",
        "A direction is kept if its variance is above what noise of the same columns would reach, without the<br>"
        "directions before. " + told_from_noise(values, noise, n_components, least_variance),
        height=520,
        legend="top",
    )
    return figure.update_layout(margin={"t": 165}, legend={"y": 1.0})


def of_held_out_entries(
    curve: npt.ArrayLike,
    eigenvalues: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    n_components: int,
    least_variance: float,
) -> go.Figure:
    """Draw the error of held-out entries by the number of directions that predict them (bi-cross-validation).

    Parameters
    ----------
    curve : array-like of shape (m + 1,)
        Mean squared error of held-out entries, times the columns, for 0..m directions, in squared input units.
    eigenvalues, thresholds, least_variance
        As ``against_noise``.
    n_components : int
        d of the fitted model, marked by a line.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If the curve does not reach `n_components`.
    """
    error = np.asarray(curve, np.float64)
    values, noise = np.asarray(eigenvalues, np.float64), np.asarray(thresholds, np.float64)
    _check_within(n_components, 0, error.size - 1)
    end = _end(n_components, error.size - 1)
    figure = go.Figure(
        go.Scatter(
            x=np.arange(end + 1),
            y=error[: end + 1],
            mode="lines+markers" if end <= 60 else "lines",
            line={"color": style.BLUE, "width": 2.5},
            hovertemplate="d = %{x}<br>error %{y:,.4r}<extra></extra>",
        )
    )
    _mark(figure, n_components, end, at=n_components)
    low, high = float(error[: end + 1].min()), float(error[0])
    figure.update_xaxes(title_text="number of directions", range=[-0.01 * end, 1.02 * end])
    # Far beyond d the error can be any number of times that of no direction at all.
    room = 0.06 * (high - low) or 1.0
    figure.update_yaxes(
        title_text="squared error of held-out entries (squared input units)",
        tickformat=",",
        range=[low - room, high + room],
    )
    noun = "component" if n_components == 1 else "components"
    style.finish(
        figure,
        f"Held-out entries are told best from {n_components} {noun}",
        "Blocks of entries are left out and predicted from the others: fewer directions miss what the data<br>"
        "share, more add noise. " + told_from_noise(values, noise, n_components, least_variance),
        height=520,
    )
    return figure.update_layout(margin={"t": 150})


def told_from_noise(
    eigenvalues: npt.NDArray[np.float64],
    thresholds: npt.NDArray[np.float64],
    n_components: int,
    least_variance: float,
) -> str:
    """Say which components lie under the detection threshold, and below which variance nothing is to be seen."""
    times = eigenvalues[: thresholds.size] / np.where(thresholds > 0, thresholds, np.inf)
    kept, after = times[:n_components], times[n_components:]
    under = np.flatnonzero(kept <= 1) + 1
    if under.size == 1:
        said = f"Of those kept, number {under[0]} lies under the detection threshold: it may be noise."
    elif under.size:
        said = (
            f"Of those kept, {under.size} lie under the detection threshold, from number {under[0]} on: they "
        )
        said += "may be noise."
    elif kept.size:
        said = f"The last one kept has {rounding.number(float(kept[-1]))} times the threshold"
        said += f", the next {rounding.number(float(after[0]))} times." if after.size else "."
    else:
        said = ""
    if after.size and after[0] > 1:
        said += " The next one is above the threshold too: the data have more than is kept."
    least = rounding.number(least_variance)
    return f"{said}<br>What has a variance below {least} cannot be told from noise in so many rows."


def _check_within(n_components: int, least: int, most: int) -> None:
    if not least <= n_components <= most:
        raise ValueError(f"n_components must be within {least} and {most}, got {n_components}")


def _end(n_components: int, most: int) -> int:
    return min(most, max(_BEYOND * n_components, _LEAST))


def _mark(figure: go.Figure, n_components: int, end: int, *, at: float) -> None:
    figure.add_vline(
        x=at,
        line={"dash": "dot", "color": style.GREY, "width": 1.5},
        annotation={"text": f"d = {n_components}"},
        annotation_position="top right" if n_components < 0.8 * end else "top left",
    )
