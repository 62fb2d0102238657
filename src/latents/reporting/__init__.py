"""Arrays in, figures and pages out: charts in Plotly, pictures in Matplotlib, reports in HTML.

Nothing here writes a file or knows of pipelines and trackers; the catalog does that.
"""

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
from latents.reporting.style import absent, number
from latents.reporting.thumbnails import thumbnails

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
    "number",
    "pages",
    "pca",
    "render_chart",
    "render_report",
    "render_slider",
    "selection",
    "thumbnails",
]
