"""The models of a run that has ended well are in MLflow's registry."""

import logging

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from latents.tracking.current_run import current_run
from latents.tracking.registry import register, registered_name
from latents.tracking.store import reason

logger = logging.getLogger(__name__)


class ModelRegistryHook:
    """Registers the models that a run has logged, as ``latents-<pipeline>-<environment>``.

    Not sooner than all else is done: of a run that fails no version is left.
    """

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Note the environment."""
        current_run.environment = "base" if context.env in (None, "local") else str(context.env)

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """Register, one model after the other.

        A registry that is away costs neither the training nor the run: the model is on disk and logged, and
        what is left to do is one click, so an error tells of it and the run ends well.
        """
        run_id = current_run.run_id
        for pipeline, (model_id, headline) in sorted(current_run.logged_models.items()):
            name = registered_name(pipeline, current_run.environment)
            try:
                register(name, model_id, str(run_id), headline)
            except Exception as error:
                logger.error(
                    "the model of %s is logged (models:/%s), but MLflow's registry did not take it as %s (%s); "
                    "register it on the model's page in MLflow, or run again from the node %s.export",
                    *(pipeline, model_id, name, reason(error), pipeline),
                )
