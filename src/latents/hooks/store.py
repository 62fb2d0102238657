"""MLflow's store is there before anything begins, and what it fails by later is said in one sentence."""

from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

from filelock import FileLock, Timeout
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import settings
from mlflow.exceptions import MlflowException

from latents.tracking import store
from latents.tracking.store import StoreAwayError


class StoreHook:
    """Asks MLflow's store once before kedro-mlflow does, which would try for minutes.

    A file is set up by one process at a time: two first runs at once would both create the tables. A server sees
    to that itself, and no lock is held while it is asked.
    """

    LONGEST = 120.0  # seconds, for another process to set up the file

    def __init__(self) -> None:
        self._address = ""

    @hook_impl(wrapper=True)
    def after_context_created(self, context: KedroContext) -> Generator[None, Any, Any]:
        """Ask the store that ``mlflow.yml`` names, and let kedro-mlflow set it up."""
        if "kedro_mlflow" in settings.DISABLE_HOOKS_FOR_PLUGINS:
            return (yield)
        try:
            server = context.config_loader["mlflow"].get("server") or {}
        except MissingConfigException:  # kedro-mlflow has its own defaults
            server = {}
        self._address = address = str(server.get("mlflow_tracking_uri") or "")
        store.wait_less()
        lock = Path(context.project_path) / "data" / ".mlflow-setup.lock"
        alone: AbstractContextManager[object] = nullcontext()
        if address.startswith("sqlite:"):
            lock.parent.mkdir(exist_ok=True)
            alone = FileLock(lock, timeout=self.LONGEST)
        try:
            with alone:
                store.check(address, bool((server.get("request_header_provider") or {}).get("type")))
                return (yield)
        except MlflowException as error:
            self._tell(error)
        except Timeout:
            if not address.startswith("sqlite:"):
                raise
            raise StoreAwayError(
                f"another process has been setting up MLflow's {store.shown(address)} for {self.LONGEST:.0f} "
                f"seconds (it holds {lock}); wait until it has ended, or end it"
            ) from None

    @hook_impl(wrapper=True)
    def before_pipeline_run(self) -> Generator[None, Any, Any]:
        """Say it in one sentence where no run can be opened."""
        try:
            return (yield)
        except MlflowException as error:
            self._tell(error)

    @hook_impl(wrapper=True)
    def on_pipeline_error(self, error: Exception) -> Generator[None, Any, Any]:
        """Say it in one sentence where the store went away during the run."""
        result = yield
        if store.is_away(error):
            raise StoreAwayError(
                f"MLflow's store {store.shown(self._address)} went away during the run: {store.reason(error)}. "
                "All that was written until then is there: go on by the options that the log names above, once "
                "the store is back."
            ) from None
        return result

    def _tell(self, error: MlflowException) -> NoReturn:
        where = store.shown(self._address)
        if error.error_code == "RESOURCE_ALREADY_EXISTS":
            raise StoreAwayError(
                f"another process has just made the experiment in MLflow's store {where}; run again"
            ) from None
        raise StoreAwayError(f"MLflow's store {where} refuses: {store.reason(error)}") from None
