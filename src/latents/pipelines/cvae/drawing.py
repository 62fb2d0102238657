"""The figures of a trained model."""

from __future__ import annotations  # so that naming ConditionalVAE in a signature does not import torch

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latents import estimators, reporting
from latents.pipelines.images import evenly

Arrays = Mapping[str, NDArray[Any]]
Shape = tuple[int, ...]


def draw_training(
    model: estimators.ConditionalVAE, snapshots: Mapping[int, Arrays], generated: NDArray[Any]
) -> dict[str, Any]:
    """Return ``bound``, ``learning`` and ``generated``."""
    classes = model.classes_.tolist()
    learning = reporting.absent_picture(
        "What the model drew as it learned", "No epoch was looked at: see cvae.watch.every."
    )
    if snapshots:
        learning = reporting.cvae.learning(
            {epoch: arrays["images"][:, 0] for epoch, arrays in snapshots.items()},
            classes,
            {epoch: float(arrays["log_likelihood_test"]) for epoch, arrays in snapshots.items()},
        )
    return {
        "bound": reporting.cvae.bound_per_epoch(model.history_),
        "learning": learning,
        "generated": reporting.cvae.generated_grid(generated, classes),
    }


def draw_paths(paths: Arrays, traversals: Arrays, classes: NDArray[Any], shape: Shape) -> dict[str, Any]:
    """Return ``interpolations``, ``class_paths``, ``styles`` and ``traversals``."""

    def as_images(pixels: NDArray[Any]) -> NDArray[Any]:
        return pixels.reshape(*pixels.shape[:-1], *shape)

    return {
        "interpolations": reporting.cvae.interpolations(
            as_images(paths["between_images"]), as_images(paths["images"]), _pairs(paths["labels"])
        ),
        "class_paths": reporting.cvae.class_paths(
            as_images(paths["between_classes"]), _pairs(paths["class_labels"])
        ),
        "styles": reporting.cvae.styles(
            as_images(paths["styled"]),
            as_images(paths["restyled"]),
            paths["styled_labels"].tolist(),
            classes.tolist(),
        ),
        "traversals": reporting.cvae.traversals(
            as_images(traversals["grids"]),
            (traversals["latents"] + 1).tolist(),
            traversals["variances"].tolist(),
            traversals["classes"].tolist(),
            traversals["values"].tolist(),
        ),
    }


def draw_classes(
    model: estimators.ConditionalVAE, table: pd.DataFrame, class_table: pd.DataFrame
) -> dict[str, Any]:
    """Return ``class_bounds`` and ``confusion``."""
    known = table.dropna(subset="predicted")
    return {
        "class_bounds": reporting.cvae.class_bounds(class_table),
        "confusion": reporting.cvae.confusion(
            known["label"].to_numpy(), known["predicted"].tolist(), model.classes_.tolist()
        ),
    }


def draw_pairs(
    reconstructions: Arrays, hardest: Arrays, hardest_table: pd.DataFrame, mean_bound: float, shape: Shape
) -> dict[str, Any]:
    """Return ``reconstructions`` and ``hardest``."""
    given = hardest_table.to_dict("records")
    captions = [
        (
            str(row.get("name", f"image {row['row']}")),
            f"{row['label']}, taken for {row['taken_for']}"
            if row["taken_for"] != row["label"]
            else f"{row['label']}, recognised",
        )
        for row in given
    ]
    return {
        "reconstructions": reporting.cvae.reconstructions(
            reconstructions["originals"], reconstructions["reconstructions"], reconstructions["labels"]
        ),
        "hardest": reporting.cvae.hardest(
            hardest["originals"].reshape(-1, *shape),
            hardest["rebuilt"].reshape(-1, *shape),
            captions,
            hardest_table["lower_bound"],
            mean_bound,
        ),
    }


def draw_latents(
    model: estimators.ConditionalVAE, table: pd.DataFrame, metrics: Mapping[str, float], n_points: int
) -> dict[str, Any]:
    """Return ``latents`` and ``priors``: codes in the plane in which they vary most, and in that of the priors."""
    from sklearn.decomposition import PCA  # slow to load

    z = table.filter(regex=r"^z\d+$").to_numpy()
    shown = evenly(len(z), n_points)
    labels = table["label"].to_numpy()[shown]
    if z.shape[1] < 2:
        absent = reporting.absent("Latents", "The model has one latent only.")
        return {"latents": absent, "priors": absent}
    has_priors = "kl_standard_prior" in metrics
    plane = PCA(2).fit(z)
    first, second = plane.explained_variance_ratio_
    names = f"direction 1 ({first:.0%} of the variance)", f"direction 2 ({second:.0%} of the variance)"
    figures = {"latents": reporting.cvae.latent_scatter(plane.transform(z[shown]), labels, names, has_priors)}
    if not has_priors:
        figures["priors"] = reporting.absent(
            "Priors of the classes",
            "p(z | y), of a ladder that of its top level, is N(0, I) for all classes (cvae.fit.prior: standard).",
        )
        return figures
    means, spreads = model.class_priors()
    if means.shape[1] < 2:
        figures["priors"] = reporting.absent(
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


def _pairs(labels: NDArray[Any]) -> list[tuple[object, object]]:
    return [(before, after) for before, after in labels.tolist()]
