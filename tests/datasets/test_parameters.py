"""Values of entries that are none are refused in messages that stay short, however long the values are."""

import pytest
from kedro.io import DatasetError

from latents import datasets

LONG = "x" * 100_000


@pytest.mark.parametrize(
    ("name", "given", "parameter"),
    [
        ("BagOfWordsDataset", {"filepath": "a"}, "format"),
        ("BagOfWordsDataset", {"filepath": "a", "format": "mtx"}, "transpose"),
        ("BagOfWordsDataset", {"filepath": "a", "format": "svmlight"}, "zero_based"),
        ("BagOfWordsDataset", {"filepath": "a", "format": "uci"}, "max_empty_documents"),
        ("BagOfWordsDataset", {"filepath": "a", "format": "uci"}, "max_unpacked"),
        ("DocumentTableDataset", {"filepath": "a.csv"}, "encoding"),
        ("DocumentTableDataset", {"filepath": "a.csv"}, "separator"),
        ("DocumentTableDataset", {"filepath": "a.csv"}, "quoting"),
        ("FeatureTableDataset", {"filepath": "a.csv"}, "image_shape"),
        ("FeatureTableDataset", {"filepath": "a.csv"}, "drop"),
        ("FeatureTableDataset", {"filepath": "a.csv"}, "decimal"),
        ("FeatureTableDataset", {"filepath": "a.csv"}, "missing"),
        ("IdxDataset", {"filepath": "a"}, "transpose"),
        ("ImageFolderDataset", {"path": "a"}, "size"),
        ("ImageFolderDataset", {"path": "a"}, "grey"),
        ("ImageFolderDataset", {"path": "a"}, "fit"),
        ("ImageFolderDataset", {"path": "a"}, "bits"),
        ("MedMNISTDataset", {"filepath": "a"}, "splits"),
        ("TorchvisionImagesDataset", {"data_home": "a"}, "dataset"),
        ("TorchvisionImagesDataset", {"data_home": "a"}, "subset"),
    ],
)
def test_parameters(name, given, parameter):
    with pytest.raises(DatasetError, match=rf"^{parameter} is 'x.*; allowed") as raised:
        getattr(datasets, name)(**given, **{parameter: LONG})
    assert len(str(raised.value)) < 300
