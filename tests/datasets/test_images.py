"""Image sets: the embedded digits, and MNIST and its successors through torchvision's loader."""

import struct

import numpy as np
import pytest
from kedro.io import DatasetError
from sklearn.datasets import load_digits

from latents.datasets import DigitsDataset, TorchvisionImagesDataset


def write_mnist(folder, n_train=60, n_test=20, dataset="MNIST", seed=0):
    """Write IDX files as torchvision keeps them: 28 x 28 images whose class is the row of a bright bar."""
    raw = folder / dataset / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for part, n in (("train", n_train), ("t10k", n_test)):
        labels = np.arange(n, dtype=np.uint8) % 10
        images = rng.integers(0, 60, size=(n, 28, 28), dtype=np.uint8)
        images[np.arange(n), 4 + 2 * labels, 4:24] = 250
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">4i", 2051, n, 28, 28) + images.tobytes()
        )
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, n) + labels.tobytes())


def test_digits_are_scikit_learns():
    data = DigitsDataset().load()
    np.testing.assert_array_equal(data["images"], load_digits().images)
    np.testing.assert_array_equal(data["labels"], load_digits().target)
    assert data["images"].dtype == np.uint8
    assert len(DigitsDataset(limit=5).load()["labels"]) == 5


@pytest.mark.parametrize("dataset", ["MNIST", "FashionMNIST", "KMNIST"])
def test_reads_torchvisions_cache(tmp_path, dataset):
    write_mnist(tmp_path, dataset=dataset)
    data = TorchvisionImagesDataset(str(tmp_path), dataset).load()
    assert data["images"].shape == (80, 28, 28)
    assert data["images"].dtype == np.uint8
    np.testing.assert_array_equal(data["held_out"], np.arange(80) >= 60)
    rows = data["images"][:, :, 10].argmax(axis=1)
    np.testing.assert_array_equal(rows, 4 + 2 * data["labels"])


def test_reads_a_part(tmp_path):
    write_mnist(tmp_path)
    everything = TorchvisionImagesDataset(str(tmp_path)).load()
    for subset, rows in (("train", slice(0, 60)), ("test", slice(60, 80))):
        part = TorchvisionImagesDataset(str(tmp_path), subset=subset, limit=15).load()
        for name, values in part.items():
            np.testing.assert_array_equal(values, everything[name][rows][:15])
    with pytest.raises(DatasetError, match="subset is 'some'; allowed are all, train, test"):
        TorchvisionImagesDataset(str(tmp_path), subset="some")


def test_says_what_to_fetch_and_where_to_put_it(tmp_path, offline):
    with pytest.raises(DatasetError) as error:
        TorchvisionImagesDataset(str(tmp_path)).load()
    for words in (str(tmp_path / "MNIST" / "raw"), "torchvision.datasets.MNIST", "LATENTS_DATA_HOME"):
        assert words in str(error.value)


def test_refuses_other_datasets(tmp_path):
    with pytest.raises(DatasetError, match="'ImageNet'; allowed are MNIST, FashionMNIST, KMNIST"):
        TorchvisionImagesDataset(str(tmp_path), "ImageNet")
