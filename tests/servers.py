"""Real servers of MLflow and of S3 that can be there, be silent or be gone, and others that are none."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import mlflow

LOCAL = "127.0.0.1"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    """Return a port that nothing listens on and Kedro-Viz accepts, which takes none above 49151."""
    while True:
        with closing(socket.socket()) as probe:
            probe.bind((LOCAL, 0))
            port = int(probe.getsockname()[1])
        if port <= 49151:
            return port


@contextmanager
def served(
    commands: Mapping[str, Sequence[str]], folder: Path, environment: Mapping[str, str]
) -> Iterator[None]:
    """Run the commands of servers for the length of the block, which begins once their addresses answer."""
    with tempfile.NamedTemporaryFile() as log:
        shared = {"cwd": folder, "env": environment, "stdout": log, "stderr": log, "start_new_session": True}
        processes = {address: subprocess.Popen(words, **shared) for address, words in commands.items()}
        try:
            deadline = time.monotonic() + 300
            for address, process in processes.items():
                while not _answers(address):
                    assert process.poll() is None, Path(log.name).read_text()
                    assert time.monotonic() < deadline, Path(log.name).read_text()
                    time.sleep(0.2)
            yield
        finally:
            for process in processes.values():
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
            for process in processes.values():
                process.wait(timeout=300)


def _answers(address: str) -> bool:
    try:
        with DIRECT.open(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def mlflow_server(folder: Path, database: str, environment: dict[str, str]) -> Iterator[int]:
    """Run MLflow's server for the length of the block, and give its port."""
    port = free_port()
    words = [
        *(sys.executable, "-m", "mlflow", "server", "--host", LOCAL, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", database, "--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = {**environment, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with served({f"http://{LOCAL}:{port}/health": words}, folder, environment):
        yield port


@contextmanager
def s3_server(folder: Path) -> Iterator[int]:
    """Run a server that speaks S3 for the length of the block, and give its port."""
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "--host", LOCAL, "--port", str(port)]
    with served({f"http://{LOCAL}:{port}/moto-api/": words}, folder, dict(os.environ)):
        yield port


class Gate:
    """A way to a server, open at first, that can be silent or be closed.

    Parameters
    ----------
    port : int
        The server's.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_silent = False
        self._connections: list[socket.socket] = []
        self._listener = self._listen(0)
        self._own_port = self._listener.getsockname()[1]

    @property
    def address(self) -> str:
        """What MLFLOW_TRACKING_URI is set to."""
        return f"http://{LOCAL}:{self._own_port}"

    def silence(self) -> None:
        """Take connections and answer nothing."""
        self._is_silent = True
        self._drop()

    def close(self) -> None:
        """Take no connection."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # accept would keep it open
        self._listener.close()
        self._drop()

    def open(self) -> None:
        """Let through again."""
        self.close()
        self._is_silent = False
        self._listener = self._listen(self._own_port)

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server((LOCAL, port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                outer = listener.accept()[0]
                self._connections.append(outer)
                if not self._is_silent:
                    inner = socket.create_connection((LOCAL, self._port))
                    self._connections.append(inner)
                    for pair in ((outer, inner), (inner, outer)):
                        threading.Thread(target=_pass_on, args=pair, daemon=True).start()

    def _drop(self) -> None:
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            if not self._is_silent:
                connection.close()
        self._connections.clear()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def answering(*parts: bytes, pause: float = 0.0) -> Iterator[str]:
    """Give the address of a server that says the same to everybody, part by part."""
    listener = socket.create_server((LOCAL, 0))

    def answer() -> None:
        with suppress(OSError):
            while True:
                connection = listener.accept()[0]
                with connection, suppress(OSError):
                    connection.recv(65536)
                    for part in parts:
                        connection.sendall(part)
                        time.sleep(pause)

    threading.Thread(target=answer, daemon=True).start()
    try:
        yield f"http://{LOCAL}:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def all_runs(client: mlflow.MlflowClient) -> list[mlflow.entities.Run]:
    """Return the runs of all experiments, the newest first."""
    return list(client.search_runs([found.experiment_id for found in client.search_experiments()]))
