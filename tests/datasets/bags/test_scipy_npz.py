"""SciPy's sparse matrices as bags of words: what `save_npz` writes is read, and what else there is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from scipy import sparse

from latents.datasets import BagOfWordsDataset, SparseMatrixDataset

WORDS = ["ship", "sail", "wave"]
COUNTS = np.array([[2, 0, 1], [0, 0, 0], [0, 13, 4]])


def load(path, words=WORDS, **options):
    if words is not None:
        (path.parent / "words.txt").write_text("".join(f"{word}\n" for word in words))
        options["vocabulary"] = "words.txt"
    return BagOfWordsDataset(str(path), "npz", **options).load()


@settings(max_examples=40)
@given(
    kind=st.sampled_from(["csr", "csc", "coo"]),
    type_=st.sampled_from(["i1", "i4", "u8", "f4", "f8", "?"]),
    transpose=st.booleans(),
    compressed=st.booleans(),
    old=st.booleans(),
    dense=st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=5),
)
def test_what_save_npz_writes(tmp_path_factory, kind, type_, transpose, compressed, old, dense):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    counts = np.array(dense).astype(type_)
    matrix = (sparse.csr_matrix if old else sparse.csr_array)(counts.T if transpose else counts)
    sparse.save_npz(path, matrix.asformat(kind), compressed=compressed)
    bag = load(path, transpose=transpose)
    np.testing.assert_array_equal(bag["counts"].toarray(), counts)
    assert (bag["counts"].dtype, bag["counts"].format) == (np.int32, "csr")
    assert bag["counts"].nnz == np.count_nonzero(counts)
    assert bag["words"] == WORDS
    assert bag["documents"]["name"].tolist() == [f"row {i}" for i in range(len(counts))]


def test_words_without_a_list_are_the_numbers_that_occur(tmp_path):
    matrix = sparse.coo_array(([1, 3], ([0, 1], [6, 1_999_999_999])), shape=(2, 2_000_000_000))
    sparse.save_npz(tmp_path / "a.npz", matrix)
    bag = load(tmp_path / "a.npz", words=None)
    assert bag["words"] == ["6", "1999999999"]
    assert (bag["numbering"].first, bag["numbering"].named) == (0, False)
    np.testing.assert_array_equal(bag["counts"].toarray(), [[1, 0], [0, 3]])


def test_entries_of_one_place_are_added_up(tmp_path):
    matrix = sparse.coo_array(([1, 3, 0], ([0, 0, 0], [1, 1, 2])), shape=(2, 3))
    sparse.save_npz(tmp_path / "a.npz", matrix)
    bag = load(tmp_path / "a.npz")
    np.testing.assert_array_equal(bag["counts"].toarray(), [[0, 4, 0], [0, 0, 0]])
    assert bag["counts"].nnz == 1
    (tmp_path / "b.npz").unlink(missing_ok=True)
    sparse.save_npz(tmp_path / "b.npz", sparse.coo_array(([2**31 - 1, 1], ([1, 1], [2, 2])), shape=(2, 3)))
    with pytest.raises(
        DatasetError, match="document 2 has word 3 2147483648 times; allowed are 1 to 2147483647"
    ):
        load(tmp_path / "b.npz")


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
@pytest.mark.parametrize("value", [-1, 0.5, np.nan, np.inf, 3e9])
def test_what_is_no_count(tmp_path, kind, value):
    counts = COUNTS.astype(float)
    counts[2, 1] = value
    sparse.save_npz(tmp_path / "a.npz", sparse.csr_array(counts).asformat(kind))
    with pytest.raises(
        DatasetError, match=rf"a\.npz: the value in row 2, column 1 is {value}.*: raw counts, not w"
    ):
        load(tmp_path / "a.npz")


ARRAYS = {
    "format": np.array(b"csr"),
    "shape": np.array([3, 3]),
    "data": np.array([2, 1, 13, 4]),
    "indices": np.array([0, 2, 1, 2]),
    "indptr": np.array([0, 2, 2, 4]),
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": None}, "is no matrix of scipy.sparse.save_npz: it holds shape, data, indices, indptr"),
        ({"format": np.array("dia")}, "holds a matrix in the format 'dia'; allowed are csr, csc and coo"),
        ({"format": np.array(["csr", "csr"])}, "is no matrix of scipy.sparse.save_npz"),
        ({"format": np.array(b"coo")}, "is no whole matrix: it lacks row, col"),
        ({"indptr": None}, "is no whole matrix: it lacks indptr"),
        ({"shape": np.array([3])}, r"shape is \[3\]; allowed are two sizes of 0 to"),
        ({"shape": np.array([3, -3])}, r"shape is .* -3\]; allowed are two sizes"),
        ({"shape": np.array([3, 10**12])}, r"shape is .*; allowed are two sizes"),
        ({"shape": np.array([2 * 10**9, 3])}, "is no whole matrix of 2000000000 x 3: "),
        ({"indices": np.array([0, 2, 1, 3])}, "is no whole matrix of 3 x 3: "),
        ({"indices": np.array([0, 2, 1, -1])}, "is no whole matrix of 3 x 3: "),
        ({"indices": np.array([0, 2, 1])}, "is no whole matrix of 3 x 3: "),
        ({"indices": np.array([0.0, 2, 1, 2])}, "is no whole matrix of 3 x 3: indices and indptr must be"),
        ({"indptr": np.array([0, 4, 2, 4])}, "is no whole matrix of 3 x 3: "),
        ({"indptr": np.array([0, 2, 2, 10**9])}, "is no whole matrix of 3 x 3: "),
        ({"data": np.array(list("abcd"))}, "values are of type <U1; allowed are counts"),
        ({"data": np.array([1j, 1, 1, 1])}, "values are of type complex128; allowed are counts"),
        ({"data": np.ones((2, 2))}, "is no whole matrix of 3 x 3: "),
        ({"data": np.array([{}] * 4, dtype=object)}, "array 'data' holds Python objects, which are not read"),
        (
            {"shape": np.array([3, 4]), "indices": np.array([0, 2, 1, 3])},
            "has 4 columns; .*words.txt has 3 words",
        ),
    ],
)
def test_what_is_no_such_matrix(tmp_path, change, said):
    arrays = {name: array for name, array in {**ARRAYS, **change}.items() if array is not None}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DatasetError, match=rf"a\.npz:? {said}"):
        load(tmp_path / "a.npz")


def test_the_arrays_are_a_matrix(tmp_path):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    np.testing.assert_array_equal(load(tmp_path / "a.npz")["counts"].toarray(), COUNTS)


@pytest.mark.parametrize("content", [b"", b"no matrix", b"PK\3\4"])
def test_a_matrix_between_nodes_that_is_broken(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"a\.npz is no whole \.npz file"):
        SparseMatrixDataset(str(tmp_path / "a.npz")).load()


def test_a_matrix_between_nodes_is_what_was_saved(tmp_path):
    dataset = SparseMatrixDataset(str(tmp_path / "a.npz"))
    same = sparse.csr_array(np.tile(COUNTS, (300_000, 1)))  # packs to less than a fiftieth
    dataset.save(same)
    assert (dataset.load() != same).nnz == 0
    assert dataset.load().dtype == same.dtype
