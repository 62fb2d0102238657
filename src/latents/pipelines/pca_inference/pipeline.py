"""The pipeline that compresses new images."""

from kedro.pipeline import Pipeline, node

from latents.pipelines.pca_inference import nodes


def create_pipeline() -> Pipeline:
    """Return the pipeline, its nodes and datasets named ``pca_inference.*``."""
    return Pipeline(
        [
            node(nodes.ingest, ["predictor", "raw_images"], "images", name="ingest"),
            node(
                nodes.predict,
                ["predictor", "images", "params:predict"],
                ["coordinates", "reconstructions"],
                name="predict",
            ),
            node(
                nodes.report,
                ["predictor", "coordinates", "reconstructions", "params:report"],
                "reconstructions_figure",
                name="report",
            ),
        ],
        namespace="pca_inference",
        inputs={"predictor": "pca.predictor"},
    )
