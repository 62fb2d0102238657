"""The PCA pipeline."""

from kedro.pipeline import Pipeline, node

from latents.pipelines.pca import drawing, nodes, preview

RESULTS = ("scores", "distortions", "reconstructions", "worst", "worst_table", "metrics")
FIGURES = {
    name: f"{name}_figure"
    for name in (
        *("eigenimages", "reconstructions", "distortion", "spectrum"),
        *("scatter", "worst", "errors", "loadings", "choice", "imputed"),
    )
}


def create_pipeline() -> Pipeline:
    """Return the pipeline, its nodes and datasets named ``pca.*``."""
    return Pipeline(
        [
            node(nodes.ingest, ["raw_images", "params:fit"], "images", name="ingest"),
            node(nodes.flatten_pixels, "images", "pixels", name="features"),
            node(nodes.split, ["images", "params:split"], "split", name="split"),
            node(
                nodes.fit,
                ["pixels", "split", "params:fit", "params:engine"],
                ["model", "fit_record"],
                name="fit",
                preview_fn=preview.fit,
            ),
            node(
                nodes.evaluate,
                ["model", "pixels", "images", "split", "fit_record", "params:evaluate"],
                {name: name for name in RESULTS},
                name="evaluate",
            ),
            node(nodes.export, ["model", "images", "split", "metrics"], "predictor", name="export"),
            node(
                drawing.draw,
                [
                    "model",
                    "images",
                    "scores",
                    "distortions",
                    "reconstructions",
                    "worst",
                    "worst_table",
                    "params:fit",
                    "params:report",
                ],
                FIGURES,
                name="draw",
            ),
            node(
                nodes.report,
                {
                    "model": "model",
                    "images": "images",
                    "scores": "scores",
                    "distortions": "distortions",
                    "shown": "reconstructions",
                    "worst_table": "worst_table",
                    "metrics": "metrics",
                    "params": "params:report",
                    "parameters": "params:pca",
                    **FIGURES,
                },
                ["report", "slider_page"],
                name="report",
            ),
        ],
        namespace="pca",
        parameters={"params:pca"},
    )
