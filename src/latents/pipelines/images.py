"""The first stages of the two pipelines on images: check what came in, and flatten it."""

import logging
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

logger = logging.getLogger(__name__)

Images = dict[str, NDArray[Any]]

_PIECE = 1 << 24  # bytes


def check_images(raw_images: Mapping[str, Any]) -> Images:
    """Check a set of images, or of rows of features, and give it one form.

    No copy is made of an array, and of one mapped into memory no more than a piece is read at a time.

    Parameters
    ----------
    raw_images : mapping
        ``images`` (N x height x width, or with 1 or 3 channels last), or ``features`` (N x p numbers) and
        optionally ``feature_names`` (p); and optionally ``labels`` (N), ``held_out`` (N truth values) and
        ``names`` (N, what an image or row is called).

    Returns
    -------
    mapping
        The same names, as arrays; a single channel is left out of the shape, and features have names.

    Raises
    ------
    ValueError
        If there are neither images nor features or both, or only one, their sizes differ, a value is no finite
        number, labels, held-out marks and names are not one per image, a label is NaN, or all images are the
        same.
    """
    kinds = [kind for kind in ("images", "features") if kind in raw_images]
    if not kinds:
        raise ValueError(
            f"no array 'images' or 'features' among {', '.join(sorted(raw_images)) or 'nothing'}"
        )
    if len(kinds) == 2:
        raise ValueError("both 'images' and 'features' are given; allowed is one of them")
    checked = _images(raw_images) if kinds == ["images"] else _features(raw_images)
    values = checked[kinds[0]]
    one = "image" if kinds == ["images"] else "row"
    for name in ("labels", "held_out", "names"):
        if name in raw_images:
            marks = np.asarray(raw_images[name])
            if marks.shape != (len(values),):
                raise ValueError(
                    f"{name} has shape {marks.shape}; one value per {one} makes ({len(values)},)"
                )
            if marks.dtype.kind == "f" and np.isnan(marks).any():
                raise ValueError(f"{one} {np.isnan(marks).argmax()} has no value in {name} (it is NaN)")
            checked[name] = marks.astype(str) if name == "names" else marks
    _check_values(checked, one)
    return checked


def _images(raw_images: Mapping[str, Any]) -> Images:
    given = raw_images["images"]
    is_array = isinstance(given, np.ndarray) and given.dtype != object
    shapes = [given.shape[1:]] * len(given) if is_array else [np.shape(image) for image in given]
    if len(shapes) < 2:
        raise ValueError(f"{len(shapes)} image(s) given; at least 2 are needed to learn anything from")
    for row, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(
                f"image {row} has shape {shape}, image 0 has {shapes[0]}; all must be of one size"
            )
    if len(shapes[0]) not in (2, 3) or 0 in shapes[0]:
        raise ValueError(
            f"images have shape {shapes[0]}; allowed are (height, width) and (height, width, channels)"
        )
    if len(shapes[0]) == 3 and shapes[0][-1] not in (1, 3):
        raise ValueError(f"images have {shapes[0][-1]} channels; allowed are 1 (grey) and 3 (colour), last")
    images = np.asanyarray(given)  # "any": an array mapped into memory stays one
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.dtype.kind not in "buif":
        raise ValueError(f"pixels are of type {images.dtype}; allowed are numbers")
    return {"images": images}


def _features(raw_images: Mapping[str, Any]) -> Images:
    features = np.asanyarray(raw_images["features"])
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"features have shape {features.shape}; allowed is (rows, numbers)")
    if len(features) < 2:
        raise ValueError(f"{len(features)} row(s) of features given; at least 2 are needed to learn from")
    if features.dtype.kind not in "buif":
        raise ValueError(f"features are of type {features.dtype}; allowed are numbers")
    n_features = features.shape[1]
    names = np.asarray(raw_images.get("feature_names", [f"x{i}" for i in range(n_features)]))
    if names.shape != (n_features,):
        raise ValueError(f"feature_names has shape {names.shape}; one name per feature makes ({n_features},)")
    return {"features": features, "feature_names": names.astype(str)}


def _check_values(checked: Images, one: str) -> None:
    """Look at all values, piece by piece: bytes need no check and no floating-point copy."""
    values = checked["images"] if "images" in checked else checked["features"]
    first = values[0]
    constant = np.ones(first.shape, dtype=bool)
    for rows in gen_batches(len(values), max(1, _PIECE // first.nbytes)):
        piece = values[rows]
        if values.dtype.kind == "f" and not np.isfinite(piece).all():
            row, *place = np.argwhere(~np.isfinite(piece))[0]
            _refuse_value(checked, rows.start + row, tuple(place))
        constant &= (piece == first).all(axis=0)
    if constant.all():
        raise ValueError(f"all {len(values)} {one}s are the same: there is nothing to learn")
    logger.info("%d %ss of shape %s, %d values constant", len(values), one, first.shape, constant.sum())


def _refuse_value(checked: Images, row: int, place: tuple[int, ...]) -> NoReturn:
    called = f" ({checked['names'][row]})" if "names" in checked else ""
    if "images" in checked:
        raise ValueError(f"image {row}{called} has pixels that are NaN or infinite")
    raise ValueError(
        f"row {row}{called} has {checked['features'][row][place]} in feature "
        f"{str(checked['feature_names'][place])!r}; allowed are finite numbers"
    )


def flatten(images: NDArray[Any]) -> NDArray[Any]:
    """Return images as rows of pixels, (N, p)."""
    return images.reshape(len(images), -1)


def as_rows(checked: Images) -> NDArray[Any]:
    """Return what `check_images` has let through as rows of numbers, (N, p): pixels, or features."""
    return flatten(checked["images"]) if "images" in checked else checked["features"]


def evenly(n_rows: int, n_chosen: int) -> NDArray[np.intp]:
    """Return at most `n_chosen` of the rows 0..n_rows - 1, spread evenly."""
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, n_chosen)).astype(np.intp))
