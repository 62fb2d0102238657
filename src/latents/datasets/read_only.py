"""What the data that runs only read have in common."""

from typing import Any, Generic, NoReturn, TypeVar

from kedro.io import AbstractDataset, DatasetError

Loaded = TypeVar("Loaded")


class ReadOnlyDataset(AbstractDataset[NoReturn, Loaded], Generic[Loaded]):
    """A catalog entry that can be loaded and not saved.

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
