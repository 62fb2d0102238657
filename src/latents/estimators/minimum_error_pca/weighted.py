"""Rows that stand for so many samples each: sums over n are weighted, and rows of weight 0 left out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from latents.estimators.common.weights import checked_weights
from latents.estimators.minimum_error_pca.tensors import TensorRows, as_array

Array = NDArray[np.float64]

# Sums of weights: times squares of data they are to stay within float64, and their roots within float32.
_LEAST, _MOST = 1e-30, 1e30


def weights_of_rows(
    sample_weight: ArrayLike | None, n_rows: int | None, *, any_above: bool = True
) -> Array | None:
    """Return ``checked_weights`` of rows, which add up to what squares of data can be multiplied by."""
    weights = checked_weights(as_array(sample_weight), n_rows, "row", any_above=any_above)
    if weights is not None and weights.any():
        with np.errstate(over="ignore"):
            total = weights.sum()
        if not _LEAST <= total <= _MOST:
            raise ValueError(
                f"sample_weight adds up to {total:.3g}; allowed is {_LEAST:g} to {_MOST:g}: scale it"
            )
    return weights


def check_enough(n_rows: int) -> None:
    """Refuse weights of which less than two are above 0."""
    if n_rows < 2:
        raise ValueError(
            "sample_weight is above 0 for 1 sample; a minimum of 2 is required by MinimumErrorPCA"
        )


class Picked:
    """Some rows of an array, which are read a block at a time; ``np.asarray`` reads all."""

    def __init__(self, X: NDArray[Any], rows: NDArray[np.intp]) -> None:
        self._X, self._rows, self.dtype = X, rows, X.dtype
        self.shape = (len(rows), X.shape[1])
        self.nbytes = len(rows) * X.shape[1] * X.itemsize

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: slice) -> NDArray[Any]:
        return np.asarray(self._X[self._rows[which]])

    def picked(self, rows: NDArray[np.intp]) -> "Picked":
        """Return some of them."""
        return Picked(self._X, self._rows[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)


def picked(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return some rows of X; of an array or a tensor they are not copied."""
    if isinstance(X, Picked | TensorRows):
        return X.picked(rows)
    return cast("Any", X)[rows] if sp.issparse(X) else Picked(X, rows)


def counted(X: Any, weights: Array) -> tuple[Any, Array]:
    """Return the rows of X whose weight is above 0, and their weights."""
    rows: NDArray[np.intp] = np.flatnonzero(weights)
    if len(rows) == len(weights):
        return X, weights
    return picked(X, rows), weights[rows]


def roots_of(weights: Array, dtype: Any = np.float64) -> tuple[NDArray[Any], float]:
    """Return sqrt(w_n / unit) and the unit, a power of 4 near the largest: their squares are within any type."""
    unit = 4.0 ** (int(np.frexp(weights.max())[1]) // 2)
    return np.sqrt(weights / unit).astype(dtype, copy=False), unit


def sample_size(n_rows: int, total_weight: float | None) -> float:
    """Return N as divisors have it: the rows or, with weights, their sum, but not less than the rows.

    Whole weights so are as good as repeated rows, and weights that tell shares alone, as of a sum of 1, change
    no divisor.
    """
    return n_rows if total_weight is None else max(total_weight, n_rows)


def weighted_mean(values: NDArray[Any], weights: Array | None) -> float:
    """Return the mean of numbers (N,), in float64."""
    return float(values.mean(dtype=np.float64) if weights is None else values @ weights / weights.sum())


def mean_of(X: Any, weights: Array | None, block_rows: int) -> Array:
    """Return the mean of the rows of X (N, p), in float64; with weights so many are read at a time."""
    if isinstance(X, TensorRows):
        return X.mean(weights)
    if weights is None:
        return np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    if sp.issparse(X):
        return np.asarray(cast("Any", X).T @ (weights / weights.sum())).ravel()
    mean, shares = np.zeros(X.shape[1]), weights / weights.sum()
    for start in range(0, len(X), block_rows):
        mean += shares[start : start + block_rows] @ X[start : start + block_rows]
    return mean


@dataclass(frozen=True)
class ByNumber:
    """Puts to a block the weights of its rows, by its number; `starts` are the first rows of each block."""

    weights: Array
    starts: list[int]

    def __call__(self, block: Any, number: int) -> tuple[Any, Array]:
        """Return both."""
        return block, self.weights[slice(*self.starts[number : number + 2])]


def with_weights(blocks: Iterable[Any], weights: Array) -> Iterator[tuple[Any, Array]]:
    """Give each block with the weights of its rows; raise a ``ValueError`` unless there is one for each row."""
    start = 0
    for block in blocks:
        stop = start + block.shape[0]
        if stop > len(weights):
            raise ValueError(
                f"sample_weight has {len(weights)} numbers, and the blocks have {stop} rows or more; allowed is "
                "one for each"
            )
        yield block, weights[start:stop]
        start = stop
    checked_weights(weights, start, "row")


def n_rows_of(block: Any) -> int:
    """Return how many rows a block has."""
    return int(np.shape(block)[0])
