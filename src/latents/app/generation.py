"""What a page draws by class, and what it says of images that belong to one."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latents.app.images import Gallery, Reader
from latents.predictors import CVAEPredictor

FARTHEST = 3.0  # standard deviations that a latent can be moved by
_N_BUSIEST = 8
_N_SAMPLES = 50  # by which p(y | x) is estimated


class Hand(NamedTuple):
    """An image read, and every class in its style.

    Attributes
    ----------
    shares : ndarray of shape (C,)
        p(y | x).
    lower_bound : float
        Under the most probable class, in nats.
    styled : ndarray of shape (C, height, width[, 3])
    """

    shares: NDArray[np.float64]
    lower_bound: float
    styled: NDArray[np.float32]


@dataclass(frozen=True)
class Generation(Reader):
    """A class-conditioned VAE, and the images of its run.

    Parameters
    ----------
    predictor : CVAEPredictor
    gallery : Gallery, optional
    """

    predictor: CVAEPredictor
    gallery: Gallery | None = None

    @property
    def classes(self) -> list[Any]:
        """The classes that it draws."""
        classes: list[Any] = self.predictor.model.classes_.tolist()
        return classes

    @cached_property
    def busiest(self) -> list[int]:
        """The latents that change images most."""
        return [int(latent) for latent in self.predictor.busiest_latents(_N_BUSIEST)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image."""
        return self.predictor.shape

    @property
    def white(self) -> float:
        """The brightest value."""
        return self.predictor.white

    def draw(
        self, label: Any, n: int, *, seed: int, temperature: float, moved: Mapping[int, float]
    ) -> NDArray[np.float32]:
        """Draw images of a class.

        Parameters
        ----------
        label
            One of ``classes``.
        n : int
            How many.
        seed : int
            Where their latents come from; the first ones are the same for any `n`.
        temperature : float
            What the noise is multiplied by: 0 gives the mean of p(z | y), 1 draws of it.
        moved : mapping of int to float
            By how many standard deviations latents are moved.
        """
        return self.predictor.generate([label] * n, noise=self._noise(n, seed, temperature, moved))

    def way(
        self, label: Any, to: Any, n: int, *, seed: int, temperature: float, moved: Mapping[int, float]
    ) -> NDArray[np.float32]:
        """Draw the first image of ``draw`` on its way from one class to another, in `n` even steps."""
        classes = self.classes
        corners = np.eye(len(classes), dtype=np.float32)
        share = np.linspace(0, 1, n, dtype=np.float32)[:, np.newaxis]
        weights = (1 - share) * corners[classes.index(label)] + share * corners[classes.index(to)]
        noise = np.repeat(self._noise(1, seed, temperature, moved), n, axis=0)
        return self.predictor.generate(weights, noise=noise)

    def ends(
        self, label: Any, *, seed: int, temperature: float, moved: Mapping[int, float]
    ) -> NDArray[np.float32]:
        """Return the first image of ``draw`` with each of the busiest latents moved as far as it can be.

        Returns
        -------
        ndarray of shape (K, 2, height, width[, 3])
            For each of the busiest latents, moved down and up.
        """
        noise = np.concatenate(
            [
                self._noise(1, seed, temperature, {**moved, latent: by})
                for latent in self.busiest
                for by in (-FARTHEST, FARTHEST)
            ]
        )
        drawn = self.predictor.generate([label] * len(noise), noise=noise)
        return drawn.reshape(-1, 2, *self.shape)

    def read(self, image: NDArray[Any]) -> Hand:
        """Say which class an image is of, and write all classes in its hand."""
        one, classes = image[np.newaxis], self.classes
        table = self.predictor.predict(one, n_importance_samples=_N_SAMPLES)
        shares = table[[f"p_{label}" for label in classes]].to_numpy()[0]
        own = [classes[int(shares.argmax())]] * len(classes)
        styled = self.predictor.restyle(np.repeat(one, len(classes), axis=0), own, classes)
        return Hand(shares, float(table["lower_bound"].iloc[0]), styled)

    def warm_up(self) -> None:
        """Reckon what answers need, before the first is asked for."""
        self.draw(self.classes[0], 1, seed=0, temperature=1.0, moved=dict.fromkeys(self.busiest, 0.0))

    def _noise(
        self, n: int, seed: int, temperature: float, moved: Mapping[int, float]
    ) -> NDArray[np.float64]:
        rng = np.random.RandomState(seed)
        noise = rng.standard_normal((n, self.predictor.model.n_latents_)) * temperature
        for latent, by in moved.items():
            noise[:, latent] += by
        return noise
