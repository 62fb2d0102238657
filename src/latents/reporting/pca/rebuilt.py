"""Images beside what is left of them: some rebuilt from few and from many numbers, and the worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from latents import rounding
from latents.reporting import images, style

_COLUMNS = 8


def reconstructions(
    originals: npt.ArrayLike,
    reconstructions: Mapping[int, npt.ArrayLike],
    errors: Mapping[int, float],
) -> Figure:
    """Images rebuilt from d numbers, a row for each d, the originals on top.

    Parameters
    ----------
    originals : array-like of shape (n, H, W) or (n, H, W, 3)
        A few images.
    reconstructions : mapping of int to array-like
        d to the same images rebuilt from d components.
    errors : mapping of int to float
        d to the mean of |x - x~|^2 over the data that the images are from, in squared input units.

    Returns
    -------
    matplotlib.figure.Figure
        Rows by rising d, all on the grey scale of the originals.

    Raises
    ------
    ValueError
        If the shapes differ or an error is missing.
    """
    truth = images.as_images(originals, "originals")
    rebuilt = {
        d: images.as_images(reconstructions[d], f"reconstructions[{d}]", truth)
        for d in sorted(reconstructions)
    }
    for d in rebuilt:
        if d not in errors:
            raise ValueError(f"errors lacks d = {d}; it has {sorted(errors)}")
    limits = images.value_limits(truth)
    width, height = images.tile_size(truth.shape[1], truth.shape[2], len(truth), len(rebuilt) + 1)
    left = images.MARGIN + images.text_width(["original", *(f"d = {d}" for d in rebuilt)]) + 0.12
    top = images.TITLE_HEIGHT + 0.25
    right_column = left + len(truth) * (width + images.GAP) + 0.1
    sheet = images.Sheet(
        right_column + 1.25 + images.MARGIN,
        top + 0.12 + (len(rebuilt) + 1) * (height + images.GAP) + images.MARGIN,
        "More components, closer images",
        "Each row rebuilds the images of the top row from d numbers.",
    )
    rows = [("original", "", truth)]
    rows += [(f"d = {d}", rounding.number(errors[d]), pictures) for d, pictures in rebuilt.items()]
    sheet.text(right_column, top - 0.17, "mean squared error", size=8, colour=images.MUTED)
    sheet.text(right_column, top - 0.03, "(squared input units)", size=8, colour=images.MUTED)
    y = top
    for name, error, pictures in rows:
        middle = y + height / 2
        sheet.text(left - 0.12, middle, name, align="right")
        if error:
            sheet.text(right_column, middle, error, size=9)
        for i, picture in enumerate(pictures):
            sheet.image(left + i * (width + images.GAP), y, (width, height), picture, limits)
        y += height + images.GAP + (0.12 if name == "original" else 0.0)
    return sheet.figure


def worst_images(
    originals: npt.ArrayLike,
    rebuilt: npt.ArrayLike,
    errors: npt.ArrayLike,
    captions: Sequence[tuple[str, str]],
    mean_error: float,
) -> Figure:
    """Images that the basis serves worst: the original, what it makes of it, and the difference.

    Parameters
    ----------
    originals, rebuilt : array-like of shape (n, H, W) or (n, H, W, 3)
        The images, worst first, and the same rebuilt from d numbers.
    errors : array-like of shape (n,)
        |x - x~|^2 of each, in squared input units.
    captions : sequence of pairs of str
        For each image its name, and a remark such as its label.
    mean_error : float
        Mean error of all images, which the errors are held against.

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    truth = images.as_images(originals, "originals")
    back = images.as_images(rebuilt, "rebuilt", truth)
    error = np.asarray(errors, dtype=np.float64)
    style.check_lengths(originals=truth, errors=error, captions=captions)
    times = error / mean_error if mean_error > 0 else np.ones_like(error)
    return _sheet_of_triples(
        f"The worst-rebuilt image is {rounding.number(float(times[0]), 2)} times as far off as the mean one",
        truth,
        back,
        captions,
        [
            (rounding.number(float(one)), f"{rounding.number(float(many), 2)} x mean")
            for one, many in zip(error, times, strict=True)
        ],
    )


def rebuilt_images(
    originals: npt.ArrayLike,
    rebuilt: npt.ArrayLike,
    errors: npt.ArrayLike,
    captions: Sequence[tuple[str, str]],
    n_components: int,
) -> Figure:
    """Images beside what the basis makes of them, and the difference.

    Parameters
    ----------
    originals, rebuilt : array-like of shape (n, H, W) or (n, H, W, 3)
        The images, and the same rebuilt.
    errors : array-like of shape (n,)
        |x - x~|^2 of each, in squared input units.
    captions : sequence of pairs of str
        For each image its name, and a remark such as its label.
    n_components : int
        d, from how many numbers they are rebuilt.

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    truth = images.as_images(originals, "originals")
    back = images.as_images(rebuilt, "rebuilt", truth)
    error = np.asarray(errors, dtype=np.float64)
    style.check_lengths(originals=truth, errors=error, captions=captions)
    return _sheet_of_triples(
        f"Images rebuilt from {n_components:,} number{'' if n_components == 1 else 's'} each",
        truth,
        back,
        captions,
        [(rounding.number(float(one)), "") for one in error],
    )


def _sheet_of_triples(
    title: str,
    truth: npt.NDArray[np.floating],
    back: npt.NDArray[np.floating],
    captions: Sequence[tuple[str, str]],
    notes: Sequence[tuple[str, str]],
) -> Figure:
    """Draw each image, what is made of it and the difference, two lines above and two below."""
    columns, lacks = min(_COLUMNS, len(truth)), np.isnan(truth)
    rows = -(-len(truth) // columns)
    # Three captions of eleven characters need as much room, however narrow the images.
    width, height = images.tile_size(truth.shape[1], truth.shape[2], columns, 1)
    across, block = max(width + 2 * images.GAP, 1.06), 3 * (height + images.GAP) + 0.84
    left = images.MARGIN + images.text_width(["difference"]) + 0.12
    sheet = images.Sheet(
        left + columns * across + images.MARGIN,
        images.TITLE_HEIGHT + rows * block + images.MARGIN,
        title,
        "Errors in squared input units. "
        + ("Orange pixels are missing, and are no error. " if lacks.any() else "")
        + (
            "Difference: mid-grey is none."
            if truth.ndim == 4
            else "Difference: red where the original is brighter, blue where it is darker."
        ),
    )
    limits = images.value_limits(truth)
    reach = (limits[1] - limits[0]) / 2
    for i, ((name, remark), (error, note)) in enumerate(zip(captions, notes, strict=True)):
        x = left + i % columns * across
        y = images.TITLE_HEIGHT + i // columns * block + 0.1
        centre = x + across / 2
        sheet.text(centre, y, style.shorten_inside(name, 13), size=8, weight="bold", align="center")
        sheet.text(centre, y + 0.15, style.shorten(remark, 15), size=8, colour=images.MUTED, align="center")
        y += 0.28
        difference = np.where(lacks[i], 0.0, truth[i] - back[i])
        given, bounds_given = truth[i], limits
        if lacks[i].any():
            given, bounds_given = images.marked(truth[i], limits), (0.0, 1.0)
        for what, picture, bounds, colours in (
            ("original", given, bounds_given, "gray"),
            ("rebuilt", back[i], limits, "gray"),
            ("difference", difference, (-reach, reach), "RdBu_r"),
        ):
            if i % columns == 0:
                sheet.text(left - 0.12, y + height / 2, what, align="right")
            sheet.image(centre - width / 2, y, (width, height), picture, bounds, colours)
            y += height + images.GAP
        sheet.text(centre, y + 0.1, error, size=9, align="center")
        sheet.text(centre, y + 0.25, note, size=8, colour=images.MUTED, align="center")
    return sheet.figure
