"""New images, read by the basis that ``pca`` has found."""

from latents.pipelines.pca_inference.pipeline import create_pipeline

__all__ = ["create_pipeline"]
