"""Pictures made of small images, laid out in inches on a sheet.

Each image keeps its numbers (one `matplotlib` image per tile, no mosaic), and figures are built
without `pyplot` and without touching `rcParams`, so that nodes may draw in several threads at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from latents.reporting import fonts, style

INK = "#1f2933"
MUTED = "#5b6875"
MARK = to_rgb(style.ORANGE)  # of what is missing, or to be noted
MARGIN = 0.3
TITLE_HEIGHT = 0.85
GAP = 0.06
_DPI = 160
_CHARACTER = 0.085

# `fonts` tells of them, once and with what helps.
warnings.filterwarnings("ignore", message="Glyph .* missing from font", module=__name__.replace(".", r"\."))


class Picture(Figure):
    """A figure whose missing characters `fonts` tells of: to Python's warnings it is this module that saves."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save as other figures do."""
        super().savefig(fname, **options)


class Sheet:
    """A blank page measured in inches from its top left corner.

    Parameters
    ----------
    width, height : float
        Size in inches; widened where the title would not fit.
    title : str
        What one sees, in bold at the top.
    subtitle : str
        How to read it, below the title.

    Attributes
    ----------
    figure : Picture
        The page.
    """

    def __init__(self, width: float, height: float, title: str, subtitle: str) -> None:
        needed = 2 * MARGIN + max(0.118 * len(title), 0.078 * len(subtitle))
        self.width, self.height = max(width, needed), height
        self.figure = Picture(figsize=(self.width, height), dpi=_DPI, facecolor="white")
        self._axes: Axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self._axes.set(xlim=(0.0, self.width), ylim=(height, 0.0), autoscale_on=False)
        self._axes.set_axis_off()
        self.text(MARGIN, 0.32, title, size=13, weight="bold")
        self.text(MARGIN, 0.58, subtitle, size=9, colour=MUTED)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 9,
        colour: str = INK,
        align: str = "left",
        weight: str = "normal",
    ) -> None:
        """Write one line whose anchor is (x, y), vertically centred."""
        self._axes.text(
            x,
            y,
            text,
            fontfamily=fonts.families(text),
            fontsize=size,
            color=colour,
            ha=align,
            va="center",
            fontweight=weight,
            parse_math=False,
        )

    def image(
        self,
        x: float,
        y: float,
        size: tuple[float, float],
        values: npt.NDArray[np.floating],
        limits: tuple[float, float],
        colour_map: str = "gray",
    ) -> AxesImage:
        """Place one image, H x W or H x W x 3, with its top left corner at (x, y).

        `limits` are the values drawn as the two ends of the colour map; colour images are stretched
        between them and clipped.
        """
        width, height = size
        norm = Normalize(*limits, clip=True)
        shown = values if values.ndim == 2 else np.asarray(norm(values)).clip(0.0, 1.0)
        picture = self._axes.imshow(
            shown,
            cmap=colour_map,
            norm=norm,
            extent=(x, x + width, y + height, y),
            aspect="auto",
        )
        self._axes.set(xlim=(0.0, self.width), ylim=(self.height, 0.0))
        return picture

    def frame(self, x: float, y: float, size: tuple[float, float]) -> None:
        """Mark the image of a size whose top left corner is at (x, y) by a frame around it."""
        width, height = size
        outset = GAP / 4
        self._axes.add_patch(
            Rectangle(
                (x - outset, y - outset),
                width + 2 * outset,
                height + 2 * outset,
                fill=False,
                edgecolor=MARK,
                linewidth=2,
            )
        )


def absent_picture(title: str, reason: str) -> Figure:
    """Stand in for a picture that cannot be drawn, saying why."""
    width = 2 * MARGIN + _CHARACTER * len(reason)
    sheet = Sheet(width, 1.5, title, "Not drawn in this run")
    sheet.text(MARGIN, 1.05, reason, size=9)
    return sheet.figure


def as_images(
    values: npt.ArrayLike, name: str, originals: npt.NDArray[np.floating] | None = None
) -> npt.NDArray[np.floating]:
    """Check and convert images to floats.

    Parameters
    ----------
    values : array-like of shape (n, H, W) or (n, H, W, 3)
        Images.
    name : str
        What they are, for the message.
    originals : ndarray, optional
        What they are made of, and must have the shape of.

    Raises
    ------
    ValueError
        If there is no image, or the shape is another one.
    """
    images = np.asarray(values)
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] != 3) or images.size == 0:
        raise ValueError(
            f"{name} must have shape (n, H, W) or (n, H, W, 3) with n of at least 1, got shape {images.shape}"
        )
    if originals is not None and images.shape != originals.shape:
        raise ValueError(f"{name} must have the originals' shape {originals.shape}, got {images.shape}")
    return images if np.issubdtype(images.dtype, np.floating) else images.astype(np.float64)


def marked(image: npt.NDArray[np.floating], limits: tuple[float, float]) -> npt.NDArray[np.floating]:
    """Return an image in colours from 0 to 1, its missing pixels in that of the mark."""
    lacks = np.isnan(image)
    colours = np.asarray(Normalize(*limits, clip=True)(np.where(lacks, limits[0], image)))
    if image.ndim == 2:
        colours, lacks = np.repeat(colours[..., np.newaxis], 3, axis=2), lacks[..., np.newaxis]
    return np.where(lacks.any(axis=2, keepdims=True), MARK, colours)


def tile_size(height: int, width: int, columns: int, rows: int) -> tuple[float, float]:
    """Width and height of one tile in inches, in proportion, so that the sheet stays readable.

    The longer side is at most 0.85 inch, and shrinks where many tiles share a row or a column; it
    is never below 0.3 inch.
    """
    longer = float(np.clip(min(9.5 / columns, 14.0 / rows), 0.3, 0.85))
    scale = longer / max(height, width)
    return width * scale, height * scale


def text_width(texts: Sequence[str]) -> float:
    """Room in inches that the longest of some 9 point labels needs."""
    # Characters of other fonts than Matplotlib's may be wider.
    widths = (sum(1.0 if fonts.is_own(character) else 1.6 for character in text) for text in texts)
    return _CHARACTER * max(widths, default=0.0)


def value_limits(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Smallest and largest finite value, moved apart where all are equal."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
