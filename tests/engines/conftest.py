import pytest


@pytest.fixture(scope="session")
def ray_of_two():
    """A Ray of this machine, begun once for all tests of a process: two processors, which it takes for eight."""
    ray = pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    from latents.engines import on_ray

    on_ray.begin(ray, "local", 8, object_store_memory=200 * 2**20)
    yield ray
    ray.shutdown()
