"""What the data that runs only read have in common."""

from inspect import signature
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from kedro.io import AbstractDataset, DatasetError

Loaded = TypeVar("Loaded")


class ReadOnlyDataset(AbstractDataset[NoReturn, Loaded], Generic[Loaded]):
    """A catalog entry that can be loaded and not saved, and that keeps each parameter, as ``_filepath``.

    Parameters
    ----------
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(self, metadata: dict[str, Any] | None) -> None:
        self.metadata = metadata

    def save(self, data: NoReturn) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse."""
        raise DatasetError(f"{self._describe()} is read only")

    def _describe(self) -> dict[str, Any]:
        names = [name for name in signature(type(self)).parameters if name != "metadata"]
        kept = {name: getattr(self, f"_{name}") for name in names}
        return {name: str(value) if isinstance(value, Path) else value for name, value in kept.items()}
