"""Pictures from a browser into the pixels that a model reads, and pixels into pictures for a browser."""

from base64 import b64decode, b64encode
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float32]

_LARGEST = (
    2**20
)  # characters of a picture: a page draws what it is given on a small canvas before it sends it
_LARGEST_SIDE = 2048  # pixels
_INK = 0.25  # of white, from which a pixel counts as drawn on
_PREFIX = "data:image/png;base64,"
# What is missing, from too dark by way of nothing to too bright: the ends of the house's blue and orange.
_LESS, _MORE = np.array([63.0, 144.0, 218.0]), np.array([240.0, 138.0, 0.0])


class Frame(NamedTuple):
    """Where images of ink have theirs: the middle of it, and its larger side, in pixels of the image."""

    middle: tuple[float, float]
    side: float


def read_picture(url: str, shape: tuple[int, ...], frame: Frame | None = None) -> Pixels:
    """Return what a page's canvas shows as an image from 0 to 1, of a model's shape.

    Parameters
    ----------
    url : str
        A PNG as a data URL.
    shape : tuple of int
        (height, width), or with 3 colours last.
    frame : Frame, optional
        Where the ink is moved to, and scaled; by default all of the picture becomes all of the image.

    Raises
    ------
    ValueError
        If this is no picture, or it is empty.
    """
    if not url.startswith(_PREFIX) or len(url) > _LARGEST:
        raise ValueError("this is no picture that the page has drawn")
    try:
        with Image.open(BytesIO(b64decode(url[len(_PREFIX) :], validate=True)), formats=["PNG"]) as opened:
            if max(opened.size) > _LARGEST_SIDE:
                raise ValueError(f"it is {opened.size} pixels; allowed are {_LARGEST_SIDE} on a side")
            picture = opened.convert("RGB" if len(shape) == 3 else "L")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError("the picture cannot be read") from error
    height, width = shape[:2]
    if frame is not None:
        picture = _framed(picture, frame, height, width)
    resized = picture.resize(
        (width, height), Image.Resampling.BOX if frame is None else Image.Resampling.BILINEAR
    )
    return np.asarray(resized, dtype=np.float32) / np.float32(255)


def _framed(picture: Image.Image, frame: Frame, height: int, width: int) -> Image.Image:
    """Return the part of a picture, or more than it, that has its ink where images of these sizes have theirs."""
    grey = np.asarray(picture.convert("L"))
    inked = np.argwhere(grey > _INK * 255)
    if not len(inked):
        return picture
    (top, left), (bottom, right) = inked.min(axis=0), inked.max(axis=0) + 1
    # Pixels of the picture for one of the image.
    scale = min(max(bottom - top, right - left) / frame.side, _LARGEST_SIDE / max(height, width))
    y, x = (top + bottom) / 2 - frame.middle[0] * scale, (left + right) / 2 - frame.middle[1] * scale
    return picture.crop((round(x), round(y), round(x + width * scale), round(y + height * scale)))


def frame_of(images: NDArray[Any], white: float) -> Frame | None:
    """Return where images have their ink, if ink is what they have: bright on a dark edge."""
    if not len(images):
        return None
    grey = np.nan_to_num(images).reshape(*images.shape[:3], -1).mean(axis=3) / white
    edges = np.concatenate([grey[:, [0, -1]].ravel(), grey[:, :, [0, -1]].ravel()])
    if np.median(edges) > _INK / 4 or grey.mean() > 0.5:
        return None
    inked = grey > _INK
    rows, columns = inked.any(axis=2), inked.any(axis=1)
    has_any = rows.any(axis=1)
    if not has_any.any():
        return None
    (top, bottom), (left, right) = _ends(rows[has_any]), _ends(columns[has_any])
    side = np.maximum(bottom - top, right - left)
    return Frame(
        (float(np.median(top + bottom) / 2), float(np.median(left + right) / 2)), float(np.median(side))
    )


def _ends(inked: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return inked.argmax(axis=1), inked.shape[1] - inked[:, ::-1].argmax(axis=1)


def url_of(image: NDArray[Any], white: float) -> str:
    """Return an image of greys or colours, from 0 to `white`, as a data URL."""
    return _url(np.clip(np.nan_to_num(image).astype(np.float64) / white, 0, 1) * 255)


def url_of_missing(difference: NDArray[Any], white: float) -> str:
    """Return what is missing of an image, from -`white` to `white`: orange for too dark, blue for too bright.

    Of colours it is the mean.
    """
    grey = np.nan_to_num(difference).reshape(*difference.shape[:2], -1).mean(axis=2) / white
    share = np.clip(np.abs(grey) * 1.5, 0, 1)[..., np.newaxis]
    return _url(255 + share * (np.where(grey[..., np.newaxis] > 0, _MORE, _LESS) - 255))


def _url(pixels: NDArray[np.float64]) -> str:
    file = BytesIO()
    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(file, "PNG", compress_level=1)
    return _PREFIX + b64encode(file.getvalue()).decode()
