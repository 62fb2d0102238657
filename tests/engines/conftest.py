import pytest

# How many workers, of how many threads each.
ENGINES = [(2, 1), (1, 2), (4, 1)]
on_each_engine = pytest.mark.parametrize(
    "engine", ENGINES, indirect=True, ids=["2 workers", "1 worker, 2 threads", "4 workers"]
)


@pytest.fixture(scope="session", params=ENGINES[:1], ids=[""])
def engine(ray_of_two, request):
    """An engine that tests of all files share: its workers take seconds to import what they need."""
    from latents.engines import RayEngine

    n_workers, n_threads = request.param
    with RayEngine(n_workers=n_workers, n_threads=n_threads) as engine:
        yield engine
