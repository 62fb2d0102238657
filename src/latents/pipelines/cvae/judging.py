"""How drawings compare with real images: whether they are recognised, and whether they are copies.

A drawing is a draw of p(x | y), pixels and all: binary where pixels are Bernoulli, of grey values where they are
discretised, with its noise where they are Gaussian. So are the test images, binarised or grey. Pixel means would
be smoother than any image: easier to recognise, and nearer to all training images alike.
"""

from __future__ import annotations  # so that naming ConditionalVAE in a signature does not import torch

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from latents import estimators
from latents.estimators.common.threads import one_blas_thread
from latents.features.nearest_images import nearest_images
from latents.pipelines.cvae.parameters import EvaluateParameters
from latents.pipelines.images import evenly
from latents.pipelines.shared import Monitor, Rows

logger = logging.getLogger(__name__)

Arrays = Mapping[str, Any]  # of images, (N, p), arrays or ``ScaledRows``

_HIDDEN = 256  # units of the classifier's hidden layer
_BATCH = 200
_PIECE = 2**23  # pixels of the images that the classifier is given at a time


def judge(
    model: estimators.ConditionalVAE,
    pixels: Arrays,
    split: Rows,
    test: Arrays,
    noise: NDArray[np.float64],
    params: EvaluateParameters,
    monitor: Monitor,
) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
    """Hold drawings against real images: by a classifier, and by the training images that lie nearest to them.

    `noise` (C, n, L) is what n images of each class are drawn by in the figure of all classes.

    Returns
    -------
    metrics : mapping
        ``n_drawn``. ``accuracy_drawn``, the share of drawings that a classifier trained on real images takes for
        their class, and ``accuracy_classifier``, that of test images: not where all training images are of one
        class. ``nearest_distance_ratio``, the median distance of drawings to their nearest training image over
        that of test images, and ``nearest_distance_ratio_copies``, the same of training images in place of
        drawings: not where half of the test images are training images.
    drawings : mapping
        Of the drawings that were measured ``labels`` and ``distances`` (n_drawn) and, where there is a classifier,
        ``taken_for``; the distances of as many test images, ``test_distances``, and of ``copy_distances``. Of some
        ``classes`` (C') the drawings ``images`` (C', n, p) whose means the figure of all classes shows, and the
        training images ``nearest`` to them, with ``nearest_rows`` (C', n) among all images and ``nearest_labels``.
    """
    X, train, classes = pixels["X"], split["train"], model.classes_
    state = np.random.RandomState(params.random_state)
    copies = X[train[evenly(len(train), params.n_drawn)]]
    if model.likelihood == "bernoulli":
        copies = estimators.binarise(copies, state)
    labels = in_proportion(model, params.n_drawn)
    drawn = model.sample(labels, pixels="drawn", random_state=state)
    places = evenly(len(classes), params.n_nearest_classes)
    some, n_each = classes[places], noise.shape[1]
    shown = model.sample(
        np.repeat(some, n_each),
        pixels="drawn",
        noise=noise[places].reshape(len(some) * n_each, -1),
        random_state=params.random_state,
    ).reshape(len(some), n_each, -1)
    of_test = test["X"][evenly(len(test["X"]), params.n_drawn)]

    parts = [drawn, of_test, copies, shown.reshape(-1, X.shape[1])]
    with monitor.watch("nearest training images", total=len(train), log_metrics=False) as callback:
        found = nearest_images(np.concatenate(parts).astype(X.dtype), X, train, callback)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    distances, test_distances, copy_distances, _ = np.split(found.distances, ends)
    rows = found.rows[ends[-1] :].reshape(len(some), -1)
    drawings = {
        "labels": labels,
        "distances": distances,
        "test_distances": test_distances,
        "copy_distances": copy_distances,
        "classes": some,
        "images": shown,
        "nearest": X[rows],
        "nearest_rows": rows,
        "nearest_labels": pixels["y"][rows],
    }

    metrics: dict[str, float] = {"n_drawn": len(labels)}
    if (usual := np.median(test_distances)) > 0:
        metrics["nearest_distance_ratio"] = float(np.median(distances) / usual)
        metrics["nearest_distance_ratio_copies"] = float(np.median(copy_distances) / usual)
        logger.info(
            "drawings lie %.2f times as far from training images as test images do (copies %.2f times)",
            *(metrics[f"nearest_distance_ratio{of}"] for of in ("", "_copies")),
        )
    else:
        logger.warning("half of the test images are training images: copying is not measured")
    if len(classes) > 1:
        classify = _Classifier(model, pixels, train, params, monitor, state)
        drawings["taken_for"] = classify(drawn)
        metrics["accuracy_drawn"] = float(np.mean(drawings["taken_for"] == labels))
        metrics["accuracy_classifier"] = float(np.mean(classify(test["X"]) == test["y"]))
        logger.info(
            "%.1f %% of drawings are taken for their class, as are %.1f %% of test images, by a classifier "
            "trained on real images",
            *(100 * metrics[name] for name in ("accuracy_drawn", "accuracy_classifier")),
        )
    else:
        logger.warning("all training images are of one class: no classifier can tell drawings apart")
    return metrics, drawings


def in_proportion(model: estimators.ConditionalVAE, n: int) -> NDArray[Any]:
    """Return the classes of `n` drawings, as frequent as among the training images."""
    places = (np.arange(n) + 0.5) / n
    codes = np.searchsorted(np.cumsum(model.class_prior_), places, side="right")
    return model.classes_[np.minimum(codes, len(model.classes_) - 1)]  # the shares' sum may be rounded


class _Classifier:
    """A network of one hidden layer that learns the classes of real training images, and sees nothing else.

    Images are binarised afresh each time, where pixels are Bernoulli. Which ones come is drawn at random, so many
    in all whatever their number is: it takes as long for a large set as for a small one.
    """

    def __init__(
        self,
        model: estimators.ConditionalVAE,
        pixels: Arrays,
        train: NDArray[np.intp],
        params: EvaluateParameters,
        monitor: Monitor,
        state: np.random.RandomState,
    ) -> None:
        from sklearn.neural_network import MLPClassifier  # slow to load

        X, y, n_steps = pixels["X"], pixels["y"], params.n_classifier_steps
        self._classes = model.classes_
        self._network = MLPClassifier(
            _HIDDEN, batch_size=_BATCH, shuffle=False, random_state=params.random_state
        )
        at_a_time = max(1, _PIECE // (_BATCH * X.shape[1]))
        with (
            monitor.watch("classifier of real images", total=n_steps, log_metrics=False) as callback,
            one_blas_thread(),  # of matrices so small more only wait for one another
        ):
            for begin in range(0, n_steps, at_a_time):
                end = min(begin + at_a_time, n_steps)
                rows = train[state.randint(len(train), size=(end - begin) * _BATCH)]
                images = X[rows]
                if model.likelihood == "bernoulli":
                    images = estimators.binarise(images, state).astype(X.dtype)
                codes = np.searchsorted(self._classes, y[rows])
                self._network.partial_fit(images, codes, classes=np.arange(len(self._classes)))
                callback("steps", end, end)

    def __call__(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return the classes that images (n, p) are taken for."""
        parts = gen_batches(len(images), max(1, _PIECE // images.shape[1]))
        codes = [self._network.predict(np.asarray(images[part], np.float32)) for part in parts]
        taken_for: NDArray[Any] = self._classes[np.concatenate(codes)]
        return taken_for
