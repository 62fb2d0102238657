"""How the fit of a mixture went."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from latents import rounding
from latents.reporting import style


def bound_per_iteration(lower_bounds: npt.ArrayLike, tempered_bounds: npt.ArrayLike) -> go.Figure:
    """Objective per document over the EM steps, above what annealed steps raise in its place.

    Under annealing documents count as if they were short, and what EM then raises is another
    objective, which falls as they grow. It has a panel and a scale of its own below the objective of
    whole documents (source, section 1.2), which cannot fall once they are whole.

    Parameters
    ----------
    lower_bounds : array-like of shape (n_iter + 1,)
        Objective per whole document, in nats, before the first EM step and after each.
    tempered_bounds : array-like of shape (n_annealed,)
        Tempered objective per document, in nats, before each annealed step, if any; these come first.

    Returns
    -------
    plotly.graph_objects.Figure
        Steps count from 0, the start. The annealed stretch is shaded.

    Raises
    ------
    ValueError
        If `lower_bounds` is empty or does not outlast `tempered_bounds`.
    """
    bounds, tempered = np.asarray(lower_bounds), np.asarray(tempered_bounds)
    if bounds.size <= tempered.size:
        raise ValueError(
            f"lower_bounds must hold more values than tempered_bounds, got {bounds.size} and {tempered.size}"
        )
    panels = [("objective", bounds, style.BLUE)]
    if tempered.size:
        panels.append(("tempered objective", tempered, style.ORANGE))
    figure = make_subplots(
        rows=len(panels),
        row_heights=[0.66, 0.34][: len(panels)],
        shared_xaxes=True,
        vertical_spacing=0.07,
    )
    for row, (name, values, colour) in enumerate(panels, start=1):
        figure.add_trace(
            go.Scatter(
                x=np.arange(values.size),
                y=values,
                name=name,
                mode="lines+markers" if values.size <= 80 else "lines",
                line={"color": colour, "width": 2.5},
                marker={"size": 5},
                hovertemplate=f"after %{{x}} EM steps<br>{name} %{{y:,.2f}} nats per document<extra></extra>",
            ),
            row=row,
            col=1,
        )
        figure.update_yaxes(title_text=f"{name}<br>(nats per document)", tickformat=",", row=row)
    figure.update_xaxes(title_text="EM steps taken", rangemode="tozero", row=len(panels))
    subtitle = "EM never lowers the objective."
    if tempered.size:
        figure.add_vrect(
            x0=0, x1=tempered.size, fillcolor=style.GREY, opacity=0.12, line_width=0, layer="below", row="all"
        )
        # One rises, the other falls: the lower corners on the right and on the left are empty.
        notes = [
            ("shaded: annealing, documents grow to their length", "y domain", "right"),
            ("what annealed steps raise; drops as documents grow", "y2 domain", "left"),
        ]
        for text, panel, side in notes:
            figure.add_annotation(
                text=text,
                x=float(side == "right"),
                y=0,
                xref="paper",
                yref=panel,
                xanchor=side,
                yanchor="bottom",
                showarrow=False,
                borderpad=6,
            )
        subtitle = (
            "While documents grow the objective may dip, as at each perturbation; then EM never lowers it."
        )
    steps = bounds.size - 1
    title = (
        f"EM reached {rounding.nats(float(bounds[-1]))} nats per document "
        f"after {steps:,} step{'' if steps == 1 else 's'}"
    )
    return style.finish(figure, title, subtitle, height=620 if tempered.size else 460)
