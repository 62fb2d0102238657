"""What data of one's own are: pictures, or rows of numbers that may be pictures row by row."""

from collections.abc import Sequence
from math import prod
from typing import Any

from kedro.io import DatasetError
from numpy.typing import NDArray

from latents.places import Place

Shape = tuple[int, ...]


def whole_sizes(name: str, sizes: Sequence[int] | None, form: str, lengths: tuple[int, ...]) -> Shape | None:
    """Return the sizes that an entry gives, once it is sure that they are some.

    Parameters
    ----------
    name : str
        The entry's name for them.
    sizes : sequence of int, optional
        What YAML has there.
    form : str
        What they should look like.
    lengths : tuple of int
        How many there may be.

    Raises
    ------
    DatasetError
        If they are anything but whole numbers from 1, or fewer or more.
    """
    if sizes is None:
        return None
    whole = isinstance(sizes, (list, tuple)) and all(type(size) is int and size >= 1 for size in sizes)
    if not whole or len(sizes) not in lengths:
        raise DatasetError(f"{name} is {sizes!r:.80}; allowed are {form}, in whole numbers from 1")
    return tuple(sizes)


def image_shape_of(sizes: Sequence[int] | None) -> Shape | None:
    """Return the shape of an image that an entry's ``image_shape`` gives; raises as `whole_sizes` does."""
    return whole_sizes("image_shape", sizes, "[height, width] and [height, width, 3]", (2, 3))


def images_or_features(
    path: Place, values: NDArray[Any], image_shape: Shape | None, counted: str
) -> dict[str, NDArray[Any]]:
    """Return an array of images as ``images``, and one of rows of numbers as ``features`` or as ``images``.

    Parameters
    ----------
    path : Path or Remote
        Where the array is from.
    values : ndarray of shape (N, p), (N, height, width) or (N, height, width, channels)
        No copy is made of it.
    image_shape : tuple of int, optional
        Makes images of rows, which run through an image line by line.
    counted : str
        What a row has p of.

    Raises
    ------
    DatasetError
        If the shape is another one, or rows have other numbers of pixels than the images.
    """
    if values.ndim not in (2, 3, 4):
        raise DatasetError(
            f"{path} has shape {values.shape}; allowed are (N, numbers), (N, height, width) and (N, height, "
            "width, channels)"
        )
    if image_shape is None:
        return {"features" if values.ndim == 2 else "images": values}
    if values.ndim > 2:
        if values.shape[1:] != image_shape:
            raise DatasetError(
                f"{path} has images of shape {values.shape[1:]}; image_shape says {image_shape}"
            )
        return {"images": values}
    if values.shape[1] != prod(image_shape):
        sides = " x ".join(map(str, image_shape))
        raise DatasetError(
            f"{path} has {values.shape[1]} {counted}; image_shape {sides} needs {prod(image_shape)}"
        )
    return {"images": values.reshape(-1, *image_shape)}


def check_labels(path: Place, labels: NDArray[Any], of: Place, n: int) -> None:
    """Refuse a file of labels that are not one for each of the `n` rows of another file.

    Raises
    ------
    DatasetError
        If their shape is not (n,).
    """
    if labels.shape != (n,):
        raise DatasetError(
            f"{path} has labels of shape {labels.shape}; one for each of the {n} of {of} is needed"
        )
