"""Runs whose raw data and outputs lie in a bucket, against a server that speaks S3."""

import io
import json
import re
import signal
import sys
from pathlib import Path
from urllib.request import Request

import boto3
import fsspec
import mlflow
import numpy as np
import pytest
import yaml

from latents import datasets
from latents.files import whole_file
from latents.leases import HeldError, Leases
from latents.places import place
from latents.tracking import registry
from tests.conftest import ROOT
from tests.servers import DIRECT, LOCAL, Gate, s3_server

BUCKET = "s3://my-bucket/latents"
PAGE = re.findall(
    r"```yaml\n# conf/bucket/(\S+)\n(.*?)```", (ROOT / "docs/data.md").read_text(), flags=re.DOTALL
)
LONG = ["--pipelines", "cvae", "--params", "cvae.fit.epochs=100000"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return the port of a server with a bucket, and the keys of the only user who may use it."""
    with s3_server(tmp_path_factory.mktemp("s3")) as port:
        options = {"endpoint_url": f"http://{LOCAL}:{port}", "region_name": "us-east-1"}
        anyone = {"aws_access_key_id": "anyone", "aws_secret_access_key": "anyone"}
        iam = boto3.client("iam", **options, **anyone)
        iam.create_user(UserName="me")
        allowed = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }
        iam.put_user_policy(UserName="me", PolicyName="all", PolicyDocument=json.dumps(allowed))
        key = iam.create_access_key(UserName="me")["AccessKey"]
        boto3.client("s3", **options, **anyone).create_bucket(Bucket="my-bucket")
        reset = f"http://{LOCAL}:{port}/moto-api/reset-auth"  # after so many requests keys are asked for
        DIRECT.open(Request(reset, b"0", {"Content-Type": "text/plain"})).close()
        yield port, (key["AccessKeyId"], key["SecretAccessKey"])


@pytest.fixture
def gate(server):
    gate = Gate(server[0])
    yield gate
    gate.close()


@pytest.fixture
def store(server):
    """Return the bucket, looked at without what is under test."""
    port, (key, secret) = server
    found = fsspec.filesystem(
        "s3", key=key, secret=secret, client_kwargs={"endpoint_url": f"http://{LOCAL}:{port}"},
        use_listings_cache=False,
    )  # fmt: skip
    yield found
    for kind in ("latents", "mlflow", "raw"):
        if found.exists(f"my-bucket/{kind}"):
            found.rm(f"my-bucket/{kind}", recursive=True)


def configure(project, address, data=BUCKET, **catalog):
    """Give a project the environment of the page on data, with the parameters of the tests."""
    for path in (project.path / "conf/test").iterdir():
        project.write(f"conf/bucket/{path.name}", path.read_text())
    files = {name: yaml.safe_load(text) for name, text in PAGE}
    assert files["globals.yml"]["data"] == BUCKET
    files["globals.yml"]["data"] = data
    (credentials,) = files["credentials.yml"].values()
    credentials["client_kwargs"]["endpoint_url"] = address
    # For a bucket that is away; the usual tries take half a minute.
    credentials["config_kwargs"] = {"retries": {"max_attempts": 1}}
    files["catalog.yml"] = {**files["catalog.yml"], **catalog} if catalog else {}
    for name in files["catalog.yml"]:
        (project.path / f"conf/bucket/catalog_{name.partition('.')[0]}.yml").unlink()
    for name, content in files.items():
        project.write(f"conf/bucket/{name}", yaml.safe_dump(content))


@pytest.fixture
def variables(server, tmp_path, monkeypatch):
    """The terminal's variables: MLflow takes its keys from there."""
    port, (key, secret) = server
    found = {
        "LATENTS_SCRATCH": str(tmp_path / "scratch"),
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "MLFLOW_S3_ENDPOINT_URL": f"http://{LOCAL}:{port}",
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def raw(store):
    """Put the data of the test environment into the bucket, and return the entries that the page lacks."""
    table = datasets.DocstringsDataset("scipy", ["fft", "cluster", "io"], limit=30).load()
    store.pipe_file("my-bucket/raw/documents.parquet", table.to_parquet())
    for label, texts in (("a", ["alpha waves"]), ("b", ["beta decay", "the fourier transform of an array"])):
        for number, text in enumerate(texts):
            store.pipe_file(f"my-bucket/raw/texts/{label}/{number}.txt", text.encode())
    for name, limit in (("digits", 200), ("new", 10)):
        content = io.BytesIO()
        np.savez(content, **datasets.DigitsDataset(limit=limit).load())
        store.pipe_file(f"my-bucket/raw/{name}.npz", content.getvalue())
    own = {"credentials": "my_bucket"}  # beside, and not under, `data`
    digits = {"type": "latents.datasets.NpzDataset", "filepath": "s3://my-bucket/raw/digits.npz", **own}
    new = {**digits, "filepath": "s3://my-bucket/raw/new.npz"}
    documents = "latents.datasets.DocumentTableDataset"
    texts = "latents.datasets.TextFolderDataset"
    return {
        "clustering.raw_documents": {
            "type": documents,
            "filepath": "s3://my-bucket/raw/documents.parquet",
            **own,
        },
        "clustering_inference.raw_documents": {"type": texts, "path": "s3://my-bucket/raw/texts", **own},
        "cvae.raw_images": digits,
        "pca_inference.raw_images": new,
        "cvae_inference.raw_images": new,
    }


@pytest.mark.slow
def test_all_pipelines_read_and_write_there_what_they_do_here(project, server, store, variables, finished):
    port, _ = server
    configure(project, f"http://{LOCAL}:{port}", **raw(store))
    said = project.kedro("run", "--env", "bucket", **variables)
    assert f"{BUCKET}/08_reporting/pca/report.html" in said

    ours = {path.relative_to(project.path).as_posix() for path in (project.path / "data").rglob("*")}
    assert {path for path in ours if not path.startswith("data/logs")} == {
        "data/README.md",
        "data/.mlflow-setup.lock",
    }
    there = {path.removeprefix("my-bucket/latents/") for path in store.find("my-bucket/latents")}
    here = {
        path.relative_to(finished.data()).as_posix() for path in finished.data().rglob("*") if path.is_file()
    }
    without = lambda names: {  # noqa: E731 - what locks and says that folders are whole
        "/".join(step for step in name.split("/") if not step.startswith("."))
        for name in names
        if not Path(name).name.startswith(".")
    }
    assert without(there) == {
        name for name in without(here) if not name.startswith("logs") and Path(name).suffix
    }
    for pipeline in ("clustering", "pca", "cvae"):
        metrics = json.loads(store.cat_file(f"my-bucket/latents/08_reporting/{pipeline}/metrics.json"))
        expected = finished.metrics(pipeline)
        timed = {name for name in expected if "seconds" in name}
        assert {name: metrics[name] for name in metrics if name not in timed} == pytest.approx(
            {name: expected[name] for name in expected if name not in timed}, rel=1e-6
        )

    (run,) = project.runs()
    assert run.info.artifact_uri.startswith("s3://my-bucket/mlflow/")
    mlflow.set_tracking_uri(project.client.tracking_uri)
    assert "report.html" in project.artifacts(run, "pca")
    assert registry.champion("latents-pca-bucket") is not None  # which is brought from there

    said = project.kedro("run", "--env", "bucket", "--pipelines",
                         "clustering_inference,pca_inference,cvae_inference", **variables)  # fmt: skip
    assert f"{BUCKET}/07_model_output/clustering_inference/assignments.csv" in said
    assert store.exists("my-bucket/latents/08_reporting/cvae_inference/generated.png")
    assert b"b/1.txt" in store.cat_file(
        "my-bucket/latents/07_model_output/clustering_inference/assignments.csv"
    )


@pytest.mark.parametrize(
    ("data", "secret", "reason"),
    [
        (BUCKET, "wrong", r"is refused \(.+\); check the credentials"),
        ("s3://nobucket/test", None, "is not there: there is no such bucket"),
    ],
)
def test_a_bucket_that_cannot_be_had_is_told_before_anything_begins(
    project, server, store, variables, data, secret, reason
):
    port, _ = server
    configure(project, f"http://{LOCAL}:{port}", data)
    if secret is not None:
        variables = {**variables, "AWS_SECRET_ACCESS_KEY": secret}
    said = project.kedro("run", "--env", "bucket", "--pipelines", "pca", code=1, **variables)
    *_, last = said.strip().splitlines()
    assert last.startswith(f"Error: {data}/02_intermediate/pca/.lock ")
    assert re.search(reason, last)
    assert "Traceback" not in said
    assert project.runs() == []
    assert store.find("my-bucket/latents") == []


@pytest.mark.slow
def test_a_bucket_that_goes_away_ends_the_run_by_one_sentence_and_leaves_no_half(
    project, server, gate, store, variables
):
    configure(project, gate.address)
    command = project.start("run", "--env", "bucket", *LONG, **variables)
    command.until(lambda: store.exists("my-bucket/latents/06_models/cvae/checkpoint.safetensors"))
    gate.close()
    said = command.wait(1)
    *_, last = said.strip().splitlines()
    assert last.startswith(f"Error: {BUCKET}/0")
    assert "cannot be had (Could not connect to the endpoint URL" in last
    assert "go on by the options that the log names above" in last
    assert "Traceback" not in said
    (run,) = project.runs()
    assert run.info.status == "FAILED"
    checkpoint = store.cat_file("my-bucket/latents/06_models/cvae/checkpoint.safetensors")
    (project.path / "checkpoint").write_bytes(checkpoint)
    from latents.estimators.conditional_vae.checkpoints import read

    assert read(project.path / "checkpoint")[0]["epoch"] >= 1
    assert not store.exists("my-bucket/latents/06_models/cvae/predictor")


@pytest.mark.slow
def test_of_two_runs_at_once_the_second_stops_and_a_third_may_begin(project, server, store, variables):
    port, _ = server
    configure(project, f"http://{LOCAL}:{port}")
    first = project.start("run", "--env", "bucket", *LONG, **variables)
    first.until(lambda: store.exists("my-bucket/latents/05_model_input/cvae/split.npz"))
    said = project.kedro("run", "--env", "bucket", "--pipelines", "cvae", code=1, **variables)
    assert f"Error: another run is writing to {BUCKET}/02_intermediate/cvae (" in said
    assert "Traceback" not in said
    first.send_signal(signal.SIGTERM)
    first.wait(128 + signal.SIGTERM)
    assert [run.info.status for run in project.runs()] == ["KILLED"]
    assert [path for path in store.find("my-bucket/latents") if path.endswith(".lock")] == []


def test_what_was_just_written_is_not_brought_back(server, store, variables, monkeypatch):
    port, (key, secret) = server
    options = {"key": key, "secret": secret, "client_kwargs": {"endpoint_url": f"http://{LOCAL}:{port}"}}
    monkeypatch.setattr(type(store), "_get_file", None)
    for n_bytes in (10, 101 * 2**20):  # the second goes there in parts
        file = place(f"{BUCKET}/a.bin", options)
        with whole_file(file) as new:
            new.write_bytes(bytes(n_bytes))
        assert file.here().stat().st_size == n_bytes


# Ends a run while a node reads its data, which is nothing that could be asked to stop.
INTERRUPTED = """
import os, signal, sys, time
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from latents import datasets

def load(self):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

datasets.DigitsDataset.load = load
bootstrap_project(Path.cwd())
with KedroSession.create(Path.cwd(), env="bucket") as session:
    session.run(pipeline_names=["pca"])
"""


def test_the_locks_of_a_run_that_is_interrupted_in_any_node_are_given_back(
    project, server, store, variables, monkeypatch
):
    port, _ = server
    configure(project, f"http://localhost:{port}")  # whose name is looked up by a thread
    said = project.command(sys.executable, "-c", INTERRUPTED, code=128 + signal.SIGTERM)
    assert "the locks there end by themselves" not in said
    assert [path for path in store.find("my-bucket/latents") if path.endswith(".lock")] == []
    assert store.find("my-bucket/latents") != []  # the mark of the dead run: it had begun


def test_a_lock_is_taken_and_taken_over_on_conditions_that_the_store_holds_to(
    server, store, variables, monkeypatch
):
    port, (key, secret) = server
    options = {"key": key, "secret": secret, "client_kwargs": {"endpoint_url": f"http://{LOCAL}:{port}"}}
    folder = place(f"{BUCKET}/a", options)
    with monkeypatch.context() as ended:
        ended.setattr(Leases, "LENGTH", 0.0)
        dead = Leases([folder]).__enter__()
    _, version = (folder / ".lock").read_small()
    with Leases([folder]) as held:
        assert not (folder / ".lock").create(b"mine")
        assert not (folder / ".lock").replace(b"mine", version)  # of the dead one, which is no longer there
        held.check()
        dead.__exit__(None, None, None)
        with pytest.raises(HeldError, match=f"{BUCKET}/a is locked by"):
            Leases([folder]).__enter__()
    assert store.find("my-bucket/latents") == []
