"""The PCA pipeline."""

from kedro.pipeline import Pipeline, node

from latents.pipelines.pca import nodes


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
                ["model", "mlflow_model", "fit_record"],
                name="fit",
            ),
            node(
                nodes.evaluate,
                ["model", "pixels", "images", "split", "fit_record", "params:evaluate"],
                ["scores", "distortions", "reconstructions", "metrics"],
                name="evaluate",
            ),
            node(
                nodes.report,
                [
                    "model",
                    "images",
                    "scores",
                    "distortions",
                    "reconstructions",
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
                    "page": "report",
                },
                name="report",
            ),
        ],
        namespace="pca",
        parameters={"params:pca"},
    )
