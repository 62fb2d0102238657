"""Threads of BLAS: how many there are, and doing with one where several of ours work side by side."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


def n_blas_threads() -> int:
    """Return the number of threads that NumPy's and SciPy's products may use, by default one a core."""
    return max((library["num_threads"] for library in _blas().info()), default=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Make every BLAS of this process work in the thread that calls it."""
    with _blas().limit(limits=1):
        yield


@cache
def _blas() -> ThreadpoolController:
    # Looking for the libraries takes milliseconds; those of NumPy and SciPy are loaded with this package.
    return ThreadpoolController().select(user_api="blas")
