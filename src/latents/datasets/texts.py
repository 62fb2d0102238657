"""The user's own texts: a folder of files, or a table (CSV, Parquet or JSON lines)."""

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pandas as pd
import pyarrow as pa
from kedro.io import DatasetError

from latents.datasets.cutting import Cut, cuts_of
from latents.datasets.files import check_encoding, decoded, lines_of, text_of
from latents.datasets.folders import files_within, labels_and_split
from latents.datasets.parquet import parquet_of
from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.tables import TableDataset
from latents.datasets.unpacking import Size, bytes_of
from latents.messages import first_repeated
from latents.places import Access, Place, here, in_batches, now, place


class _Absent:
    """What a row of a table has where its object lacks the key: no null, which is None, but a mistake."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


class TextFolderDataset(ReadOnlyDataset[pd.DataFrame]):
    """A folder of text files, one document each; the subfolders, if there are any, are the labels.

    Hidden files and folders are left out, links are followed. Subfolders ``train`` and ``test``, and no other, are
    no labels but say which documents are held out; labels are then the folders in them.

    Parameters
    ----------
    path : str
        The folder.
    pattern : str
        Which files to read, such as ``*.txt``; all by default.
    encoding : str
        The encoding of the files.
    max_unpacked : int or str, optional
        How large a file may become when unpacked, in bytes or as ``4 GiB``, if not as ``unpacking`` has it.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        path: str | Place,
        pattern: str = "*",
        encoding: str = "utf-8",
        max_unpacked: Size = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._path = place(path, credentials, fs_args)
        self._pattern = pattern
        self._encoding = check_encoding(encoding)
        self._max_unpacked = bytes_of(max_unpacked)
        super().__init__(metadata)

    def load(self) -> pd.DataFrame:
        """Return one row per file, by name (see `files_within` and `labels_and_split`)."""
        folder = now(self._path)
        return self._with_texts(folder, self._files(folder))

    def files(self) -> pd.DataFrame:
        """Return what `load` does, without the texts."""
        return self._files(now(self._path))

    def with_texts(self, files: pd.DataFrame) -> pd.DataFrame:
        """Return some of `files` with their texts."""
        return self._with_texts(now(self._path), files)

    def _files(self, folder: Place) -> pd.DataFrame:
        names = files_within(folder, self._pattern)
        labels, held_out = labels_and_split(folder, names)
        columns = {"name": names, "label": labels, "held_out": held_out}
        return pd.DataFrame({column: values for column, values in columns.items() if values is not None})

    def _with_texts(self, folder: Place, files: pd.DataFrame) -> pd.DataFrame:
        batches = in_batches([folder / name for name in files["name"]])
        texts = [text_of(path, self._encoding, self._max_unpacked) for batch in batches for path in batch]
        documents = files.copy()
        documents.insert(1, "text", texts)
        return documents


class DocumentTableDataset(TableDataset[pd.DataFrame]):
    """A table of documents, of the kind that its file name ends in.

    ``.csv`` and ``.tsv`` (with a line of names; a field stays the text that it is, "null" and "NA" included),
    ``.jsonl`` and ``.ndjson`` (an object a line), and ``.parquet``, which may be a folder of parts (see
    `parquet_of`). All but the last may be compressed (``.csv.gz``).

    The index of a loaded table tells the places of its rows, for messages: it is called ``line`` (of a file of
    text, from 1) or ``row`` (of Parquet, from 0), and ``attrs["file"]`` has the path. Where an object lacks a key
    that others have, the value is ``ABSENT``.

    Parameters
    ----------
    filepath : str
        The file.
    encoding : str
        Its encoding; Parquet has its own.
    separator : str, optional
        What parts the fields of a ``.csv`` or ``.tsv`` file, if not a comma or a tab.
    quoting : bool, optional
        Whether quotation marks enclose fields in such a file; by default not where tabs part them: there a
        quotation mark is a character, and every line a row.
    max_unpacked : int or str, optional
        How large the file may become when unpacked, in bytes or as ``4 GiB``, if not as ``unpacking`` has it.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

    def load(self) -> pd.DataFrame:
        """Return the table."""
        if self._kind == ".parquet":
            table = self.from_parquet(parquet_of(self._place, self._max_unpacked))
        else:
            table = self.from_text(self._text())
        if table.empty:
            raise DatasetError(f"{self._place} has no document")
        return table

    def from_parquet(self, columns: pa.Table, first_row: int = 0) -> pd.DataFrame:
        """Return rows of a Parquet table, of which the first has this number."""
        table: pd.DataFrame = columns.to_pandas(integer_object_nulls=True)
        table.index = pd.RangeIndex(first_row, first_row + len(table), name="row")
        table.attrs["file"] = str(self._place)
        return table

    def from_text(self, text: str, first_line: int = 1, names: Sequence[str] = ()) -> pd.DataFrame:
        """Return the rows of a text that begins at a line of the file.

        Parameters
        ----------
        text : str
            Whole rows.
        first_line : int
            The number of its first line, from 1.
        names : sequence of str, optional
            The names of the columns of a ``.csv`` or ``.tsv`` file, if they are not in the text.
        """
        if self._kind in (".csv", ".tsv"):
            rows = list(self._rows_of(text, first_line, names))
            if not names:
                (_, names), *rows = rows
            lines = pd.Index([line for line, _ in rows], name="line")
            table = pd.DataFrame([row for _, row in rows], lines, list(names), dtype=object)
        else:
            table = self._objects(text, first_line)
        table.attrs["file"] = str(self._place)
        return table

    def cuts(self, size: int) -> list[Cut]:
        """Return the rows of a file of text in parts of about `size` bytes."""
        if not self._place.is_file():
            raise DatasetError(f"there is no file {self._place}")
        quoted = self._kind in (".csv", ".tsv") and self._quoting
        return cuts_of(self._place, size, self._encoding, self._separator if quoted else None)

    def read(self, cut: Cut, names: Sequence[str] = ()) -> pd.DataFrame:
        """Return the rows of a part, whose columns have these `names` if it does not begin with them."""
        return self.from_text(self._text_of(cut), cut.first_line, names)

    def names(self, cut: Cut) -> list[str]:
        """Return the names of the columns that the first part of a ``.csv`` or ``.tsv`` file begins with."""
        return next(self._rows_of(self._text_of(cut)))[1] if self._kind in (".csv", ".tsv") else []

    def _text_of(self, cut: Cut) -> str:
        with here(self._place).open("rb") as file:
            file.seek(cut.start)
            content = file.read(cut.stop - cut.start)
        text = decoded(content, self._place, self._encoding, cut.first_line)
        # A last line without an end is no reason to take a \r in it for one.
        return text if cut.line_break in text else text + cut.line_break

    def _objects(self, text: str, first_line: int) -> pd.DataFrame:
        lines, rows = [], []
        for number, line in enumerate(lines_of(text), start=first_line):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=_object)
            except json.JSONDecodeError as error:
                reason = f"no JSON: {error.msg} at character {error.pos + 1}"
                raise self._malformed(number, reason) from error
            except (ValueError, RecursionError) as error:
                raise self._malformed(number, str(error)) from error
            if not isinstance(row, dict):
                raise self._malformed(number, f"{line:.40} is no object; each line must be one, {{...}}")
            if "\\u" in line:
                self._check_characters(number, row)
            lines.append(number)
            rows.append(row)
        columns = {key: [row.get(key, ABSENT) for row in rows] for key in dict.fromkeys(chain(*rows))}
        return pd.DataFrame(columns, pd.Index(lines, name="line"), dtype=object)

    def _check_characters(self, line: int, row: dict[str, Any]) -> None:
        for key, value in row.items():
            try:
                f"{key}{value}".encode()
            except UnicodeEncodeError as error:
                half = repr(error.object[error.start])
                raise self._malformed(
                    line, f"{half} in {key!r:.80} is half a character: no text has it"
                ) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError(f"there are several keys {first_repeated(key for key, _ in pairs)!r:.80}")
    return row
