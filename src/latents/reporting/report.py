"""One self-contained HTML page: figures, key numbers, what to read in them, the parameters."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, TypeAlias

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image
from plotly.offline import get_plotlyjs

from latents import rounding
from latents.key_numbers import KEY_NUMBERS, with_error
from latents.reporting import style
from latents.reporting.pca.slider import Slider
from latents.reporting.shrinking import Thumbnails


@dataclass(frozen=True)
class Quotation:
    """A passage of a document.

    Attributes
    ----------
    source : str
        Where it is from.
    facts : str
        What is known of it, in a few words.
    text : str
        The passage.
    """

    source: str
    facts: str
    text: str


@dataclass(frozen=True)
class Quotations:
    """Passages under one heading, which the reader unfolds.

    Attributes
    ----------
    heading, note : str
        What they have in common, and a remark beside it.
    columns : mapping of str to sequence of Quotation
        Shown side by side under their names.
    is_unfolded : bool
        Whether they are to be seen at once.
    """

    heading: str
    note: str
    columns: Mapping[str, Sequence[Quotation]]
    is_unfolded: bool = False


@dataclass(frozen=True)
class PicturedChart:
    """A chart whose points are images, seen when one points at them.

    Attributes
    ----------
    chart : plotly Figure
        The first of every point's ``customdata`` is the place of its image in `thumbnails`; its ``text`` is
        written below the image.
    thumbnails : Thumbnails
        The images.
    """

    chart: go.Figure
    thumbnails: Thumbnails


Picture: TypeAlias = (
    go.Figure | PicturedChart | Slider | Figure | Image.Image | pd.DataFrame | Sequence[Quotations]
)


@dataclass(frozen=True)
class KeyNumber:
    """One number that tells how a fit went.

    Attributes
    ----------
    name : str
        Short name, as "NMI".
    value : float, int or str
        The number; text is shown as it stands.
    meaning : str
        One sentence for who does not know it, saying which direction is better.
    unit : str
        Unit, as "nats per image"; empty where there is none.
    """

    name: str
    value: float | int | str
    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class Section:
    """One figure or table with its reading.

    Attributes
    ----------
    title : str
        Heading.
    text : str
        What to read in the figure; a blank line starts a new paragraph.
    figure : plotly Figure, PicturedChart, Slider, matplotlib Figure, Image, DataFrame or sequence of Quotations
        Drawn as interactive chart, without or with images of its points, images with a slider, PNG, table or
        passages to unfold. An image is what a file has of a Matplotlib figure.
    """

    title: str
    text: str
    figure: Picture


def chosen(
    metrics: Mapping[str, float], wanted: Sequence[tuple[str, str]], units: Mapping[str, str] | None = None
) -> list[KeyNumber]:
    """Return of the wanted numbers (their name in ``metrics.json``, meaning) those that a run has.

    Those of labels or held-out rows may be absent. Their units are those of `KEY_NUMBERS`, or of `units`. A
    standard error, ``<name>_error``, stands beside its number.
    """
    named = [(KEY_NUMBERS[key], key, meaning) for key, meaning in wanted if key in metrics]
    return [
        KeyNumber(about.name, with_error(metrics, key), meaning, (units or {}).get(key, about.unit))
        for about, key, meaning in named
    ]


def render_report(
    title: str,
    subtitle: str,
    key_numbers: Sequence[KeyNumber],
    sections: Sequence[Section],
    parameters: Mapping[str, Any],
    note: str | None = None,
) -> str:
    """Lay out a report as one HTML page that needs nothing else.

    The chart library, charts and pictures are inside the page, and its content security policy
    forbids the browser any other source. Every text is escaped, so that words of documents and
    names of labels cannot become markup.

    Parameters
    ----------
    title, subtitle : str
        Head of the page.
    key_numbers : sequence of KeyNumber
        Shown first.
    sections : sequence of Section
        Shown in order, with a table of contents.
    parameters : mapping
        Everything the run was given; nested mappings become dotted names.
    note : str, optional
        What to know of all the numbers, at the foot.

    Returns
    -------
    str
        The page, a whole HTML document.

    Raises
    ------
    TypeError
        If a section's figure is none of these kinds.
    """
    return _render(
        "report.html.j2",
        title=title,
        subtitle=subtitle,
        key_numbers=key_numbers,
        sections=[_Shown.of(section, number) for number, section in enumerate(sections, start=1)],
        parameters=list(_flatten(parameters)),
        note=note,
    )


def render_slider(title: str, slider: Slider | str) -> str:
    """Lay out a slider as an HTML page of its own, or the reason why there is none."""
    if isinstance(slider, Slider):
        return _render("slider.html.j2", title=title, slider=slider)
    return _render("slider.html.j2", title=title, slider=None, reason=slider)


def render_chart(title: str, chart: go.Figure) -> str:
    """Lay out one chart as an HTML page that it fills, under the same rules as ``render_report``."""
    return _render("chart.html.j2", title=title, chart=_escape_json(chart.to_json()))


@dataclass(frozen=True)
class _Shown:
    """A section made ready for the page: exactly one of chart, slider, picture, table and passages is there."""

    anchor: str
    section: Section
    chart: Markup | None = None
    height: int = 0
    thumbnails: Markup | None = None
    slider: Slider | None = None
    picture: str | None = None
    width: int = 0
    table: pd.DataFrame | None = None
    passages: Sequence[Quotations] | None = None

    @property
    def title(self) -> str:
        return self.section.title

    @property
    def paragraphs(self) -> list[str]:
        parts = re.split(r"\n\s*\n", self.section.text)
        return [part.strip() for part in parts if part.strip()]

    @classmethod
    def of(cls, section: Section, number: int) -> _Shown:
        anchor = f"section-{number}"
        match section.figure:
            case go.Figure() as chart:
                return cls(
                    anchor,
                    section,
                    chart=_escape_json(chart.to_json()),
                    height=int(chart.layout.height or 450),
                )
            case PicturedChart() as pictured:
                return replace(
                    cls.of(replace(section, figure=pictured.chart), number),
                    thumbnails=_script_json(asdict(pictured.thumbnails)),
                )
            case Slider() as slider:
                return cls(anchor, section, slider=slider)
            case Figure() as picture:
                inches = float(picture.get_size_inches()[0])
                buffer = io.BytesIO()
                picture.savefig(buffer, format="png")
                return cls(anchor, section, picture=_png_uri(buffer.getvalue()), width=round(96 * inches))
            case Image.Image() as picture:
                inches = picture.width / picture.info.get("dpi", (96, 96))[0]
                content = picture._repr_png_()  # the PNG that notebooks show
                if content is None:
                    raise ValueError(f"a picture of mode {picture.mode} has no form as PNG, which pages show")
                return cls(anchor, section, picture=_png_uri(content), width=round(96 * inches))
            case pd.DataFrame() as table:
                return cls(anchor, section, table=table)
            case [*passages] if all(isinstance(group, Quotations) for group in passages):
                return cls(anchor, section, passages=passages)
            case other:
                raise TypeError(
                    f"the figure of section {section.title!r} must be a Plotly figure, alone or with "
                    "thumbnails, a Slider, a Matplotlib figure, a DataFrame or Quotations, got "
                    f"{type(other).__name__}"
                )


def _render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("latents.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _cell
    environment.filters["exact"] = _exact
    environment.filters["script_json"] = _script_json
    environment.tests["numeric"] = _is_number
    environment.globals.update(plotly_js=_plotly_js, chart_settings=_chart_settings)
    return environment


def _is_number(value: object) -> bool:
    return pd.api.types.is_number(value) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    """Write a result for people: numbers rounded, other values as they stand."""
    return rounding.number(value) if _is_number(value) else _exact(value)


def _exact(value: Any) -> str:
    """Write a setting with all its digits; lists joined, nothing in words."""
    if isinstance(value, (list, tuple)):
        return ", ".join(_exact(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value is pd.NA else str(value)


def _flatten(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values of nested parameters, in the order given."""
    for name, value in parameters.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _png_uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


@cache
def _plotly_js() -> Markup:
    packed = gzip.compress(get_plotlyjs().encode(), mtime=0)
    return Markup(base64.b64encode(packed).decode("ascii"))  # noqa: S704  (base64 has no markup)


def _chart_settings() -> Markup:
    return _script_json(
        {
            "config": style.PLOTLY_CONFIG,
            "light": style.template("light").to_plotly_json(),
            "dark": style.template("dark").to_plotly_json(),
        }
    )


def _script_json(value: object) -> Markup:
    return _escape_json(json.dumps(value))


def _escape_json(text: str) -> Markup:
    """Make JSON safe inside a script element: no character left that HTML could read as markup."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704  (nothing in it can end the element)
