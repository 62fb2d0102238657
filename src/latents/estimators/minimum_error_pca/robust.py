"""Rows that lie apart from all others: found before they can turn the basis, by the method of ROBPCA."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from latents.estimators.minimum_error_pca.centred import Centred
from latents.estimators.minimum_error_pca.moments import Array, FloatArray

# Hubert, Rousseeuw and Vanden Branden's numbers: directions, and the share of the rows to begin with.
_DIRECTIONS, _SHARE = 250, 0.75
_AT_ONCE = 50  # directions; their projections are held beside the data
# What 1 in 200 of a normal distribution is above, in its standard deviations; and what makes these of the median
# absolute deviation, or of the mean one.
_QUANTILE, _FROM_MEDIAN, _FROM_MEAN = 2.5758, 1.4826, 1.2533
_ROUNDS = 10
_ROUNDING = 64  # so many epsilons of the variance are an error of nothing

Mask = NDArray[np.bool_]
# Fits to some of the rows; returns |x - x~|^2 of all of them, J(0) and d.
ErrorsOf = Callable[[Mask], tuple[FloatArray, float, int]]


class Support(NamedTuple):
    """The rows (N,) that a basis is to be fitted to, and what the squared errors of all others are beyond."""

    rows: Mask
    cutoff: float


def support_of(X: Any, errors_of: ErrorsOf, generator: np.random.RandomState) -> Support:
    """Find the rows of X (N, p) that are of one kind.

    The three quarters of the rows that are outlying least are fitted first. From then on it is their distance from
    the plane by which rows count or do not, until these are the same ones. A plane is nearer to the rows that it
    was fitted to: in noise, errors of these are (n - 1 - d) / (n - 1) of what they are by the true one, and those
    of new rows (n - 1 + d) / (n - 1). The former are taken times what is between, and all judged by one measure.

    Raises
    ------
    ValueError
        If the plane has as many dimensions as there are rows to fit, so that no distance tells rows apart.
    """
    outlying = outlyingness(X, generator)
    rows = np.zeros(len(outlying), dtype=bool)
    rows[np.argsort(outlying, kind="stable")[: int(np.ceil(_SHARE * len(rows)))]] = True
    for _ in range(_ROUNDS):
        errors, total, d = errors_of(rows)
        n, p = int(rows.sum()), X.shape[1]
        if d >= min(n - 1, p):
            raise ValueError(
                f"robust=True judges rows by their distance from the plane, and n_components is {d}; allowed are "
                f"less than {min(n - 1, p)}, of {len(rows)} rows and {p} features"
            )
        errors = np.where(rows, errors * ((n - 1 + d) / (n - 1 - d)), errors)
        cutoff = max(cutoff_of(errors), float(_ROUNDING * np.finfo(errors.dtype).eps * total))
        former, rows = rows, errors <= cutoff
        if (rows == former).all():
            break
    return Support(rows, cutoff)


def outlyingness(X: Any, generator: np.random.RandomState) -> Array:
    """Return of each row max_v |x'v - median| / MAD over directions v through two rows (Stahel and Donoho).

    Along a direction in which over half of the rows agree, the mean deviation is taken for the median one.
    """
    A = Centred(X, np.zeros(X.shape[1]))
    found = np.zeros(A.shape[0])
    with np.errstate(over="ignore", invalid="ignore"):
        for directions in _directions(X, generator):
            projections = A.times(directions).astype(np.float64)
            deviations = np.abs(projections - np.median(projections, axis=0))
            scale = _FROM_MEDIAN * np.median(deviations, axis=0)
            scale = np.where(scale > 0, scale, _FROM_MEAN * deviations.mean(axis=0))
            told = scale > 0
            np.fmax(found, (deviations[:, told] / scale[told]).max(axis=1, initial=0.0), out=found)
    return found


def _directions(X: Any, generator: np.random.RandomState) -> Iterator[FloatArray]:
    """Yield unit vectors as columns (p, k) through pairs of rows that differ."""
    for _ in range(_DIRECTIONS // _AT_ONCE):
        first = generator.randint(X.shape[0], size=_AT_ONCE)
        second = (first + generator.randint(1, X.shape[0], size=_AT_ONCE)) % X.shape[0]
        ends = [cast("Any", X)[rows].toarray() if sp.issparse(X) else X[rows] for rows in (first, second)]
        apart = np.subtract(*ends, dtype=np.float64)
        largest = np.abs(apart).max(axis=1)
        apart = apart[largest > 0] / largest[largest > 0, np.newaxis]
        apart /= np.linalg.norm(apart, axis=1, keepdims=True)
        yield apart.T.astype(np.float32 if X.dtype == np.float32 else np.float64)


def cutoff_of(errors: FloatArray) -> float:
    """Return the squared error that 1 in 200 rows of one kind exceed.

    Cube roots of squared distances are about normal (Wilson and Hilferty); median and MAD tell of which.
    """
    roots = np.cbrt(errors.astype(np.float64))
    median = np.nanmedian(roots)
    spread = _FROM_MEDIAN * np.nanmedian(np.abs(roots - median))
    # Half of the rows count at least, whatever is lost in the third power of a root.
    return max(float(median + _QUANTILE * spread) ** 3, float(np.nanmedian(errors)))
