"""The first stages of the pipelines on images: check what came in, and make rows of it."""

import logging
from collections.abc import Mapping
from numbers import Number
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latents.features.images import finite_pieces, flatten, image_array
from latents.features.labels import numbers_if_whole
from latents.messages import some_of

logger = logging.getLogger(__name__)

Images = dict[str, NDArray[Any]]


def check_images(
    raw_images: Mapping[str, Any], *, to_learn: bool = True, may_lack: bool | None = None
) -> Images:
    """Check a set of images, or of rows of features, and give it one form.

    No copy is made of an array, and of one mapped into memory no more than a piece is read at a time.

    Parameters
    ----------
    raw_images : mapping
        ``images`` (N x height x width, or with 1 or 3 channels last), or ``features`` (N x p numbers) and
        optionally ``feature_names`` (p); and optionally ``labels`` (N), ``held_out`` (N truth values),
        ``names`` (N, what an image or row is called) and ``weights`` (N, how many rows each stands for).
    to_learn : bool, default=True
        Whether a model is to be trained on them, which takes two or more, not all the same, and labels for
        all or for none.
    may_lack : bool, optional
        Whether numbers may be missing, NaN; False where ``pca.fit.missing`` could let them.

    Returns
    -------
    mapping
        The same names, as arrays; a single channel is left out of the shape, and features have names. Labels in
        text that are whole numbers throughout are numbers; a missing label is NaN among numbers in float, and else
        an empty text among texts.

    Raises
    ------
    ValueError
        If there are neither images nor features or both, or too few to learn from, their sizes differ, a value is
        no finite number, labels, held-out marks, names and weights are not one per image, or one is missing, a
        weight is below 0, or a feature or pixel is missing throughout.
    """
    if not isinstance(raw_images, Mapping):
        raise ValueError(
            f"the data are a {type(raw_images).__name__}; allowed are arrays by name, 'images' or 'features'. "
            "latents.datasets.FeatureTableDataset reads a table, latents.datasets.NpyDataset an array"
        )
    kinds = [kind for kind in ("images", "features") if kind in raw_images]
    if not kinds:
        raise ValueError(f"no array 'images' or 'features' among {some_of(sorted(raw_images)) or 'nothing'}")
    if len(kinds) == 2:
        raise ValueError("both 'images' and 'features' are given; allowed is one of them")
    one = "image" if kinds == ["images"] else "row"
    checked = _features(raw_images) if one == "row" else {"images": image_array(raw_images["images"])}
    values = checked[kinds[0]]
    if to_learn and len(values) < 2:
        raise ValueError(f"1 {one} given; at least 2 are needed to learn from")
    for name in ("labels", "held_out", "names", "weights"):
        if name in raw_images:
            marks = np.asarray(raw_images[name])
            if name == "labels" and are_several(marks):
                logger.warning(
                    "labels have shape %s, several for each %s; they are left out: no model here reads such",
                    *(marks.shape, one),
                )
                continue
            if marks.dtype.kind in "Vc":
                raise ValueError(f"{name} are of type {marks.dtype}; allowed are numbers and texts")
            if marks.shape != (len(values),):
                raise ValueError(
                    f"{name} has shape {marks.shape}; one value per {one} makes ({len(values)},)"
                )
            missing = pd.isna(marks)
            if name == "labels" and marks.dtype.kind in "OU":
                missing |= marks.astype(str) == ""
            if missing.any() and (to_learn or name != "labels"):
                raise ValueError(
                    f"{one} {missing.argmax()} has no value in {name}; all must have one, or none"
                )
            if missing.any() and marks.dtype.kind != "f":  # texts can tell of a missing one: it is empty
                marks = np.where(missing, "", marks.astype(str))
            if name == "names":
                marks = marks.astype(str)
            elif name == "weights":
                marks = _weights(marks, one)
            elif name == "labels":
                marks = numbers_if_whole(marks)
            checked[name] = marks
    constant, empty = _check_values(checked, may_lack)
    if to_learn and empty.any():
        place = tuple(np.argwhere(empty)[0].tolist())
        what = (
            f"feature {str(checked['feature_names'][place])!r:.80}"
            if one == "row"
            else f"the pixel at {place}"
        )
        raise ValueError(
            f"{what} has no number in any {one} ({empty.sum()} of {empty.size} have none); leave it out"
        )
    if to_learn and constant.all():
        raise ValueError(f"all {len(values)} {one}s are the same: there is nothing to learn")
    logger.info("%d %ss of shape %s, %d values constant", len(values), one, values.shape[1:], constant.sum())
    return checked


def _weights(marks: NDArray[Any], one: str) -> NDArray[np.float64]:
    if marks.dtype.kind not in "buif":
        raise ValueError(f"weights are of type {marks.dtype}; allowed are numbers")
    weights = marks.astype(np.float64)
    if (bad := np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))).size:
        raise ValueError(f"{one} {bad[0]} has weight {weights[bad[0]]:g}; allowed are numbers of at least 0")
    return weights


def are_several(labels: NDArray[Any]) -> bool:
    """Tell whether these are several labels for each image: a table of two columns or more."""
    return labels.ndim == 2 and labels.shape[1] > 1


def refuse_features(raw_images: Mapping[str, Any]) -> None:
    """Refuse rows of features to a model of images.

    Raises
    ------
    ValueError
        If there are features and no images.
    """
    if "features" in raw_images and "images" not in raw_images:
        raise ValueError(
            "the data are rows of features, and this pipeline draws images: it needs 'images'. Where rows are "
            "images, say so in the catalog (image_shape: [height, width])"
        )


def _features(raw_images: Mapping[str, Any]) -> Images:
    features = np.asanyarray(raw_images["features"])
    if features.dtype == object and all(isinstance(value, Number) for value in features.flat):
        features = features.astype(np.float64)  # such as Decimal
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"features have shape {features.shape}; allowed is (rows, numbers)")
    if not len(features):
        raise ValueError("there is no row of features")
    if features.dtype.kind not in "buif":
        raise ValueError(f"features are of type {features.dtype}; allowed are numbers")
    n_features = features.shape[1]
    names = np.asarray(raw_images.get("feature_names", [f"x{i}" for i in range(n_features)]))
    if names.shape != (n_features,):
        raise ValueError(f"feature_names has shape {names.shape}; one name per feature makes ({n_features},)")
    names = names.astype(str)
    different, first, n_times = np.unique(names, return_index=True, return_counts=True)
    if (n_times > 1).any():
        twice = str(different[n_times > 1][first[n_times > 1].argmin()])
        raise ValueError(f"there are several features {twice!r:.80}; allowed is one of each name")
    return {"features": features, "feature_names": names}


def _check_values(checked: Images, may_lack: bool | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Look at all values, piece by piece; return which are the same in all rows, and which are missing in all."""
    values = checked["images"] if "images" in checked else checked["features"]
    first = values[0]
    constant = np.ones(first.shape, dtype=bool)
    empty = np.isnan(first) if may_lack and values.dtype.kind == "f" else np.zeros_like(constant)
    for piece in finite_pieces(
        values, lambda row, place: _refuse_value(checked, row, place, may_lack), may_lack=may_lack or False
    ):
        constant &= (piece == first).all(axis=0)
        if empty.any():
            empty &= np.isnan(piece).all(axis=0)
    return constant, empty


def _refuse_value(checked: Images, row: int, place: tuple[int, ...], may_lack: bool | None) -> NoReturn:
    hint = (
        "; where numbers are missing (NaN), pca.fit.missing: em estimates them" if may_lack is False else ""
    )
    called = f" ({checked['names'][row]})" if "names" in checked else ""
    if "images" in checked:
        raise ValueError(f"image {row}{called} has pixels that are NaN or infinite{hint}")
    raise ValueError(
        f"row {row}{called} has {checked['features'][row][place]} in feature "
        f"{str(checked['feature_names'][place])!r:.80}; allowed are finite numbers{hint}"
    )


def as_rows(checked: Images) -> NDArray[Any]:
    """Return what `check_images` has let through as rows of numbers, (N, p): pixels, or features."""
    return flatten(checked["images"]) if "images" in checked else checked["features"]


def evenly(n_rows: int, n_chosen: int) -> NDArray[np.intp]:
    """Return at most `n_chosen` of the rows 0..n_rows - 1, spread evenly."""
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, n_chosen)).astype(np.intp))
