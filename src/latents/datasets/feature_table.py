"""Tables of numbers of one's own: a row for each thing, or for each image a row of its pixels."""

import logging
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from kedro.io import DatasetError
from numpy.typing import NDArray

from latents.datasets.image_shapes import image_shape_of, images_or_features
from latents.datasets.parquet import parquet_of
from latents.datasets.tables import TableDataset
from latents.datasets.unpacking import Size
from latents.features.labels import numbers_if_whole, truth_of
from latents.messages import some_of, unquoted
from latents.places import Access, Place

logger = logging.getLogger(__name__)

_NUMBERS = {
    point: re.compile(rf"\s*[+-]?(\d+{mark}?\d*|{mark}\d+)([eE][+-]?\d+)?\s*", re.ASCII)
    for point, mark in ((".", r"\."), (",", ","))
}
_WHOLE_DIGITS = 18  # of decimal numbers that fit into 64 bits

Arrays = dict[str, NDArray[Any]]


class _Columns(NamedTuple):
    """Which columns mean what: the features, and the others by what is made of them."""

    features: list[str]
    others: dict[str, str]


class FeatureTableDataset(TableDataset[Arrays]):
    """A table of numbers, of the kind that its file name ends in: ``.csv``, ``.tsv`` or ``.parquet``.

    The first line (of Parquet, the schema) names the columns. Some have a meaning, where they are there: the
    label; ``held_out``, truth values; ``name``, what a row is called. All others are features and hold
    finite numbers; those that are whole and from 0 to 255 throughout, as pixels are, become bytes. ``.csv``
    and ``.tsv`` files may be compressed (``.csv.gz``), ``.parquet`` may be a folder of parts (see `parquet_of`).

    Parameters
    ----------
    filepath : str
        The file.
    label : str, optional
        The column of labels; by default ``label``, where there is one. Labels in text that are whole numbers
        throughout become numbers.
    image_shape : sequence of int, optional
        ``[height, width]`` or ``[height, width, 3]``: each row is an image, its pixels line by line.
    weight : str, optional
        A column that says how many rows each stands for; one called ``weight`` is else a feature as all others.
    drop : sequence of str
        Columns that are left out.
    missing : bool or sequence of str
        Whether numbers of features may lack: an empty cell is then NaN (of Parquet, a null or NaN). ``pca``
        estimates such ones where ``pca.fit.missing`` is ``em``. By default they are refused. Texts say what else
        stands for such a number, as ``NA`` does in R's files, ``?`` or ``-999`` in others; such files are read by
        lines, which takes longer.
    separator : str, optional
        What parts the fields of a ``.csv`` or ``.tsv`` file, if not a comma or a tab.
    encoding : str
        Its encoding; Parquet has its own.
    decimal : {".", ","}
        What parts the whole from the fraction of its numbers.
    quoting : bool, optional
        Whether quotation marks enclose fields in it; by default not where tabs part them: there a quotation mark
        is a character, and every line a row.
    max_unpacked : int or str, optional
        How large the file may become when unpacked, in bytes or as ``4 GiB``, if not as ``unpacking`` has it.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    KINDS = (".csv", ".tsv", ".parquet")

    def __init__(
        self,
        filepath: str,
        label: str | None = None,
        image_shape: Sequence[int] | None = None,
        weight: str | None = None,
        drop: Sequence[str] = (),
        missing: bool | Sequence[str] = False,
        separator: str | None = None,
        encoding: str = "utf-8",
        decimal: str = ".",
        quoting: bool | None = None,
        max_unpacked: Size = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath, encoding, separator, quoting, max_unpacked, credentials, fs_args, metadata)
        if not isinstance(drop, (list, tuple)):
            raise DatasetError(f"drop is {drop!r:.80}; allowed is a list of columns")
        marks = [] if isinstance(missing, bool) else missing
        if not isinstance(marks, (list, tuple)) or not all(isinstance(m, str) and m.strip() for m in marks):
            raise DatasetError(
                f"missing is {missing!r:.80}; allowed are true, false, and a list of texts that stand for a "
                "missing number"
            )
        self._missing, self._marks = bool(missing), frozenset(map(str.strip, marks))
        self._label, self._weight = _column(label), _column(weight)
        self._image_shape = image_shape_of(image_shape)
        self._drop = tuple(map(_column, drop))
        if decimal not in _NUMBERS:
            raise DatasetError(f"decimal is {decimal!r:.80}; allowed are '.' and ','")
        if decimal == self._separator:
            raise DatasetError(
                f"decimal and separator are both {decimal!r}: fields and numbers would be parted alike; give the "
                "separator of the file, such as ';'"
            )
        self._decimal = decimal

    def load(self) -> Arrays:
        """Return ``features`` (N x p) and ``feature_names`` (p), or ``images``, and what else the table has.

        That is ``labels``, ``held_out``, ``names`` and ``weights``, each of length N. A row may lack its label,
        which is then empty among texts, and NaN among numbers of Parquet; trainings refuse that.
        """
        X, columns, others = self._from_parquet() if self._kind == ".parquet" else self._from_text()
        data = images_or_features(self._place, X, self._image_shape, "columns of features")
        if "features" in data:
            data["feature_names"] = np.array(columns.features)
        if "labels" in others:
            others["labels"] = numbers_if_whole(others["labels"])
        return {**data, **others}

    def _meanings(self, names: list[str]) -> _Columns:
        there = set(names)
        named = [("label", self._label), ("weight", self._weight), *(("drop", name) for name in self._drop)]
        for parameter, name in named:
            if name is not None and name not in there:
                raise DatasetError(
                    f"{self._place} has no column {name!r:.80}, which {parameter} names; "
                    f"it has {some_of(names)}{f' ({said})' if (said := unquoted(name)) else ''}"
                )
        kept = there.difference(self._drop)
        others = {"labels": self._label or "label", "held_out": "held_out", "names": "name"}
        if self._weight is not None:
            others["weights"] = self._weight
        others = {meaning: name for meaning, name in others.items() if name in kept}
        kept.difference_update(others.values())
        features = [name for name in names if name in kept]
        if not features:
            raise DatasetError(f"{self._place} has no column of features; it has {some_of(names)}")
        if "" in features:
            raise DatasetError(
                f"{self._place}: column {names.index('') + 1} has no name, as row numbers have that were "
                'written along; name it, or leave it out by `drop: [""]`'
            )
        if "weight" in features:
            logger.info(
                "%s: column 'weight' is a feature; `weight: weight` in the entry would make it weights of rows",
                self._place,
            )
        meant = {self._label or "label", "held_out", "name", self._weight}
        for name in features:
            if name.strip() in meant:
                raise DatasetError(
                    f"{self._place} has a column {name!r:.80}, whose name begins or ends with blanks; call it "
                    f"{name.strip()!r}, or leave it out by `drop`"
                )
        return _Columns(features, others)

    def _from_text(self) -> tuple[NDArray[Any], _Columns, Arrays]:
        text = self._text()
        _, names = next(self._rows_of(text))
        columns = self._meanings(names)
        X, others = self._at_once(text, names, columns) or self._by_line(text, names, columns)
        return _as_bytes(X), columns, others

    def _at_once(self, text: str, names: list[str], columns: _Columns) -> tuple[NDArray[Any], Arrays] | None:
        """Read a file that has nothing unusual in it, fast; of any other return None."""
        # Polars knows separators of one byte, and marks of all columns alike.
        if not self._separator.isascii() or self._marks:
            return None
        quoted = self._quoting and '"' in text
        # To polars an empty line is a row without values. Within quotes it may be part of a text.
        content = text if quoted else re.sub(r"\n{2,}", "\n", text.replace("\r\n", "\n"))
        _, _, rows = content.partition("\n")
        if "\0" in rows or "\r" in rows.replace("\r\n", ""):
            return None
        if self._decimal == "," and "." in rows:  # polars would take it for a point all the same
            return None
        encoded = content.rstrip("\r\n").encode()
        others = set(columns.others.values()).union(self._drop)
        weight = columns.others.get("weights")
        for number in (pl.UInt8(), pl.Float64()):
            schema = {name: pl.String() if name in others else number for name in names}
            if weight is not None:
                schema[weight] = pl.Float64()
            try:
                table = pl.read_csv(
                    encoded,
                    separator=self._separator,
                    quote_char='"' if quoted else None,
                    decimal_comma=self._decimal == ",",
                    schema=schema,
                ).drop(self._drop)
            except pl.exceptions.PolarsError:
                continue
            X = table.select(columns.features).to_numpy(order="c")
            cells = {meaning: table[name] for meaning, name in columns.others.items() if name != weight}
            whole = table.drop(columns.features) if self._missing else table
            if any(whole.null_count().row(0)) or any((column == "").any() for column in cells.values()):
                return None
            weights = {} if weight is None else {"weights": table[weight].to_numpy()}
            if n_lacking := sum(table.select(columns.features).null_count().row(0)):
                X = X.astype(np.float64)
            # What is not finite and not empty is no number.
            bad = np.count_nonzero(~np.isfinite(X)) > n_lacking
            if bad or not all(np.isfinite(w).all() for w in weights.values()):
                return None
            arrays = {meaning: column.to_numpy().astype(str) for meaning, column in cells.items()}
            if "held_out" in cells:
                marks = [truth_of(mark) for mark in cells["held_out"].to_list()]
                if None in marks:
                    return None
                arrays["held_out"] = np.array(marks, dtype=bool)
            return X, arrays | weights
        return None

    def _by_line(self, text: str, names: list[str], columns: _Columns) -> tuple[NDArray[Any], Arrays]:
        """Read any file, line by line, and say where it has a mistake."""
        lines = self._rows_of(text)
        next(lines)  # the names
        rows, unlabelled = [], []
        others: dict[str, list[Any]] = {meaning: [] for meaning in columns.others}
        places = {name: place for place, name in enumerate(names)}
        at = [places[name] for name in columns.features]
        for line, row in lines:
            rows.append(self._numbers(line, columns.features, [row[place] for place in at], self._missing))
            for meaning, name in columns.others.items():
                cell = row[places[name]]
                if meaning == "weights":
                    others[meaning].append(self._numbers(line, [name], [cell])[0])
                    continue
                if not cell and meaning == "labels":
                    unlabelled.append(line)
                elif not cell:
                    raise self._malformed(line, f"column {name!r:.80} is empty")
                if cell.endswith("\0"):  # which arrays would lose
                    raise self._malformed(line, f"column {name!r:.80} ends in a NUL character")
                mark = truth_of(cell) if meaning == "held_out" else cell
                if mark is None:
                    reason = f"held_out is {cell!r:.80}; allowed are true and false, or 1 and 0"
                    raise self._malformed(line, reason)
                others[meaning].append(mark)
        self._tell([f"line {line}" for line in unlabelled], columns)
        X = np.array(rows, dtype=np.float64).reshape(len(rows), len(columns.features))
        return X, {meaning: np.array(cells) for meaning, cells in others.items()}

    def _numbers(
        self, line: int, names: list[str], cells: list[str], may_lack: bool = False
    ) -> NDArray[np.float64]:
        number, other = _NUMBERS[self._decimal], "," if self._decimal == "." else "."
        for name, cell in zip(names, cells, strict=True):
            if not number.fullmatch(cell) and not (may_lack and self._lacks(cell)):
                hint = f" (decimal: {other!r} would read it)" if _NUMBERS[other].fullmatch(cell) else ""
                found = f"{cell!r:.80}; allowed are finite numbers{hint}" if cell.strip() else "empty"
                raise self._malformed(line, f"column {name!r:.80} is {found}")
        numbers = np.array(
            [
                np.nan if may_lack and self._lacks(cell) else float(cell.replace(self._decimal, "."))
                for cell in cells
            ]
        )
        if np.isinf(numbers).any():
            column = np.isinf(numbers).argmax()
            found = f"{cells[column]!r:.80}, which is too large"
            raise self._malformed(line, f"column {names[column]!r:.80} is {found}")
        return numbers

    def _lacks(self, cell: str) -> bool:
        return not cell.strip() or cell.strip() in self._marks

    def _from_parquet(self) -> tuple[NDArray[Any], _Columns, Arrays]:
        path = self._place
        table = parquet_of(path, self._max_unpacked)
        columns = self._meanings(table.column_names)
        places = {name: place for place, name in enumerate(table.column_names)}
        used = (*columns.features, *columns.others.values())
        cells = {name: _decoded(table.column(places[name])) for name in used}
        for meaning, name in columns.others.items():
            missing = np.flatnonzero(cells[name].is_null(nan_is_null=True))
            if meaning == "weights":
                continue  # _finite tells
            if meaning == "labels":
                self._tell([f"row {row}" for row in missing], columns)
            elif missing.size:
                raise DatasetError(f"{path}, row {missing[0]}: column {name!r:.80} is empty")
        features = [_finite(path, name, cells[name], self._missing) for name in columns.features]
        X = _side_by_side(features, len(table))
        others = {
            meaning: (_finite if meaning == "weights" else _plain)(path, name, cells[name])
            for meaning, name in columns.others.items()
        }
        return X, columns, others

    def _tell(self, places: list[str], columns: _Columns) -> None:
        """Warn of rows without a label."""
        if places:
            logger.warning(
                "%s, %s: column %.80r is empty; %d rows have no label",
                *(self._place, places[0], columns.others["labels"], len(places)),
            )


def _column(named: Any) -> Any:
    """Return the name of a column as an entry gives it: YAML makes numbers of some names."""
    return named if named is None or isinstance(named, bool) else str(named)


def _decoded(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values of categories, decimals as numbers, and all others as they are."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if pa.types.is_decimal(cells.type):
        whole = cells.type.scale == 0 and cells.type.precision <= _WHOLE_DIGITS
        cells = cells.cast(pa.int64() if whole else pa.float64())
    return cells


def _is_number(cells: pa.ChunkedArray) -> bool:
    kind = cells.type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _finite(path: Place, name: str, cells: pa.ChunkedArray, may_lack: bool = False) -> NDArray[Any]:
    """Return a column of features of Parquet."""
    if pa.types.is_boolean(cells.type) and cells.null_count:
        cells = cells.cast(pa.uint8())
    if cells.null_count and not may_lack:
        row = np.flatnonzero(cells.is_null())[0]
        raise DatasetError(f"{path}, row {row}: column {name!r:.80} is empty")
    if not _is_number(cells):
        first = (
            f"row 0: column {name!r:.80} is {cells[0].as_py()!r:.80}"
            if len(cells)
            else f"column {name!r:.80}"
        )
        raise DatasetError(
            f"{path}, {first}; allowed are finite numbers (all of the column is of type {cells.type!s:.80})"
        )
    numbers: NDArray[Any] = cells.to_numpy()
    allowed = ~np.isinf(numbers) if may_lack else np.isfinite(numbers)
    if not allowed.all():
        row = allowed.argmin()
        raise DatasetError(
            f"{path}, row {row}: column {name!r:.80} is {numbers[row]}; allowed are finite numbers"
        )
    return numbers


def _side_by_side(columns: list[NDArray[Any]], n_rows: int) -> NDArray[Any]:
    """Return columns of numbers as an array, of bytes if it can be."""
    kind = np.result_type(*{column.dtype for column in columns})
    as_bytes = [_as_bytes(column) for column in columns]
    if all(column.dtype == np.uint8 for column in as_bytes):
        kind = np.dtype(np.uint8)
    X = np.empty((n_rows, len(columns)), kind)
    for place, column in enumerate(as_bytes):
        X[:, place] = column
    return X


def _plain(path: Place, name: str, cells: pa.ChunkedArray) -> NDArray[Any]:
    """Return numbers and truth values as they are, and all else as text; what is missing is NaN or empty."""
    if _is_number(cells) and not (pa.types.is_boolean(cells.type) and cells.null_count):
        numbers: NDArray[Any] = cells.to_numpy()
        return numbers
    texts = ["" if cell is None else cell for cell in cells.to_pylist()]
    for row, text in enumerate(texts):
        if isinstance(text, (bytes, list, dict)) or str(text).endswith("\0"):
            raise DatasetError(
                f"{path}, row {row}: column {name!r:.80} is {text!r:.80}; allowed are texts and numbers"
            )
    return np.array(list(map(str, texts)))


def _as_bytes(X: NDArray[Any]) -> NDArray[Any]:
    """Return pixels as bytes, which is what they are where all are whole and from 0 to 255."""
    if X.dtype == np.uint8 or not X.size or not (X.min() >= 0 and X.max() <= 255):  # NaN is neither
        return X
    as_bytes = X.astype(np.uint8)
    return as_bytes if (as_bytes == X).all() else X
