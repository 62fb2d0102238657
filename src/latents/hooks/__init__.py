"""What surrounds a run: configuration, locks, checkpoints, what stores say, status, registry, and what is told."""

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

__all__ = [
    "ArtifactHook",
    "CheckpointHook",
    "ConfigurationHook",
    "DeadRunHook",
    "EngineHook",
    "ModelRegistryHook",
    "OutputLockHook",
    "ParameterHook",
    "PlaceHook",
    "RunStatusHook",
    "StartHook",
    "StoreHook",
    "SummaryHook",
]
