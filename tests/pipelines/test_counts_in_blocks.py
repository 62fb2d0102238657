"""A run on documents and counts in blocks says what a run in memory does, and reads them where they lie."""

import json
import re
import shutil

import fsspec
import pandas as pd
import pytest
import yaml

from latents.datasets import DocstringsDataset
from tests.conftest import ROOT, Project
from tests.servers import LOCAL as HOST
from tests.servers import s3_server

LOCAL = {"name": "local", "n_threads": 2}
# How a fit searches is not what these tests look at.
QUICK = {"clustering": {"fit": {"n_init": 1, "rearrangements": 0}}}
(ENTRY,) = re.findall(
    r"```yaml\n# conf/cluster/catalog_raw.yml\n(.*?)```",
    (ROOT / "docs/cluster.md").read_text(),
    flags=re.DOTALL,
)
TABLES = {
    "07_model_output": ["assignments.csv"],
    "08_reporting": ["topics.csv", "clusters.csv", "examples.csv", "changes.csv"],
    "04_feature": ["vocabulary.csv"],
}


def configure(project, engine, corpus=None, blocks=("documents", "counts"), **more):
    """Let the test environment have documents and counts in blocks of 25, or a corpus in such parts."""
    entries = {
        "documents": {
            "type": "latents.datasets.DocumentBlocksDataset",
            "filepath": "${globals:data}/02_intermediate/clustering/documents",
        },
        "counts": {
            "type": "latents.datasets.CountBlocksDataset",
            "filepath": "${globals:data}/04_feature/clustering/counts",
        },
    }
    given = {"documents_per_block": 25, "engine": engine, **more}
    catalog = {f"clustering.{name}": {**entries[name], **given} for name in blocks}
    if corpus is not None:
        (page,) = yaml.safe_load(ENTRY).values()
        raw = {**page, "filepath": str(corpus), "part_size": 1, "engine": engine, **more}
        catalog["clustering.raw_documents"] = raw
        base = project.path / "conf/test/catalog_clustering.yml"
        base.unlink(missing_ok=True)
    project.write("conf/test/catalog_blocks_clustering.yml", yaml.safe_dump(catalog))


def found(project):
    """Return what a run has measured, and its tables."""
    tables = {
        name: pd.read_csv(project.data() / layer / "clustering" / name)
        for layer, names in TABLES.items()
        for name in names
    }
    positions = pd.read_parquet(project.data() / "07_model_output/clustering/map.parquet")
    return {**project.metrics("clustering"), "fit_seconds": 0}, {**tables, "map": positions}


def check_same(one, other):
    assert one[0] == other[0]
    for name, table in one[1].items():
        pd.testing.assert_frame_equal(table, other[1][name], obj=name)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """The documents of the test environment as a file of row groups of 25."""
    table = DocstringsDataset("scipy", ["fft", "cluster", "io"], limit=30).load()
    assert len(table) == 90
    path = tmp_path_factory.mktemp("corpus") / "documents.parquet"
    table.to_parquet(path, row_group_size=25)
    return path


@pytest.fixture(scope="module")
def parted(tmp_path_factory, template, raw):
    """A project in which the corpus in parts was clustered, and a second time to be held against the first."""
    path = tmp_path_factory.mktemp("parted") / "project"
    shutil.copytree(template, path)
    project = Project(path)
    configure(project, LOCAL, raw)
    project.run("clustering", params=QUICK)
    project.run("clustering", params=QUICK, until="evaluate")
    return project


def test_a_run_on_blocks_leaves_all_that_one_in_memory_does(project, finished):
    in_memory = finished.metrics("clustering")
    configure(project, LOCAL, blocks=("counts",))
    project.run("clustering")
    metrics, tables = found(project)
    assert list(metrics) == list(in_memory)
    for name in ("n_documents", "n_words", "n_components"):
        assert metrics[name] == in_memory[name]
    assert metrics["heldout_perplexity"] == pytest.approx(in_memory["heldout_perplexity"], rel=0.1)
    assert len(tables["assignments.csv"]) == 90
    blocks = project.data() / "04_feature/clustering/counts"
    assert len(list(blocks.glob("block-*"))) == 4
    assert (project.data() / "08_reporting/clustering/report.html").stat().st_size > 100_000


def test_a_corpus_in_parts_is_clustered_as_its_table_is(project, parted, raw):
    expected = found(parted)
    assert set(expected[1].pop("changes.csv")["change"]) == {"kept"}
    texts = parted.data() / "02_intermediate/clustering/documents"
    assert len(list(texts.glob("block-*/text.parquet"))) == 4
    # The same documents as a table in memory, which is parted alike as it is saved.
    whole = {"type": "latents.datasets.DocumentTableDataset", "filepath": str(raw)}
    configure(project, LOCAL)
    project.write("conf/test/catalog_clustering.yml", yaml.safe_dump({"clustering.raw_documents": whole}))
    project.run("clustering", params=QUICK, until="evaluate")
    check_same(expected, found(project))
    # And with nothing in blocks before the counts are.
    configure(project, LOCAL, blocks=("counts",))
    project.run("clustering", params=QUICK, until="evaluate")
    check_same(expected, found(project))


def test_new_documents_find_their_nearest_among_blocks(parted, tmp_path):
    def predicted(table):
        parted.run("clustering_inference")
        return pd.read_csv(parted.data() / f"07_model_output/clustering_inference/{table}.csv")

    nearest = predicted("nearest")
    assert nearest["excerpt"].str.len().gt(10).all()
    assert nearest["rank"].max() > 1
    # New ones may be a corpus in parts, too, of which the first is but the line of names.
    new = tmp_path / "new.csv"
    DocstringsDataset("numpy", ["fft", "linalg"], limit=5).load().to_csv(new, index=False)
    whole = {"type": "latents.datasets.DocumentTableDataset", "filepath": str(new)}
    entry = "clustering_inference.raw_documents"
    parted.write("conf/test/catalog_clustering_inference.yml", yaml.safe_dump({entry: whole}))
    expected = predicted("assignments")
    raw = {"type": "latents.datasets.CorpusDataset", "filepath": str(new), "part_size": 1}
    documents = {
        "type": "latents.datasets.DocumentBlocksDataset",
        "filepath": "${globals:data}/02_intermediate/clustering_inference/documents",
    }
    catalog = {entry: raw, "clustering_inference.documents": documents}
    parted.write("conf/test/catalog_clustering_inference.yml", yaml.safe_dump(catalog))
    pd.testing.assert_frame_equal(predicted("assignments"), expected)


@pytest.mark.rehearsal
def test_workers_of_a_cluster_read_and_write_in_a_bucket_to_the_same_end(project, parted, raw, tmp_path):
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    with s3_server(tmp_path) as port:
        address = {"endpoint_url": f"http://{HOST}:{port}"}
        keys = {"key": "me", "secret": "mine", "client_kwargs": address}
        project.write("conf/test/credentials.yml", yaml.safe_dump({"my_bucket": keys}))
        bucket = fsspec.filesystem("s3", **keys, use_listings_cache=False)
        bucket.mkdir("my-bucket")
        bucket.put_file(str(raw), "my-bucket/raw.parquet")
        engine = {"name": "ray", "address": "auto", "n_workers": 2}
        configure(project, engine, "s3://my-bucket/raw.parquet", credentials="my_bucket")
        catalog = project.path / "conf/test/catalog_blocks_clustering.yml"
        catalog.write_text(catalog.read_text().replace("${globals:data}", "s3://my-bucket"))
        output = project.kedro(
            *("run", "--env", "test", "--pipelines", "clustering", "--to-nodes", "clustering.evaluate"),
            *("--params", "clustering.fit.n_init=1,clustering.fit.rearrangements=0"),
            RAY_ADDRESS="local",
            LATENTS_SCRATCH=str(tmp_path / "scratch"),
        )
        assert "Ray: 2 workers of 1 threads" in output
        for entry, n_files in (
            ("02_intermediate/clustering/documents", 6),
            ("04_feature/clustering/counts", 25),
        ):
            (whole,) = bucket.glob(f"my-bucket/{entry}/.whole-*")
            assert len(bucket.find(whole)) == n_files
            listed = json.loads(bucket.cat_file(f"my-bucket/{entry}/.manifest.json"))
            assert len(listed["files"]) == n_files
    expected = found(parted)
    del expected[1]["changes.csv"]
    check_same(expected, found(project))


def test_blocks_are_not_saved_as_one_table(project, raw):
    configure(project, LOCAL, raw, blocks=())
    with pytest.raises(
        Exception, match=r"documents in blocks, and .*\.parquet is to be one table; allowed is .*Blocks"
    ):
        project.run("clustering")


def test_an_engine_that_there_is_not_stops_the_run_in_words(project):
    configure(project, {"name": "dask"}, blocks=("counts",))
    with pytest.raises(Exception, match=r"the engine is 'dask'; allowed are 'local', 'ray'"):
        project.run("clustering")
    assert not (project.data() / "06_models/clustering/model.safetensors").exists()


def test_no_cluster_stops_the_run_in_words(project):
    """In a process of its own: this one may be connected to a cluster."""
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    configure(project, {"name": "ray", "address": "127.0.0.1:9"}, blocks=("counts",))
    said = project.kedro("run", "--env", "test", "--pipelines", "clustering", code=1)
    assert "no Ray cluster answers at '127.0.0.1:9'" in said.splitlines()[-1]
    assert not (project.data() / "06_models/clustering/model.safetensors").exists()
