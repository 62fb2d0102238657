"""From labelled images to a model that draws them by class: the nodes of the cvae pipeline."""

from __future__ import annotations  # so that naming ConditionalVAE in a signature does not import torch

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state, gen_batches

from latents import estimators, reporting
from latents.features.images import ScaledRows, check_white, flatten
from latents.features.rows import MadeRows, RowBlocks
from latents.messages import some_of
from latents.pipelines.cvae import choosing, judging, measuring
from latents.pipelines.cvae.choosing import Choice
from latents.pipelines.cvae.parameters import (
    EvaluateParameters,
    FeaturesParameters,
    FitParameters,
    WatchParameters,
)
from latents.pipelines.cvae.watching import Snapshots, look_on
from latents.pipelines.headlines import check_measured, digest, headline_of
from latents.pipelines.images import Images, are_several, check_images, evenly, refuse_features
from latents.pipelines.shared import EngineParameters, Monitor, Rows, SplitParameters, plain, split_rows
from latents.predictors import Candidate, CVAEPredictor

logger = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]

_IN_MEMORY = 1 << 26  # pixels of images that are held as a whole
_LOOKED_AT = 1000  # images that tell whether all are ink
_BLOCK = 1 << 20  # and of those that are read together where there are more


def ingest(raw_images: dict[str, Any]) -> Images:
    """Check the images (see ``check_images``), and that they come with at least two classes.

    Raises
    ------
    ValueError
        If there are features and no images, no labels, several for one image, or only one class.
    """
    refuse_features(raw_images)
    labels = np.asarray(raw_images.get("labels", []))
    if are_several(labels):
        raise ValueError(
            f"labels have shape {labels.shape}: each image has {labels.shape[1]} of them, and a class-conditioned "
            "model needs one class for each; give one column, as (N,). The pipeline pca needs none"
        )
    images = check_images(raw_images)
    if images.pop("weights", None) is not None:
        logger.warning("the images have weights, which this model does not read: all count alike")
    if "labels" not in images:
        raise ValueError("the images have no 'labels': a class-conditioned model needs the class of each")
    classes = np.unique(images["labels"])
    if len(classes) < 2:
        raise ValueError(
            f"all images are of one class, {classes[0].item()!r:.80}; at least 2 classes are needed"
        )
    return images


def scale_pixels(images: Images, params: FeaturesParameters) -> Arrays:
    """Return rows of pixels ``X``, (N, p), as they came in, of which ``white`` is to be 1, and classes ``y``.

    Where the parameter is ``auto``, white follows from the brightest pixel (``check_white``).

    Raises
    ------
    ValueError
        If a pixel lies outside [0, white].
    """
    X = flatten(images["images"])
    try:
        white = check_white(X, None if params.white == "auto" else params.white)
    except ValueError as error:
        raise ValueError(f"{error} (parameter cvae.features.white)") from error
    if params.white == "auto":
        logger.info("white is %g", white)
    return {"X": X, "y": images["labels"], "white": np.array(white)}


def _probabilities(pixels: Arrays) -> ScaledRows:
    """Return the rows of pixels as numbers from 0 to 1."""
    return ScaledRows(pixels["X"], float(pixels["white"]))


def split(
    pixels: Arrays, images: Images, params: SplitParameters, fit: FitParameters
) -> tuple[Rows, Choice, dict[str, Any]]:
    """Divide the images into training and held-out rows, and binarise the latter once for Bernoulli pixels.

    What is fitted is chosen by the former alone, where parameters say ``auto``.

    Where rows are held out at random, one image of each class at least is trained on. Where the data say which,
    those of classes that none is trained on are left out: there is no bound to measure on them.

    Returns
    -------
    split : mapping
        Rows ``train`` and ``held_out``.
    choice : mapping
        What is fitted (``choosing.choose``).
    test : mapping
        ``X`` (0 or 1 for a Bernoulli likelihood, or else grey; many are made as they are written), ``y`` and
        ``rows`` of the held-out images.

    Raises
    ------
    ValueError
        If no image is held out.
    """
    y = pixels["y"]
    rows = split_rows(len(y), images.get("held_out"), params, labels=y)
    unseen = np.setdiff1d(y[rows["held_out"]], y[rows["train"]])
    if len(unseen):
        seen = ~np.isin(y[rows["held_out"]], unseen)
        logger.warning(
            "no image of class %s is trained on: %d of the %d that are held out are left out",
            *(some_of(unseen.tolist()), int(np.sum(~seen)), len(seen)),
        )
        rows["held_out"] = rows["held_out"][seen]
    if not len(rows["held_out"]):
        raise ValueError(
            f"no image is held out to measure the bound on: of {len(y)} images in {len(np.unique(y))} classes one "
            f"of each is trained on, and {params.held_out_fraction:g} of all are to be held out; raise "
            "cvae.split.held_out_fraction, or bring more images"
        )
    grey, train = _probabilities(pixels), rows["train"]
    some = grey[train[evenly(len(train), _LOOKED_AT)]]
    greyness = float(np.mean(4 * some * (1 - some)))
    choice = choosing.choose(images["images"].shape[1:], greyness, y[train], fit)
    X_test = _test_images(grey, rows["held_out"], params, choice)
    is_small = X_test.shape[0] * X_test.shape[1] <= _IN_MEMORY
    return (
        rows,
        choice,
        {
            "X": np.asarray(X_test) if is_small else X_test,
            "y": y[rows["held_out"]],
            "rows": rows["held_out"],
        },
    )


def _test_images(
    grey: ScaledRows, held_out: NDArray[np.intp], params: SplitParameters, choice: Choice
) -> MadeRows:
    shape = len(held_out), grey.shape[1]
    parts = list(gen_batches(len(held_out), max(1, _BLOCK // shape[1])))
    if choice["likelihood"] != "bernoulli":
        return MadeRows(shape, np.float32, lambda: (grey[held_out[part]] for part in parts))

    def binarised() -> Iterator[NDArray[np.uint8]]:
        # scikit-learn's seeds and the split's own generator differ, so one seed serves both.
        state = check_random_state(params.random_state)
        for part in parts:
            yield estimators.binarise(grey[held_out[part]], state)

    return MadeRows(shape, np.uint8, binarised)


def fit(
    pixels: Arrays,
    split: Rows,
    test: Arrays,
    images: Images,
    choice: Choice,
    params: FitParameters,
    watch: WatchParameters,
    monitor: Monitor,
    snapshots: Snapshots,
    engine: EngineParameters,
) -> tuple[estimators.ConditionalVAE, dict[str, float]]:
    """Train the model; the test bound is watched, and nothing is selected by it.

    A training of the same data and parameters that was ended goes on from the monitor's checkpoint.

    Returns
    -------
    model : ConditionalVAE
        The trained model.
    fit_record : mapping
        ``fit_seconds``, those before an interruption included.
    """
    grey, train = _probabilities(pixels), split["train"]
    is_small = len(train) * grey.shape[1] <= _IN_MEMORY
    X, y = grey[train] if is_small else RowBlocks(grey, train, _BLOCK), pixels["y"][train]
    shape = images["images"].shape[1:]
    parameters = choosing.settled(params.model_dump(exclude={"checkpoint_every"}), choice)
    chosen = {name: parameters[name] for name in choice}
    monitor.record_parameters({**chosen, "white": float(pixels["white"])}, "choice")
    model = estimators.ConditionalVAE(**parameters, image_shape=shape)
    look = look_on(test, shape, watch, monitor, snapshots)
    with monitor.watch("VAE epochs", total=model.epochs) as callback:
        model = engine.begun().train(
            model,
            X,
            y,
            validation=(test["X"], test["y"]),
            callback=callback,
            on_epoch=look,
            checkpoint=monitor.checkpoint,
            checkpoint_every=params.checkpoint_every,
        )
    return model, {"fit_seconds": model.fit_seconds_}


def evaluate(
    model: estimators.ConditionalVAE,
    pixels: Arrays,
    split: Rows,
    test: Arrays,
    images: Images,
    fit_record: dict[str, float],
    params: EvaluateParameters,
    monitor: Monitor,
) -> dict[str, Any]:
    """Measure the bound, its terms and the likelihoods on the test images, draw new ones and judge them.

    Returns
    -------
    latents : DataFrame
        One row per test image, see ``measuring.describe``.
    class_table : DataFrame
        One row per class, see ``measuring.by_class``.
    generated : mapping
        ``images`` (C, n, height, width), pixel means drawn for every class.
    drawings : mapping
        What drawings are taken for, and how far they are from training images, see ``judging.judge``.
    reconstructions : mapping
        A few ``originals``, what the model makes of them, and their ``labels``.
    hardest, hardest_table : mapping, DataFrame
        The lowest bounds, see ``measuring.hardest``.
    paths, traversals : mapping
        See ``measuring.paths`` and ``measuring.traversals``.
    metrics : mapping
        Flat names and numbers; bounds and likelihoods in nats per image. Those that are importance-sampled, on
        ``n_likelihood_images`` and ``n_marginal_images`` test images spread evenly, are carried over to all of
        them, and have their standard errors over images: see ``measuring.likelihoods``. ``bits_per_dimension`` is
        the test bound of discretised pixels. Those of drawings: see ``judging.judge``.
    """
    X, y = test["X"], test["y"]
    shape = images["images"].shape[1:]
    table = measuring.describe(model, test, params, monitor)
    known = table.dropna(subset="predicted")
    n_epochs = len(model.history_["lower_bound"])
    metrics = {
        "lower_bound_train": model.history_["lower_bound"][-1],
        "lower_bound_test": float(table["lower_bound"].mean()),
        "reconstruction": float(table["reconstruction"].mean()),
        "kl": float(table["kl"].mean()),
        **measuring.likelihoods(model, table),
        "n_importance_samples": params.n_importance_samples,
        "n_likelihood_images": int(table["log_likelihood"].notna().sum()),
        "n_marginal_images": len(known),
        "n_units": model.n_latents_,
        "active_units": int(model.active_units(X, y).sum()),
        "accuracy_bayes": float((known["predicted"] == known["label"]).mean()),
        **measuring.bits_per_dimension(model, float(table["lower_bound"].mean())),
        "epochs": n_epochs,
        "seconds_per_epoch": fit_record["fit_seconds"] / n_epochs,
    }
    if model.prior == "per_class":
        metrics["kl_standard_prior"] = float(model.bound_terms(X, y, prior="standard")[1].mean())
    logger.info(
        "test bound %.2f, log p(x | y) %.2f, log p(x) %.2f (nats per image; %d, %d and %d images)",
        *(metrics[name] for name in ("lower_bound_test", "log_likelihood_test", "log_marginal_test")),
        *(len(X), metrics["n_likelihood_images"], metrics["n_marginal_images"]),
    )
    if "bits_per_dimension" in metrics:
        logger.info("test bound %.3f bits per dimension", metrics["bits_per_dimension"])

    real = {"X": _probabilities(pixels), "y": pixels["y"]}
    size = (len(model.classes_), params.n_generated, model.n_latents_)
    noise = np.random.RandomState(params.random_state).standard_normal(size)
    judgement, drawings = judging.judge(model, real, split, test, noise, params, monitor)
    drawn = model.sample(np.repeat(model.classes_, size[1]), noise=noise.reshape(-1, size[2]))
    shown = evenly(len(X), params.n_reconstructions)
    hardest_table, hardest = measuring.hardest(model, test, images.get("names"), table, params)
    return {
        "latents": table,
        "class_table": measuring.by_class(table, model),
        "generated": {"images": drawn.reshape(*size[:2], *shape)},
        "drawings": drawings,
        "reconstructions": {
            "originals": X[shown].reshape(-1, *shape),
            "reconstructions": model.reconstruct(X[shown], y[shown]).reshape(-1, *shape),
            "labels": y[shown],
        },
        "hardest": hardest,
        "hardest_table": hardest_table,
        "paths": measuring.paths(model, test, params),
        "traversals": measuring.traversals(model, test, params),
        "metrics": metrics | judgement,
    }


def export(
    model: estimators.ConditionalVAE,
    images: Images,
    pixels: Arrays,
    split: Rows,
    test: Arrays,
    metrics: dict[str, float],
) -> Candidate:
    """Put the model together with what it takes to read images.

    Returns
    -------
    Candidate
        Of a predictor: images in, classes, bounds and latents out. Models of any network and number of latents
        compare, by the bound on the same test images (binarised alike) under the same likelihood, after training
        on the same ones.

    Raises
    ------
    ValueError
        If `metrics` are of another training.
    """
    check_measured("cvae", metrics, "lower_bound_train", model.history_["lower_bound"][-1])
    predictor = CVAEPredictor(model, images["images"].shape[1:], float(pixels["white"]))
    headline = headline_of(
        metrics,
        {"lower_bound_test": "highest"},
        {
            "likelihood": model.likelihood,
            "pixels": digest(_probabilities(pixels), pixels["y"]),
            "split": digest(split["train"], split["held_out"]),
            "test pixels": digest(test["X"]),
        },
    )
    example = images["images"][split["train"][:2]].astype(np.float64)
    return Candidate(predictor, example, headline)


def report(metrics: dict[str, float], parameters: dict[str, Any], choice: Choice, **figures: Any) -> str:
    """Write the report of the figures that `draw` has left (HTML); of parameters it tells what was fitted."""
    asked = plain(parameters)
    fitted = choosing.settled(asked["fit"], choice)
    return reporting.pages.cvae(figures, metrics, {**asked, "fit": fitted})
