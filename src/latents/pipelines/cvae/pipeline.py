"""The class-conditioned VAE pipeline."""

from kedro.pipeline import Pipeline, node

from latents.pipelines.cvae import nodes, preview


def create_pipeline() -> Pipeline:
    """Return the pipeline, its nodes and datasets named ``cvae.*``."""
    return Pipeline(
        [
            node(nodes.ingest, "raw_images", "images", name="ingest"),
            node(nodes.scale_pixels, ["images", "params:features"], "pixels", name="features"),
            node(
                nodes.split,
                ["pixels", "images", "params:split", "params:fit"],
                ["split", "test"],
                name="split",
            ),
            node(
                nodes.fit,
                [
                    "pixels",
                    "split",
                    "test",
                    "images",
                    "params:fit",
                    "params:watch",
                    "monitor",
                    "snapshots",
                    "checkpoint",
                ],
                ["model", "fit_record"],
                name="fit",
                preview_fn=preview.fit,
            ),
            node(
                nodes.evaluate,
                ["model", "test", "images", "fit_record", "params:evaluate", "monitor"],
                {
                    "latents": "latents",
                    "class_table": "class_table",
                    "generated": "generated",
                    "reconstructions": "reconstructions",
                    "hardest": "hardest",
                    "hardest_table": "hardest_table",
                    "paths": "paths",
                    "traversals": "traversals",
                    "metrics": "metrics",
                },
                name="evaluate",
            ),
            node(
                nodes.export,
                ["model", "images", "pixels", "split", "test", "metrics"],
                ["predictor", "mlflow_model"],
                name="export",
            ),
            node(
                nodes.report,
                [
                    "model",
                    "latents",
                    "class_table",
                    "generated",
                    "reconstructions",
                    "hardest",
                    "hardest_table",
                    "paths",
                    "traversals",
                    "metrics",
                    "snapshots",
                    "params:report",
                    "params:cvae",
                ],
                {
                    "generated": "generated_figure",
                    "learning": "learning_figure",
                    "bound": "bound_figure",
                    "class_bounds": "class_bounds_figure",
                    "confusion": "confusion_figure",
                    "reconstructions": "reconstructions_figure",
                    "hardest": "hardest_figure",
                    "interpolations": "interpolations_figure",
                    "class_paths": "class_paths_figure",
                    "styles": "styles_figure",
                    "traversals": "traversals_figure",
                    "latents": "latents_figure",
                    "priors": "priors_figure",
                    "page": "report",
                },
                name="report",
            ),
        ],
        namespace="cvae",
        parameters={"params:cvae"},
    )
