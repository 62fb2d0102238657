"""Images of one's own in IDX files, the format that MNIST comes in."""

import logging
from collections.abc import Sequence
from math import prod
from typing import IO, Any

import numpy as np
from kedro.io import DatasetError
from numpy.typing import NDArray

from latents.datasets.files import check_truth, opened
from latents.datasets.image_shapes import check_labels, image_shape_of, images_or_features
from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.unpacking import Size, bytes_of
from latents.places import Access, Place, here, place

# The third byte of a file and the type of its numbers, big-endian.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_PIECE = 1 << 22
_QMNIST_COLUMNS = 8  # the class, and where its writer and form are found in NIST's collection

logger = logging.getLogger(__name__)


class IdxDataset(ReadOnlyDataset[dict[str, NDArray[Any]]]):
    """Images in an IDX file (``train-images-idx3-ubyte``), and their labels in another; both may be ``.gz``.

    The format is that of LeCun's MNIST page: two zero bytes, a byte for the type of the numbers (8- to 32-bit
    integers, 32- and 64-bit floating point numbers), one for how many dimensions there are, their sizes as
    big-endian 32-bit integers, and the numbers, also big-endian, the last index running fastest. Three
    dimensions are images, four are images with their channels, two are rows of features or, with
    `image_shape`, images too.

    Parameters
    ----------
    filepath : str
        The file of images. Bytes that are not compressed are mapped into memory, not read.
    labels : str, optional
        The file of labels, of one dimension, beside the first one unless its path says otherwise. Of QMNIST's,
        eight numbers for each image, the first is the label.
    image_shape : sequence of int, optional
        ``[height, width]`` or ``[height, width, 3]``: each row is an image, its pixels line by line.
    transpose : bool
        Whether images lie column by column, as EMNIST's do, and are to be turned upright.
    max_unpacked : int or str, optional
        How large a file may become when unpacked, in bytes or as ``4 GiB``, if not as ``unpacking`` has it.
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
        transpose: bool = False,
        max_unpacked: Size = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._place = place(filepath, credentials, fs_args)
        self._labels = None if labels is None else self._place.parent / labels
        self._image_shape = image_shape_of(image_shape)
        self._transpose = check_truth("transpose", transpose)
        self._max_unpacked = bytes_of(max_unpacked)
        super().__init__(metadata)

    def load(self) -> dict[str, NDArray[Any]]:
        """Return ``images`` or ``features``, and ``labels`` if there are any."""
        values = read_idx(self._place, self._max_unpacked)
        data = images_or_features(self._place, values, self._image_shape, "numbers a row")
        if self._transpose:
            if "images" not in data:
                raise DatasetError(f"{self._place} has rows and no images, which `transpose` is for")
            data["images"] = data["images"].swapaxes(1, 2)
        if self._labels is not None:
            labels = np.array(read_idx(self._labels, self._max_unpacked))
            if labels.ndim == 2 and labels.shape[1] == _QMNIST_COLUMNS:
                logger.info(
                    "%s has %d numbers for each image; the first is its label", self._labels, labels.shape[1]
                )
                labels = labels[:, 0]
            data["labels"] = labels
            check_labels(self._labels, data["labels"], self._place, len(values))
        return data


def read_idx(path: Place, max_unpacked: int | None = None) -> NDArray[Any]:
    """Return the array of an IDX file, its numbers in this machine's order of bytes.

    Raises
    ------
    DatasetError
        If there is no such file, its header is none, or it has fewer or more bytes than the header says,
        or unpacks to more than it may.
    """
    with opened(path, max_unpacked) as file:
        kind, shape = _header(path, file)
        offset, n_bytes = 4 + 4 * len(shape), prod(shape) * kind.itemsize
        if path.suffix != ".gz":
            _check_length(path, path.stat().st_size - offset, kind, shape)
            values = (
                np.memmap(here(path), kind, "r", offset, shape)
                if n_bytes
                else _shaped(path, b"", kind, shape)
            )
        else:
            # In pieces, so that a header that lies about its sizes costs no memory.
            content = bytearray()
            while len(content) <= n_bytes and (piece := file.read(min(_PIECE, n_bytes + 1 - len(content)))):
                content += piece
            _check_length(path, len(content), kind, shape, at_least=True)
            values = _shaped(path, content, kind, shape)
    return values.astype(kind.newbyteorder("="), copy=False)


def _shaped(
    path: Place, content: bytes | bytearray, kind: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    try:
        return np.frombuffer(content, kind).reshape(shape)
    except ValueError as error:  # no numbers, and other sizes that are too large
        raise DatasetError(f"{path}: its header says shape {shape}, which no array can have") from error


def _header(path: Place, file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DatasetError(f"{path} is no IDX file: it begins with {magic!r}, and not with two zero bytes")
    if magic[2] not in _TYPES:
        allowed = ", ".join(f"0x{code:02x}" for code in _TYPES)
        raise DatasetError(f"{path}: the type of its numbers is 0x{magic[2]:02x}; allowed are {allowed}")
    if not 1 <= magic[3] <= 4:
        raise DatasetError(f"{path} has {magic[3]} dimensions; allowed are 1 to 4")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DatasetError(f"{path} ends within its header, which has {magic[3]} sizes")
    return np.dtype(_TYPES[magic[2]]), tuple(int(size) for size in np.frombuffer(sizes, ">u4"))


def _check_length(
    path: Place, found: int, kind: np.dtype[Any], shape: tuple[int, ...], at_least: bool = False
) -> None:
    """Refuse a file whose header and length differ; `at_least` if `found` is not all of a longer file."""
    expected = prod(shape) * kind.itemsize
    if found != expected:
        more = "at least " if at_least and found > expected else ""
        raise DatasetError(
            f"{path} has {more}{found} bytes of numbers; its header says {expected} (shape {shape}, "
            f"{kind.itemsize} each)"
        )
