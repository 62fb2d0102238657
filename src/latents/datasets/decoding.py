"""One picture of one's own, decoded and brought to the size and the kind of pixels that are asked for."""

import io
import struct
from collections.abc import Callable, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
from kedro.io import DatasetError
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile

from latents.datasets.files import check_truth
from latents.datasets.image_shapes import whole_sizes
from latents.places import Place

# Pillow knows more, among them EPS, which runs another program.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

_FITS: dict[str, Callable[[Image.Image, tuple[int, int]], Image.Image]] = {
    "crop": ImageOps.fit,
    "pad": ImageOps.pad,
    "stretch": lambda picture, size: picture.resize(size, Image.Resampling.BICUBIC),
}

MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # beyond which Pillow decodes no picture either
_WHITE = 65535  # of 16 bits
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # tags of TIFF, and values of theirs
_SAMPLE_FORMAT, _SIGNED = 339, 2


class Decoded(NamedTuple):
    """What was made of a picture.

    Attributes
    ----------
    pixels : ndarray of uint8 or uint16, of shape (height, width) or (height, width, 3)
    n_pages : int
        How many pages or frames the file has, of which this is the first.
    is_reduced : bool
        Whether its colours have 16 bits, of which only the upper 8 could be had.
    """

    pixels: NDArray[Any]
    n_pages: int
    is_reduced: bool


class PictureForm:
    """The form that pictures are brought to: parameters that all catalog entries of pictures share.

    Parameters
    ----------
    size : sequence of int, optional
        ``[height, width]``; without it, pictures keep theirs.
    grey : bool
        Whether colours become their brightness; otherwise 3 channels come last, of grey pictures too.
    fit : {"crop", "pad", "stretch"}
        How a picture of other proportions than `size` is brought to it.
    bits : {8, 16}, optional
        Of a pixel; without it, pictures keep theirs.

    Raises
    ------
    DatasetError
        If one is not allowed.
    """

    def __init__(self, size: Sequence[int] | None, grey: bool, fit: str, bits: int | None) -> None:
        if fit not in _FITS:
            raise DatasetError(f"fit is {fit!r:.80}; allowed are {', '.join(_FITS)}")
        if bits not in (None, 8, 16):
            raise DatasetError(f"bits is {bits!r:.80}; allowed are 8 and 16")
        self._size = whole_sizes("size", size, "[height, width]", (2,))
        if self._size is not None and self._size[0] * self._size[1] > MOST_PIXELS:
            raise DatasetError(
                f"size is {list(self._size)}, which makes {self._size[0] * self._size[1]:,} pixels a picture; "
                f"allowed are up to {MOST_PIXELS:,}"
            )
        self._grey = check_truth("grey", grey)
        self._fit = fit
        self._bits = bits

    def describe(self) -> dict[str, Any]:
        """Return the parameters by name."""
        return {"size": self._size, "grey": self._grey, "fit": self._fit, "bits": self._bits}

    def decode(self, content: Place | bytes) -> Decoded:
        """Return a picture in this form.

        Parameters
        ----------
        content : Path, Remote or bytes
            The file, or what is in it.

        Raises
        ------
        Exception
            Of the kinds that Pillow's decoders raise when a file is broken; ValueError if the pixels are numbers
            without a value that is white.
        """
        # Never by its path: Pillow (13.0) then maps some TIFF files, and scrambles those that lie on their side.
        with (
            io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file,
            Image.open(file, "r", FORMATS) as picture,
        ):
            n_pages = _pages_of_tiff(file) if picture.format == "TIFF" else getattr(picture, "n_frames", 1)
            if picture.mode in ("I", "F") and picture.format != "PPM" and ";16" not in _stored_as(picture):
                raise ValueError(
                    f"its pixels are 32-bit numbers (mode {picture.mode}) without a value that is white"
                )
            if _SIGNED in _tag(picture, _SAMPLE_FORMAT):
                raise ValueError("its pixels are signed numbers, without a value that is black")
            is_deep = self._bits != 8 and _has_16_bits(picture)
            if self._size is not None:
                # Of a large JPEG only as many frequencies are decoded as the size needs twice over.
                enough = 2 * max(self._size)
                picture.draft(None, (enough, enough))
            ImageOps.exif_transpose(picture, in_place=True)
            if not picture.mode.startswith("I"):
                return Decoded(self._of_8_bits(picture), n_pages, is_reduced=is_deep)
            deep = _grey_of_16_bits(picture)
            if is_deep:
                return Decoded(self._of_16_bits(deep), n_pages, is_reduced=False)
            upper = Image.fromarray((deep >> 8).astype(np.uint8))
            return Decoded(self._of_8_bits(upper), n_pages, is_reduced=False)

    def _of_8_bits(self, picture: Image.Image) -> NDArray[Any]:
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture)
        picture = picture.convert("L" if self._grey else "RGB")
        pixels = np.asarray(self._fitted(picture))
        return pixels.astype(np.uint16) * 257 if self._bits == 16 else pixels  # so white stays white

    def _of_16_bits(self, pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
        if self._size is not None:
            # As floating point numbers, which hold them exactly; bicubic curves overshoot, and 12 bits stay 12.
            fitted = np.asarray(self._fitted(Image.fromarray(pixels.astype(np.float32))))
            pixels = np.rint(fitted.clip(0, pixels.max())).astype(np.uint16)
        return pixels if self._grey else np.repeat(pixels[..., None], 3, axis=-1)

    def _fitted(self, picture: Image.Image) -> Image.Image:
        return picture if self._size is None else _FITS[self._fit](picture, (self._size[1], self._size[0]))


def _has_16_bits(picture: ImageFile) -> bool:
    """Say whether a picture not yet decoded is stored in more than 8 bits, though Pillow may give 8 of them."""
    if picture.format == "PPM":
        args = picture.tile[0].args
        return picture.mode == "I" or (isinstance(args, tuple) and int(args[-1]) > 255)
    return picture.mode.startswith("I;16") or ";16" in _stored_as(picture)


def _stored_as(picture: ImageFile) -> str:
    """Return Pillow's name of how the pixels lie in the file, where it says."""
    args = picture.tile[0].args if picture.tile else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _pages_of_tiff(file: IO[bytes]) -> int:
    """Count the directories of a TIFF file, each leading to the next; Pillow would have to read them all."""
    before = file.tell()
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = struct.unpack(f"{order}H", head[2:4]) == (43,)  # beyond 4 GB
    count, offset, entry = ("Q", "Q", 20) if is_big else ("H", "I", 12)
    size = struct.calcsize(offset)
    (place,) = struct.unpack(f"{order}{offset}", head[8:16] if is_big else head[4:8])
    seen: set[int] = set()
    while place and place not in seen:
        file.seek(place)
        n_entries = file.read(struct.calcsize(count))
        if len(n_entries) < struct.calcsize(count):
            break  # it leads out of the file
        seen.add(place)
        file.seek(struct.unpack(f"{order}{count}", n_entries)[0] * entry, io.SEEK_CUR)
        following = file.read(size)
        place = struct.unpack(f"{order}{offset}", following)[0] if len(following) == size else 0
    file.seek(before)
    return len(seen)


def _tag(picture: ImageFile, number: int) -> tuple[Any, ...]:
    """Return the values of a tag of TIFF."""
    values = getattr(picture, "tag_v2", {}).get(number, ())
    return values if isinstance(values, tuple) else (values,)


def _grey_of_16_bits(picture: ImageFile) -> NDArray[np.uint16]:
    pixels: NDArray[np.uint16] = np.asarray(picture).astype(np.uint16)
    if _WHITE_IS_ZERO in _tag(picture, _PHOTOMETRIC):  # Pillow turns only 8 bits round
        pixels = _WHITE - pixels
    transparent = picture.info.get("transparency")
    if transparent is not None:
        pixels[pixels == transparent] = _WHITE
    return pixels
