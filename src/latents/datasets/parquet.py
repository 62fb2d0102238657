"""Tables in Parquet, of one file or of a folder of parts, with all columns that are in them."""

import re
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import DatasetError

from latents.datasets.files import first_repeated
from latents.datasets.split_folders import files_within

# What pandas calls an index without a name: it is no column of the user's.
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def parquet_of(path: Path) -> pa.Table:
    """Return the columns of a Parquet file, or of a folder of such files as Spark and Dask write it.

    What pandas keeps as an index with a name is a column like any other. In a folder the parts come in the
    order of their names and numbers; names that begin with ``_`` or ``.`` are none of parts, and what folders are
    called, as in ``label=sea``, is a column of texts.

    Raises
    ------
    DatasetError
        If there is no such file and no part, one is no whole Parquet file, two columns have one name, or parts
        have different columns.
    """
    if not path.is_dir():
        if not path.is_file():
            raise DatasetError(f"there is no file {path}")
        return _one(path)
    if (path / "_delta_log").exists():
        raise DatasetError(
            f"{path} is a Delta table, in which not all files count; write what it holds to a Parquet file"
        )
    parts = sorted(filter(_is_part, files_within(path, "*.parquet")), key=_by_number)
    if not parts:
        raise DatasetError(f"{path} has no file of a finished table, such as part-00000.parquet")
    tables = [_with_folders(_one(path / part), part) for part in parts]
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


def _one(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            if (twice := first_repeated(schema.names)) is not None:
                raise DatasetError(
                    f"{path} has several columns {twice!r:.80}; rename or leave out all but one"
                )
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} is no whole Parquet file: {error!s:.300}") from error
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    unnamed = [name for name in index if isinstance(name, str) and _UNNAMED_INDEX.fullmatch(name)]
    return table.drop_columns(unnamed).replace_schema_metadata()


def _with_folders(table: pa.Table, part: str) -> pa.Table:
    """Add the columns that folders have in their names."""
    for folder in part.split("/")[:-1]:
        key, equals, value = folder.partition("=")
        if equals and key not in table.column_names:
            cell = None if value == _NO_VALUE else unquote(value)
            table = table.append_column(key, pa.array([cell] * len(table), pa.string()))
    return table


def _is_part(name: str) -> bool:
    return not any(part.startswith("_") and "=" not in part for part in name.split("/"))


def _by_number(name: str) -> list[tuple[str, int]]:
    """Return a key by which part.10 comes after part.2."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", name)]
