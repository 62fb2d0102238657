"""The user's own texts: folders and tables, and what is refused in them."""

import gzip
import json

import pandas as pd
import pytest
from kedro.io import DatasetError

from latents.datasets import DocumentTableDataset, TextFolderDataset


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

    def test_links_are_followed(self, tmp_path):
        folder = folder_of(tmp_path, {"root/sea/1.txt": "ship", "elsewhere/2.txt": "plane"})
        (folder / "root/sky").symlink_to(folder / "elsewhere")
        assert TextFolderDataset(str(folder / "root")).load().to_dict("list") == {
            "name": ["sea/1.txt", "sky/2.txt"],
            "text": ["ship", "plane"],
            "label": ["sea", "sky"],
        }

    def test_folders_that_divide_say_what_is_held_out(self, tmp_path):
        folder = folder_of(tmp_path, {"train/pos/1.txt": "a", "train/neg/1.txt": "b", "Test/neg/1.txt": "c"})
        assert TextFolderDataset(str(folder)).load().to_dict("list") == {
            "name": ["Test/neg/1.txt", "train/neg/1.txt", "train/pos/1.txt"],
            "text": ["c", "b", "a"],
            "label": ["neg", "neg", "pos"],
            "held_out": [True, False, False],
        }

    def test_a_file_without_label_beside_those_with(self, tmp_path):
        folder = folder_of(tmp_path, {"sea/a.txt": "ship", "README": "about"})
        with pytest.raises(DatasetError, match="README lies beside the subfolders, which are the labels"):
            TextFolderDataset(str(folder)).load()

    def test_nothing_there(self, tmp_path):
        with pytest.raises(DatasetError, match=r"there is no folder .*nowhere"):
            TextFolderDataset(str(tmp_path / "nowhere")).load()
        with pytest.raises(DatasetError, match=r"has no file \*\.txt"):
            TextFolderDataset(str(tmp_path), pattern="*.txt").load()


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
        if ".csv" in name or ".tsv" in name:
            rows.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
        elif "parquet" in name:
            rows.to_parquet(path)
        else:
            rows.to_json(path, orient="records", lines=True)
        assert DocumentTableDataset(str(path)).load().to_dict("list") == ROWS

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
            (
                "a.csv",
                "text,label\na,b\nc\n",
                r"line 3: 1 fields; the first line names 2: \['text', 'label'\]",
            ),
            ("a.csv", 'text,label\n"a\nb",c\nd,e,f\n', "line 4: 3 fields; the first line names 2"),
            (
                "a.csv",
                'text,label\na,b\n"c,d\n\n',
                "line 3: unexpected end of data in the row that begins here",
            ),
            ("a.csv", 'text,label\n"a"b,c\n', "line 2: .* expected after"),
            ("a.csv", "text,text\na,b\n", "line 1: there are several columns 'text'"),
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
            ("a.parquet", b"PAR1 and then something else", "is no whole Parquet file"),
        ],
    )
    def test_refuses_with_file_line_and_reason(self, tmp_path, name, content, said):
        with pytest.raises(DatasetError, match=rf"{name}.*{said}"):
            table(tmp_path, name, content).load()

    @pytest.mark.parametrize("name", ["a.xlsx", "a", "a.parquet.gz", "a.csv.zip"])
    def test_refuses_other_endings(self, tmp_path, name):
        with pytest.raises(DatasetError, match=r"allowed are names ending in \.csv, \.tsv"):
            DocumentTableDataset(str(tmp_path / name))

    @pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
    def test_nothing_there(self, tmp_path, name):
        with pytest.raises(DatasetError, match=rf"there is no file .*{name}"):
            DocumentTableDataset(str(tmp_path / name)).load()

    def test_columns_that_some_objects_lack(self, tmp_path):
        rows = table(
            tmp_path, "a.jsonl", json.dumps({"text": "a"}) + "\n" + json.dumps({"label": "b"})
        ).load()
        assert rows.astype(str).to_numpy().tolist() == [["a", "absent"], ["absent", "b"]]
