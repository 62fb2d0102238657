"""Images of one's own: a folder of picture files."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latents.datasets.decoding import PictureForm
from latents.datasets.folders import files_within, labels_and_split
from latents.datasets.pictures import Source, read_pictures
from latents.datasets.read_only import ReadOnlyDataset
from latents.places import Access, in_batches, now, place

_BATCH = 256  # pictures that are waited for together
_WAY_OUT = "mend or remove it, or leave it out by `pattern`"


class ImageFolderDataset(ReadOnlyDataset[dict[str, NDArray[Any]]]):
    """A folder of picture files in the layout of torchvision's ``ImageFolder``: subfolders are the labels.

    A folder without subfolders has no labels; where subfolders are called ``train`` and ``test`` (or ``val``),
    they are a split, and theirs are the labels. Hidden files and folders are left out. Pictures (AVIF, BMP, GIF,
    JPEG, JPEG 2000, PNG, PPM, TIFF and WebP; of several pages or frames the first, as the log says) are turned
    upright as their EXIF data say, and laid on white where they are transparent. 16 bits of grey are kept, and
    of colour the upper 8, as the log says.

    Parameters
    ----------
    path : str
        The folder.
    size : sequence of int, optional
        ``[height, width]`` that all are brought to; without it, all must be of one size.
    grey : bool
        Whether colours become their brightness (ITU-R 601), which makes N x height x width; otherwise 3
        channels come last, of grey pictures too.
    fit : {"crop", "pad", "stretch"}
        How a picture of other proportions than `size` is brought to it: so that it fills it, and what juts
        out is cut off by halves on both sides; so that it fits within, on black; or distorted.
    pattern : str
        Which file names to read, such as ``*.png``; all by default.
    bits : {8, 16}, optional
        Of a pixel; without it, all must have as many. Of 16 the upper 8 make 8; 8 times 257 make 16, so that white
        stays white.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        path: str,
        size: Sequence[int] | None = None,
        grey: bool = False,
        fit: str = "crop",
        pattern: str = "*",
        bits: int | None = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._path = place(path, credentials, fs_args)
        self._form = PictureForm(size, grey, fit, bits)
        self._pattern = pattern
        super().__init__(metadata)

    def load(self) -> dict[str, NDArray[Any]]:
        """Return ``images`` (uint8 or uint16), ``names`` (paths within the folder) and what subfolders say.

        That is ``labels`` or, where they are a split, ``held_out``, and the labels below.
        """
        folder = now(self._path)
        names = files_within(folder, self._pattern)
        labels, held_out = labels_and_split(folder, names)
        batches = in_batches([folder / name for name in names], _BATCH)
        sources = ([Source(str(path), path) for path in batch] for batch in batches)
        data = {
            "images": read_pictures(self._form, len(names), sources, _WAY_OUT),
            "names": np.array(names),
        }
        if labels is not None:
            data["labels"] = np.array(labels)
        if held_out is not None:
            data["held_out"] = np.array(held_out)
        return data

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path), **self._form.describe(), "pattern": self._pattern}
