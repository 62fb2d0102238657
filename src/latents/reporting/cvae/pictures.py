"""Images that the model draws, and images beside what it makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from latents import rounding
from latents.reporting import images, style
from latents.reporting.cvae.rows import Row, sheet_of_rows

_PAIRS_PER_ROW = 12
_HARDEST_PER_ROW = 8


def generated_grid(
    images_by_class: npt.ArrayLike, class_names: Sequence[object], epoch: int | None = None
) -> Figure:
    """Images drawn from the model, one row a class.

    Parameters
    ----------
    images_by_class : array-like of shape (C, n, H, W) or (C, n, H, W, 3)
        Pixel means in [0, 1] of n draws z ~ p(z | y) for each class y.
    class_names : sequence of length C
        Names of the classes, numbers or text.
    epoch : int, optional
        After which epoch of training this was, where it goes on.

    Raises
    ------
    ValueError
        If the shape is another one, or the lengths differ.
    """
    grid = np.asarray(images_by_class)
    if grid.ndim not in (4, 5) or grid.size == 0:
        raise ValueError(f"images_by_class must have shape (C, n, H, W) or (C, n, H, W, 3), got {grid.shape}")
    style.check_lengths(images_by_class=grid, class_names=class_names)
    when = "" if epoch is None else f" after {epoch} epoch{'' if epoch == 1 else 's'}"
    return sheet_of_rows(
        f"Images the model generates for each class{when}",
        "One row a class y: z drawn from p(z | y), decoded to pixel means.",
        [
            Row(images.as_images(row, "images_by_class"), name)
            for row, name in zip(grid, class_names, strict=True)
        ],
    )


def reconstructions(
    originals: npt.ArrayLike,
    reconstructions: npt.ArrayLike,
    labels: Sequence[object] | npt.NDArray[np.generic],
) -> Figure:
    """Images above what the model makes of them, in pairs.

    Parameters
    ----------
    originals : array-like of shape (n, H, W) or (n, H, W, 3)
        Images in [0, 1], binarised ones included.
    reconstructions : array-like of the same shape
        Pixel means decoded from the posterior of each.
    labels : sequence of length n
        Class of each, written above.

    Returns
    -------
    matplotlib.figure.Figure
        Twelve pairs to a row.

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    truth = images.as_images(originals, "originals")
    rebuilt = images.as_images(reconstructions, "reconstructions", truth)
    style.check_lengths(originals=truth, labels=labels)
    return _sheet_of_pairs(
        "Images and their reconstructions",
        "Above the image as the model saw it, below the pixel means decoded from its posterior.",
        truth,
        rebuilt,
        [(str(label),) for label in labels],
        _PAIRS_PER_ROW,
    )


def hardest(
    originals: npt.ArrayLike,
    reconstructions: npt.ArrayLike,
    captions: Sequence[tuple[str, str]],
    bounds: npt.ArrayLike,
    mean_bound: float,
) -> Figure:
    """Images of the lowest bounds, above what the model makes of them.

    Parameters
    ----------
    originals : array-like of shape (n, H, W) or (n, H, W, 3)
        Images in [0, 1], the hardest first.
    reconstructions : array-like of the same shape
        Pixel means decoded from the posterior of each.
    captions : sequence of pairs of str, of length n
        For each image a name and a remark, such as its label and the class it is taken for.
    bounds : array-like of shape (n,)
        Lower bound of each, in nats.
    mean_bound : float
        The mean over all test images, for comparison.

    Returns
    -------
    matplotlib.figure.Figure
        Eight images to a row.

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    truth = images.as_images(originals, "originals")
    rebuilt = images.as_images(reconstructions, "reconstructions", truth)
    values = np.asarray(bounds, dtype=np.float64)
    style.check_lengths(originals=truth, captions=captions, bounds=values)
    return _sheet_of_pairs(
        f"The hardest test image has a bound of {rounding.nats(float(values[0]))} nats, "
        f"the mean is {rounding.nats(mean_bound)}",
        "Above the image as the model saw it, below the pixel means decoded from its posterior.",
        truth,
        rebuilt,
        [
            (name, remark, f"{rounding.nats(float(value))} nats")
            for (name, remark), value in zip(captions, values, strict=True)
        ],
        _HARDEST_PER_ROW,
        across_least=1.35,
    )


def _sheet_of_pairs(
    title: str,
    subtitle: str,
    truth: npt.NDArray[np.floating],
    rebuilt: npt.NDArray[np.floating],
    captions: Sequence[tuple[str, ...]],
    per_row: int,
    across_least: float = 0.0,
) -> Figure:
    """Draw pairs of images, lines of text above each."""
    columns = min(per_row, len(truth))
    blocks = -(-len(truth) // columns)
    width, height = images.tile_size(truth.shape[1], truth.shape[2], columns, 2 * blocks)
    across = max(width + images.GAP, across_least)
    lines = len(captions[0])
    left = images.MARGIN + images.text_width(["reconstruction"]) + 0.1
    text_height = 0.1 + 0.15 * lines
    down = text_height + 2 * (height + images.GAP) + 0.12
    sheet = images.Sheet(
        left + columns * across + images.MARGIN,
        images.TITLE_HEIGHT + blocks * down + 0.1,
        title,
        subtitle,
    )
    for i, caption in enumerate(captions):
        centre = left + i % columns * across + (across - images.GAP) / 2
        x = centre - width / 2
        y = images.TITLE_HEIGHT + i // columns * down + text_height - 0.05
        second = y + height + images.GAP
        if i % columns == 0:
            sheet.text(left - 0.1, y + height / 2, "image", align="right")
            sheet.text(left - 0.1, second + height / 2, "reconstruction", align="right")
        for line, text in enumerate(caption):
            place = y - 0.1 - 0.15 * (lines - 1 - line)
            shown = style.shorten_inside(text, max(int(across / 0.075), 3))
            is_name = lines > 1 and line == 0
            sheet.text(
                centre,
                place,
                shown,
                size=8,
                colour=images.INK if is_name else images.MUTED,
                align="center",
                weight="bold" if is_name else "normal",
            )
        sheet.image(x, y, (width, height), truth[i], (0.0, 1.0))
        sheet.image(x, second, (width, height), rebuilt[i], (0.0, 1.0))
    return sheet.figure
