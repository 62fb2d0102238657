"""What is refused in tables of texts and of numbers alike."""

import pytest
from kedro.io import DatasetError

from latents.datasets import DocumentTableDataset, FeatureTableDataset

pytestmark = pytest.mark.parametrize("dataset", [DocumentTableDataset, FeatureTableDataset])


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.parquet.gz", "a.csv.zip"])
def test_other_endings(dataset, name):
    with pytest.raises(DatasetError, match=rf"{name} is no table .* ending in \.csv, \.tsv, .*\.parquet$"):
        dataset(name)


@pytest.mark.parametrize("separator", ["ab", "", '"', "\n", "\r"])
def test_separators_that_are_none(dataset, separator):
    with pytest.raises(DatasetError, match=r"separator is .*; allowed is one character, other than quotes"):
        dataset("a.csv", separator=separator)


def test_other_values_of_quoting(dataset):
    with pytest.raises(DatasetError, match="quoting is 'no'; allowed are true and false"):
        dataset("a.csv", quoting="no")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_nothing_there(dataset, tmp_path, name):
    with pytest.raises(DatasetError, match=rf"there is no file .*{name}"):
        dataset(str(tmp_path / name)).load()


def test_broken_parquet(dataset, tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and then something else")
    with pytest.raises(DatasetError, match=r"a\.parquet is no whole Parquet file"):
        dataset(str(tmp_path / "a.parquet")).load()
