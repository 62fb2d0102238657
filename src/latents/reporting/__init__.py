"""Arrays in, figures and pages out: charts in Plotly, pictures in Matplotlib, reports in HTML.

Nothing here writes a file or knows of pipelines and trackers; the catalog does that. Each part is imported on
first use, because Matplotlib takes its time, and nodes that draw nothing do without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from latents.reporting import clustering, cvae, images, pages, pca, report, selection, shrinking, style

__all__ = ["clustering", "cvae", "images", "pages", "pca", "report", "selection", "shrinking", "style"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
