"""From labelled images to a model that draws them by class: the nodes of the cvae pipeline."""

from __future__ import annotations  # so that naming ConditionalVAE in a signature does not import torch

import logging
import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from latents import estimators, reporting
from latents.pipelines.cvae.parameters import (
    EvaluateParameters,
    FeaturesParameters,
    FitParameters,
    ReportParameters,
)
from latents.pipelines.images import Images, check_images, evenly, flatten
from latents.pipelines.shared import Monitor, Rows, SplitParameters, plain, split_rows

logger = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]


def ingest(raw_images: dict[str, Any]) -> Images:
    """Check the images (see ``check_images``), and that they come with at least two classes.

    Raises
    ------
    ValueError
        If there are features and no images, no labels, or only one class.
    """
    if "features" in raw_images and "images" not in raw_images:
        raise ValueError(
            "the data are rows of features, and this pipeline draws images: it needs 'images'. Where rows are "
            "images, say so in the catalog (image_shape: [height, width])"
        )
    images = check_images(raw_images)
    if "labels" not in images:
        raise ValueError("the images have no 'labels': a class-conditioned model needs the class of each")
    classes = np.unique(images["labels"])
    if len(classes) < 2:
        raise ValueError(f"all images are of one class, {classes[0].item()!r}; at least 2 classes are needed")
    return images


def scale_pixels(images: Images, params: FeaturesParameters) -> Arrays:
    """Turn grey values into probabilities: pixels ``X`` (N, p) in [0, 1], and classes ``y``.

    Raises
    ------
    ValueError
        If a pixel lies outside [0, white].
    """
    X = flatten(images["images"])
    outside = (X < 0) | (params.white < X)
    if outside.any():
        row, pixel = np.argwhere(outside)[0]
        raise ValueError(
            f"pixel {pixel} of image {row} is {X[row, pixel]}; allowed are 0 to {params.white} (parameter "
            "cvae.features.white)"
        )
    if X.max() < params.white / 2:
        logger.warning(
            "the brightest pixel is %s, far below cvae.features.white = %s: all images will be dark",
            X.max(),
            params.white,
        )
    return {"X": (X / params.white).astype(np.float32), "y": images["labels"]}


def split(pixels: Arrays, images: Images, params: SplitParameters) -> tuple[Rows, Arrays]:
    """Divide the images into training and held-out rows, and binarise the held-out ones once.

    Returns
    -------
    split : mapping
        Rows ``train`` and ``held_out``.
    test : mapping
        ``X`` (0 or 1) and ``y`` of the held-out images.

    Raises
    ------
    ValueError
        If no image is held out, or a class is missing among the training images.
    """
    rows = split_rows(len(pixels["X"]), images.get("held_out"), params)
    if not len(rows["held_out"]):
        raise ValueError("no image is held out to measure the bound on; raise cvae.split.held_out_fraction")
    y = pixels["y"]
    unseen = np.setdiff1d(y[rows["held_out"]], y[rows["train"]])
    if len(unseen):
        raise ValueError(f"class {unseen[0].item()!r} has held-out images but none to train on")
    # scikit-learn's seeds and the split's own generator differ, so one seed serves both.
    X_test = estimators.binarise(pixels["X"][rows["held_out"]], params.random_state)
    return rows, {"X": X_test, "y": y[rows["held_out"]]}


def fit(
    pixels: Arrays, split: Rows, test: Arrays, params: FitParameters, monitor: Monitor
) -> tuple[estimators.ConditionalVAE, dict[str, Any], dict[str, float]]:
    """Train the model; the test bound is watched, and nothing is selected by it.

    Returns
    -------
    model : ConditionalVAE
        The trained model.
    mlflow_model : mapping
        The model and an example of its input, for MLflow.
    fit_record : mapping
        ``fit_seconds``.
    """
    X, y = pixels["X"][split["train"]], pixels["y"][split["train"]]
    model = estimators.ConditionalVAE(**params.model_dump())
    started = time.perf_counter()
    with monitor.watch("VAE epochs", total=params.epochs) as callback:
        model.fit(X, y, validation=(test["X"], test["y"]), callback=callback)
    seconds = time.perf_counter() - started
    example = {"images": X[:2], "labels": y[:2]}
    return model, {"estimator": model, "input_example": example}, {"fit_seconds": seconds}


def evaluate(
    model: estimators.ConditionalVAE,
    test: Arrays,
    images: Images,
    fit_record: dict[str, float],
    params: EvaluateParameters,
    monitor: Monitor,
) -> tuple[pd.DataFrame, Arrays, Arrays, dict[str, float]]:
    """Measure the bound, its terms and the likelihoods on the binarised test images, and draw new ones.

    Returns
    -------
    latents : DataFrame
        One row per test image: posterior means ``z1``, ``z2``, ..., the bound's terms and ``label``.
    generated : mapping
        ``images`` (C, n, height, width), pixel means drawn for every class.
    reconstructions : mapping
        A few ``originals``, what the model makes of them, and their ``labels``.
    metrics : mapping
        Flat names and numbers; bounds and likelihoods in nats per image. The importance-sampled ones are of
        ``n_likelihood_images`` and ``n_marginal_images`` test images, spread evenly over all of them.
    """
    X, y = test["X"], test["y"]
    shape = images["images"].shape[1:]

    reconstruction, kl = model.bound_terms(X, y)
    likely, marginal = (
        evenly(len(X), len(X) if n is None else n)
        for n in (params.n_likelihood_images, params.n_marginal_images)
    )
    n_samples = params.n_importance_samples
    with monitor.watch("log p(x | y)", total=len(X[likely]), log_metrics=False) as callback:
        log_likelihood = model.log_likelihood(X[likely], y[likely], n_samples=n_samples, callback=callback)
    n_classes = len(model.classes_)
    with monitor.watch("log p(x)", total=len(X[marginal]) * n_classes, log_metrics=False) as callback:
        by_class = model.class_log_likelihood(X[marginal], n_samples=n_samples, callback=callback)
    log_marginal, class_probabilities = estimators.bayes(by_class, model.class_prior_)
    predicted = model.classes_[class_probabilities.argmax(axis=1)]

    metrics = {
        "lower_bound_train": model.history_["lower_bound"][-1],
        "lower_bound_test": float((reconstruction - kl).mean()),
        "reconstruction": float(reconstruction.mean()),
        "kl": float(kl.mean()),
        "log_likelihood_test": float(log_likelihood.mean()),
        "log_marginal_test": float(log_marginal.mean()),
        "n_importance_samples": n_samples,
        "n_likelihood_images": len(log_likelihood),
        "n_marginal_images": len(log_marginal),
        "active_units": int(model.active_units(X, y).sum()),
        "accuracy_bayes": float((predicted == y[marginal]).mean()),
        "epochs": len(model.history_["lower_bound"]),
        "seconds_per_epoch": fit_record["fit_seconds"] / len(model.history_["lower_bound"]),
    }

    z = model.transform(X, y)
    latents = pd.DataFrame(z, columns=[f"z{i}" for i in range(1, z.shape[1] + 1)]).assign(
        reconstruction=reconstruction, kl=kl, label=y
    )
    drawn = model.sample(np.repeat(model.classes_, params.n_generated), random_state=params.random_state)
    generated = {"images": drawn.reshape(n_classes, params.n_generated, *shape)}
    shown = evenly(len(X), params.n_reconstructions)
    reconstructions = {
        "originals": X[shown].reshape(-1, *shape),
        "reconstructions": model.reconstruct(X[shown], y[shown]).reshape(-1, *shape),
        "labels": y[shown],
    }
    return latents, generated, reconstructions, metrics


def report(
    model: estimators.ConditionalVAE,
    latents: pd.DataFrame,
    generated: Arrays,
    reconstructions: Arrays,
    metrics: dict[str, float],
    params: ReportParameters,
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """Draw the figures and write the report page.

    Returns
    -------
    mapping
        ``bound`` and ``latents`` (Plotly figures), ``generated`` and ``reconstructions`` (Matplotlib figures)
        and ``page`` (HTML).
    """
    drawn = latents.iloc[evenly(len(latents), params.n_scatter_points)]
    figures = {
        "bound": reporting.cvae.bound_per_epoch(model.history_),
        "generated": reporting.cvae.generated_grid(generated["images"], list(model.classes_)),
        "reconstructions": reporting.cvae.reconstructions(
            reconstructions["originals"], reconstructions["reconstructions"], reconstructions["labels"]
        ),
        "latents": _latent_plane(drawn.filter(regex=r"^z\d+$").to_numpy(), drawn["label"]),
    }
    return {**figures, "page": reporting.pages.cvae(figures, metrics, plain(parameters))}


def _latent_plane(z: NDArray[Any], labels: pd.Series) -> Any:
    """Draw the posterior means along the two directions in which they vary most."""
    if z.shape[1] < 2:
        return reporting.absent("Latents", "The model has one latent only.")
    plane = PCA(2).fit(z)
    first, second = plane.explained_variance_ratio_
    names = f"direction 1 ({first:.0%} of the variance)", f"direction 2 ({second:.0%} of the variance)"
    return reporting.cvae.latent_scatter(plane.transform(z), labels.to_numpy(), names)
