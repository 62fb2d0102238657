"""The node that draws: the figures of a fitted basis, of images or of a table of features."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latents import reporting, rounding
from latents.estimators import MinimumErrorPCA
from latents.pipelines.images import Images, as_rows, evenly
from latents.pipelines.pca import measuring
from latents.pipelines.pca.parameters import FitParameters, ReportParameters
from latents.pipelines.shared import are_one_class

Arrays = Mapping[str, NDArray[Any]]

_IMPUTED = 8  # rows with missing numbers that are drawn
_NO_IMAGES = "The data are a table of features and have no images to show."


def draw(
    model: MinimumErrorPCA,
    images: Images,
    scores: pd.DataFrame,
    distortions: pd.DataFrame,
    reconstructions: Arrays,
    worst: Arrays,
    worst_table: pd.DataFrame,
    fit: FitParameters,
    params: ReportParameters,
) -> dict[str, Any]:
    """Draw the figures.

    Returns
    -------
    mapping
        ``eigenimages``, ``reconstructions``, ``worst`` and ``imputed`` (Matplotlib figures), ``distortion``,
        ``spectrum``, ``scatter``, ``errors``, ``loadings`` and ``choice`` (Plotly figures). Those that the data do
        not allow, or nobody asked for, say why.
    """
    curve, ratio = distortions["distortion"].to_numpy(), model.explained_variance_ratio_
    total = curve[0]
    largest_error = fit.max_distortion
    if fit.max_distortion_share is not None:
        largest_error = fit.max_distortion_share * float(total)
    known = distortions.dropna(subset="measured")
    held_out = None
    if "heldout" in distortions:
        held_out = distortions["heldout"].dropna().to_numpy(), known["heldout_measured"].to_numpy()
    worst_captions = captions(images, worst["rows"], scores)
    figures = {
        "distortion": reporting.pca.distortion_curve(
            curve,
            known["d"].to_numpy(),
            known["measured"].to_numpy(),
            model.n_components_,
            held_out=held_out,
            unweighted=distortions["unweighted"].dropna() if "unweighted" in distortions else None,
            largest_error=largest_error,
            lacks=bool(measuring.share_missing(as_rows(dict(images)))),
        ),
        "spectrum": reporting.pca.spectrum(
            -np.diff(curve) / total if total > 0 else np.zeros(len(curve) - 1), model.n_components_
        ),
        "errors": reporting.pca.error_spread(
            scores["error"],
            scores["held_out"],
            worst_table["error"],
            [", ".join(filter(None, caption)) for caption in worst_captions],
            noun(images),
            getattr(model, "error_cutoff_", None),
        ),
        "scatter": draw_plane(model, images, scores, params.n_scatter_points),
        "choice": draw_choice(model, curve),
        "imputed": draw_imputed(model, images),
    }
    if "images" not in images:
        return {
            **figures,
            "eigenimages": reporting.images.absent_picture("Basis images", _NO_IMAGES + " See loadings."),
            "loadings": reporting.pca.loadings(model.components_, images["feature_names"], ratio),
            "reconstructions": reporting.images.absent_picture("Images rebuilt", _NO_IMAGES),
            "worst": reporting.images.absent_picture("Images rebuilt worst", _NO_IMAGES + " See worst.csv."),
        }
    shape = images["images"].shape[1:]
    rebuilt = {
        int(name[1:]): values.reshape(-1, *shape)
        for name, values in reconstructions.items()
        if name not in ("rows", "originals")
    }
    by_d = distortions.set_index("d")
    errors = by_d.get("heldout_measured", by_d["measured"])  # of the images that are shown
    return {
        **figures,
        "eigenimages": reporting.pca.eigenimages(model.components_, shape, ratio, params.n_eigenimages),
        "loadings": reporting.style.absent(
            "Largest weights", "The features are pixels: see the basis as images, in eigenimages."
        ),
        "reconstructions": reporting.pca.reconstructions(
            reconstructions["originals"].reshape(-1, *shape), rebuilt, {d: errors[d] for d in rebuilt}
        ),
        "worst": reporting.pca.worst_images(
            worst["originals"].reshape(-1, *shape),
            worst["rebuilt"].reshape(-1, *shape),
            worst_table["error"],
            worst_captions,
            float(scores["error"].mean()),
        ),
    }


def draw_choice(model: MinimumErrorPCA, curve: NDArray[np.float64]) -> Any:
    """Return the chart of the criterion that chose d, by J(d); say so if there was none."""
    if not hasattr(model, "detection_threshold_"):
        return reporting.style.absent(
            "How many components", "Neither parallel analysis nor cross-validation chose their number."
        )
    shared = (
        -np.diff(curve),
        model.detection_threshold_,
        model.n_components_,
        model.least_detectable_variance_,
    )
    if hasattr(model, "cross_validation_curve_"):
        return reporting.pca.of_held_out_entries(model.cross_validation_curve_, *shared)
    return reporting.pca.against_noise(*shared)


def draw_imputed(model: MinimumErrorPCA, data: Arrays) -> Any:
    """Return a few rows with missing numbers and what is expected in their place, or say that none is missing."""
    X = as_rows(dict(data))
    rows = measuring.incomplete(X)
    if not len(rows):
        return reporting.images.absent_picture("What was missing", "No number of the data is missing.")
    rows = rows[evenly(len(rows), _IMPUTED)]
    given = np.asarray(X[rows])
    full, names = model.impute(given), [name for name, _ in captions(data, rows)]
    if "images" not in data:
        return reporting.pca.imputed_rows(given, full, names, data["feature_names"].tolist())
    shape = data["images"].shape[1:]
    return reporting.pca.imputed_images(given.reshape(-1, *shape), full.reshape(-1, *shape), names)


def slider(model: MinimumErrorPCA, data: Arrays, distortions: pd.DataFrame, reconstructions: Arrays) -> Any:
    """Return the slider over d, or why there is none."""
    if "images" not in data:
        return _NO_IMAGES
    by_d = distortions.set_index("d")
    curves = {"training images": by_d["distortion"].to_numpy()}
    if "heldout" in by_d:
        curves = {"held-out images": by_d["heldout"].dropna().to_numpy(), **curves}
    return reporting.pca.slider(
        reconstructions["originals"].reshape(-1, *data["images"].shape[1:]),
        model.mean_,
        model.components_,
        captions(data, reconstructions["rows"]),
        curves,
    )


def draw_plane(model: MinimumErrorPCA, data: Arrays, scores: pd.DataFrame, n_points: int) -> Any:
    """Return the chart of the first two components."""
    if "pc2" not in scores:
        return reporting.style.absent("First two components", "The model has one component only.")
    train, rows = _points(scores, n_points)
    drawn = scores.iloc[rows]
    texts = [
        "\n".join([*filter(None, caption), f"error {rounding.number(error)}"])
        for caption, error in zip(captions(data, rows, scores), drawn["error"], strict=True)
    ]
    labels = drawn.get("label")
    if labels is not None and are_one_class(labels.to_numpy()):
        labels = None
    ratio = model.explained_variance_ratio_
    return reporting.pca.scatter(
        drawn[["pc1", "pc2"]].to_numpy(),
        labels,
        shares=(float(ratio[0]), float(ratio[1])),
        texts=texts,
        is_whitened=model.whiten,
        noun=noun(data),
        n_rows=len(train),
        outlying=drawn.get("outlying"),
    )


def pictured(model: MinimumErrorPCA, chart: Any, data: Arrays, scores: pd.DataFrame, n_points: int) -> Any:
    """Return the chart of `draw_plane` with the images of its points, where there are any."""
    if "pc2" not in scores or "images" not in data:
        return chart
    _, rows = _points(scores, n_points)
    shape = data["images"].shape[1:]
    shown = measuring.complete(model, data["images"][rows].reshape(len(rows), -1))
    return reporting.report.PicturedChart(chart, reporting.shrinking.thumbnails(shown.reshape(-1, *shape)))


def _points(scores: pd.DataFrame, n_points: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of training, and those of them that are points of the chart."""
    train = np.flatnonzero(~scores["held_out"].to_numpy())
    return train, train[evenly(len(train), n_points)]


def captions(
    data: Arrays, rows: NDArray[np.intp], scores: pd.DataFrame | None = None
) -> list[tuple[str, str]]:
    """Return for each row its name, and its label where there are labels; or that it lies apart, by its scores."""
    names = data["names"][rows] if "names" in data else [f"{noun(data)[:-1]} {row}" for row in rows]
    remarks = [f"label {label}" for label in data["labels"][rows]] if "labels" in data else [""] * len(rows)
    if scores is not None and "outlying" in scores:
        apart = scores["outlying"].to_numpy()[rows]
        remarks = [
            ", ".join(filter(None, (remark, "apart" if out else "")))
            for remark, out in zip(remarks, apart, strict=True)
        ]
    return [(str(name), remark) for name, remark in zip(names, remarks, strict=True)]


def noun(data: Arrays) -> str:
    """Return what the rows of the data are, in the plural."""
    return "images" if "images" in data else "rows"
