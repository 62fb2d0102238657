"""Bi-cross-validation: the error of held-out blocks of entries for every number of dimensions.

Rows and columns of the centred data are parted in three each, at random. Of

    A = [[held, B], [C, D]]

the block `held` is predicted by B D_k^+ C, where D_k is the best approximation of D of rank k. Directions that the
data share help there; those of noise do harm.
"""

from contextlib import nullcontext
from functools import reduce
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy import linalg
from sklearn.utils import check_random_state

from latents.estimators.common.threads import one_blas_thread
from latents.estimators.minimum_error_pca.centred import Centred, Weighted
from latents.estimators.minimum_error_pca.moments import Array, Moments, block_rows, working_dtype
from latents.estimators.minimum_error_pca.solvers import THREADED, check_squares
from latents.estimators.minimum_error_pca.weighted import mean_of, picked

N_FOLDS, N_REPETITIONS = 3, 8
# What of D is below so many last digits of its largest eigenvalue is a rounding error.
_ROUNDING = 16


def cross_validation_curve(X: Any, weights: Array | None, device: str, seed: Any) -> Array:
    """Return the mean squared error of held-out entries, summed over the columns, for k = 0, 1, ...

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (N, p), or the like
        Finite.
    weights : ndarray of shape (N,), optional
        Above 0.
    device : str
        Where to sum over rows.
    seed : int, RandomState instance or None

    Returns
    -------
    ndarray of shape (m + 1,)
        Up to the least rank that a D has.

    Raises
    ------
    ValueError
        If there are less than three rows or columns, or squares overflow.
    """
    if min(X.shape) < N_FOLDS:
        raise ValueError(
            f"n_components='cross_validation' parts rows and columns in {N_FOLDS}; X has n_samples={X.shape[0]}, "
            f"n_features={X.shape[1]}"
        )
    rng, n_samples = check_random_state(seed), X.shape[0]
    if X.shape[0] < X.shape[1] and not sp.issparse(X):
        X = np.asarray(X)
    mean = mean_of(X, weights, block_rows(X.shape[1], 8))
    total = n_samples if weights is None else float(weights.sum())
    errors: list[Array] = []
    for repetition in range(N_REPETITIONS):
        short, long = (_parts(size, rng) for size in sorted(X.shape))
        products = [_products(X, part, mean, weights, device) for part in long]
        every = reduce(np.add, products)
        if not repetition:
            check_squares(float(every.trace()) * (n_samples / total), X.shape[1], working_dtype(X))
        eps = _ROUNDING * float(np.finfo(working_dtype(X)).eps)
        errors += [_errors(every - held, held, columns, eps) for held in products for columns in short]
    m = min(map(len, errors))
    curve: Array = np.sum([part[:m] for part in errors], axis=0) / (N_REPETITIONS * total)
    return curve


def _parts(size: int, rng: np.random.RandomState) -> list[NDArray[np.intp]]:
    return [np.sort(part) for part in np.array_split(rng.permutation(size), N_FOLDS)]


def _products(X: Any, part: NDArray[np.intp], mean: Array, weights: Array | None, device: str) -> Array:
    """Return A'A over some rows or, where there are less rows than columns, A A' over some columns.

    B D_k^+ C is the same, transposed, for the transposed data: it takes the products along the longer side alone.
    """
    if X.shape[0] >= X.shape[1]:
        moments = Moments.of(picked(X, part), device, None if weights is None else weights[part])
        apart = moments.mean - mean
        products: Array = moments.scatter + moments.total * np.outer(apart, apart)
        return products
    some, of_them = X[:, part], mean[part]
    if weights is None:
        return Centred(some, of_them).gram()
    A = Weighted(some, of_them, weights)
    return A.gram() * (float(weights.sum()) / A.total)


def _errors(kept: Array, held: Array, columns: NDArray[np.intp], eps: float) -> Array:
    """Return the squared error of a held-out block for every k.

    With D'D = V L V', the block is predicted by B V_k Y_k, Y = L^-1 V' D'C: from products over the rows alone.

    Parameters
    ----------
    kept, held : ndarray of shape (m, m)
        A'A over the rows of D, and over the others.
    columns : ndarray
        Columns of the block.
    eps : float
        Directions whose share of the largest eigenvalue is less are left out.
    """
    others = np.delete(np.arange(len(kept)), columns)
    inside, across = np.ix_(others, others), np.ix_(others, columns)
    with one_blas_thread() if len(others) < THREADED else nullcontext():
        values, vectors = linalg.eigh(kept[inside], driver="evd", overwrite_a=True, check_finite=False)
        useful = slice(None, -int(np.sum(values > eps * values[-1])) - 1, -1)
        values, vectors = values[useful], vectors[:, useful]
        Y = vectors.T @ kept[across] / values[:, np.newaxis]
        gains = np.einsum("kj,kj->k", Y, vectors.T @ held[across])
        squares = (vectors.T @ held[inside] @ vectors) * (Y @ Y.T)
    whole = float(held.diagonal()[columns].sum())
    added = 2 * np.tril(squares, -1).sum(axis=1) + squares.diagonal() - 2 * gains
    return np.cumsum(np.concatenate([[whole], added]))
