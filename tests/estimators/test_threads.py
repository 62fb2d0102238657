"""Threads of BLAS: one inside, as many as before outside."""

from threadpoolctl import threadpool_info

from latents.estimators._threads import n_blas_threads, one_blas_thread


def of_blas():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_one_thread_inside_and_as_many_as_before_outside():
    before = of_blas()
    assert n_blas_threads() == max(before)
    with one_blas_thread():
        assert set(of_blas()) == {1}
        assert n_blas_threads() == 1
    assert of_blas() == before
