"""A run on counts in blocks says what a run in memory does."""

import json

import pandas as pd
import pytest

ENTRY = """
clustering.counts:
  type: latents.datasets.CountBlocksDataset
  filepath: ${globals:data}/04_feature/clustering/counts
  documents_per_block: 7
  engine: ENGINE
"""


def configure(project, engine):
    """Let the test environment have its counts in blocks."""
    catalog = project.path / "conf/test/catalog_clustering.yml"
    catalog.write_text(catalog.read_text() + ENTRY.replace("ENGINE", json.dumps(engine)))


def run(project, engine):
    """Run the test environment with counts in blocks, and return what it has measured and found."""
    configure(project, engine)
    project.run("clustering")
    return project.metrics("clustering"), pd.read_csv(
        project.data() / "07_model_output/clustering/assignments.csv"
    )


def test_a_run_on_blocks_leaves_all_that_one_in_memory_does(project, finished):
    in_memory = finished.metrics("clustering")
    metrics, assignments = run(project, {"name": "local", "n_threads": 2})
    assert list(metrics) == list(in_memory)
    for name in ("n_documents", "n_words", "n_components"):
        assert metrics[name] == in_memory[name]
    assert metrics["heldout_perplexity"] == pytest.approx(in_memory["heldout_perplexity"], rel=0.1)
    assert len(assignments) == 90
    blocks = project.data() / "04_feature/clustering/counts"
    assert len(list(blocks.glob("block-*"))) == 13
    assert (project.data() / "08_reporting/clustering/report.html").stat().st_size > 100_000


def test_an_engine_that_there_is_not_stops_the_run_in_words(project):
    with pytest.raises(Exception, match=r"the engine is 'dask'; allowed are 'local', 'ray'"):
        run(project, {"name": "dask"})
    assert not (project.data() / "06_models/clustering/model.safetensors").exists()


def test_no_cluster_stops_the_run_in_words(project):
    """In a process of its own: this one may be connected to a cluster."""
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    configure(project, {"name": "ray", "address": "127.0.0.1:9"})
    said = project.kedro("run", "--env", "test", "--pipelines", "clustering", code=1)
    assert "no Ray cluster answers at '127.0.0.1:9'" in said.splitlines()[-1]
    assert not (project.data() / "06_models/clustering/model.safetensors").exists()
