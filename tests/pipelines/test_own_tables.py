"""Tables of one's own, as spreadsheets, Spark and other libraries leave them, from their YAML to the report."""

import re

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from tests.conftest import ROOT

MANUAL = (ROOT / "docs/data.md").read_text()
(SPREADSHEET,) = re.findall(r"```yaml\n(# Rows such as .*?)```", MANUAL, flags=re.DOTALL)
WORDS = ["anchor", "harbour", "sail", "ship", "keel", "airport", "plane", "wing", "pilot", "tower"]


def test_numbers_of_a_spreadsheet(project):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(20, 4)).round(3), columns=["Länge", "Breite", "Höhe", "Gewicht"])
    rows.insert(0, "name", [f"Wölfe {i}" for i in range(20)])
    path = project.path / "data/01_raw/measured.csv"
    path.parent.mkdir(parents=True)
    rows.to_csv(path, sep=";", decimal=",", encoding="cp1252", index=False)
    project.write("conf/local/catalog.yml", SPREADSHEET)
    project.write("conf/local/parameters.yml", "pca: {fit: {n_components: 2}}\n")
    project.run("pca", env=None)
    assert project.metrics("pca", env=None)["n_features"] == 4
    scores = pd.read_parquet(project.path / "data/07_model_output/pca/scores.parquet")
    assert scores["name"].tolist() == rows["name"].tolist()
    X = rows.drop(columns="name").to_numpy()
    train = ~scores["held_out"].to_numpy()
    total = ((X[train] - X[train].mean(axis=0)) ** 2).sum(axis=1).mean()
    curve = pd.read_csv(project.path / "data/08_reporting/pca/distortions.csv")["distortion"]
    assert curve[0] == pytest.approx(total)
    path.write_bytes(path.read_bytes().replace(b"W\xf6lfe 3;", b"W\xf6lfe 3;x"))
    said = r"measured\.csv, line 5: column 'Länge' is 'x.*allowed are finite"
    with pytest.raises(DatasetError, match=said):
        project.run("pca", env=None)


def test_documents_of_polars_and_what_is_no_table(project):
    texts = [f"the {word} {word} over {'waves' if i % 2 else 'clouds'}" for i, word in enumerate(WORDS)]
    rows = [f"{text},{i % 2}\n" for i, text in enumerate(texts)]
    project.write("data/01_raw/texts.csv", "".join(["text,label\n", *rows]))
    for i, text in enumerate(texts):
        project.write(f"data/01_raw/parts/{i}.txt", text)
    project.write(
        "conf/local/parameters.yml", "clustering: {features: {min_df: 1}, fit: {n_components: 2}}\n"
    )

    def run(entry):
        project.write("conf/local/catalog.yml", f"clustering.raw_documents: {entry}\n")
        project.run("clustering", env=None, to_nodes=["clustering.ingest"])

    run("{type: polars.LazyPolarsDataset, filepath: data/01_raw/texts.csv, file_format: csv}")
    documents = pd.read_parquet(project.path / "data/02_intermediate/clustering/documents.parquet")
    assert documents.to_dict("list") == {"text": texts, "label": ["0", "1"] * 5}
    with pytest.raises(ValueError, match=r"10 partitions \(.*latents\.datasets\.TextFolderDataset"):
        run("{type: partitions.PartitionedDataset, path: data/01_raw/parts, dataset: text.TextDataset}")
