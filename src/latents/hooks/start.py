"""The start of a command is over when a run begins."""

from collections.abc import Generator
from typing import Any

from kedro.framework.hooks import hook_impl

from latents.deferral import ipython_unasked
from latents.garbage import collect_as_usual


class StartHook:
    """Lets a run begin without IPython, which MLflow would load; from then on garbage is collected as usual."""

    @hook_impl(wrapper=True)
    def before_pipeline_run(self) -> Generator[None, Any, Any]:
        """Be the last of the start."""
        try:
            with ipython_unasked():
                return (yield)
        finally:
            collect_as_usual()
