"""Tables in Parquet, of one file or of a folder of parts, with all columns that are in them."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import DatasetError

from latents.datasets.folders import files_within
from latents.datasets.unpacking import check_unpacked
from latents.messages import first_repeated
from latents.places import Place, in_batches, now

# What pandas calls an index without a name: it is no column of the user's.
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_ROWS = 1024  # that are unpacked at a time


def parquet_of(path: Place, max_unpacked: int | None = None) -> pa.Table:
    """Return the columns of a Parquet file, or of a folder of such files as Spark and Dask write it.

    What pandas keeps as an index with a name is a column like any other. In a folder the parts come in the
    order of their names and numbers; names that begin with ``_`` or ``.`` are none of parts, and what folders are
    called, as in ``label=sea``, is a column of texts.

    Raises
    ------
    DatasetError
        If there is no such file and no part, one is no whole Parquet file, two columns have one name, parts have
        different columns, or all unpack to more than they may (see ``unpacking``).
    """
    path = now(path)
    if not path.is_dir():
        _check_there(path)
        (table,) = _unpacked(path, [path], max_unpacked)
        return table
    parts = _finished(path)
    unpacked = _unpacked(path, [path / part for part in parts], max_unpacked)
    tables = [_with_folders(table, part) for table, part in zip(unpacked, parts, strict=True)]
    for part, table in zip(parts, tables, strict=True):
        _check_alike(path, parts[0], tables[0].column_names, part, table.column_names)
    try:
        return pa.concat_tables(
            [table.select(tables[0].column_names) for table in tables], promote_options="permissive"
        )
    except pa.ArrowException as error:
        raise DatasetError(f"the parts of {path} do not fit together: {error!s:.300}") from error


class RowGroups(NamedTuple):
    """Some rows of a Parquet table that can be read alone.

    Attributes
    ----------
    part : str
        The file of a folder that they are in; of a table of one file nothing.
    groups : range
        The numbers of its row groups that they are.
    first_row : int
        The number of the first of them in the table.
    """

    part: str
    groups: range
    first_row: int


def row_groups_of(path: Place, size: int) -> list[RowGroups]:
    """Return the rows of a Parquet table in parts of about `size` bytes, by what its files say of themselves.

    A part has at least a row group. Raises as `parquet_of` does, but for what is wrong with the rows.
    """
    if not path.is_dir():
        _check_there(path)
    found: list[RowGroups] = []
    first: tuple[str, list[str]] | None = None
    n_rows = 0
    for part in _finished(path) if path.is_dir() else [""]:
        with opened_parquet(path / part if part else path) as file:
            groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
            names = _with_folders(file.schema_arrow.empty_table(), part).column_names
        first = first or (part, names)
        _check_alike(path, *first, part, names)
        begin = n_bytes = rows = 0
        for number, group in enumerate(groups):
            n_bytes, rows = n_bytes + group.total_byte_size, rows + group.num_rows
            if n_bytes >= size or number == len(groups) - 1:
                if rows:
                    found.append(RowGroups(part, range(begin, number + 1), n_rows))
                n_rows += rows
                begin, n_bytes, rows = number + 1, 0, 0
    return found


def read_row_groups(
    path: Place, rows: RowGroups, columns: Collection[str] | None = None, max_unpacked: int | None = None
) -> pa.Table:
    """Return some rows of a table, and of its columns those that are named or all; raises as `parquet_of` does."""
    place = path / rows.part if rows.part else path
    with opened_parquet(place) as file:
        check = _Unpacked(place, max_unpacked, place.stat().st_size)
        table = _read(file, check, rows.groups, columns)
    return _with_folders(table, rows.part)


def _check_there(path: Place) -> None:
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")


def _finished(path: Place) -> list[str]:
    """Return the parts of a table that is a folder, in their order."""
    if (path / "_delta_log").exists():
        raise DatasetError(
            f"{path} is a Delta table, in which not all files count; write what it holds to a Parquet file"
        )
    names = ((name, name.split("/")) for name in files_within(path, "*.parquet"))
    finished = [name for name, steps in names if all(step[0] != "_" or "=" in step for step in steps)]
    if not finished:
        raise DatasetError(f"{path} has no file of a finished table, such as part-00000.parquet")
    return sorted(finished, key=_by_number)


def _check_alike(
    path: Place, first: str, expected: Collection[str], part: str, found: Collection[str]
) -> None:
    """Refuse a part of a table with other columns than the first."""
    if different := set(found) ^ set(expected):
        raise DatasetError(
            f"{path / part} and {first} are parts of one table; only one of them has a column "
            f"{min(different)!r:.80}"
        )


@contextmanager
def opened_parquet(path: Place) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file.

    Raises
    ------
    DatasetError
        If it is none, is not whole, or has two columns of one name.
    """
    try:
        with pq.ParquetFile(path) as file:
            if (twice := first_repeated(file.schema_arrow.names)) is not None:
                raise DatasetError(
                    f"{path} has several columns {twice!r:.80}; rename or leave out all but one"
                )
            yield file
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} is no whole Parquet file: {error!s:.300}") from error


def _unpacked(whole: Place, parts: Sequence[Place], max_unpacked: int | None) -> list[pa.Table]:
    """Return the tables of files that are one together; a value that is repeated takes almost no room in them."""
    packed = sum(part.stat().st_size for part in parts)
    check = _Unpacked(whole, max_unpacked, packed)
    tables = []
    for part in chain.from_iterable(in_batches(parts)):
        with opened_parquet(part) as file:
            tables.append(_read(file, check))
    return tables


class _Unpacked:
    """Refuses, as more and more is read, what unpacks to more than it may."""

    def __init__(self, path: Place, max_unpacked: int | None, packed: int) -> None:
        self._path, self._max_unpacked, self._packed, self._n_bytes = path, max_unpacked, packed, 0

    def __call__(self, n_bytes: int) -> None:
        self._n_bytes += n_bytes
        check_unpacked(self._path, self._n_bytes, self._max_unpacked, self._packed)


def _read(
    file: pq.ParquetFile,
    check: Callable[[int], None],
    groups: Sequence[int] | None = None,
    columns: Collection[str] | None = None,
) -> pa.Table:
    """Return some row groups and columns, or all; `check` is told how many bytes each batch has."""
    schema = file.schema_arrow
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    unnamed = [name for name in index if isinstance(name, str) and _UNNAMED_INDEX.fullmatch(name)]
    names = [name for name in schema.names if name not in unnamed and (columns is None or name in columns)]
    batches = []
    for batch in file.iter_batches(_ROWS, row_groups=groups, columns=None if columns is None else names):
        check(batch.nbytes)
        batches.append(batch)
    table = pa.Table.from_batches(batches) if batches else schema.empty_table()
    return table.select(names).replace_schema_metadata()


def _with_folders(table: pa.Table, part: str) -> pa.Table:
    """Add the columns that folders have in their names."""
    for folder in part.split("/")[:-1]:
        key, equals, value = folder.partition("=")
        if equals and key not in table.column_names:
            cell = None if value == _NO_VALUE else unquote(value)
            table = table.append_column(key, pa.array([cell] * len(table), pa.string()))
    return table


def _by_number(name: str) -> list[tuple[str, int]]:
    """Return a key by which part.10 comes after part.2."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", name)]
