"""Whole runs through Kedro: what they leave on disk and in MLflow."""

import mlflow
import numpy as np
import pandas as pd
import plotly.io as pio
import pytest
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project
from kedro.runner import ThreadRunner
from scipy import sparse

FIGURES = {
    "clustering": ["bound.json", "topics.json", "labels.json", "sizes.json", "map.json"],
    "pca": [
        *("eigenimages.png", "reconstructions.png", "worst.png", "imputed.png"),
        *("distortion.json", "spectrum.json", "scatter.json", "errors.json"),
    ],
    "cvae": [
        *("generated.png", "learning.png", "styles.png", "class_paths.png", "interpolations.png"),
        *("traversals.png", "hardest.png", "reconstructions.png", "nearest.png"),
        *("bound.json", "class_bounds.json", "confusion.json", "latents.json", "nearest_distances.json"),
    ],
}
METRICS = {
    "clustering": "n_documents n_words n_components log_likelihood heldout_perplexity nmi ari accuracy bic icl "
    "npmi n_iter fit_seconds",
    "pca": "n_samples n_features n_components distortion distortion_gap explained_variance_ratio "
    "heldout_distortion fit_seconds",
    "cvae": "lower_bound_train lower_bound_test reconstruction kl log_likelihood_test log_marginal_test "
    "log_likelihood_test_error log_marginal_test_error "
    "n_importance_samples n_likelihood_images n_marginal_images n_units active_units accuracy_bayes epochs "
    "seconds_per_epoch n_drawn accuracy_drawn accuracy_classifier nearest_distance_ratio "
    "nearest_distance_ratio_copies",
}


@pytest.mark.parametrize("pipeline", FIGURES)
def test_leaves_metrics_figures_and_a_report(finished, pipeline):
    folder = finished.data() / "08_reporting" / pipeline
    metrics = finished.metrics(pipeline)
    assert metrics.keys() == set(METRICS[pipeline].split())
    assert all(np.isfinite(value) for value in metrics.values())
    for name in FIGURES[pipeline]:
        content = (folder / name).read_bytes()
        if name.endswith(".png"):
            assert content.startswith(b"\x89PNG")
        else:
            assert pio.from_json(content.decode()).data
    assert "</html>" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(
            (f"06_models/{name}/model.safetensors", f"06_models/{name}/predictor/model.safetensors")
            for name in FIGURES
        ),
        ("02_intermediate/pca/images/images.npy", "04_feature/pca/pixels/X.npy"),
    ],
)
def test_what_has_two_names_is_on_the_disk_once(finished, one, other):
    data = finished.path / "data/test"
    assert (data / one).samefile(data / other)


def test_environments_do_not_touch_one_another(finished):
    written = [path for path in (finished.path / "data").rglob("*") if path.is_file()]
    outside = {path.name for path in written if finished.path / "data/test" not in path.parents}
    assert outside == {"README.md", ".mlflow-setup.lock"}


def test_the_three_pipelines_have_the_same_nodes(template):
    bootstrap_project(template)
    names = {
        name: [node.name.removeprefix(f"{name}.") for node in pipelines[name].nodes]
        for name in ("clustering", "pca", "cvae")
    }
    assert set(map(tuple, names.values())) == {
        ("ingest", "features", "split", "fit", "evaluate", "draw", "export", "report")
    }


def test_one_mlflow_run_holds_everything(finished):
    mlflow.set_tracking_uri(finished.client.tracking_uri)  # models are looked up there, whatever the client's
    (run,) = finished.runs()
    assert run.info.status == "FINISHED"
    for pipeline in FIGURES:
        for name, value in finished.metrics(pipeline).items():
            assert run.data.metrics[f"{pipeline}/{name}"] == pytest.approx(value)
        assert finished.artifacts(run, pipeline) >= {*FIGURES[pipeline], "report.html"}
    parameters = run.data.params
    assert parameters["clustering.fit.n_components"] == "3"
    assert parameters["pca.fit.svd_solver"] == "auto"
    assert parameters["cvae.fit.hidden"] == "[32, 32]"
    assert "cvae.evaluate.n_importance_samples" in parameters
    # What was asked for as auto, and what was chosen, are parameters of their own.
    assert parameters["cvae.fit.likelihood"] == parameters["cvae.features.white"] == "auto"
    assert parameters["cvae.choice.likelihood"] == "bernoulli"
    assert parameters["cvae.choice.white"] == "16.0"
    assert parameters["cvae.choice.hidden"] == "[32, 32]"
    assert {f"cvae.choice.{name}" for name in ("n_latents", "epochs", "batch_size")} < parameters.keys()


def test_mlflow_has_a_point_per_iteration_and_epoch(finished):
    (run,) = finished.runs()
    assert [step for step, _ in finished.curve(run, "cvae/fit/lower_bound")] == [1, 2, 3]
    bounds = [value for _, value in finished.curve(run, "clustering/fit/lower_bound")]
    assert bounds == pytest.approx(finished.predictor("clustering").model.lower_bounds_)


@pytest.mark.parametrize("pipeline", FIGURES)
def test_the_predictor_reads_raw_data_as_the_training_did(finished, pipeline):
    folder, predictor = finished.data(), finished.predictor(pipeline)
    if pipeline == "clustering":
        documents = pd.read_parquet(folder / "02_intermediate/clustering/documents.parquet")
        table = predictor.predict(documents["text"])
        expected = pd.read_csv(folder / "07_model_output/clustering/assignments.csv")
        assert table["cluster"].tolist() == expected["cluster"].tolist()
        assert table["cluster_name"].tolist() == expected["cluster_name"].tolist()
        np.testing.assert_array_equal(table["n_tokens"], expected["n_tokens"])
    elif pipeline == "pca":
        table = predictor.predict(np.load(folder / "02_intermediate/pca/images/images.npy"))
        expected = pd.read_parquet(folder / "07_model_output/pca/scores.parquet")
        pd.testing.assert_frame_equal(table, expected[table.columns])
    else:
        images = np.load(folder / "02_intermediate/cvae/images/images.npy")
        labels = np.load(folder / "02_intermediate/cvae/images/labels.npy")
        pixels = predictor.pixels(images)
        np.testing.assert_array_equal(pixels[images.reshape(pixels.shape) == 0], 0)
        np.testing.assert_array_equal(pixels[images.reshape(pixels.shape) == 16], 1)
        assert predictor.generate(labels[:2]).max() <= 16


def test_assignments_cover_every_document(finished):
    folder = finished.path / "data/test"
    assignments = pd.read_csv(folder / "07_model_output/clustering/assignments.csv")
    documents = pd.read_parquet(folder / "02_intermediate/clustering/documents.parquet")
    counts = sparse.load_npz(folder / "04_feature/clustering/counts.npz")
    assert len(assignments) == len(documents) == counts.shape[0]
    assert assignments["cluster"].isin([0, 1, 2]).all()
    assert assignments["probability"].between(1 / 3, 1).all()
    assert assignments["held_out"].sum() == round(0.1 * len(documents))
    np.testing.assert_array_equal(assignments["n_tokens"], counts.sum(axis=1))


def test_scores_rebuild_the_images(finished):
    folder = finished.path / "data/test"
    scores = pd.read_parquet(folder / "07_model_output/pca/scores.parquet")
    model = finished.predictor("pca").model
    pixels = np.load(folder / "04_feature/pca/pixels/X.npy").reshape(len(scores), -1)  # a file of images
    rebuilt = model.inverse_transform(scores.filter(like="pc").to_numpy())
    np.testing.assert_allclose(((pixels - rebuilt) ** 2).sum(axis=1), scores["error"])


def numbers_of(project, pipeline):
    """Return the metrics that a seed repeats."""
    timing = {"fit_seconds", "seconds_per_epoch"}
    return {name: value for name, value in project.metrics(pipeline).items() if name not in timing}


def test_threads_leave_one_run_with_its_curves_and_the_same_numbers(finished, project):
    project.run(runner=ThreadRunner())
    (run,) = project.runs()
    assert run.info.status == "FINISHED"
    assert len(project.curve(run, "cvae/fit/lower_bound")) == 3
    assert {name.split("/")[0] for name in run.data.metrics} == set(FIGURES)
    assert {name.split(".")[0] for name in run.data.params} == set(FIGURES)
    models = project.client.search_logged_models([run.info.experiment_id])
    assert {(model.name, model.source_run_id) for model in models} == {
        (pipeline, run.info.run_id) for pipeline in FIGURES
    }
    for pipeline in FIGURES:
        assert project.artifacts(run, pipeline) >= {*FIGURES[pipeline], "report.html"}
        assert numbers_of(project, pipeline) == numbers_of(finished, pipeline)


def test_another_seed_gives_other_numbers(finished, project):
    project.run("cvae", params={"cvae": {"fit": {"random_state": 1}}}, until="evaluate")
    assert numbers_of(project, "cvae") != numbers_of(finished, "cvae")


def test_goes_on_from_a_node_with_other_parameters(continued):
    pixels = continued.path / "data/test/04_feature/pca/pixels/X.npy"
    before = pixels.stat().st_mtime_ns
    two = {"pca": {"fit": {"n_components": 2}}}
    continued.run("pca", params=two, from_nodes=["pca.fit"], until="evaluate")
    assert continued.metrics("pca")["n_components"] == 2
    assert pixels.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("pipeline", "fit"),
    [("clustering", {"n_components": 2}), ("pca", {"n_components": 2}), ("cvae", {"random_state": 5})],
)
def test_metrics_of_another_training_speak_for_no_model(continued, pipeline, fit):
    continued.run(pipeline, params={pipeline: {"fit": fit}}, from_nodes=[f"{pipeline}.fit"], until="fit")
    said = rf"metrics are of another training .* run from the node {pipeline}\.evaluate"
    with pytest.raises(ValueError, match=said):
        continued.run(pipeline, from_nodes=[f"{pipeline}.export"])
    assert continued.client.search_registered_models() == []


def test_what_reads_raw_data_goes_by_the_features_that_were_trained_on(continued):
    """Parameters that a later run is given, but does not compute features by, do not count."""
    rules = continued.predictor("clustering").rules
    other = {"clustering": {"features": {"lowercase": False}}, "cvae": {"features": {"white": 255.0}}}
    names = ["clustering.export", "cvae.export"]
    continued.run("clustering", "cvae", params=other, node_names=names)
    assert continued.predictor("clustering").rules == rules
    assert continued.predictor("cvae").white == 16.0


def test_a_failed_run_says_so(project):
    with pytest.raises(ValueError, match="n_components=100000 exceeds the number of documents"):
        project.run("clustering", params={"clustering": {"fit": {"n_components": 100000}}})
    (run,) = project.runs()
    assert run.info.status == "FAILED"
    project.run("clustering", until="ingest")
    assert [run.info.status for run in project.runs()] == ["FINISHED", "FAILED"]


def test_nothing_held_out_leaves_out_the_held_out_metrics(project):
    nothing = {"split": {"held_out_fraction": 0.0}}
    project.run("clustering", "pca", params={"clustering": nothing, "pca": nothing})
    assert "heldout_perplexity" not in project.metrics("clustering")
    assert "heldout_distortion" not in project.metrics("pca")


def test_without_mlflow_the_files_are_still_written(project):
    project.write(
        "conf/test/mlflow.yml", "tracking:\n  disable_tracking:\n    pipelines: [clustering, pca, cvae]\n"
    )
    # In a process of its own: kedro-mlflow would go on with the last run of this one.
    project.kedro("run", "--env", "test", "--pipelines", "pca", "--to-nodes", "pca.evaluate")
    assert project.metrics("pca")["n_components"] == 4
    assert project.runs() == []
