"""Files that a page is given, into texts."""

import json
from io import BytesIO, StringIO
from typing import Any

import pandas as pd

_TABLES = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")


def texts_of(name: str, content: bytes) -> list[str]:
    """Return the texts of a file: of a table those in its column ``text``, or else in that of the longest texts.

    Parameters
    ----------
    name : str
        The file's; how it ends says what is in it.
    content : bytes
        UTF-8, with a mark of byte order or without.

    Raises
    ------
    ValueError
        If it cannot be read; says why.
    """
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is no text in UTF-8: byte {error.start + 1} is none of it") from error
    if ending == ".json":
        return _listed(name, text)
    if ending in _TABLES:
        return _column(name, _table(name, text, _TABLES[ending]))
    if ending in _LINES:
        return _column(name, _lines(name, content))
    if "\0" in text:
        raise ValueError(f"{name} is no text; this page reads .txt, .csv, .tsv and .jsonl")
    return [text]


def _listed(name: str, text: str) -> list[str]:
    try:
        texts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON") from error
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise ValueError(f"{name} is no list of texts")
    return texts


def _table(name: str, text: str, separator: str) -> pd.DataFrame:
    try:
        return pd.read_csv(StringIO(text), sep=separator, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{name} is no table: {' '.join(str(error).split())}") from error


def _lines(name: str, content: bytes) -> pd.DataFrame:
    try:
        return pd.read_json(BytesIO(content), lines=True, dtype=False)
    except ValueError as error:
        raise ValueError(f"{name} is not JSON lines: {error}") from error


def _column(name: str, table: pd.DataFrame) -> list[str]:
    named = {str(column).strip().lower(): column for column in table.columns}
    if "text" in named:
        chosen: Any = named["text"]
    else:
        lengths = {
            column: sum(len(value) for value in table[column] if isinstance(value, str)) for column in table
        }
        if not any(lengths.values()):
            raise ValueError(
                f"{name} has no column of texts; its columns are {list(map(str, table.columns))}"
            )
        chosen = max(lengths, key=lambda column: lengths[column])
    return [value if isinstance(value, str) else "" for value in table[chosen]]
