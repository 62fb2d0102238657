"""Images in few numbers by PCA, minimum-error formulation (section 2 of the source document)."""

from latents.pipelines.pca.pipeline import create_pipeline

__all__ = ["create_pipeline"]
