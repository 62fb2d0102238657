"""One visual language for every chart: colours, symbols, type and spacing.

Two rules keep the charts readable wherever they are shown. Colours that *mean* something (a class,
a train or a test curve) are written on the traces and chosen to read on white and on near-black;
everything else (background, ink, grid) lives in the template, which a viewer with a dark theme,
such as Kedro-Viz or the report at night, exchanges for its own.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

FONT_FAMILY = 'Inter, "Segoe UI", "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif'

# For whoever turns a chart into a page: plotly.js otherwise offers a button that uploads the data.
PLOTLY_CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["select2d", "lasso2d"],
}

BLUE = "#3f90da"
ORANGE = "#f08a00"
GREY = "#8a94a0"

# Petroff (2021), "Accessible color sequences for data visualization": ten colours told apart under
# the common forms of colour blindness, in an order whose first few are the most distinct.
CATEGORY_COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
# Past ten categories no set of colours stays distinct: the symbol then carries the other half.
CATEGORY_SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "star")

SEQUENTIAL = ((0.0, "#f4f8fc"), (0.35, "#a9d0f1"), (0.7, "#3f90da"), (1.0, "#0b4a86"))

_INK = {"light": "#1f2933", "dark": "#e4e9ef"}
_MUTED = {"light": "#5b6875", "dark": "#9aa7b4"}
_GRID = {"light": "#e6eaee", "dark": "#2c3641"}
_PAPER = {"light": "#ffffff", "dark": "#171d24"}


def colour_of(category: int) -> str:
    """Colour of a category by its position; repeats after ten, where `symbol_of` changes."""
    return CATEGORY_COLOURS[category % len(CATEGORY_COLOURS)]


def symbol_of(category: int) -> str:
    """Marker symbol of a category by its position: with the colour, distinct up to sixty."""
    return CATEGORY_SYMBOLS[category // len(CATEGORY_COLOURS) % len(CATEGORY_SYMBOLS)]


def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on `colour` (WCAG relative luminance)."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def template(theme: Literal["light", "dark"] = "light") -> go.layout.Template:
    """Build the Plotly template of the house.

    Parameters
    ----------
    theme : {"light", "dark"}
        Ink on white, or light ink on near-black.
    """
    axis = {
        "automargin": True,
        "gridcolor": _GRID[theme],
        "linecolor": _MUTED[theme],
        "showline": True,
        "tickcolor": _MUTED[theme],
        "tickfont": {"color": _MUTED[theme], "size": 12},
        "title": {"font": {"size": 13}, "standoff": 10},
        "zeroline": False,
    }
    return go.layout.Template(
        layout={
            "colorway": list(CATEGORY_COLOURS),
            "font": {"family": FONT_FAMILY, "size": 13, "color": _INK[theme]},
            "title": {
                "font": {"size": 18},
                "subtitle": {"font": {"size": 13, "color": _MUTED[theme]}},
            },
            "paper_bgcolor": _PAPER[theme],
            "plot_bgcolor": _PAPER[theme],
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"align": "left", "font": {"family": FONT_FAMILY, "size": 12}},
        }
    )


def finish(
    figure: go.Figure,
    title: str,
    subtitle: str,
    *,
    height: int,
    legend: Literal["top", "right", "none"] = "none",
) -> go.Figure:
    """Give a chart its title, its height and the style of the house; returns the same figure."""
    legends: dict[str, dict[str, Any]] = {
        "top": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
        "right": {"x": 1.02, "y": 1, "itemsizing": "constant", "tracegroupgap": 0},
        "none": {},
    }
    figure.update_layout(
        template=template(),
        title={
            "text": title,
            "subtitle": {"text": subtitle},
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": 1 - 30 / height,
            "yref": "container",
            "yanchor": "middle",
        },
        height=height,
        margin={"l": 70, "r": 30, "t": 100, "b": 60},
        showlegend=legend != "none",
        legend=legends[legend],
    )
    return figure


def switch(buttons: list[dict[str, Any]], *, y: float) -> dict[str, Any]:
    """Lay out a row of buttons from the left edge of a chart, for its ``updatemenus``."""
    return {
        "type": "buttons",
        "direction": "right",
        "buttons": buttons,
        "x": 0,
        "xanchor": "left",
        "y": y,
        "yanchor": "bottom",
        "bgcolor": "#d9e8f6",
        "bordercolor": GREY,
        "font": {"color": "#1f2933", "size": 12},
        "pad": {"t": 0, "b": 0},
    }


def name_tag(name: object, place: np.ndarray, colour: str) -> dict[str, Any]:
    """Lay out the name of a group of points at a place (2,), in its colour, for ``add_annotation``."""
    x, y = place
    return {
        "x": float(x),
        "y": float(y),
        "text": plain(shorten(name, 16)),
        "showarrow": False,
        "bgcolor": colour,
        "borderpad": 2,
        "opacity": 0.92,
        "font": {"color": ink_on(colour), "size": 12},
    }


def absent(title: str, reason: str) -> go.Figure:
    """Stand in for a chart that cannot be drawn, saying why.

    Parameters
    ----------
    title : str
        What would be seen.
    reason : str
        What is lacking.

    Returns
    -------
    plotly.graph_objects.Figure
        A chart without axes or data.
    """
    figure = go.Figure()
    figure.add_annotation(
        text=plain(reason), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 15}
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return finish(figure, plain(title), "Not drawn in this run", height=260)


def plain(text: object) -> str:
    """Escape text that Plotly would read as markup, as `<b>` and `&amp;` in labels."""
    return html.escape(str(text), quote=False)


def shorten(text: object, length: int = 24) -> str:
    """Cut `text` to `length` characters, the last an ellipsis when something was lost."""
    whole = str(text)
    return whole if len(whole) <= length else whole[: length - 1] + "…"


def shorten_inside(text: object, length: int) -> str:
    """Cut `text` to `length` characters by taking out of its middle: names of files differ at their ends."""
    whole = str(text)
    head = (length - 1) // 3
    return whole if len(whole) <= length else f"{whole[:head]}…{whole[len(whole) - (length - 1 - head) :]}"


def in_order(labels: npt.ArrayLike) -> list[Any]:
    """Distinct labels, numbers by value and text alphabetically; whole numbers as `int`."""
    return list(np.unique(np.asarray(labels)).tolist())


def check_lengths(**columns: Sequence[Any] | npt.NDArray[Any]) -> None:
    """Refuse columns of unequal length.

    Raises
    ------
    ValueError
        Naming every column and its length.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"columns must be of equal length: {found}")
