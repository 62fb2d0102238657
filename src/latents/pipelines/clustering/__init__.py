"""Documents grouped by EM for a mixture of multinomials (section 1 of the source document)."""

from latents.pipelines.clustering.pipeline import create_pipeline

__all__ = ["create_pipeline"]
