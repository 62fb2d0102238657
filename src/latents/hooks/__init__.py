"""What surrounds a run: configuration, locks on outputs, and an honest MLflow status."""

from latents.hooks.configuration import ConfigurationHook, ParameterHook
from latents.hooks.locking import OutputLockHook
from latents.hooks.run_status import RunStatusHook

__all__ = ["ConfigurationHook", "OutputLockHook", "ParameterHook", "RunStatusHook"]
