"""Names in the configuration that nothing reads: the run stops, and says which was meant."""

import re

import pytest

from latents.hooks.configuration import ConfigurationError, check_entry_names, check_globals

TEXTS = "{type: latents.datasets.TextFolderDataset, path: data/01_raw/texts}"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("clustering.raw_document", "'clustering.raw_document', did you mean 'clustering.raw_documents'?"),
        ("pca.fotos", "'pca.fotos'; allowed are pca."),
        ("cvae_inference.raw_image", "'cvae_inference.raw_image', did you mean 'cvae_inference.raw_images'?"),
    ],
)
def test_an_entry_that_nobody_reads_stops_the_run_whichever_runs(project, entry, said):
    project.write("conf/local/catalog.yml", f"{entry}: {TEXTS}\n")
    with pytest.raises(ConfigurationError, match=f"reads or writes the catalog's entry {re.escape(said)}"):
        project.run("pca", env=None)
    assert not list((project.path / "data").glob("0*"))
    assert project.runs() == []


def test_entries_of_ones_own_anchors_patterns_and_transcoding_are_fine(project):
    project.write(
        "conf/test/catalog.yml",
        f"mine: {TEXTS}\nmy_project.texts: {TEXTS}\n_anchor: &texts {TEXTS}\n"
        '"{namespace}.spare": {type: MemoryDataset}\n"pca.scores@spark": *texts\n',
    )
    project.run("pca", to_nodes=["pca.ingest"])


def test_a_misspelt_namespace_is_warned_of_since_it_might_be_the_users_own(caplog):
    check_entry_names(["clusterng.raw_documents", "else"], {"clustering.raw_documents"}, {"clustering"})
    assert "'clusterng.raw_documents', did you mean 'clustering.raw_documents'?" in caplog.text
    assert "else" not in caplog.text


def test_a_misspelt_place_of_outputs_stops_the_run_before_it_writes_elsewhere(project):
    project.write("conf/books/globals.yml", "dta: data/books\n")
    said = project.kedro("run", "--env", "books", "--pipelines", "pca", code=1)
    assert "nothing reads 'dta' in globals.yml, did you mean 'data'?" in said
    assert "Traceback" not in said
    assert not list((project.path / "data").glob("0*"))


def test_globals_of_ones_own_are_fine_where_something_reads_them(tmp_path):
    (tmp_path / "catalog.yml").write_text("mine: {type: MemoryDataset, metadata: '${globals:data2}'}\n")
    check_globals({"data": "data", "data2": "elsewhere", "year": 2026}, tmp_path)
    for value in (None, "", 3, ["data"]):
        with pytest.raises(ConfigurationError, match=r"data is .* in globals.yml; allowed is the folder"):
            check_globals({"data": value}, tmp_path)


def test_a_name_that_only_begins_like_one_that_is_read_is_read_by_nothing(tmp_path):
    (tmp_path / "catalog.yml").write_text("mine: {filepath: '${globals:data}/a/${globals: dates.first}'}\n")
    check_globals({"data": "data", "dates": {"first": "2026"}}, tmp_path)
    for name in ("dat", "date"):
        with pytest.raises(
            ConfigurationError, match=f"nothing reads '{name}' in globals.yml, did you mean 'data'"
        ):
            check_globals({"data": "data", name: "elsewhere"}, tmp_path)
    # An archive is not searched, and what is in it not refused.
    check_globals({"data": "data", "data2": "elsewhere"}, tmp_path / "conf.tar.gz")


def test_a_file_that_nothing_reads_is_warned_of(project, caplog):
    project.write("conf/test/catlog.yml", "pca.raw_images: {type: MemoryDataset}\n")
    project.write("conf/test/notes.md", "mine\n")
    project.run("pca", to_nodes=["pca.ingest"])
    assert "catlog.yml is read by nothing, did you mean 'catalog'?" in caplog.text
    assert "notes.md" not in caplog.text
