"""`kedro` commands in processes of their own, without the seconds that each would spend on importing.

A server imports once what a run needs, and every command is forked from it: a real process, with signals, locks
and an end of its own. What a cold start is to show (that PCA does not wait for torch, say) has to start cold.
"""

import atexit
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "IPython",
        "kedro.framework.cli.project",
        "kedro_mlflow.framework.hooks",
        "latents.datasets",
        "latents.estimators.conditional_vae.estimator",
        "latents.pipeline_registry",
        "latents.settings",
        "matplotlib.backends.backend_agg",
        "mlflow.pyfunc",
        "mlflow.store.tracking.sqlalchemy_store",
        "torch._dynamo",
    ]
)
_LONGEST = 300  # seconds, so that what never ends fails the test instead of hanging it


class KedroCommand:
    """A `kedro` command at work.

    Parameters
    ----------
    words : sequence of str
        What is typed after `kedro`.
    folder : Path
        Where it is typed.
    environment : mapping
        All variables of the terminal.
    """

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        output, name = tempfile.mkstemp(dir=folder.parent, prefix="kedro-", suffix=".txt")
        os.close(output)
        self._output = Path(name)
        # A daemon, so that a test that fails leaves no process behind.
        self._process = _context.Process(
            target=_run, args=(["kedro", *words], folder, dict(environment), self._output), daemon=True
        )
        self._process.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, as a terminal does."""
        os.kill(self._process.pid, number)

    def until(self, once: Callable[[], T]) -> T:
        """Wait, while it runs, until something holds, and return that."""
        deadline = time.monotonic() + _LONGEST
        while not (found := once()):
            assert self.is_running, self._output.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return found

    def wait(self, code: int = 0) -> str:
        """Wait for its end, which is to be that of this code, and return what it printed on either stream."""
        self._process.join(_LONGEST)
        printed = self._output.read_text()
        assert self._process.exitcode == code, printed
        assert code == 1 or "Traceback" not in printed  # what a node raises is shown as it is
        return printed


def _run(words: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
    from kedro.framework.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with output.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.argv = words
    signal.signal(signal.SIGINT, signal.default_int_handler)  # though pytest itself may run in the background
    try:
        main()
    finally:  # the end of every Python, but for multiprocessing's
        threading._shutdown()
        atexit._run_exitfuncs()
