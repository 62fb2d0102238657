"""Engines end with the run that has begun them."""

import sys

from kedro.framework.hooks import hook_impl


class EngineHook:
    """Gives back what engines hold of a cluster when a run ends; the next one begins its own."""

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close them after a run that ended well."""
        _close_all()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Close them after one that did not."""
        _close_all()


def _close_all() -> None:
    if "latents.engines" in sys.modules:  # only a run that has asked for one has loaded it
        from latents.engines import close_all

        close_all()
