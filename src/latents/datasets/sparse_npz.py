"""Sparse matrices as SciPy's ``save_npz`` writes them."""

import numpy as np
from kedro.io import DatasetError
from scipy import sparse

from latents.datasets.unpacking import read_npz
from latents.places import Place

_LARGEST = np.iinfo(np.int32).max
_COMPRESSED = {"csr": sparse.csr_array, "csc": sparse.csc_array}


def read_matrix(
    path: Place, max_unpacked: int | None
) -> sparse.csr_array | sparse.csc_array | sparse.coo_array:
    """Return the matrix of a file, in compressed rows or columns or as coordinates.

    No size of the file's is taken on trust: not those of its arrays (see ``unpacking``), and no number of a row or
    column either. No pickle is read.

    Raises
    ------
    DatasetError
        If there is no such file, it is none of ``save_npz``, not whole, or of another kind of matrix.
    """
    arrays = read_npz(path, max_unpacked)
    kind = arrays["format"].item() if "format" in arrays and arrays["format"].size == 1 else None
    kind = kind.decode(errors="replace") if isinstance(kind, bytes) else kind
    if kind is None or "shape" not in arrays:
        raise DatasetError(
            f"{path} is no matrix of scipy.sparse.save_npz: it holds {', '.join(arrays) or 'nothing':.200}"
        )
    names = ["data", "indices", "indptr"] if kind in _COMPRESSED else ["data", "row", "col"]
    if kind not in (*_COMPRESSED, "coo"):
        raise DatasetError(
            f"{path} holds a matrix in the format {kind!r:.40}; allowed are csr, csc and coo, such as "
            "`matrix.tocsr()`"
        )
    if kind == "coo" and arrays.get("coords", np.empty(0)).shape[:1] == (2,):  # as SciPy has announced it
        arrays["row"], arrays["col"] = arrays["coords"]
    if missing := [name for name in names if name not in arrays]:
        raise DatasetError(f"{path} is no whole matrix: it lacks {', '.join(missing)}")
    shape = arrays["shape"]
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or not ((shape >= 0) & (shape <= _LARGEST)).all():
        raise DatasetError(f"{path}: shape is {shape!s:.80}; allowed are two sizes of 0 to {_LARGEST}")
    n_rows, n_columns = map(int, shape)
    values, first, second = (arrays[name] for name in names)
    try:
        if any(array.ndim != 1 or array.dtype.kind not in "iu" for array in (first, second)):
            raise ValueError(f"{names[1]} and {names[2]} must be rows of whole numbers")
        if kind == "coo":
            if len(first) and (min(first.min(), second.min()) < 0):
                raise ValueError("negative row or column")
            return sparse.coo_array((values, (first, second)), shape=(n_rows, n_columns))
        matrix: sparse.csr_array | sparse.csc_array
        matrix = _COMPRESSED[kind]((values, first, second), shape=(n_rows, n_columns))
        matrix.check_format(full_check=True)
        return matrix
    except (ValueError, IndexError, OverflowError) as error:
        raise DatasetError(f"{path} is no whole matrix of {n_rows} x {n_columns}: {error!s:.200}") from error
