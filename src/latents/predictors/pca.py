"""Images in, a few numbers of each and the error out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NoReturn, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pandas.api.extensions import ExtensionDtype
from pandas.api.types import is_numeric_dtype

from latents.estimators import MinimumErrorPCA
from latents.estimators.minimum_error_pca.centred import first_too_far
from latents.features.images import Shape, finite_pieces, images_of_shape
from latents.messages import some_of
from latents.predictors.interface import Predictor, check_model, check_shape


@dataclass(frozen=True, eq=False)
class PCAPredictor(Predictor):
    """A basis of least error that reads images, or rows of features, as they came in training.

    Parameters
    ----------
    model : MinimumErrorPCA
        The fitted basis.
    shape : tuple of int, optional
        Of an image: (height, width), or with 3 colours last.
    feature_names : sequence of str, optional
        Of the features, where the rows are no images.

    Raises
    ------
    TypeError, ValueError
        If these are of other kinds, both or neither are given, or they do not fit the model.
    """

    model: MinimumErrorPCA
    shape: Shape | None = None
    feature_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_model(self.model, "MinimumErrorPCA")
        if (self.shape is None) == (self.feature_names is None):
            raise ValueError("either the shape of an image or names of features must be given")
        if self.shape is not None:
            check_shape(self.shape)
        elif isinstance(self.feature_names, str) or not all(
            isinstance(n, str) for n in self.feature_names or ()
        ):
            raise TypeError("feature_names must be texts")
        n = prod(self.shape) if self.shape is not None else len(self.feature_names or ())
        if n != self.model.n_features_in_:
            raise ValueError(
                f"shape {self.shape} or feature_names make {n} numbers a row; "
                f"the model has {self.model.n_features_in_}"
            )

    def predict(self, images: ArrayLike | pd.DataFrame, /) -> pd.DataFrame:
        """Return the coordinates of images in the basis, and how well they are rebuilt from these.

        Parameters
        ----------
        images : array-like of shape (N, height, width[, 3]), or of shape (N, p), or DataFrame
            Images of the shape of training, in the same units. For a model of features rows of numbers in their
            order, or a table that has all of them by name; its other columns are left out. Of a model fitted with
            ``missing="em"`` NaN is a missing number.

        Returns
        -------
        DataFrame
            ``pc1``, ``pc2``, ..., and ``error``, |x - x~|^2 in squared input units, over what is not missing; of a
            robust model, whether a row is ``outlying``, as far from the plane as those that the fit left out.

        Raises
        ------
        ValueError
            If there is no row, a shape is another one, or a number is not finite or so far from the mean of
            training that it cannot be squared (``MinimumErrorPCA``, Notes); names the row.
        """
        rows = self._rows(images)
        z = self.model.transform(rows)
        table = pd.DataFrame(z, columns=[f"pc{i}" for i in range(1, z.shape[1] + 1)])
        table["error"] = self.model.reconstruction_errors(rows).astype(np.float64)
        if hasattr(self.model, "error_cutoff_"):
            table["outlying"] = table["error"] > self.model.error_cutoff_
        return table

    def reconstruct(
        self, images: ArrayLike | pd.DataFrame, *, n_components: int | None = None
    ) -> NDArray[np.floating[Any]]:
        """Return the images, or rows, rebuilt from their coordinates, in input units and of the same shape.

        Parameters
        ----------
        images : array-like or DataFrame
            As for ``predict``.
        n_components : int, optional
            How many of the coordinates, the first ones; by default all that the model has.

        Raises
        ------
        ValueError
            As ``predict``, or if the model has no such number of components.
        """
        rows = self._rows(images)
        z = self.model.transform(rows)
        most = z.shape[1]
        kept = most if n_components is None else n_components
        if not 0 <= kept <= most:
            raise ValueError(f"n_components is {kept}; allowed are 0 to {most}")
        z[:, kept:] = 0
        return self.model.inverse_transform(z).reshape(len(rows), *(self.shape or rows.shape[1:]))

    def error_curves(self, images: ArrayLike | pd.DataFrame) -> NDArray[np.float64]:
        """Return |x - x~|^2 of each image, or row, for every number of components, in squared input units.

        Parameters
        ----------
        images : array-like or DataFrame
            As for ``predict``.

        Returns
        -------
        ndarray of shape (N, d + 1)
            Column e is the error when the first e coordinates are kept: that at d and the squares of those
            after e. The last is the ``error`` of ``predict``.

        Raises
        ------
        ValueError
            As ``predict``.
        """
        rows = self._rows(images)
        z = self._in_input_units(self.model.transform(rows))
        beyond = np.cumsum(z[:, ::-1] ** 2, axis=1)[:, ::-1]
        rest = self.model.reconstruction_errors(rows).astype(np.float64)[:, np.newaxis]
        curves: NDArray[np.float64] = np.hstack([beyond + rest, rest])
        return curves

    def coordinates(self, images: ArrayLike | pd.DataFrame) -> NDArray[np.float64]:
        """Return (x - mean)' mu_i of images, or rows, (N, d), in input units though the model whitens.

        Raises
        ------
        ValueError
            As ``predict``.
        """
        return self._in_input_units(self.model.transform(self._rows(images)))

    def impute(self, images: ArrayLike | pd.DataFrame) -> NDArray[np.floating[Any]]:
        """Return the images, or rows, with what is expected in place of missing numbers, and of the same shape.

        Raises
        ------
        ValueError
            As ``predict``.
        """
        rows = self.model.impute(self._rows(images))
        return rows.reshape(len(rows), *(self.shape or rows.shape[1:]))

    @property
    def may_lack(self) -> bool:
        """Whether rows may lack numbers, which are then NaN."""
        return bool(self.model.missing == "em")

    def _in_input_units(self, z: NDArray[Any]) -> NDArray[np.float64]:
        scale = np.sqrt(self.model.explained_variance_) if self.model.whiten else 1.0
        unwhitened: NDArray[np.float64] = z.astype(np.float64) * scale
        return unwhitened

    def _rows(self, given: Any) -> NDArray[Any]:
        """Return what is given as rows of numbers, (N, p), once checked."""
        if self.shape is None:
            rows = self._features(given)
        else:
            rows = images_of_shape(given, self.shape, may_lack=self.may_lack)
        if (place := first_too_far(rows, self.model.mean_)) is not None:
            what = "row" if self.shape is None else "image"
            raise ValueError(
                f"{what} {place[0]} has a number {rows[place]:.3g}, which is too large to be squared; allowed are "
                "numbers of the size of those of training"
            )
        return rows

    def _features(self, given: Any) -> NDArray[Any]:
        """Return rows of features, (N, p), by their names where they have some."""
        names = list(self.feature_names or ())
        if isinstance(given, pd.DataFrame):
            if missing := [name for name in names if name not in given]:
                raise ValueError(f"there is no feature {missing[0]!r:.80} among {some_of(given.columns)}")
            given = given[names]
            kinds = given.dtypes
            # What can tell of missing numbers, as pandas' Int64, becomes floats; such numbers are then NaN.
            if all(map(is_numeric_dtype, kinds)) and any(isinstance(kind, ExtensionDtype) for kind in kinds):
                given = given.to_numpy(np.float64, na_value=np.nan)
        rows: NDArray[Any] = np.asanyarray(given)
        if rows.ndim != 2 or not len(rows) or rows.shape[1] != len(names):
            raise ValueError(f"features have shape {rows.shape}; allowed are rows of {len(names)} numbers")
        if rows.dtype.kind not in "buif":
            raise ValueError(f"features are of type {rows.dtype}; allowed are numbers")

        def refuse(row: int, place: tuple[int, ...]) -> NoReturn:
            raise ValueError(
                f"row {row} has {rows[(row, *place)]} in feature {names[place[0]]!r:.80}; "
                "allowed are finite numbers"
            )

        for _ in finite_pieces(rows, refuse, may_lack=self.may_lack):
            pass
        return rows

    def _settings(self) -> dict[str, Any]:
        return {
            "shape": None if self.shape is None else list(self.shape),
            "feature_names": None if self.feature_names is None else list(self.feature_names),
        }

    @classmethod
    def _of(cls, model: Any, settings: dict[str, Any]) -> Self:
        shape = settings["shape"]
        return cls(model, None if shape is None else tuple(map(int, shape)), settings["feature_names"])
