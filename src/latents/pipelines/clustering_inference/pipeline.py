"""The pipeline that clusters new documents."""

from kedro.pipeline import Pipeline, node

from latents.pipelines.clustering_inference import nodes


def create_pipeline() -> Pipeline:
    """Return the pipeline, its nodes and datasets named ``clustering_inference.*``."""
    return Pipeline(
        [
            node(
                nodes.ingest,
                ["predictor", "raw_documents", "params:ingest"],
                ["documents", "bag"],
                name="ingest",
            ),
            node(nodes.count_words, ["predictor", "documents", "bag"], "counts", name="features"),
            node(
                nodes.predict,
                ["predictor", "counts", "documents", "params:predict"],
                "assignments",
                name="predict",
            ),
            node(
                nodes.find_nearest,
                [
                    "predictor",
                    "counts",
                    "documents",
                    "trained_counts",
                    "trained_vocabulary",
                    "trained_documents",
                    "trained_assignments",
                    "trained_clusters",
                    "params:nearest",
                ],
                "nearest",
                name="nearest",
            ),
            node(nodes.report, ["predictor", "assignments"], "sizes_figure", name="report"),
        ],
        namespace="clustering_inference",
        inputs={
            "predictor": "clustering.predictor",
            "trained_counts": "clustering.counts",
            "trained_vocabulary": "clustering.vocabulary",
            "trained_documents": "clustering.documents",
            "trained_assignments": "clustering.assignments",
            "trained_clusters": "clustering.clusters",
        },
    )
