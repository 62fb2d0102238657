"""Mean and scatter of data, summed over blocks in any order: all that PCA of tall data needs to know."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from latents.estimators.common.threads import n_blas_threads, one_blas_thread
from latents.estimators.minimum_error_pca.tensors import TensorRows, as_array, product
from latents.estimators.minimum_error_pca.weighted import counted, roots_of

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]
FloatArray = NDArray[np.floating[Any]]

# Rows are copied in blocks of about this many bytes, so that no float copy of the data is ever made; and no more
# than this many are multiplied at a time, so that float32 adds up no more products than that.
_BLOCK_BYTES, _BLOCK_ROWS = 2**23, 4096
# Bytes less 128 are at most 128 in size: the products of 1,024 such rows add up exactly in float32, 2^24 at most.
_BYTE_SHIFT, _BYTE_ROWS = 128.0, 1024
# Data whose mean is no farther from the origin than they spread are summed as they lie: what cancels is then less
# than a digit, and no row has to be copied.
_FAR = 1.0
# Loading torch takes seconds: so many products of two numbers take longer.
_MANY_PRODUCTS = 1e12
# Fewer are done before it is known how fast products of bytes are.
_FEW_PRODUCTS = 1e9
# A thread is worth its while from this many rows on.
_THREAD_ROWS = 1024


def block_rows(n_features: int, itemsize: int, least: int = 256) -> int:
    """Return how many rows of floats make a block; `least` are worth a sum of p x p."""
    return min(max(least, _BLOCK_BYTES // (n_features * itemsize)), _BLOCK_ROWS)


def working_dtype(X: Any) -> np.dtype[Any]:
    """Return float32 for float32 data, else float64: the type of what is learned from X."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


@dataclass(frozen=True)
class Moments:
    """What some rows x_n add up to; ``a + b`` is the same for both sets of rows together.

    Attributes
    ----------
    n_samples : int
        N; with weights, of how many rows they are above 0.
    mean : ndarray of shape (p,)
        (1/N) sum_n x_n, or sum_n w_n x_n / sum_n w_n.
    scatter : ndarray of shape (p, p)
        sum_n (x_n - mean)(x_n - mean)' = N S, or sum_n w_n (x_n - mean)(x_n - mean)'.
    total_weight : float, optional
        sum_n w_n, where there are weights.
    """

    n_samples: int
    mean: Array
    scatter: Array
    total_weight: float | None = None

    @property
    def total(self) -> float:
        """Return what the sums are divided by: N, or the weights' sum."""
        return self.n_samples if self.total_weight is None else self.total_weight

    @classmethod
    def of(cls, X: Any, device: str = "cpu", weights: Array | None = None) -> "Moments":
        """Sum over the rows of X (n, p), with all threads that there are (see ``RowSums.of``)."""
        return RowSums.of(X, device, n_blas_threads(), weights).moments()

    @np.errstate(over="ignore", invalid="ignore")
    def __add__(self, other: "Moments") -> "Moments":
        """Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm", 1979."""
        n, total = self.n_samples + other.n_samples, self.total + other.total
        apart = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter += (self.total * other.total / total) * np.outer(apart, apart)
        return Moments(n, self.mean + apart * (other.total / total), scatter, _total_weight(self, other))


@dataclass(frozen=True)
class RowSums:
    """What rows add up to before their mean is known; ``a + b`` is the same for both sets of rows together.

    Of sums less the same shift nothing is lost: those of bytes stay whole numbers. Others meet as ``Moments``.

    Attributes
    ----------
    n_samples : int
    sums : ndarray of shape (p,)
        sum_n w_n (x_n - shift), where w_n is 1 if there are no weights.
    products : ndarray of shape (p, p)
        sum_n w_n (x_n - shift)(x_n - shift)'.
    shift : float or ndarray of shape (p,)
    dtype : dtype
        Of what is learned from the rows (``working_dtype``).
    total_weight : float, optional
        sum_n w_n, where there are weights.
    """

    n_samples: int
    sums: Array
    products: Array
    shift: Any
    dtype: np.dtype[Any]
    total_weight: float | None = None

    @property
    def total(self) -> float:
        """Return what the sums are divided by: N, or the weights' sum."""
        return self.n_samples if self.total_weight is None else self.total_weight

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")
    def of(cls, X: Any, device: str = "cpu", n_threads: int = 1, weights: Array | None = None) -> "RowSums":
        """Sum over the rows of X (n, p), dense or sparse, of any numeric type.

        Sums over dense rows are on the device (see ``sums_on``), those of a tensor on its own. Float32 data are
        multiplied in float32, some rows at a time, and added up in float64. Sums over bytes are exact, those with
        weights to float64. Data that are not finite, or whose squares overflow their type, show on the diagonal of
        the products, without a warning. Rows of weight 0 are left out.

        Raises
        ------
        ValueError
            If torch cannot use the device, or it is not that of a tensor.
        """
        if isinstance(X, TensorRows):
            X.check_device(device)
            X = X.seen()
        if weights is not None:
            X, weights = counted(X, weights)
            if not len(weights):
                p = X.shape[1]
                return cls(0, np.zeros(p), np.zeros((p, p)), 0.0, working_dtype(X), 0.0)
        if sp.issparse(X):
            T = cast("Any", X).astype(np.float64)
            if weights is not None:
                products = T.T @ T.multiply(weights[:, np.newaxis]).tocsr()
                return cls(
                    len(weights), T.T @ weights, products.toarray(), 0.0, working_dtype(X), weights.sum()
                )
            sums = np.asarray(T.sum(axis=0)).ravel()
            return cls(T.shape[0], sums, (T.T @ T).toarray(), 0.0, working_dtype(X))
        plan = Plan.of(X, weights is not None)
        if isinstance(X, TensorRows):
            return TorchSums(plan, X.shape[1], X.device).of(X, weights)
        return sums_on(device, plan, X.shape, n_threads).of(X, weights)

    @np.errstate(over="ignore", invalid="ignore")
    def __add__(self, other: "RowSums") -> "RowSums":
        if not (self.n_samples and other.n_samples):  # of a block all of whose weights are 0
            return self if self.n_samples else other
        dtype = np.result_type(self.dtype, other.dtype)
        if np.array_equal(self.shift, other.shift):
            n, sums = self.n_samples + other.n_samples, self.sums + other.sums
            weight = _total_weight(self, other)
            return RowSums(n, sums, self.products + other.products, self.shift, dtype, weight)
        both = self.moments() + other.moments()
        none = np.zeros_like(both.mean)
        return RowSums(both.n_samples, none, both.scatter, both.mean, dtype, both.total_weight)

    @np.errstate(over="ignore", invalid="ignore")
    def moments(self) -> Moments:
        """Return mean and scatter."""
        from_shift = self.sums / self.total
        scatter = self.products - self.total * np.outer(from_shift, from_shift)
        mean = np.asarray(self.shift + from_shift, dtype=np.float64)
        return Moments(self.n_samples, mean, scatter, self.total_weight)


def _total_weight(one: Moments | RowSums, other: Moments | RowSums) -> float | None:
    """Return the sum of the weights of both, where one has any."""
    return None if one.total_weight is None and other.total_weight is None else one.total + other.total


def sums_of_rows(block: Any, device: str) -> RowSums:
    """Sum over the rows of a block, or of a tuple of a block and its weights, by one thread."""
    X, weights = block if isinstance(block, tuple) else (block, None)
    return RowSums.of(X, device, weights=weights)


def sums_on(device: str, plan: "Plan", shape: tuple[int, int], n_threads: int) -> "Sums":
    """Return what sums on the device; "auto" is CUDA, where there is one, for data of `shape` that take long."""
    if device != "cpu" and (device != "auto" or shape[0] * shape[1] ** 2 >= _MANY_PRODUCTS):
        from latents.estimators.common.devices import resolve_device

        resolved = resolve_device(device)
        if resolved.type == "mps":
            raise ValueError(
                f"device is {device!r}, which has no float64 to add up in; allowed are 'auto', 'cpu' and 'cuda'"
            )
        if resolved.type != "cpu":
            return TorchSums(plan, shape[1], resolved)
    # Loading torch takes longer than most sums over bytes: where it is, it may help.
    if plan.are_bytes and shape[0] * shape[1] ** 2 >= _FEW_PRODUCTS and "torch" in sys.modules:
        from latents.estimators.minimum_error_pca.integers import are_faster

        if are_faster(n_threads):
            return ByteSums(plan, shape[1])
    return Sums(plan, shape[1], n_threads)


class Plan(NamedTuple):
    """How rows are multiplied: less what, in which type, how many at a time, and whether as they lie."""

    shift: Any
    dtype: np.dtype[Any]
    rows: int
    in_place: bool
    are_bytes: bool = False  # multiplied as such: not those with weights

    @classmethod
    def of(cls, X: Any, has_weights: bool = False) -> "Plan":
        """Choose by the type of X and its first rows; those with weights are multiplied, hence copied."""
        if (X.dtype.kind == "b" or X.dtype == np.uint8) and not has_weights:
            return cls(np.float32(_BYTE_SHIFT), np.dtype(np.float32), _BYTE_ROWS, False, are_bytes=True)
        dtype = working_dtype(X)
        first = as_array(X[:64]).astype(np.float64)
        mean, spread = first.mean(axis=0), first.var(axis=0).sum()
        if X.dtype == dtype and not has_weights and mean @ mean <= _FAR**2 * spread:
            return cls(dtype.type(0), dtype, _BLOCK_ROWS, True)
        return cls(mean.astype(dtype), dtype, block_rows(X.shape[1], dtype.itemsize), False)


class Sums:
    """Sums over rows by a plan.

    Parts of the rows are summed side by side, each by one thread of BLAS: sooner done than products on all.
    """

    def __init__(self, plan: Plan, n_features: int, n_threads: int = 1) -> None:
        self.plan, self.n_features, self._n_threads = plan, n_features, n_threads
        self._parts: list[tuple[Array, Array]] = []
        self._scratch: list[FloatArray] = []  # of each part, for the products of a few rows

    def of(self, X: Any, weights: Array | None = None) -> RowSums:
        """Return the sums over the rows of X (n, p), times their weights (n,), all above 0, if they have any."""
        # All that the threads sum into is no larger than the data.
        affordable = X.nbytes // (self.n_features**2 * (8 + self.plan.dtype.itemsize))
        n_parts = max(1, min(self._n_threads, affordable, len(X) // _THREAD_ROWS))
        for _ in range(n_parts):
            square = (self.n_features, self.n_features)
            self._parts.append((np.zeros(self.n_features), np.zeros(square)))
            self._scratch.append(np.empty(square, self.plan.dtype))
        edges = np.linspace(0, len(X), n_parts + 1).astype(int).tolist()
        roots, unit = (None, 1.0) if weights is None else roots_of(weights, self.plan.dtype)
        if n_parts == 1:
            self._add_to(0, X, 0, len(X), roots)
        else:
            with one_blas_thread(), ThreadPoolExecutor(n_parts) as pool:
                list(
                    pool.map(
                        lambda part: self._add_to(part, X, edges[part], edges[part + 1], roots),
                        range(n_parts),
                    )
                )
        return self._total(X, weights, unit)

    def _total(self, X: Any, weights: Array | None, unit: float) -> RowSums:
        (sums, products), *others = self._parts
        for more, more_products in others:
            sums += more
            products += more_products
        n, shift, dtype = len(X), self.plan.shift, working_dtype(X)
        if weights is None:
            return RowSums(n, sums, products, shift, dtype)
        return RowSums(n, unit * sums, unit * products, shift, dtype, float(weights.sum()))

    @np.errstate(over="ignore", invalid="ignore")  # which is told to each thread by itself
    def _add_to(self, part: int, X: Any, first: int, last: int, roots: FloatArray | None) -> None:
        (sums, products), partial = self._parts[part], self._scratch[part]
        shift, dtype, rows, in_place, _ = self.plan
        copied = np.empty((0 if in_place else min(rows, last - first), self.n_features), dtype)
        ones = np.ones(min(rows, last - first), dtype)
        for start in range(first, last, rows):
            block = X[start : min(start + rows, last)]
            factors = ones[: len(block)]
            if not in_place:
                block = np.subtract(block, shift, out=copied[: len(block)], dtype=dtype, casting="unsafe")
            if roots is not None:
                factors = roots[start : start + len(block)]
                block *= factors[:, np.newaxis]
            np.matmul(block.T, block, out=partial)
            products += partial
            sums += factors @ block


class ByteSums(Sums):
    """The same sums, of bytes or truth values, in whole numbers (see ``sums_of_bytes``)."""

    def of(self, X: Any, weights: Array | None = None) -> RowSums:  # noqa: ARG002 - bytes have none (``Plan.of``)
        """Return the sums over the rows of X (n, p)."""
        from latents.estimators.minimum_error_pca.integers import sums_of_bytes

        sums, products = sums_of_bytes(X)
        self._parts = [(sums.astype(np.float64), products)]
        return self._total(X, None, 1.0)


class TorchSums(Sums):
    """The same sums, by the same plan, on another device: products in the plan's type, added up in float64."""

    def __init__(self, plan: Plan, n_features: int, device: "torch.device") -> None:
        import torch

        super().__init__(plan, n_features)
        self._torch = torch
        self._shift = torch.tensor(plan.shift, device=device)
        self._sums = torch.zeros(n_features, dtype=torch.float64, device=device)
        self._products = torch.zeros(n_features, n_features, dtype=torch.float64, device=device)

    def of(self, X: Any, weights: Array | None = None) -> RowSums:
        """Return the sums over the rows of X (n, p), times their weights (n,), all above 0, if they have any."""
        roots, unit = (None, 1.0) if weights is None else roots_of(weights, self.plan.dtype)
        for start in range(0, len(X), self.plan.rows):
            rows = X[start : start + self.plan.rows]
            if not isinstance(X, TensorRows):
                rows = self._torch.tensor(rows)  # in their own type: bytes, for one
            block = rows.to(self._shift.device).to(self._shift.dtype)
            if not self.plan.in_place:
                block = block - self._shift
            if roots is None:
                self._sums += block.sum(dim=0)
            else:
                factors = self._torch.tensor(roots[start : start + len(block)], device=block.device)
                block *= factors[:, None]
                self._sums += product(factors, block)
            self._products += product(block.T, block)
        self._parts = [(self._sums.cpu().numpy(), self._products.cpu().numpy())]
        return self._total(X, weights, unit)
