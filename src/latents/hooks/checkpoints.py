"""Checkpoints of fits last as long as they can be of use."""

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline


class CheckpointHook:
    """Discards the checkpoints of a run once all its outputs are there, whatever MLflow does.

    Not sooner: what is ended while a model is evaluated is run again from the start, and must not train again.
    """

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Remove the checkpoints that the run's fits have written; nodes after them take the same monitors."""
        for node in pipeline.nodes:
            for name in node.inputs if node.name.endswith(".fit") else ():
                discard = getattr(catalog.get(name), "discard", None)
                if discard is not None:
                    discard()
