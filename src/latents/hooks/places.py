"""What a store of files fails by is said in one sentence."""

from collections.abc import Generator
from typing import Any

import click
from kedro.framework.hooks import hook_impl

from latents.places import PlaceError


class PlaceAwayError(click.ClickException):
    """A store does not answer, refuses or is not there; a command says so without a traceback."""


class PlaceHook:
    """Ends a run whose files cannot be had by the sentence that says so, however deep it lies."""

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self) -> Generator[None, Any, Any]:
        """Say it where the outputs cannot be locked."""
        return (yield from _told())

    @hook_impl(wrapper=True, tryfirst=True)
    def after_pipeline_run(self) -> Generator[None, Any, Any]:
        """Say it where what is no longer needed cannot be removed."""
        return (yield from _told())

    @hook_impl(wrapper=True)
    def on_pipeline_error(self, error: Exception) -> Generator[None, Any, Any]:
        """Say it where the run failed by it."""
        result = yield
        link: BaseException | None = error
        while link is not None:
            if isinstance(link, PlaceError):
                raise PlaceAwayError(
                    f"{link}. All that was written until then is there: go on by the options that the log names "
                    "above, once it can be had."
                ) from None
            link = link.__cause__ or link.__context__
        return result


def _told() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except PlaceError as error:
        raise PlaceAwayError(str(error)) from None
