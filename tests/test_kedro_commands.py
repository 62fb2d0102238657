"""Kedro's own commands: catalog, registry, IPython, Kedro-Viz's site, and the package away from the project."""

import inspect
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile

import pytest
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.cli.project import package as package_command
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from tests.conftest import ROOT, Project

TRAINING = ("clustering", "pca", "cvae")
PIPELINES = (*TRAINING, *(f"{name}_inference" for name in TRAINING))
NODES = ["ingest", "features", "split", "fit", "evaluate", "draw", "export", "report"]
LAYERS = ["raw", "intermediate", "feature", "model_input", "models", "model_output", "reporting", "serving"]


@pytest.fixture
def kedro(finished, monkeypatch, capsys):
    """Return a function that runs a command of Kedro's in this process, and returns what it printed."""
    monkeypatch.chdir(finished.path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*words):
        capsys.readouterr()
        KedroCLI(finished.path).main(list(words), standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_registry_tells_the_pipelines_and_their_nodes(kedro):
    listed = kedro("registry", "list")
    for name in ("__default__", *PIPELINES):
        assert f"- {name}\n" in listed
    described = kedro("registry", "describe", "cvae")
    assert re.findall(r"- cvae\.(\w+)", described) == NODES


def test_catalog_tells_every_dataset(kedro, finished):
    described = kedro("catalog", "describe-datasets", "--env", "test", "--pipeline", "pca")
    assert "pca.worst_table" in described
    assert "clustering." not in described
    assert "factories: {}" in described
    assert "'{default}'" in kedro("catalog", "list-patterns", "--env", "test")


def test_catalog_resolves_to_entries_that_could_be_written(kedro, finished):
    resolved = kedro("catalog", "resolve-patterns", "--env", "test")
    assert (
        f"pca.scores:\n  filepath: {finished.path}/data/test/07_model_output/pca/scores.parquet\n"
        "  type: latents.datasets.whole.ParquetDataset\n"
    ) in resolved
    assert "kwargs" not in resolved


def test_what_a_run_has_left_can_be_loaded_again(finished, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    bootstrap_project(finished.path)
    with KedroSession.create(project_path=finished.path, env="test") as session:
        catalog = session.load_context().catalog
    for name in pipelines["__default__"].datasets():
        assert catalog.load(name) is not None, name
    assert catalog.load("cvae.generated_figure").format == "PNG"


@pytest.mark.slow
def test_ipython_has_the_catalog_of_the_environment(finished):
    code = "print(catalog.load('pca.model').n_components_, sorted(pipelines), context.env)"
    said = finished.command("kedro", "ipython", "--env", "test", "-c", code)
    assert f"4 {sorted(('__default__', *PIPELINES))} test" in said


@pytest.mark.slow
def test_viz_builds_a_site_with_layers_and_previews(finished):
    said = finished.command("kedro", "viz", "build", "--include-previews", KEDRO_ENV="test")
    unseen = re.findall(r"'(\w+)\.\w+' could not be previewed", " ".join(said.split()))
    assert not set(unseen) & set(TRAINING)  # the others have not run
    site = finished.path / "build"
    for asset in re.findall(r'(?:src|href)="\.?/?(assets/[^"]+)"', (site / "index.html").read_text()):
        assert (site / asset).is_file()
    graph = json.loads((site / "api/main").read_text())
    assert graph["layers"] == LAYERS
    for path in (site / "api/pipelines").iterdir():  # none in a circle, where Kedro-Viz would draw no layer
        assert set(json.loads(path.read_text())["layers"]) == set(LAYERS), path.name
    details = {
        (*node["modular_pipelines"], node["name"]): json.loads((site / "api/nodes" / node["id"]).read_text())
        for node in graph["nodes"]
        if node["type"] in ("task", "data")
    }
    for pipeline in TRAINING:
        assert details[pipeline, "fit"]["preview"]["kind"] == "mermaid"
    previewed = {key[-1] for key, detail in details.items() if detail.get("preview")}
    assert previewed >= {"clustering.map_figure", "clustering.topics", "pca.worst_figure", "cvae.metrics"}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Return what ``kedro package`` makes, built with what is installed: it would ask a package index for that."""
    path = tmp_path_factory.mktemp("package")
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", path / "src", ignore=unwanted, copy_function=shutil.copyfile)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, path / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", path, path]
    subprocess.run(build, check=True, capture_output=True)
    local = shutil.ignore_patterns("local")
    shutil.copytree(ROOT / "conf", path / "conf", ignore=local, copy_function=shutil.copyfile)
    (path / "conf/local").mkdir()
    for name in ("catalog.yml", "credentials.json"):
        (path / "conf/local" / name).write_text("{}")
    archive = path / "conf-latents.tar.gz"
    subprocess.run(
        ["tar", "--exclude=local/*.yml", "-czf", archive, f"--directory={path}", "conf"], check=True
    )
    return next(path.glob("*.whl")), archive


@pytest.mark.slow
def test_the_archive_leaves_out_what_the_manual_says(package):
    """Of the user's own configuration: the archive is made here as Kedro makes it."""
    _, archive = package
    assert "--exclude=local/*.yml" in inspect.getsource(package_command.callback)
    with tarfile.open(archive) as packed:
        names = packed.getnames()
    assert "conf/base/catalog_pca.yml" in names
    assert [name for name in names if name.startswith("conf/local/")] == ["conf/local/credentials.json"]


@pytest.mark.slow
def test_the_package_runs_elsewhere(package, tmp_path):
    wheel, archive = package
    environment = tmp_path / "environment"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, environment], check=True)
    python = environment / "bin/python"
    # The dependencies are those of the tests' environment; its own copy of this package stays out of sight,
    # since a .pth file that is merely on the path is not read.
    (library,) = environment.glob("lib/python3*/site-packages")
    (library / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    subprocess.run([*uv, "pip", "install", "--offline", "--no-deps", "--python", python, wheel], check=True)
    elsewhere = Project(tmp_path / "elsewhere")
    elsewhere.path.mkdir()
    variables = {name: value for name, value in elsewhere.environment.items() if name != "PYTHONPATH"}

    def latents(*words):
        done = subprocess.run(
            [python, "-m", "latents", "--env", "test", *words],
            cwd=elsewhere.path,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    latents("--conf-source", str(archive), "--pipelines", "pca")
    assert {path.name for path in elsewhere.path.iterdir()} == {"data", "mlflow.db", "mlartifacts"}
    assert (elsewhere.path / "data/test/08_reporting/pca/report.html").is_file()
    (run,) = elsewhere.runs()
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith(elsewhere.path.as_uri())

    shutil.unpack_archive(archive, elsewhere.path / "mine")
    entry = elsewhere.path / "mine/conf/test/catalog_pca.yml"
    entry.write_text(entry.read_text().replace("limit: 200", "limit: 150"))
    assert "150 images" in latents("--conf-source", "mine/conf", "--nodes", "pca.ingest")
