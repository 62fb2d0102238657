"""Images in, their classes, bounds and latents out; classes in, images out."""

from __future__ import annotations  # so that naming ConditionalVAE in a signature does not import torch

from dataclasses import dataclass
from math import isfinite, isnan, prod
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from latents import estimators
from latents.features.images import Shape, images_of_shape, scale_to_white
from latents.messages import shown, some_of, unquoted
from latents.predictors.interface import Predictor, check_model, check_shape

# Those of the top levels come first, and each image of a latent is decoded: of thousands the first say most.
_LOOKED_AT = 256
_CLASSES_LOOKED_AT = 10


@dataclass(frozen=True, eq=False)
class CVAEPredictor(Predictor):
    """A class-conditioned VAE that reads and draws images in the units of training.

    A model of Bernoulli pixels speaks of pixels that are 0 or 1. A grey pixel is read as the likelier of the two:
    1 from half of `white`. (Training, and the test bounds of its report, draw pixels at random instead, which
    blurs what an image is of: on scikit-learn's digits 9 in 100 were then taken for another class, and 2 as they
    are read here. Bounds are higher by some nats, too.)

    Parameters
    ----------
    model : ConditionalVAE
        The trained model.
    shape : tuple of int
        Of an image: (height, width), or with 3 colours last.
    white : float
        The grey value that was 1 in training; black is 0.

    Raises
    ------
    TypeError, ValueError
        If these are of other kinds, or do not fit together.
    """

    requirements: ClassVar = ("torch",)

    model: estimators.ConditionalVAE
    shape: Shape
    white: float

    def __post_init__(self) -> None:
        check_model(self.model, "ConditionalVAE")
        check_shape(self.shape)
        if prod(self.shape) != self.model.n_features_in_:
            raise ValueError(
                f"shape {self.shape} does not make the model's {self.model.n_features_in_} pixels"
            )
        known = self.model.image_shape
        if known is not None and [*known][: 2 if known[2:] in ([1], (1,)) else 3] != [*self.shape]:
            raise ValueError(f"shape {self.shape} is not the model's image_shape, {tuple(known)}")
        if not (isfinite(self.white) and self.white > 0):
            raise ValueError(f"white is {self.white}; allowed are finite numbers above 0")

    def predict(
        self, images: ArrayLike, /, labels: ArrayLike | None = None, *, n_importance_samples: int = 100
    ) -> pd.DataFrame:
        """Say which class each image is of, how likely the model finds it, and what its latents are.

        Parameters
        ----------
        images : array-like of shape (N, height, width[, 3])
            Images of the shape of training, from 0 to `white`.
        labels : array-like of shape (N,), optional
            The classes of the images, where they are known: bound and latents are then under these.
        n_importance_samples : int, default=100
            For p(y | x), of each image and class.

        Returns
        -------
        DataFrame
            ``predicted``, the class of the largest p(y | x); ``p_<class>``, these of all classes; ``lower_bound``,
            that of log p(x | y) in nats, and ``z1``, ``z2``, ..., the means of q(z | x, y), both under the
            predicted class, or under the label where labels are given.

        Raises
        ------
        ValueError
            If there is no image, a shape is another one, a pixel is no number from 0 to `white`, or a label is no
            class of the model; names the image.
        """
        X = self.pixels(images)
        classes = self.model.classes_
        given = None if labels is None else self.classes_of(labels)
        if given is not None and len(given) != len(X):
            raise ValueError(f"there are {len(given)} labels for {len(X)} images")
        shares = self.model.predict_proba(X, n_samples=n_importance_samples)
        predicted = classes[shares.argmax(axis=1)]
        under = predicted if given is None else given
        z = self.model.transform(X, under)
        return pd.concat(
            [
                pd.DataFrame({"predicted": predicted}),
                pd.DataFrame(shares, columns=[f"p_{label}" for label in classes.tolist()]),
                pd.DataFrame({"lower_bound": self.model.score_samples(X, under)}),
                pd.DataFrame(z, columns=[f"z{i}" for i in range(1, z.shape[1] + 1)]),
            ],
            axis=1,
        )

    def generate(
        self,
        labels: ArrayLike,
        *,
        noise: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> NDArray[np.float32]:
        """Draw an image for each label: the means of its pixels, in input units (from 0 to `white`).

        Parameters
        ----------
        labels : array-like of shape (N,) or (N, C)
            Classes of the model, each as often as wanted; or weights of all classes, for what lies between them.
        noise : array-like of shape (N, n_latents_), optional
            Standard normal numbers that the latents are drawn by: equal ones are one style in every class.
        random_state : int, RandomState instance or None, default=None
            Where the latents come from, without `noise`; None is the model's own seed.

        Returns
        -------
        ndarray of shape (N, height, width[, 3])

        Raises
        ------
        ValueError
            If there is no label, or one is no class of the model; or if `noise` is of another shape or no numbers.
        """
        means = self.model.sample(self._weighed(labels), noise=noise, random_state=random_state)
        return self._images(means)

    def reconstruct(self, images: ArrayLike, labels: ArrayLike) -> NDArray[np.float32]:
        """Return what the latents of images make of them again, in input units and of the same shape.

        Raises
        ------
        ValueError
            As ``predict``.
        """
        return self._images(self.model.reconstruct(self.pixels(images), self.classes_of(labels)))

    def restyle(self, images: ArrayLike, labels: ArrayLike, to: ArrayLike) -> NDArray[np.float32]:
        """Keep what the latents say of images, and make images of other classes of it.

        Parameters
        ----------
        images : array-like of shape (N, height, width[, 3])
            As for ``predict``.
        labels : array-like of shape (N,)
            Their classes.
        to : array-like of shape (N,) or (N, C)
            The classes to have instead, or weights of all classes.

        Returns
        -------
        ndarray of shape (N, height, width[, 3])
            Means of the pixels, in input units.

        Raises
        ------
        ValueError
            As ``predict``.
        """
        return self._images(
            self.model.restyle(self.pixels(images), self.classes_of(labels), self._weighed(to))
        )

    def traverse(self, labels: ArrayLike, *, latents: ArrayLike, values: ArrayLike) -> NDArray[np.float32]:
        """Move one latent at a time, the others where p(z | y) has its mean (see ``ConditionalVAE.traverse``).

        Returns
        -------
        ndarray of shape (N, K, V, height, width[, 3])
            Means of the pixels for each label, latent and value, in input units.

        Raises
        ------
        ValueError
            If a label is no class of the model, there is no such latent, or a value is no number or too large.
        """
        means = self.model.traverse(self.classes_of(labels), latents=latents, values=values)
        return self._images(means.reshape(-1, means.shape[-1])).reshape(*means.shape[:3], *self.shape)

    def busiest_latents(self, n: int) -> NDArray[np.intp]:
        """Return the latents that change images most, the busiest first; of many, among the first `_LOOKED_AT`.

        The change is the mean over classes of the distance between the images that two standard deviations of
        p(z | y) on either side of its mean make, the other latents at theirs. It needs no image.
        """
        latents = np.arange(min(self.model.n_latents_, _LOOKED_AT))
        changes = np.zeros(len(latents))
        for label in self.model.classes_[:_CLASSES_LOOKED_AT]:
            ends = self.model.traverse([label], latents=latents, values=(-2.0, 2.0))[0]
            changes += np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        return np.argsort(-changes, kind="stable")[:n]

    def _images(self, means: NDArray[np.float32]) -> NDArray[np.float32]:
        return (self.white * means).astype(np.float32).reshape(-1, *self.shape)

    def _weighed(self, labels: ArrayLike) -> NDArray[Any]:
        """Return weights of classes as they are, and labels as classes of the model."""
        n_classes = len(self.model.classes_)
        is_weights = np.ndim(labels) == 2 and np.shape(labels)[1] == n_classes
        return np.asarray(labels) if is_weights else self.classes_of(labels)

    def pixels(self, images: ArrayLike) -> NDArray[Any]:
        """Return images as the model reads them, (N, p): from 0 to 1, and for Bernoulli pixels 0 or 1.

        Raises
        ------
        ValueError
            As ``predict``.
        """
        grey = scale_to_white(images_of_shape(images, self.shape), self.white)
        return (grey >= 0.5).astype(np.uint8) if self.model.likelihood == "bernoulli" else grey

    def classes_of(self, labels: ArrayLike) -> NDArray[Any]:
        """Return labels as classes of the model; a text may stand for a number, and the reverse.

        "3", 3 and 3.0 are the same class.

        Raises
        ------
        ValueError
            If there is no label, or one is no class of the model; names its row.
        """
        given = np.asarray(labels)
        if given.ndim != 1 or not len(given):
            raise ValueError(f"labels have shape {given.shape}; allowed is a list of one or more")
        known = self.model.classes_.tolist()
        numbers = {_whole(label): number for number, label in enumerate(known)}
        numbers.update((str(label), number) for number, label in enumerate(known))
        chosen = []
        for row, label in enumerate(given.tolist()):
            # A missing label is no class, even where one is called "nan".
            missing = isinstance(label, float) and isnan(label)
            number = None if missing else numbers.get(str(label), numbers.get(_whole(label)))
            if number is None:
                raise ValueError(
                    f"label {row} is {shown(label)}, no class of the model; allowed are {some_of(known, 20)}"
                    f"{f' ({unquoted(label)})' if isinstance(label, bool) else ''}"
                )
            chosen.append(number)
        classes: NDArray[Any] = self.model.classes_[chosen]
        return classes

    def _settings(self) -> dict[str, Any]:
        return {"shape": list(self.shape), "white": self.white}

    @classmethod
    def _of(cls, model: Any, settings: dict[str, Any]) -> Self:
        return cls(model, tuple(map(int, settings["shape"])), float(settings["white"]))


def _whole(label: Any) -> str:
    """Return a label as text, a whole number without its fraction: 3.0 is "3"."""
    return str(int(label) if isinstance(label, float) and label.is_integer() else label)
