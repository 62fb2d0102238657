"""Arrays in, figures and pages out: charts in Plotly, pictures in Matplotlib, reports in HTML.

Nothing here writes a file or knows of pipelines and trackers; the catalog does that.
"""

from latents.reporting import clustering, cvae, pages, pca, selection
from latents.reporting.report import KeyNumber, Section, render_report
from latents.reporting.style import absent

__all__ = [
    "KeyNumber",
    "Section",
    "absent",
    "clustering",
    "cvae",
    "pages",
    "pca",
    "render_report",
    "selection",
]
