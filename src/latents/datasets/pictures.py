"""Pictures of one's own, however they are kept, as one array."""

import logging
import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from kedro.io import DatasetError
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from latents.datasets.decoding import FORMATS, MOST_PIXELS, Decoded, PictureForm
from latents.memory import memory_bytes
from latents.places import Place
from latents.tracking.monitor import FitMonitor

logger = logging.getLogger(__name__)


class Source(NamedTuple):
    """A picture to be read: what messages call it, and where or what it is."""

    name: str
    content: Place | bytes


def read_pictures(
    form: PictureForm, n: int, batches: Iterable[Sequence[Source]], way_out: str
) -> NDArray[Any]:
    """Return pictures in one array, of bytes, or of 16-bit numbers where pictures have as many bits.

    What is lost of them is said in the log: pages and frames after the first, and bits of colour.

    Parameters
    ----------
    form : PictureForm
        What they are brought to.
    n : int
        How many there are.
    batches : iterable of sequences of Source
        All of them; each batch is read by several threads.
    way_out : str
        What to do about one that is refused.

    Returns
    -------
    ndarray of shape (n, height, width) or (n, height, width, 3)

    Raises
    ------
    DatasetError
        If one is no picture, or has another size or other bits than the first, or all together are more than this
        machine's memory.
    """
    images = np.empty(0, dtype=np.uint8)  # until the first says how large they are
    first, row = "", 0
    paged: list[tuple[str, int]] = []
    reduced: list[str] = []
    Image.init()  # once, and not by several threads
    pool = ThreadPoolExecutor(os.cpu_count())  # Pillow decodes and resizes without holding Python's lock
    try:
        with (
            FitMonitor("").watch("reading images", n, log_metrics=False) as progress,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large ones are allowed
            for batch in batches:
                for source, decoded in zip(
                    batch, pool.map(lambda one: _decoded(form, one, way_out), batch), strict=True
                ):
                    if not row:
                        first, images = source.name, _room(n, decoded.pixels)
                    _check_like(source.name, decoded.pixels, first, images[0])
                    images[row] = decoded.pixels
                    row += 1
                    paged += [(source.name, decoded.n_pages)] * (decoded.n_pages > 1)
                    reduced += [source.name] * decoded.is_reduced
                    progress("image", row, row)
    finally:
        pool.shutdown(cancel_futures=True)  # after an error none of the rest is read
    if paged:
        logger.warning(
            "%d of %d pictures have several pages or frames, %d together, such as %s, which has %d; the first of "
            "each is read and no other",
            *(len(paged), n, sum(pages for _, pages in paged), *paged[0]),
        )
    if reduced:
        logger.warning(
            "%d of %d pictures have 16 bits a colour, such as %s, of which the upper 8 are read; all "
            "16 are kept of grey pictures alone",
            *(len(reduced), n, reduced[0]),
        )
    return images


def _decoded(form: PictureForm, source: Source, way_out: str) -> Decoded:
    try:
        return form.decode(source.content)
    except UnidentifiedImageError as error:
        reason = f"it is of none of the formats {', '.join(FORMATS)}"
        raise DatasetError(f"{source.name} is refused: {reason}; {way_out}") from error
    except Image.DecompressionBombError as error:
        raise DatasetError(
            f"{source.name} is refused: it has, or claims to have, more than {MOST_PIXELS:,} pixels; scale it "
            f"down or cut it up, or {way_out}"
        ) from error
    except Exception as error:  # decoders raise errors of all kinds when a file is broken
        raise DatasetError(f"{source.name} is refused: {error}; {way_out}") from error


def _room(n: int, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return an array for `n` pictures like the first one."""
    needed = n * pixels.nbytes
    available = memory_bytes()
    if available is not None and needed > available:
        raise DatasetError(
            f"{n} pictures of {_measures(pixels)} pixels take {needed / 1e9:,.1f} GB, and this machine has "
            f"{available / 1e9:,.1f} GB of memory; give a smaller size: [height, width]"
        )
    return np.empty((n, *pixels.shape), dtype=pixels.dtype)


def _check_like(name: str, pixels: NDArray[Any], first: str, like: NDArray[Any]) -> None:
    if pixels.shape != like.shape:
        raise DatasetError(
            f"{name} is {_measures(pixels)} pixels, {first} is {_measures(like)}; give size: [height, width] to "
            "bring all to one"
        )
    if pixels.dtype != like.dtype:
        raise DatasetError(
            f"{name} has {8 * pixels.itemsize} bits a pixel, {first} has {8 * like.itemsize}; give bits: 16 to "
            "bring all to 16 (those of 8 times 257, so that white stays white), or bits: 8 to keep the upper 8"
        )


def _measures(pixels: NDArray[Any]) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]}"
