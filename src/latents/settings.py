"""Kedro project settings."""

import logging
import os
import warnings
from collections.abc import Iterator
from functools import cached_property

from latents.garbage import collect_seldom

# The logging configuration says what is shown of MLflow's log, too. MLflow reads this when it is imported.
os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")

collect_seldom()  # until a run begins (``StartHook``)

# Kedro and kedro-mlflow use a function that OmegaConf has renamed; users can do nothing about it.
warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated")
# Kedro warns of names that its own namespaces have made, where one pipeline reads the data of another.
warnings.filterwarnings("ignore", message=r"One or more dataset names contain '\.' characters")
# kedro-mlflow has a model of its own, which MLflow advises, in colour and past all filters, to have type hints.
logging.getLogger("py.warnings").addFilter(
    lambda record: "Add type hints to the `predict` method" not in record.getMessage()
)


class _Hooks:
    """The hooks, made when the first session asks for them.

    They import MLflow, scikit-learn and SQLAlchemy, which ``kedro run --help`` does without.
    """

    def __iter__(self) -> Iterator[object]:
        return iter(self._made)

    @cached_property
    def _made(self) -> tuple[object, ...]:
        from latents.hooks.artifacts import ArtifactHook
        from latents.hooks.checkpoints import CheckpointHook
        from latents.hooks.configuration import ConfigurationHook, ParameterHook
        from latents.hooks.dead_runs import DeadRunHook
        from latents.hooks.engines import EngineHook
        from latents.hooks.locking import OutputLockHook
        from latents.hooks.model_registry import ModelRegistryHook
        from latents.hooks.places import PlaceHook
        from latents.hooks.run_status import RunStatusHook
        from latents.hooks.start import StartHook
        from latents.hooks.store import StoreHook
        from latents.hooks.summary import SummaryHook

        # Of hooks that go first, Kedro calls the last one first: models are registered while the run is still
        # current.
        return (
            ConfigurationHook(),
            ParameterHook(),
            OutputLockHook(),
            RunStatusHook(),
            DeadRunHook(),
            StoreHook(),
            ArtifactHook(),
            CheckpointHook(),
            ModelRegistryHook(),
            SummaryHook(),
            EngineHook(),
            StartHook(),
            PlaceHook(),
        )


HOOKS = _Hooks()

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment that overrides one nested value keeps the others.
    "merge_strategy": {"parameters": "soft", "mlflow": "soft", "globals": "soft"},
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
}
