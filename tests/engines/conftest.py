"""One Ray for all tests that need one: it takes ten seconds to start."""

import os

import pytest


@pytest.fixture(scope="session")
def ray_of_two():
    """Connect to a Ray of two cores on this machine alone, without dashboard and usage reports."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        _node_ip_address="127.0.0.2",
        object_store_memory=100 * 2**20,
        log_to_driver=False,
    )
    yield ray
    ray.shutdown()
