"""The models that a run leaves in MLflow, as people use them."""

import json
import shutil
import urllib.error
import urllib.request

import mlflow
import numpy as np
import pandas as pd
import pytest

from latents.features.documents import excerpt
from latents.tracking import registry
from tests.conftest import Project
from tests.servers import DIRECT, LOCAL, free_port, served

JSON, CSV = "application/json", "text/csv"
PIPELINES = ("clustering", "pca", "cvae")
OUTPUTS = {
    "clustering": "cluster cluster_name probability familiarity n_tokens deciding_words p_0 p_1 p_2",
    "pca": "pc1 pc2 pc3 pc4 error",
    "cvae": "predicted p_0 p_1 p_2 p_3 p_4 p_5 p_6 p_7 p_8 p_9 lower_bound z1 z2 z3 z4",
}


def name_of(pipeline, env="test"):
    return f"latents-{pipeline}-{env}"


def champion(project, pipeline):
    """Load the champion of a pipeline as MLflow's users do."""
    mlflow.set_tracking_uri(project.client.tracking_uri)  # a test in between may have had another project
    return mlflow.pyfunc.load_model(f"models:/{name_of(pipeline)}@champion")


def raw_data(project, pipeline):
    folder = project.data() / "02_intermediate"
    if pipeline == "clustering":
        return pd.read_parquet(folder / "clustering/documents.parquet")[["text"]][:5]
    if pipeline == "pca":
        return np.load(folder / "pca/images/images.npy")[:5]
    return np.load(folder / "cvae/images/images.npy")[:5]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_champion_answers_as_the_predictor_does(finished, pipeline):
    data = raw_data(finished, pipeline)
    expected = finished.predictor(pipeline).predict(data["text"] if pipeline == "clustering" else data)
    given = data if pipeline == "clustering" else data.astype(np.float64)  # MLflow converts JSON alone
    pd.testing.assert_frame_equal(champion(finished, pipeline).predict(given), expected)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_signature_example_and_requirements_say_what_it_takes(finished, pipeline):
    model = champion(finished, pipeline)
    signature, example = model.metadata.signature, model.input_example
    assert signature.outputs.input_names() == OUTPUTS[pipeline].split()
    assert list(model.predict(example).columns) == OUTPUTS[pipeline].split()
    assert len(example) == 2
    if pipeline == "clustering":
        assert [(column.name, column.type.name) for column in signature.inputs] == [("text", "string")]
        documents = pd.read_parquet(finished.data() / "02_intermediate/clustering/documents.parquet")
        assert set(example["text"]) <= {excerpt(text, 500) for text in documents["text"]}
    else:
        (tensor,) = signature.inputs.inputs
        assert (tensor.shape, tensor.type) == ((-1, 8, 8), np.float64)
    needed = mlflow.pyfunc.get_model_dependencies(f"models:/{name_of(pipeline)}@champion")
    with open(needed) as file:
        pinned = dict(line.strip().split("==") for line in file)
    assert ("torch" in pinned) == (pipeline != "pca")
    assert ("polars" in pinned) == (pipeline == "clustering")
    assert "kedro" not in pinned


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_versions_come_from_the_run_and_tell_their_headline(finished, pipeline):
    (run,) = finished.runs()
    version = finished.client.get_model_version_by_alias(name_of(pipeline), registry.CHAMPION)
    assert version.run_id == run.info.run_id
    metric = {"clustering": "heldout_perplexity", "pca": "heldout_distortion", "cvae": "lower_bound_test"}
    assert version.tags["metric"] == metric[pipeline]
    assert float(version.tags["value"]) == run.data.metrics[f"{pipeline}/{metric[pipeline]}"]
    same = {
        "clustering": {"n_components", "vocabulary", "counts", "split"},
        "pca": {"n_components", "data", "split"},
        "cvae": {"likelihood", "pixels", "split", "test pixels"},
    }
    assert version.tags.keys() == {"metric", "value", *(f"same.{name}" for name in same[pipeline])}


def test_a_project_in_a_folder_with_a_percent_sign_logs_its_model(template, tmp_path):
    project = Project(tmp_path / "100%20")
    shutil.copytree(template, project.path)
    project.run("pca", until="export")
    (run,) = project.runs()
    assert run.info.status == "FINISHED"
    assert len(project.client.search_logged_models([run.info.experiment_id])) == 1


def test_runs_in_one_process_compete_where_they_can(project):
    for changed in ({}, {}, {"fit": {"n_components": 6}}, {"split": {"random_state": 5}}):
        project.run("pca", params={"pca": changed}, until="export")
    name = name_of("pca")
    assert [model.name for model in project.client.search_registered_models()] == [name]
    found = project.client.search_model_versions(f"name='{name}'")
    assert sorted(int(version.version) for version in found) == [1, 2, 3, 4]
    assert int(project.client.get_model_version_by_alias(name, "champion").version) == 1


def test_a_plain_run_is_of_the_environment_base(project):
    project.write("conf/local/parameters.yml", "pca: {fit: {n_components: 3}}\n")
    project.run("pca", env=None, until="export")
    assert [model.name for model in project.client.search_registered_models()] == ["latents-pca-base"]


def test_a_run_that_fails_after_its_model_is_logged_registers_none(project, monkeypatch):
    def breaks(*args, **kwargs):
        raise RuntimeError("the report broke")

    monkeypatch.setattr("latents.reporting.pages.pca", breaks)
    with pytest.raises(RuntimeError, match="the report broke"):
        project.run("pca")
    (run,) = project.runs()
    assert len(project.client.search_logged_models([run.info.experiment_id])) == 1
    assert project.client.search_registered_models() == []
    monkeypatch.undo()
    project.run("pca", from_nodes=["pca.report"])
    assert project.client.search_registered_models() == []


def test_a_registry_that_is_away_costs_neither_the_training_nor_the_run(project, monkeypatch, caplog):
    def away(*args, **kwargs):
        raise mlflow.MlflowException("database is locked")

    monkeypatch.setattr(mlflow.MlflowClient, "create_registered_model", away)
    project.run("pca")
    (run,) = project.runs()
    assert run.info.status == "FINISHED"
    assert "did not take it as latents-pca-test (database is locked); register it" in caplog.text
    assert (project.path / "data/test/08_reporting/pca/report.html").is_file()


def post(address, body, content_type=JSON):
    """Return the status and what a server answered; anything but bytes and text is sent as JSON."""
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    request = urllib.request.Request(
        f"{address}/invocations",
        data=content.encode() if isinstance(content, str) else content,
        headers={"Content-Type": content_type},
    )
    try:
        with DIRECT.open(request, timeout=300) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def serving(finished):
    """Yield the addresses of two servers, one of texts and one of images, by the command that a user types."""
    addresses, commands = {}, {}
    for pipeline in ("clustering", "cvae"):
        port = free_port()
        addresses[pipeline] = f"http://{LOCAL}:{port}"
        options = ["--env-manager", "local", "--host", LOCAL, "--port", str(port)]
        model = f"models:/{name_of(pipeline)}@champion"
        commands[f"{addresses[pipeline]}/ping"] = ["mlflow", "models", "serve", "-m", model, *options]
    environment = {**finished.environment, "MLFLOW_TRACKING_URI": finished.client.tracking_uri}
    with served(commands, finished.path, environment):
        yield addresses


@pytest.mark.slow
def test_texts_are_answered_in_every_form(finished, serving):
    texts = raw_data(finished, "clustering")
    expected = finished.predictor("clustering").predict(texts["text"])
    rows = texts.to_dict("records")
    for body, content_type in [
        ({"dataframe_records": rows}, JSON),
        ({"dataframe_split": {"columns": ["text"], "data": texts.to_numpy().tolist()}}, JSON),
        ({"inputs": texts["text"].tolist()}, JSON),
        ({"dataframe_records": [{"name": "a", **row} for row in rows]}, JSON),
        (texts.to_csv(index=False), f"{CSV}; charset=utf-8"),
    ]:
        status, answer = post(serving["clustering"], body, content_type)
        assert status == 200, answer
        pd.testing.assert_frame_equal(pd.DataFrame(json.loads(answer)["predictions"]), expected)


@pytest.mark.slow
def test_what_is_missing_is_null_to_every_reader_of_json(serving):
    """Python alone reads NaN, which is no JSON."""
    status, answer = post(serving["clustering"], {"inputs": ["a matrix", "0"]})
    assert status == 200, answer
    known, unknown = json.loads(answer, parse_constant=pytest.fail)["predictions"]
    assert (known["familiarity"] is None, unknown["familiarity"]) == (False, None)
    assert (unknown["n_tokens"], unknown["deciding_words"]) == (0, "")


@pytest.mark.slow
def test_images_are_answered(finished, serving):
    images = raw_data(finished, "cvae")
    expected = finished.predictor("cvae").predict(images)
    status, answer = post(serving["cvae"], {"inputs": images.tolist()})
    assert status == 200, answer
    table = pd.DataFrame(json.loads(answer)["predictions"])
    assert table["predicted"].tolist() == expected["predicted"].tolist()
    np.testing.assert_allclose(table.to_numpy(), expected.to_numpy(), rtol=1e-4)


def image(value=0, size=8):
    return [[[value] * size] * size]


def records(*texts):
    return {"dataframe_records": [{"text": text} for text in texts]}


# What is posted, the reason that comes back, and where they are others the type of content and the status.
BAD_TEXTS = {
    "no JSON": ("{text", "valid JSON"),
    "no UTF-8": (b"\xff{}", "valid JSON"),
    "no form": ({"texts": ["a"]}, "exactly one of the input fields"),
    "a list": (["a"], "Received a list"),
    "no column": ({"dataframe_records": [{"b": "a"}]}, "missing inputs ['text']"),
    "no CSV column": ("b\na\n", "missing inputs ['text']", CSV),
    "a number": (records(5), "text 0 is 5; allowed are texts"),
    "null": (records("a", None), "text 1 is nan; allowed are texts"),
    "a list for a text": (records(["a"]), "text 0 is ['a']"),
    "nothing": ({"inputs": []}, "there is no text"),
    "no rows": (records(), "missing inputs ['text']"),
    "half a character": ('{"inputs": ["\\ud800"]}', "surrogates not allowed"),
    "deep": ('{"inputs": ' + "[" * 60 + '"a"' + "]" * 60 + "}", "text 0 is [[["),
    "null among inputs": ({"inputs": ["a", None]}, "text 1 is None; allowed are texts"),
    "numbers among inputs": ({"inputs": {"text": [1.5]}}, "text 0 is 1.5"),
    "an endless number": ('{"inputs": [' + "9" * 5000 + "]}", "integer string"),
    "an unquoted comma": (
        "text\na sparse matrix, of a system\n",
        "begins with 'a sparse matrix' has more values than the header has names",
        CSV,
    ),
    "deeper": ('{"inputs": ' + "[" * 100_000, "nested too deeply"),
    "broken CSV": ('text\n"open', "EOF inside string", CSV),
    "no Parquet": ("text", "valid Parquet", "application/vnd.apache.parquet"),
    "no type": ("{}", "only supports", "", 415),
    "another type": ("a", "only supports", "text/plain", 415),
    "another charset": ("{}", "UTF-8", f"{JSON}; charset=latin-1", 415),
}
BAD_IMAGES = {
    "CSV": ("a\n1\n", "takes arrays, which CSV is not", CSV),
    "another size": ({"inputs": image(size=7)}, "(1, 7, 7) does not match"),
    "ragged": ({"inputs": [[[0] * 8] * 7 + [[0] * 9]]}, "inhomogeneous shape"),
    "texts": ({"inputs": image("a")}, "could not convert string to float: 'a'"),
    "nulls": ({"inputs": image(None)}, "image 0 has nan at (0, 0); allowed are finite"),
    "infinity": (json.dumps({"inputs": image()}).replace("[[[0", "[[[1e999"), "has inf"),
    "too bright": ({"inputs": image(17)}, "is 17.0; allowed are 0 to 16"),
    "no image": ({"inputs": []}, "type <class 'list'>"),
    "one number": ({"inputs": 5}, "Shape of input ()"),
    "a table": ({"dataframe_records": [{"a": 1}]}, "tensor spec shape of (-1, 8, 8)"),
}
GOOD = {"clustering": {"inputs": ["a text"]}, "cvae": {"inputs": image()}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pipeline", "case"),
    [*(("clustering", case) for case in BAD_TEXTS), *(("cvae", case) for case in BAD_IMAGES)],
)
def test_bad_requests_are_answered_by_the_reason_alone(serving, pipeline, case):
    body, reason, *others = (BAD_TEXTS if pipeline == "clustering" else BAD_IMAGES)[case]
    content_type, expected = [*others, *(JSON, 400)[len(others) :]]
    status, answer = post(serving[pipeline], body, content_type)
    assert status == expected, answer
    assert reason in answer
    assert "Traceback" not in answer
    assert "stack_trace" not in answer
    assert post(serving[pipeline], GOOD[pipeline])[0] == 200
