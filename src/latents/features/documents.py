"""Documents as rows of a table, in memory or in blocks: their texts, and what is told of them beside."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from numbers import Number
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latents.estimators.common.blocks import Blocks, Numbered, with_number
from latents.features.words import composed
from latents.messages import shown

W = TypeVar("W")


class DocumentBlocks:
    """Documents in blocks, whose texts nobody holds as a whole; all other columns are used as those of a table.

    Parameters
    ----------
    texts : Blocks of sequences of str
        Those of each block.
    told : DataFrame
        A row for each document, without texts: ``label``, ``name`` and ``held_out``, as far as they are given.
    n_rows : sequence of int
        The documents of each block.
    """

    def __init__(self, texts: Blocks[Sequence[str]], told: pd.DataFrame, n_rows: Sequence[int]) -> None:
        self.texts, self.told, self.n_rows = texts, told, list(n_rows)

    def __len__(self) -> int:
        return len(self.told)

    def __contains__(self, column: str) -> bool:
        return column in self.told

    def __getitem__(self, column: str) -> pd.Series:
        """Return a column of what is told."""
        return self.told[column]

    def assign(self, **columns: Any) -> "DocumentBlocks":
        """Return the documents with columns more of what is told, or others."""
        return DocumentBlocks(self.texts, self.told.assign(**columns), self.n_rows)

    def written(self, write: Callable[[int, list[str]], W]) -> list[W]:
        """Return what `write` makes of the number and the texts of each block, where that is."""
        return self.texts.prepared(with_number).each(_Written(write, self.n_rows))

    def excerpts(self, rows: NDArray[np.intp], length: int) -> list[str]:
        """Return the beginnings of the texts of some rows (`excerpt`), in their order."""
        order = np.argsort(rows, kind="stable")
        edges = np.cumsum([0, *self.n_rows])
        chosen = [
            rows[order][slice(*np.searchsorted(rows[order], (start, stop)))] - start
            for start, stop in pairwise(edges)
        ]
        found = self.texts.prepared(with_number).each(_ExcerptsOf(chosen, length))
        texts = np.empty(len(rows), dtype=object)
        texts[order] = [text for of_block in found for text in of_block]
        return texts.tolist()


Documents: TypeAlias = pd.DataFrame | DocumentBlocks
"""In memory, with a column ``text``, or in blocks."""


@dataclass(frozen=True)
class _Written(Generic[W]):
    """What is made of the number and the texts of a block, if they are as many as were told of."""

    write: Callable[[int, list[str]], W]
    n_rows: list[int]

    def __call__(self, block: Numbered) -> W:
        texts = list(block.block)
        if len(texts) != (expected := self.n_rows[block.number]):
            raise ValueError(
                f"it has {len(texts)} documents, and had {expected} when it was looked through: what it is read "
                "from was changed"
            )
        return self.write(block.number, texts)


@dataclass(frozen=True)
class _ExcerptsOf:
    """The beginnings of chosen texts of a block."""

    rows: list[NDArray[np.intp]]
    length: int

    def __call__(self, block: Numbered) -> list[str]:
        return [excerpt(block.block[row], self.length) for row in self.rows[block.number].tolist()]


def told_of(documents: Documents) -> pd.DataFrame:
    """Return all columns but the texts."""
    if isinstance(documents, DocumentBlocks):
        return documents.told
    return documents.drop(columns="text", errors="ignore")


def excerpts(documents: Documents, rows: NDArray[np.intp], length: int) -> list[str]:
    """Return the beginnings of the texts of some rows (`excerpt`), in their order."""
    if isinstance(documents, DocumentBlocks):
        return documents.excerpts(rows, length)
    texts = documents["text"].to_numpy()
    return [excerpt(texts[row], length) for row in rows.tolist()]


def excerpt(text: str, length: int) -> str:
    """Return the beginning of a text, its white space made even; the last character tells of a cut."""
    even = " ".join(text.split(maxsplit=length)[:length])  # so many words are longer than wanted
    return even if len(even) <= length else even[: length - 1].rstrip() + "…"


class Told(NamedTuple):
    """What a table, or a part of one, tells of its documents beside their texts.

    Attributes
    ----------
    table : DataFrame
        ``label`` and ``name`` (str, a missing one is empty) and ``held_out`` (as it came), where there are any.
        Its index and ``attrs`` are the table's, and say where the rows are.
    columns : list
        Those of the table, all of them.
    n_without_text, first_without_text : int
        How many texts are missing, and the number of the first of these.
    """

    table: pd.DataFrame
    columns: list[Any]
    n_without_text: int
    first_without_text: int


def told_by(table: pd.DataFrame, text_column: str, label_column: str | None) -> Told:
    """Return what a table tells of its documents.

    Raises
    ------
    ValueError
        If a label or a name is of another kind than texts and numbers; names the place.
    """
    told = pd.DataFrame(index=table.index)
    told.attrs = table.attrs
    for name, column in {"label": label_column, "name": "name"}.items():
        if column is not None and column in table:
            told[name] = pd.Series(texts_in(table, column), table.index, dtype=object)
    if "held_out" in table:
        told["held_out"] = table["held_out"].astype(object)
    missing = np.flatnonzero(table[text_column].isna()) if text_column in table else np.empty(0, np.intp)
    return Told(told, list(table.columns), len(missing), int(missing[0]) if len(missing) else -1)


@dataclass(frozen=True)
class TextsOf:
    """Takes the texts of a part of a table; prepares a block."""

    text_column: str

    def __call__(self, table: pd.DataFrame, number: int) -> Sequence[str]:  # noqa: ARG002
        """Return the texts."""
        return texts_in(table, self.text_column) if len(table) else []


@dataclass(frozen=True)
class ToldBy:
    """Looks through a part of a table, once: work on a block."""

    text_column: str
    label_column: str | None

    def __call__(self, table: pd.DataFrame) -> Told:
        """Return what it tells, if its texts are some."""
        check_columns(table, self.text_column, self.label_column)
        if self.text_column in table:
            texts_in(table, self.text_column)
        return told_by(table, self.text_column, self.label_column)


def joined(parts: Sequence[Told], wanted: Collection[str | None]) -> Told:
    """Return what parts of a table tell as that of the whole.

    Parameters
    ----------
    parts : sequence of Told
        One after the other.
    wanted : collection of str
        Columns that all parts have, or none.

    Raises
    ------
    ValueError
        If a part lacks a wanted column that another has; names its first row.
    """
    columns = list(dict.fromkeys(column for part in parts for column in part.columns))
    for part in parts:
        lacking = [column for column in columns if column in wanted and column not in part.columns]
        if lacking and len(part.table):
            raise ValueError(
                f"{place_of(part.table, 0)}: {lacking[0]} is absent, which other rows have; allowed is all "
                "rows, or none"
            )
    if len(parts) == 1:
        return parts[0]
    table = pd.concat([part.table for part in parts if len(part.table)] or [parts[0].table])
    table.attrs, table.index.name = parts[0].table.attrs, parts[0].table.index.name
    begins = accumulate((len(part.table) for part in parts), initial=0)
    firsts = [
        begin + part.first_without_text
        for begin, part in zip(begins, parts, strict=False)
        if part.n_without_text
    ]
    return Told(table, columns, sum(part.n_without_text for part in parts), firsts[0] if firsts else -1)


def check_columns(table: pd.DataFrame, text_column: str, label_column: str | None) -> None:
    """Refuse names that two columns have, or that mean something but for blanks around them.

    Raises
    ------
    ValueError
    """
    place = table.attrs.get("file", "the documents")
    if (twice := table.columns[table.columns.duplicated()]).size:
        raise ValueError(f"{place}: there are several columns {twice[0]!r:.80}; allowed is one of each name")
    meant = {text_column, label_column, "name", "held_out"}
    lacking = meant.difference(table.columns)
    for name in table.columns:
        if isinstance(name, str) and name not in meant and name.strip() in lacking:
            raise ValueError(
                f"{place}: the name of column {name!r:.80} begins or ends with blanks; call it "
                f"{name.strip()!r:.80}"
            )


def place_of(table: pd.DataFrame, row: int) -> str:
    """Say where a row of a table comes from."""
    file = table.attrs.get("file")
    return f"{file}, {table.index.name} {table.index[row]}" if file else f"document {row}"


def texts_in(table: pd.DataFrame, column: str) -> list[str]:
    """Return the values of a column as texts, whole numbers without a fraction; a missing one is empty.

    They are composed (Unicode's NFC): an accent belongs to its letter, however it was typed.

    Raises
    ------
    ValueError
        If a value is of another kind than texts and numbers; names the place.
    """
    values = table[column].astype(object)
    texts = []
    for row, (value, missing) in enumerate(zip(values, values.isna(), strict=True)):
        if not (missing or isinstance(value, str | Number)):
            raise ValueError(
                f"{place_of(table, row)}: {column} is {shown(value)}; allowed are texts and numbers"
            )
        if isinstance(value, float) and value.is_integer():  # where one is missing, pandas has 7 as 7.0
            value = int(value)
        texts.append("" if missing else composed(str(value)))
    return texts
