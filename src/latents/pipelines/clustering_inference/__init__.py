"""New documents, read by the mixture that ``clustering`` has trained."""

from latents.pipelines.clustering_inference.pipeline import create_pipeline

__all__ = ["create_pipeline"]
