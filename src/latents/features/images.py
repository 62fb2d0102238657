"""Images as arrays: their shapes and values checked, their pixels in rows and from 0 to 1."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from latents.messages import shown

logger = logging.getLogger(__name__)

Shape = tuple[int, ...]

_WHITES = (1.0, 16.0, 255.0, 65535.0)  # of images in floats, of scikit-learn's digits, of 8 bits and of 16
_PIECE = 1 << 24  # bytes


def image_array(given: Any) -> NDArray[Any]:
    """Return images as an array of shape (N, height, width), or with 3 colours last.

    No copy is made of an array, and of one mapped into memory nothing is read.

    Parameters
    ----------
    given : array or sequence of arrays
        N images of one size, with 1 or 3 channels last, if any; a single channel is left out.

    Raises
    ------
    ValueError
        If these are no images or there is none, their shapes differ or are none of images, or pixels are no
        numbers.
    """
    shape = _shape_of_each(given)
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(
            f"images have shape {shape}; allowed are (height, width) and (height, width, channels)"
        )
    if len(shape) == 3 and shape[-1] not in (1, 3):
        raise ValueError(f"images have {shape[-1]} channels; allowed are 1 (grey) and 3 (colour), last")
    images: NDArray[Any] = np.asanyarray(given)  # "any": an array mapped into memory stays one
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.dtype.kind not in "buif":
        raise ValueError(f"pixels are of type {images.dtype}; allowed are numbers")
    return images


def _shape_of_each(given: Any) -> Shape:
    """Return the shape of an image, once it is sure that all have it; names one that has another or none."""
    if not isinstance(given, Iterable) or (isinstance(given, np.ndarray) and not given.ndim):
        raise ValueError(f"images are {shown(given)}; allowed is an array of images, or a list of them")
    if isinstance(given, np.ndarray) and given.dtype != object and len(given):
        return tuple(given.shape[1:])
    first: Shape | None = None
    for row, image in enumerate(given):
        try:
            shape = np.shape(image)
        except ValueError as error:
            raise ValueError(
                f"image {row} has lines of different lengths, or numbers beside lists"
            ) from error
        if first is not None and shape != first:
            raise ValueError(f"image {row} has shape {shape}, image 0 has {first}; all must be of one size")
        first = shape
    if first is None:
        raise ValueError("there is no image")
    return first


def finite_pieces(
    values: NDArray[Any], refuse: Callable[[int, tuple[int, ...]], NoReturn], *, may_lack: bool = False
) -> Iterator[NDArray[Any]]:
    """Yield an array piece by piece, once it is sure that a piece has finite numbers only.

    Bytes need no check, and what is mapped into memory is not read as a whole.

    Parameters
    ----------
    values : array of numbers, of shape (N, ...)
    refuse : callable
        Raises an error for the row, and the place in it, of a number that is not finite.
    may_lack : bool
        Whether NaN is let through: a number that is missing.
    """
    for rows in gen_batches(len(values), max(1, _PIECE // max(values[0].nbytes, 1))):
        piece = values[rows]
        if values.dtype.kind == "f" and not np.isfinite(piece).all():
            bad = np.isinf(piece) if may_lack else ~np.isfinite(piece)
            if not bad.any():
                yield piece
                continue
            row, *place = np.argwhere(bad)[0].tolist()
            refuse(rows.start + row, tuple(place))
        yield piece


def images_of_shape(given: Any, shape: Shape, *, may_lack: bool = False) -> NDArray[Any]:
    """Return images of a known shape as rows of pixels, (N, p); NaN, a missing one, where these may lack.

    Raises
    ------
    ValueError
        As `image_array`, or if the shape is another one or a pixel is not finite; names the image.
    """

    def refuse(row: int, place: tuple[int, ...]) -> NoReturn:
        raise ValueError(f"image {row} has {images[(row, *place)]} at {place}; allowed are finite numbers")

    images = image_array(given)
    if images.shape[1:] != shape:
        raise ValueError(f"images have shape {images.shape[1:]}; the model was trained on images of {shape}")
    for _ in finite_pieces(images, refuse, may_lack=may_lack):
        pass
    return flatten(images)


def flatten(images: NDArray[Any]) -> NDArray[Any]:
    """Return images as rows of pixels, (N, p)."""
    return images.reshape(len(images), -1)


def scale_to_white(X: NDArray[Any], white: float) -> NDArray[np.float32]:
    """Return rows of grey values as numbers from 0 (black) to 1 (white).

    Parameters
    ----------
    X : array of shape (N, p)
        Grey values from 0 to `white`.
    white : float
        The grey value that becomes 1.

    Raises
    ------
    ValueError
        If a pixel lies outside; names it.

    Warns
    -----
    Of images that seem to have another white: 1, or 255 where training had 65535.
    """
    _, brightest = _in_range(X, white)
    # New images may be few, and dark: what should not pass unnoticed are units that are not those of training.
    other = next((known for known in (1.0, 255.0) if 0 < brightest <= known < white), None)
    if other is not None:
        logger.warning(
            "no pixel is above %g, where the model was trained on images whose white is %g: where that of "
            "these is %g, multiply them by %g",
            *(brightest, white, other, white / other),
        )
    return _scaled(X, white)


def check_white(X: NDArray[Any], white: float | None = None) -> float:
    """Return the grey value that is white, once it is sure that rows (N, p) lie in [0, white].

    Where none is given it is the first of 1, 16 (where all are whole numbers), 255 and 65535 that no pixel
    exceeds. Rows are read piece by piece. A warning tells of images that are all dark, as those of a training
    should not be.

    Raises
    ------
    ValueError
        If a pixel lies outside, which is named, or is brighter than any of these.
    """
    white, brightest = _in_range(X, white)
    if brightest < white / 2:
        logger.warning(
            "the brightest pixel is %s, far below white = %s: all images are dark, or white is another",
            *(brightest, white),
        )
    return white


def _in_range(X: NDArray[Any], white: float | None) -> tuple[float, float]:
    """Return white, and the grey value of the brightest pixel."""
    darkest, brightest, are_whole = np.inf, -np.inf, True
    for _, piece in _pieces(X):
        darkest, brightest = min(darkest, float(piece.min())), max(brightest, float(piece.max()))
        if white is None and are_whole:
            are_whole = piece.dtype.kind in "bui" or bool((piece == np.rint(piece)).all())
    if white is None:
        known = [w for w in _WHITES if brightest <= w and (are_whole or w != 16)]
        if not known:
            raise ValueError(
                f"the brightest pixel is {brightest:g}, above 65535, the largest white that is known; say "
                "which it is"
            )
        white = known[0]
    if not (darkest >= 0 and brightest <= white):
        for start, piece in _pieces(X):
            if ((piece < 0) | (white < piece)).any():
                row, pixel = np.argwhere((piece < 0) | (white < piece))[0]
                raise ValueError(
                    f"pixel {pixel} of image {start + row} is {piece[row, pixel]}; allowed are 0 to {white} (of "
                    f"all the darkest is {darkest:g}, the brightest {brightest:g})"
                )
    return white, brightest


def _pieces(X: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    for rows in gen_batches(len(X), max(1, _PIECE // max(X[:1].nbytes, 1))):
        yield rows.start, X[rows]


class ScaledRows:
    """Rows of grey values, (N, p), that are numbers from 0 (black) to 1 (white) wherever they are read.

    Parameters
    ----------
    X : array of shape (N, p)
        From 0 to `white`; it may be mapped into memory.
    white : float
        The grey value that becomes 1.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, X: NDArray[Any], white: float) -> None:
        self.X, self.white = X, white

    @property
    def shape(self) -> Shape:
        """N and p."""
        return self.X.shape

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Return some rows."""
        return _scaled(self.X[rows], self.white)


def _scaled(X: NDArray[Any], white: float) -> NDArray[np.float32]:
    if X.dtype == np.uint8:  # there are few numbers to be divided
        table = (np.arange(256) / white).astype(np.float32)
        scaled: NDArray[np.float32] = table[X]
    elif X.dtype == np.float16:  # which may not hold white
        scaled = np.asarray(X.astype(np.float32) / np.float32(white))
    else:
        scaled = np.asarray(X / white).astype(np.float32)
    return scaled
