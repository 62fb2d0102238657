"""Tables of one's own, as spreadsheets, Spark and other libraries leave them, from their YAML to the report."""

import json
import re

import mlflow
import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from mlflow.pyfunc.scoring_server import infer_and_parse_data

from tests.conftest import ROOT

MANUAL, MODELS = ((ROOT / f"docs/{name}.md").read_text() for name in ("data", "models"))
(WEIGHED,) = re.findall(r"```yaml\n(pca.raw_images: [^`]*?weight: [^`]*?)```", MODELS, flags=re.DOTALL)
(GAPS,) = re.findall(r"```yaml\n(pca.raw_images: [^`]*?missing: true[^`]*?)```", MODELS, flags=re.DOTALL)
(ESTIMATED,) = re.findall(r"```yaml\n(pca: {fit: {missing: [^`]*?)```", MODELS, flags=re.DOTALL)
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


def test_rows_with_weights(project, caplog):
    """What is said of rows with weights is what is said of the rows repeated, from the table to the report."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)), columns=[*"abcde"])
    held_out, weights = np.arange(60) % 4 == 0, np.arange(60) % 5
    rows = X.assign(held_out=held_out, n_seen=weights)
    path = project.path / "data/01_raw/weighed.csv"
    path.parent.mkdir(parents=True)

    def run(table, entry, fit=""):
        table.to_csv(path, index=False)
        project.write("conf/local/catalog.yml", entry)
        project.write("conf/local/parameters.yml", f"pca: {{fit: {{n_components: 2{fit}}}}}\n")
        project.run("pca", env=None)
        curve = pd.read_csv(project.path / "data/08_reporting/pca/distortions.csv")
        return project.metrics("pca", env=None), curve

    repeated = rows.drop(columns="n_seen").iloc[np.repeat(np.arange(60), weights)]
    expected, of_repeated = run(repeated, re.sub(r",\s*weight: \w+", "", WEIGHED))
    assert "unweighted" not in of_repeated
    found, curve = run(rows, WEIGHED)
    for name in ("distortion", "explained_variance_ratio", "heldout_distortion"):
        assert found[name] == pytest.approx(expected[name], rel=1e-9)
    assert found["distortion_gap"] < 1e-9
    assert found["n_samples"] == np.count_nonzero(weights[~held_out])
    for name in ("distortion", "measured", "heldout", "heldout_measured"):
        np.testing.assert_allclose(curve[name], of_repeated[name], rtol=1e-9)
    scores = pd.read_parquet(project.path / "data/07_model_output/pca/scores.parquet")
    assert scores["weight"].tolist() == weights.tolist()
    np.testing.assert_allclose(curve["unweighted"].dropna().iloc[-1], scores["error"][~held_out].mean())
    assert "36 of 45 training rows have a weight above 0; they add up to" in caplog.text
    assert "where all rows count alike" in (project.path / "data/08_reporting/pca/report.html").read_text()

    alike, curve = run(rows, WEIGHED, ", use_weights: false")
    assert "unweighted" not in curve
    train = X.to_numpy()[~held_out]
    assert curve["distortion"][0] == pytest.approx(train.var(axis=0).sum())
    assert alike["n_samples"] == 45

    for bad, said in (
        (rows.assign(n_seen=-1.0), "row 0 has weight -1; allowed are numbers of at least 0"),
        (rows.assign(n_seen=0), "0 of 45 training rows have a weight above 0; at least 2 are needed"),
        (
            rows.assign(n_seen=held_out.astype(int)),
            "0 of 45 training rows have a weight above 0; at least 2 are needed",
        ),
    ):
        with pytest.raises((ValueError, DatasetError), match=said):
            run(bad, WEIGHED)
    found, _ = run(rows.assign(n_seen=(~held_out).astype(int)), WEIGHED)
    assert "heldout_distortion" not in found


def test_rows_that_lack_numbers(project):
    """Empty cells go from the table to the report, the served model and new rows, where they are asked for."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(80, 5))
    gaps = rng.random(X.shape) < 0.2
    gaps[:3] = False
    rows = pd.DataFrame(np.where(gaps, np.nan, X), columns=[*"abcde"])
    path = project.path / "data/01_raw/gaps.csv"
    path.parent.mkdir(parents=True)
    rows.to_csv(path, index=False)
    project.write("conf/local/catalog.yml", GAPS)
    project.write("conf/local/parameters.yml", "pca: {fit: {n_components: 2}}\n")
    with pytest.raises(ValueError, match=r"has nan in feature '.'; .* pca\.fit\.missing: em estimates them"):
        project.run("pca", env=None)
    project.write("conf/local/parameters.yml", ESTIMATED)
    rows.assign(d=np.nan).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"feature 'd' has no number in any row \(1 of 5 have none\)"):
        project.run("pca", env=None)
    rows.to_csv(path, index=False)
    project.run("pca", env=None)
    metrics = project.metrics("pca", env=None)
    assert metrics["missing_share"] == gaps.mean()
    assert metrics["heldout_distortion"] < 0.1 * rows.var().sum()
    report = (project.path / "data/08_reporting/pca/report.html").read_text()
    assert "What was missing" in report
    assert "They lie on the line" not in report
    predictor = project.predictor("pca", env=None)
    imputed = predictor.impute(rows)
    np.testing.assert_array_equal(imputed[~gaps], X[~gaps])
    assert np.square(imputed - X)[gaps].mean() < 0.1 * X.var(axis=0).mean()
    scores = pd.read_parquet(project.path / "data/07_model_output/pca/scores.parquet")
    np.testing.assert_allclose(predictor.predict(rows)["error"], scores["error"])

    mlflow.set_tracking_uri(project.client.tracking_uri)
    served = mlflow.pyfunc.load_model("models:/latents-pca-base@champion")
    assert not served.input_example.isna().any(axis=None)
    body = json.dumps({"dataframe_records": json.loads(rows.to_json(orient="records"))})  # null where empty
    sent = infer_and_parse_data(json.loads(body), served.metadata.get_input_schema())
    assert sent.isna().to_numpy().tolist() == gaps.tolist()
    np.testing.assert_allclose(served.predict(sent)["error"], scores["error"])

    with (project.path / "conf/local/catalog.yml").open("a") as file:
        file.write(GAPS.replace("pca.raw", "pca_inference.raw"))
    project.run("pca_inference", env=None)
    (found,) = (project.path / "data/07_model_output/pca_inference").glob("coordinates*")
    table = pd.read_csv(found) if found.suffix == ".csv" else pd.read_parquet(found)
    np.testing.assert_allclose(table["error"], scores["error"], rtol=1e-6)


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


def test_rows_that_lie_apart(project, caplog):
    """Where the fit is robust, they are left out of it and told of, from the log to the report."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(200, 6))
    apart = np.arange(200) % 20 == 3  # a training row and a held-out one by turns
    X[apart] += 5 * rng.normal(size=6)
    held_out = np.arange(200) % 8 >= 6
    rows = pd.DataFrame(X, columns=[*"abcdef"]).assign(held_out=held_out)
    path = project.path / "data/01_raw/weighed.csv"
    path.parent.mkdir(parents=True)
    rows.assign(n_seen=1).to_csv(path, index=False)
    project.write("conf/local/catalog.yml", re.sub(r",\s*weight: \w+", "", WEIGHED))
    project.write("conf/local/parameters.yml", "pca: {fit: {n_components: 2, robust: true}}\n")
    rows.to_csv(path, index=False)
    project.run("pca", env=None)
    scores = pd.read_parquet(project.path / "data/07_model_output/pca/scores.parquet")
    assert scores["outlying"][apart].all()
    assert scores["outlying"][~apart].mean() < 0.05
    metrics = project.metrics("pca", env=None)
    assert metrics["n_outlying"] == (scores["outlying"] & ~held_out).sum() == 150 - metrics["n_samples"]
    assert f"{metrics['n_outlying']} of 150 training rows are left out" in caplog.text
    kept = scores[~held_out & ~scores["outlying"]]
    assert metrics["distortion"] == pytest.approx(kept["error"].mean())
    assert metrics["distortion_gap"] < 1e-9
    worst = pd.read_csv(project.path / "data/08_reporting/pca/worst.csv")
    assert worst["outlying"].sum() == min(len(worst), scores["outlying"].sum())
    predicted = project.predictor("pca", env=None).predict(rows)
    assert predicted["outlying"][held_out].tolist() == scores["outlying"][held_out].tolist()
    assert predicted["outlying"][apart].all()
    page = (project.path / "data/08_reporting/pca/report.html").read_text()
    assert "left out of the fit, as they lie apart" in page
    assert "left out beyond" in page

    project.write("conf/local/catalog.yml", WEIGHED)
    rows.assign(n_seen=1).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"allowed is robust: false, or use_weights: false"):
        project.run("pca", env=None)
