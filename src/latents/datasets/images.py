"""Image sets as mappings: ``images`` (N x height x width), ``labels`` (N) and, where given, ``held_out`` (N)."""

from typing import Any, ClassVar

import numpy as np
from kedro.io import DatasetError
from numpy.typing import NDArray

from latents.datasets.read_only import ReadOnlyDataset
from latents.places import Access, Remote, here, place

Images = dict[str, NDArray[Any]]


class DigitsDataset(ReadOnlyDataset[Images]):
    """scikit-learn's bundled digits: 1,797 images of 8 x 8 pixels, grey from 0 to 16.

    Parameters
    ----------
    limit : int, optional
        Keep only the first so many images, for a quick try.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(self, limit: int | None = None, metadata: dict[str, Any] | None = None) -> None:
        self._limit = limit
        super().__init__(metadata)

    def load(self) -> Images:
        """Return the images as uint8 and their labels."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        return {
            "images": digits.images[: self._limit].astype(np.uint8),
            "labels": digits.target[: self._limit],
        }


class TorchvisionImagesDataset(ReadOnlyDataset[Images]):
    """MNIST or one of its successors through torchvision's loader and its cache.

    The loader's own test images are the held-out ones.

    Parameters
    ----------
    data_home : str
        The folder that holds torchvision's cache (``<data_home>/<dataset>/raw``), or that it is downloaded to; to
        a store nothing is downloaded.
    dataset : {"MNIST", "FashionMNIST", "KMNIST"}
        The class of ``torchvision.datasets``.
    subset : {"all", "train", "test"}
        Which images to read.
    limit : int, optional
        Keep only the first so many images, for a quick try.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    DATASETS = ("MNIST", "FashionMNIST", "KMNIST")
    SUBSETS: ClassVar[dict[str, tuple[bool, ...]]] = {
        "all": (True, False),
        "train": (True,),
        "test": (False,),
    }

    def __init__(
        self,
        data_home: str,
        dataset: str = "MNIST",
        subset: str = "all",
        limit: int | None = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if dataset not in self.DATASETS:
            raise DatasetError(f"dataset is {dataset!r:.80}; allowed are {', '.join(self.DATASETS)}")
        if subset not in self.SUBSETS:
            raise DatasetError(f"subset is {subset!r:.80}; allowed are {', '.join(self.SUBSETS)}")
        self._data_home = place(data_home, credentials, fs_args)
        self._dataset = dataset
        self._subset = subset
        self._limit = limit
        super().__init__(metadata)

    def load(self) -> Images:
        """Return images as uint8, those for training first, their labels, and which are held out."""
        from torchvision import datasets

        loader = getattr(datasets, self._dataset)
        try:
            home = str(self._data_home)
            if isinstance(self._data_home, Remote):
                home = str(here(self._data_home / self._dataset).parent)
            parts = {
                train: loader(home, train=train, download=not isinstance(self._data_home, Remote))
                for train in self.SUBSETS[self._subset]
            }
        except (OSError, RuntimeError) as error:
            raw = self._data_home / self._dataset / "raw"
            raise DatasetError(
                f"{self._dataset} is not in {raw} and could not be downloaded ({error}). On a machine with "
                f"network run torchvision.datasets.{self._dataset}(root, download=True) once, then put the "
                f"files of <root>/{self._dataset}/raw into that folder, or let LATENTS_DATA_HOME name the "
                "root."
            ) from error
        images = np.concatenate([part.data.numpy() for part in parts.values()])
        labels = np.concatenate([np.asarray(part.targets) for part in parts.values()])
        held_out = np.concatenate([np.full(len(part.data), not train) for train, part in parts.items()])
        return {
            "images": images[: self._limit],
            "labels": labels[: self._limit],
            "held_out": held_out[: self._limit],
        }
