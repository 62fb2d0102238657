"""Counts in anndata's files: what is read, and what is refused before it costs memory."""

import sys

import numpy as np
import pytest
from kedro.io import DatasetError

from latents.datasets import BagOfWordsDataset
from tests.datasets.bags.h5ad_files import write_array, write_h5ad, write_matrix

h5py = pytest.importorskip("h5py", reason="the extra h5ad is not installed")

COUNTS = np.array([[2, 0, 1], [0, 0, 0], [0, 13, 4]])
GENES = ["TP53", "TBCE", "ACTB"]
KINDS = ["a", "b", "a"]


def load(path, **options):
    return BagOfWordsDataset(str(path), "h5ad", **options).load()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5ad"


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("layer", [None, "counts"])
def test_counts_names_and_labels(path, kind, layer):
    more = {"batch": ["u", "v", "w"], "n": [1, 2, 3]}
    write_h5ad(path, COUNTS, GENES, KINDS, ["x", "y", "z"], kind=kind, layer=layer, **more)
    for label, labels in (("cell_type", KINDS), ("batch", ["u", "v", "w"]), ("n", [1, 2, 3])):
        bag = load(path, layer=layer, label=label)
        np.testing.assert_array_equal(bag["counts"].toarray(), COUNTS)
        assert (bag["counts"].dtype, bag["counts"].nnz, bag["words"]) == (np.int32, 4, GENES)
        assert bag["documents"].to_dict("list") == {"name": ["x", "y", "z"], "label": labels}
    assert list(load(path, layer=layer)["documents"]) == ["name"]


def test_dense_counts_are_read_in_pieces(path, monkeypatch):
    monkeypatch.setattr("latents.datasets.bags.h5ad._PIECE", 4)
    write_h5ad(path, COUNTS, GENES, kind="dense")
    np.testing.assert_array_equal(load(path)["counts"].toarray(), COUNTS)
    with h5py.File(path, "a") as file:
        file["X"][2, 1] = 0.5
    with pytest.raises(DatasetError, match=r"X of 'cell2', 'TBCE' is 0\.5; allowed are the whole numbers"):
        load(path)


def test_missing_labels(path):
    write_h5ad(path, COUNTS, GENES, ["a", None, "b"])
    assert load(path, label="cell_type")["documents"]["label"].isna().tolist() == [False, True, False]
    with h5py.File(path, "a") as file:  # as anndata writes what may be missing
        for name, values in (("n", np.array([4, 5, 6])), ("t", np.array(["p", "q", "r"], dtype=object))):
            group = file["obs"].create_group(name)
            write_array(group, "values", values, h5py.string_dtype() if name == "t" else None)
            write_array(group, "mask", np.array([False, True, False]))
    assert load(path, label="n")["documents"]["label"].tolist()[::2] == [4, 6]
    labels = load(path, label="t")["documents"]["label"]
    assert labels.isna().tolist() == [False, True, False]
    assert labels.tolist()[::2] == ["p", "r"]


def test_names_as_an_older_anndata_writes_them(path):
    write_h5ad(path, COUNTS, GENES)
    with h5py.File(path, "a") as file:
        file["obs"].attrs["_index"] = "cell"
        file.move("obs/_index", "obs/cell")
        write_array(file["obs"], "kind", np.array([1, 0, 1], dtype=np.int8))
        categories = file["obs"].create_group("__categories")
        write_array(categories, "kind", np.array(["p", "q"], dtype=object), h5py.string_dtype())
        file["obs/kind"].attrs["categories"] = categories["kind"].ref
    documents = load(path, label="kind")["documents"]
    assert documents.to_dict("list") == {"name": ["cell0", "cell1", "cell2"], "label": ["q", "p", "q"]}


def test_genes_of_one_name(path):
    genes, ids = ["TBCE", "TP53", "TBCE"], ["ENSG1", "ENSG2", "ENSG3"]
    write_h5ad(path, COUNTS, genes, var_gene_ids=ids)
    assert load(path)["words"] == ["TBCE (ENSG1)", "TP53", "TBCE (ENSG3)"]
    write_h5ad(path, COUNTS, genes)
    with pytest.raises(
        DatasetError, match=r"the variable 'TBCE' is there several times; .*var_names_make_unique"
    ):
        load(path)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("value", [0.5, -1, np.nan, 3e9])
def test_what_is_no_count(path, kind, value):
    counts = COUNTS.astype(float)
    counts[2, 1] = value
    write_h5ad(path, counts, GENES, names=["x", "y", "z"], kind=kind)
    said = rf"a\.h5ad: X of 'z', 'TBCE' is {value}.*; allowed .*: raw counts, not .*`layer: counts`"
    with pytest.raises(DatasetError, match=said):
        load(path)


def change(path, edit):
    with h5py.File(path, "a") as file:
        edit(file)


def far(file):
    del file["X/data"]
    file["X/data"] = h5py.ExternalLink("other.h5ad", "/X/data")


def aside(file):
    del file["X/data"]
    file["X"].create_dataset("data", shape=(4,), dtype="i4", external=[("/etc/hostname", 0, 16)])


def virtual(file):
    del file["X/data"]
    layout = h5py.VirtualLayout(shape=(4,), dtype="i4")
    layout[:] = h5py.VirtualSource("other.h5ad", "X/data", shape=(4,))
    file["X"].create_virtual_dataset("data", layout)


def huge(file):
    del file["X/data"]
    file["X"].create_dataset("data", shape=(10**12,), dtype="f4", chunks=(10**6,), compression="gzip")


def huge_dense(file):
    del file["X"]
    file.create_dataset("X", shape=(3, 10**12), dtype="f4", chunks=(1, 10**6), compression="gzip")


def many_names(file):
    del file["obs/_index"]
    file["obs"].create_dataset("_index", shape=(10**10,), dtype=h5py.string_dtype(), chunks=(10**6,))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (far, "X/data is a link, which is not read"),
        (
            lambda file: file.__setitem__("layers/x", h5py.SoftLink("/X")),
            "layers/x is a link, which is not read",
        ),
        (aside, "X/data lies in other files, which are not read"),
        (virtual, "X/data lies in other files, which are not read"),
        (huge, "unpacks to more than 32 MiB"),
        (huge_dense, "unpacks to more than 32 MiB"),
        (many_names, "unpacks to more than 32 MiB"),
        (lambda file: file.__delitem__("X"), "has no X; there are X"),
        (lambda file: file.__delitem__("obs"), "has no table obs"),
        (lambda file: file.__delitem__("var/_index"), "has no array var/_index"),
        (lambda file: file.__delitem__("X/indptr"), "has no array X/indptr"),
        (lambda file: file["X"].attrs.__setitem__("shape", [3, 4]), r"X has shape \(3, 4\); there are 3"),
        (lambda file: file["X"].attrs.__delitem__("shape"), r"X has shape \(\); there are 3 names"),
        (
            lambda file: file["X"].attrs.__setitem__("encoding-type", "coo"),
            "X is of the kind 'coo'; allowed are",
        ),
        (lambda file: file["X/indices"].__setitem__(0, 7), "is no whole .h5ad file: "),
        (lambda file: file["X/indices"].__setitem__(0, -1), "is no whole .h5ad file: "),
        (lambda file: file["X/indptr"].__setitem__(1, 9), "is no whole .h5ad file: "),
        (
            lambda file: file["obs/cell_type/codes"].__setitem__(0, 5),
            "obs/cell_type has codes beyond its 2 categ",
        ),
    ],
)
def test_what_is_broken_or_refers_to_other_files(path, edit, said):
    write_h5ad(path, COUNTS, GENES, KINDS)
    change(path, edit)
    layer = "x" if "layers" in said else None
    with pytest.raises(DatasetError, match=rf"a\.h5ad:? .*{said}") as error:
        load(path, layer=layer, label="cell_type")
    assert len(str(error.value)) < 1000


def test_what_is_not_there(path):
    write_h5ad(path, COUNTS, GENES, KINDS, layer="counts")
    with pytest.raises(DatasetError, match=r"has no layers/raw; there are X, layer counts"):
        load(path, layer="raw")
    with pytest.raises(DatasetError, match=r"has no column obs/kind; there are cell_type"):
        load(path, layer="counts", label="kind")
    with pytest.raises(DatasetError, match=r"there is no file .*nowhere\.h5ad"):
        load(path.with_name("nowhere.h5ad"))
    with h5py.File(path, "w") as file:
        write_matrix(file, "X", COUNTS, "dense")
        file["obs"] = np.zeros(3, dtype=[("index", "S5")])
    with pytest.raises(DatasetError, match=r"obs is as an anndata before 0\.7 wrote it"):
        load(path)


@pytest.mark.parametrize("cut", [0, 8, 500, -1])
def test_what_is_not_whole(path, cut):
    write_h5ad(path, COUNTS, GENES)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DatasetError, match=r"a\.h5ad is no whole \.h5ad file: "):
        load(path)


def test_without_h5py_the_way_to_it_is_said(path, monkeypatch):
    write_h5ad(path, COUNTS, GENES)
    monkeypatch.setitem(sys.modules, "h5py", None)
    said = r"takes the package h5py; install it by `pip install 'latents\[h5ad\]'`"
    with pytest.raises(DatasetError, match=said):
        load(path)
