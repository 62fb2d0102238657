"""Each way to bring images of one's own, as `docs/data.md` has it, from its YAML to the report."""

import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DatasetError
from PIL import Image

from tests.conftest import ROOT
from tests.datasets.test_own_arrays import idx

MANUAL = (ROOT / "docs/data.md").read_text()
BLOCKS = re.findall(r"```yaml\n(pca\.raw_images:.*?)```", MANUAL, flags=re.DOTALL)
FOLDER, IDX, NPY, NPZ, TABLE = BLOCKS
ENDINGS = re.findall(r"\.\w+", TABLE.split("images")[-1].splitlines()[0])

PARAMETERS = """
pca:
  fit: {n_components: 3}
  split: {held_out_fraction: 0.1}
  evaluate: {n_reconstructions: 4, n_worst: 4}
  report: {n_eigenimages: 4}
cvae:
  features: {white: 255.0}
  fit: {epochs: 1, n_latents: 2, hidden: [16]}
  evaluate: {n_importance_samples: 5, n_generated: 2, n_reconstructions: 4}
"""

LABELS = np.arange(20) % 2


def bars(height, width):
    """Twenty images: noise with a bright bar, above or below by label."""
    images = np.random.default_rng(0).integers(0, 99, (20, height, width), dtype=np.uint8)
    for label, image in zip(LABELS, images, strict=True):
        image[height // 4 + label * height // 2] = 255
    return images


IMAGES = bars(28, 28)


def place(project, entry):
    """Return where the first file (or the folder) of an entry goes."""
    values = yaml.safe_load(entry)["pca.raw_images"]
    path = project.path / values.get("filepath", values.get("path"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def run(project, entry, *pipelines, **selection):
    project.write("conf/local/catalog.yml", entry)
    project.write("conf/local/parameters.yml", PARAMETERS)
    project.run(*(pipelines or ["pca"]), env=None, **selection)


def arrays(folder):
    """The arrays in a folder, by name."""
    return {path.stem: np.load(path) for path in folder.glob("*.npy")}


def check(project, images, labels=LABELS):
    """Look at what the run made of twenty images."""
    data = project.path / "data"
    checked = arrays(data / "02_intermediate/pca/images")
    np.testing.assert_array_equal(checked["images"], images)
    assert checked["images"].dtype == np.uint8
    assert ("labels" in checked) == (labels is not None)
    if labels is not None:
        np.testing.assert_array_equal(checked["labels"], labels)
    X = arrays(data / "04_feature/pca/pixels")["X"]
    np.testing.assert_array_equal(X, images.reshape(20, -1))
    assert X.dtype == np.uint8
    metrics = json.loads((data / "08_reporting/pca/metrics.json").read_text())
    assert metrics["n_samples"] == 18
    assert metrics["n_features"] == images[0].size
    assert metrics["distortion_gap"] < 1e-6
    assert "</html>" in (data / "08_reporting/pca/report.html").read_text()


def write_table(path, table):
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="," if path.suffix == ".csv" else "\t")


def test_the_manual_has_an_example_of_each():
    assert [yaml.safe_load(block)["pca.raw_images"]["type"].split(".")[-1] for block in BLOCKS] == [
        "ImageFolderDataset",
        "IdxDataset",
        "NpyDataset",
        "NpzDataset",
        "FeatureTableDataset",
    ]
    assert all(len(yaml.safe_load(block)["pca.raw_images"]) <= 4 for block in BLOCKS)
    assert ENDINGS == [".csv", ".tsv", ".parquet"]


def test_a_folder_of_pictures(project):
    images = bars(64, 48)
    for i, (label, image) in enumerate(zip(LABELS, images, strict=True)):
        path = place(project, FOLDER) / ["above", "below"][label] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert("RGB").save(path)
    run(project, FOLDER, "pca", "cvae")
    order = np.argsort(LABELS, kind="stable")
    check(project, images[order], np.array(["above", "below"])[LABELS[order]])
    names = arrays(project.path / "data/02_intermediate/pca/images")["names"]
    assert names[[0, -1]].tolist() == ["above/00.png", "below/19.png"]
    metrics = json.loads((project.path / "data/08_reporting/cvae/metrics.json").read_text())
    assert np.isfinite(metrics["lower_bound_test"])


def test_idx(project):
    path = place(project, IDX)
    path.write_bytes(gzip.compress(idx(IMAGES)))
    labels = yaml.safe_load(IDX)["pca.raw_images"]["labels"]
    (path.parent / labels).write_bytes(gzip.compress(idx(LABELS.astype(np.uint8))))
    run(project, IDX)
    check(project, IMAGES)


def test_npy(project):
    path = place(project, NPY)
    np.save(path, IMAGES)
    np.save(path.with_name("labels.npy"), LABELS)
    run(project, NPY)
    check(project, IMAGES)


def test_npz(project):
    np.savez(place(project, NPZ), images=IMAGES)
    run(project, NPZ)
    check(project, IMAGES, None)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table_of_pixels(project, ending):
    entry = TABLE.replace("images.csv", f"images{ending}")
    table = pd.DataFrame(IMAGES.reshape(20, -1).astype(int)).add_prefix("pixel")
    write_table(place(project, entry), table.assign(label=LABELS))
    run(project, entry)
    check(project, IMAGES)


def test_a_table_of_features(project):
    entry = TABLE.replace("  image_shape: [28, 28]\n", "  label: species\n  drop: [id]\n")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(20, 4)), columns=["length", "width", "height", "weight"])
    write_table(
        place(project, entry),
        table.assign(species=["a", "b"] * 10, id=range(20), name=[*"abcdefghijklmnopqrst"]),
    )
    run(project, entry)
    checked = arrays(project.path / "data/02_intermediate/pca/images")
    assert checked["feature_names"].tolist() == ["length", "width", "height", "weight"]
    assert checked["names"].tolist() == [*"abcdefghijklmnopqrst"]
    X = arrays(project.path / "data/04_feature/pca/pixels")["X"]
    np.testing.assert_allclose(X, table, rtol=1e-15)
    metrics = json.loads((project.path / "data/08_reporting/pca/metrics.json").read_text())
    assert metrics["n_features"] == 4
    scores = pd.read_parquet(project.path / "data/07_model_output/pca/scores.parquet")
    assert scores["label"].tolist() == ["a", "b"] * 10
    with pytest.raises(ValueError, match=r"are rows of features, and this pipeline draws images: it needs"):
        run(project, entry.replace("pca.raw", "cvae.raw"), "cvae")


def test_a_broken_file_stops_the_run(project):
    table = pd.DataFrame(IMAGES.reshape(20, -1)).add_prefix("pixel").astype(object)
    table.loc[3, "pixel7"] = None
    write_table(place(project, TABLE), table)
    with pytest.raises(DatasetError, match=r"images\.csv, line 5: column 'pixel7' is empty"):
        run(project, TABLE)
    assert not list((project.path / "data").rglob("images.npy"))
