"""Tables in Parquet, of one file or of a folder of parts, with all columns that are in them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
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
        if not path.is_file():
            raise DatasetError(f"there is no file {path}")
        (table,) = _unpacked(path, [path], max_unpacked)
        return table
    if (path / "_delta_log").exists():
        raise DatasetError(
            f"{path} is a Delta table, in which not all files count; write what it holds to a Parquet file"
        )
    names = ((name, name.split("/")) for name in files_within(path, "*.parquet"))
    finished = [name for name, steps in names if all(step[0] != "_" or "=" in step for step in steps)]
    parts = sorted(finished, key=_by_number)
    if not parts:
        raise DatasetError(f"{path} has no file of a finished table, such as part-00000.parquet")
    unpacked = _unpacked(path, [path / part for part in parts], max_unpacked)
    tables = [_with_folders(table, part) for table, part in zip(unpacked, parts, strict=True)]
    for part, table in zip(parts, tables, strict=True):
        if different := set(table.column_names) ^ set(tables[0].column_names):
            raise DatasetError(
                f"{path / part} and {parts[0]} are parts of one table; only one of them has a column "
                f"{min(different)!r:.80}"
            )
    try:
        return pa.concat_tables(
            [table.select(tables[0].column_names) for table in tables], promote_options="permissive"
        )
    except pa.ArrowException as error:
        raise DatasetError(f"the parts of {path} do not fit together: {error!s:.300}") from error


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
    packed, n_bytes = sum(part.stat().st_size for part in parts), 0
    tables = []
    for part in chain.from_iterable(in_batches(parts)):
        with opened_parquet(part) as file:
            batches = []
            for batch in file.iter_batches(_ROWS):
                n_bytes += batch.nbytes
                check_unpacked(whole, n_bytes, max_unpacked, packed)
                batches.append(batch)
            table = pa.Table.from_batches(batches, file.schema_arrow)
        index = (table.schema.pandas_metadata or {}).get("index_columns", [])
        unnamed = [name for name in index if isinstance(name, str) and _UNNAMED_INDEX.fullmatch(name)]
        tables.append(table.drop_columns(unnamed).replace_schema_metadata())
    return tables


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
