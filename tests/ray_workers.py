"""Workers of Ray, without the seconds that each would spend on importing.

A server imports once what they need, and each is forked from it: a real worker in a process of its own, which can
be killed and begun anew. Clusters that are begun by a command, as users do, start theirs cold.
"""

import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Neither Ray nor Polars, which read variables of their process as they are imported.
_IMPORTED = (
    "latents.engines.on_ray",
    "latents.estimators.conditional_vae.estimator",
    "latents.estimators.multinomial_mixture.estimator",
    "pandas",
    "pyarrow.parquet",
    "sklearn.feature_extraction.text",
    "tests.engines.work",
    "torch._dynamo",
    "torch.distributed",
)
# What Ray is told that Python is. All but workers are Python's own affair.
_PYTHON = """#!{python} -IS
import json, os, socket, sys
if not any(word.endswith("/default_worker.py") for word in sys.argv):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode())
    server.shutdown(socket.SHUT_WR)
    server.recv(1)  # until it ends
"""


@contextmanager
def forked_workers(folder: Path) -> Iterator[str]:
    """Give, for the length of the block, the Python that a Ray is to begin its workers by."""
    address, python = str(folder / "server"), folder / "python"
    python.write_text(_PYTHON.format(python=sys.executable, address=address))
    python.chmod(0o700)
    command = [sys.executable, "-m", __name__, address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout.readline() == b"ready\n"
        yield str(python)


def _serve(address: str) -> None:
    from importlib import import_module

    for name in _IMPORTED:
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print("ready", flush=True)
    while (
        listener in select.select([listener, sys.stdin], [], [])[0]
    ):  # until who began it closes that, or ends
        connection = listener.accept()[0]
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            _become_worker(connection)
            return
        connection.close()


def _become_worker(connection: socket.socket) -> None:
    """Do what Ray's own setup_worker.py and default_worker.py do."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile() as told:
        words, environment, folder = json.loads(told.read())
    for stream, own in zip(streams, (0, 1, 2), strict=True):
        os.dup2(stream, own)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    from ray._private.runtime_env.context import RuntimeEnvContext
    from ray._private.utils import update_envs
    from ray._private.workers.setup_worker import parser

    given, sys.argv = parser.parse_known_args(words)
    if sys.argv[0].endswith("/setup_worker.py"):  # which Ray leaves out where there is nothing to set up
        update_envs(RuntimeEnvContext.deserialize(given.serialized_runtime_env_context).env_vars)
        del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    _serve(sys.argv[1])
