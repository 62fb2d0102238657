"""Arrays as NumPy's ``.npy`` files, mapped into memory: images or rows of one's own, and those between nodes."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset, DatasetError
from numpy.typing import NDArray

from latents.datasets.image_shapes import check_labels, image_shape_of, images_or_features
from latents.datasets.placed import Placed
from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.unpacking import NO_HEADER, npy_header
from latents.features.rows import MadeRows
from latents.files import restore, whole_folder
from latents.places import Access, Place, Remote, here, place


class NpyDataset(ReadOnlyDataset[dict[str, NDArray[Any]]]):
    """An array in a ``.npy`` file, mapped into memory: pages are read as they are used, and numbers not copied.

    An array of shape (N, height, width) or (N, height, width, channels) holds images, one of shape (N, p)
    rows of features, or with `image_shape` images too. Arrays of Python objects (pickles) are refused.

    Parameters
    ----------
    filepath : str
        The file.
    labels : str, optional
        A ``.npy`` file with N labels, beside the first one unless its path says otherwise.
    image_shape : sequence of int, optional
        ``[height, width]`` or ``[height, width, 3]``: each row is an image, its pixels line by line.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        labels: str | None = None,
        image_shape: Sequence[int] | None = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._place = place(filepath, credentials, fs_args)
        self._labels = None if labels is None else self._place.parent / labels
        self._image_shape = image_shape_of(image_shape)
        super().__init__(metadata)

    def load(self) -> dict[str, NDArray[Any]]:
        """Return ``images`` or ``features``, and ``labels`` if there are any."""
        values = _mapped(self._place)
        data = images_or_features(self._place, values, self._image_shape, "numbers a row")
        if self._labels is not None:
            data["labels"] = np.array(_mapped(self._labels))
            check_labels(self._labels, data["labels"], self._place, len(values))
        return data


class NpyFolderDataset(
    Placed, AbstractDataset[Mapping[str, NDArray[Any] | MadeRows], dict[str, NDArray[Any]]]
):
    """A mapping of names to arrays as a folder of ``.npy`` files, each mapped into memory when it is loaded.

    Memory so holds no more of the arrays than is in use; what they were saved from may itself be mapped.

    Parameters
    ----------
    filepath : str
        The folder.
    rows_of : mapping, optional
        The ``filepath`` of another such entry, whose arrays are saved here as rows, (N, p). They take no disk of
        their own: the file there gets a second name here (a hard link, where the file system has such), and is
        read as rows. What has one number for each row, or one in all, stays as it is.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        rows_of: Mapping[str, str] | None = None,  # of a key whose path Kedro takes to be within the project
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._place = place(filepath, credentials, fs_args)
        self._rows_of = None if rows_of is None else place(rows_of["filepath"], credentials, fs_args)
        self.metadata = metadata

    def load(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        if not self._exists():
            raise DatasetError(f"there is no folder {self._place}")
        folder = self._place.brought() if isinstance(self._place, Remote) else self._place
        paths: list[Place] = sorted(folder.glob("*.npy"), key=str)
        arrays = {path.stem: _mapped(path) for path in paths}
        if self._rows_of is not None:
            arrays = {
                name: array.reshape(len(array), -1) if array.ndim > 1 else array
                for name, array in arrays.items()
            }
        return arrays

    def save(self, data: Mapping[str, NDArray[Any] | MadeRows]) -> None:
        """Write the arrays in the place of those that were there, whole or not at all."""
        for path in self._place.glob("*") if isinstance(self._place, Path) else ():
            if path.suffix != ".npy":
                raise DatasetError(f"{path} is none of the arrays that are to be replaced; move it elsewhere")
        with whole_folder(self._place) as folder:
            for name, array in data.items():
                if not self._is_linked(array, folder / f"{name}.npy"):
                    _save(folder / f"{name}.npy", array)

    def _is_linked(self, array: NDArray[Any] | MadeRows, path: Place) -> bool:
        """Let a file of `rows_of` that an array is the whole of have a second name; files there never change."""
        if not isinstance(self._rows_of, Path) or not isinstance(array, np.memmap) or not array.filename:
            return False
        source = Path(array.filename)
        if source.parent.resolve() != self._rows_of.resolve():
            return False
        whole = _mapped(source)
        is_all = array.dtype == whole.dtype and array.shape == (len(whole), whole.size // len(whole))
        if not is_all or not array.flags.c_contiguous or not whole.flags.c_contiguous:
            return False
        with suppress(OSError):
            os.link(source, path)
        return path.exists()

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": str(self._place),
            "rows_of": None if self._rows_of is None else str(self._rows_of),
        }

    def _exists(self) -> bool:
        restore(self._place)
        return self._place.is_dir()


def _save(path: Place, array: NDArray[Any] | MadeRows) -> None:
    if not isinstance(array, MadeRows):
        try:
            np.save(path, array, allow_pickle=False)
        except ValueError as error:
            raise DatasetError(
                f"array {path.stem!r:.80} holds Python objects; allowed are numbers, truth values and strings"
            ) from error
        return
    header = {"descr": np.dtype(array.dtype).str, "fortran_order": False, "shape": array.shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in array.pieces():
            file.write(np.ascontiguousarray(piece, array.dtype).data)


def _mapped(path: Place) -> NDArray[Any]:
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")
    if path.suffix == ".npz":
        raise DatasetError(f"{path} holds several arrays; latents.datasets.NpzDataset reads it")
    try:
        with path.open("rb") as file:
            shape, kind = npy_header(file, str(path))
            expected = file.tell() + prod(shape) * kind.itemsize
        if expected == path.stat().st_size:
            array: NDArray[Any] = np.lib.format.open_memmap(here(path), mode="r")
            return array
    except NO_HEADER as error:
        raise DatasetError(f"{path} is no whole .npy file of numbers or strings: {error!s:.200}") from error
    raise DatasetError(
        f"{path} has {path.stat().st_size} bytes; its header says {expected} (shape {shape} of {kind})"
    )
