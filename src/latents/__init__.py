"""Three latent-variable models as Kedro pipelines."""

__version__ = "0.1.0"
