"""What packed files unpack to is bounded; sizes are held against the file before anything is made from them."""

import gzip
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError

from latents import datasets
from latents.datasets import files
from latents.datasets.unpacking import ALWAYS, TIMES, bytes_of, read_npz
from tests.datasets.test_own_arrays import npy

BOMB = 80 * 2**20
IDX = b"\0\0\x08\3" + np.array([BOMB // 784, 28, 28], ">u4").tobytes()


def bomb(path, begin=b"", n_bytes=BOMB):
    with gzip.open(path, "wb") as file:
        file.write(begin)
        for _ in range(n_bytes // 2**20):
            file.write(b"0" * 2**20)


def refused(load, said=None):
    """Return the message of what is refused, and how much memory that has taken."""
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match=said) as error:
            load()
        return str(error.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "begin", "entry"),
    [
        ("a.csv.gz", b"text\n", {"type": "DocumentTableDataset"}),
        ("a.jsonl.gz", b'{"text": "', {"type": "DocumentTableDataset"}),
        ("a.csv.gz", b"x,y\n", {"type": "FeatureTableDataset"}),
        ("a.idx.gz", IDX, {"type": "IdxDataset"}),
        ("a.svm.gz", b"1 1:", {"type": "BagOfWordsDataset", "format": "svmlight"}),
    ],
)
def test_a_small_file_does_not_become_a_large_one(tmp_path, name, begin, entry):
    bomb(tmp_path / name, begin)
    kind = getattr(datasets, entry["type"])
    options = {key: value for key, value in entry.items() if key != "type"}
    said, peak = refused(kind(filepath=str(tmp_path / name), **options).load)
    assert f"{tmp_path / name} has " in said
    assert "unpacks to more than 32 MiB" in said
    assert "say `max_unpacked: 64 MiB` or more" in said
    assert peak < 8 * ALWAYS
    said, peak = refused(kind(filepath=str(tmp_path / name), max_unpacked="3 MiB", **options).load)
    assert "unpacks to more than 3 MiB" in said
    assert peak < 2 * ALWAYS


@pytest.mark.parametrize("n_files", [1, 100])  # a folder of them has one bound
@pytest.mark.parametrize("kind", ["DocumentTableDataset", "FeatureTableDataset"])
def test_a_value_that_parquet_repeats(tmp_path, kind, n_files):
    n_rows = 100_000
    texts = pa.DictionaryArray.from_arrays(np.zeros(n_rows // n_files, np.int32), ["ab " * 200])
    whole = tmp_path / "a.parquet"
    whole.mkdir()
    for part in range(n_files):
        table = pa.table({"text": texts, "x": np.zeros(len(texts))})
        pq.write_table(table, whole / f"part-{part}.parquet", store_schema=False)
    path = str(whole if n_files > 1 else whole / "part-0.parquet")
    with pytest.raises(DatasetError, match=r"unpacks to more than 32 MiB.* `max_unpacked: 64 MiB` or more"):
        getattr(datasets, kind)(path).load()
    table = datasets.DocumentTableDataset(path, max_unpacked="1 GiB").load()
    assert table["text"].str.len().tolist() == [600] * n_rows


def test_one_of_many_texts(tmp_path):
    bomb(tmp_path / "a.txt.gz")
    said, _ = refused(datasets.TextFolderDataset(str(tmp_path)).load)
    assert "a.txt.gz has " in said
    assert "`max_unpacked:" in said


def test_the_parameter_raises_the_bound(tmp_path):
    images = np.zeros((BOMB // 784, 28, 28), np.uint8)
    with gzip.open(tmp_path / "a.idx.gz", "wb", compresslevel=1) as file:
        file.write(IDX + images.tobytes())
    read = datasets.IdxDataset(str(tmp_path / "a.idx.gz"), max_unpacked="1 GiB").load()["images"]
    assert read.shape == images.shape


def test_larger_files_may_become_larger(tmp_path):
    n_random, n_zeros = 2 * 2**20, BOMB - 2 * 2**20
    assert n_random * TIMES > BOMB
    with gzip.open(tmp_path / "a.txt.gz", "wb", compresslevel=1) as file:
        file.write(np.random.default_rng(0).integers(1, 127, n_random, dtype=np.uint8).tobytes())
        file.write(bytes(n_zeros))
    with files.opened(tmp_path / "a.txt.gz") as content:
        assert sum(map(len, iter(lambda: content.read(2**20), b""))) == BOMB


@pytest.mark.parametrize(
    ("size", "n_bytes"),
    [
        (None, None),
        (10**12, 10**12),
        ("4 GiB", 4 * 2**30),
        ("4GB", 4 * 2**30),
        ("1.5 mib", 3 * 2**19),
        ("100 B", 100),
        ("2 KiB", 2048),
        ("1 TiB", 2**40),
    ],
)
def test_sizes(size, n_bytes):
    assert bytes_of(size) == n_bytes


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "many", "4", "-4 GiB", "0 B", "4 PiB", ["4 GiB"], ""])
def test_what_is_no_size(tmp_path, size):
    with pytest.raises(DatasetError, match=r"max_unpacked is .*; allowed are bytes, or a size such as"):
        datasets.IdxDataset(str(tmp_path / "a"), max_unpacked=size)


class TestNpz:
    def write(self, path, members):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path

    def test_what_unpacks_to_too_much(self, tmp_path):
        np.savez_compressed(tmp_path / "a.npz", a=np.zeros(BOMB // 8))
        said, peak = refused(datasets.NpzDataset(str(tmp_path / "a.npz")).load)
        assert "unpacks to more than 32 MiB" in said
        assert peak < 2**20
        read = datasets.NpzDataset(str(tmp_path / "a.npz"), max_unpacked="100 MiB").load()
        assert read["a"].shape == (BOMB // 8,)

    def test_a_header_that_lies(self, tmp_path):
        content = npy("(10000000000000,)", "<f8", bytes(24))
        path = self.write(tmp_path / "a.npz", {"a.npy": content})
        said, peak = refused(lambda: read_npz(path))
        assert "array 'a' has 24 bytes; its header says 80000000000000" in said
        assert peak < 2**20

    @pytest.mark.parametrize(
        ("members", "said"),
        [
            ({"a.npy": b"\x93NUMPY\1\0\5\0{'a':"}, "'a' is no array of NumPy's"),
            ({"a.npy": b"\x93NUMPY\1\0\x10\x27" + b"-" * 10000}, "'a' is no array of NumPy's"),
            ({"a.txt": b"hello"}, "'a.txt' is no array of NumPy's"),
            ({"a.npy": b""}, "'a' is no array of NumPy's"),
        ],
    )
    def test_what_is_no_array(self, tmp_path, members, said):
        with pytest.raises(DatasetError, match=said):
            read_npz(self.write(tmp_path / "a.npz", members))
