"""Documents in blocks are used as the same documents in a table are."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latents.estimators.common.blocks import LocalBlocks
from latents.features.documents import (
    DocumentBlocks,
    TextsOf,
    ToldBy,
    excerpt,
    excerpts,
    joined,
    place_of,
    told_of,
)

COLUMNS = ("text", "label")


def table_of(n=10):
    table = pd.DataFrame(
        {
            "text": pd.Series([f"word {row} " * row for row in range(n)], dtype=object),
            "label": ["sea", "sky"] * (n // 2),
            "name": [f"n{row}" for row in range(n)],
            "held_out": [row % 3 == 0 for row in range(n)],
            "more": 7,
        }
    )
    table.index = pd.Index(range(2, n + 2), name="line")
    table.attrs["file"] = "a.csv"
    return table


def in_blocks(table, cuts=(), n_threads=1):
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(table)}), len(table)]
    parts = [table.iloc[start:stop] for start, stop in pairwise(edges)]
    blocks = LocalBlocks(parts, n_threads)
    told = joined(blocks.each(ToldBy(*COLUMNS)), COLUMNS).table.reset_index(drop=True)
    return DocumentBlocks(blocks.prepared(TextsOf("text")), told, list(map(len, parts)))


@given(
    cuts=st.lists(st.integers(1, 9), max_size=4),
    rows=st.lists(st.integers(0, 9), max_size=15),
    n_threads=st.integers(1, 2),
)
def test_any_parting_tells_the_same(cuts, rows, n_threads):
    table = table_of()
    documents, whole = in_blocks(table, cuts, n_threads), table.reset_index(drop=True)
    assert len(documents) == 10
    assert "label" in documents
    assert "text" not in documents
    assert documents["label"].tolist() == whole["label"].tolist()
    for found in (documents, whole):
        expected = [excerpt(whole["text"][row], 20) for row in rows]
        assert excerpts(found, np.array(rows, dtype=np.intp), 20) == expected
    pd.testing.assert_frame_equal(
        told_of(documents).astype({"held_out": bool}), told_of(whole).drop(columns="more"), check_dtype=False
    )
    marked = documents.assign(held_out=whole["held_out"])
    assert marked["held_out"].tolist() == whole["held_out"].tolist()
    written = documents.written(lambda number, texts: (number, texts))
    assert [number for number, _ in written] == list(range(len(written)))
    assert [text for _, texts in written for text in texts] == whole["text"].tolist()


def test_a_place_is_that_of_the_whole():
    told = joined([ToldBy(*COLUMNS)(part) for part in (table_of()[:4], table_of()[4:])], COLUMNS)
    assert place_of(told.table, 7) == "a.csv, line 9"
    assert told.columns == ["text", "label", "name", "held_out", "more"]


def test_missing_texts_are_counted_and_the_first_is_named():
    table = table_of()
    table.loc[[6, 9], "text"] = None
    parts = [ToldBy(*COLUMNS)(part) for part in (table[:3], table[3:8], table[8:])]
    told = joined(parts, COLUMNS)
    assert (told.n_without_text, told.first_without_text) == (2, 4)
    assert place_of(told.table, told.first_without_text) == "a.csv, line 6"
    assert TextsOf("text")(table, 0)[4] == ""


def test_a_part_without_a_column_that_another_has_is_refused():
    table = table_of()
    parts = [ToldBy(*COLUMNS)(part) for part in (table[:3], table[3:].drop(columns="label"))]
    with pytest.raises(ValueError, match=r"^a\.csv, line 5: label is absent, which other rows have"):
        joined(parts, COLUMNS)
    joined(parts, ("text",))  # one that nobody wants may be missing


def test_a_part_without_rows_has_no_columns_and_no_texts():
    table = table_of()
    parts = [table[:3], pd.DataFrame(), table[3:]]
    told = joined([ToldBy(*COLUMNS)(part) for part in parts], COLUMNS)
    assert told.table["label"].tolist() == table["label"].tolist()
    assert TextsOf("text")(parts[1], 1) == []


def test_documents_that_have_changed_since_they_were_looked_through_are_not_written():
    documents = in_blocks(table_of(), (4,))
    shrunk = DocumentBlocks(LocalBlocks([["a"] * 4, ["a"] * 5]), documents.told, documents.n_rows)
    with pytest.raises(
        ValueError, match=r"^block 1: it has 5 documents, and had 6 when it was looked through"
    ):
        shrunk.written(print)


def test_what_is_no_text_is_refused_by_its_place():
    table = table_of()
    texts = table["text"].tolist()
    texts[3] = [1]
    table["text"] = pd.Series(texts, table.index, dtype=object)
    with pytest.raises(ValueError, match=r"a\.csv, line 5: text is \[1\]; allowed are texts and numbers"):
        ToldBy(*COLUMNS)(table[2:])
