"""Pictures and charts of the class-conditioned VAE (source, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from latents.reporting import images, style
from latents.reporting.scatter import scatter_by_label

_PAIRS_PER_ROW = 12


def bound_per_epoch(history: Mapping[str, Sequence[float]]) -> go.Figure:
    """Lower bound per epoch, and the two terms that it is the difference of.

    L(x, y) = E_q[log p(x | z, y)] - KL(q(z | x, y) || p(z | y)).

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value an epoch, in nats per image: `lower_bound`, `reconstruction` and `kl` of training
        and, if there, `lower_bound_test`, NaN in epochs without a test. Other names are passed
        over.

    Returns
    -------
    plotly.graph_objects.Figure
        The bound on the left; on the right the expected log-likelihood above the divergence.

    Raises
    ------
    ValueError
        If a name is missing, there is no epoch, or the lengths differ.
    """
    curves = {
        "lower_bound": ("train", style.BLUE, "solid", 1, 1),
        "lower_bound_test": ("test", style.ORANGE, "dash", 1, 1),
        "reconstruction": ("reconstruction, train", style.BLUE, "solid", 1, 2),
        "kl": ("KL, train", style.BLUE, "solid", 2, 2),
    }
    missing = [name for name in curves if name not in history and name != "lower_bound_test"]
    if missing:
        raise ValueError(f"history lacks {missing}; it has {sorted(history)}")
    given = {name: np.asarray(history[name], dtype=float) for name in curves if name in history}
    style.check_lengths(**given)
    epochs = np.arange(1, len(given["lower_bound"]) + 1)
    if epochs.size == 0:
        raise ValueError("history must hold at least one epoch, got none")
    figure = make_subplots(
        rows=2,
        cols=2,
        specs=[[{"rowspan": 2}, {}], [None, {}]],
        column_widths=[0.58, 0.42],
        horizontal_spacing=0.13,
        vertical_spacing=0.17,
        subplot_titles=(
            "<b>lower bound</b>",
            "<b>reconstruction</b>  E[log p(x | z, y)]",
            "<b>divergence</b>  KL(q(z | x, y) ‖ p(z | y))",
        ),
    )
    for key, values in given.items():
        name, colour, dash, row, column = curves[key]
        figure.add_trace(
            go.Scatter(
                x=epochs,
                y=values,
                name=name,
                mode="lines+markers" if epochs.size <= 60 else "lines",
                line={"color": colour, "dash": dash, "width": 2.5},
                marker={"size": 5},
                connectgaps=True,
                showlegend=column == 1 and "lower_bound_test" in given,
                hovertemplate=f"epoch %{{x}}<br>{name} %{{y:.3f}} nats<extra></extra>",
            ),
            row=row,
            col=column,
        )
    figure.update_xaxes(title_text="epoch", row=2)
    figure.update_xaxes(title_text="epoch", row=1, col=1)
    figure.update_yaxes(title_text="nats per image")
    figure.update_annotations(font={"size": 14})
    last = f"train {style.number(float(given['lower_bound'][-1]))}"
    tested = given.get("lower_bound_test", np.array([]))
    tested = tested[np.isfinite(tested)]
    if tested.size:
        last += f", test {style.number(float(tested[-1]))}"
    style.finish(
        figure,
        f"The lower bound after {epochs.size} epoch{'s' if epochs.size > 1 else ''}: {last} nats",
        f"Bound = reconstruction {style.MINUS} divergence, per image; higher is better.",
        height=520,
        legend="top" if "lower_bound_test" in given else "none",
    )
    corner = {"x": 0.49, "y": 0.04, "xanchor": "right", "yanchor": "bottom", "orientation": "v"}
    return figure.update_layout(legend=corner)


def generated_grid(images_by_class: npt.ArrayLike, class_names: Sequence[object]) -> Figure:
    """Images drawn from the model, one row a class.

    Parameters
    ----------
    images_by_class : array-like of shape (C, n, H, W) or (C, n, H, W, 3)
        Pixel means in [0, 1] of n draws z ~ p(z | y) for each class y.
    class_names : sequence of length C
        Names of the classes, numbers or text.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the shape is another one, or the lengths differ.
    """
    grid = np.asarray(images_by_class)
    if grid.ndim not in (4, 5) or grid.size == 0:
        raise ValueError(f"images_by_class must have shape (C, n, H, W) or (C, n, H, W, 3), got {grid.shape}")
    style.check_lengths(images_by_class=grid, class_names=class_names)
    rows = [images.as_images(row, "images_by_class") for row in grid]
    names = [style.shorten(name) for name in class_names]
    count = grid.shape[1]
    width, height = images.tile_size(grid.shape[2], grid.shape[3], count, len(rows))
    left = images.MARGIN + images.text_width(names) + 0.15
    sheet = images.Sheet(
        left + count * (width + images.GAP) + images.MARGIN,
        images.TITLE_HEIGHT + len(rows) * (height + images.GAP) + images.MARGIN,
        "Images the model generates for each class",
        "One row a class y: z drawn from p(z | y), decoded to pixel means.",
    )
    for i, (name, row) in enumerate(zip(names, rows, strict=True)):
        y = images.TITLE_HEIGHT + i * (height + images.GAP)
        sheet.text(left - 0.15, y + height / 2, name, size=10, align="right")
        for j, image in enumerate(row):
            sheet.image(left + j * (width + images.GAP), y, (width, height), image, (0.0, 1.0))
    return sheet.figure


def reconstructions(
    originals: npt.ArrayLike,
    reconstructions: npt.ArrayLike,
    labels: Sequence[object] | npt.NDArray[np.generic],
) -> Figure:
    """Images above what the model makes of them, in pairs.

    Parameters
    ----------
    originals : array-like of shape (n, H, W) or (n, H, W, 3)
        Images in [0, 1], binarised ones included.
    reconstructions : array-like of the same shape
        Pixel means decoded from the posterior of each.
    labels : sequence of length n
        Class of each, written above.

    Returns
    -------
    matplotlib.figure.Figure
        Twelve pairs to a row.

    Raises
    ------
    ValueError
        If shapes or lengths differ.
    """
    truth = images.as_images(originals, "originals")
    rebuilt = images.as_images(reconstructions, "reconstructions")
    if rebuilt.shape != truth.shape:
        raise ValueError(f"reconstructions must have the originals' shape {truth.shape}, got {rebuilt.shape}")
    style.check_lengths(originals=truth, labels=labels)
    columns = min(_PAIRS_PER_ROW, len(truth))
    blocks = -(-len(truth) // columns)
    width, height = images.tile_size(truth.shape[1], truth.shape[2], columns, 2 * blocks)
    across = width + images.GAP
    names = [style.shorten(label, max(int(across / 0.075), 3)) for label in labels]
    left = images.MARGIN + images.text_width(["reconstruction"]) + 0.1
    down = 0.25 + 2 * (height + images.GAP) + 0.12
    sheet = images.Sheet(
        left + columns * across + images.MARGIN,
        images.TITLE_HEIGHT + blocks * down + 0.1,
        "Images and their reconstructions",
        "Above the image as the model saw it, below the pixel means decoded from its posterior.",
    )
    for i, name in enumerate(names):
        x = left + i % columns * across
        y = images.TITLE_HEIGHT + i // columns * down + 0.2
        if i % columns == 0:
            sheet.text(left - 0.1, y + height / 2, "image", align="right")
            second = y + height + images.GAP + height / 2
            sheet.text(left - 0.1, second, "reconstruction", align="right")
        sheet.text(x + width / 2, y - 0.1, name, size=8, colour=images.MUTED, align="center")
        sheet.image(x, y, (width, height), truth[i], (0.0, 1.0))
        sheet.image(x, y + height + images.GAP, (width, height), rebuilt[i], (0.0, 1.0))
    return sheet.figure


def latent_scatter(
    points: npt.ArrayLike, labels: npt.ArrayLike | None, axis_names: tuple[str, str]
) -> go.Figure:
    """Posterior means in the plane, coloured by class.

    With p(z | y) the same for all classes, z holds what y does not say (slant, width, ...): classes
    that lie on one another are the wanted outcome.

    Parameters
    ----------
    points : array-like of shape (n, 2)
        Two coordinates of the posterior means.
    labels : array-like of shape (n,) or None
        Class of each.
    axis_names : tuple of str
        What the coordinates are, as "latent 3".

    Returns
    -------
    plotly.graph_objects.Figure
    """
    return scatter_by_label(
        points,
        labels,
        axis_titles=axis_names,
        title=f"Where {len(np.asarray(points)):,} images lie in the latent space",
        subtitle=(
            "Posterior means. The class is given to the model, so z need not tell classes apart: "
            "overlap is expected."
        ),
        name_medians=False,
    )
