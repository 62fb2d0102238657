"""The models that a run leaves in MLflow, as people use them."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import mlflow
import numpy as np
import pandas as pd
import pytest

from latents import predictors
from latents.tracking import registry
from tests.conftest import Project

PIPELINES = ("clustering", "pca", "cvae")
OUTPUTS = {
    "clustering": "cluster cluster_name probability n_tokens deciding_words p_0 p_1 p_2",
    "pca": "pc1 pc2 pc3 pc4 error",
    "cvae": "predicted p_0 p_1 p_2 p_3 p_4 p_5 p_6 p_7 p_8 p_9 lower_bound z1 z2 z3 z4",
}


def name_of(pipeline, env="test"):
    return f"latents-{pipeline}-{env}"


@pytest.fixture(scope="module")
def served(finished):
    """Return a function that loads the champion of a pipeline as MLflow's users do."""

    def load(pipeline):
        mlflow.set_tracking_uri(
            finished.client.tracking_uri
        )  # a test in between may have had another project
        return mlflow.pyfunc.load_model(f"models:/{name_of(pipeline)}@champion")

    return load


def predictor_of(project, pipeline):
    return predictors.load(project.path / f"data/test/06_models/{pipeline}/predictor")


def raw_data(project, pipeline):
    folder = project.path / "data/test/02_intermediate"
    if pipeline == "clustering":
        return pd.read_parquet(folder / "clustering/documents.parquet")[["text"]][:5]
    if pipeline == "pca":
        return np.load(folder / "pca/images/images.npy")[:5]
    return np.load(folder / "cvae/images.npz")["images"][:5]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_champion_answers_as_the_predictor_does(finished, served, pipeline):
    data = raw_data(finished, pipeline)
    expected = predictor_of(finished, pipeline).predict(data["text"] if pipeline == "clustering" else data)
    given = data if pipeline == "clustering" else data.astype(np.float64)  # MLflow converts JSON alone
    pd.testing.assert_frame_equal(served(pipeline).predict(given), expected)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_signature_example_and_requirements_say_what_it_takes(finished, served, pipeline):
    model = served(pipeline)
    signature, example = model.metadata.signature, model.input_example
    assert signature.outputs.input_names() == OUTPUTS[pipeline].split()
    assert list(model.predict(example).columns) == OUTPUTS[pipeline].split()
    assert len(example) == 2
    if pipeline == "clustering":
        assert [(column.name, column.type.name) for column in signature.inputs] == [("text", "string")]
        assert set(example["text"]) <= set(raw_documents(finished).str[:500])
    else:
        (tensor,) = signature.inputs.inputs
        assert (tensor.shape, tensor.type) == ((-1, 8, 8), np.float64)
    needed = mlflow.pyfunc.get_model_dependencies(f"models:/{name_of(pipeline)}@champion")
    with open(needed) as file:
        pinned = dict(line.strip().split("==") for line in file)
    assert ("torch" in pinned) == (pipeline != "pca")
    assert ("polars" in pinned) == (pipeline == "clustering")
    assert "kedro" not in pinned


def raw_documents(project):
    return pd.read_parquet(project.path / "data/test/02_intermediate/clustering/documents.parquet")["text"]


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


def versions(project, name):
    return sorted(int(found.version) for found in project.client.search_model_versions(f"name='{name}'"))


def test_runs_in_one_process_compete_where_they_can(project):
    for changed in ({}, {}, {"fit": {"n_components": 6}}, {"split": {"random_state": 5}}):
        project.run("pca", params={"pca": changed}, until="export")
    name = name_of("pca")
    assert [model.name for model in project.client.search_registered_models()] == [name]
    assert versions(project, name) == [1, 2, 3, 4]
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


class Server:
    """A model that is served on a port of this machine."""

    def __init__(self, port):
        self._address = f"http://127.0.0.1:{port}/"
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def is_up(self):
        try:
            with self._open(self._address + "ping", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def post(self, body, content_type="application/json"):
        """Return the status and what was answered; anything but bytes and text is sent as JSON."""
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        request = urllib.request.Request(
            self._address + "invocations",
            data=content.encode() if isinstance(content, str) else content,
            headers={"Content-Type": content_type},
        )
        try:
            with self._open(request, timeout=300) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def serving(finished, tmp_path_factory):
    """Yield two servers, one of texts and one of images, by the command that a user types."""
    servers, processes = {}, []
    environment = {**finished.environment, "MLFLOW_TRACKING_URI": finished.client.tracking_uri}
    try:
        with socket.socket() as one, socket.socket() as other:
            for free in (one, other):
                free.bind(("127.0.0.1", 0))
            ports = [free.getsockname()[1] for free in (one, other)]
        for pipeline, port in zip(("clustering", "cvae"), ports, strict=True):
            command = ["mlflow", "models", "serve", "-m", f"models:/{name_of(pipeline)}@champion"]
            options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
            log = tmp_path_factory.mktemp("serving") / "server.log"
            with log.open("w") as file:
                process = subprocess.Popen(
                    [*command, *options],
                    cwd=finished.path,
                    env=environment,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            processes.append(process)
            servers[pipeline] = (Server(port), process, log)
        deadline = time.monotonic() + 300
        for server, process, log in servers.values():
            while not server.is_up():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
        yield {pipeline: server for pipeline, (server, *_) in servers.items()}
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, 15)
        for process in processes:
            process.wait(timeout=300)


@pytest.mark.release
def test_texts_are_answered_in_every_form(finished, serving):
    texts = raw_data(finished, "clustering")
    expected = predictor_of(finished, "clustering").predict(texts["text"])
    rows = texts.to_dict("records")
    for body, content_type in [
        ({"dataframe_records": rows}, "application/json"),
        ({"dataframe_split": {"columns": ["text"], "data": texts.to_numpy().tolist()}}, "application/json"),
        ({"inputs": texts["text"].tolist()}, "application/json"),
        ({"dataframe_records": [{"name": "a", **row} for row in rows]}, "application/json"),
        (texts.to_csv(index=False), "text/csv; charset=utf-8"),
    ]:
        status, answer = serving["clustering"].post(body, content_type)
        assert status == 200, answer
        pd.testing.assert_frame_equal(pd.DataFrame(json.loads(answer)["predictions"]), expected)


@pytest.mark.release
def test_images_are_answered(finished, serving):
    images = raw_data(finished, "cvae")
    expected = predictor_of(finished, "cvae").predict(images)
    status, answer = serving["cvae"].post({"inputs": images.tolist()})
    assert status == 200, answer
    table = pd.DataFrame(json.loads(answer)["predictions"])
    assert table["predicted"].tolist() == expected["predicted"].tolist()
    np.testing.assert_allclose(table.to_numpy(), expected.to_numpy(), rtol=1e-4)


def image(value=0, size=8):
    return [[[value] * size] * size]


JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
BAD = {
    "no JSON": ("clustering", "{text", JSON, 400, "valid JSON"),
    "no UTF-8": ("clustering", b"\xff{}", JSON, 400, "valid JSON"),
    "no form": ("clustering", {"texts": ["a"]}, JSON, 400, "exactly one of the input fields"),
    "a list": ("clustering", ["a"], JSON, 400, "Received a list"),
    "no column": ("clustering", {"dataframe_records": [{"b": "a"}]}, JSON, 400, "missing inputs ['text']"),
    "no CSV column": ("clustering", "b\na\n", CSV, 400, "missing inputs ['text']"),
    "a number": (
        "clustering",
        {"dataframe_records": [{"text": 5}]},
        JSON,
        400,
        "text 0 is 5; allowed are texts",
    ),
    "null": (
        *("clustering", {"dataframe_records": [{"text": "a"}, {"text": None}]}, JSON, 400),
        "text 1 is nan; allowed are texts",
    ),
    "a list for a text": (
        "clustering",
        {"dataframe_records": [{"text": ["a"]}]},
        JSON,
        400,
        "text 0 is ['a']",
    ),
    "nothing": ("clustering", {"inputs": []}, JSON, 400, "there is no text"),
    "no rows": ("clustering", {"dataframe_records": []}, JSON, 400, "missing inputs ['text']"),
    "half a character": ("clustering", '{"inputs": ["\\ud800"]}', JSON, 400, "surrogates not allowed"),
    "deep": ("clustering", '{"inputs": ' + "[" * 60 + '"a"' + "]" * 60 + "}", JSON, 400, "text 0 is [[["),
    "null among inputs": (
        "clustering",
        {"inputs": ["a", None]},
        JSON,
        400,
        "text 1 is None; allowed are texts",
    ),
    "numbers among inputs": ("clustering", {"inputs": {"text": [1.5]}}, JSON, 400, "text 0 is 1.5"),
    "an endless number": ("clustering", '{"inputs": [' + "9" * 5000 + "]}", JSON, 400, "integer string"),
    "an unquoted comma": (
        *("clustering", "text\na sparse matrix, of a system\n", CSV, 400),
        "begins with 'a sparse matrix' has more values than the header has names",
    ),
    "deeper": ("clustering", '{"inputs": ' + "[" * 100_000, JSON, 400, "nested too deeply"),
    "broken CSV": ("clustering", 'text\n"open', CSV, 400, "EOF inside string"),
    "no Parquet": ("clustering", "text", PARQUET, 400, "valid Parquet"),
    "no type": ("clustering", "{}", "", 415, "only supports"),
    "CSV for images": ("cvae", "a\n1\n", CSV, 400, "takes arrays, which CSV is not"),
    "another type": ("clustering", "a", "text/plain", 415, "only supports"),
    "another charset": ("clustering", "{}", f"{JSON}; charset=latin-1", 415, "UTF-8"),
    "another size": ("cvae", {"inputs": image(size=7)}, JSON, 400, "(1, 7, 7) does not match"),
    "ragged": ("cvae", {"inputs": [[[0] * 8] * 7 + [[0] * 9]]}, JSON, 400, "inhomogeneous shape"),
    "texts": ("cvae", {"inputs": image("a")}, JSON, 400, "could not convert string to float: 'a'"),
    "nulls": ("cvae", {"inputs": image(None)}, JSON, 400, "image 0 has nan at (0, 0); allowed are finite"),
    "infinity": (
        "cvae",
        json.dumps({"inputs": image()}).replace("[[[0", "[[[1e999"),
        JSON,
        400,
        "has inf",
    ),
    "too bright": ("cvae", {"inputs": image(17)}, JSON, 400, "is 17.0; allowed are 0 to 16"),
    "no image": ("cvae", {"inputs": []}, JSON, 400, "type <class 'list'>"),
    "one number": ("cvae", {"inputs": 5}, JSON, 400, "Shape of input ()"),
    "a table": ("cvae", {"dataframe_records": [{"a": 1}]}, JSON, 400, "tensor spec shape of (-1, 8, 8)"),
}


@pytest.mark.release
@pytest.mark.parametrize("case", BAD)
def test_bad_requests_are_answered_by_the_reason_alone(serving, case):
    pipeline, body, content_type, expected, reason = BAD[case]
    status, answer = serving[pipeline].post(body, content_type)
    assert status == expected, answer
    assert reason in answer
    assert "Traceback" not in answer
    assert "stack_trace" not in answer
    good = {"clustering": {"inputs": ["a text"]}, "cvae": {"inputs": image()}}[pipeline]
    assert serving[pipeline].post(good)[0] == 200
