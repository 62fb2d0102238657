"""Whether MLflow's store is there."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from latents.tracking import store
from tests.servers import LOCAL, answering, free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
NO = b"HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n"


def refused(address):
    with pytest.raises(store.StoreAwayError) as error:
        store.check(address)
    message = str(error.value)
    assert message.startswith(f"MLflow's store {store.shown(address)} is away: ")
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_a_server_that_is_not_there():
    assert "Connection refused" in refused(f"postgresql://me:secret@{LOCAL}:{free_port()}/mlflow")
    assert "secret" not in refused(f"http://me:secret@{LOCAL}:{free_port()}/path")


def test_a_name_that_there_is_not(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    refused("http://no-such-host.invalid:5000")


def test_a_proxy_that_is_not_there(offline):
    assert "Connection refused" in refused("http://no-such-host.invalid:5000")


def test_a_server_without_encryption_where_it_is_wanted():
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        assert "SSL" in refused(address.replace("http", "https"))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([NO % (500, b"Oh")], "it answers with HTTP 500"),
        ([NO % (503, b"Oh")], "it answers with HTTP 503"),
        ([OK % (11, b"<p>hello</p>")], "what answers there (HTTP 200) is no MLflow server"),
        ([OK % (2, b"[]")], "what answers there (HTTP 200) is no MLflow server"),
        ([NO % (404, b"No")], "what answers there (HTTP 404) is no MLflow server"),
        ([b"220 mail ready\r\n"], "mail ready"),
        ([], "without response"),
    ],
)
def test_what_answers_and_is_no_mlflow_server(parts, said):
    with answering(*parts) as address:
        assert said in refused(address)


@pytest.mark.parametrize("parts", [[b""], [b"HTTP/1.1 200 OK\r\n", *(b"a: b\r\n" for _ in range(1000))]])
def test_a_server_that_is_silent_or_sends_a_little_now_and_then(parts, monkeypatch):
    monkeypatch.setattr(store, "PATIENCE", 1.0)
    with answering(*parts, pause=0.3 if len(parts) > 1 else 30) as address:
        assert "no answer within 1 seconds" in refused(address)


@pytest.mark.parametrize("answer", [OK % (2, b"{}"), NO % (401, b"Who")])
def test_a_server_that_is_there(answer):
    with answering(answer) as address:
        store.check(address)


def test_where_headers_are_to_come_any_answer_will_do():
    with answering(NO % (404, b"No")) as address:
        store.check(address, is_header_to_come=True)


def test_other_addresses_are_left_to_mlflow():
    for address in ("databricks", "databricks://profile", "uc:http://nowhere.invalid", "mlruns", ""):
        store.check(address)


def test_files(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PATIENCE", 0.2)
    (tmp_path / "text").write_text("no database, but a text of some length\n" * 100)
    assert "file is not a database" in refused(f"sqlite:///{tmp_path / 'text'}")
    assert "unable to open database file" in refused(f"sqlite:///{tmp_path}")
    assert "File exists" in refused(f"sqlite:///{tmp_path / 'text/mlflow.db'}")
    path = tmp_path / "deep" / "mlflow.db"
    store.check(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "database is locked" in refused(f"sqlite:///{path}")
    store.check(f"sqlite:///{path}")
    store.check("sqlite://")


def test_blocks_of_brief_requests_may_overlap(monkeypatch):
    name = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    monkeypatch.setenv(name, "6")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    inside, outside = threading.Event(), threading.Event()

    def other():
        with store.briefly():
            inside.set()
            outside.wait()

    thread = threading.Thread(target=other)
    with store.briefly():
        thread.start()
        inside.wait()
    assert os.environ[name] == "0"
    outside.set()
    thread.join()
    assert os.environ[name] == "6"
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_the_reason_is_what_lies_at_the_bottom():
    with store.briefly(), pytest.raises(MlflowException) as error:
        mlflow.MlflowClient(f"http://{LOCAL}:{free_port()}").search_experiments()
    assert len(str(error.value)) > 200
    assert store.reason(error.value) == "Connection refused"
    assert store.is_away(error.value)
    assert not store.is_away(ConnectionRefusedError("another server's"))
    assert not store.is_away(MlflowException("no such run"))
    assert len(store.reason(MlflowException("a\n" * 1000))) == 200


def test_sqlalchemy_is_not_waited_for_where_a_server_is_asked():
    code = (
        "import sys, latents.settings; from latents.tracking import store; "
        "store.check('file:a'); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True
    )
    assert "latents.tracking.store" in done.stdout.split()
    assert "sqlalchemy" not in done.stdout.split()
