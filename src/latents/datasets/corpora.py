"""Corpora larger than memory: tables of documents in parts, each of which is read when it is asked for."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import DatasetError

from latents.datasets.engine import checked, engine_of
from latents.datasets.parquet import read_row_groups, row_groups_of
from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.texts import DocumentTableDataset, TextFolderDataset
from latents.datasets.unpacking import Size, bytes_of
from latents.estimators.common.blocks import Blocks
from latents.places import Access, Place, now, place

_LEAST = 4096  # bytes that a file of a folder counts for: many small ones take their time, too


class CorpusParts(ABC):
    """A corpus in parts: one after the other they are the table that its dataset loads.

    A part has the columns that are in it, of those that are wanted, and its index tells the places of its rows, as
    that of the whole does. Sent elsewhere this is but paths and numbers. Who cannot see the files gets a
    ``FileNotFoundError``.

    Attributes
    ----------
    place : Path or Remote
        The file or folder.
    """

    def __init__(self, place: Place, columns: Collection[str] | None) -> None:
        self.place, self._columns = place, columns

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _read(self, number: int) -> pd.DataFrame: ...

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Yield every part."""
        for number in range(len(self)):
            yield self[number]

    def __getitem__(self, number: int) -> pd.DataFrame:
        """Read a part.

        Raises
        ------
        DatasetError
            As the dataset of the whole does; names the file and the line or row.
        """
        number = range(len(self))[number]
        if isinstance(self.place, Path):
            self.place.stat()
        elif not self.place.exists():
            raise FileNotFoundError(f"there is no {self.place}")
        table = self._read(number)
        if table.empty and len(self) == 1:
            raise DatasetError(f"{self.place} has no document")
        wanted = table.columns if self._columns is None else table.columns.intersection(list(self._columns))
        return table[list(wanted)]


class FolderParts(CorpusParts):
    """A folder of texts, in batches of files."""

    def __init__(
        self, texts: TextFolderDataset, place: Place, size: int, columns: Collection[str] | None
    ) -> None:
        super().__init__(place, columns)
        self._texts = texts
        self._files = texts.files()
        self._sizes = [(self.place / name).stat().st_size for name in self._files["name"]]
        self._edges = _edges([max(n_bytes, _LEAST) for n_bytes in self._sizes], size)

    def __len__(self) -> int:
        return len(self._edges) - 1

    def _read(self, number: int) -> pd.DataFrame:
        files = slice(self._edges[number], self._edges[number + 1])
        for name, n_bytes in zip(self._files["name"].iloc[files], self._sizes[files], strict=True):
            _check_size(self.place / name, n_bytes)
        return self._texts.with_texts(self._files.iloc[files])


def _edges(sizes: Sequence[int], size: int) -> list[int]:
    """Return where parts begin and end that each have files of at least `size` bytes, but for the last."""
    edges, n_bytes = [0], 0
    for number, own in enumerate(sizes, start=1):
        n_bytes += own
        if n_bytes >= size or number == len(sizes):
            edges.append(number)
            n_bytes = 0
    return edges


class LineParts(CorpusParts):
    """A ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson`` file, in ranges of bytes that are whole rows."""

    def __init__(
        self, table: DocumentTableDataset, place: Place, size: int, columns: Collection[str] | None
    ) -> None:
        super().__init__(place, columns)
        self._table, self._cuts = table, table.cuts(size)
        self._names = table.names(self._cuts[0]) if len(self._cuts) > 1 else []

    def __len__(self) -> int:
        return len(self._cuts)

    def _read(self, number: int) -> pd.DataFrame:
        _check_size(self.place, self._cuts[-1].stop)
        if len(self) == 1:
            return self._table.load()
        return self._table.read(self._cuts[number], self._names if number else ())


class ParquetParts(CorpusParts):
    """A Parquet file, or a folder of such, in row groups."""

    def __init__(
        self,
        table: DocumentTableDataset,
        place: Place,
        size: int,
        columns: Collection[str] | None,
        max_unpacked: int | None,
    ) -> None:
        super().__init__(place, columns)
        self._table, self._max_unpacked = table, max_unpacked
        self._groups = row_groups_of(place, size)
        if not self._groups:
            raise DatasetError(f"{place} has no document")
        self._sizes = {part: self._file(part).stat().st_size for part in {rows.part for rows in self._groups}}

    def _file(self, part: str) -> Place:
        return self.place / part if part else self.place

    def __len__(self) -> int:
        return len(self._groups)

    def _read(self, number: int) -> pd.DataFrame:
        rows = self._groups[number]
        _check_size(self._file(rows.part), self._sizes[rows.part])
        columns = read_row_groups(self.place, rows, self._columns, self._max_unpacked)
        return self._table.from_parquet(columns, rows.first_row)


def _check_size(file: Place, known: int) -> None:
    n_bytes = file.stat().st_size
    if n_bytes != known:
        raise DatasetError(
            f"{file} has {n_bytes} bytes, and had {known} when it was parted; it must not change while it is read"
        )


class CorpusDataset(ReadOnlyDataset[Blocks[pd.DataFrame]]):
    """A corpus that may be larger than memory: a folder of texts, or a table; loads as ``Blocks`` of tables.

    A folder is read as by ``TextFolderDataset``, a table as by ``DocumentTableDataset``, which its name decides. A
    ``.gz`` file, and one in an encoding such as UTF-16, is a single part; one of Parquet has at least a row group.

    Parameters
    ----------
    filepath : str
        The folder or the file.
    engine : mapping, optional
        Who reads the parts: ``name`` is "local" or "ray", all else the parameters of that engine. By default it is
        this process.
    columns : sequence of str, optional
        Those of a table that are wanted, if not all. One that a file or a part does not have is left out.
    part_size : int or str
        About how large a part is, in bytes or as ``8 MiB``; to read and count it takes some twenty times as much
        memory.
    pattern : str
        Which files of a folder to read, such as ``*.txt``; all by default.
    encoding, separator, quoting, max_unpacked
        As for ``DocumentTableDataset``.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        engine: dict[str, Any] | None = None,
        columns: Sequence[str] | None = None,
        part_size: Size = "8 MiB",
        pattern: str = "*",
        encoding: str = "utf-8",
        separator: str | None = None,
        quoting: bool | None = None,
        max_unpacked: Size = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if columns is not None and (
            not isinstance(columns, list | tuple) or not all(isinstance(name, str) for name in columns)
        ):
            raise DatasetError(f"columns is {columns!r:.80}; allowed is a list of names")
        self._engine = checked({"name": "local"} if engine is None else engine)
        self._place, self._columns = place(filepath, credentials, fs_args), columns
        size = bytes_of(part_size, "part_size")
        if size is None:
            raise DatasetError("part_size is None; allowed are bytes, or a size such as 8 MiB")
        self._part_size, self._pattern = size, pattern
        self._encoding, self._separator, self._quoting = encoding, separator, quoting
        self._max_unpacked = bytes_of(max_unpacked)
        super().__init__(metadata)

    def load(self) -> Blocks[pd.DataFrame]:
        """Return the parts as blocks, none of them read yet."""
        return engine_of(self._engine).blocks(self.parts())

    def parts(self) -> CorpusParts:
        """Return the parts, none of them read yet."""
        where, size, columns = now(self._place), self._part_size, self._columns
        where = where.absolute() if isinstance(where, Path) else where
        if where.is_dir() and where.suffix != ".parquet":
            texts = TextFolderDataset(where, self._pattern, self._encoding, self._max_unpacked)
            return FolderParts(texts, where, size, columns)
        table = DocumentTableDataset(
            where, self._encoding, self._separator, self._quoting, self._max_unpacked
        )
        if where.suffix == ".parquet":
            return ParquetParts(table, where, size, columns, self._max_unpacked)
        return LineParts(table, where, size, columns)
