"""MedMNIST's collections of medical images, as its site has them: an ``.npz`` file each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from kedro.io import DatasetError
from numpy.typing import NDArray

from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.unpacking import Size, bytes_of, read_npz
from latents.messages import some_of
from latents.places import Access, place

_SPLITS = ("train", "val", "test")


class MedMNISTDataset(ReadOnlyDataset[dict[str, NDArray[Any]]]):
    """A file of MedMNIST: arrays ``train_images``, ``train_labels``, and the same of ``val`` and ``test``.

    ``train`` is trained on; ``val`` and ``test`` are held out, unless `splits` leaves them out. ChestMNIST has
    several labels for each image: they come as N x 14, and only a model that needs no labels learns from it.

    Parameters
    ----------
    filepath : str
        The file.
    splits : sequence of {"train", "val", "test"}
        Which of them to read.
    max_unpacked : int or str, optional
        How large the file may become when unpacked, in bytes or as ``4 GiB``, if not as ``unpacking`` has it.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        splits: Sequence[str] = _SPLITS,
        max_unpacked: Size = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        known = isinstance(splits, (list, tuple)) and all(split in _SPLITS for split in splits)
        if not known or not splits or len(set(splits)) < len(splits):
            raise DatasetError(f"splits is {splits!r:.80}; allowed is a list of {', '.join(_SPLITS)}")
        self._place = place(filepath, credentials, fs_args)
        self._splits = tuple(splits)
        self._max_unpacked = bytes_of(max_unpacked)
        super().__init__(metadata)

    def load(self) -> dict[str, NDArray[Any]]:
        """Return ``images``, ``labels`` and, unless all are of one kind, ``held_out``."""
        arrays = read_npz(self._place, self._max_unpacked)
        for split in self._splits:
            self._check(split, arrays)
        images = np.concatenate([arrays.pop(f"{split}_images") for split in self._splits])
        labels = [arrays[f"{split}_labels"] for split in self._splits]
        held_out = np.repeat([split != "train" for split in self._splits], [len(some) for some in labels])
        several = np.concatenate(labels)
        data = {"images": images, "labels": several[:, 0] if several.shape[1] == 1 else several}
        return data if held_out.all() or not held_out.any() else {**data, "held_out": held_out}

    def _check(self, split: str, arrays: dict[str, NDArray[Any]]) -> None:
        for what in ("images", "labels"):
            if f"{split}_{what}" not in arrays:
                raise DatasetError(
                    f"{self._place} has no array '{split}_{what}', as files of MedMNIST have; it has "
                    f"{some_of(arrays)}"
                )
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        first = arrays[f"{self._splits[0]}_images"], arrays[f"{self._splits[0]}_labels"]
        if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] != 3):
            raise DatasetError(
                f"{self._place}: '{split}_images' has shape {images.shape}; allowed are (N, height, width) and "
                "(N, height, width, 3), and no volumes"
            )
        if labels.ndim != 2 or len(labels) != len(images) or not labels.shape[1]:
            raise DatasetError(
                f"{self._place}: '{split}_labels' has shape {labels.shape}; for its {len(images)} images "
                f"({len(images)}, 1) is needed"
            )
        if images.shape[1:] != first[0].shape[1:] or labels.shape[1:] != first[1].shape[1:]:
            raise DatasetError(
                f"{self._place}: the arrays of {split} have shapes {images.shape} and {labels.shape}, those of "
                f"{self._splits[0]} {first[0].shape} and {first[1].shape}; all must be of one size"
            )
