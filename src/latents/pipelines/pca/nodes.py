"""From images to a few numbers each and back: the nodes of the PCA pipeline."""

import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from latents import reporting
from latents.estimators import MinimumErrorPCA
from latents.pipelines.images import Images, as_rows, check_images, evenly
from latents.pipelines.pca.parameters import EvaluateParameters, FitParameters, ReportParameters
from latents.pipelines.shared import Rows, SplitParameters, plain, split_rows


def ingest(raw_images: dict[str, Any]) -> Images:
    """Check the images, or the rows of features (see ``check_images``)."""
    return check_images(raw_images)


def flatten_pixels(images: Images) -> dict[str, NDArray[Any]]:
    """Return rows ``X``, (N, p), of the images' pixels or of features, in the units they came in."""
    return {"X": as_rows(images)}


def split(images: Images, params: SplitParameters) -> Rows:
    """Divide the images into training and held-out rows, as they are marked or at random."""
    return split_rows(len(as_rows(images)), images.get("held_out"), params)


def fit(
    pixels: dict[str, NDArray[Any]], split: Rows, params: FitParameters
) -> tuple[MinimumErrorPCA, dict[str, Any], dict[str, float]]:
    """Find the basis of least error for the training images.

    Returns
    -------
    model : MinimumErrorPCA
        The fitted basis.
    mlflow_model : mapping
        The model and an example of its input, for MLflow.
    fit_record : mapping
        ``fit_seconds``.

    Raises
    ------
    ValueError
        If all training images are the same.
    """
    train = pixels["X"][split["train"]]
    if (train == train[0]).all():
        raise ValueError(f"all {len(train)} training images are the same: there is nothing to learn")
    model = MinimumErrorPCA(**params.model_dump())
    started = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - started
    example = train[:2].astype(np.float64)
    return model, {"estimator": model, "input_example": example}, {"fit_seconds": seconds}


def evaluate(
    model: MinimumErrorPCA,
    pixels: dict[str, NDArray[Any]],
    images: Images,
    split: Rows,
    fit_record: dict[str, float],
    params: EvaluateParameters,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, NDArray[Any]], dict[str, float]]:
    """Project and rebuild every image, and hold J(d) against the measured error.

    Returns
    -------
    scores : DataFrame
        One row per image: its coordinates ``pc1``, ``pc2``, ..., ``error`` (squared input units), ``held_out``
        and, where known, ``label``.
    distortions : DataFrame
        One row per d: J(d) as ``distortion`` and, where images were rebuilt from d coordinates, the mean
        squared errors ``measured`` on training and ``heldout_measured`` on held-out images.
    reconstructions : mapping
        A few ``originals``, and as ``d<d>`` what is left of them.
    metrics : mapping
        Flat names and numbers.
    """
    X = pixels["X"]
    train, held_out = X[split["train"]], X[split["held_out"]]

    z = model.transform(X)
    scores = pd.DataFrame(z, columns=[f"pc{i}" for i in range(1, z.shape[1] + 1)]).assign(
        error=model.reconstruction_errors(X), held_out=np.isin(np.arange(len(X)), split["held_out"])
    )
    if "labels" in images:
        scores["label"] = images["labels"]

    d_max = int(model.n_components_)
    dimensions = sorted({d for d in params.reconstruct_from if d < d_max} | {d_max})
    distortions = pd.DataFrame({"distortion": model.distortion_curve_}).rename_axis("d").reset_index()
    distortions["measured"] = pd.Series({d: _measured_error(model, train, d) for d in dimensions})
    measured = float(distortions["measured"][d_max])
    metrics = {
        "n_samples": len(train),
        "n_features": X.shape[1],
        "n_components": d_max,
        "distortion": float(model.distortion_),
        "distortion_gap": _relative_gap(
            float(model.distortion_), measured, float(model.distortion_curve_[0])
        ),
        "explained_variance_ratio": float(model.explained_variance_ratio_.sum()),
        "fit_seconds": fit_record["fit_seconds"],
    }
    if len(held_out):
        distortions["heldout_measured"] = pd.Series(
            {d: _measured_error(model, held_out, d) for d in dimensions}
        )
        metrics["heldout_distortion"] = float(distortions["heldout_measured"][d_max])

    shown_of = held_out if len(held_out) else train
    shown = shown_of[evenly(len(shown_of), params.n_reconstructions)]
    reconstructions = {"originals": shown, **{f"d{d}": _rebuild(model, shown, d) for d in dimensions}}
    return scores, distortions, reconstructions, metrics


def _rebuild(model: MinimumErrorPCA, X: NDArray[Any], d: int) -> NDArray[Any]:
    """Rebuild rows from their first d coordinates, x~ = mean + sum_{i<=d} (x - mean)'mu_i mu_i."""
    basis = model.components_[:d]
    rebuilt: NDArray[Any] = model.mean_ + (X - model.mean_) @ basis.T @ basis
    return rebuilt


def _measured_error(model: MinimumErrorPCA, X: NDArray[Any], d: int) -> float:
    """Return the mean over rows of |x - x~|^2, rebuilding every one."""
    blocks = (X[rows] for rows in gen_batches(len(X), 8192))
    return sum(float(((block - _rebuild(model, block, d)) ** 2).sum()) for block in blocks) / len(X)


def _relative_gap(distortion: float, measured: float, total: float) -> float:
    """Return the difference between J and the measured error as a share of the error.

    Where nothing is discarded both are rounding errors of the total variance, and the share is taken of that.
    """
    scale = measured if measured > 1e-9 * total else total
    return abs(distortion - measured) / scale


def report(
    model: MinimumErrorPCA,
    images: Images,
    scores: pd.DataFrame,
    distortions: pd.DataFrame,
    reconstructions: dict[str, NDArray[Any]],
    metrics: dict[str, float],
    params: ReportParameters,
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """Draw the figures and write the report page.

    Returns
    -------
    mapping
        ``eigenimages`` and ``reconstructions`` (Matplotlib figures), ``distortion``, ``spectrum`` and
        ``scatter`` (Plotly figures) and ``page`` (HTML).
    """
    shape = images["images"].shape[1:]
    curve = distortions["distortion"].to_numpy()
    measured = distortions["measured"].dropna()
    errors = distortions.get("heldout_measured", distortions["measured"])  # of the images that are shown
    rebuilt = {
        int(name[1:]): values.reshape(-1, *shape)
        for name, values in reconstructions.items()
        if name != "originals"
    }
    train = scores[~scores["held_out"]]
    drawn = train.iloc[evenly(len(train), params.n_scatter_points)]
    figures = {
        "eigenimages": reporting.pca.eigenimages(
            model.components_, shape, model.explained_variance_ratio_, params.n_eigenimages
        ),
        "reconstructions": reporting.pca.reconstructions(
            reconstructions["originals"].reshape(-1, *shape), rebuilt, {d: errors[d] for d in rebuilt}
        ),
        "distortion": reporting.pca.distortion_curve(
            curve, measured.index.to_numpy(), measured.to_numpy(), model.n_components_
        ),
        "spectrum": reporting.pca.spectrum(-np.diff(curve) / curve[0], model.n_components_),
        "scatter": (
            reporting.pca.scatter(drawn[["pc1", "pc2"]].to_numpy(), drawn.get("label"))
            if "pc2" in drawn
            else reporting.absent("First two components", "The model has one component only.")
        ),
    }
    return {**figures, "page": reporting.pages.pca(figures, metrics, plain(parameters))}
