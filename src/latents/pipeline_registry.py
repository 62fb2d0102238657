"""The pipelines that ``kedro run --pipelines`` knows."""

import warnings

from kedro.pipeline import Pipeline

from latents.pipelines import clustering, cvae, pca

# Nodes have previews, of which Kedro would say at every command that they are new.
warnings.filterwarnings("ignore", message="The 'preview_fn' feature is experimental")


def register_pipelines() -> dict[str, Pipeline]:
    """Return the three pipelines by name; without a name all three run."""
    pipelines = {
        "clustering": clustering.create_pipeline(),
        "pca": pca.create_pipeline(),
        "cvae": cvae.create_pipeline(),
    }
    return {**pipelines, "__default__": sum(pipelines.values(), start=Pipeline([]))}
