"""What surrounds a run: configuration, locks on outputs, checkpoints, MLflow's status and its registry."""

from latents.hooks.checkpoints import CheckpointHook
from latents.hooks.configuration import ConfigurationHook, ParameterHook
from latents.hooks.dead_runs import DeadRunHook
from latents.hooks.locking import OutputLockHook
from latents.hooks.model_registry import ModelRegistryHook
from latents.hooks.run_status import RunStatusHook

__all__ = [
    "CheckpointHook",
    "ConfigurationHook",
    "DeadRunHook",
    "ModelRegistryHook",
    "OutputLockHook",
    "ParameterHook",
    "RunStatusHook",
]
