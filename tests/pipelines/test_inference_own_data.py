"""Trained models on data of the user's own, from the YAML of `docs/trained.md` to the tables."""

import gzip
import re
import struct

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from tests.conftest import ROOT

MANUAL = (ROOT / "docs/trained.md").read_text()
TEXTS, PICTURES, LABELS = re.findall(r"```yaml\n(\w+_inference\..*?)```", MANUAL, flags=re.DOTALL)

# Of a few documents of one's own.
PARAMETERS = "clustering: {features: {min_df: 1, max_df: 1.0}, fit: {n_components: 2}}\n"
SEA, SKY = "ship sail harbour wave", "plane wing airport cloud"


def path_of(entry):
    (first, *_) = yaml.safe_load(entry).values()
    return first["path"]


def outputs(project, pipeline):
    return project.data(None) / "07_model_output" / f"{pipeline}_inference"


@pytest.fixture
def documents(project):
    """A project whose mixture was trained on texts of its user's."""
    for i in range(10):
        project.write(f"data/01_raw/texts/sea/{i}.txt", f"{SEA} " * (1 + i % 3))
        project.write(f"data/01_raw/texts/sky/{i}.txt", f"{SKY} " * (1 + i % 2))
    project.write(
        "conf/local/catalog.yml",
        "clustering.raw_documents: {type: latents.datasets.TextFolderDataset, path: data/01_raw/texts}\n",
    )
    project.write("conf/local/parameters.yml", PARAMETERS)
    project.run("clustering", env=None, until="export")
    return project


def infer(project, entry):
    with (project.path / "conf/local/catalog.yml").open("a") as file:
        file.write(entry)
    project.run("clustering_inference", env=None)
    folder = outputs(project, "clustering")
    return (pd.read_csv(folder / f"{name}.csv", keep_default_na=False) for name in ("assignments", "nearest"))


def test_a_folder_of_texts_some_empty_and_some_of_labels_unheard_of(documents):
    for name, text in {"sea/a.txt": "Sail the wave", "rock/b.txt": "", "rock/null": "granite"}.items():
        documents.write(f"{path_of(TEXTS)}/{name}", text)
    assignments, nearest = infer(documents, TEXTS)
    assert assignments["label"].tolist() == ["rock", "rock", "sea"]
    assert assignments["n_tokens"].tolist() == [0, 0, 2]
    weights = documents.predictor("clustering", env=None).model.weights_
    np.testing.assert_allclose(assignments[["p_0", "p_1"]].to_numpy()[:2], [weights] * 2)
    assert set(assignments["deciding_words"][2].split(", ")) == {"sail", "wave"}
    assert nearest["document"].unique().tolist() == [2]
    assert nearest["label"].unique().tolist() == ["sea"]
    assert nearest["document_name"][0] == "sea/a.txt"


def test_one_text_of_a_table_without_labels(documents):
    documents.write("data/01_raw/new.csv", "text\nthe airport in a cloud\n")
    entry = "clustering_inference.raw_documents:\n  type: latents.datasets.DocumentTableDataset\n"
    assignments, nearest = infer(documents, f"{entry}  filepath: data/01_raw/new.csv\n")
    assert len(assignments) == 1
    assert "label" not in assignments
    assert nearest["label"].unique().tolist() == ["sky"]


def test_a_bag_of_words_after_texts(documents):
    documents.write("data/01_raw/docword.new.txt", "2\n3\n3\n1 1 2\n1 3 7\n2 2 1\n")
    documents.write("data/01_raw/vocab.new.txt", "Ship\nwing\nunheard\n")
    entry = "clustering_inference.raw_documents:\n  type: latents.datasets.BagOfWordsDataset\n  format: uci\n"
    assignments, nearest = infer(documents, f"{entry}  filepath: data/01_raw/docword.new.txt\n")
    assert assignments["n_tokens"].tolist() == [2, 1]
    assert assignments["deciding_words"].tolist() == ["ship", "wing"]
    assert nearest.groupby("document")["label"].first().tolist() == ["sea", "sky"]


def test_texts_after_a_bag_of_words(project, caplog):
    """Of the words of a bag those are found in texts that the word rules find at all; the others are told of."""
    words = [*SEA.split(), *SKY.split(), "air-port"]
    rows = [
        f"{1 + i % 2}:1 {3 + i % 2}:2" if i < 10 else f"{5 + i % 2}:1 {7 + i % 2}:2 9:1" for i in range(20)
    ]
    project.write(
        "data/01_raw/bag.svm", "".join(f"{'sea' if i < 10 else 'sky'} {row}\n" for i, row in enumerate(rows))
    )
    project.write("data/01_raw/words.txt", "".join(f"{word}\n" for word in words))
    project.write(
        "conf/local/catalog.yml",
        "clustering.raw_documents:\n  type: latents.datasets.BagOfWordsDataset\n  format: svmlight\n"
        "  filepath: data/01_raw/bag.svm\n  vocabulary: words.txt\n",
    )
    project.write("conf/local/parameters.yml", PARAMETERS)
    project.run("clustering", env=None, until="export")
    assert "1 of 9 words of the bag, such as 'air-port'" in caplog.text
    project.write(f"{path_of(TEXTS)}/a.txt", "Harbour! Wave.")
    assignments, nearest = infer(project, TEXTS)
    assert assignments["n_tokens"].tolist() == [2]
    assert nearest["label"].unique().tolist() == ["sea"]
    assert nearest["excerpt"][0].split()[0] in words


def bars(n, height=12, width=10):
    """Grey pictures with a bright bar above or below, and which it is."""
    labels = np.arange(n) % 2
    images = np.random.default_rng(0).integers(0, 60, (n, height, width), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[height * label // 2 : height * label // 2 + 3] = 230
    return images, labels


@pytest.fixture
def pictures(project):
    """A project whose basis and VAE were trained on pictures of its user's."""
    images, labels = bars(40)
    np.savez(project.path / "data/images.npz", images=images, labels=np.array(["above", "below"])[labels])
    project.write(
        "conf/local/catalog.yml",
        "pca.raw_images: &images {type: latents.datasets.NpzDataset, filepath: data/images.npz}\n"
        f"cvae.raw_images: *images\n{LABELS}",
    )
    project.write(
        "conf/local/parameters.yml",
        "pca: {fit: {n_components: 2}}\n"
        "cvae: {features: {white: 255.0}, fit: {epochs: 40, hidden: [32], n_latents: 2, learning_rate: 1.0e-2, "
        "compiled: false}, watch: {every: null}, evaluate: {n_importance_samples: 10}}\n",
    )
    project.run("pca", "cvae", env=None, until="export")
    return project


def test_pictures_labels_and_files_of_every_kind(pictures):
    images, labels = bars(6)
    for i, image in enumerate(images):
        path = pictures.path / path_of(PICTURES) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert("RGB").save(path)
    catalog = (pictures.path / "conf/local/catalog.yml").read_text()
    entry = PICTURES.replace("[64, 48]", "[12, 10]")
    pictures.write("conf/local/catalog.yml", catalog + entry)
    pictures.run("pca_inference", "cvae_inference", env=None)
    coordinates = pd.read_parquet(outputs(pictures, "pca") / "coordinates.parquet")
    latents = pd.read_parquet(outputs(pictures, "cvae") / "latents.parquet")
    assert coordinates["name"].tolist() == [f"{i}.png" for i in range(6)]
    assert latents["predicted"].tolist() == np.array(["above", "below"])[labels].tolist()
    assert "label" not in latents
    with np.load(outputs(pictures, "cvae") / "generated.npz") as generated:
        drawn = {label: generated["images"][generated["labels"] == label] for label in ("above", "below")}
    assert {label: images.shape for label, images in drawn.items()} == dict.fromkeys(drawn, (12, 12, 10))
    assert drawn["above"][:, :3].mean() > 150 > 100 > drawn["above"][:, 6:9].mean()
    assert drawn["below"][:, 6:9].mean() > 150 > 100 > drawn["below"][:, :3].mean()

    folder = pictures.path / "data/01_raw"
    np.save(folder / "new.npy", images[:1])
    (folder / "new.gz").write_bytes(
        gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3i", *images.shape) + images.tobytes())
    )
    pd.DataFrame(images.reshape(6, -1)).add_prefix("pixel").to_csv(folder / "new.csv", index=False)
    for kind, rest, n in (
        ("NpyDataset", "filepath: data/01_raw/new.npy", 1),
        ("IdxDataset", "filepath: data/01_raw/new.gz", 6),
        ("FeatureTableDataset", "filepath: data/01_raw/new.csv, image_shape: [12, 10]", 6),
    ):
        new = f"pca_inference.raw_images: {{type: latents.datasets.{kind}, {rest}}}\n"
        pictures.write("conf/local/catalog.yml", catalog + new)
        pictures.run("pca_inference", env=None)
        found = pd.read_parquet(outputs(pictures, "pca") / "coordinates.parquet")
        pd.testing.assert_frame_equal(found, coordinates.drop(columns="name")[:n])


def test_the_digits_are_refused_by_a_model_of_other_pictures(pictures):
    said = r"images have shape \(8, 8\); the model was trained on images of \(12, 10"
    for pipeline in ("pca_inference", "cvae_inference"):
        with pytest.raises(ValueError, match=said):
            pictures.run(pipeline, env=None)
