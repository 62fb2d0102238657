"""What a page says of images that a basis of least error rebuilds."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latents.app.pictures import Frame, frame_of, read_picture
from latents.predictors import PCAPredictor

_N_NEAREST = 8
_N_BINS = 30
_ROUNDING = 1e-5
# The grey values that images commonly have for white.
_WHITES = (1.0, 16.0, 255.0, 65535.0)


class Gallery(NamedTuple):
    """Images of a run.

    Attributes
    ----------
    training : ndarray of shape (N, height, width[, 3])
        Those that others are held against.
    test : ndarray of shape (M, height, width[, 3])
        The model has not seen them.
    labels : ndarray of shape (M,) or None
        Of the latter.
    """

    training: NDArray[Any]
    test: NDArray[Any]
    labels: NDArray[Any] | None


class Rebuilt(NamedTuple):
    """An image rebuilt from d numbers.

    Attributes
    ----------
    image, rebuilt : ndarray of shape (height, width[, 3])
        In the units of training.
    curve : ndarray of shape (d_max + 1,)
        The squared error for each number of components.
    stranger_than : float or None
        The share of test images with a smaller error.
    counts : ndarray of int
        Of test images, in even steps of the root of the error.
    place : float
        Of the image on these steps, from 0 to 1.
    nearest : ndarray of int
        Training images that are nearest as far as the d numbers tell, the nearest first.
    """

    image: NDArray[Any]
    rebuilt: NDArray[Any]
    curve: NDArray[np.float64]
    stranger_than: float | None
    counts: NDArray[np.intp]
    place: float
    nearest: NDArray[np.intp]


class Reader(ABC):
    """What reads images: of a shape, from 0 to a white, as those of a gallery if there is one."""

    gallery: Gallery | None

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of an image."""

    @property
    @abstractmethod
    def white(self) -> float:
        """The brightest value."""

    @cached_property
    def frame(self) -> Frame | None:
        """Where the training images have their ink, if they are of ink."""
        return None if self.gallery is None else frame_of(self.gallery.training[:1000], self.white)

    def image_of(self, url: str, by_hand: bool) -> NDArray[np.float64]:
        """Return a picture as an image, in the units of training, with its ink in place if it was drawn by hand.

        Raises
        ------
        ValueError
            If it is none.
        """
        image = read_picture(url, self.shape, self.frame if by_hand else None)
        return image.astype(np.float64) * self.white


@dataclass(frozen=True)
class Images(Reader):
    """A basis of least error of images, and the images of its run.

    Parameters
    ----------
    predictor : PCAPredictor
        Of images.
    gallery : Gallery, optional
    """

    predictor: PCAPredictor
    gallery: Gallery | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image."""
        if self.predictor.shape is None:
            raise ValueError("the model reads rows of numbers, and no images")
        return self.predictor.shape

    @property
    def n_components(self) -> int:
        """How many numbers of an image the model has."""
        return int(self.predictor.model.n_components_)

    @cached_property
    def white(self) -> float:
        """The brightest value: that of the run's images, or of the usual ones the least above the mean image."""
        if self.gallery is not None:
            return float(np.nanmax(self.gallery.training)) or 1.0
        return next((w for w in _WHITES if self.predictor.model.mean_.max() <= w), _WHITES[-1])

    def rebuild(self, image: NDArray[Any], n_components: int) -> Rebuilt:
        """Rebuild an image, in the units of training, from its first `n_components` numbers."""
        one = image[np.newaxis].astype(np.float32)
        rebuilt = self.predictor.reconstruct(one, n_components=n_components)[0]
        curve = self.predictor.error_curves(one)[0]
        stranger, place = None, 0.0
        counts, nearest = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
        if self.gallery is not None:
            errors, own = self._errors[:, n_components], curve[n_components]
            stranger = float((errors < (1 - _ROUNDING) * own).mean())
            counts, place = _steps(errors, own)
            z = self.predictor.coordinates(one)[0, :n_components]
            distances = np.linalg.norm(self._training[:, :n_components] - z, axis=1)
            nearest = np.argsort(distances, kind="stable")[:_N_NEAREST] if n_components else nearest
        return Rebuilt(image, rebuilt, curve, stranger, counts, place, nearest)

    def warm_up(self) -> None:
        """Reckon what answers are held against, before the first is asked for."""
        if self.gallery is not None:
            self.rebuild(np.asarray(self.gallery.training[0], dtype=np.float64), self.n_components)

    @cached_property
    def _training(self) -> NDArray[np.float32]:
        if self.gallery is None:
            return np.empty((0, self.n_components), np.float32)
        return self.predictor.coordinates(np.asarray(self.gallery.training, np.float32)).astype(np.float32)

    @cached_property
    def _errors(self) -> NDArray[np.float64]:
        if self.gallery is None:
            return np.empty((0, self.n_components + 1))
        return self.predictor.error_curves(np.asarray(self.gallery.test, dtype=np.float32))


def _steps(errors: NDArray[np.float64], own: float) -> tuple[NDArray[np.intp], float]:
    """Count errors in even steps of their root, and place one among them."""
    roots, root = np.sqrt(np.maximum(errors, 0)), float(np.sqrt(max(own, 0.0)))
    counts, edges = np.histogram(roots, _N_BINS, (min(roots.min(), root), max(roots.max(), root)))
    return counts, float((root - edges[0]) / (edges[-1] - edges[0]))
