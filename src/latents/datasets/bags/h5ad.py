"""Counts in ``.h5ad`` files, as anndata writes them: the observations are documents, and the variables words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import DatasetError
from numpy.typing import NDArray
from scipy import sparse

from latents.datasets.bags.matrix import Options, added_up, whole_counts
from latents.datasets.bags.words import distinct
from latents.datasets.unpacking import check_unpacked
from latents.places import Place

_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError)  # what HDF5 says of files that are
_PIECE = 2**24  # numbers
_LAYERS = "; a layer that has them is named by `layer`, such as `layer: counts`"
_TOO_OLD = "as an anndata before 0.7 wrote it; read and write it with a newer one"


def read(path: Place, options: Options) -> dict[str, Any]:
    """Return the bag of ``X`` or of a layer, with ``obs_names``, ``var_names`` and a column of ``obs`` as labels.

    Raises
    ------
    DatasetError
        If h5py is missing, the file is none of anndata's or not whole, or an entry is no count.
    """
    with _opened(path) as file:
        reader = _Reader(path, file, options.max_unpacked)
        place = "X" if options.layer is None else f"layers/{options.layer}"
        names, words = reader.index("obs"), reader.words()
        documents = pd.DataFrame({"name": names})
        if options.label is not None:
            documents["label"] = reader.column("obs", options.label)
            if len(documents["label"]) != len(names):
                raise DatasetError(f"{path}: obs/{options.label} is not of the length of obs")
        counts = added_up(path, reader.matrix(place, names, words))
    return {"counts": counts, "words": words, "documents": documents}


@contextmanager
def _opened(path: Place) -> Iterator[Any]:
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")
    try:
        import h5py
    except ImportError as error:
        raise DatasetError(
            f"{path}: reading .h5ad files takes the package h5py; install it by `pip install 'latents[h5ad]'`, or "
            "by `pip install h5py`"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except _BROKEN as error:
        raise DatasetError(f"{path} is no whole .h5ad file: {error!s:.200}") from error


class _Reader:
    """What is read of an open file, whose sizes are held against it, and which refers to no other."""

    def __init__(self, path: Place, file: Any, max_unpacked: int | None) -> None:
        self._path = path
        self._file = file
        self._max_unpacked = max_unpacked
        self._n_bytes = 0

    def member(self, place: str) -> Any:
        """Return a group or an array of the file; None if it is not there."""
        import h5py

        found = self._file
        for name in place.split("/"):
            link = found.get(name, getlink=True) if isinstance(found, h5py.Group) else None
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):  # which may lead into other files
                raise DatasetError(f"{self._path}: {place} is a link, which is not read")
            found = found[name]
        if isinstance(found, h5py.Dataset):
            if found.is_virtual or found.external:
                raise DatasetError(f"{self._path}: {place} lies in other files, which are not read")
            self._n_bytes += prod(found.shape or ()) * found.dtype.itemsize
            check_unpacked(self._path, self._n_bytes, self._max_unpacked)
        return found

    def array(self, place: str) -> NDArray[Any]:
        """Return an array, that of texts as str."""
        import h5py

        found = self.member(place)
        if isinstance(found, h5py.Group) and "values" in found and "mask" in found:  # what may be missing
            there, mask = self.array(f"{place}/values").astype(object), self.array(f"{place}/mask")
            if mask.dtype.kind != "b" or mask.shape != there.shape:
                raise DatasetError(f"{self._path}: the mask of {place} is not of its shape")
            there[mask] = None
            return there
        if not isinstance(found, h5py.Dataset) or found.shape is None:
            raise DatasetError(f"{self._path} has no array {place}")
        if found.dtype.names is not None:
            raise DatasetError(f"{self._path}: {place} is {_TOO_OLD}")
        if h5py.check_string_dtype(found.dtype) is not None:
            return np.asarray(found.asstr()[()], dtype=object)
        values: NDArray[Any] = found[()]
        return values

    def index(self, table: str) -> list[str]:
        """Return the names of ``obs`` or ``var``."""
        group = self._group(table)
        return [str(name) for name in self.array(f"{table}/{self._text(group.attrs.get('_index', 'index'))}")]

    def words(self) -> list[str]:
        """Return ``var_names``; those that are there more than once get their ``gene_ids``, if there are any."""
        words = self.index("var")
        if len(set(words)) < len(words) and self.member("var/gene_ids") is not None:
            words = distinct(words, list(map(str, self.column("var", "gene_ids"))))
        if len(set(words)) < len(words):
            again = Counter(words).most_common(1)[0][0]
            raise DatasetError(
                f"{self._path}: the variable {again!r:.80} is there several times; anndata's "
                "`var_names_make_unique()` gives each a name of its own"
            )
        return words

    def column(self, table: str, name: str) -> NDArray[Any]:
        """Return a column of ``obs`` or ``var``; what is missing is None."""
        import h5py

        group, place = self._group(table), f"{table}/{name}"
        found = self.member(place)
        if found is None:
            kept = [key for key in group if key not in ("__categories", group.attrs.get("_index"))]
            raise DatasetError(
                f"{self._path} has no column {place}; there are {', '.join(kept) or 'none':.200}"
            )
        if isinstance(found, h5py.Group) and "codes" in found:
            return self._chosen(place, self.array(f"{place}/codes"), self.array(f"{place}/categories"))
        if "categories" in found.attrs:  # as anndata 0.7 has it
            return self._chosen(place, self.array(place), self.array(f"{table}/__categories/{name}"))
        return self.array(place)

    def matrix(self, place: str, names: Sequence[str], words: Sequence[str]) -> Any:
        """Return the counts of a dense or sparse matrix of the given documents and words."""
        import h5py

        shape = (len(names), len(words))
        found = self.member(place)
        if found is None:
            layers = self.member("layers")
            have = ", ".join(["X", *(f"layer {name}" for name in layers or ())])
            raise DatasetError(f"{self._path} has no {place}; there are {have:.200}")
        if isinstance(found, h5py.Dataset):
            return self._dense(place, found, names, words)
        kind = self._text(found.attrs.get("encoding-type", found.attrs.get("h5sparse_format", "")))
        kind = kind.removesuffix("_matrix")
        if kind not in ("csr", "csc"):
            raise DatasetError(
                f"{self._path}: {place} is of the kind {kind!r:.40}; allowed are arrays, csr_matrix and csc_matrix"
            )
        own = found.attrs.get("shape", found.attrs.get("h5sparse_shape"))
        self._check_shape(place, () if own is None else tuple(map(int, own)), shape)
        parts: Any = tuple(self.array(f"{place}/{name}") for name in ("data", "indices", "indptr"))
        matrix = (sparse.csr_array if kind == "csr" else sparse.csc_array)(parts, shape=shape)
        matrix.check_format(full_check=True)
        return self._counts(place, matrix, names, words)

    def _dense(self, place: str, found: Any, names: Sequence[str], words: Sequence[str]) -> sparse.csr_array:
        """Return the counts of a dense matrix, of which no more than a piece is in memory."""
        self._check_shape(place, found.shape or (), (len(names), len(words)))
        step = max(1, _PIECE // max(1, len(words)))
        pieces = [sparse.csr_array((0, len(words)), dtype=np.int64)]
        for row in range(0, len(names), step):
            piece = sparse.csr_array(found[row : row + step])
            pieces.append(self._counts(place, piece, names[row:], words))
        return sparse.csr_array(sparse.vstack(pieces, format="csr"))

    def _counts(self, place: str, matrix: Any, names: Sequence[str], words: Sequence[str]) -> Any:
        def shown(row: int, column: int) -> str:
            return f"{place} of {names[row]!r:.80}, {words[column]!r:.80}"

        return whole_counts(self._path, matrix, shown, _LAYERS)

    def _check_shape(self, place: str, own: tuple[int, ...], shape: tuple[int, int]) -> None:
        if own != shape:
            raise DatasetError(
                f"{self._path}: {place} has shape {own}; there are {shape[0]} names in obs and {shape[1]} in var"
            )

    def _chosen(self, place: str, codes: NDArray[Any], categories: NDArray[Any]) -> NDArray[Any]:
        if codes.ndim != 1 or codes.dtype.kind not in "iu" or not (codes < len(categories)).all():
            raise DatasetError(f"{self._path}: {place} has codes beyond its {len(categories)} categories")
        return np.append(categories.astype(object), [None])[np.where(codes < 0, len(categories), codes)]

    def _group(self, table: str) -> Any:
        import h5py

        found = self.member(table)
        if not isinstance(found, h5py.Group):
            raise DatasetError(
                f"{self._path} has no table {table}"
                if found is None
                else f"{self._path}: {table} is {_TOO_OLD}"
            )
        return found

    def _text(self, value: Any) -> str:
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
