"""Tables of numbers of one's own: a row for each thing, or for each image a row of its pixels."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
from kedro.io import DatasetError
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from latents.datasets.files import TRUTH, check_separator, fields_of, malformed, text_of, truth_of
from latents.datasets.image_shapes import image_shape_of, images_or_features
from latents.datasets.read_only import ReadOnlyDataset
from latents.quoting import unquoted

logger = logging.getLogger(__name__)

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_KINDS = (".csv", ".tsv", ".parquet")

Arrays = dict[str, NDArray[Any]]


class _Columns(NamedTuple):
    """Which columns mean what: the features, and the others by what is made of them."""

    features: list[str]
    others: dict[str, str]


class FeatureTableDataset(ReadOnlyDataset[Arrays]):
    """A table of numbers, of the kind that its file name ends in: ``.csv``, ``.tsv`` or ``.parquet``.

    The first line (of Parquet, the schema) names the columns. Some have a meaning, where they are there: the
    label; ``held_out``, truth values; ``name``, what a row is called. All others are features and hold
    finite numbers; those that are whole and from 0 to 255 throughout, as pixels are, become bytes. ``.csv``
    and ``.tsv`` files may be compressed (``.csv.gz``). The index of a pandas table is no column.

    Parameters
    ----------
    filepath : str
        The file.
    label : str, optional
        The column of labels; by default ``label``, where there is one. Labels in text that are whole numbers
        throughout become numbers.
    image_shape : sequence of int, optional
        ``[height, width]`` or ``[height, width, 3]``: each row is an image, its pixels line by line.
    drop : sequence of str
        Columns that are left out.
    separator : str, optional
        What parts the fields of a ``.csv`` or ``.tsv`` file, if not a comma or a tab.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        label: str | None = None,
        image_shape: Sequence[int] | None = None,
        drop: Sequence[str] = (),
        separator: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath = Path(filepath)
        self._kind = Path(self._filepath.name.removesuffix(".gz")).suffix
        if self._kind not in _KINDS or self._filepath.name.endswith(".parquet.gz"):
            raise DatasetError(
                f"{filepath} is no table that can be read; allowed are names ending in {', '.join(_KINDS)}"
            )
        if isinstance(drop, str):
            raise DatasetError(f"drop is {drop!r}; allowed is a list of columns")
        self._label = label
        self._image_shape = image_shape_of(image_shape)
        self._drop = tuple(drop)
        self._separator = check_separator(separator) or ("\t" if self._kind == ".tsv" else ",")
        super().__init__(metadata)

    def load(self) -> Arrays:
        """Return ``features`` (N x p) and ``feature_names`` (p), or ``images``, and what else the table has.

        That is ``labels``, ``held_out`` and ``names``, each of length N. A row may lack its label, which is
        then empty among texts, and NaN among numbers of Parquet; trainings refuse that.
        """
        X, columns, others = self._from_parquet() if self._kind == ".parquet" else self._from_text()
        data = images_or_features(self._filepath, X, self._image_shape, "columns of features")
        if "features" in data:
            data["feature_names"] = np.array(columns.features)
        return {**data, **others}

    def _meanings(self, names: list[str]) -> _Columns:
        for parameter, name in [("label", self._label), *(("drop", name) for name in self._drop)]:
            if name is not None and name not in names:
                raise DatasetError(
                    f"{self._filepath} has no column {name!r}, which {parameter} names; it has {_some(names)}"
                    f"{f' ({said})' if (said := unquoted(name)) else ''}"
                )
        kept = [name for name in names if name not in self._drop]
        others = {"labels": self._label or "label", "held_out": "held_out", "names": "name"}
        others = {meaning: name for meaning, name in others.items() if name in kept}
        features = [name for name in kept if name not in others.values()]
        if not features:
            raise DatasetError(f"{self._filepath} has no column of features; it has {_some(names)}")
        if "" in features:
            raise DatasetError(
                f"{self._filepath}: column {names.index('') + 1} has no name, as row numbers have that were "
                'written along; name it, or leave it out by `drop: [""]`'
            )
        meant = {self._label or "label", "held_out", "name"}
        for name in features:
            if str(name).strip() in meant:  # Parquet may have numbers for names
                raise DatasetError(
                    f"{self._filepath} has a column {name!r}, whose name begins or ends with blanks; call it "
                    f"{name.strip()!r}, or leave it out by `drop: [{name!r}]`"
                )
        return _Columns(features, others)

    def _from_text(self) -> tuple[NDArray[Any], _Columns, Arrays]:
        text = text_of(self._filepath)
        _, names = next(fields_of(self._filepath, text, self._separator))
        columns = self._meanings(names)
        X, others = self._at_once(text, names, columns) or self._by_line(text, names, columns)
        if "labels" in others and all(_WHOLE.fullmatch(label) for label in others["labels"].tolist()):
            others["labels"] = others["labels"].astype(np.int64)
        return _as_bytes(X), columns, others

    def _at_once(self, text: str, names: list[str], columns: _Columns) -> tuple[NDArray[Any], Arrays] | None:
        """Read a file that has nothing unusual in it, fast; of any other return None."""
        if not self._separator.isascii():  # polars knows separators of one byte
            return None
        # To polars an empty line is a row without values. Within quotes it may be part of a text.
        content = (text if '"' in text else re.sub(r"[\r\n]+", "\n", text)).rstrip("\r\n").encode()
        for number in (pl.UInt8(), pl.Float64()):
            schema = {name: number if name in columns.features else pl.String() for name in names}
            try:
                table = pl.read_csv(content, separator=self._separator, schema=schema).drop(self._drop)
            except pl.exceptions.PolarsError:
                continue
            X = table.select(columns.features).to_numpy(order="c")
            others = {meaning: table[name] for meaning, name in columns.others.items()}
            if any(table.null_count().row(0)) or any((cells == "").any() for cells in others.values()):
                return None
            if not np.isfinite(X).all():
                return None
            arrays = {meaning: cells.to_numpy().astype(str) for meaning, cells in others.items()}
            if "held_out" in others:
                marks = others["held_out"].str.to_lowercase()
                if not marks.is_in(list(TRUTH)).all():
                    return None
                arrays["held_out"] = marks.is_in([mark for mark in TRUTH if TRUTH[mark]]).to_numpy()
            return X, arrays
        return None

    def _by_line(self, text: str, names: list[str], columns: _Columns) -> tuple[NDArray[Any], Arrays]:
        """Read any file, line by line, and say where it has a mistake."""
        path = self._filepath
        lines = fields_of(path, text, self._separator)
        next(lines)  # the names
        rows, unlabelled = [], []
        others: dict[str, list[Any]] = {meaning: [] for meaning in columns.others}
        at = [names.index(name) for name in columns.features]
        for line, row in lines:
            rows.append(_numbers(path, line, columns.features, [row[column] for column in at]))
            for meaning, name in columns.others.items():
                cell = row[names.index(name)]
                if not cell and meaning == "labels":
                    unlabelled.append(line)
                elif not cell:
                    raise malformed(path, line, f"column {name!r} is empty")
                others[meaning].append(truth_of(path, line, cell) if meaning == "held_out" else cell)
        _tell(path, [f"line {line}" for line in unlabelled], columns)
        X = np.array(rows, dtype=np.float64).reshape(len(rows), len(columns.features))
        return X, {meaning: np.array(cells) for meaning, cells in others.items()}

    def _from_parquet(self) -> tuple[NDArray[Any], _Columns, Arrays]:
        path = self._filepath
        if not path.is_file():
            raise DatasetError(f"there is no file {path}")
        try:
            table = pd.read_parquet(path)
        except (ValueError, OSError) as error:
            raise DatasetError(f"{path} is no whole Parquet file: {error}") from error
        columns = self._meanings(table.columns.tolist())
        for name in (*columns.features, *columns.others.values()):
            cells = table[name]
            if name == columns.others.get("labels"):
                _tell(path, [f"row {row}" for row in np.flatnonzero(cells.isna())], columns)
            elif cells.isna().any():
                raise DatasetError(f"{path}, row {cells.isna().argmax()}: column {name!r} is empty")
            if name in columns.features and not (is_numeric_dtype(cells) or is_bool_dtype(cells)):
                raise DatasetError(
                    f"{path}, row 0: column {name!r} is {cells.iloc[0]!r}; allowed are finite numbers (all of "
                    f"the column is of type {cells.dtype})"
                )
        numbers = [table[name].to_numpy() for name in columns.features]
        as_bytes = [_as_bytes(column) for column in numbers]
        X = np.column_stack(as_bytes if all(column.dtype == np.uint8 for column in as_bytes) else numbers)
        if X.dtype.kind == "f" and not np.isfinite(X).all():
            row, column = np.argwhere(~np.isfinite(X))[0]
            raise DatasetError(
                f"{path}, row {row}: column {columns.features[column]!r} is {X[row, column]}; allowed are "
                "finite numbers"
            )
        others = {meaning: _plain(table[name]) for meaning, name in columns.others.items()}
        return X, columns, others

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": str(self._filepath),
            "label": self._label,
            "image_shape": self._image_shape,
            "drop": self._drop,
            "separator": self._separator,
        }


def _numbers(path: Path, line: int, names: list[str], cells: list[str]) -> NDArray[np.float64]:
    for name, cell in zip(names, cells, strict=True):
        if not _NUMBER.fullmatch(cell):
            found = f"{cell!r}; allowed are finite numbers" if cell.strip() else "empty"
            raise malformed(path, line, f"column {name!r} is {found}")
    numbers = np.array([float(cell) for cell in cells])
    if np.isinf(numbers).any():
        column = np.isinf(numbers).argmax()
        raise malformed(path, line, f"column {names[column]!r} is {cells[column]!r}, which is too large")
    return numbers


def _tell(path: Path, places: list[str], columns: _Columns) -> None:
    """Warn of rows without a label."""
    if places:
        name = columns.others["labels"]
        logger.warning(
            "%s, %s: column %r is empty; %d rows have no label", path, places[0], name, len(places)
        )


def _plain(cells: pd.Series) -> NDArray[Any]:
    """Return numbers and truth values as they are, and all else as text; what is missing is NaN or empty."""
    missing = cells.isna()
    if is_numeric_dtype(cells) and not is_bool_dtype(cells) and missing.any():
        return cells.to_numpy(np.float64, na_value=np.nan)
    if (is_numeric_dtype(cells) or is_bool_dtype(cells)) and not missing.any():
        return cells.to_numpy()
    return np.array(["" if none else str(cell) for cell, none in zip(cells, missing, strict=True)])


def _as_bytes(X: NDArray[Any]) -> NDArray[Any]:
    """Return pixels as bytes, which is what they are where all are whole and from 0 to 255."""
    if X.dtype == np.uint8 or not X.size or X.min() < 0 or X.max() > 255:
        return X
    as_bytes = X.astype(np.uint8)
    return as_bytes if (as_bytes == X).all() else X


def _some(names: Sequence[str], most: int = 8) -> str:
    listed = ", ".join(repr(name) for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
