"""From images to classes and latents, and from classes to images: the nodes of the pipeline."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latents import reporting
from latents.messages import shown, some_of
from latents.pipelines.cvae_inference.parameters import (
    GenerateParameters,
    PredictParameters,
    ReportParameters,
)
from latents.pipelines.images import Images, check_images, refuse_features
from latents.predictors import CVAEPredictor


def ingest(raw_images: dict[str, Any]) -> Images:
    """Check new images (see ``check_images``); one is enough, and labels may be missing.

    Raises
    ------
    ValueError
        If there are features and no images.
    """
    refuse_features(raw_images)
    return check_images(raw_images, to_learn=False)


def predict(predictor: CVAEPredictor, images: Images, params: PredictParameters) -> pd.DataFrame:
    """Say which class each image is of, how likely the model finds it, and what its latents are.

    Returns
    -------
    DataFrame
        The columns of ``CVAEPredictor.predict`` and, where known, ``label`` and ``name``.

    Raises
    ------
    ValueError
        If the images are not of the size or the grey values of training, or latents are asked for under labels
        that are not there, or that the model does not know.
    """
    labels = None
    if params.under == "label":
        if "labels" not in images:
            raise ValueError(
                "cvae_inference.predict.under is 'label', and the images have no labels; allowed is 'predicted'"
            )
        labels = images["labels"]
    table = predictor.predict(images["images"], labels, n_importance_samples=params.n_importance_samples)
    for column, key in (("label", "labels"), ("name", "names")):
        if key in images:
            table[column] = images[key]
    return table


def generate(
    predictor: CVAEPredictor, labels: pd.DataFrame | Mapping[str, Any], params: GenerateParameters
) -> Images:
    """Draw images for every label asked for.

    Parameters
    ----------
    predictor : CVAEPredictor
        The trained model.
    labels : DataFrame or mapping of columns
        Column ``label``: classes of the model, a row for each.
    params : GenerateParameters
        How many images a row.

    Returns
    -------
    mapping
        ``images`` (N, height, width[, 3]), means of pixels in input units, and their ``labels`` (N), those of a
        row together.

    Raises
    ------
    ValueError
        If this is no table, there is no column ``label``, no row, or a label is no class of the model.
    """
    try:
        table = pd.DataFrame(labels)
    except ValueError as error:
        raise ValueError(
            f"cvae_inference.labels is {shown(labels)} ({error}); allowed is a column 'label' with a list of "
            "classes, such as {'label': [0, 1]}"
        ) from error
    if "label" not in table:
        raise ValueError(f"cvae_inference.labels has no column 'label' among {some_of(table.columns)}")
    wanted = np.repeat(predictor.classes_of(table["label"].to_numpy()), params.n_images)
    return {"images": predictor.generate(wanted, random_state=params.random_state), "labels": wanted}


def report(predictor: CVAEPredictor, generated: Mapping[str, NDArray[Any]], params: ReportParameters) -> Any:
    """Draw the generated images, one row a class (a Matplotlib figure).

    Every class shows as many: no more than the one with the fewest has.
    """
    labels = generated["labels"]
    classes, counts = np.unique(labels, return_counts=True)
    n_shown = min(params.n_shown, counts.min())
    rows = [np.flatnonzero(labels == label)[:n_shown] for label in classes]
    return reporting.cvae.generated_grid(generated["images"][rows] / predictor.white, classes.tolist())
