"""Drawings beside the training images that lie nearest to them, and how near those are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from matplotlib.figure import Figure

from latents import rounding
from latents.reporting import images, style
from latents.reporting.cvae.rows import Row, sheet_of_rows

_MAX_BINS = 40


def nearest(
    drawings: npt.ArrayLike,
    nearest: npt.ArrayLike,
    class_names: Sequence[object],
    is_of_class: npt.ArrayLike,
    recognised: Sequence[float | None],
) -> Figure:
    """Drawings of some classes, below each the training image that lies nearest to it.

    Parameters
    ----------
    drawings : array-like of shape (C, n, H, W) or (C, n, H, W, 3)
        Draws of p(x | y).
    nearest : array-like of the same shape
        Training images in [0, 1].
    class_names : sequence of length C
        Names of the classes, numbers or text.
    is_of_class : array-like of bool, of shape (C, n)
        Whether the training image is of the drawing's class; else it has a frame.
    recognised : sequence of float or None, of length C
        The share of a class's drawings that a classifier takes for it, where it is known.

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    drawn, trained_on = np.asarray(drawings), np.asarray(nearest)
    if drawn.shape != trained_on.shape:
        raise ValueError(f"nearest must have the drawings' shape {drawn.shape}, got {trained_on.shape}")
    own = np.asarray(is_of_class, bool)
    style.check_lengths(drawings=drawn, class_names=class_names, is_of_class=own, recognised=recognised)
    rows = []
    for above, below, name, same, share in zip(drawn, trained_on, class_names, own, recognised, strict=True):
        said = "" if share is None else f"{rounding.share(share)} recognised"
        rows.append(Row(images.as_images(above, "drawings"), name, said))
        rows.append(Row(images.as_images(below, "nearest"), "nearest", "", np.flatnonzero(~same).tolist()))
    other = int(np.sum(~own))
    return sheet_of_rows(
        "Drawings, and the training image nearest to each",
        "Above a draw of p(x | y), below the training image at the least distance"
        + (f"; {other} of {own.size} are of another class (framed)." if other else ", all of its class."),
        rows,
        parted_below=range(1, len(rows), 2),
    )


def nearest_distances(drawings: npt.ArrayLike, test: npt.ArrayLike, copies: npt.ArrayLike) -> go.Figure:
    """How far drawings lie from their nearest training image, beside test images and copies.

    Parameters
    ----------
    drawings : array-like of shape (n,)
        Distances |x - x'| of drawings to the training images nearest to them.
    test, copies : array-like of shape (n',)
        Those of test images, and of training images in the form of drawings.

    Returns
    -------
    plotly.graph_objects.Figure
        Steps of equal width.

    Raises
    ------
    ValueError
        If there is none of one kind.
    """
    kinds = {
        "copies": (np.asarray(copies, np.float64), style.GREY, "dot"),
        "test images": (np.asarray(test, np.float64), style.ORANGE, "dash"),
        "drawings": (np.asarray(drawings, np.float64), style.BLUE, "solid"),
    }
    for name, (distances, *_) in kinds.items():
        if not distances.size:
            raise ValueError(f"{name} must have at least one distance, got none")
    low = min(float(distances.min()) for distances, *_ in kinds.values())
    high = max(float(distances.max()) for distances, *_ in kinds.values())
    # Of few images finer steps would show chance alone.
    fewest = min(len(distances) for distances, *_ in kinds.values())
    n_bins = int(np.clip(2.5 * fewest ** (1 / 3), 8, _MAX_BINS))
    edges = np.linspace(low, high if high > low else low + 1.0, n_bins + 1)
    figure = go.Figure()
    for name, (distances, colour, dash) in kinds.items():
        share = np.histogram(distances, edges)[0] / len(distances)
        figure.add_trace(
            go.Scatter(
                x=np.repeat(edges, 2),
                y=[0.0, *np.repeat(share, 2), 0.0],
                name=f"{name}, median {rounding.number(float(np.median(distances)))}",
                mode="lines",
                fill="tozeroy" if name == "drawings" else None,
                line={"color": colour, "width": 2, "dash": dash},
                hovertemplate=f"distance about %{{x:,.3r}}<br>%{{y:.1%}} of the {name}<extra></extra>",
            )
        )
    figure.update_xaxes(title_text="distance to the nearest training image")
    figure.update_yaxes(title_text="share of the images", tickformat=".3~%", rangemode="tozero")
    drawn, usual, copied = (float(np.median(kinds[of][0])) for of in ("drawings", "test images", "copies"))
    if usual > 0:
        times, of_copies = rounding.score(drawn / usual), rounding.score(copied / usual)
        title = f"Drawings lie {times} times as far from training images as test images do"
        subtitle = (
            f"By the medians. Copies, training images in the form of drawings, lie {of_copies} times as far."
        )
    else:
        title = "Half of the test images are training images"
        subtitle = "There is nothing to hold drawings against."
    style.finish(figure, title, subtitle, height=440, legend="top")
    return figure.update_layout(margin={"t": 130})
