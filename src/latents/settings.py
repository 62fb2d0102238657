"""Kedro project settings."""

import warnings

from latents.hooks import (
    ArtifactHook,
    CheckpointHook,
    ConfigurationHook,
    DeadRunHook,
    ModelRegistryHook,
    OutputLockHook,
    ParameterHook,
    RunStatusHook,
    StoreHook,
)

# Kedro and kedro-mlflow use a function that OmegaConf has renamed; users can do nothing about it.
warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated")
# Kedro warns of names that its own namespaces have made, where one pipeline reads the data of another.
warnings.filterwarnings("ignore", message=r"One or more dataset names contain '\.' characters")

# Of hooks that go first, Kedro calls the last one first: models are registered while the run is still current.
HOOKS = (
    ConfigurationHook(),
    ParameterHook(),
    OutputLockHook(),
    RunStatusHook(),
    DeadRunHook(),
    StoreHook(),
    ArtifactHook(),
    CheckpointHook(),
    ModelRegistryHook(),
)

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment that overrides one nested value keeps the others.
    "merge_strategy": {"parameters": "soft", "mlflow": "soft", "globals": "soft"},
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
}
