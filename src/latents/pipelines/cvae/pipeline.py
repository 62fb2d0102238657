"""The class-conditioned VAE pipeline."""

from kedro.pipeline import Pipeline, node

from latents.pipelines.cvae import nodes


def create_pipeline() -> Pipeline:
    """Return the pipeline, its nodes and datasets named ``cvae.*``."""
    return Pipeline(
        [
            node(nodes.ingest, "raw_images", "images", name="ingest"),
            node(nodes.scale_pixels, ["images", "params:features"], "pixels", name="features"),
            node(nodes.split, ["pixels", "images", "params:split"], ["split", "test"], name="split"),
            node(
                nodes.fit,
                ["pixels", "split", "test", "params:fit", "monitor"],
                ["model", "mlflow_model", "fit_record"],
                name="fit",
            ),
            node(
                nodes.evaluate,
                ["model", "test", "images", "fit_record", "params:evaluate", "monitor"],
                ["latents", "generated", "reconstructions", "metrics"],
                name="evaluate",
            ),
            node(
                nodes.report,
                [
                    "model",
                    "latents",
                    "generated",
                    "reconstructions",
                    "metrics",
                    "params:report",
                    "params:cvae",
                ],
                {
                    "bound": "bound_figure",
                    "generated": "generated_figure",
                    "reconstructions": "reconstructions_figure",
                    "latents": "latents_figure",
                    "page": "report",
                },
                name="report",
            ),
        ],
        namespace="cvae",
        parameters={"params:cvae"},
    )
