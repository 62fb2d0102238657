"""Engines are asked for by name, begun once, and end with the run."""

import pytest
from kedro.io import DatasetError

from latents.datasets import CountBlocksDataset
from latents.datasets.engine import engine_of
from latents.engines import LocalEngine, close_all, named
from latents.hooks.engines import EngineHook
from latents.pipelines.shared import EngineParameters


@pytest.fixture(autouse=True)
def closed():
    close_all()
    yield
    close_all()


def test_who_asks_for_the_same_gets_the_same_until_the_run_ends(monkeypatch):
    closed = []
    monkeypatch.setattr(LocalEngine, "close", lambda self: closed.append(self))
    first = named("local", n_threads=2)
    assert named("local", n_threads=2) is EngineParameters(name="local", n_threads=2).begun() is first
    assert named("local").n_threads >= 1
    assert named("local") is not first
    EngineHook().after_pipeline_run()
    assert first in closed
    assert len(closed) == 2
    again = named("local", n_threads=2)
    assert again is not first
    EngineHook().on_pipeline_error()
    assert closed[2:] == [again]


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("ray", "engine is 'ray'; allowed is a mapping with the name of one"),
        ({"workers": 2}, "allowed is a mapping with the name of one"),
    ],
)
def test_an_entry_that_names_none_is_refused_before_a_run(engine, message):
    with pytest.raises(DatasetError, match=message):
        CountBlocksDataset("counts", engine=engine)


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ({"name": "dask"}, "the engine is 'dask'; allowed are 'local', 'ray'"),
        ({"name": "local", "workers": 2}, "the engine 'local' does not take .*'workers': 2"),
        ({"name": "local", "n_threads": 0}, "n_threads=0; allowed are whole numbers of at least 1"),
    ],
)
def test_an_engine_that_cannot_be_is_refused_in_words(engine, message):
    with pytest.raises(DatasetError, match=message):
        engine_of(engine)
