"""The PCA pipeline."""

from kedro.pipeline import Pipeline, node

from latents.pipelines.pca import nodes, preview


def create_pipeline() -> Pipeline:
    """Return the pipeline, its nodes and datasets named ``pca.*``."""
    return Pipeline(
        [
            node(nodes.ingest, "raw_images", "images", name="ingest"),
            node(nodes.flatten_pixels, "images", "pixels", name="features"),
            node(nodes.split, ["images", "params:split"], "split", name="split"),
            node(
                nodes.fit,
                ["pixels", "split", "params:fit"],
                ["model", "fit_record"],
                name="fit",
                preview_fn=preview.fit,
            ),
            node(
                nodes.evaluate,
                ["model", "pixels", "images", "split", "fit_record", "params:evaluate"],
                {
                    "scores": "scores",
                    "distortions": "distortions",
                    "reconstructions": "reconstructions",
                    "worst": "worst",
                    "worst_table": "worst_table",
                    "metrics": "metrics",
                },
                name="evaluate",
            ),
            node(
                nodes.export,
                ["model", "images", "split", "metrics"],
                ["predictor", "mlflow_model"],
                name="export",
            ),
            node(
                nodes.report,
                [
                    "model",
                    "images",
                    "scores",
                    "distortions",
                    "reconstructions",
                    "worst",
                    "worst_table",
                    "metrics",
                    "params:report",
                    "params:pca",
                ],
                {
                    "eigenimages": "eigenimages_figure",
                    "reconstructions": "reconstructions_figure",
                    "distortion": "distortion_figure",
                    "spectrum": "spectrum_figure",
                    "scatter": "scatter_figure",
                    "worst": "worst_figure",
                    "errors": "errors_figure",
                    "loadings": "loadings_figure",
                    "slider_page": "slider_page",
                    "page": "report",
                },
                name="report",
            ),
        ],
        namespace="pca",
        parameters={"params:pca"},
    )
