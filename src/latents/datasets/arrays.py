"""Arrays, sparse matrices and fitted estimators on disk, without pickle."""

from typing import Any

import numpy as np
from kedro.io import AbstractDataset, DatasetError
from numpy.typing import NDArray
from scipy import sparse

from latents import estimators
from latents.datasets.placed import Placed
from latents.datasets.sparse_npz import read_matrix
from latents.datasets.unpacking import Size, bytes_of, read_npz
from latents.files import whole_file
from latents.places import Access, place

_ANY = 2**63  # bytes: what a run has written may unpack to as much as it was


class _OneFile(Placed):
    """What the datasets of this module share: one file and its metadata."""

    def __init__(
        self,
        filepath: str,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._place = place(filepath, credentials, fs_args)
        self.metadata = metadata

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._place)}

    def _exists(self) -> bool:
        return self._place.is_file()


class NpzDataset(_OneFile, AbstractDataset[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]):
    """A mapping of names to arrays as one ``.npz`` file; arrays of objects (pickles) are refused.

    It is also the way to bring one's own images: ``images`` (N x height x width, or with three colour
    channels last) or ``features`` (N x p) with ``feature_names`` (p), and optionally ``labels`` (N),
    ``held_out`` (N truth values), ``names`` (N) and ``weights`` (N, how many rows each stands for).

    Parameters
    ----------
    filepath : str
        The file.
    max_unpacked : int or str, optional
        How large a compressed file may become, in bytes or as ``4 GiB``, if not as ``unpacking`` has it.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        max_unpacked: Size = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._max_unpacked = bytes_of(max_unpacked)
        super().__init__(filepath, credentials, fs_args, metadata)

    def load(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return read_npz(self._place, self._max_unpacked)

    def save(self, data: dict[str, NDArray[Any]]) -> None:
        """Write the arrays, whole or not at all."""
        for name, array in data.items():
            if array.dtype.hasobject:
                raise DatasetError(
                    f"array {name!r:.80} holds Python objects; allowed are numbers, truth values and strings"
                )
        with whole_file(self._place) as temporary, temporary.open("wb") as file:
            np.savez(file, **data)  # type: ignore[arg-type]


class SparseMatrixDataset(_OneFile, AbstractDataset[sparse.csr_array, sparse.csr_array]):
    """A SciPy sparse matrix as ``.npz``, in compressed rows."""

    def load(self) -> sparse.csr_array:
        """Return the matrix; raises as `read_matrix` does."""
        return sparse.csr_array(read_matrix(self._place, max_unpacked=_ANY))

    def save(self, data: sparse.csr_array) -> None:
        """Write the matrix, whole or not at all."""
        if not sparse.issparse(data):
            raise DatasetError(
                f"this is a {type(data).__name__}, and {self._place} is to be one matrix; allowed for counts in "
                "blocks is latents.datasets.CountBlocksDataset"
            )
        with whole_file(self._place) as temporary, temporary.open("wb") as file:
            sparse.save_npz(file, data)


class EstimatorDataset(_OneFile, AbstractDataset[Any, Any]):
    """A fitted estimator of this project, as safetensors with a JSON header."""

    def load(self) -> Any:
        """Return the estimator, of whichever of the three classes was saved."""
        return estimators.load(self._place)

    def save(self, data: Any) -> None:
        """Write the estimator, whole or not at all."""
        data.save(self._place)
