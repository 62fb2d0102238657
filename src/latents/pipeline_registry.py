"""The pipelines that ``kedro run --pipelines`` knows."""

import warnings

from kedro.pipeline import Pipeline

from latents.deferral import deferred

# Half of what scikit-learn takes to load, for functions that few of its classes call.
with deferred("scipy.stats"):
    from latents.pipelines import clustering, clustering_inference, cvae, cvae_inference, pca, pca_inference

# Nodes have previews, of which Kedro would say at every command that they are new.
warnings.filterwarnings("ignore", message="The 'preview_fn' feature is experimental")


def register_pipelines() -> dict[str, Pipeline]:
    """Return the pipelines by name; without a name the three that train run."""
    training = {
        "clustering": clustering.create_pipeline(),
        "pca": pca.create_pipeline(),
        "cvae": cvae.create_pipeline(),
    }
    inference = {
        "clustering_inference": clustering_inference.create_pipeline(),
        "pca_inference": pca_inference.create_pipeline(),
        "cvae_inference": cvae_inference.create_pipeline(),
    }
    return {**training, **inference, "__default__": sum(training.values(), start=Pipeline([]))}
