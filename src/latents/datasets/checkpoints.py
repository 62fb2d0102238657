"""Where a long fit keeps what it would go on from."""

from pathlib import Path
from typing import Any

from latents.datasets.read_only import ReadOnlyDataset


class CheckpointDataset(ReadOnlyDataset[Path]):
    """Loads the path of a file that a fit itself writes to and reads from, again and again, while it runs.

    It outlives the fit, so that a run that ends while the fitted model is evaluated loses nothing; a run that
    ends well discards it (``latents.hooks.CheckpointHook``).

    Parameters
    ----------
    filepath : str
        The file, which need not be there.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        super().__init__(metadata)

    def load(self) -> Path:
        """Return the path."""
        return self._filepath

    def discard(self) -> None:
        """Remove the file, if there is one."""
        self._filepath.unlink(missing_ok=True)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
