"""Threads of BLAS: one inside, as many as before outside, whoever else is inside."""

from contextlib import ExitStack

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from latents.estimators.common.threads import n_blas_threads, one_blas_thread


@pytest.fixture(autouse=True)
def three_threads():
    with threadpool_limits(3, user_api="blas"):
        yield


def of_blas():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_one_thread_inside_and_as_many_as_before_outside():
    assert n_blas_threads() == 3
    with one_blas_thread():
        assert of_blas() == {1}
        assert n_blas_threads() == 3
    assert of_blas() == {3}


def test_the_first_to_enter_may_be_the_first_to_leave():
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(one_blas_thread())
        second.enter_context(one_blas_thread())
        first.close()
        assert of_blas() == {1}
        second.close()
        assert of_blas() == {3}
