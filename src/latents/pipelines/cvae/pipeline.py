"""The class-conditioned VAE pipeline."""

from kedro.pipeline import Pipeline, node

from latents.pipelines.cvae import drawing, nodes, preview

RESULTS = (
    "latents",
    "class_table",
    "generated",
    "drawings",
    "reconstructions",
    "hardest",
    "hardest_table",
    "paths",
    "traversals",
    "metrics",
)
FIGURES = {
    name: f"{name}_figure"
    for name in (
        *("generated", "learning", "bound", "class_bounds", "confusion", "reconstructions", "hardest"),
        *("interpolations", "class_paths", "styles", "traversals", "latents", "priors"),
        *("nearest", "nearest_distances"),
    )
}


def create_pipeline() -> Pipeline:
    """Return the pipeline, its nodes and datasets named ``cvae.*``."""
    return Pipeline(
        [
            node(nodes.ingest, "raw_images", "images", name="ingest"),
            node(nodes.scale_pixels, ["images", "params:features"], "pixels", name="features"),
            node(
                nodes.split,
                ["pixels", "images", "params:split", "params:fit"],
                ["split", "choice", "test"],
                name="split",
            ),
            node(
                nodes.fit,
                [
                    "pixels",
                    "split",
                    "test",
                    "images",
                    "choice",
                    "params:fit",
                    "params:watch",
                    "monitor",
                    "snapshots",
                    "params:engine",
                ],
                ["model", "fit_record"],
                name="fit",
                preview_fn=preview.fit,
            ),
            node(
                nodes.evaluate,
                [
                    "model",
                    "pixels",
                    "split",
                    "test",
                    "images",
                    "fit_record",
                    "params:evaluate",
                    "monitor",
                ],
                {name: name for name in RESULTS},
                name="evaluate",
            ),
            node(
                nodes.export,
                ["model", "images", "pixels", "split", "test", "metrics"],
                "predictor",
                name="export",
            ),
            node(
                drawing.draw,
                ["model", *RESULTS, "snapshots", "params:report"],
                FIGURES,
                name="draw",
            ),
            node(
                nodes.report,
                {"metrics": "metrics", "parameters": "params:cvae", "choice": "choice", **FIGURES},
                "report",
                name="report",
            ),
        ],
        namespace="cvae",
        parameters={"params:cvae"},
    )
