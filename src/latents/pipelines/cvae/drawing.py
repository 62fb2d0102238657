"""The node that draws: the figures of a trained model."""

from __future__ import annotations  # so that naming ConditionalVAE in a signature does not import torch

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latents import estimators, reporting
from latents.pipelines.cvae.parameters import ReportParameters
from latents.pipelines.cvae.watching import Snapshots
from latents.pipelines.images import evenly

Arrays = Mapping[str, NDArray[Any]]


def draw(
    model: estimators.ConditionalVAE,
    latents: pd.DataFrame,
    class_table: pd.DataFrame,
    generated: Arrays,
    drawings: Arrays,
    reconstructions: Arrays,
    hardest: Arrays,
    hardest_table: pd.DataFrame,
    paths: Arrays,
    traversals: Arrays,
    metrics: dict[str, float],
    snapshots: Snapshots,
    params: ReportParameters,
) -> dict[str, Any]:
    """Draw the figures.

    Returns
    -------
    mapping
        ``bound``, ``class_bounds``, ``confusion``, ``nearest_distances``, ``latents`` and ``priors`` (Plotly
        figures), ``generated``, ``nearest``, ``learning``, ``interpolations``, ``class_paths``, ``styles``,
        ``traversals``, ``reconstructions`` and ``hardest`` (Matplotlib figures). Those that the model does not
        allow say why.
    """
    classes = model.classes_.tolist()
    shape = generated["images"].shape[2:]

    def as_images(pixels: NDArray[Any]) -> NDArray[Any]:
        return pixels.reshape(*pixels.shape[:-1], *shape)

    learning = reporting.images.absent_picture(
        "What the model drew as it learned", "No epoch was looked at: see cvae.watch.every."
    )
    if seen := snapshots.load():
        learning = reporting.cvae.learning(
            {epoch: arrays["images"][:, 0] for epoch, arrays in seen.items()},
            classes,
            {epoch: float(arrays["log_likelihood_test"]) for epoch, arrays in seen.items()},
        )
    known = latents.dropna(subset="predicted")
    captions = [
        (
            str(row.get("name", f"image {row['row']}")),
            f"{row['label']}, taken for {row['taken_for']}"
            if row["taken_for"] != row["label"]
            else f"{row['label']}, recognised",
        )
        for row in hardest_table.to_dict("records")
    ]
    return {
        "bound": reporting.cvae.bound_per_epoch(model.history_),
        "learning": learning,
        "generated": reporting.cvae.generated_grid(generated["images"], classes),
        "nearest": reporting.cvae.nearest(
            as_images(drawings["images"]),
            as_images(drawings["nearest"]),
            drawings["classes"].tolist(),
            drawings["nearest_labels"] == drawings["classes"][:, np.newaxis],
            _recognised(drawings),
        ),
        "nearest_distances": reporting.cvae.nearest_distances(
            drawings["distances"], drawings["test_distances"], drawings["copy_distances"]
        ),
        "interpolations": reporting.cvae.interpolations(
            as_images(paths["between_images"]), as_images(paths["images"]), paths["labels"].tolist()
        ),
        "class_paths": reporting.cvae.class_paths(
            as_images(paths["between_classes"]), paths["class_labels"].tolist()
        ),
        "styles": reporting.cvae.styles(
            as_images(paths["styled"]),
            as_images(paths["restyled"]),
            paths["styled_labels"].tolist(),
            classes,
        ),
        "traversals": reporting.cvae.traversals(
            as_images(traversals["grids"]),
            (traversals["latents"] + 1).tolist(),
            traversals["variances"].tolist(),
            traversals["classes"].tolist(),
            traversals["values"].tolist(),
        ),
        "class_bounds": reporting.cvae.class_bounds(class_table),
        "confusion": reporting.cvae.confusion(
            known["label"].to_numpy(), known["predicted"].tolist(), classes
        ),
        "reconstructions": reporting.cvae.reconstructions(
            reconstructions["originals"], reconstructions["reconstructions"], reconstructions["labels"]
        ),
        "hardest": reporting.cvae.hardest(
            as_images(hardest["originals"]),
            as_images(hardest["rebuilt"]),
            captions,
            hardest_table["lower_bound"],
            metrics["lower_bound_test"],
        ),
        **_latents_and_priors(model, latents, metrics, params.n_scatter_points),
    }


def _recognised(drawings: Arrays) -> list[float | None]:
    """Return for the classes that are shown the share of their drawings that is taken for them, where known."""
    if "taken_for" not in drawings:
        return [None] * len(drawings["classes"])
    own = [drawings["labels"] == label for label in drawings["classes"].tolist()]
    return [
        float(np.mean(drawings["taken_for"][of_class] == drawings["labels"][of_class]))
        if of_class.any()
        else None
        for of_class in own
    ]


def _latents_and_priors(
    model: estimators.ConditionalVAE, table: pd.DataFrame, metrics: Mapping[str, float], n_points: int
) -> dict[str, Any]:
    """Return ``latents`` and ``priors``: codes in the plane in which they vary most, and in that of the priors."""
    from sklearn.decomposition import PCA  # slow to load

    z = table.filter(regex=r"^z\d+$").to_numpy()
    shown = evenly(len(z), n_points)
    labels = table["label"].to_numpy()[shown]
    if z.shape[1] < 2:
        absent = reporting.style.absent("Latents", "The model has one latent only.")
        return {"latents": absent, "priors": absent}
    has_priors = "kl_standard_prior" in metrics
    plane = PCA(2).fit(z)
    first, second = plane.explained_variance_ratio_
    names = f"direction 1 ({first:.0%} of the variance)", f"direction 2 ({second:.0%} of the variance)"
    figures = {"latents": reporting.cvae.latent_scatter(plane.transform(z[shown]), labels, names, has_priors)}
    if not has_priors:
        figures["priors"] = reporting.style.absent(
            "Priors of the classes",
            "p(z | y), of a ladder that of its top level, is N(0, I) for all classes (cvae.fit.prior: standard).",
        )
        return figures
    means, spreads = model.class_priors()
    if means.shape[1] < 2:
        figures["priors"] = reporting.style.absent(
            "Priors of the classes", "The top level of the latents has one only, and no plane."
        )
        return figures
    # The plane in which the priors' means differ most; two classes differ along one direction only.
    directions = np.linalg.svd(means - means.mean(axis=0), full_matrices=True)[2][:2]
    figures["priors"] = reporting.cvae.class_priors(
        z[shown, : means.shape[1]] @ directions.T,  # a ladder's top level comes first
        labels,
        model.classes_.tolist(),
        means @ directions.T,
        np.einsum("al,cl,bl->cab", directions, spreads**2, directions),
        metrics["kl"],
        metrics["kl_standard_prior"],
        ("direction 1 of the priors' means", "direction 2 of the priors' means"),
    )
    return figures
