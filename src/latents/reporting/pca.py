"""Pictures and charts of PCA by minimum error (source, section 2)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from latents.reporting import images, style
from latents.reporting.scatter import scatter_by_label

_MAX_BARS = 100
_EIGENIMAGE_COLUMNS = 8


def eigenimages(
    components: npt.ArrayLike,
    image_shape: tuple[int, ...],
    explained_variance_ratio: npt.ArrayLike,
    n_max: int = 24,
) -> Figure:
    """Basis vectors mu_i as images, by falling share of the variance.

    Red adds and blue takes away as a score grows; the sign of a whole image is arbitrary. Each
    image is scaled by its own largest weight. In colour images mid-grey is zero.

    Parameters
    ----------
    components : array-like of shape (d, p)
        Basis vectors as rows.
    image_shape : tuple of int
        (H, W) or (H, W, 3), whose product is p.
    explained_variance_ratio : array-like of shape (d,)
        Share of the variance along each, at most 1.
    n_max : int
        Images shown at most.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the shapes do not agree.
    """
    basis, ratio = np.asarray(components), np.asarray(explained_variance_ratio)
    style.check_lengths(components=basis, explained_variance_ratio=ratio)
    if basis.ndim != 2 or basis.shape[1] != np.prod(image_shape):
        raise ValueError(f"components of shape {basis.shape} do not hold images of shape {image_shape}")
    shown = images.as_images(basis[:n_max].reshape(-1, *image_shape), "components")
    columns = min(_EIGENIMAGE_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    width, height = images.tile_size(shown.shape[1], shown.shape[2], columns, rows)
    across, down = max(width, 0.85) + 0.14, height + 0.42
    in_colour = shown.ndim == 4
    subject = f"first {len(shown)} basis images hold" if len(shown) > 1 else "first basis image holds"
    reading = (
        "Mid-grey is no change as the score grows"
        if in_colour
        else "Red adds, blue takes away as the score grows"
    )
    sheet = images.Sheet(
        2 * images.MARGIN + columns * across + 0.9,
        images.TITLE_HEIGHT + rows * down + images.MARGIN,
        f"The {subject} {ratio[: len(shown)].sum():.1%} of the variance",
        f"{reading}; the sign of a whole image is arbitrary.",
    )
    for i, image in enumerate(shown):
        x = images.MARGIN + i % columns * across
        y = images.TITLE_HEIGHT + i // columns * down
        centre = x + across / 2 - 0.07
        sheet.text(centre, y + 0.1, f"{i + 1}", size=9, weight="bold", align="center")
        largest = float(np.abs(image).max()) or 1.0
        left = centre - width / 2
        sheet.image(left, y + 0.2, (width, height), image, (-largest, largest), "RdBu_r")
        sheet.text(
            centre,
            y + 0.2 + height + 0.1,
            f"{ratio[i]:.1%}",
            size=8,
            colour=images.MUTED,
            align="center",
        )
    if not in_colour:
        _weight_bar(sheet)
    return sheet.figure


def _weight_bar(sheet: images.Sheet) -> None:
    """Draw the colour scale of weights at the right edge of the sheet."""
    tall = min(sheet.height - images.TITLE_HEIGHT - images.MARGIN - 0.2, 2.2)
    bottom = sheet.height - images.TITLE_HEIGHT - 0.2 - tall
    axes = sheet.figure.add_axes(
        (1 - 1.0 / sheet.width, bottom / sheet.height, 0.12 / sheet.width, tall / sheet.height)
    )
    bar = sheet.figure.colorbar(ScalarMappable(Normalize(-1, 1), "RdBu_r"), cax=axes, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels([f"{style.MINUS}1", "0", "+1"], fontsize=8)
    bar.set_label("weight / largest", fontsize=8)
    bar.outline.set_visible(False)


def reconstructions(
    originals: npt.ArrayLike,
    reconstructions: Mapping[int, npt.ArrayLike],
    errors: Mapping[int, float],
) -> Figure:
    """Images rebuilt from d numbers, a row for each d, the originals on top.

    Parameters
    ----------
    originals : array-like of shape (n, H, W) or (n, H, W, 3)
        A few images.
    reconstructions : mapping of int to array-like
        d to the same images rebuilt from d components.
    errors : mapping of int to float
        d to the mean of |x - x~|^2 over the data that the images are from, in squared input units.

    Returns
    -------
    matplotlib.figure.Figure
        Rows by rising d, all on the grey scale of the originals.

    Raises
    ------
    ValueError
        If the shapes differ or an error is missing.
    """
    truth = images.as_images(originals, "originals")
    rebuilt = {
        d: images.as_images(reconstructions[d], f"reconstructions[{d}]") for d in sorted(reconstructions)
    }
    for d, rows_of_d in rebuilt.items():
        if rows_of_d.shape != truth.shape:
            raise ValueError(
                f"reconstructions[{d}] must have the originals' shape {truth.shape}, got {rows_of_d.shape}"
            )
        if d not in errors:
            raise ValueError(f"errors lacks d = {d}; it has {sorted(errors)}")
    limits = images.value_limits(truth)
    width, height = images.tile_size(truth.shape[1], truth.shape[2], len(truth), len(rebuilt) + 1)
    left = images.MARGIN + images.text_width(["original", *(f"d = {d}" for d in rebuilt)]) + 0.12
    top = images.TITLE_HEIGHT + 0.25
    right_column = left + len(truth) * (width + images.GAP) + 0.1
    sheet = images.Sheet(
        right_column + 1.25 + images.MARGIN,
        top + 0.12 + (len(rebuilt) + 1) * (height + images.GAP) + images.MARGIN,
        "More components, closer images",
        "Each row rebuilds the images of the top row from d numbers.",
    )
    rows = [("original", "", truth)]
    rows += [(f"d = {d}", style.number(errors[d]), pictures) for d, pictures in rebuilt.items()]
    sheet.text(right_column, top - 0.17, "mean squared error", size=8, colour=images.MUTED)
    sheet.text(right_column, top - 0.03, "(squared input units)", size=8, colour=images.MUTED)
    y = top
    for name, error, pictures in rows:
        middle = y + height / 2
        sheet.text(left - 0.12, middle, name, align="right")
        if error:
            sheet.text(right_column, middle, error, size=9)
        for i, picture in enumerate(pictures):
            sheet.image(left + i * (width + images.GAP), y, (width, height), picture, limits)
        y += height + images.GAP + (0.12 if name == "original" else 0.0)
    return sheet.figure


def distortion_curve(
    curve: npt.ArrayLike,
    measured_d: npt.ArrayLike,
    measured: npt.ArrayLike,
    n_components: int,
) -> go.Figure:
    """J(d), the sum of the discarded eigenvalues, with the measured error on top.

    Parameters
    ----------
    curve : array-like of shape (m + 1,)
        J(d) for d = 0, 1, ..., m, in squared input units; J(0) is the total variance (divisor N).
    measured_d : array-like of shape (k,)
        Numbers of components at which images were rebuilt.
    measured : array-like of shape (k,)
        Mean squared reconstruction error at those, in squared input units.
    n_components : int
        d of the fitted model, marked by a line.

    Returns
    -------
    plotly.graph_objects.Figure

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
    figure = go.Figure(
        [
            go.Scatter(
                x=np.arange(theory.size),
                y=theory,
                name="J(d), from the eigenvalues",
                mode="lines",
                line={"color": style.BLUE, "width": 2.5},
                hovertemplate="d = %{x}<br>J = %{y:.5g}<extra></extra>",
            ),
            go.Scatter(
                x=at,
                y=error,
                name="measured on the rebuilt images",
                mode="markers",
                marker={
                    "size": 10,
                    "symbol": "circle-open",
                    "color": style.ORANGE,
                    "line": {"width": 2.5},
                },
                hovertemplate="d = %{x}<br>measured %{y:.5g}<extra></extra>",
            ),
        ]
    )
    kept = float(theory[n_components])
    figure.add_vline(
        x=n_components,
        line={"dash": "dot", "color": style.GREY, "width": 1.5},
        annotation={"text": f"d = {n_components}<br>J = {style.number(kept)}", "align": "left"},
        annotation_position="top right" if n_components < 0.8 * theory.size else "top left",
    )
    figure.update_xaxes(title_text="number of components d", rangemode="tozero")
    figure.update_yaxes(
        title_text="mean squared error (squared input units)", rangemode="tozero", tickformat=","
    )
    total = float(theory[0])
    lost = f", {kept / total:.1%} of the variance" if total > 0 else ""
    return style.finish(
        figure,
        f"{n_components} components leave an error of {style.number(kept)}{lost}",
        "Circles on the line: the error measured is the sum of the discarded eigenvalues.",
        legend="top",
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
        hover = "direction %{x}<br>%{y:.2%} of the variance<extra></extra>"
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
            mode="lines",
            line={"color": style.ORANGE, "width": 2.5},
            showlegend=False,
            hovertemplate="first %{x} directions<br>%{y:.2%} of the variance<extra></extra>",
        ),
        row=2,
        col=1,
    )
    figure.add_vline(x=n_components + 0.5, line={"dash": "dot", "color": style.GREY, "width": 1.5}, row="all")
    figure.update_xaxes(title_text="direction, by falling variance", row=2)
    figure.update_yaxes(title_text="share of variance", tickformat=".3~%", rangemode="tozero", row=1)
    figure.update_yaxes(title_text="running sum", tickformat=".0%", range=[0, 1.04], row=2)
    style.finish(
        figure,
        f"{n_components} components keep {cumulative[n_components - 1]:.1%} of the variance",
        "Above the share of each direction, below their running sum.",
        height=560,
        legend="top",
    )
    figure.update_layout(bargap=0.15)
    return figure


def scatter(scores: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> go.Figure:
    """Scores on the first two components, coloured by label.

    Parameters
    ----------
    scores : array-like of shape (n, 2 or more)
        Scores z; the first two columns are drawn.
    labels : array-like of shape (n,), optional
        Label of each row.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If there are fewer than two columns or the lengths differ.
    """
    z = np.asarray(scores)
    if z.ndim != 2 or z.shape[1] < 2:
        raise ValueError(f"scores must have shape (n, 2 or more), got {z.shape}")
    known = "Colour is the label, which the model never saw." if labels is not None else ""
    return scatter_by_label(
        z[:, :2],
        labels,
        axis_titles=("score on component 1 (input units)", "score on component 2 (input units)"),
        title=f"{len(z):,} points on the first two components",
        subtitle=f"{known} Both axes share one scale.".strip(),
    )
