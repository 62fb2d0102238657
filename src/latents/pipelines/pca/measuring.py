"""What the fitted basis makes of every row, in blocks.

Data may be a memory map, or bytes eight times smaller than floats, and are never turned to floats as a whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from latents.estimators import MinimumErrorPCA

_BLOCK = 4_000_000  # numbers that are floats at a time: 32 MB
_DEVIATIONS = 4  # features named of a row that deviates


def blocks(
    X: NDArray[Any], rows: NDArray[np.intp], n_numbers: int | None = None
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield the chosen rows of X in blocks of about `n_numbers`, each with its place among them."""
    for place in gen_batches(len(rows), max((n_numbers or _BLOCK) // X.shape[1], 1)):
        yield place, np.asarray(X[rows[place]])


def complete(model: MinimumErrorPCA, X: NDArray[Any]) -> NDArray[Any]:
    """Return rows with what is expected of them in place of missing numbers (NaN); others as they are."""
    X = np.asarray(X)
    return model.impute(X) if X.dtype.kind == "f" and np.isnan(X).any() else X


def incomplete(X: NDArray[Any]) -> NDArray[np.intp]:
    """Return the rows that lack a number (NaN)."""
    if X.dtype.kind != "f":
        return np.empty(0, np.intp)
    lacking = [np.isnan(block).any(axis=1) for _, block in blocks(X, np.arange(len(X)))]
    return np.flatnonzero(np.concatenate(lacking))


def with_numbers(X: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return those of some rows that have any number: of the others there is nothing to measure."""
    if X.dtype.kind != "f" or not len(rows):
        return rows
    told: NDArray[np.bool_] = np.concatenate([~np.isnan(block).all(axis=1) for _, block in blocks(X, rows)])
    return rows[told]


def share_missing(X: NDArray[Any]) -> float:
    """Return the share of missing numbers (NaN)."""
    if X.dtype.kind != "f":
        return 0.0
    return sum(int(np.isnan(block).sum()) for _, block in blocks(X, np.arange(len(X)))) / X.size


def project(model: MinimumErrorPCA, X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the coordinates (N, d) and the errors |x - x~|^2 (N,) of all rows."""
    parts = [
        (model.transform(block), model.reconstruction_errors(block))
        for _, block in blocks(X, np.arange(len(X)))
    ]
    z, errors = zip(*parts, strict=True)
    return np.concatenate(z), np.concatenate(errors).astype(np.float64)


def error_curve(
    model: MinimumErrorPCA, X: NDArray[Any], rows: NDArray[np.intp], weights: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Return the mean squared error of the chosen rows for every d from 0 to ``n_components_``.

    The weights (N,) of all rows of X, if there are any, are above 0 in the chosen ones.
    """
    curve = np.zeros(model.n_components_ + 1)
    for place, block in blocks(X, rows):
        of_block = None if weights is None else weights[rows[place]]
        total = len(block) if of_block is None else of_block.sum()
        curve += total * model.distortion_curve(block, of_block)
    return curve / (len(rows) if weights is None else weights[rows].sum())


def measured_errors(
    model: MinimumErrorPCA,
    X: NDArray[Any],
    rows: NDArray[np.intp],
    dimensions: Sequence[int],
    weights: NDArray[Any] | None = None,
) -> pd.Series:
    """Rebuild the chosen rows from d coordinates for each d given; return the mean of |x - x~|^2 by d.

    Where there are weights (N,) of all rows of X, it is a weighted mean.

    What is left of a row at one d is carried on to the next: x - x~ less the coordinates between the two.
    """
    basis, mean = model.components_.astype(np.float64), model.mean_.astype(np.float64)
    totals = dict.fromkeys(sorted(dimensions), 0.0)
    for place, block in blocks(X, rows):
        rest = complete(model, block) - mean
        observed = ~np.isnan(block) if block.dtype.kind == "f" else True
        z = rest @ basis.T
        rest *= observed
        done = 0
        for d in totals:
            rest -= (z[:, done:d] @ basis[done:d]) * observed
            if weights is None:
                totals[d] += float(np.einsum("ij,ij->", rest, rest))
            else:
                totals[d] += float(weights[rows[place]] @ np.einsum("ij,ij->i", rest, rest))
            done = d
    return pd.Series(totals) / (len(rows) if weights is None else weights[rows].sum())


def rebuild(model: MinimumErrorPCA, X: NDArray[Any], d: int) -> NDArray[np.float64]:
    """Rebuild rows from their first d coordinates, x~ = mean + sum_{i<=d} (x - mean)'mu_i mu_i."""
    basis, mean = model.components_[:d].astype(np.float64), model.mean_.astype(np.float64)
    rebuilt: NDArray[np.float64] = mean + (X - mean) @ basis.T @ basis
    return rebuilt


def relative_gap(distortion: float, measured: float, total: float) -> float:
    """Return the difference between J and the measured error as a share of the error.

    Where nothing is discarded both are rounding errors of the total variance, and the share is taken of that.
    """
    scale = measured if measured > 1e-9 * total else total
    return abs(distortion - measured) / scale


def worst_rows(
    model: MinimumErrorPCA, X: NDArray[Any], data: Mapping[str, NDArray[Any]], scores: pd.DataFrame, n: int
) -> tuple[pd.DataFrame, dict[str, NDArray[Any]]]:
    """Find the rows that the basis serves worst, trained on or not.

    Returns
    -------
    table : DataFrame
        The `n` largest errors, the largest first: ``row``, ``name`` and ``label`` where known, ``held_out``,
        ``outlying`` of a robust model, ``error``, ``times_mean`` (how many times the mean error) and, for a table
        of features, ``deviations``: the features that deviate most, each with its value, what it is rebuilt as,
        and its share of the error.
    arrays : mapping
        ``rows``, ``originals`` and ``rebuilt`` of the same.
    """
    errors = scores["error"].to_numpy()
    rows = np.argsort(-errors, kind="stable")[:n]
    mean = errors.mean()
    given = np.asarray(X[rows])
    originals = complete(model, given)
    arrays = {"rows": rows, "originals": originals, "rebuilt": rebuild(model, originals, model.n_components_)}
    table = pd.DataFrame({"row": rows})
    for column, key in (("name", "names"), ("label", "labels")):
        if key in data:
            table[column] = data[key][rows]
    for column in ("held_out", "outlying"):
        if column in scores:
            table[column] = scores[column].to_numpy()[rows]
    table["error"] = errors[rows]
    table["times_mean"] = errors[rows] / mean if mean > 0 else 1.0
    if "features" in data:
        table["deviations"] = [
            _deviations(original, rebuilt, data["feature_names"])
            for original, rebuilt in zip(given, arrays["rebuilt"], strict=True)
        ]
    return table, arrays


def _deviations(original: NDArray[Any], rebuilt: NDArray[Any], names: NDArray[Any]) -> str:
    squares = np.nan_to_num((original - rebuilt) ** 2)  # of missing numbers 0
    total = float(squares.sum()) or 1.0
    return "; ".join(
        f"{names[j]} {original[j]:.4g} (rebuilt {rebuilt[j]:.4g}, {squares[j] / total:.0%} of the error)"
        for j in np.argsort(-squares, kind="stable")[:_DEVIATIONS]
    )
