"""Files of texts, as people have them."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latents.app.files import texts_of
from tests.tables import write_table

TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1), min_size=1
)


@pytest.mark.parametrize("name", ["a.txt", "readme", "a.TXT", "a.md", "table.csv/a"])
@pytest.mark.parametrize("text", ["", "One text,\nof two lines.", "äöü 😀"])
def test_a_file_of_another_kind_is_one_text(name, text):
    assert texts_of(name, text.encode()) == [text]
    assert texts_of(name, text.encode("utf-8-sig")) == [text]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.CSV"])
@given(texts=TEXTS)
def test_texts_come_back_from_a_table_as_pandas_writes_it(name, texts):
    table = pd.DataFrame({"id": range(len(texts)), "text": texts})
    content = table.to_csv(index=False, sep="\t" if name == "a.tsv" else ",")
    assert texts_of(name, content.encode()) == texts
    assert texts_of(name, content.encode("utf-8-sig")) == texts


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_texts_come_back_from_a_list_of_json(texts):
    assert texts_of("a.json", json.dumps(texts).encode()) == texts
    assert texts_of("a.json", json.dumps(texts, ensure_ascii=False).encode("utf-8-sig")) == texts


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_texts_come_back_from_json_lines(texts):
    lines = "\n".join(json.dumps({"id": number, "text": text}) for number, text in enumerate(texts))
    assert texts_of("a.jsonl", lines.encode()) == texts
    assert texts_of("a.ndjson", lines.encode()) == texts


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "ndjson"])
def test_the_column_is_that_called_text_or_else_that_of_the_longest_texts(tmp_path, ending):
    table = pd.DataFrame(
        {"name": ["first", "second"], "body": ["a long one", "another"], " Text ": ["x", "y"]}
    )
    file = tmp_path / f"a.{ending}"
    for columns, expected in (
        (["name", "body", " Text "], ["x", "y"]),
        (["name", "body"], ["a long one", "another"]),
        (["name"], ["first", "second"]),
    ):
        write_table(table[columns], file)
        assert texts_of(file.name, file.read_bytes()) == expected


def test_what_looks_like_a_number_or_a_missing_one_in_a_table_is_a_text():
    content = b'text,n\n007,1\nNA,2\nnull,3\n1e5,4\nTrue,5\n"",6\n'
    assert texts_of("a.csv", content) == ["007", "NA", "null", "1e5", "True", ""]


def test_a_row_that_ends_early_and_a_line_without_a_text_have_an_empty_one():
    assert texts_of("a.csv", b"id,text\n1\n2,y\n") == ["", "y"]
    assert texts_of("a.jsonl", b'{"text":"a"}\n{"text":null}\n\n{"id":1}\n') == ["a", "", ""]


def test_a_table_of_a_head_alone_has_no_texts():
    assert texts_of("a.csv", b"text\n") == []
    assert texts_of("a.json", b"[]") == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "Bär".encode("latin-1"), r"^a\.txt is no text in UTF-8: byte 2 is none of it$"),
        ("a.csv", "text\na\n".encode("utf-16"), r"a\.csv is no text in UTF-8: byte 1 is none"),
        ("a.pdf", b"%PDF\0", r"^a\.pdf is no text; this page reads \.txt, \.csv, \.tsv and \.jsonl$"),
        ("a.csv", b"", r"^a\.csv is no table: No columns"),
        ("a.csv", b"id,text\n1,a\n2,b,c\n", r"a\.csv is no table: .* Expected 2 fields in line 3, saw 3$"),
        ("a.csv", b'text\n"a\n', r"a\.csv is no table: .* EOF inside string"),
        ("a.csv", b"a,b\n,\n", r"^a\.csv has no column of texts; its columns are \['a', 'b'\]$"),
        ("a.jsonl", b"", r"^a\.jsonl has no column of texts; its columns are \[\]$"),
        ("a.jsonl", b'{"n":null}\n{"n":[]}\n', r"a\.jsonl has no column of texts; its columns are \['n'\]"),
        ("a.jsonl", b'{"text":"a"}\n3\n', r"^a\.jsonl is not JSON lines: line 2 is no object$"),
        ("a.jsonl", b'{"text":\n', r"^a\.jsonl is not JSON lines: "),
        ("a.jsonl", b"[" * 100_000, r"^a\.jsonl is not JSON lines: "),
        ("a.json", b"{", r"^a\.json is no JSON$"),
        ("a.json", b"[" * 100_000, r"^a\.json is no JSON$"),
        ("a.json", b'{"text":"a"}', r"^a\.json is no list of texts$"),
        ("a.json", b'["a",1]', r"^a\.json is no list of texts$"),
    ],
)
def test_what_cannot_be_read_says_why(name, content, said):
    with pytest.raises(ValueError, match=said) as raised:
        texts_of(name, content)
    assert "\n" not in str(raised.value)
