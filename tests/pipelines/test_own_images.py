"""Each way to bring images of one's own, as `docs/data.md` has it, from its YAML to the report."""

import gzip
import re
import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DatasetError
from PIL import Image

from latents.datasets import NpyFolderDataset
from tests.conftest import ROOT
from tests.datasets.test_image_table import IMAGE, cells, classes
from tests.datasets.test_image_table import write as write_pictures
from tests.datasets.test_own_arrays import idx
from tests.tables import write_table

MANUAL = (ROOT / "docs/data.md").read_text()
BLOCKS = re.findall(r"```yaml\n(pca\.raw_images:.*?)```", MANUAL, flags=re.DOTALL)
FOLDER, PARQUET, IDX, EMNIST, NPY, NPZ, MEDMNIST, TABLE = BLOCKS
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
(QMNIST,) = re.findall(r"\(`(qmnist-\S+)`\)", MANUAL)
COLUMNS = np.column_stack([LABELS, np.random.default_rng(0).integers(0, 999, (20, 7))]).astype(np.int32)


def place(project, entry):
    """Return where the first file (or the folder) of an entry goes."""
    values = yaml.safe_load(entry)["pca.raw_images"]
    path = project.path / values.get("filepath", values.get("path"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_folder(folder, images, name="{label}/{i:02}.png"):
    """Write a picture of each image, in a folder of its label's unless named otherwise."""
    for i, (label, image) in enumerate(zip(LABELS, images, strict=True)):
        path = folder / name.format(i=i, label=["above", "below"][label], part="test" if i >= 18 else "train")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def run(project, entry, *pipelines, until="evaluate"):
    project.write("conf/local/catalog.yml", entry)
    project.write("conf/local/parameters.yml", PARAMETERS)
    project.run(*(pipelines or ["pca"]), env=None, until=until)


def arrays(folder):
    """The arrays in a folder, by name."""
    return {path.stem: np.load(path) for path in folder.glob("*.npy")}


def rows(data):
    """The rows that PCA has read: of images, whose file this is, each as one."""
    X = np.load(data / "04_feature/pca/pixels/X.npy")
    return X.reshape(len(X), -1)


def check(project, images, labels=LABELS):
    """Look at what the run made of twenty images: equal arrays give equal pages, whatever file they came from."""
    data = project.path / "data"
    checked = arrays(data / "02_intermediate/pca/images")
    np.testing.assert_array_equal(checked["images"], images)
    assert checked["images"].dtype == np.uint8
    assert ("labels" in checked) == (labels is not None)
    if labels is not None:
        np.testing.assert_array_equal(checked["labels"], labels)
    X = rows(data)
    np.testing.assert_array_equal(X, images.reshape(20, -1))
    assert X.dtype == np.uint8
    metrics = project.metrics("pca", env=None)
    assert metrics["n_samples"] == 18
    assert metrics["n_features"] == images[0].size
    assert metrics["distortion_gap"] < 1e-6


def test_the_manual_has_an_example_of_each():
    assert [yaml.safe_load(block)["pca.raw_images"]["type"].split(".")[-1] for block in BLOCKS] == [
        "ImageFolderDataset",
        "ImageTableDataset",
        "IdxDataset",
        "IdxDataset",
        "NpyDataset",
        "NpzDataset",
        "MedMNISTDataset",
        "FeatureTableDataset",
    ]
    assert all(len(yaml.safe_load(block)["pca.raw_images"]) <= 4 for block in BLOCKS)
    assert ENDINGS == [".csv", ".tsv", ".parquet"]


def test_a_folder_of_pictures(project):
    images = bars(64, 48)
    write_folder(place(project, FOLDER), np.repeat(images[..., None], 3, axis=3))
    run(project, FOLDER, "pca", "cvae", until=None)
    for pipeline in ("pca", "cvae"):
        assert "</html>" in (project.path / f"data/08_reporting/{pipeline}/report.html").read_text()
    order = np.argsort(LABELS, kind="stable")
    check(project, images[order], np.array(["above", "below"])[LABELS[order]])
    names = arrays(project.path / "data/02_intermediate/pca/images")["names"]
    assert names[[0, -1]].tolist() == ["above/00.png", "below/19.png"]
    assert np.isfinite(project.metrics("cvae", env=None)["lower_bound_test"])


def test_a_folder_of_pictures_that_is_divided(project, caplog):
    """And classes of few pictures, of which the split may not take all."""
    images, folder = bars(64, 48), place(project, FOLDER)
    write_folder(folder, images, "{part}/{label}/{i:02}.png")
    with caplog.at_level("INFO"):
        run(project, FOLDER)
    checked = arrays(project.path / "data/02_intermediate/pca/images")
    assert checked["held_out"].sum() == 2
    assert checked["names"][checked["held_out"]].tolist() == ["test/above/18.png", "test/below/19.png"]
    assert set(checked["labels"]) == {"above", "below"}
    assert "are a split: test is held out, train is trained on" in caplog.text
    shutil.rmtree(folder / "test")
    for i, name in enumerate(("few/1", "few/2", "few/3", "one/1")):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(255 - images[i]).save(folder / f"{name}.png")
    for name in ("above", "below"):
        (folder / "train" / name).rename(folder / name)
    (folder / "train").rmdir()
    held_out = "\ncvae:\n  split: {held_out_fraction: 0.9}\n"
    project.write("conf/local/parameters.yml", PARAMETERS.replace("\ncvae:\n", held_out))
    project.run("cvae", env=None, until="evaluate")
    assert np.isfinite(project.metrics("cvae", env=None)["lower_bound_test"])
    table = pd.read_csv(project.path / "data/08_reporting/cvae/classes.csv")
    assert set(table["label"]) <= {"above", "below", "few"}  # the only one of its class is trained on


def test_pictures_of_16_bits(project, caplog):
    """From the folder to the report and the models, and new ones by the same models."""
    lowest = np.random.default_rng(1).integers(0, 16, (20, 64, 48), dtype=np.uint16)
    deep = 16 * bars(64, 48).astype(np.uint16) + lowest
    for folder in ("pictures", "new"):
        write_folder(place(project, FOLDER).with_name(folder), deep)
    new = "".join(
        f"{pipeline}_inference.raw_images:\n  type: latents.datasets.ImageFolderDataset\n  path: data/01_raw/new\n"
        "  grey: true\n"
        for pipeline in ("pca", "cvae")
    )
    new += "cvae_inference.labels: {type: kedro.io.MemoryDataset, data: {label: [above, below]}}\n"
    project.write("conf/local/catalog.yml", FOLDER + new)
    project.write("conf/local/parameters.yml", PARAMETERS)
    said = r"allowed are 0 to 255\.0 .*the brightest 40\d\d\) \(parameter cvae"
    with pytest.raises(ValueError, match=said):
        project.run("cvae", env=None)
    project.write("conf/local/parameters.yml", PARAMETERS.replace("white: 255.0", "white: 4095.0"))
    project.run("pca", "cvae", env=None, until="export")
    order = np.argsort(LABELS, kind="stable")
    data = project.path / "data"
    X = rows(data)
    np.testing.assert_array_equal(X, deep[order].reshape(20, -1))
    assert X.dtype == np.uint16
    pixels = NpyFolderDataset(str(data / "04_feature/cvae/pixels"), rows_of={"filepath": "elsewhere"}).load()
    np.testing.assert_array_equal(pixels["X"], deep[order].reshape(20, -1))
    assert pixels["white"] == 4095
    assert project.metrics("pca", env=None)["distortion_gap"] < 1e-6

    project.run("pca_inference", "cvae_inference", env=None)
    scores = pd.read_parquet(data / "07_model_output/pca/scores.parquet")
    coordinates = pd.read_parquet(data / "07_model_output/pca_inference/coordinates.parquet")
    np.testing.assert_allclose(coordinates["error"], scores["error"], rtol=1e-6)
    assert "in the same units" not in caplog.text
    drawn = np.load(data / "07_model_output/cvae_inference/generated.npz")["images"]
    assert 255 < drawn.max() <= 4095

    mlflow.set_tracking_uri(project.client.tracking_uri)
    for pipeline in ("pca", "cvae"):
        predictor = project.predictor(pipeline, env=None)
        served = mlflow.pyfunc.load_model(f"models:/latents-{pipeline}-base@champion")
        table = served.predict(deep[order].astype(np.float64))  # MLflow converts JSON alone
        pd.testing.assert_frame_equal(table, predictor.predict(deep[order]), check_exact=False, rtol=1e-4)

    for path in (data / "01_raw/new").rglob("*.png"):  # the same by a camera of 8 bits
        pixels = np.asarray(Image.open(path))
        Image.fromarray((pixels >> 4).astype(np.uint8)).save(path)
    project.run("pca_inference", env=None)
    assert "are they in the same units, and of as many bits?" in caplog.text


def test_parquet_of_pictures(project):
    images, folder = bars(64, 48), place(project, PARQUET)
    features = {"image": IMAGE, "label": classes("above", "below")}
    for name, rows in (
        ("train-00000-of-00002", slice(0, 9)),
        ("train-00001-of-00002", slice(9, 18)),
        ("test-00000-of-00001", slice(18, 20)),
    ):
        columns = {"image": cells(images[rows]), "label": LABELS[rows]}
        write_pictures(folder / f"{name}.parquet", columns, features)
    run(project, PARQUET + "  grey: true\n")
    order = np.r_[18:20, 0:18]
    check(project, images[order], np.array(["above", "below"])[LABELS[order]])
    held_out = arrays(project.path / "data/02_intermediate/pca/images")["held_out"]
    np.testing.assert_array_equal(held_out, np.arange(20) < 2)


def test_medmnist(project):
    splits = {"train": slice(0, 18), "val": slice(0, 5), "test": slice(18, 20)}
    content = {f"{split}_images": IMAGES[rows] for split, rows in splits.items()}
    labels = {f"{split}_labels": LABELS[rows, None].astype(np.uint8) for split, rows in splits.items()}
    np.savez_compressed(place(project, MEDMNIST), **content, **labels)
    run(project, MEDMNIST)
    check(project, IMAGES)
    held_out = arrays(project.path / "data/02_intermediate/pca/images")["held_out"]
    np.testing.assert_array_equal(held_out, np.arange(20) >= 18)


@pytest.mark.parametrize(
    ("entry", "images", "columns"),
    [
        (IDX, IMAGES, LABELS.astype(np.uint8)),
        (EMNIST, IMAGES.swapaxes(1, 2), LABELS.astype(np.uint8)),
        (IDX.replace("train-labels-idx1-ubyte.gz", QMNIST), IMAGES, COLUMNS),
    ],
)
def test_idx(project, entry, images, columns):
    path = place(project, entry)
    path.write_bytes(gzip.compress(idx(np.ascontiguousarray(images))))
    labels = yaml.safe_load(entry)["pca.raw_images"]["labels"]
    (path.parent / labels).write_bytes(gzip.compress(idx(columns)))
    run(project, entry)
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
    write_table(table.assign(label=LABELS), place(project, entry))
    run(project, entry)
    check(project, IMAGES)


def test_a_table_of_features(project):
    entry = TABLE.replace("  image_shape: [28, 28]\n", "  label: species\n  drop: [id]\n")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(20, 4)), columns=["length", "width", "height", "weight"])
    marks = {"species": ["a", "b"] * 10, "id": range(20), "name": [*"abcdefghijklmnopqrst"]}
    write_table(table.assign(**marks), place(project, entry))
    run(project, entry)
    checked = arrays(project.path / "data/02_intermediate/pca/images")
    assert checked["feature_names"].tolist() == ["length", "width", "height", "weight"]
    assert checked["names"].tolist() == [*"abcdefghijklmnopqrst"]
    X = rows(project.path / "data")
    np.testing.assert_allclose(X, table, rtol=1e-15)
    assert project.metrics("pca", env=None)["n_features"] == 4
    scores = pd.read_parquet(project.path / "data/07_model_output/pca/scores.parquet")
    assert scores["label"].tolist() == ["a", "b"] * 10
    with pytest.raises(ValueError, match=r"are rows of features, and this pipeline draws images: it needs"):
        run(project, entry.replace("pca.raw", "cvae.raw"), "cvae")


def test_a_broken_file_stops_the_run(project):
    table = pd.DataFrame(IMAGES.reshape(20, -1)).add_prefix("pixel").astype(object)
    table.loc[3, "pixel7"] = None
    write_table(table, place(project, TABLE))
    with pytest.raises(DatasetError, match=r"images\.csv, line 5: column 'pixel7' is empty"):
        run(project, TABLE)
    assert not list((project.path / "data").rglob("images.npy"))
