"""Data that are torch tensors: they stay where they lie, and what is made of their rows is given back there.

Torch is imported by whoever has a tensor; nothing here imports it before.
"""

import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite

if TYPE_CHECKING:
    import torch

# Types of tensors that have one among arrays, and one that works as another half.
_DTYPES = {name: np.dtype(name) for name in ("bool", "float16", "float32", "float64")}
_DTYPES |= {
    f"{sign}int{bits}": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_DTYPES["bfloat16"] = np.dtype(np.float16)
# Numbers that are looked at, or converted, at a time.
_BLOCK_NUMBERS = 2**21


def is_tensor(X: Any) -> bool:
    """Return whether X is a torch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(X, torch.Tensor)


def as_array(X: Any) -> Any:
    """Return a tensor as an array, on the CPU without a copy; anything else as it is."""
    if not is_tensor(X):
        return X
    X = X.detach().cpu()
    return (X.double() if _name(X) == "bfloat16" else X).numpy()


def beside(array: NDArray[Any], X: Any) -> Any:
    """Return an array as a tensor on the device of X, if that is a tensor; else as it is."""
    if not is_tensor(X):
        return array
    import torch

    return torch.tensor(np.ascontiguousarray(array), device=X.device)


def product(A: Any, B: Any) -> Any:
    """Return A B, of arrays or tensors: in the more precise of their types, within autocast too."""
    if not is_tensor(A):
        return A @ B
    import torch

    dtype = torch.promote_types(A.dtype, B.dtype)
    with torch.autocast(A.device.type, enabled=False):
        return A.to(dtype) @ B.to(dtype)


def first_beyond(X: Any, most: float) -> tuple[int, int] | None:
    """Return row and column of the first number of an array or tensor (N, d) beyond that size, if any is."""
    if 0 in X.shape or max(abs(float(X.max())), abs(float(X.min()))) <= most:
        return None
    row, column = np.argwhere(as_array(~(abs(X) <= most)))[0].tolist()
    return row, column


class TensorRows:
    """Rows of a dense tensor (N, p) of real numbers, read a slice at a time as tensors on its device.

    Gradients do not go through them.

    Parameters
    ----------
    tensor : torch.Tensor
    rows : tensor of int, optional
        Which of its rows; by default all.

    Attributes
    ----------
    dtype : dtype
        Of an array of such numbers; of bfloat16 the other half's.

    Raises
    ------
    ValueError
        If the tensor is sparse, of numbers that are not real, or on a device that has none in float64.
    """

    def __init__(self, tensor: "torch.Tensor", rows: "torch.Tensor | None" = None) -> None:
        if (layout := str(tensor.layout)) != "torch.strided":
            raise ValueError(
                f"X is a tensor of layout {layout}; allowed are dense tensors, as X.to_dense(), and SciPy's "
                "sparse matrices"
            )
        if _name(tensor) not in _DTYPES:
            raise ValueError(f"X is a tensor of {tensor.dtype}; allowed are {', '.join(_DTYPES)}")
        if tensor.device.type in ("meta", "mps"):
            raise ValueError(
                f"X is a tensor on {tensor.device.type!r}, where nothing adds up in float64; allowed are tensors "
                "on 'cpu' and 'cuda'"
            )
        self.tensor, self._rows, self.dtype = tensor.detach(), rows, _DTYPES[_name(tensor)]
        self.device = tensor.device
        self.shape = (len(tensor if rows is None else rows), *tensor.shape[1:]) if tensor.ndim else ()

    @property
    def is_on_host(self) -> bool:
        """Return whether NumPy can get at them."""
        return self.device.type == "cpu"

    def seen(self) -> Any:
        """Return them as an array that shares their memory, if they are on the CPU and of no half precision.

        Sums over rows there are made sooner by NumPy's BLAS, one part by each thread, than by torch.
        """
        return as_array(self.tensor) if self.is_on_host and self.dtype != np.float16 else self

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, which: Any) -> "torch.Tensor":
        return self.tensor[which] if self._rows is None else self.tensor[self._rows[which]]

    def picked(self, rows: NDArray[np.intp]) -> "TensorRows":
        """Return some of them, which are not copied before they are read."""
        import torch

        chosen = torch.from_numpy(rows).to(self.device)
        return TensorRows(self.tensor, chosen if self._rows is None else self._rows[chosen])

    def in_one_part(self) -> "TensorRows":
        """Return the same as a tensor of its own, if some are picked."""
        return self if self._rows is None else TensorRows(self[:])

    def on_host(self, what: str) -> NDArray[Any]:
        """Return them as an array, of all rows without a copy.

        Raises
        ------
        ValueError
            If they are on another device; it says what wants them here.
        """
        if not self.is_on_host:
            raise ValueError(
                f"{what} works on the CPU, and X is a tensor on {str(self.device)!r}; allowed there are "
                "robust=False, n_components other than 'cross_validation', all solvers but 'full', and X.cpu()"
            )
        array: NDArray[Any] = as_array(self[:])
        return array.astype(np.float64) if array.dtype == np.float16 else array

    def stand_in(self) -> NDArray[Any]:
        """Return an array of this shape and of the type that is worked in, to be checked in place of the numbers.

        It takes no memory. What has not two dimensions is refused, and shown: there it is the numbers themselves.
        """
        if self.tensor.ndim != 2:
            return np.asarray(as_array(self.tensor))
        dtype = np.float32 if self.dtype == np.float32 else np.float64
        return np.broadcast_to(np.zeros((), dtype), self.shape)

    def check_device(self, device: str) -> None:
        """Refuse another device than the tensor's, or "auto"."""
        import torch

        if device == "auto":
            return
        try:
            wanted = torch.device(device)
        except RuntimeError as error:
            raise ValueError(f"device is {device!r}, which torch cannot use here") from error
        if wanted.type != self.device.type or wanted.index not in (None, self.device.index or 0):
            raise ValueError(
                f"device is {device!r}, and X is a tensor on {str(self.device)!r}, where it is summed; allowed "
                "are 'auto' and that device"
            )

    def check_finite(self, estimator_name: str | None = None) -> None:
        """Raise scikit-learn's ``ValueError`` if there is a NaN or an infinite number."""
        if self.dtype.kind == "f" and 0 not in self.shape:
            extremes = np.array(self._extremes, self.stand_in().dtype)
            assert_all_finite(extremes, estimator_name=estimator_name, input_name="X")

    def max(self) -> float:
        """Return the largest number; NaN if there is one."""
        return self._extremes[1]

    def min(self) -> float:
        """Return the smallest number; NaN if there is one."""
        return self._extremes[0]

    @cached_property
    def _extremes(self) -> tuple[float, float]:
        import torch

        # Of all rows at once torch would copy a tensor that does not lie in one piece.
        found = torch.stack([torch.stack(self[rows].aminmax()) for rows in self.slices()])
        return float(found[:, 0].amin()), float(found[:, 1].amax())

    def first(self, is_meant: Callable[["torch.Tensor"], "torch.Tensor"]) -> tuple[int, int] | None:
        """Return row and column of the first number of which that is so, told of blocks of rows, if any is."""
        for rows in self.slices():
            found = is_meant(self[rows]).nonzero()
            if len(found):
                row, column = found[0].tolist()
                return rows.start + row, column
        return None

    def slices(self, rows: int | None = None) -> Iterator[slice]:
        """Yield slices of so many rows."""
        rows = rows or max(1, _BLOCK_NUMBERS // self.shape[1])
        for start in range(0, len(self), rows):
            yield slice(start, min(start + rows, len(self)))

    def mean(self, weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Return the mean of the rows (p,), weighted or not, in float64."""
        total = float(len(self) if weights is None else weights.sum())
        sums = self.tensor.new_zeros(self.shape[1:]).double()
        for rows in self.slices():
            block = self[rows].double()
            sums += block.sum(dim=0) if weights is None else product(beside(weights[rows], block), block)
        mean: NDArray[np.float64] = as_array(sums) / total
        return mean


def as_host(X: Any, what: str) -> Any:
    """Return rows of a tensor as an array (see ``TensorRows.on_host``); anything else as it is."""
    return X.on_host(what) if isinstance(X, TensorRows) else X


def _name(tensor: "torch.Tensor") -> str:
    return str(tensor.dtype).removeprefix("torch.")
