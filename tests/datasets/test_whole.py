"""Files appear whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import DatasetError
from matplotlib.figure import Figure
from scipy import sparse

from latents import datasets
from latents.estimators import MinimumErrorPCA
from latents.files import whole_file


def test_a_failed_write_leaves_the_former_file_and_no_litter(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with whole_file(path) as temporary:
        temporary.write_text("first")

    def write_half():
        with whole_file(path) as temporary:
            temporary.write_text("sec")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert path.read_text() == "first"
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_the_entry_of_a_catalog_has_what_was_given_and_no_more():
    given = {"filepath": "memory://b/a.csv", "save_args": {"index": False}, "credentials": {"key": "k"}}
    entry = datasets.CSVDataset(**given, metadata={"layer": "raw"})
    assert entry._init_config() == {"type": "latents.datasets.whole.CSVDataset", **given}


class Unwritable:
    """Looks like a number until it is asked for its text, half way through a file."""

    def __str__(self):
        raise RuntimeError("half way")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("dataset", "name", "good", "bad"),
    [
        ("CSVDataset", "a.csv", pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, Unwritable()]})),
        ("ParquetDataset", "a.parquet", pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, Unwritable()]})),
        ("JSONDataset", "a.json", {"a": 1}, {"a": 1, "b": Unwritable()}),
        ("TextDataset", "a.txt", "good", 3),
        ("PlotlyDataset", "a.json", go.Figure(), Unwritable()),
        ("MatplotlibDataset", "a.png", Figure(), Unwritable()),
        ("NpzDataset", "a.npz", {"a": np.arange(3)}, {"a": np.arange(3), "b": np.array([Unwritable()])}),
        ("SparseMatrixDataset", "a.npz", sparse.csr_array(np.eye(2)), Unwritable()),
        ("EstimatorDataset", "a.safetensors", MinimumErrorPCA(1).fit(np.eye(3)), MinimumErrorPCA()),
    ],
)
def test_saving_what_cannot_be_saved_keeps_the_former_file(tmp_path, dataset, name, good, bad):
    path = tmp_path / name
    entry = getattr(datasets, dataset)(filepath=str(path))
    entry.save(good)
    before = path.read_bytes()
    with pytest.raises(DatasetError):
        entry.save(bad)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [name]
    entry.save(good)
    assert entry.exists()


def test_arrays_come_back(tmp_path):
    entry = datasets.NpzDataset(filepath=str(tmp_path / "a.npz"))
    arrays = {"a": np.arange(6).reshape(2, 3)[:, ::-1], "labels": np.array(["x", "yz"])}
    entry.save(arrays)
    loaded = entry.load()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)


def test_counts_come_back(tmp_path):
    entry = datasets.SparseMatrixDataset(filepath=str(tmp_path / "a.npz"))
    counts = sparse.random_array((7, 5), density=0.4, format="csr", rng=np.random.default_rng(0))
    entry.save(counts)
    assert (entry.load() != counts).nnz == 0


def test_estimators_come_back(tmp_path):
    entry = datasets.EstimatorDataset(filepath=str(tmp_path / "model.safetensors"))
    X = np.random.default_rng(0).normal(size=(9, 4))
    model = MinimumErrorPCA(2).fit(X)
    entry.save(model)
    np.testing.assert_array_equal(entry.load().transform(X), model.transform(X))


def test_every_dataset_of_the_catalog_is_there():
    for name in datasets.__all__:
        assert getattr(datasets, name).__module__.startswith("latents.datasets.")
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        datasets.Nothing  # noqa: B018


def test_paths_of_the_file_system_are_kept(tmp_path):
    entry = datasets.JSONDataset(filepath=str(tmp_path / "a.json"))
    entry.save({"a": 1})
    assert Path(entry._filepath) == tmp_path / "a.json"
