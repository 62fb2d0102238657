"""The clustering pipeline."""

from kedro.pipeline import Pipeline, node

from latents.pipelines.clustering import corpus, drawing, nodes, preview

RESULTS = ("assignments", "topics", "clusters", "examples", "changes", "map", "metrics")
FIGURES = {name: f"{name}_figure" for name in ("bound", "topics", "labels", "sizes", "map", "selection")}


def create_pipeline() -> Pipeline:
    """Return the pipeline, its nodes and datasets named ``clustering.*``."""
    return Pipeline(
        [
            node(
                corpus.ingest,
                ["raw_documents", "params:ingest", "params:fit"],
                ["documents", "bag"],
                name="ingest",
            ),
            node(
                corpus.count_words,
                ["documents", "bag", "params:features"],
                ["counts", "vocabulary", "word_rules"],
                name="features",
            ),
            node(nodes.split, ["counts", "documents", "params:split"], "split", name="split"),
            node(
                nodes.fit,
                [
                    "counts",
                    "split",
                    "documents",
                    "vocabulary",
                    "word_rules",
                    "params:fit",
                    "params:select",
                    "monitor",
                ],
                ["model", "fit_record", "selection"],
                name="fit",
                preview_fn=preview.fit,
            ),
            node(
                nodes.evaluate,
                [
                    "model",
                    "counts",
                    "vocabulary",
                    "documents",
                    "bag",
                    "split",
                    "fit_record",
                    "params:evaluate",
                    "monitor",
                ],
                {name: name for name in RESULTS},
                name="evaluate",
            ),
            node(
                nodes.export,
                [
                    "model",
                    "counts",
                    "vocabulary",
                    "documents",
                    "word_rules",
                    "bag",
                    "split",
                    "assignments",
                    "clusters",
                    "metrics",
                ],
                "predictor",
                name="export",
            ),
            node(
                drawing.draw,
                [
                    "model",
                    "documents",
                    "assignments",
                    "topics",
                    "clusters",
                    "map",
                    "selection",
                    "params:select",
                ],
                FIGURES,
                name="draw",
            ),
            node(
                nodes.report,
                {
                    "clusters": "clusters",
                    "examples": "examples",
                    "changes": "changes",
                    "metrics": "metrics",
                    "fits": "selection",
                    "parameters": "params:clustering",
                    **FIGURES,
                },
                ["report", "map_page"],
                name="report",
            ),
        ],
        namespace="clustering",
        parameters={"params:clustering"},
    )
