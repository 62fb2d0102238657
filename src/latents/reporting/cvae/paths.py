"""Ways through the latents: between images, between classes, along single latents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from latents import rounding
from latents.reporting import images, style
from latents.reporting.cvae.rows import Row, sheet_of_rows

_MAX_PANELS_ACROSS = 2


def interpolations(
    paths: npt.ArrayLike,
    ends: npt.ArrayLike,
    labels: Sequence[tuple[object, object]],
) -> Figure:
    """Ways from one image to another, the images themselves at both ends.

    Parameters
    ----------
    paths : array-like of shape (n, steps, H, W) or (n, steps, H, W, 3)
        Pixel means along each way.
    ends : array-like of shape (n, 2, H, W) or (n, 2, H, W, 3)
        The two images of each.
    labels : sequence of pairs, of length n
        Their classes; ways within a class should come first.

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    ways, given = np.asarray(paths), np.asarray(ends)
    style.check_lengths(paths=ways, ends=given, labels=labels)
    rows = [
        Row(
            np.concatenate([end[:1], images.as_images(way, "paths"), end[1:]]),
            before if before == after else f"{style.shorten(before, 11)} → {style.shorten(after, 11)}",
        )
        for way, end, (before, after) in zip(ways, given, labels, strict=True)
    ]
    within = [i for i, (before, after) in enumerate(labels) if before == after]
    steps = ways.shape[1]
    return sheet_of_rows(
        "From one test image to another, through the latents",
        "Test images at the outer edges. Above within a class; below the weight of the class moves as well.",
        rows,
        columns=["image", *(f"{share:.0%}" for share in np.linspace(0, 1, steps)), "image"],
        parted_after=(0, steps),
        parted_below=within[-1:],
    )


def class_paths(paths: npt.ArrayLike, labels: Sequence[tuple[object, object]]) -> Figure:
    """Ways from class to class at latents that stay the same.

    Parameters
    ----------
    paths : array-like of shape (n, steps, H, W) or (n, steps, H, W, 3)
        Pixel means along each way.
    labels : sequence of pairs, of length n
        The class that each begins and ends in.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    ways = np.asarray(paths)
    style.check_lengths(paths=ways, labels=labels)
    return sheet_of_rows(
        "From class to class in one style",
        "Only the weight of the class moves, z stays. The model was trained at the edges alone.",
        [
            Row(images.as_images(way, "paths"), before, after)
            for way, (before, after) in zip(ways, labels, strict=True)
        ],
        columns=[f"{share:.0%}" for share in np.linspace(0, 1, ways.shape[1])],
    )


def styles(
    originals: npt.ArrayLike, restyled: npt.ArrayLike, labels: Sequence[object], class_names: Sequence[object]
) -> Figure:
    """Images on the left, and the same latents as every class beside them.

    Parameters
    ----------
    originals : array-like of shape (n, H, W) or (n, H, W, 3)
        Images in [0, 1].
    restyled : array-like of shape (n, C, H, W) or (n, C, H, W, 3)
        Pixel means of each in every class.
    labels : sequence of length n
        The classes of the originals.
    class_names : sequence of length C
        Names of the columns.

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    truth, grid = images.as_images(originals, "originals"), np.asarray(restyled)
    style.check_lengths(originals=truth, restyled=grid, labels=labels)
    style.check_lengths(restyled=grid[0], class_names=class_names)
    return sheet_of_rows(
        "One style in every class",
        "On the left a test image; its z, with every class in turn, makes the images beside it.",
        [
            Row(np.concatenate([image[None], images.as_images(row, "restyled")]), label)
            for image, row, label in zip(truth, grid, labels, strict=True)
        ],
        columns=["image", *class_names],
        parted_after=(0,),
    )


def traversals(
    grids: npt.ArrayLike,
    latents: Sequence[int],
    variances: Sequence[float],
    class_names: Sequence[object],
    values: Sequence[float],
) -> Figure:
    """Show what single latents do: one panel a latent, one row a class.

    Parameters
    ----------
    grids : array-like of shape (K, C, V, H, W) or (K, C, V, H, W, 3)
        Pixel means at V values of each of K latents, the others at the mean of p(z | y).
    latents : sequence of int, of length K
        Which they are, counted from 1.
    variances : sequence of float, of length K
        How much each varies over the test images, in units of p(z | y).
    class_names : sequence of length C
        Names of the rows.
    values : sequence of float, of length V
        Standard deviations of p(z | y).

    Returns
    -------
    matplotlib.figure.Figure
        Two panels beside each other.

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    panels = np.asarray(grids)
    style.check_lengths(grids=panels, latents=latents, variances=variances)
    style.check_lengths(grids=panels[0], class_names=class_names)
    style.check_lengths(grids=panels[0, 0], values=values)
    across = min(_MAX_PANELS_ACROSS, len(panels))
    down = -(-len(panels) // across)
    names = [style.shorten(name, 16) for name in class_names]
    width, height = images.tile_size(
        panels.shape[3], panels.shape[4], across * len(values) + 2, down * (len(names) + 1)
    )
    left = images.text_width(names) + 0.15
    panel_width = left + len(values) * (width + images.GAP) + 0.15
    panel_height = 0.6 + len(names) * (height + images.GAP)
    first = "latent does" if len(panels) == 1 else f"{len(panels)} latents do"
    sheet = images.Sheet(
        images.MARGIN + across * panel_width + images.MARGIN,
        images.TITLE_HEIGHT + down * panel_height + images.MARGIN,
        f"What the most active {first}",
        "One latent moves by so many standard deviations of p(z | y), the others rest at its mean.",
    )
    for place, (panel, latent, variance) in enumerate(zip(panels, latents, variances, strict=True)):
        x0 = images.MARGIN + place % across * panel_width + left
        y0 = images.TITLE_HEIGHT + place // across * panel_height + 0.45
        sheet.text(x0, y0 - 0.33, f"latent {latent}", size=10, weight="bold")
        sheet.text(
            x0 + len(values) * (width + images.GAP) - images.GAP,
            y0 - 0.33,
            f"variance {rounding.number(variance, 2)}",
            size=8,
            colour=images.MUTED,
            align="right",
        )
        for j, value in enumerate(values):
            x = x0 + j * (width + images.GAP)
            shown = f"{value:+g}".replace("-", rounding.MINUS) if value else "0"
            sheet.text(x + width / 2, y0 - 0.1, shown, size=8, colour=images.MUTED, align="center")
        for i, (name, row) in enumerate(zip(names, panel, strict=True)):
            y = y0 + i * (height + images.GAP)
            sheet.text(x0 - 0.12, y + height / 2, name, size=9, align="right")
            for j, image in enumerate(images.as_images(row, "grids")):
                sheet.image(x0 + j * (width + images.GAP), y, (width, height), image, (0.0, 1.0))
    return sheet.figure
