"""Arrays in, figures and pages out: charts in Plotly, pictures in Matplotlib, reports in HTML.

Nothing here writes a file or knows of pipelines and trackers; the catalog does that.
"""

from latents.reporting import clustering, cvae, pages, pca, selection
from latents.reporting.report import KeyNumber, Quotation, Quotations, Section, render_chart, render_report
from latents.reporting.style import absent

__all__ = [
    "KeyNumber",
    "Quotation",
    "Quotations",
    "Section",
    "absent",
    "clustering",
    "cvae",
    "pages",
    "pca",
    "render_chart",
    "render_report",
    "selection",
]
