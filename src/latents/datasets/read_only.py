"""What the data that runs only read have in common."""

from inspect import signature
from typing import Any, Generic, NoReturn, TypeVar

from kedro.io import AbstractDataset, DatasetError

from latents.datasets.placed import Placed
from latents.places import Place

Loaded = TypeVar("Loaded")
_UNTOLD = ("metadata", "credentials", "fs_args")


class ReadOnlyDataset(Placed, AbstractDataset[NoReturn, Loaded], Generic[Loaded]):
    """A catalog entry that can be loaded and not saved.

    It keeps `filepath` as ``_place``, and each other parameter by its name, such as ``_pattern``.

    Parameters
    ----------
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(self, metadata: dict[str, Any] | None) -> None:
        self.metadata = metadata

    def save(self, data: NoReturn) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse."""
        raise DatasetError(f"{self._describe()} is read only")

    def _describe(self) -> dict[str, Any]:
        names = [name for name in signature(type(self)).parameters if name not in _UNTOLD]
        kept = {name: getattr(self, "_place" if name == "filepath" else f"_{name}") for name in names}
        return {name: str(value) if isinstance(value, Place) else value for name, value in kept.items()}
