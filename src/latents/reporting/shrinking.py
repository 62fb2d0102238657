"""Small copies of many images: averaged down, and packed into one picture for a page to cut up."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from latents.reporting.images import value_limits

_QUALITY = 35  # of WebP, at which a digit of 28 x 28 pixels takes about 100 bytes and still looks like itself


@dataclass(frozen=True)
class Thumbnails:
    """Images of one size, side by side in rows, as one picture.

    Attributes
    ----------
    source : str
        The picture, as a ``data:`` address.
    columns : int
        Images in a row.
    width, height : int
        Size of one image in pixels.
    """

    source: str
    columns: int
    width: int
    height: int


def thumbnails(images: npt.NDArray[Any]) -> Thumbnails:
    """Pack images into one WebP picture, each averaged down to at most 32 pixels on its longer side.

    Parameters
    ----------
    images : ndarray of shape (n, H, W) or (n, H, W, 3)
        In any units; the smallest and the largest value of all become black and white.
    """
    small = shrink(images, 32)
    low, high = value_limits(small)
    pixels = np.rint((small - low) * (255 / (high - low))).astype(np.uint8)
    n, height, width = pixels.shape[:3]
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    grid = np.zeros((rows * columns, *pixels.shape[1:]), np.uint8)
    grid[:n] = pixels
    grid = grid.reshape(rows, columns, *pixels.shape[1:]).swapaxes(1, 2)
    buffer = io.BytesIO()
    Image.fromarray(grid.reshape(rows * height, columns * width, *pixels.shape[3:])).save(
        buffer, format="WEBP", quality=_QUALITY
    )
    source = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Thumbnails(source, columns, width, height)


def shrink(images: npt.NDArray[Any], longest: int) -> npt.NDArray[np.float32]:
    """Average images down so that their longer side is at most `longest` pixels.

    Every new pixel is the mean of the area that it covers. That is linear: shrinking and a sum of images
    may change places.

    Parameters
    ----------
    images : ndarray of shape (n, H, W) or (n, H, W, 3)
        One or more images, of which few enough to be held as float32.
    longest : int
        At least 1; images that are small enough keep their size.

    Returns
    -------
    ndarray of float32, of shape (n, h, w) or (n, h, w, 3)
    """
    height, width = images.shape[1:3]
    scale = min(1.0, longest / max(height, width))
    down = _means_of_areas(height, max(round(scale * height), 1))
    across = _means_of_areas(width, max(round(scale * width), 1))
    if scale == 1.0:
        return images.astype(np.float32)
    shrunk = [np.einsum("hH,HW...,wW->hw...", down, image, across, optimize=True) for image in images]
    return np.asarray(shrunk, dtype=np.float32)


def _means_of_areas(old: int, new: int) -> npt.NDArray[np.float32]:
    """Return the (new, old) weights by which `old` pixels make `new`: shares of the length each covers."""
    edges = np.linspace(0, old, new + 1)
    start, end = edges[:-1, None], edges[1:, None]
    pixels = np.arange(old)
    overlap = np.clip(np.minimum(end, pixels + 1) - np.maximum(start, pixels), 0, None)
    weights: npt.NDArray[np.float32] = (overlap * (new / old)).astype(np.float32)
    return weights
