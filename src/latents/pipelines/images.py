"""The first stages of the two pipelines on images: check what came in, and flatten it."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Images = dict[str, NDArray[Any]]


def check_images(raw_images: Mapping[str, Any]) -> Images:
    """Check a set of images and give it one form.

    Parameters
    ----------
    raw_images : mapping
        ``images`` (N x height x width, or with 1 or 3 channels last), and optionally ``labels`` (N) and
        ``held_out`` (N truth values).

    Returns
    -------
    mapping
        The same names, as arrays; a single channel is left out of the shape.

    Raises
    ------
    ValueError
        If there are no images or only one, their sizes differ, pixels are no finite numbers, labels and
        held-out marks are not one per image, a label is NaN, or all images are the same.
    """
    if "images" not in raw_images:
        raise ValueError(f"no array 'images' among {', '.join(sorted(raw_images)) or 'nothing'}")
    given = raw_images["images"]
    shapes = [np.shape(image) for image in given]
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
    images = np.asarray(given)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.dtype.kind not in "buif":
        raise ValueError(f"pixels are of type {images.dtype}; allowed are numbers")
    bad = ~np.isfinite(images).reshape(len(images), -1).all(axis=1)
    if bad.any():
        raise ValueError(f"image {bad.argmax()} has pixels that are NaN or infinite")
    checked = {"images": images}
    for name in ("labels", "held_out"):
        if name in raw_images:
            values = np.asarray(raw_images[name])
            if values.shape != (len(images),):
                raise ValueError(
                    f"{name} has shape {values.shape}; one value per image makes ({len(images)},)"
                )
            if values.dtype.kind == "f" and np.isnan(values).any():
                raise ValueError(f"image {np.isnan(values).argmax()} has no value in {name} (it is NaN)")
            checked[name] = values
    constant = int((images == images[0]).all(axis=0).sum())
    if constant == images[0].size:
        raise ValueError(f"all {len(images)} images are the same: there is nothing to learn")
    logger.info("%d images of shape %s, %d pixels constant", len(images), shapes[0], constant)
    return checked


def flatten(images: NDArray[Any]) -> NDArray[Any]:
    """Return images as rows of pixels, (N, p)."""
    return images.reshape(len(images), -1)


def evenly(n_rows: int, n_chosen: int) -> NDArray[np.intp]:
    """Return at most `n_chosen` of the rows 0..n_rows - 1, spread evenly."""
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, n_chosen)).astype(np.intp))
