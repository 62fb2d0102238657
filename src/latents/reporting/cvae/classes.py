"""The model class by class: how well each is described, and how well it is recognised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from latents import rounding
from latents.messages import some_of
from latents.reporting import heat_map, style

_MAX_LABEL_LENGTH = 24
_MAX_NUMBERED_CLASSES = 30
_SHARES = ("accuracy", "training_share")
# Column -> name, colour, symbol and panel
_MARKS = {
    "lower_bound": ("lower bound", style.BLUE, "circle", 1),
    "log_likelihood": ("log p(x | y)", style.ORANGE, "diamond", 1),
    "reconstruction": ("reconstruction", style.BLUE, "circle", 2),
    "kl": ("KL", style.BLUE, "circle", 3),
    "accuracy": ("accuracy", style.BLUE, "circle", 4),
    "training_share": ("of the training images", style.BLUE, "circle", 5),
}


def class_bounds(table: pd.DataFrame) -> go.Figure:
    """Bound, terms, likelihood and accuracy of every class, beside one another and beside its size in training.

    Parameters
    ----------
    table : DataFrame
        A row for each class: `label`, `n_images`, and means over its test images: `lower_bound`,
        `log_likelihood`, `reconstruction` and `kl` in nats and `accuracy` of argmax p(y | x) as a share; NaN
        where nothing was measured. Where there: `training_share`, that of the training images, and
        `<name>_error`, a standard error.

    Returns
    -------
    plotly.graph_objects.Figure
        Classes from the lowest bound down.

    Raises
    ------
    ValueError
        If there is no class.
    """
    if table.empty:
        raise ValueError("table must hold at least one class, got none")
    ordered = table.sort_values("lower_bound", kind="stable")
    rows, short = heat_map.names_with_counts(ordered["label"], ordered["n_images"])
    figure = make_subplots(
        cols=5,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        column_widths=[0.3, 0.2, 0.17, 0.18, 0.15],
        subplot_titles=(
            "<b>bound and likelihood</b>",
            "<b>reconstruction</b>",
            "<b>KL</b>",
            "<b>p(y | x)</b>",
            "<b>trained on</b>",
        ),
    )
    for column, (name, colour, symbol, panel) in _MARKS.items():
        if column not in ordered:
            continue
        errors = ordered.get(f"{column}_error")
        unit = "%{x:.1%}" if column in _SHARES else "%{x:,.2f} nats"
        figure.add_trace(
            go.Scatter(
                x=ordered[column],
                y=rows,
                mode="markers",
                name=name,
                showlegend=panel == 1,
                marker={"color": colour, "symbol": symbol, "size": 9},
                error_x=None
                if errors is None
                else {"type": "data", "array": errors, "thickness": 1.5, "width": 0, "color": colour},
                hovertemplate=f"%{{y}}<br>{name} {unit}<extra></extra>",
            ),
            row=1,
            col=panel,
        )
    heat_map.list_downwards(figure, rows, short)
    figure.update_yaxes(title_text="class (test images)", col=1)
    figure.update_xaxes(title_text="nats per image", nticks=6)
    figure.update_xaxes(title_text="accuracy", tickformat=".0%", col=4, nticks=4)
    figure.update_xaxes(title_text="share of images", tickformat=".2~p", rangemode="tozero", col=5, nticks=4)
    figure.update_annotations(font={"size": 14})
    lowest, highest = (
        f"{style.plain(style.shorten(ordered['label'].iloc[i]))} "
        f"({rounding.nats(float(ordered['lower_bound'].iloc[i]))} nats)"
        for i in (0, -1)
    )
    style.finish(
        figure,
        f"The hardest class is {lowest}, the easiest {highest}",
        "Means over the test images of each class, with standard errors.",
        height=220 + max(30 * len(rows), 120),
        legend="top",
    )
    legend = {"x": 0, "xanchor": "left", "y": 1 + 38 / max(30 * len(rows), 120)}
    return figure.update_layout(margin={"t": 140}, legend=legend)


def confusion(labels: npt.ArrayLike, predicted: npt.ArrayLike, class_names: Sequence[object]) -> go.Figure:
    """Heat map of the class of test images against the likeliest class by Bayes, argmax p(y | x).

    Parameters
    ----------
    labels : array-like of shape (n,)
        True classes.
    predicted : array-like of shape (n,)
        Likeliest classes.
    class_names : sequence of length C
        All classes.

    Returns
    -------
    plotly.graph_objects.Figure
        Colour is the share of the class's images; `customdata` holds counts.

    Raises
    ------
    ValueError
        If the lengths differ, there is no image, or a class is none of the names.
    """
    truth, taken, names = np.asarray(labels), np.asarray(predicted), np.asarray(class_names)
    style.check_lengths(labels=truth, predicted=taken)
    if truth.size == 0:
        raise ValueError("labels must name at least one image, got none")
    place = {name: i for i, name in enumerate(names.tolist())}
    for what, values in (("labels", truth), ("predicted", taken)):
        for value in values.tolist():
            if value not in place:
                raise ValueError(
                    f"{what} has {value!r:.80}, which is none of the class names {some_of(place)}"
                )
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, ([place[v] for v in truth.tolist()], [place[v] for v in taken.tolist()]), 1)
    columns = [style.plain(name) for name in names]
    figure = heat_map.shares_of_rows(
        counts,
        names.tolist(),
        columns,
        row_title="class (test images)",
        share_title="share of the class's images",
        hovertemplate="of class %{y}<br>taken for %{x}<br>%{customdata:,} images, %{z:.1%}<extra></extra>",
        is_numbered=len(names) <= _MAX_NUMBERED_CLASSES,
    )
    short = [style.plain(style.shorten(name, _MAX_LABEL_LENGTH)) for name in names]
    figure.update_xaxes(
        title_text="likeliest class, argmax p(y | x)", labelalias=dict(zip(columns, short, strict=True))
    )
    right = int(np.trace(counts))
    wrong = truth.size - right
    return style.finish(
        figure,
        f"{right / truth.size:.1%} of {truth.size:,} test images are likeliest in their own class",
        f"p(y | x) by Bayes from p(x | y), importance-sampled. {wrong:,} image{' is' if wrong == 1 else 's are'} "
        "taken for another class.",
        height=240 + max(30 * len(names), 200),
    )
