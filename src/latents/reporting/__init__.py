"""Arrays in, figures and pages out: charts in Plotly, pictures in Matplotlib, reports in HTML.

Nothing here writes a file or knows of pipelines and trackers; the catalog does that. Each part is imported on
first use, because Matplotlib takes its time, and nodes that draw nothing do without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from latents.reporting import clustering, cvae, pages, pca, selection
    from latents.reporting.images import absent_picture
    from latents.reporting.report import (
        KeyNumber,
        PicturedChart,
        Quotation,
        Quotations,
        Section,
        render_chart,
        render_report,
        render_slider,
    )
    from latents.reporting.shrinking import thumbnails
    from latents.reporting.style import absent

_PARTS = ("clustering", "cvae", "pages", "pca", "selection")
_HOMES = {
    "KeyNumber": "report",
    "PicturedChart": "report",
    "Quotation": "report",
    "Quotations": "report",
    "Section": "report",
    "absent": "style",
    "absent_picture": "images",
    "render_chart": "report",
    "render_report": "report",
    "render_slider": "report",
    "thumbnails": "shrinking",
}

__all__ = [
    "KeyNumber",
    "PicturedChart",
    "Quotation",
    "Quotations",
    "Section",
    "absent",
    "absent_picture",
    "clustering",
    "cvae",
    "pages",
    "pca",
    "render_chart",
    "render_report",
    "render_slider",
    "selection",
    "thumbnails",
]


def __getattr__(name: str) -> object:
    if name in _PARTS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
