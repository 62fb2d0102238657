"""The commands of the README and its further pages, typed as a user would."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from latents import estimators
from tests.conftest import ROOT
from tests.servers import DIRECT, LOCAL, free_port, served

README = (ROOT / "README.md").read_text()
MANUAL = {
    name: (ROOT / "docs" / name).read_text()
    for name in (
        "cluster.md",
        "data.md",
        "kedro.md",
        "models.md",
        "notebooks.md",
        "play.md",
        "serving.md",
        "trained.md",
    )
}
COMMANDS = sorted(set(re.findall(r"^\| `((?:kedro|make) [^`]*)` \|", README, flags=re.MULTILINE)))
BIN = Path(sys.executable).parent
# This Python's environment is installed already, and elsewhere than in the copy's .venv.
INSTALLED = ["-o", ".venv/installed", "-o", ".venv/installed-dev", f"BIN={BIN}"]


def make(project, *words, **options):
    return project.command("make", *INSTALLED, *words, **options)


def test_the_table_has_every_command():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    told = {command.split()[1] for command in re.findall(r"`?make [a-z-]+", README)}
    assert set(targets) - told <= {"help", "constraints"}
    assert len(COMMANDS) >= 10


def run_in(folder, code):
    """Run documented code in a folder, and return its names."""
    names, here = {}, Path.cwd()
    os.chdir(folder)
    try:
        exec(compile(code, "documented", "exec"), names)
    finally:
        os.chdir(here)
    return names


def python_of(page, imported):
    """Return the one Python block of a page that imports something."""
    (code,) = re.findall(rf"```python\n([^`]*{imported}[^`]*)```", page)
    return code


@pytest.mark.slow
def test_make_run_fits_all_three_and_everything_the_readme_says_is_there(project):
    # The defaults, but for the epochs and importance samples that most of the time would go into.
    few = "cvae: {fit: {epochs: 10}, evaluate: {n_importance_samples: 100}}\n"
    project.write("conf/local/parameters.yml", few)
    last = r"^Done: \d+ nodes in \S+ (s|min)\. The whole log: data/logs/\S+\.log$"
    assert re.search(last, make(project, "run"), re.MULTILINE)
    for pipeline in ("clustering", "pca", "cvae"):
        assert (project.path / f"data/08_reporting/{pipeline}/report.html").stat().st_size > 100_000
        assert project.metrics(pipeline, env=None)
    names = run_in(project.path, python_of(MANUAL["models.md"], "estimators import load"))
    assert names["images"].shape == (3, 64)
    names = run_in(project.path, python_of(README, "predictors"))
    matrix, signal = (set(name.split(", ")) for name in names["table"]["cluster_name"])
    assert "matrix" in matrix
    assert signal & {"fft", "signal"}
    assert not matrix & signal
    names = run_in(project.path, python_of(MANUAL["trained.md"], "predictors"))
    assert names["rebuilt"].shape == (2, 8, 8)
    assert len(names["table"]) == 2
    assert names["drawn"].shape == (3, 8, 8)
    assert 1 < names["drawn"].max() <= 16
    assert project.metrics("clustering", env=None)["nmi"] > 0.55
    mixture = estimators.load(project.path / "data/06_models/clustering/model.safetensors")
    assert mixture.weights_.shape == (13,)


def in_the_test_environment(command):
    """Return the words of a command of the README's, there, since what differs by environment is the data."""
    words = shlex.split(command)
    if "--env" in words:
        at = words.index("--env")
        assert (ROOT / "conf" / words[at + 1]).is_dir()
        del words[at : at + 2]
    # What an option of no pipeline's own does, one of them shows; all three run in the plain command.
    if "--pipelines" not in words:
        words += {"--params": ["--pipelines", "clustering"], "--runner": ["--pipelines", "pca"]}.get(
            words[-2], []
        )
    return [*words, "--env", "test"]


KEDRO_COMMANDS = {shlex.join(in_the_test_environment(c)): None for c in COMMANDS if c.startswith("kedro")}


@pytest.mark.slow
@pytest.mark.parametrize("command", KEDRO_COMMANDS)
def test_kedro_commands(continued, command):
    """The data of the other environments have tests of their own."""
    continued.kedro(*shlex.split(command)[1:])
    (run,) = continued.runs()
    assert run.info.status == "FINISHED"


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_clean_removes_what_runs_wrote_and_nothing_else(continued):
    """Whatever the environments are called, and wherever their data lie."""
    continued.write("conf/my data/globals.yml", "data: ../elsewhere/my data\n")
    continued.write("conf/books/globals.yml", "data: data/books\n")
    digits = "pca.raw_images: {type: latents.datasets.DigitsDataset, limit: 99}\n"
    continued.write("conf/books/catalog.yml", digits)
    shutil.copytree(continued.path / "data/test", continued.path.parent / "elsewhere/my data")
    shutil.copytree(continued.path / "data/test", continued.path / "data/books")
    among = {
        "test/06_models/pca/notes.md",
        "test/06_models/pca/predictor/notes.md",
        "test/07_model_output/cvae/epochs/best.png",
    }
    mine = {
        *("mine.csv", "mine/08_reporting/pca/report.html", "01_raw/precious", "books/01_raw/texts/a.txt"),
        *("books/08_reporting/final.html", "books/mine/report.html", "books/02_intermediate/my.npz"),
        *among,
    }
    for name in mine:
        continued.write(f"data/{name}", "text")
    continued.write("../elsewhere/my data/mine.txt", "text")
    # Where no run has locked a folder, none has written to it.
    for path in (continued.path / "data/books").glob("04_feature/*/.lock"):
        path.unlink()
    books = files_of(continued.path / "data/books")
    not_locked = {f"books/{name}" for name in books if name.startswith("04_")}
    continued.write("data/test/06_models/pca/.writing-0123456789ab-model.safetensors/half", "half")
    continued.write("mlflow.db.backup", "text")
    continued.write("mlartifacts/1/report.html", "logged")
    said = make(continued, "clean")
    assert files_of(continued.path / "data") == {"README.md", *mine, *not_locked}
    assert files_of(continued.path.parent / "elsewhere") == {"my data/mine.txt"}
    assert [path.name for path in continued.path.glob("ml*")] == ["mlflow.db.backup"]
    for name in among:
        assert f"left, since no run has written it: data/{name}" in said
    assert not (continued.path / "data/test/08_reporting").exists()
    make(continued, "clean")


@pytest.mark.slow
def test_clean_waits_for_no_run_and_removes_nothing_meanwhile(continued):
    before = files_of(continued.path)
    with FileLock(continued.path / "data/test/07_model_output/pca/.lock"):
        said = make(continued, "clean", code=2)
    assert "a run is writing to data/test/07_model_output/pca; wait until it has ended" in said
    assert files_of(continued.path) == before


UNREADABLE = {
    "unclosed/globals.yml": "data: [data/unclosed\n",
    "nowhere/globals.yml": "data: null\n",
    "resolver/catalog.yml": "pca.scores: {type: MemoryDataset, metadata: '${runtime_params:a}'}\n",
    "list/catalog.yml": "- pca.scores\n",
    "text/catalog.yml": "pca.scores: scores.csv\n",
    "unknown/catalog.yml": "pca.scores: {type: JSONDataset, filepath: 's3://a/b.json', credentials: nobody}\n",
}


@pytest.mark.slow
def test_clean_goes_by_every_environment_that_can_be_read(continued):
    for name, text in UNREADABLE.items():
        continued.write(f"conf/{name}", text)
    continued.write("conf/known/credentials.yml", "somebody: {key: a}\n")
    continued.write("conf/known/catalog.yml", UNREADABLE["unknown/catalog.yml"].replace("nobody", "somebody"))
    said = make(continued, "clean")
    unread = re.findall(r"the outputs of (\w+) stay: its configuration cannot be read \(.+\)", said)
    assert unread == sorted(name.split("/")[0] for name in UNREADABLE)
    assert "WARNING" not in said
    assert files_of(continued.path / "data") == {"README.md"}


@pytest.mark.slow
def test_clean_leaves_what_lies_in_a_store_and_says_so(continued):
    continued.write("conf/bucket/globals.yml", "data: s3://bucket/latents\n")
    said = make(continued, "clean")
    assert re.search(
        r"\d\d outputs of bucket stay, which lie in a store, such as s3://bucket/latents/02_", said
    )
    assert files_of(continued.path / "data") == {"README.md"}


@pytest.mark.slow
def test_clean_does_not_look_around_where_an_output_was_sent_elsewhere(continued):
    continued.write(
        "conf/test/catalog_own.yml", "pca.scores: {type: pandas.CSVDataset, filepath: scores.csv}\n"
    )
    for name in ("scores.csv", ".lock", "mine.txt"):
        continued.write(name, "text")
    assert "mine.txt" not in make(continued, "clean")
    assert {".lock", "scores.csv", "mine.txt"} & files_of(continued.path) == {"mine.txt"}


def test_clean_without_an_environment_leaves_outputs_and_says_so(continued):
    said = continued.command("make", "clean")
    assert "outputs stay: there is no .venv to read the catalog with" in said
    assert (continued.path / "data/test/08_reporting/pca/report.html").is_file()
    assert not list(continued.path.glob("ml*"))


def test_ui_points_to_the_server_that_has_the_runs(project):
    said = make(project, "ui", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert "your runs are on the server http://127.0.0.1:9" in said


def test_no_figure_of_the_readme_is_left_open():
    assert not re.findall(r"\b(?:REF|BENCH|MEM)_[A-Z]+\b", README)


@pytest.mark.slow
@pytest.mark.parametrize(("target", "path"), [("viz", "api/main"), ("ui", "")])
def test_servers_answer_on_this_machine_alone(finished, target, path):
    port = free_port()
    address = f"http://{LOCAL}:{port}/{path}"
    command = ["make", *INSTALLED, target, f"{target.upper()}_PORT={port}"]
    with served({address: command}, finished.path, finished.environment), DIRECT.open(address) as answer:
        content = answer.read().decode()
    assert ("pca.eigenimages_figure" if target == "viz" else "MLflow") in content


@pytest.mark.slow
def test_single_runs_can_be_removed(project):
    command = re.search(r"`(mlflow gc [^`]*)`", MANUAL["kedro.md"])[1]
    project.run("pca")
    project.run("pca")
    kept, removed = project.runs()
    models = project.client.search_logged_models([removed.info.experiment_id])
    project.client.delete_run(removed.info.run_id)
    for model in models:
        if model.source_run_id == removed.info.run_id:
            project.client.delete_logged_model(model.model_id)
    project.command(*shlex.split(command))
    assert [run.info.run_id for run in project.runs()] == [kept.info.run_id]
    artifacts = project.path / "mlartifacts"
    assert not list((artifacts / removed.info.run_id).rglob("*.html"))
    assert list((artifacts / kept.info.run_id).rglob("*.html"))
    assert len(models) == 2
    for model in models:
        files = list((artifacts / "models" / model.model_id).rglob("*.safetensors"))
        assert bool(files) == (model.source_run_id == kept.info.run_id)


def test_make_help_lists_the_commands(project):
    said = make(project)
    for target in (
        "run",
        "test",
        "test-all",
        "rehearsal",
        "lint",
        "docs",
        "app",
        "viz",
        "ui",
        "notebooks",
        "clean",
    ):
        assert f"make {target} " in said


def test_make_notebooks_installs_and_opens_them_on_this_machine_alone(project):
    said = project.command("make", "--dry-run", f"BIN={BIN}", "NOTEBOOKS_PORT=9", "notebooks")
    installed = said.index('--editable ".[notebooks]"')
    assert installed < said.index(f"{BIN}/kedro jupyter lab --ip=127.0.0.1 --port=9 notebooks")


def test_make_app_installs_its_extra_and_opens_an_environment(project):
    said = project.command("make", "--dry-run", f"BIN={BIN}", "ENV=test", "APP=--port 9", "app")
    installed = said.index('--editable ".[app]"')
    assert installed < said.index(f"{BIN}/python -m latents.app --env test --port 9")


def test_refuses_an_old_python(project, tmp_path):
    old = tmp_path / "python3"
    old.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exec "{sys.executable}" -c "import sys; sys.version_info = (3, 9, 1); $2"\n'
    )
    old.chmod(0o755)
    said = project.command("make", f"PYTHON={old}", "run", code=2)
    assert "Python 3.11 or later is needed, this is 3.9" in said


@pytest.mark.parametrize("name", ["CHANGELOG.md", "LICENSE", ".ci/run", ".ci/models", "data/README.md"])
def test_files_that_are_named_are_there(name):
    assert (ROOT / name).is_file()


def anchors(page):
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


OTHER_PAGES = ["README.md", "CONTRIBUTING.md", "benchmarks/README.md", "benchmarks/RECORD.md"]


@pytest.mark.parametrize("name", [*OTHER_PAGES, *(f"docs/{name}" for name in MANUAL)])
def test_links_lead_somewhere(name):
    page = (ROOT / name).read_text()
    links = re.findall(r"(?<!!)\[[^\]]*\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page)
    assert links or name != "README.md"
    for path, anchor in links:
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.is_file(), path
        assert not anchor or anchor in anchors(target.read_text()), anchor


def test_every_page_is_named_in_the_readme():
    assert {path.name for path in (ROOT / "docs").glob("*.md")} == set(MANUAL)
    assert all(f"(docs/{name})" in README for name in MANUAL)


def test_the_readmes_own_data_is_among_the_documented():
    def blocks(page):
        return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)]

    told, shown = blocks(MANUAL["data.md"]), blocks(README)
    entry, parameters = shown
    assert entry in told
    assert parameters.items() <= next(block for block in told if "cvae" in block).items()


def test_pictures_of_the_readme_are_there():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", README)
    assert len(pictures) == 6
    for picture in pictures:
        assert (ROOT / picture).read_bytes().startswith(b"\x89PNG")
