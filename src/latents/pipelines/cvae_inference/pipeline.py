"""The pipeline that encodes new images and draws others."""

from kedro.pipeline import Pipeline, node

from latents.pipelines.cvae_inference import nodes


def create_pipeline() -> Pipeline:
    """Return the pipeline, its nodes and datasets named ``cvae_inference.*``."""
    return Pipeline(
        [
            node(nodes.ingest, "raw_images", "images", name="ingest"),
            node(nodes.predict, ["predictor", "images", "params:predict"], "latents", name="predict"),
            node(nodes.generate, ["predictor", "labels", "params:generate"], "generated", name="generate"),
            node(
                nodes.report, ["predictor", "generated", "params:report"], "generated_figure", name="report"
            ),
        ],
        namespace="cvae_inference",
        inputs={"predictor": "cvae.predictor"},
    )
