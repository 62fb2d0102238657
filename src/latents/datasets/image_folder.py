"""Images of one's own: a folder of picture files."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import DatasetError
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from latents.datasets.image_shapes import whole_sizes
from latents.datasets.read_only import ReadOnlyDataset
from latents.tracking.monitor import FitMonitor

# Pillow knows more, among them EPS, which runs another program.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

_FITS: dict[str, Callable[[Image.Image, tuple[int, int]], Image.Image]] = {
    "crop": ImageOps.fit,
    "pad": ImageOps.pad,
    "stretch": lambda picture, size: picture.resize(size, Image.Resampling.BICUBIC),
}


class ImageFolderDataset(ReadOnlyDataset[dict[str, NDArray[Any]]]):
    """A folder of picture files in the layout of torchvision's ``ImageFolder``: subfolders are the labels.

    A folder without subfolders has no labels. Hidden files and folders are left out. Pictures (AVIF, BMP,
    GIF, JPEG, JPEG 2000, PNG, PPM, TIFF and WebP; of several frames the first) are turned upright as their
    EXIF data say, and laid on white where they are transparent; 16 bits of grey become the upper 8.

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
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if fit not in _FITS:
            raise DatasetError(f"fit is {fit!r}; allowed are {', '.join(_FITS)}")
        if not isinstance(grey, bool):
            raise DatasetError(f"grey is {grey!r}; allowed are true and false")
        self._path = Path(path)
        self._size = whole_sizes("size", size, "[height, width]", (2,))
        self._grey = grey
        self._fit = fit
        self._pattern = pattern
        super().__init__(metadata)

    def load(self) -> dict[str, NDArray[Any]]:
        """Return ``images`` (uint8), ``names`` (paths within the folder) and, from subfolders, ``labels``."""
        names = self._names()
        images = self._images(names)
        data = {"images": images, "names": np.array(names)}
        if all("/" in name for name in names):
            data["labels"] = np.array([name.split("/")[0] for name in names])
        return data

    def _names(self) -> list[str]:
        """Return the paths of all pictures within the folder, by label, folder and name."""
        from torchvision.datasets import ImageFolder

        root, pattern = self._path, self._pattern
        if not root.is_dir():
            raise DatasetError(f"there is no folder {root}")

        def wanted(path: str) -> bool:
            parts = Path(path).relative_to(root).parts
            return fnmatch(parts[-1], pattern) and not any(part.startswith(".") for part in parts)

        class Folder(ImageFolder):  # type: ignore[misc]
            """torchvision's, but for hidden folders, and for folders without any."""

            def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
                folders = [entry.name for entry in os.scandir(directory) if entry.is_dir()]
                classes = sorted(name for name in folders if not name.startswith(".")) or [""]
                return classes, {name: number for number, name in enumerate(classes)}

        folder = Folder(str(root), is_valid_file=wanted, allow_empty=True)
        outside = [entry.path for entry in os.scandir(root) if entry.is_file() and wanted(entry.path)]
        if folder.classes != [""] and outside:
            raise DatasetError(
                f"{min(outside)} lies beside the subfolders, which are the labels, and has none; move it into "
                "one of them, or all files out of them"
            )
        if not folder.samples:
            raise DatasetError(f"{root} has no file {pattern}")
        names = [Path(path).relative_to(root).as_posix() for path, _ in folder.samples]
        for name in names:
            try:
                name.encode()
            except UnicodeEncodeError as error:
                raise DatasetError(f"the file name {name!r} in {root} is no utf-8; rename it") from error
        return names

    def _images(self, names: list[str]) -> NDArray[np.uint8]:
        images = np.empty(0, dtype=np.uint8)  # until the first says how large they are
        Image.init()  # once, and not by several threads
        pool = ThreadPoolExecutor(os.cpu_count())  # Pillow decodes and resizes without holding Python's lock
        try:
            with FitMonitor("").watch("reading images", len(names), log_metrics=False) as progress:
                for row, image in enumerate(pool.map(self._image, names)):
                    if row == 0:
                        images = np.empty((len(names), *image.shape), dtype=np.uint8)
                    if image.shape != images.shape[1:]:
                        raise DatasetError(
                            f"{self._path / names[row]} is {_measures(image)} pixels, {names[0]} is "
                            f"{_measures(images[0])}; give size: [height, width] to bring all to one"
                        )
                    images[row] = image
                    progress("image", row + 1, row + 1)
        finally:
            pool.shutdown(cancel_futures=True)  # after an error none of the rest is read
        return images

    def _image(self, name: str) -> NDArray[np.uint8]:
        path = self._path / name
        try:
            with Image.open(path, formats=_FORMATS) as picture:
                return np.asarray(self._brought_to_form(picture))
        except UnidentifiedImageError as error:
            reason = f"it is of none of the formats {', '.join(_FORMATS)}"
            raise DatasetError(f"{path} is refused: {reason}; {_WAY_OUT}") from error
        except Exception as error:  # decoders raise errors of all kinds when a file is broken
            raise DatasetError(f"{path} is refused: {error}; {_WAY_OUT}") from error

    def _brought_to_form(self, picture: Image.Image) -> Image.Image:
        if self._size is not None:
            # Of a large JPEG only as many frequencies are decoded as the size needs twice over.
            enough = 2 * max(self._size)
            picture.draft(None, (enough, enough))
        ImageOps.exif_transpose(picture, in_place=True)
        picture = _in_colours(picture, "L" if self._grey else "RGB")
        return picture if self._size is None else _FITS[self._fit](picture, (self._size[1], self._size[0]))

    def _describe(self) -> dict[str, Any]:
        return {
            "path": str(self._path),
            "size": self._size,
            "grey": self._grey,
            "fit": self._fit,
            "pattern": self._pattern,
        }


_WAY_OUT = "mend or remove it, or leave it out by `pattern`"


def _in_colours(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode.startswith("I;16"):  # Pillow would cut off at 255
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"its pixels are 32-bit numbers (mode {picture.mode}) without a value that is white")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert(mode)


def _measures(image: NDArray[Any]) -> str:
    return f"{image.shape[0]} x {image.shape[1]}"
