"""The start of a command is over when a run begins."""

from kedro.framework.hooks import hook_impl

from latents.garbage import collect_as_usual


class StartHook:
    """Lets garbage be collected as usual once all is imported that begins a run."""

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Collect as usual from now on."""
        collect_as_usual()
