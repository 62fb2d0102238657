"""From images to a few numbers each and back: the nodes of the PCA pipeline."""

import logging
import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latents import reporting
from latents.engines import Engine
from latents.estimators import MinimumErrorPCA
from latents.features.rows import RowBlocks
from latents.pipelines.headlines import check_measured, digest, headline_of
from latents.pipelines.images import Images, as_rows, check_images, evenly
from latents.pipelines.pca import drawing, measuring
from latents.pipelines.pca.parameters import EvaluateParameters, FitParameters, ReportParameters
from latents.pipelines.shared import EngineParameters, Rows, SplitParameters, are_one_class, plain, split_rows
from latents.predictors import Candidate, PCAPredictor

logger = logging.getLogger(__name__)

_FIT_BLOCK = 1 << 24  # numbers of training rows that are read at a time
_SENT_BLOCK = 1 << 22  # and that are summed as one where the sums are made elsewhere


def ingest(raw_images: dict[str, Any], fit: FitParameters) -> Images:
    """Check the images, or the rows of features (see ``check_images``); labels that are all the same are none.

    Numbers may be missing where the fit estimates them.
    """
    images = check_images(raw_images, may_lack=fit.missing == "em")
    if "labels" in images and are_one_class(images["labels"]):
        logger.warning(
            "all labels are %.80r, which tells nothing apart: taken as no labels",
            images.pop("labels").tolist()[0],
        )
    return images


def flatten_pixels(images: Images) -> dict[str, NDArray[Any]]:
    """Return rows ``X``, (N, p), of the images' pixels or of features, in the units they came in."""
    return {"X": as_rows(images)}


def split(images: Images, params: SplitParameters) -> Rows:
    """Divide the images into training and held-out rows, marked or drawn; add their ``weights``."""
    rows = split_rows(len(as_rows(images)), images.get("held_out"), params)
    return {**rows, "weights": images["weights"]} if "weights" in images else rows


def fit(
    pixels: dict[str, NDArray[Any]], split: Rows, params: FitParameters, engine: EngineParameters
) -> tuple[MinimumErrorPCA, dict[str, float]]:
    """Find the basis of least error for the training images.

    Returns
    -------
    model : MinimumErrorPCA
        The fitted basis.
    fit_record : mapping
        ``fit_seconds``.

    Raises
    ------
    ValueError
        If all training images are the same, less than two have a weight above 0, or the error asked for is that
        of their mean.
    """
    X, train, weights = pixels["X"], split["train"], None
    if params.use_weights and "weights" in split:
        weights = split["weights"][train]
        train, weights = train[weights > 0], weights[weights > 0]
        logger.info(
            "%d of %d training rows have a weight above 0; they add up to %.4g",
            *(len(train), len(split["train"]), weights.sum()),
        )
        if len(train) < 2:
            raise ValueError(
                f"{len(train)} of {len(split['train'])} training rows have a weight above 0; at least 2 are needed"
            )
        if params.robust:
            raise ValueError(
                "robust is true, by which the fit itself says which rows count, and the data have weights that say"
                " so too; allowed is robust: false, or use_weights: false"
            )
    if all((block == X[train[0]]).all() for _, block in measuring.blocks(X, train)):
        raise ValueError(f"all {len(train)} training images are the same: there is nothing to learn")
    model = MinimumErrorPCA(**params.arguments())
    started = time.perf_counter()
    model.fit(_training_rows(X, train, params, engine.begun()), sample_weight=weights)
    if params.robust:
        logger.info(
            "%d of %d training rows are left out, as they lie apart from the others",
            *(len(train) - model.n_samples_, len(train)),
        )
    seconds = time.perf_counter() - started
    if hasattr(model, "is_detectable_"):
        _tell_detectable(model, params)
    if not model.n_components_:
        raise ValueError(
            f"max_distortion is {params.max_distortion:g}, which the mean alone meets (J(0) = "
            f"{model.distortion_curve_[0]:g}); ask for less"
        )
    return model, {"fit_seconds": seconds}


def _tell_detectable(model: MinimumErrorPCA, params: FitParameters) -> None:
    """Log what can be told from noise; refuse a choice of nothing."""
    d, least = int(model.n_components_), model.least_detectable_variance_
    if not d:
        raise ValueError(
            f"n_components is {params.n_components}, which finds nothing that could be told from noise: that "
            f"would take a variance of about {least:.3g} along a direction, and the largest has "
            f"{-np.diff(model.distortion_curve_)[0]:.3g}; ask for a number of components, or scale the columns"
        )
    logger.info(
        "%d of the %d components chosen by %s can be told from noise%s; variances below %.3g cannot",
        *(model.is_detectable_[:d].sum(), d, params.n_components),
        ", and the next one too" if model.is_detectable_[d:].any() else "",
        least,
    )


def _training_rows(X: NDArray[Any], train: NDArray[np.intp], params: FitParameters, engine: Engine) -> Any:
    """Return the rows to fit: many of them in blocks, where the p x p sums over these are smaller than a copy.

    A fit that goes over the rows more than once takes them whole.
    """
    n, p = len(train), X.shape[1]
    summed = params.svd_solver in ("auto", "covariance_eigh") and 8 * p <= n * X.itemsize
    once = not params.robust and params.missing == "error" and params.n_components != "cross_validation"
    if engine.is_elsewhere and summed and once:
        return engine.blocks(RowBlocks(X, train, _SENT_BLOCK))
    if not (summed and once) or n * p <= _FIT_BLOCK:
        return X[train]
    return (block for _, block in measuring.blocks(X, train, _FIT_BLOCK))


def evaluate(
    model: MinimumErrorPCA,
    pixels: dict[str, NDArray[Any]],
    images: Images,
    split: Rows,
    fit_record: dict[str, float],
    params: EvaluateParameters,
) -> dict[str, Any]:
    """Project and rebuild every row, hold J(d) against the measured error, and find the worst.

    Where the model was fitted with weights, the means below are weighted as well, those of held-out images too.
    Where it is robust, those of training are of the rows that it was fitted to.
    Of rows with missing numbers, what is measured is over those observed; what is shown are the numbers expected.

    Returns
    -------
    scores : DataFrame
        One row per image: its coordinates ``pc1``, ``pc2``, ..., ``error`` (squared input units), ``held_out``
        and, where known, ``label``, ``name`` and ``weight``; of a robust model, whether it is ``outlying``:
        left out of the fit or, held out, as far from the plane.
    distortions : DataFrame
        One row per d: J(d) as ``distortion``; where images are held out, up to ``n_components_`` their mean
        squared error as ``heldout`` (by Pythagoras); and where images were rebuilt from d coordinates, the
        mean squared errors ``measured`` on training and ``heldout_measured`` on held-out images; with weights,
        ``unweighted`` is what ``distortion`` would be if all training images counted alike.
    reconstructions : mapping
        A few ``originals``, their ``rows``, and as ``d<d>`` what is left of them.
    worst, worst_table : mapping, DataFrame
        The largest errors, see ``measuring.worst_rows``.
    metrics : mapping
        Flat names and numbers.
    """
    X = pixels["X"]
    weights = split.get("weights") if hasattr(model, "total_weight_") else None
    train, held_out = (
        measuring.with_numbers(X, rows if weights is None else rows[weights[rows] > 0])
        for rows in (split["train"], split["held_out"])
    )

    z, errors = measuring.project(model, X)
    scores = pd.DataFrame(z, columns=[f"pc{i}" for i in range(1, z.shape[1] + 1)]).assign(
        error=errors, held_out=np.isin(np.arange(len(X)), split["held_out"])
    )
    for column, key in (("label", "labels"), ("name", "names")):
        if key in images:
            scores[column] = images[key]
    if weights is not None:
        scores["weight"] = weights
    if hasattr(model, "support_"):
        scores["outlying"] = errors > model.error_cutoff_
        scores.loc[train, "outlying"] = ~model.support_
        train = train[model.support_]

    d_max = int(model.n_components_)
    dimensions = sorted({d for d in params.reconstruct_from if d < d_max} | {d_max})
    distortions = pd.DataFrame({"distortion": model.distortion_curve_}).rename_axis("d").reset_index()
    distortions["measured"] = measuring.measured_errors(model, X, train, dimensions, weights)
    if weights is not None:
        distortions["unweighted"] = pd.Series(measuring.error_curve(model, X, split["train"]))
    measured = float(distortions["measured"][d_max])
    metrics = {
        "n_samples": len(train),
        "n_features": X.shape[1],
        "n_components": d_max,
        "distortion": float(model.distortion_),
        "explained_variance_ratio": float(model.explained_variance_ratio_.sum()),
        "fit_seconds": fit_record["fit_seconds"],
    }
    if "outlying" in scores:
        metrics["n_outlying"] = int((scores["outlying"] & ~scores["held_out"]).sum())
    lacking = measuring.share_missing(X)
    if lacking:
        metrics["missing_share"] = lacking
    else:
        metrics["distortion_gap"] = measuring.relative_gap(
            float(model.distortion_), measured, float(model.distortion_curve_[0])
        )
    if len(held_out):
        distortions["heldout"] = pd.Series(measuring.error_curve(model, X, held_out, weights))
        distortions["heldout_measured"] = measuring.measured_errors(model, X, held_out, dimensions, weights)
        metrics["heldout_distortion"] = float(distortions["heldout_measured"][d_max])

    shown_of = held_out if len(held_out) else train
    rows = shown_of[evenly(len(shown_of), params.n_reconstructions)]
    shown = measuring.complete(model, X[rows])
    rebuilt = {f"d{d}": measuring.rebuild(model, shown, d) for d in dimensions}
    worst_table, worst = measuring.worst_rows(model, X, images, scores, params.n_worst)
    return {
        "scores": scores,
        "distortions": distortions,
        "reconstructions": {"rows": rows, "originals": shown, **rebuilt},
        "worst": worst,
        "worst_table": worst_table,
        "metrics": metrics,
    }


def export(model: MinimumErrorPCA, images: Images, split: Rows, metrics: dict[str, float]) -> Candidate:
    """Put the basis together with what it takes to read images, or rows of features.

    Returns
    -------
    Candidate
        Of a predictor: images in, coordinates and errors out. Models of as many components compare by their error
        on held-out images, or by J(d) where none is held out, on the same pixels and split.

    Raises
    ------
    ValueError
        If `metrics` are of another training.
    """
    check_measured("pca", metrics, "distortion", float(model.distortion_))
    rows = split["train"][:2]
    example: NDArray[Any] | pd.DataFrame
    if "images" in images:
        given, names = images["images"], []
        predictor = PCAPredictor(model, shape=given.shape[1:])
        example = measuring.complete(model, as_rows(images)[rows]).reshape(-1, *given.shape[1:])
        example = example.astype(np.float64)
    else:
        given, names = images["features"], images["feature_names"].tolist()
        predictor = PCAPredictor(model, feature_names=names)
        example = pd.DataFrame(measuring.complete(model, given[rows]).astype(np.float64), columns=names)
    counted: list[NDArray[Any]] = [split["weights"]] if hasattr(model, "total_weight_") else []
    if hasattr(model, "support_"):  # J is of these rows alone
        counted.append(model.support_)
    headline = headline_of(
        metrics,
        {"heldout_distortion": "lowest", "distortion": "lowest"},
        {
            "n_components": metrics["n_components"],
            "data": digest(given, np.array(names)),
            "split": digest(split["train"], split["held_out"], *counted),
        },
    )
    return Candidate(predictor, example, headline)


def report(
    model: MinimumErrorPCA,
    images: Images,
    scores: pd.DataFrame,
    distortions: pd.DataFrame,
    shown: dict[str, NDArray[Any]],
    worst_table: pd.DataFrame,
    metrics: dict[str, float],
    params: ReportParameters,
    parameters: dict[str, Any],
    **figures: Any,
) -> tuple[str, str]:
    """Write the pages: the report of the figures that `draw` has left, and the slider by itself.

    Returns
    -------
    report, slider_page : str
        HTML. The slider rebuilds the images `shown`; points of the scatter show theirs.
    """
    slider = drawing.slider(model, images, distortions, shown)
    figures["scatter"] = drawing.pictured(model, figures["scatter"], images, scores, params.n_scatter_points)
    page = reporting.pages.pca({**figures, "slider": slider}, worst_table, metrics, plain(parameters))
    return page, reporting.report.render_slider("What is left of an image", slider)
