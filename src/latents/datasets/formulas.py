r"""Texts that a spreadsheet would take for formulas, written so that it does not, and read back exactly.

A program that opens a CSV file computes what begins with ``=``, ``+``, ``-`` or ``@`` (and, in some, after a tab
or a line break, or in full width), whatever quotation marks are around it. Such a text gets an apostrophe before
it, and so does one that has apostrophes before one of these, from which it could else not be told. Numbers stay
numbers.
"""

import re
from collections.abc import Callable
from itertools import chain
from typing import Any

import pandas as pd
from pandas.api.types import is_object_dtype, is_string_dtype

_BEGINNING = "[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_FORMULA = re.compile(f"'*{_BEGINNING}")
_DISARMED = re.compile(f"'+{_BEGINNING}")


def disarmed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts, and names of columns, are no formulas; that which is given stays as it is."""
    return _changed(table, lambda text: f"'{text}" if _FORMULA.match(text) else text)


def armed(table: pd.DataFrame) -> pd.DataFrame:
    """Undo `disarmed`."""
    return _changed(table, lambda text: text[1:] if _DISARMED.match(text) else text)


def has_returns(table: pd.DataFrame) -> bool:
    r"""Tell whether a text has a ``\r``, which pandas writes bare and, reading, takes for the end of a row."""
    columns = (table.iloc[:, place].tolist() for place in _of_texts(table))
    return any(isinstance(text, str) and "\r" in text for text in chain(table.columns, table.index, *columns))


def _of_texts(table: pd.DataFrame) -> list[int]:
    """Return the places of the columns that may have texts."""
    return [
        place
        for place, kind in enumerate(table.dtypes)
        if isinstance(kind, pd.CategoricalDtype) or is_object_dtype(kind) or is_string_dtype(kind)
    ]


def _changed(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    def of_text(value: Any) -> Any:
        return change(value) if isinstance(value, str) else value

    changed = table.copy(deep=False)
    for place in _of_texts(table):
        values = table.iloc[:, place].tolist()
        new = [of_text(value) for value in values]
        if any(one is not other for one, other in zip(new, values, strict=True)):
            kind = table.dtypes.iloc[place]
            changed.isetitem(place, pd.array(new, dtype=kind if isinstance(kind, pd.StringDtype) else object))
    changed.columns = table.columns.map(of_text)
    if is_object_dtype(table.index) or is_string_dtype(table.index):
        changed.index = table.index.map(of_text)
    return changed
