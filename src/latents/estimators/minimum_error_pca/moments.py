"""Mean and scatter of data, summed over blocks in any order: all that PCA of tall data needs to know."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from latents.estimators.common.threads import n_blas_threads, one_blas_thread

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
        N.
    mean : ndarray of shape (p,)
        (1/N) sum_n x_n.
    scatter : ndarray of shape (p, p)
        sum_n (x_n - mean)(x_n - mean)' = N S.
    """

    n_samples: int
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, X: Any, device: str = "cpu") -> "Moments":
        """Sum over the rows of X (n, p), with all threads that there are (see ``RowSums.of``)."""
        return RowSums.of(X, device, n_blas_threads()).moments()

    @np.errstate(over="ignore", invalid="ignore")
    def __add__(self, other: "Moments") -> "Moments":
        """Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm", 1979."""
        n = self.n_samples + other.n_samples
        apart = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter += (self.n_samples * other.n_samples / n) * np.outer(apart, apart)
        return Moments(n, self.mean + apart * (other.n_samples / n), scatter)


@dataclass(frozen=True)
class RowSums:
    """What rows add up to before their mean is known; ``a + b`` is the same for both sets of rows together.

    Of sums less the same shift nothing is lost: those of bytes stay whole numbers. Others meet as ``Moments``.

    Attributes
    ----------
    n_samples : int
    sums : ndarray of shape (p,)
        sum_n (x_n - shift).
    products : ndarray of shape (p, p)
        sum_n (x_n - shift)(x_n - shift)'.
    shift : float or ndarray of shape (p,)
    dtype : dtype
        Of what is learned from the rows (``working_dtype``).
    """

    n_samples: int
    sums: Array
    products: Array
    shift: Any
    dtype: np.dtype[Any]

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")
    def of(cls, X: Any, device: str = "cpu", n_threads: int = 1) -> "RowSums":
        """Sum over the rows of X (n, p), dense or sparse, of any numeric type.

        Sums over dense rows are on the device (see ``sums_on``). Float32 data are multiplied in float32, some
        rows at a time, and added up in float64. Sums over bytes are exact. Data that are not finite, or whose
        squares overflow their type, show on the diagonal of the products, without a warning.

        Raises
        ------
        ValueError
            If torch cannot use the device.
        """
        if sp.issparse(X):
            T = cast("Any", X).astype(np.float64)
            sums = np.asarray(T.sum(axis=0)).ravel()
            return cls(T.shape[0], sums, (T.T @ T).toarray(), 0.0, working_dtype(X))
        return sums_on(device, Plan.of(X), X.shape, n_threads).of(X)

    @np.errstate(over="ignore", invalid="ignore")
    def __add__(self, other: "RowSums") -> "RowSums":
        dtype = np.result_type(self.dtype, other.dtype)
        if np.array_equal(self.shift, other.shift):
            n, sums = self.n_samples + other.n_samples, self.sums + other.sums
            return RowSums(n, sums, self.products + other.products, self.shift, dtype)
        both = self.moments() + other.moments()
        return RowSums(both.n_samples, np.zeros_like(both.mean), both.scatter, both.mean, dtype)

    @np.errstate(over="ignore", invalid="ignore")
    def moments(self) -> Moments:
        """Return mean and scatter."""
        n, from_shift = self.n_samples, self.sums / self.n_samples
        scatter = self.products - n * np.outer(from_shift, from_shift)
        return Moments(n, np.asarray(self.shift + from_shift, dtype=np.float64), scatter)


def sums_of_rows(X: Any, device: str) -> RowSums:
    """Sum over the rows of a block, by one thread."""
    return RowSums.of(X, device)


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
    return Sums(plan, shape[1], n_threads)


class Plan(NamedTuple):
    """How rows are multiplied: less what, in which type, how many at a time, and whether as they lie."""

    shift: Any
    dtype: np.dtype[Any]
    rows: int
    in_place: bool

    @classmethod
    def of(cls, X: NDArray[Any]) -> "Plan":
        """Choose by the type of X and its first rows."""
        if X.dtype.kind == "b" or X.dtype == np.uint8:
            return cls(np.float32(_BYTE_SHIFT), np.dtype(np.float32), _BYTE_ROWS, False)
        dtype = working_dtype(X)
        first = X[:64].astype(np.float64)
        mean, spread = first.mean(axis=0), first.var(axis=0).sum()
        if X.dtype == dtype and mean @ mean <= _FAR**2 * spread:
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

    def of(self, X: NDArray[Any]) -> RowSums:
        """Return the sums over the rows of X (n, p)."""
        # All that the threads sum into is no larger than the data.
        affordable = X.nbytes // (self.n_features**2 * (8 + self.plan.dtype.itemsize))
        n_parts = max(1, min(self._n_threads, affordable, len(X) // _THREAD_ROWS))
        for _ in range(n_parts):
            square = (self.n_features, self.n_features)
            self._parts.append((np.zeros(self.n_features), np.zeros(square)))
            self._scratch.append(np.empty(square, self.plan.dtype))
        edges = np.linspace(0, len(X), n_parts + 1).astype(int)
        if n_parts == 1:
            self._add_to(0, X)
        else:
            with one_blas_thread(), ThreadPoolExecutor(n_parts) as pool:
                list(
                    pool.map(
                        lambda part: self._add_to(part, X[edges[part] : edges[part + 1]]), range(n_parts)
                    )
                )
        return self._total(X)

    def _total(self, X: NDArray[Any]) -> RowSums:
        (sums, products), *others = self._parts
        for more, more_products in others:
            sums += more
            products += more_products
        return RowSums(len(X), sums, products, self.plan.shift, working_dtype(X))

    @np.errstate(over="ignore", invalid="ignore")  # which is told to each thread by itself
    def _add_to(self, part: int, X: NDArray[Any]) -> None:
        (sums, products), partial = self._parts[part], self._scratch[part]
        shift, dtype, rows, in_place = self.plan
        copied = np.empty((0 if in_place else min(rows, len(X)), self.n_features), dtype)
        ones = np.ones(min(rows, len(X)), dtype)
        for start in range(0, len(X), rows):
            block = X[start : start + rows]
            if not in_place:
                block = np.subtract(block, shift, out=copied[: len(block)], dtype=dtype, casting="unsafe")
            np.matmul(block.T, block, out=partial)
            products += partial
            sums += ones[: len(block)] @ block


class TorchSums(Sums):
    """The same sums, by the same plan, on another device: products in the plan's type, added up in float64."""

    def __init__(self, plan: Plan, n_features: int, device: "torch.device") -> None:
        import torch

        super().__init__(plan, n_features)
        self._torch = torch
        self._shift = torch.tensor(plan.shift, device=device)
        self._sums = torch.zeros(n_features, dtype=torch.float64, device=device)
        self._products = torch.zeros(n_features, n_features, dtype=torch.float64, device=device)

    def of(self, X: NDArray[Any]) -> RowSums:
        """Return the sums over the rows of X (n, p)."""
        for start in range(0, len(X), self.plan.rows):
            rows = self._torch.tensor(X[start : start + self.plan.rows])  # in their own type: bytes, for one
            block = rows.to(self._shift.device).to(self._shift.dtype) - self._shift
            self._products += block.T @ block
            self._sums += block.sum(dim=0)
        self._parts = [(self._sums.cpu().numpy(), self._products.cpu().numpy())]
        return self._total(X)
