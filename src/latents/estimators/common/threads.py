"""Threads: how many there are, and computing in one where several of ours work side by side."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy  # noqa: F401  (it and SciPy have each a BLAS of their own, to be loaded before one looks for them)
import scipy.linalg  # noqa: F401
from threadpoolctl import ThreadpoolController


class _Threads:
    """The threads of every BLAS in this process, which all that ask for one alone share.

    A limit of threadpoolctl's sets back what it found: of two at once, the last to leave would leave one thread.
    """

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0
        self._blas = ThreadpoolController().select(user_api="blas")

    def count(self) -> int:
        """Return how many threads products may use: of those there are, whether or not one is alone just now."""
        with self._lock:
            return self._before if self._users else self._found()

    @contextmanager
    def one_alone(self) -> Iterator[None]:
        """Make every BLAS of this process work in the thread that calls it."""
        with self._lock:
            if not self._users:
                self._before = self._found()
                self._limit = self._blas.limit(limits=1)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._limit.restore_original_limits()

    def _found(self) -> int:
        return max((library["num_threads"] for library in self._blas.info()), default=1)


_threads = _Threads()
n_blas_threads, one_blas_thread = _threads.count, _threads.one_alone


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Make BLAS, and torch if it is there, compute in the thread that calls them; of torch the calling thread."""
    torch = sys.modules.get("torch")
    n_threads = torch.get_num_threads() if torch else 1
    with one_blas_thread():
        alone()
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(n_threads)


def alone() -> None:
    """Make torch, if it is there, compute in the calling thread from now on: it counts threads for each caller."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
