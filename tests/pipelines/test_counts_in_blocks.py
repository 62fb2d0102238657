"""A run on counts in blocks says what a run in memory does."""

import json
import re

import pandas as pd
import pytest

ENTRY = """
clustering.counts:
  type: latents.datasets.CountBlocksDataset
  filepath: ${globals:data}/04_feature/clustering/counts
  documents_per_block: 7
  engine: ENGINE
"""


def run(project, engine):
    """Run the test environment with counts in blocks, and return what it has measured and found."""
    catalog = project.path / "conf/test/catalog_clustering.yml"
    catalog.write_text(catalog.read_text() + ENTRY.replace("ENGINE", json.dumps(engine)))
    project.run("clustering")
    return project.metrics("clustering"), pd.read_csv(
        project.data() / "07_model_output/clustering/assignments.csv"
    )


def test_a_run_on_blocks_leaves_all_that_one_in_memory_does(project):
    project.run("clustering")
    in_memory = project.metrics("clustering")
    metrics, assignments = run(project, {"name": "local", "n_threads": 2})
    assert list(metrics) == list(in_memory)
    for name in ("n_documents", "n_words", "n_components"):
        assert metrics[name] == in_memory[name]
    assert metrics["heldout_perplexity"] == pytest.approx(in_memory["heldout_perplexity"], rel=0.1)
    assert len(assignments) == 90
    blocks = project.data() / "04_feature/clustering/counts"
    assert len(list(blocks.glob("block-*"))) == 13
    assert (project.data() / "08_reporting/clustering/report.html").stat().st_size > 100_000


@pytest.mark.slow
def test_a_run_on_a_cluster_of_this_machine_gives_the_same_numbers(project, monkeypatch):
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    here, assignments = run(project, {"name": "local", "n_threads": 1})
    catalog = project.path / "conf/test/catalog_clustering.yml"
    catalog.write_text(catalog.read_text().replace('"local", "n_threads": 1', '"ray", "address": "auto"'))
    output = project.kedro("run", "--env", "test", "--pipelines", "clustering", RAY_ADDRESS="local")
    assert re.search(r"Ray: \d+ workers of 1 threads", output)
    there = project.metrics("clustering")
    assert {**there, "fit_seconds": 0} == {**here, "fit_seconds": 0}
    again = pd.read_csv(project.data() / "07_model_output/clustering/assignments.csv")
    pd.testing.assert_frame_equal(again, assignments)


def test_an_engine_that_there_is_not_stops_the_run_in_words(project):
    with pytest.raises(Exception, match=r"the engine is 'dask'; allowed are 'local', 'ray'"):
        run(project, {"name": "dask"})
    assert not (project.data() / "06_models/clustering/model.safetensors").exists()


def test_no_cluster_stops_the_run_in_words(project):
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    with pytest.raises(Exception, match=r"no Ray cluster answers at '127.0.0.1:9'"):
        run(project, {"name": "ray", "address": "127.0.0.1:9"})
