"""A sheet of images in rows: a name before each row, names above the columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from latents.reporting import images, style

_GAP = 0.16
_HEADER = 0.24


@dataclass(frozen=True)
class Row:
    """Images beside one another.

    Attributes
    ----------
    tiles : ndarray of shape (n, H, W) or (n, H, W, 3)
        In [0, 1].
    before, after : object
        What stands on the left and on the right of them.
    framed : collection of int
        Which images have a frame.
    """

    tiles: npt.NDArray[np.floating]
    before: object = ""
    after: object = ""
    framed: Collection[int] = ()


def sheet_of_rows(
    title: str,
    subtitle: str,
    rows: Sequence[Row],
    *,
    columns: Sequence[object] = (),
    parted_after: Collection[int] = (),
    parted_below: Collection[int] = (),
) -> Figure:
    """Draw rows of equally many images.

    Parameters
    ----------
    title, subtitle : str
        What one sees, and how to read it.
    rows : sequence of Row
        From top to bottom.
    columns : sequence, optional
        What stands above each column.
    parted_after, parted_below : collection of int
        Columns and rows after which there is a gap.
    """
    count, height, width = rows[0].tiles.shape[:3]
    tile = images.tile_size(height, width, count, len(rows))
    before = [style.shorten(row.before) for row in rows]
    after = [style.shorten(row.after, 40) for row in rows]
    left = images.MARGIN + images.text_width(before) + 0.15
    lefts = left + np.array(
        [i * (tile[0] + images.GAP) + _GAP * sum(c < i for c in parted_after) for i in range(count)]
    )
    top = images.TITLE_HEIGHT + (_HEADER if columns else 0.0)
    tops = top + np.array(
        [i * (tile[1] + images.GAP) + _GAP * sum(r < i for r in parted_below) for i in range(len(rows))]
    )
    right = lefts[-1] + tile[0] + 0.1
    sheet = images.Sheet(
        right + images.text_width(after) + images.MARGIN,
        tops[-1] + tile[1] + images.MARGIN,
        title,
        subtitle,
    )
    for x, name in zip(lefts, columns, strict=bool(columns)):
        shown = style.shorten(name, max(int((tile[0] + images.GAP) / 0.075), 3))
        sheet.text(x + tile[0] / 2, top - 0.12, shown, size=8, colour=images.MUTED, align="center")
    for y, row, name, remark in zip(tops, rows, before, after, strict=True):
        sheet.text(left - 0.15, y + tile[1] / 2, name, size=10, align="right")
        sheet.text(right, y + tile[1] / 2, remark, size=8, colour=images.MUTED)
        for i, (x, image) in enumerate(zip(lefts, row.tiles, strict=True)):
            sheet.image(x, y, tile, image, (0.0, 1.0))
            if i in row.framed:
                sheet.frame(x, y, tile)
    return sheet.figure
