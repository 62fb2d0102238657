"""New images, and classes to draw, for the model that ``cvae`` has trained."""

from latents.pipelines.cvae_inference.pipeline import create_pipeline

__all__ = ["create_pipeline"]
