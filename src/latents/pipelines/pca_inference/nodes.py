"""From new images to a few numbers each and back: the nodes of the pipeline."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from latents import reporting
from latents.pipelines.images import Images, check_images, evenly
from latents.pipelines.pca_inference.parameters import PredictParameters, ReportParameters
from latents.predictors import PCAPredictor

logger = logging.getLogger(__name__)

_SAMPLE = 100  # images whose brightness is held against that of training
_FAR = 10  # times as bright, or as dark: 12 bits are 16 times 8, and 16 are 257 times
_BLOCK = 1_000_000  # numbers that are rebuilt at a time, in float64: 8 MB


def ingest(predictor: PCAPredictor, raw_images: dict[str, Any]) -> Images:
    """Check new images, or rows of features (see ``check_images``); one is enough.

    Features have names where the data give some. Numbers may be missing where the model takes that.
    """
    images = check_images(raw_images, to_learn=False, may_lack=predictor.may_lack)
    if "feature_names" not in raw_images:
        images.pop("feature_names", None)
    return images


def predict(
    predictor: PCAPredictor, images: Images, params: PredictParameters
) -> tuple[pd.DataFrame, dict[str, NDArray[Any]]]:
    """Project the images on the basis, and rebuild them.

    Returns
    -------
    coordinates : DataFrame
        One row per image: ``pc1``, ``pc2``, ..., ``error`` (squared input units), of a robust model whether it is
        ``outlying``, and, where known, ``label`` and ``name``.
    reconstructions : mapping
        ``rows``, the ``originals`` there (of features those of the model, in its order), and these ``rebuilt``, in
        their shape (float32); where numbers are missing, ``imputed`` has what is expected in their place.

    Raises
    ------
    ValueError
        If these are no images of the size that the model was trained on, or not its features.
    """
    given = _readable(predictor, images)
    _warn_of_other_units(predictor, given)
    coordinates = predictor.predict(given)
    for column, key in (("label", "labels"), ("name", "names")):
        if key in images:
            coordinates[column] = images[key]
    rows = evenly(len(given), params.n_reconstructions or len(given))
    if isinstance(given, pd.DataFrame):
        given = given[list(predictor.feature_names or ())].to_numpy()
    originals = np.asarray(given[rows])
    rebuilt = np.empty(originals.shape, np.float32)
    for place in gen_batches(len(rows), max(_BLOCK // rebuilt[0].size, 1)):
        rebuilt[place] = predictor.reconstruct(originals[place])
    reconstructions = {"rows": rows, "originals": originals, "rebuilt": rebuilt}
    if originals.dtype.kind == "f" and np.isnan(originals).any():
        reconstructions["imputed"] = predictor.impute(originals)
    return coordinates, reconstructions


def _warn_of_other_units(predictor: PCAPredictor, given: Any) -> None:
    """Tell of images that are many times as bright as those of training, or as dark: 8 bits after 16, say."""
    if predictor.shape is None:
        return
    new = float(np.nanmean(np.asarray(given[evenly(len(given), _SAMPLE)], dtype=np.float64)))
    trained = float(np.mean(predictor.model.mean_))
    if trained > 0 and not trained / _FAR <= new <= trained * _FAR:
        logger.warning(
            "the mean pixel of the new images is %.3g, that of training was %.3g: are they in the same units, and "
            "of as many bits?",
            *(new, trained),
        )


def _readable(predictor: PCAPredictor, images: Images) -> Any:
    if predictor.shape is None:
        if "features" not in images:
            raise ValueError(
                f"the model was trained on rows of {len(predictor.feature_names or ())} features; the data are "
                "images"
            )
        if "feature_names" not in images:
            return images["features"]
        return pd.DataFrame(images["features"], columns=images["feature_names"], copy=False)
    if "images" not in images:
        raise ValueError(
            f"the model was trained on images of {predictor.shape}; the data are rows of features. Where rows are "
            "images, say so in the catalog (image_shape: [height, width])"
        )
    return images["images"]


def report(
    predictor: PCAPredictor,
    coordinates: pd.DataFrame,
    reconstructions: Mapping[str, NDArray[Any]],
    params: ReportParameters,
) -> Any:
    """Draw images beside what is left of them (a Matplotlib figure), or say why there are none to draw."""
    if predictor.shape is None:
        return reporting.images.absent_picture(
            "Images rebuilt", "The data are a table of features and have no images to show."
        )
    shown = evenly(len(reconstructions["rows"]), params.n_shown)
    drawn = coordinates.iloc[reconstructions["rows"][shown]]
    names = drawn["name"] if "name" in drawn else [f"image {row}" for row in drawn.index]
    remarks = [""] * len(drawn)
    if "label" in drawn:
        missing = drawn["label"].isna() | (drawn["label"] == "")
        remarks = [
            "" if none else f"label {label}" for label, none in zip(drawn["label"], missing, strict=True)
        ]
    return reporting.pca.rebuilt_images(
        reconstructions["originals"][shown],
        reconstructions["rebuilt"][shown],
        drawn["error"],
        list(zip(map(str, names), remarks, strict=True)),
        int(predictor.model.n_components_),
    )
