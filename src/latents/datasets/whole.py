"""Kedro's own datasets for tables, text and figures, made to appear whole or not at all."""

import csv
import io
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from kedro.io import DatasetError
from kedro.io.core import Version, get_filepath_str
from kedro_datasets.json import JSONDataset as KedroJSONDataset
from kedro_datasets.matplotlib import MatplotlibDataset as KedroMatplotlibDataset
from kedro_datasets.pandas import CSVDataset as KedroCSVDataset
from kedro_datasets.pandas import ParquetDataset as KedroParquetDataset
from kedro_datasets.plotly import JSONDataset as KedroPlotlyDataset
from kedro_datasets.text import TextDataset as KedroTextDataset
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from latents.datasets.formulas import armed, disarmed, has_returns
from latents.features.documents import DocumentBlocks
from latents.files import whole_file
from latents.places import OF_OPENING, Access, Remote, credentials_of, place


class WholeFile:
    """Put before a Kedro file dataset: saves elsewhere, then renames or uploads.

    To Kedro a file of a store is its copy on this machine, which is also what MLflow is given. Versioned entries
    are left to Kedro, which never writes to the same place twice.
    """

    _protocol: str
    _version: Any
    _filepath: PurePosixPath
    _place: Remote | None

    def __init__(
        self,
        *,
        filepath: str,
        credentials: Access = None,
        fs_args: Access = None,
        version: Version | None = None,
        **kwargs: Any,
    ) -> None:
        found = place(filepath, credentials, fs_args)
        self._place = found if isinstance(found, Remote) and version is None else None
        if self._place is not None:
            filepath, credentials = str(self._place.copy), None
            fs_args = {name: value for name, value in (fs_args or {}).items() if name in OF_OPENING}
        elif credentials is None:
            credentials = credentials_of(filepath) or None
        super().__init__(
            filepath=filepath, credentials=credentials, fs_args=fs_args, version=version, **kwargs
        )  # type: ignore[call-arg]

    def load(self) -> Any:
        """Return what was saved, of a store once it is here."""
        if self._place is not None:
            self._place.here()
        return super().load.__wrapped__(self)  # type: ignore[misc]

    def save(self, data: Any) -> None:
        """Save `data`, leaving the former file untouched until the new one is complete."""
        # Kedro wraps every `save` once per class; the inner function is called to be wrapped only once.
        save = super().save.__wrapped__  # type: ignore[misc]
        if self._protocol != "file" or self._version is not None:
            save(self, data)
            return
        final = self._filepath
        try:
            with whole_file(self._place or Path(final)) as temporary:
                self._filepath = PurePosixPath(temporary)
                save(self, data)
        finally:
            self._filepath = final

    def _exists(self) -> bool:
        if self._place is not None:
            return self._place.is_file()
        return bool(super()._exists())  # type: ignore[misc]

    def _describe(self) -> dict[str, Any]:
        described: dict[str, Any] = super()._describe()  # type: ignore[misc]
        return described if self._place is None else {**described, "filepath": str(self._place)}

    def _init_config(self) -> dict[str, Any]:
        """Return the entry of the catalog, as ``kedro catalog resolve-patterns`` prints it.

        Kedro notes what has no name in an ``__init__`` as ``args`` and ``kwargs``, and what is not given as None.
        """
        config: dict[str, Any] = super()._init_config()  # type: ignore[misc]
        config.pop("args", None)
        config.update(config.pop("kwargs", {}))
        return {name: value for name, value in config.items() if value is not None and name != "metadata"}


class CSVDataset(WholeFile, KedroCSVDataset):  # type: ignore[misc]
    """``kedro_datasets.pandas.CSVDataset``, whole or not at all, and without formulas for spreadsheets.

    A text such as ``=A1`` stands as ``'=A1`` in the file, and is ``=A1`` when loaded (see ``formulas``).
    """

    _save_args: dict[str, Any]

    def save(self, data: pd.DataFrame) -> None:
        """Save a table; its texts are texts to whatever opens the file."""
        table, given = disarmed(data), self._save_args
        try:
            if has_returns(table):
                self._save_args = {"quoting": csv.QUOTE_NONNUMERIC, **given}
            super().save(table)
        finally:
            self._save_args = given

    def load(self) -> pd.DataFrame:
        """Return the table that was saved."""
        return armed(super().load())


class ParquetDataset(WholeFile, KedroParquetDataset):  # type: ignore[misc]
    """``kedro_datasets.pandas.ParquetDataset``, whole or not at all."""

    def save(self, data: Any) -> None:
        """Save a table; documents in blocks are none, and have an entry of their own."""
        if isinstance(data, DocumentBlocks):
            raise DatasetError(
                f"these are documents in blocks, and {self._place or self._filepath} is to be one table; allowed "
                "is latents.datasets.DocumentBlocksDataset, and CountBlocksDataset for their counts"
            )
        super().save(data)


class JSONDataset(WholeFile, KedroJSONDataset):  # type: ignore[misc]
    """``kedro_datasets.json.JSONDataset``, whole or not at all."""


class TextDataset(WholeFile, KedroTextDataset):  # type: ignore[misc]
    """``kedro_datasets.text.TextDataset``, whole or not at all."""


class PlotlyDataset(WholeFile, KedroPlotlyDataset):  # type: ignore[misc]
    """``kedro_datasets.plotly.JSONDataset``, whole or not at all."""


class MatplotlibDataset(WholeFile, KedroMatplotlibDataset):  # type: ignore[misc]
    """``kedro_datasets.matplotlib.MatplotlibDataset``, whole or not at all, and its pictures load."""

    def load(self) -> Image.Image:
        """Return the picture that was drawn; notebooks and reports show it."""
        if self._place is not None:
            self._place.here()
        with self._fs.open(get_filepath_str(self._get_load_path(), self._protocol)) as file:
            content = file.read()
        picture = Image.open(io.BytesIO(content))
        return _PNG(content) if picture.format == "PNG" else picture


class _PNG(PngImageFile):
    """A picture that is shown as its file has it, not coded anew."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._content = content

    def _repr_png_(self) -> bytes:
        return self._content
