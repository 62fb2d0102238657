"""MedMNIST's files, in the layout that its own reader has."""

import numpy as np
import pytest
from kedro.io import DatasetError

from latents.datasets import MedMNISTDataset
from latents.pipelines.cvae import nodes as cvae
from latents.pipelines.pca import nodes as pca
from latents.pipelines.pca.parameters import FitParameters
from tests.pipelines.test_pca_pictures import FIT

RNG = np.random.default_rng(0)
SIZES = {"train": 6, "val": 2, "test": 3}


def medmnist(shape=(28, 28), n_labels=1):
    arrays = {}
    for split, n in SIZES.items():
        arrays[f"{split}_images"] = RNG.integers(0, 256, (n, *shape), dtype=np.uint8)
        arrays[f"{split}_labels"] = RNG.integers(0, 2, (n, n_labels)).astype(np.uint8)
    return arrays


def load(path, arrays, **options):
    np.savez_compressed(path / "a.npz", **arrays)
    return MedMNISTDataset(str(path / "a.npz"), **options).load()


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3)])
def test_the_splits_are_kept(tmp_path, shape):
    arrays = medmnist(shape)
    data = load(tmp_path, arrays)
    np.testing.assert_array_equal(
        data["images"], np.concatenate([arrays[f"{split}_images"] for split in SIZES])
    )
    np.testing.assert_array_equal(
        data["labels"], np.concatenate([arrays[f"{split}_labels"][:, 0] for split in SIZES])
    )
    assert data["held_out"].tolist() == [False] * 6 + [True] * 5


def test_some_of_the_splits(tmp_path):
    arrays = medmnist()
    data = load(tmp_path, arrays, splits=["train", "test"])
    assert data["held_out"].tolist() == [False] * 6 + [True] * 3
    np.testing.assert_array_equal(data["images"][6:], arrays["test_images"])
    data = load(tmp_path, arrays, splits=["test"])  # as new images
    assert data.keys() == {"images", "labels"}
    for splits in (["test", "dev"], [], "test", ["test", "test"], None, [["test"]]):
        with pytest.raises(DatasetError, match=r"splits is .*; allowed is a list of train, val, test"):
            load(tmp_path, arrays, splits=splits)


def test_several_labels_for_an_image(tmp_path, caplog):
    data = load(tmp_path, medmnist(n_labels=14))
    with pytest.raises(
        ValueError, match=r"labels have shape \(11, 14\): each image has 14 .* one class for each"
    ):
        cvae.ingest(data)
    checked = pca.ingest(data, FitParameters(**FIT | {"n_components": 3}))
    assert checked["images"].shape == (11, 28, 28)
    assert "labels" not in checked
    assert "labels have shape (11, 14), several for each image; they are left out" in caplog.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"val_labels": None},
            "has no array 'val_labels', as files of MedMNIST have; it has 'train_images', 'tr",
        ),
        (
            {"val_images": np.zeros((2, 8, 8), np.uint8)},
            r"of val have shapes \(2, 8, 8\) and \(2, 1\), those of train",
        ),
        (
            {"val_labels": np.zeros((2, 3), np.uint8)},
            r"of val have shapes \(2, 28, 28\) and \(2, 3\), those of train",
        ),
        (
            {"test_labels": np.zeros((4, 1))},
            r"'test_labels' has shape \(4, 1\); for its 3 images \(3, 1\) is needed",
        ),
        ({"test_labels": np.zeros(3)}, r"'test_labels' has shape \(3,\); for its 3 images"),
        (
            {"train_images": np.zeros((6, 28, 28, 28), np.uint8)},
            r"\(6, 28, 28, 28\); allowed are .* and no volumes",
        ),
        ({"train_labels": np.array([["a"]] * 6, dtype=object)}, r"array 'train_labels' holds Python objects"),
    ],
)
def test_refused_by_array(tmp_path, change, said):
    arrays = {name: array for name, array in {**medmnist(), **change}.items() if array is not None}
    with pytest.raises(DatasetError, match=rf"a\.npz.* {said}"):
        load(tmp_path, arrays)
