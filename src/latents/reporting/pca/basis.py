"""The basis drawn: as images where the data are images, by the names of features where they are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from latents import rounding
from latents.reporting import images, style

_EIGENIMAGE_COLUMNS = 8
_LOADING_COLUMNS = 3
_MAX_PATTERNS, _MAX_WEIGHTS = 9, 8  # weights of each
_ROW_HEIGHT = 19  # pixels of one bar


def eigenimages(
    components: npt.ArrayLike,
    image_shape: tuple[int, ...],
    explained_variance_ratio: npt.ArrayLike,
    n_max: int,
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
    bar.ax.set_yticklabels([f"{rounding.MINUS}1", "0", "+1"], fontsize=8)
    bar.set_label("weight / largest", fontsize=8)
    bar.outline.set_visible(False)


def loadings(
    components: npt.ArrayLike,
    feature_names: Sequence[str] | npt.NDArray[np.str_],
    explained_variance_ratio: npt.ArrayLike,
) -> go.Figure:
    """Draw the largest weights of the first basis vectors mu_i, by the names of the features.

    Parameters
    ----------
    components : array-like of shape (d, p)
        Basis vectors as rows.
    feature_names : sequence of str, of length p
        What the columns are called.
    explained_variance_ratio : array-like of shape (d,)
        Share of the variance along each, at most 1.

    Returns
    -------
    plotly.graph_objects.Figure
        A panel a basis vector, bars by falling magnitude.

    Raises
    ------
    ValueError
        If the lengths do not agree.
    """
    basis, ratio = np.asarray(components), np.asarray(explained_variance_ratio)
    names = [str(name) for name in feature_names]
    style.check_lengths(components=basis, explained_variance_ratio=ratio)
    style.check_lengths(features_of_components=basis[0], feature_names=names)
    n, bars = min(len(basis), _MAX_PATTERNS), min(len(names), _MAX_WEIGHTS)
    columns = min(_LOADING_COLUMNS, n)
    rows = -(-n // columns)
    panel = 26 + _ROW_HEIGHT * bars
    height = 130 + rows * (panel + 50)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[f"<b>{i + 1}</b>  {ratio[i]:.1%} of the variance" for i in range(n)],
        horizontal_spacing=0.16 if columns > 1 else 0.0,
        vertical_spacing=0.0 if rows == 1 else 66 / (height - 130),
    )
    for i in range(n):
        largest = np.argsort(-np.abs(basis[i]), kind="stable")[:bars][::-1]
        weights = basis[i][largest]
        place = {"row": i // columns + 1, "col": i % columns + 1}
        figure.add_trace(
            go.Bar(
                x=weights,
                # Places, not names: two features may shorten to the same name.
                y=np.arange(bars),
                customdata=[style.plain(names[j]) for j in largest],
                orientation="h",
                marker={"color": np.where(weights < 0, style.BLUE, style.ORANGE).tolist()},
                hovertemplate="%{customdata}<br>weight %{x:.3f}<extra></extra>",
            ),
            **place,
        )
        figure.update_yaxes(
            tickvals=np.arange(bars),
            ticktext=[style.plain(style.shorten(names[j], 20)) for j in largest],
            tickfont={"size": 11},
            showline=False,
            **place,
        )
        end = 1.08 * float(np.abs(weights).max() or 1.0)
        figure.update_xaxes(range=[-end, end], nticks=5, zeroline=True, zerolinecolor=style.GREY, **place)
    lead = int(np.abs(basis[0]).argmax())
    style.finish(
        figure,
        f"The first pattern is mostly {style.plain(style.shorten(names[lead], 40))}",
        f"The largest weights of each pattern, {'all' if bars == len(names) else bars} of {len(names)} features."
        " Orange adds, blue takes away; the sign of a whole pattern is arbitrary.",
        height=height,
    )
    figure.update_annotations(font_size=13)
    figure.update_layout(bargap=0.25, margin={"t": 130, "l": 120})
    return figure
