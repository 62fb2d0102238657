"""Kedro project settings."""

from latents.hooks import ConfigurationHook, OutputLockHook, ParameterHook, RunStatusHook

HOOKS = (ConfigurationHook(), ParameterHook(), OutputLockHook(), RunStatusHook())

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment that overrides one nested value keeps the others.
    "merge_strategy": {"parameters": "soft", "mlflow": "soft", "globals": "soft"},
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
}
