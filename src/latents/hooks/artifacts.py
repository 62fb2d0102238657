"""What a run saves goes to its own MLflow run, from whichever thread it is saved."""

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog

from latents.tracking.current_run import current_run


class ArtifactHook:
    """Names the run to kedro-mlflow's artifacts while they are saved.

    MLflow's active run belongs to a thread, and ``kedro run --async`` saves in threads of its own: each artifact
    would open another run there. Only while they are saved, since they would load from MLflow as well.
    """

    def __init__(self) -> None:
        self._catalog: DataCatalog | None = None

    @hook_impl
    def before_pipeline_run(self, catalog: DataCatalog) -> None:
        """Note where the entries are."""
        self._catalog = catalog

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """Name the run."""
        artifact = self._artifact(dataset_name)
        if artifact is not None and artifact.run_id is None:
            artifact.run_id = current_run.run_id

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Forget it, unless the entry of the catalog names it."""
        artifact = self._artifact(dataset_name)
        if artifact is not None and artifact.run_id == current_run.run_id:
            artifact.run_id = None

    def _artifact(self, name: str) -> Any:
        """Return the entry of the catalog, if it is one of kedro-mlflow's that log a file."""
        dataset = None if self._catalog is None else self._catalog.get(name)
        return dataset if hasattr(dataset, "_logging_activated") and hasattr(dataset, "run_id") else None
