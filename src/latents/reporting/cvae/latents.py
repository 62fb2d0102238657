"""Where images lie in the latent space, and where the priors of the classes expect them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from latents import rounding
from latents.reporting import style
from latents.reporting.scatter import scatter_by_label

_ROUND = np.linspace(0, 2 * np.pi, 73)


def latent_scatter(
    points: npt.ArrayLike,
    labels: npt.ArrayLike,
    axis_names: tuple[str, str],
    has_class_priors: bool,
) -> go.Figure:
    """Posterior means in the plane, coloured by class.

    With p(z | y) the same for all classes, z holds what y does not say (slant, width, ...): classes
    that lie on one another are the wanted outcome.

    Parameters
    ----------
    points : array-like of shape (n, 2)
        Two coordinates of the posterior means.
    labels : array-like of shape (n,)
        Class of each.
    axis_names : tuple of str
        What the coordinates are, as "latent 3".
    has_class_priors : bool
        Whether p(z | y) differs by class, so that classes may lie apart.
    """
    return scatter_by_label(
        points,
        labels,
        axis_titles=axis_names,
        title=f"Where {len(np.asarray(points)):,} images lie in the latent space",
        subtitle=(
            "Posterior means. Every class has a prior of its own and may lie where it likes."
            if has_class_priors
            else "Posterior means. The class is given to the model, so z need not tell classes apart: "
            "overlap is expected."
        ),
        name_medians=False,
    )


def class_priors(
    points: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_names: Sequence[object],
    means: npt.ArrayLike,
    covariances: npt.ArrayLike,
    kl: float,
    kl_standard: float,
    axis_names: tuple[str, str],
) -> go.Figure:
    """Learned priors p(z | y) in a plane of the latent space: the mean and one standard deviation of each.

    Parameters
    ----------
    points : array-like of shape (n, 2)
        Posterior means in the plane.
    labels : array-like of shape (n,)
        Class of each.
    class_names : sequence of length C
        All classes, in the order of the next two.
    means : array-like of shape (C, 2)
        Means of p(z | y) in the plane.
    covariances : array-like of shape (C, 2, 2)
        Covariances of p(z | y) in the plane.
    kl, kl_standard : float
        Mean KL(q(z | x, y) || p(z | y)) of test images in nats, and what it would be were p(z | y) = N(0, I).
    axis_names : tuple of str
        What the coordinates are.

    Returns
    -------
    plotly.graph_objects.Figure
        The circle of N(0, I) is dotted.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    centres, spreads = np.asarray(means, np.float64), np.asarray(covariances, np.float64)
    style.check_lengths(class_names=class_names, means=centres, covariances=spreads)
    saved = kl_standard - kl
    figure = scatter_by_label(
        points,
        labels,
        axis_titles=axis_names,
        title=(
            f"The priors of the classes {'save' if saved >= 0 else 'cost'} {rounding.nats(abs(saved))} nats "
            f"of KL an image"
        ),
        subtitle=(
            f"KL to p(z | y) {rounding.nats(kl)} nats, to N(0, I) {rounding.nats(kl_standard)}. "
            "Ellipses: mean and one standard deviation of p(z | y); dotted: of N(0, I)."
        ),
        name_medians=False,
    )
    # The ellipses stand for their classes in the legend: dots as faint as these would not be seen there.
    figure.update_traces(marker={"opacity": 0.3}, showlegend=False)
    for trace in figure.data:
        trace.legendgroup = trace.name
    figure.add_trace(
        go.Scatter(
            x=np.cos(_ROUND),
            y=np.sin(_ROUND),
            mode="lines",
            name="N(0, I)",
            line={"color": style.GREY, "dash": "dot", "width": 2},
            hoverinfo="skip",
        )
    )
    circle = np.stack([np.cos(_ROUND), np.sin(_ROUND)])
    # The colours of the dots; a class without any comes after those.
    coloured = dict.fromkeys([*map(str, style.in_order(labels)), *map(str, class_names)])
    categories = {name: place for place, name in enumerate(coloured)}
    for name, centre, covariance in zip(class_names, centres, spreads, strict=True):
        values, vectors = np.linalg.eigh(covariance)
        x, y = centre[:, None] + vectors * np.sqrt(np.maximum(values, 0)) @ circle
        colour = style.colour_of(categories[str(name)])
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                mode="lines",
                name=f"p(z | {style.plain(style.shorten(name, 16))})",
                legendgroup=style.plain(name),
                line={"color": colour, "width": 2.5},
                hovertemplate="%{x:,.3r}, %{y:,.3r}<extra>%{fullData.name}</extra>",
            )
        )
        figure.add_annotation(style.name_tag(name, centre, colour))
    return figure
