"""Files that a page is given, into texts."""

import json
from io import StringIO
from typing import Any

import pandas as pd

_TABLES = {".csv": ",;\t", ".tsv": "\t"}
_NONE = "\x1f"  # parts no columns
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
        raise ValueError(
            f"{name} cannot be read: it is no text in UTF-8 (byte {error.start + 1} is none). A PDF or a Word "
            "file has to be saved as text first."
        ) from error
    if ending == ".json":
        return _listed(name, text)
    if ending in _TABLES:
        return _column(name, _table(name, text, _TABLES[ending]))
    if ending in _LINES:
        return _column(name, _lines(name, text))
    if "\0" in text:
        raise ValueError(f"{name} is no text; this page reads .txt, .csv, .tsv and .jsonl")
    return [text]


def sound(text: str) -> str:
    """Return a text without halves of characters, which browsers and JSON allow and no encoding has."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")


def _listed(name: str, text: str) -> list[str]:
    try:
        texts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON") from error
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise ValueError(f"{name} is no list of texts")
    return [sound(one) for one in texts]


def _table(name: str, text: str, separators: str) -> pd.DataFrame:
    first = text.partition("\n")[0]
    # Where the head has one name, commas are of the texts.
    separator = max(separators, key=first.count) if any(one in first for one in separators) else _NONE
    try:
        # Without an index, of rows that are longer than the first the rest is left out.
        return pd.read_csv(StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{name} cannot be read as a table: {_first_sentence(error)}") from error


def _lines(name: str, text: str) -> pd.DataFrame:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name} is not JSON lines: line {number} is no JSON") from error
        if not isinstance(row, dict):
            raise ValueError(f"{name} is not JSON lines: line {number} is no object")
        rows.append({sound(key): _as_text(value) for key, value in row.items()})
    return pd.DataFrame(rows, dtype=object)


def _as_text(value: Any) -> str:
    """Return a value of JSON as a text; what is nested says nothing."""
    if isinstance(value, str):
        return sound(value)
    return "" if value is None or isinstance(value, dict | list) else json.dumps(value)


def _column(name: str, table: pd.DataFrame) -> list[str]:
    if "text" in table.columns:
        chosen: Any = "text"
    else:
        lengths = {column: table[column].fillna("").str.len().sum() for column in table.columns}
        if not any(lengths.values()):
            raise ValueError(
                f"{name} has no column of texts; its columns are {list(map(str, table.columns))}"
            )
        named = {str(column).strip().lower(): column for column in reversed(table.columns)}
        chosen = named.get("text", max(lengths, key=lambda column: lengths[column]))
    texts: list[str] = table[chosen].fillna("").tolist()
    return texts
