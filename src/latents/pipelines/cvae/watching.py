"""What is looked at while a model is trained: its bound, and now and then its likelihood and its drawings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from latents import estimators, reporting
from latents.pipelines.cvae import measuring
from latents.pipelines.cvae.parameters import WatchParameters
from latents.pipelines.images import evenly
from latents.pipelines.shared import Monitor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]


class Snapshots(Protocol):
    """Where a node leaves what it sees while a model is fitted (``latents.datasets.SnapshotsDataset``)."""

    def clear(self) -> None:
        """Remove what an earlier fit has left."""

    def save(self, epoch: int, arrays: Arrays, picture: Figure) -> None:
        """Keep arrays and a picture of an epoch."""

    def load(self) -> dict[int, dict[str, NDArray[Any]]]:
        """Return the arrays by epoch."""


def look_on(
    test: Arrays, shape: tuple[int, ...], params: WatchParameters, monitor: Monitor, snapshots: Snapshots
) -> Callable[[estimators.ConditionalVAE, int], dict[str, float]]:
    """Make the function that a fit calls after each epoch with the half-trained model.

    Every ``log_every`` epochs it prints the bounds; every ``every`` epochs it also estimates log p(x | y) of the
    test images, from ``n_likelihood_images`` of them (``measuring.carried_over``), draws images of every class,
    from the same noise each time, and keeps them. A fit that begins anew removes what an earlier one has kept.

    Parameters
    ----------
    test : mapping
        Test images ``X`` and their classes ``y``.
    shape : tuple of int
        Of an image.
    """
    X, y, n_images = test["X"], test["y"], params.n_likelihood_images
    rows = evenly(len(X), len(X) if n_images is None else n_images)

    def look(model: estimators.ConditionalVAE, epoch: int) -> dict[str, float]:
        if epoch == 1:
            snapshots.clear()
        bounds = {name: model.history_[name][-1] for name in ("lower_bound", "lower_bound_test")}
        if epoch % params.log_every == 0:
            bits = measuring.bits_per_dimension(model, bounds["lower_bound_test"])
            logger.info(
                "epoch %d: bound %.2f in training, %.2f on test images (nats per image)%s",
                epoch,
                *bounds.values(),
                "".join(f", {value:.3f} bits per dimension" for value in bits.values()),
            )
        if params.every is None or epoch % params.every:
            return {}
        with monitor.watch(f"log p(x | y), epoch {epoch}", total=len(rows), log_metrics=False) as callback:
            likelihoods = model.log_likelihood(
                X[rows], y[rows], n_samples=params.n_importance_samples, callback=callback
            )
        likelihood = measuring.carried_over(
            bounds["lower_bound_test"], likelihoods, model.score_samples(X, y)[rows]
        )
        drawn = model.sample(np.repeat(model.classes_, params.n_generated), random_state=params.random_state)
        images = drawn.reshape(len(model.classes_), params.n_generated, *shape)
        picture = reporting.cvae.generated_grid(images, list(model.classes_), epoch)
        numbers = {**bounds, "log_likelihood_test": likelihood}
        arrays = {name: np.array(value) for name, value in numbers.items()}
        snapshots.save(epoch, {"images": images, **arrays}, picture)
        logger.info(
            "epoch %d: test bound %.2f, log p(x | y) %.2f (%d importance samples, %d images); drawings are saved",
            epoch,
            bounds["lower_bound_test"],
            likelihood,
            params.n_importance_samples,
            len(rows),
        )
        return {"log_likelihood_test": likelihood}

    return look
