"""The user's own texts: folders and tables, and what is refused in them."""

import gzip
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError

from latents.datasets import DocumentTableDataset, FeatureTableDataset, TextFolderDataset
from tests.tables import write_table


def folder_of(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


class TestFolder:
    def test_subfolders_are_labels(self, tmp_path):
        folder = folder_of(
            tmp_path,
            {
                "sky/b.txt": "Wölfe\r\n",
                "sea/deep/a": "ship",
                "sea/.hidden": "no",
                ".git/x.txt": "no",
                "sea/z.md": "",
            },
        )
        documents = TextFolderDataset(str(folder)).load()
        assert documents.to_dict("list") == {
            "name": ["sea/deep/a", "sea/z.md", "sky/b.txt"],
            "text": ["ship", "", "Wölfe\r\n"],
            "label": ["sea", "sea", "sky"],
        }
        assert TextFolderDataset(str(folder), pattern="*.txt").load()["name"].tolist() == ["sky/b.txt"]

    def test_without_subfolders_there_are_no_labels(self, tmp_path):
        folder = folder_of(tmp_path, {"b.txt": "b", "a.txt": "\ufeffnull"})
        documents = TextFolderDataset(str(folder)).load()
        assert documents.to_dict("list") == {"name": ["a.txt", "b.txt"], "text": ["null", "b"]}

    def test_other_encodings(self, tmp_path):
        folder = folder_of(tmp_path, {"a.txt": "ok", "b.txt": "one\ntwo\nW\xf6lfe".encode("latin-1")})
        with pytest.raises(DatasetError, match=r"b\.txt, line 3: byte b'\\xf6' is no utf-8"):
            TextFolderDataset(str(folder)).load()
        assert TextFolderDataset(str(folder), encoding="latin-1").load()["text"][1].endswith("Wölfe")

    def test_folders_that_divide_say_what_is_held_out(self, tmp_path):
        folder = folder_of(tmp_path, {"train/pos/1.txt": "a", "train/neg/1.txt": "b", "Test/neg/1.txt": "c"})
        assert TextFolderDataset(str(folder)).load().to_dict("list") == {
            "name": ["Test/neg/1.txt", "train/neg/1.txt", "train/pos/1.txt"],
            "text": ["c", "b", "a"],
            "label": ["neg", "neg", "pos"],
            "held_out": [True, False, False],
        }


ROWS = {"text": ["null", 'NA, or\n"nothing"', "", "x" * 200_000], "label": ["nan", "None", "1", "01"]}


def table(tmp_path, name, content, **options):
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return DocumentTableDataset(str(tmp_path / name), **options)


class TestTable:
    @pytest.mark.parametrize(
        "name", ["a.csv", "a.tsv", "a.jsonl", "a.ndjson", "a.csv.gz", "a.jsonl.gz", "a.parquet"]
    )
    def test_texts_stay_what_they_are(self, tmp_path, name):
        rows = pd.DataFrame(ROWS)
        path = tmp_path / name
        write_table(rows, path)
        quoting = {"quoting": True} if name == "a.tsv" else {}
        assert DocumentTableDataset(str(path), **quoting).load().to_dict("list") == ROWS

    def test_in_tsv_quotation_marks_are_characters_and_lines_are_rows(self, tmp_path):
        lines = [f'"{i} begins in quotes' if i % 2 else f'{i} has "some"' for i in range(40)]
        rows = table(tmp_path, "a.tsv", "\n".join(["text", *lines])).load()
        assert rows["text"].tolist() == lines
        assert rows.index.tolist() == list(range(2, 42))
        assert (
            table(tmp_path, "b.csv", "\n".join(["text", *lines]), quoting=False).load()["text"].tolist()
            == lines
        )

    @pytest.mark.parametrize(
        ("content", "texts"),
        [
            ("text\ra\rb\r", ["a", "b"]),
            ("text\r\na\r\nb", ["a", "b"]),
            ("text\r\r\na\r\r\n\r\r\nb\r\r\n", ["a", "b"]),
            ("text\na\rb\nc\n", ["a\rb", "c"]),
            ('text\n"a\r\nb\rc"\nd\re\n', ["a\r\nb\rc", "d\re"]),
        ],
    )
    def test_ends_of_lines(self, tmp_path, content, texts):
        assert table(tmp_path, "a.csv", content).load()["text"].tolist() == texts

    @pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-8"])
    @pytest.mark.parametrize("name", ["a.tsv", "a.jsonl"])
    def test_byte_order_marks_say_the_encoding(self, tmp_path, mark, name):
        content = "\ufefftext\nWölfe\n" if name == "a.tsv" else '\ufeff{"text": "Wölfe"}\n'
        assert table(tmp_path, name, content.encode(mark)).load()["text"].tolist() == ["Wölfe"]
        assert table(tmp_path, name, content.encode(mark), encoding=mark).load()["text"].tolist() == ["Wölfe"]

    def test_the_line_of_a_broken_character_of_utf16(self, tmp_path):
        content = "text\nĊ\n".encode("utf-16") + b"\x00\xdcx\x00"  # half of a pair, after an Ċ: 0x010A
        with pytest.raises(
            DatasetError, match=r"a\.csv, line 3: byte .* is no utf-16 .*\(encoding: latin-1\)"
        ):
            table(tmp_path, "a.csv", content).load()

    def test_nul_characters(self, tmp_path):
        assert table(tmp_path, "a.csv", "text\na\0b\n").load()["text"].tolist() == ["a\0b"]
        with pytest.raises(DatasetError, match=r"line 1: NUL characters in the names .*encoding: utf-16-le"):
            table(tmp_path, "a.csv", "text\na\n".encode("utf-16-le")).load()

    def test_what_pandas_keeps_as_index_is_a_column(self, tmp_path):
        rows = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"], "name": ["one", "two"]})
        rows.set_index(["label", "name"]).to_parquet(tmp_path / "a.parquet")
        found = DocumentTableDataset(str(tmp_path / "a.parquet")).load()
        assert found[list(rows)].to_dict("list") == rows.to_dict("list")

    def test_a_folder_of_parquet_files(self, tmp_path):
        folder = tmp_path / "a.parquet"
        for number, label in ((10, "sea"), (2, "sky"), (1, "sky")):
            part = folder / f"label={label}" / f"part.{number}.parquet"
            part.parent.mkdir(parents=True, exist_ok=True)
            pd.DataFrame({"text": [f"text {number}"]}).to_parquet(part)
        for aside in ("_SUCCESS", "_temporary/0/part.3.parquet", ".part.1.parquet.crc"):
            (folder / aside).parent.mkdir(parents=True, exist_ok=True)
            (folder / aside).write_text("no part")
        rows = DocumentTableDataset(str(folder)).load()
        assert rows[["text", "label"]].to_numpy().tolist() == [
            ["text 10", "sea"],
            ["text 1", "sky"],
            ["text 2", "sky"],
        ]

    def test_folders_that_are_no_table(self, tmp_path):
        (tmp_path / "a.parquet").mkdir()
        dataset = DocumentTableDataset(str(tmp_path / "a.parquet"))
        with pytest.raises(DatasetError, match=r"a\.parquet has no file \*\.parquet"):
            dataset.load()
        (tmp_path / "a.parquet/_temporary").mkdir()
        pd.DataFrame({"text": ["a"]}).to_parquet(tmp_path / "a.parquet/_temporary/part-0.parquet")
        with pytest.raises(DatasetError, match=r"a\.parquet has no file of a finished table"):
            dataset.load()
        pd.DataFrame({"text": ["a"]}).to_parquet(tmp_path / "a.parquet/part-0.parquet")
        pd.DataFrame({"text": ["a"], "x": [1]}).to_parquet(tmp_path / "a.parquet/part-1.parquet")
        with pytest.raises(
            DatasetError, match=r"part-1\.parquet and part-0\.parquet .*only one .* column 'x'"
        ):
            dataset.load()
        (tmp_path / "a.parquet/_delta_log").mkdir()
        with pytest.raises(DatasetError, match=r"a\.parquet is a Delta table"):
            dataset.load()

    def test_two_columns_of_one_name_in_parquet(self, tmp_path):
        pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), tmp_path / "a.parquet")
        with pytest.raises(DatasetError, match=r"a\.parquet has several columns 'text'"):
            DocumentTableDataset(str(tmp_path / "a.parquet")).load()

    def test_separator_encoding_and_empty_lines(self, tmp_path):
        content = "text;label\r\nW\xf6lfe;a\r\n\r\nb;c\r\n".encode("latin-1")
        rows = table(tmp_path, "a.csv", content, separator=";", encoding="latin-1").load()
        assert rows.to_dict("list") == {"text": ["Wölfe", "b"], "label": ["a", "c"]}

    def test_rows_know_their_places(self, tmp_path):
        rows = table(tmp_path, "a.csv", 'text\n"a\nb"\n\nc\n').load()
        assert (rows.attrs["file"], rows.index.name) == (str(tmp_path / "a.csv"), "line")
        assert rows.index.tolist() == [2, 5]
        rows = table(tmp_path, "a.jsonl", '\n{"text": "a"}\n\n{"text": "b"}\n').load()
        assert rows.index.tolist() == [2, 4]
        pd.DataFrame({"text": ["a", "b"]}, index=["x", "y"]).to_parquet(tmp_path / "a.parquet")
        rows = DocumentTableDataset(str(tmp_path / "a.parquet")).load()
        assert (rows.attrs["file"], rows.index.name) == (str(tmp_path / "a.parquet"), "row")
        assert rows.index.tolist() == [0, 1]

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("a.csv", "text,label\na,b\nc\n", "line 3: 1 fields; the first line names 2: 'text', 'label'"),
            ("a.csv", 'text,label\n"a\nb",c\nd,e,f\n', "line 4: 3 fields; the first line names 2"),
            (
                "a.csv",
                'text,label\na,b\n"c,d\n\n',
                "line 3: unexpected end of data in the row that begins here",
            ),
            ("a.csv", 'text,label\n"a"b,c\n', "line 2: .* expected after .* say quoting: false"),
            ("a.csv", "text,text\na,b\n", "line 1: there are several columns 'text'"),
            ("a.tsv", 'text\tlabel\n"a\nb"\tc\n', "line 2: 1 fields; .* say quoting: true"),
            ("a.tsv", '"text"\t"label"\n"a"\t"b"\n', "line 1: all names .* say quoting: true"),  # R's default
            ("a.csv", "", "is empty: a line with the names"),
            ("a.csv", "text,label\n\n", "has no document"),
            ("a.jsonl", "\n\n", "has no document"),
            ("a.jsonl", '{"text": "a"}\n{"text": "b", "text": "c"}', "line 2: there are several keys 'text'"),
            ("a.jsonl", '{"text": "a"}\n' + "[" * 100_000, "line 2: maximum recursion depth"),
            ("a.csv", b"text\nok\n\xe9\n", r"line 3: byte b'\\xe9' is no utf-8"),
            ("a.jsonl", '{"text": "a"}\n\n{"text": \n', "line 3: no JSON: Expecting value at character 10"),
            ("a.jsonl", '{"text": "a"}\n["b"]\n', r"line 2: \[\"b\"\] is no object"),
            ("a.jsonl", '{"text": "a"}\n{"text": "\\ud800"}\n', "line 2: .* in 'text' is half a character"),
            ("a.jsonl", b'{"text": "\xe9"}\n', r"line 1: byte b'\\xe9' is no utf-8"),
        ],
    )
    def test_refuses_with_file_line_and_reason(self, tmp_path, name, content, said):
        with pytest.raises(DatasetError, match=rf"{name}.*{said}"):
            table(tmp_path, name, content).load()

    @pytest.mark.parametrize("dataset", [DocumentTableDataset, FeatureTableDataset, TextFolderDataset])
    @pytest.mark.parametrize("encoding", ["utf-9", "base64", 1252, None, ""])
    def test_refuses_encodings_that_are_none(self, dataset, encoding):
        with pytest.raises(DatasetError, match=r"encoding is .*; allowed are those that Python knows"):
            dataset("a.csv", encoding=encoding)

    def test_columns_that_some_objects_lack(self, tmp_path):
        rows = table(
            tmp_path, "a.jsonl", json.dumps({"text": "a"}) + "\n" + json.dumps({"label": "b"})
        ).load()
        assert rows.astype(str).to_numpy().tolist() == [["a", "absent"], ["absent", "b"]]
