"""A slider over d: what a few images look like when they are rebuilt from d numbers.

The page gets the basis, the mean and the coordinates once and adds up x~ = mean + sum_{i<=d} z_i mu_i as one
drags. Weights of the basis travel as bytes, each vector scaled by its own largest; coordinates and errors do not
lose digits, so the numbers shown are exact and the pictures off by less than a grey level.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latents.reporting import images as pictures
from latents.reporting import style
from latents.reporting.shrinking import shrink

LARGEST_D = 200
_LONGEST_SIDE = 64
_LARGEST_BASIS = 1_200_000  # bytes; a third more in the page


@dataclass(frozen=True)
class Slider:
    """What a page needs to rebuild images by itself.

    Attributes
    ----------
    data : mapping
        JSON for the page's program: ``shape``, ``limits``, ``mean``, ``basis``, ``scales``, ``originals``,
        ``coordinates``, ``energies``, ``captions``, ``curves`` and ``d``; arrays as base64.
    note : str
        What was left out for the sake of size; empty where nothing was.
    """

    data: Mapping[str, Any]
    note: str


def slider(
    originals: npt.ArrayLike,
    mean: npt.ArrayLike,
    components: npt.ArrayLike,
    captions: Sequence[tuple[str, str]],
    curves: Mapping[str, npt.ArrayLike],
) -> Slider:
    """Gather what the page needs to rebuild `originals` from 0..d numbers.

    Parameters
    ----------
    originals : array-like of shape (n, H, W) or (n, H, W, 3)
        A few images, best held-out ones.
    mean : array-like of shape (p,)
        Mean of the training images, p being H W or 3 H W.
    components : array-like of shape (d, p)
        Orthonormal basis vectors as rows.
    captions : sequence of pairs of str
        For each image a name and a remark, such as its label.
    curves : mapping of str to array-like of shape (d + 1 or more,)
        By what they are of, such as "held-out images": the mean squared error at 0, 1, ..., d, in squared input
        units. The first is read out.

    Returns
    -------
    Slider
        Images of more than 64 pixels a side are averaged down for display, and d stops where the basis would
        swell the page; errors are those of the full images all the same.

    Raises
    ------
    ValueError
        If shapes or lengths do not agree.
    """
    truth = pictures.as_images(originals, "originals")
    n, shape = len(truth), truth.shape[1:]
    basis, centre = np.asarray(components, np.float64), np.asarray(mean, np.float64)
    style.check_lengths(originals=truth, captions=captions)
    if basis.ndim != 2 or basis.shape[1] != np.prod(shape) or centre.shape != basis.shape[1:]:
        raise ValueError(
            f"components of shape {basis.shape} and a mean of shape {centre.shape} do not belong to images of "
            f"shape {shape}"
        )
    for name, curve in curves.items():
        if len(np.asarray(curve)) <= len(basis):
            raise ValueError(f"the curve {name!r} ends at d = {len(np.asarray(curve)) - 1}, not {len(basis)}")

    centred = truth.reshape(n, -1) - centre
    shown = shrink(truth, _LONGEST_SIDE)
    small_shape = shown.shape[1:]
    room = max(_LARGEST_BASIS // int(np.prod(small_shape)), 1)
    d = min(len(basis), LARGEST_D, room)
    kept = basis[:d]
    small_basis = shrink(kept.reshape(-1, *shape), _LONGEST_SIDE).reshape(d, -1)
    scales = np.abs(small_basis).max(axis=1) / 127
    scales[scales == 0] = 1.0
    low, high = pictures.value_limits(shown)
    data = {
        "shape": list(small_shape),
        "limits": [low, high],
        "mean": _text(shrink(centre.reshape(1, *shape), _LONGEST_SIDE), np.float32),
        "basis": _text(np.rint(small_basis / scales[:, None]), np.int8),
        "scales": _text(scales, np.float32),
        "originals": _text(np.rint((shown - low) * (255 / (high - low))), np.uint8),
        "coordinates": _text(centred @ kept.T, np.float32),
        "energies": np.einsum("ij,ij->i", centred, centred).tolist(),
        "captions": [list(caption) for caption in captions],
        "curves": {name: np.asarray(curve, np.float64)[: d + 1].tolist() for name, curve in curves.items()},
        "d": d,
    }
    return Slider(data, _note(shape, small_shape, len(basis), d))


def _text(values: npt.NDArray[Any], kind: type[np.generic]) -> str:
    """Write an array as base64 of little-endian numbers."""
    array = np.ascontiguousarray(values, dtype=np.dtype(kind).newbyteorder("<"))
    return base64.b64encode(array.tobytes()).decode("ascii")


def _note(shape: tuple[int, ...], small: tuple[int, ...], n_components: int, d: int) -> str:
    notes = []
    if small != shape:
        notes.append(
            f"Images of {shape[0]} by {shape[1]} pixels are drawn at {small[0]} by {small[1]}; the errors are "
            "those of the full size."
        )
    if d < n_components:
        notes.append(f"To keep this page light the slider ends at d = {d} of {n_components}.")
    return " ".join(notes)
