"""Corpora in parts are, one part after the other, what the dataset of the whole loads."""

import gzip
import json
import pickle
import tracemalloc
from collections import Counter

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError

from latents.datasets import CorpusDataset, DocumentTableDataset, TextFolderDataset
from latents.datasets.corpora import CorpusParts
from latents.datasets.cutting import cuts_of


def parts_of(path, size=64, **options) -> CorpusParts:
    return pickle.loads(pickle.dumps(CorpusDataset(str(path), part_size=size, **options).parts()))


def assert_whole(path, least=2, size=64, **options):
    """The parts are those of the whole, one after the other, places included."""
    whole = DocumentTableDataset(str(path), **options).load()
    parts = list(parts_of(path, size, **options))
    assert len(parts) >= least
    assert all(part.attrs == whole.attrs for part in parts)
    pd.testing.assert_frame_equal(pd.concat(parts), whole, check_index_type=False)
    return parts


def outcome(load):
    """What a dataset loads, or what it says."""
    try:
        table = load()
    except DatasetError as error:
        return str(error)
    return table.index.tolist(), table.to_dict("list")


CELL = st.text(st.sampled_from("ab\",;\n\r' é\u2028\ufeff"), max_size=6)
SEPARATORS = st.sampled_from([",", ";", "\t", "¦", "]", "^", "\\", "-"])


@settings(max_examples=150, deadline=None)
@given(
    text=st.lists(CELL, max_size=12).map("".join),
    rows=st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=8),
    separator=SEPARATORS,
    line_break=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.booleans(),
    size=st.integers(1, 40),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
)
@example('a,"b\nc",d"e\r\n"', [], ",", "\n", True, 1, "utf-8")
@example("x\n1\n\ufeff2\n3\r4", [], ",", "\n", True, 1, "utf-8")
@example("x\r1\r2", [], ",", "\r", False, 1, "utf-8")
@example("x\r1\r2\n", [], ",", "\r", False, 1, "utf-8")
def test_any_table_of_fields_is_parted_at_rows(
    tmp_path_factory, text, rows, separator, line_break, quoting, size, encoding
):
    """Well-formed rows and any text after them: the same rows and places, or the same complaint."""
    fields = [["a\n", "b"] if quoting else ["a", "b"], *rows]
    if quoting:
        fields = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in fields]
    content = line_break.join(separator.join(row) for row in fields) + line_break + text
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content.encode(encoding, "replace"))
    options = {"separator": separator, "quoting": quoting, "encoding": encoding.removesuffix("-sig")}
    whole = outcome(DocumentTableDataset(str(path), **options).load)
    found = outcome(lambda: pd.concat(list(CorpusDataset(str(path), part_size=size, **options).parts())))
    if isinstance(found, tuple) and not found[0]:  # no row in several parts: who sums them up finds it out
        assert whole == f"{path} has no document"
    else:
        assert found == whole


KINDS = ["texts", "rows.csv", "rows.jsonl", "rows.parquet", "parts.parquet"]


class TestStore:
    """What lies in a store is parted as what lies here is."""

    @pytest.fixture(autouse=True)
    def store(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LATENTS_SCRATCH", str(tmp_path / "scratch"))
        store = fsspec.filesystem("memory")
        store.store.clear()
        rows = pd.DataFrame({"text": [f"waves {n} " * 20 for n in range(40)], "label": "sea"})
        (tmp_path / "texts/sea").mkdir(parents=True)
        for n, text in enumerate(rows["text"]):
            (tmp_path / f"texts/sea/{n}.txt").write_text(text)
        rows.to_csv(tmp_path / "rows.csv", index=False)
        rows.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
        rows.to_parquet(tmp_path / "rows.parquet", row_group_size=10)
        (tmp_path / "parts.parquet").mkdir()
        for n in range(2):
            rows[n * 20 : n * 20 + 20].to_parquet(tmp_path / f"parts.parquet/{n}.parquet", index=False)
        for path in tmp_path.rglob("*"):
            if path.is_file():
                store.pipe_file(f"/b/{path.relative_to(tmp_path).as_posix()}", path.read_bytes())
        return store

    @pytest.mark.parametrize("name", KINDS)
    def test_any_kind(self, tmp_path, name):
        here, there = (list(parts_of(f"{root}/{name}", 4096)) for root in (tmp_path, "memory://b"))
        assert len(there) == len(here) > 1
        for one, other in zip(here, there, strict=True):
            pd.testing.assert_frame_equal(one, other)
        if name != "texts":
            assert {part.attrs["file"] for part in there} == {f"memory://b/{name}"}

    @pytest.mark.parametrize("name", KINDS)
    def test_who_does_not_see_it_says_so(self, store, name):
        parts = parts_of(f"memory://b/{name}", 4096)
        parts.place._files = None  # as another finds it
        store.rm(f"/b/{name}", recursive=True)
        with pytest.raises(FileNotFoundError, match=f"there is no memory://b/{name}"):
            parts[0]

    def test_texts_take_a_listing_and_a_download_each(self, store, monkeypatch):
        asked = Counter()

        def count(name):
            real = getattr(type(store), name)

            def counted(self, *words, **options):
                asked[name] += 1
                return real(self, *words, **options)

            monkeypatch.setattr(type(store), name, counted)

        for name in ("info", "find", "cat_file", "get_file"):
            count(name)
        assert len(TextFolderDataset("memory://b/texts").load()) == 40
        # Of each file this store is asked once more, by its own download.
        assert asked == {"find": 1, "cat_file": 1, "get_file": 40, "info": 41}


class TestLines:
    @pytest.mark.parametrize(
        ("options", "least"),
        [({}, 5), ({"encoding": "cp1252"}, 5), ({"encoding": "utf-16"}, 1), ({"encoding": "shift_jis"}, 1)],
    )
    def test_records_of_several_lines(self, tmp_path, options, least):
        rows = pd.DataFrame({"text": [f'say "{n}",\nor\r\nnot' * (n % 3) for n in range(60)], "label": "sea"})
        rows.to_csv(tmp_path / "a.csv", index=False, encoding=options.get("encoding"))
        assert_whole(tmp_path / "a.csv", least, **options)

    def test_tabs_and_lines(self, tmp_path):
        lines = ["text\tlabel", *(f'an "inch {n}"\tsky' for n in range(30)), "", '5"\tsea']
        (tmp_path / "a.tsv").write_text("\n".join(lines))
        parts = assert_whole(tmp_path / "a.tsv", 5)
        assert parts[-1].index[-1] == 33

    def test_objects(self, tmp_path):
        rows = [{"text": f"Wölfe {n}\u2028", "n": n} for n in range(40)]
        (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
        parts = assert_whole(tmp_path / "a.jsonl", 8)
        assert parts[1].index.name == "line"
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
        assert_whole(tmp_path / "a.jsonl.gz", 1)

    def test_a_part_has_the_columns_that_are_wanted_and_there(self, tmp_path):
        rows = [{"text": "x" * 50}, {"text": "y" * 50, "label": "sea", "more": 1}]
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
        parts = list(parts_of(tmp_path / "a.jsonl", columns=["label", "text"]))
        assert [list(part) for part in parts] == [["text"], ["text", "label"]]
        assert [list(part) for part in parts_of(tmp_path / "a.jsonl")] == [
            ["text"],
            ["text", "label", "more"],
        ]

    @pytest.mark.parametrize(
        ("name", "line", "said"),
        [
            ("a.csv", "a,b,c", r"a\.csv, line 22: 3 fields; the first line names 2"),
            ("a.csv", '"a', r"a\.csv, line 22: unexpected end of data in the row that begins here"),
            ("a.jsonl", "{", r"a\.jsonl, line 22: no JSON"),
            ("a.jsonl", b"\xff", r"a\.jsonl, line 22: byte b'\\xff' is no utf-8"),
        ],
    )
    def test_errors_name_the_line(self, tmp_path, name, line, said):
        head = "text,label" if name == "a.csv" else '{"text": ""}'
        row = "some words,sea" if name == "a.csv" else '{"text": "some words"}'
        line = line if isinstance(line, bytes) else line.encode()
        (tmp_path / name).write_bytes("\n".join([head, *[row] * 20, ""]).encode() + line + b"\n")
        parts = parts_of(tmp_path / name)
        assert len(parts) > 3
        assert len(parts[0])
        for load in (DocumentTableDataset(str(tmp_path / name)).load, lambda: list(parts)):
            with pytest.raises(DatasetError, match=said):
                load()

    def test_a_file_that_changes_is_refused(self, tmp_path):
        (tmp_path / "a.jsonl").write_text('{"text": "some words"}\n' * 20)
        parts = parts_of(tmp_path / "a.jsonl")
        with (tmp_path / "a.jsonl").open("a") as file:
            file.write('{"text": "more"}\n')
        with pytest.raises(DatasetError, match=r"a\.jsonl has 477 bytes, and had 460 when it was parted"):
            parts[0]

    def test_memory_holds_a_part(self, tmp_path):
        row = '{"text": "' + "some words " * 20 + '"}\n'
        (tmp_path / "a.jsonl").write_text(row * 20_000)
        tracemalloc.start()
        try:
            parts = parts_of(tmp_path / "a.jsonl", "64 KiB")
            n_rows = sum(map(len, parts))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert n_rows == 20_000
        assert peak < 1.5 * 2**20 < (tmp_path / "a.jsonl").stat().st_size / 2

    def test_a_row_longer_than_a_part_is_one(self, tmp_path):
        (tmp_path / "a.csv").write_text('a,b\n"' + "x\n" * 500 + '",1\n' + "2,3\n" * 500)
        first, long, then, *_ = cuts_of(tmp_path / "a.csv", 8, separator=",")
        assert (first.first_line, long.first_line, long.start) == (1, 2, 4)
        assert 1005 < long.stop < 2048
        assert then.stop - then.start == 8
        assert_whole(tmp_path / "a.csv", 10, size=8)


class TestParquet:
    def test_row_groups_are_parts(self, tmp_path):
        table = pa.table({"text": [f"text {n}" for n in range(100)], "n": range(100), "label": ["sea"] * 100})
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=9)
        parts = assert_whole(tmp_path / "a.parquet", 12, size=1)
        assert parts[1].index.tolist() == list(range(9, 18))
        assert 1 < len(parts_of(tmp_path / "a.parquet", "1 KiB")) < 12
        assert list(parts_of(tmp_path / "a.parquet", 1, columns=["label", "text"])[3]) == ["text", "label"]

    def test_folders_of_parts(self, tmp_path):
        folder = tmp_path / "a.parquet"
        for n in (2, 10, 1):
            rows = pd.DataFrame({"text": [f"{n}, {row}" for row in range(n)]}, index=range(5, 5 + n))
            (folder / "label=sea").mkdir(parents=True, exist_ok=True)
            rows.to_parquet(folder / "label=sea" / f"part.{n}.parquet", row_group_size=4)
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), folder / "label=sea" / "part.0.parquet")
        parts = assert_whole(folder, 5, size=1)
        assert list(parts[0]) == ["text", "label"]

    def test_what_is_wrong_is_said_at_once(self, tmp_path):
        folder = tmp_path / "a.parquet"
        folder.mkdir()
        pq.write_table(pa.table({"text": ["a"]}), folder / "part-1.parquet")
        pq.write_table(pa.table({"body": ["b"]}), folder / "part-2.parquet")
        with pytest.raises(DatasetError, match=r"part-2\.parquet and part-1\.parquet are parts of one table"):
            parts_of(folder)
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "b.parquet")
        with pytest.raises(DatasetError, match=r"b\.parquet has no document"):
            parts_of(tmp_path / "b.parquet")

    def test_a_part_unpacks_to_no_more_than_it_may(self, tmp_path):
        pq.write_table(pa.table({"text": ["x" * 10_000] * 100}), tmp_path / "a.parquet", row_group_size=50)
        with pytest.raises(DatasetError, match=r"a\.parquet has .* and unpacks to more than 1 KiB"):
            parts_of(tmp_path / "a.parquet", 1, max_unpacked="1 KiB")[1]


class TestFolder:
    def test_files_come_in_batches(self, tmp_path):
        for n in range(25):
            folder = tmp_path / ("train", "test")[n % 2] / ("sea", "sky")[n % 3 % 2]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{n}.txt").write_text(f"text {n} " * 1000)
        whole = TextFolderDataset(str(tmp_path)).load()
        parts = list(parts_of(tmp_path, "20 KiB"))
        assert len(parts) == 9
        pd.testing.assert_frame_equal(pd.concat(parts), whole)
        assert list(parts_of(tmp_path, columns=["text"])[0]) == ["text"]
        assert len(parts_of(tmp_path, pattern="1*.txt")) == 11

    def test_errors_name_the_file(self, tmp_path):
        (tmp_path / "a.txt").write_bytes(b"one\ntwo\nW\xf6lfe")
        with pytest.raises(DatasetError, match=r"a\.txt, line 3: byte b'\\xf6' is no utf-8"):
            list(parts_of(tmp_path))


class TestDataset:
    @pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.parquet/", "folder/"])
    def test_who_cannot_see_the_files_is_told_which(self, tmp_path, name):
        path = tmp_path / name
        if name.endswith("/"):
            path.mkdir()
            path = path / "part-0.parquet"
        if path.suffix == ".parquet":
            pq.write_table(pa.table({"text": ["a", "b"]}), path)
        else:
            path.write_text('{"text": 1}\n' * 9)
        parts = parts_of(tmp_path / name, 1)
        (tmp_path / name).rename(tmp_path / "away")
        with pytest.raises(FileNotFoundError, match=name.rstrip("/")):
            parts[0]

    @pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
    def test_nothing_there(self, tmp_path, name):
        with pytest.raises(DatasetError, match=f"there is no file .*{name}"):
            parts_of(tmp_path / name)

    @pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
    def test_no_document(self, tmp_path, name):
        (tmp_path / name).write_text("a,b\n" if name == "a.csv" else "\n")
        with pytest.raises(DatasetError, match=f"{name} has no document"):
            parts_of(tmp_path / name)[0]

    @pytest.mark.parametrize(("columns", "size"), [("text", 1), (None, "much"), (None, None), (None, 0)])
    def test_parameters_that_are_none(self, columns, size):
        with pytest.raises(DatasetError, match=r"^(columns|part_size) is .*; allowed|^part_size is None"):
            CorpusDataset("a.csv", columns=columns, part_size=size)

    def test_numbers_count_from_either_end(self, tmp_path):
        (tmp_path / "a.csv").write_text("text\n" + "word\n" * 100)
        parts = parts_of(tmp_path / "a.csv")
        assert parts[-1].index[-1] == 101
        with pytest.raises(IndexError):
            parts[len(parts)]
