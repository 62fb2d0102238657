"""Rows that lacked numbers, and what was put there: images side by side, or a table of features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from latents import rounding
from latents.reporting import images, style

_FEATURES = 10  # columns of a table
_CELL = 0.95, 0.28  # inches
_TITLE = "What was missing, and what is expected there"


def imputed_images(given: npt.ArrayLike, imputed: npt.ArrayLike, names: Sequence[str]) -> Figure:
    """Images whose missing pixels are marked, above the same with what is expected there.

    Parameters
    ----------
    given, imputed : array-like of shape (n, H, W) or (n, H, W, 3)
        The images, NaN where a pixel is missing, and without gaps.
    names : sequence of str

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    holes = images.as_images(given, "given")
    full = images.as_images(imputed, "imputed", holes)
    style.check_lengths(given=holes, names=names)
    width, height = images.tile_size(holes.shape[1], holes.shape[2], len(holes), 2)
    across, left = max(width + 2 * images.GAP, 1.06), images.MARGIN + images.text_width(["expected"]) + 0.12
    sheet = images.Sheet(
        left + len(holes) * across + images.MARGIN,
        images.TITLE_HEIGHT + 2 * (height + images.GAP) + 0.3 + images.MARGIN,
        _TITLE,
        "Above, orange pixels are missing; below, each has its mean given the others of its image.",
    )
    limits = images.value_limits(holes)
    for i, name in enumerate(names):
        centre, y = left + (i + 0.5) * across, images.TITLE_HEIGHT + 0.1
        sheet.text(centre, y, style.shorten_inside(name, 13), size=8, weight="bold", align="center")
        for what, picture in (("given", images.marked(holes[i], limits)), ("expected", full[i])):
            y += 0.15 if what == "given" else height + images.GAP
            if i == 0:
                sheet.text(left - 0.12, y + height / 2, what, align="right")
            bounds = (0.0, 1.0) if what == "given" else limits
            sheet.image(centre - width / 2, y, (width, height), picture, bounds)
    return sheet.figure


def imputed_rows(
    given: npt.ArrayLike, imputed: npt.ArrayLike, names: Sequence[str], features: Sequence[str]
) -> Figure:
    """Rows of features as a table: what was missing is marked, and is what is expected given the others.

    Those features are shown that lack most often.

    Parameters
    ----------
    given, imputed : array-like of shape (n, p)
        The rows, NaN where a number is missing, and without gaps.
    names, features : sequence of str
        Of the rows, and of their columns.

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    lacks, full = np.isnan(np.asarray(given, dtype=np.float64)), np.asarray(imputed, dtype=np.float64)
    style.check_lengths(given=lacks, imputed=full, names=names)
    style.check_lengths(columns=lacks.T, features=features)
    shown = np.sort(np.argsort(-lacks.sum(axis=0), kind="stable")[:_FEATURES])
    width, height = _CELL
    left, top = images.MARGIN + images.text_width([style.shorten(name, 20) for name in names]) + 0.15, 1.15
    sheet = images.Sheet(
        left + len(shown) * width + images.MARGIN,
        top + len(lacks) * height + images.MARGIN,
        _TITLE,
        "Numbers on orange were missing: their means given the others of the row.",
    )
    cells = np.where(lacks[:, shown, np.newaxis], 0.5 + 0.5 * np.array(images.MARK), 1.0)
    sheet.image(left, top, (len(shown) * width, len(lacks) * height), cells, (0.0, 1.0))
    for column, feature in enumerate(shown):
        centre = left + (column + 0.5) * width
        name = style.shorten_inside(features[feature], 12)
        sheet.text(centre, top - 0.15, name, size=8, weight="bold", align="center")
        for row, numbers in enumerate(full):
            text = rounding.number(float(numbers[feature]))
            sheet.text(centre, top + (row + 0.5) * height, text, size=8, align="center")
    for row, name in enumerate(names):
        sheet.text(left - 0.12, top + (row + 0.5) * height, style.shorten(name, 20), size=8, align="right")
    return sheet.figure
