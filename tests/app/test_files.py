"""Files of texts, as people have them."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latents.app.files import sound, texts_of
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
        (
            "a.txt",
            "Bär".encode("latin-1"),
            r"^a\.txt cannot be read: it is no text in UTF-8 \(byte 2 is none\)\. A PDF",
        ),
        (
            "a.csv",
            "text\na\n".encode("utf-16"),
            r"a\.csv cannot be read: it is no text in UTF-8 .byte 1 is none",
        ),
        ("a.pdf", b"%PDF\0", r"^a\.pdf is no text; this page reads \.txt, \.csv, \.tsv and \.jsonl$"),
        ("a.csv", b"", r"^a\.csv cannot be read as a table: No columns"),
        (
            "a.csv",
            b"id,text\n1,a\n2,b,c\n",
            r"a\.csv cannot be read as a table: Expected 2 fields in line 3, saw 3$",
        ),
        ("a.csv", b'text\n"a\n', r"a\.csv cannot be read as a table: EOF inside string"),
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


@pytest.mark.filterwarnings("ignore:Length of header or names")
def test_rows_that_are_longer_than_the_first_keep_their_columns():
    assert texts_of("a.csv", b"id,text\n1,a,x\n2,b,y\n") == ["a", "b"]
    assert texts_of("a.csv", b"id,text\n1,a,x\n2,b\n") == ["a", "b"]
    assert texts_of("a.tsv", b"id\ttext\n1\ta\t\n2\tb\t\n") == ["a", "b"]
    assert texts_of("a.csv", b"id,body\n1,first,a longer one\n") == ["first"]


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [(["text", "Text"], 0), (["Text", "text"], 1), (["TEXT", "Text"], 0), ([" text", "Text", "text"], 2)],
)
def test_of_columns_that_differ_in_case_that_called_text_is_taken_or_the_first(columns, chosen):
    rows = [[f"{row} of {column}" for column in range(len(columns))] for row in range(2)]
    expected = [row[chosen] for row in rows]
    table = pd.DataFrame(rows, columns=columns)
    assert texts_of("a.csv", table.to_csv(index=False).encode()) == expected
    lines = "\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in rows)
    assert texts_of("a.jsonl", lines.encode()) == expected


@pytest.mark.parametrize("ending", ["jsonl", "ndjson"])
def test_json_lines_may_begin_with_a_mark_of_byte_order_and_end_as_windows_ends_them(ending):
    content = '{"text":"ä"}\r\n{"text":"b"}\r\n'.encode("utf-8-sig")
    assert texts_of(f"a.{ending}", content) == ["ä", "b"]


def test_numbers_and_truth_values_of_json_lines_become_texts():
    values = [
        "7",
        "-1.5",
        "1e5",
        "true",
        "false",
        "null",
        "[1]",
        '{"a":"b"}',
        "123456789012345678901234567890",
    ]
    expected = ["7", "-1.5", "100000.0", "true", "false", "", "", "", "123456789012345678901234567890"]
    lines = "\n".join(f'{{"text":{value}}}' for value in values)
    assert texts_of("a.jsonl", lines.encode()) == expected
    assert texts_of("a.jsonl", b'{"n":123456789012345678901234567890}\n{"n":2}') == [
        "123456789012345678901234567890",
        "2",
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@given(texts=TEXTS)
def test_tables_parted_by_semicolons_or_tabs_are_read(separator, texts):
    table = pd.DataFrame({"id": range(len(texts)), "text": texts, "n": 0})
    assert texts_of("a.csv", table.to_csv(index=False, sep=separator).encode()) == texts


def test_commas_in_a_table_parted_by_semicolons_and_the_reverse_are_of_the_text():
    assert texts_of("a.csv", b"id;text\n1;a, b, c\n2;d\n") == ["a, b, c", "d"]
    assert texts_of("a.csv", b"id,text\n1,a; b; c\n2,d\n") == ["a; b; c", "d"]
    assert texts_of("a.csv", b"text\na; b\n") == ["a; b"]


# Halves of characters


def test_halves_of_characters_in_json_are_replaced():
    assert texts_of("a.json", rb'["\ud800", "a\udc00b", "\ud83d\ude00"]') == ["\ufffd", "a\ufffdb", "😀"]
    assert texts_of("a.jsonl", rb'{"text":"\ud800"}' + b"\n" + rb'{"text":"\ud83d\ude00 \udfff"}') == [
        "\ufffd",
        "😀 \ufffd",
    ]


def test_half_a_character_is_replaced_and_two_halves_are_one():
    assert sound("\ud800") == sound("\udc00") == "\ufffd"
    assert sound("a\ud800b\udfff") == "a\ufffdb\ufffd"
    assert sound("\ud800\ud800") == sound("\udc00\ud800") == "\ufffd\ufffd"
    assert sound("\ud83d\ude00") == "😀"
    assert sound("\ufeff\ud800") == "\ufeff\ufffd"


@given(st.text(st.characters(exclude_categories=[])))
def test_a_sound_text_has_an_encoding_and_what_has_one_stays(text):
    found = sound(text)
    assert found.encode().decode() == found
    assert sound(found) == found
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert found == text
