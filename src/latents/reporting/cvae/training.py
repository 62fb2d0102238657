"""How the training went: the bound per epoch, and what the half-trained model drew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from latents import rounding
from latents.reporting import images, style
from latents.reporting.cvae.rows import Row, sheet_of_rows

# Name in the history -> name, colour, dash, row and column in the chart
_CURVES = {
    "lower_bound": ("train", style.BLUE, "solid", 1, 1),
    "importance_bound": ("train, importance-weighted", style.BLUE, "dot", 1, 1),
    "lower_bound_test": ("test", style.ORANGE, "dash", 1, 1),
    "log_likelihood_test": ("test, log p(x | y)", style.GREY, "dot", 1, 1),
    "reconstruction": ("reconstruction, train", style.BLUE, "solid", 1, 2),
    "kl": ("KL, train", style.BLUE, "solid", 2, 2),
}
# How many interquartile ranges beyond the quartiles leave the picture: a bound may fall by millions of nats for an
# epoch or two, beside which the rest would be a straight line.
_FAR = 25


def bound_per_epoch(history: Mapping[str, Sequence[float]]) -> go.Figure:
    """Lower bound per epoch, and the two terms that it is the difference of.

    L(x, y) = E_q[log p(x | z, y)] - KL(q(z | x, y) || p(z | y)).

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value an epoch, in nats per image: `lower_bound`, `reconstruction` and `kl` of training
        and, if there, `lower_bound_test`, `importance_bound` (the objective of training, where it was
        the importance-weighted one) and `log_likelihood_test`, NaN in epochs without a measurement.
        Other names are passed over.

    Returns
    -------
    plotly.graph_objects.Figure
        The bound on the left; on the right the expected log-likelihood above the divergence.

    Raises
    ------
    ValueError
        If a name is missing, there is no epoch, or the lengths differ.
    """
    missing = [name for name in ("lower_bound", "reconstruction", "kl") if name not in history]
    if missing:
        raise ValueError(f"history lacks {missing}; it has {sorted(history)}")
    given = {name: np.asarray(history[name], dtype=float) for name in _CURVES if name in history}
    style.check_lengths(**given)
    epochs = np.arange(1, len(given["lower_bound"]) + 1)
    if epochs.size == 0:
        raise ValueError("history must hold at least one epoch, got none")
    several = any(name in given for name in ("lower_bound_test", "importance_bound", "log_likelihood_test"))
    figure = make_subplots(
        rows=2,
        cols=2,
        specs=[[{"rowspan": 2}, {}], [None, {}]],
        column_widths=[0.58, 0.42],
        horizontal_spacing=0.13,
        vertical_spacing=0.17,
        subplot_titles=(
            "<b>lower bound</b>",
            "<b>reconstruction</b>  E[log p(x | z, y)]",
            "<b>divergence</b>  KL(q(z | x, y) ‖ p(z | y))",
        ),
    )
    for key, values in given.items():
        name, colour, dash, row, column = _CURVES[key]
        figure.add_trace(
            go.Scatter(
                x=epochs,
                y=values,
                name=name,
                mode="lines+markers" if epochs.size <= 60 or np.isnan(values).any() else "lines",
                line={"color": colour, "dash": dash, "width": 2.5},
                marker={"size": 5},
                connectgaps=True,
                showlegend=column == 1 and several,
                hovertemplate=f"epoch %{{x}}<br>{name} %{{y:.2f}} nats<extra></extra>",
            ),
            row=row,
            col=column,
        )
    n_outside = 0
    for place in {curve[3:] for curve in _CURVES.values()}:
        panel = np.concatenate([given[key] for key in given if _CURVES[key][3:] == place])
        shown = _frame(panel)
        if shown is not None:
            n_outside += int(((panel < shown[0]) | (panel > shown[1])).sum())
            figure.update_yaxes(range=shown, row=place[0], col=place[1])
    figure.update_xaxes(title_text="epoch", row=2)
    figure.update_xaxes(title_text="epoch", row=1, col=1)
    figure.update_yaxes(title_text="nats per image")
    figure.update_annotations(font={"size": 14})
    last = f"train {rounding.nats(float(given['lower_bound'][-1]))}"
    tested = given.get("lower_bound_test", np.array([]))
    tested = tested[np.isfinite(tested)]
    if tested.size:
        last += f", test {rounding.nats(float(tested[-1]))}"
    style.finish(
        figure,
        f"The lower bound after {epochs.size} epoch{'s' if epochs.size > 1 else ''}: {last} nats",
        f"Bound = reconstruction {rounding.MINUS} divergence, per image; higher is better."
        + (f" Far outside the frame: {n_outside}; a double click shows all." if n_outside else ""),
        height=520,
        legend="top" if several else "none",
    )
    corner = {"x": 0.49, "y": 0.04, "xanchor": "right", "yanchor": "bottom", "orientation": "v"}
    return figure.update_layout(legend=corner)


def _frame(values: npt.NDArray[np.float64]) -> list[float] | None:
    """Return the range of values that lie near enough to be read; None where all do."""
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    low, high = np.quantile(known, [0.25, 0.75])
    near = known[(known >= low - _FAR * (high - low)) & (known <= high + _FAR * (high - low))]
    if near.size == known.size or np.ptp(near) == 0:
        return None
    room = 0.05 * float(np.ptp(near))
    return [float(near.min()) - room, float(near.max()) + room]


def learning(
    drawn: Mapping[int, npt.ArrayLike],
    class_names: Sequence[object],
    likelihoods: Mapping[int, float],
) -> Figure:
    """Show what the model drew on its way, from the same noise each time: a row an epoch, a column a class.

    Parameters
    ----------
    drawn : mapping of int to array-like of shape (C, H, W) or (C, H, W, 3)
        Epoch to the pixel means of one draw a class.
    class_names : sequence of length C
        Names of the columns.
    likelihoods : mapping of int to float
        Epoch to log p(x | y) of test images, in nats per image.

    Raises
    ------
    ValueError
        If there is no epoch, or the shapes are others.
    """
    if not drawn:
        raise ValueError("drawn must hold at least one epoch, got none")
    tiles = {epoch: images.as_images(drawn[epoch], f"drawn[{epoch}]") for epoch in sorted(drawn)}
    for row in tiles.values():
        style.check_lengths(drawn=row, class_names=class_names)
    return sheet_of_rows(
        "What the model drew as it learned",
        "The same z for each class every time. On the right log p(x | y) of test images, nats per image.",
        [
            Row(row, f"epoch {epoch}", rounding.nats(likelihoods[epoch]) if epoch in likelihoods else "")
            for epoch, row in tiles.items()
        ],
        columns=class_names,
    )
