"""Numbers in small files cost no memory: each is held against the file before anything is made from it."""

import numpy as np
import pytest
from kedro.io import DatasetError
from scipy import sparse

from latents.datasets import BagOfWordsDataset
from latents.datasets.bags import numbers
from tests.datasets.test_unpacking import refused

MATRIX = "%%MatrixMarket matrix coordinate integer "
FILES = {
    # format, content, what is said
    "documents": (
        "uci",
        "2000000000\n1\n1\n1 1 1\n",
        "line 1: there are 2000000000 documents, .* for 1 at most",
    ),
    "entries": (
        "uci",
        "2000000000\n1\n2000000000\n1 1 1\n",
        "line 3: says 2000000000 entries; 1 lines follow",
    ),
    "words": ("uci", "1\n2000000000\n1\n1 1 1\n", "line 2: says 2000000000 words; "),
    "rows": ("mtx", f"{MATRIX}general\n2000000000 1 1\n1 1 1\n", "line 2: there are 2000000000 documents"),
    "columns": ("mtx", f"{MATRIX}general\n1 2000000000 1\n1 1 1\n", "line 2: says 2000000000 columns; "),
    "nonzeros": (
        "mtx",
        f"{MATRIX}general\n1 1 2000000000\n1 1 1\n",
        "line 2: says 2000000000 entries; 1 lines",
    ),
    "halves": (
        "mtx",
        f"{MATRIX}symmetric\n2000000000 2000000000 1\n1 1 1\n",
        "line 2: says 2000000000 columns",
    ),
    "all": (
        "mtx",
        f"{MATRIX}general\n2000000000 1 2000000000\n1 1 1\n",
        "line 2: says 2000000000 entries; 1 lines",
    ),
    "head": ("mtx", f"{MATRIX}general\n%{'0' * 10**6}\n1 1 1\n", "line 2: more than 65536 bytes"),
    "svmlight": ("svmlight", "x 2000000000:1\n", "line 1: the word is 2000000000; allowed are"),
    "lda-c": ("lda-c", "2000000000 1:1\n", "line 1: the word is 1; allowed are"),
    "pairs": ("lda-c", "2000000000 0:1\n", "line 1: says 2000000000 different words; 1 pairs follow"),
}


@pytest.mark.parametrize(("format_", "content", "said"), FILES.values(), ids=FILES)
def test_a_number_of_a_small_file(tmp_path, format_, content, said):
    (tmp_path / "a").write_text(content)
    (tmp_path / "words").write_text("ship\n")
    _, peak = refused(BagOfWordsDataset(str(tmp_path / "a"), format_, vocabulary="words").load, said)
    assert peak < 2**26


def test_a_line_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(numbers, "_BLOCK", 2**10)
    monkeypatch.setattr(numbers, "_LINE", 2**12)
    (tmp_path / "a").write_text(f"x 1:2\ny {'1' * 2**20}\n")
    said = "line 2: more than 4096 bytes; no line of counts is so long"
    _, peak = refused(BagOfWordsDataset(str(tmp_path / "a"), "svmlight").load, said)
    assert peak < 2**20


@pytest.mark.parametrize("format_", ["coo", "csc"])
def test_a_shape_that_nothing_explains(tmp_path, format_):
    arrays = {"format": np.array(format_), "shape": np.array([2 * 10**9, 1]), "data": np.array([1])}
    if format_ == "coo":
        arrays |= {"row": np.array([0]), "col": np.array([0])}
    else:
        arrays |= {"indices": np.array([0]), "indptr": np.array([0, 1])}
    np.savez(tmp_path / "a.npz", **arrays)
    said = r"a\.npz: there are 2000000000 documents, and entries for 1 at most; .*`max_empty_documents`"
    _, peak = refused(BagOfWordsDataset(str(tmp_path / "a.npz"), "npz").load, said)
    assert peak < 2**20


def test_documents_without_entries_are_allowed_up_to_a_bound(tmp_path):
    (tmp_path / "docword.a.txt").write_text("12\n1\n1\n3 1 2\n")
    (tmp_path / "vocab.a.txt").write_text("ship\n")
    path = str(tmp_path / "docword.a.txt")
    assert BagOfWordsDataset(path, "uci").load()["counts"].shape == (12, 1)
    assert BagOfWordsDataset(path, "uci", max_empty_documents=11).load()["counts"].shape == (12, 1)
    with pytest.raises(
        DatasetError, match="12 documents, and entries for 1 at most; more than 10 empty ones"
    ):
        BagOfWordsDataset(path, "uci", max_empty_documents=10).load()


@pytest.mark.parametrize(("format_", "line"), [("svmlight", "x\n"), ("lda-c", "0\n")])
def test_lines_without_words_are_documents_up_to_a_bound(tmp_path, format_, line):
    (tmp_path / "a").write_text(f"1 1:1\n{line * 11}")
    bag = BagOfWordsDataset(str(tmp_path / "a"), format_, max_empty_documents=11).load()
    assert bag["counts"].shape == (12, 1)
    with pytest.raises(
        DatasetError, match="12 documents, and entries for 1 at most; more than 10 empty ones"
    ):
        BagOfWordsDataset(str(tmp_path / "a"), format_, max_empty_documents=10).load()


def test_barcodes_and_pointers_explain_documents_without_entries(tmp_path):
    (tmp_path / "matrix.mtx").write_text(f"{MATRIX}general\n1 4 1\n1 2 7\n")
    (tmp_path / "features.tsv").write_text("id\tname\n")
    (tmp_path / "barcodes.tsv").write_text("a\nb\nc\nd\n")
    bag = BagOfWordsDataset(str(tmp_path / "matrix.mtx"), "mtx", transpose=True, max_empty_documents=0).load()
    np.testing.assert_array_equal(bag["counts"].toarray(), [[0], [7], [0], [0]])
    sparse.save_npz(tmp_path / "a.npz", bag["counts"])
    again = BagOfWordsDataset(str(tmp_path / "a.npz"), "npz", max_empty_documents=0).load()
    np.testing.assert_array_equal(again["counts"].toarray(), [[0], [7], [0], [0]])
