"""What runs say: a line a node, a table at the end, and all the rest in a file."""

import html
import logging
import re
import shutil
import sys
from pathlib import Path

import pytest
import rich
import yaml
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner, ThreadRunner

from latents.hooks.run_log import RunLog
from latents.key_numbers import written
from latents.rounding import MINUS
from tests.conftest import ROOT

NODES = ["ingest", "features", "split", "fit", "evaluate", "draw", "export", "report"]
# What each pipeline's table says: the name, the metric and its unit.
ROWS = {
    "clustering": {
        "Held-out perplexity": "heldout_perplexity words",
        "NMI": "nmi",
        "Accuracy": "accuracy",
        "NPMI": "npmi",
    },
    "pca": {
        "J": "distortion squared grey levels per image",
        "Held-out error": "heldout_distortion squared grey levels per image",
        "Variance kept": "explained_variance_ratio",
    },
    "cvae": {
        "Test lower bound": "lower_bound_test nats per image",
        "log p(x | y)": "log_likelihood_test nats per image",
        "log p(x)": "log_marginal_test nats per image",
        "Accuracy of p(y | x)": "accuracy_bayes",
    },
}


def rows_of(text, pipeline):
    """Return the lines of a pipeline's block of the table, by what each begins with."""
    (block,) = re.findall(rf"^{pipeline}\n((?:  .*\n)+)", text, flags=re.MULTILINE)
    return dict(re.split(r" {2,}", line.strip(), maxsplit=1) for line in block.splitlines())


@pytest.fixture
def log(finished):
    (path,) = (finished.path / "data/test/logs").iterdir()
    return path.read_text()


def error_of(metric, metrics):
    """Return what stands beside a number that has a standard error."""
    error = f"{metric}_error"
    return f" +/- {metrics[error]:.2f}" if error in metrics else ""


@pytest.mark.parametrize("pipeline", ROWS)
def test_the_table_has_the_key_figures_of_metrics_json_rounded(finished, log, pipeline):
    found, metrics = rows_of(log, pipeline), finished.metrics(pipeline)
    report = f"data/test/08_reporting/{pipeline}/report.html"
    assert found.pop("report") == str(finished.path / report)  # it ran from elsewhere
    times = found.pop("nodes").split(", ")
    assert sorted(name.split()[0] for name in times) == sorted(NODES)
    assert all(re.fullmatch(r"\w+ (< 0\.01 s|[\d.]+ (s|min))", one) for one in times), times
    assert found == {
        name: f"{written(metric, metrics[metric])}{error_of(metric, metrics)}  {' '.join(unit)}".rstrip()
        for name, (metric, *unit) in ((name, told.split()) for name, told in ROWS[pipeline].items())
    }


@pytest.mark.parametrize("pipeline", ROWS)
def test_the_report_has_the_same_figures(finished, log, pipeline):
    page = (finished.path / f"data/test/08_reporting/{pipeline}/report.html").read_text()
    rows = rows_of(log, pipeline)
    for name in set(rows) - {"report", "nodes"}:
        value, *unit = rows[name].replace("+/-", "±").replace("-", MINUS).split("  ")
        shown = f'<dt>{html.escape(name)}</dt>\n    <dd>\n      <div class="value">{value}'
        assert shown + "".join(f' <span class="unit">{one}</span>' for one in unit) in page, name


def test_the_whole_log_has_every_dataset_and_node(log):
    for pipeline in ROWS:
        for node in NODES:
            assert f"Completed node: {pipeline}.{node}" in log
        assert re.search(rf"kedro.io.\S+: Loading data from {pipeline}\.metrics", log)
        assert re.search(rf"kedro.io.\S+: Saving data to {pipeline}\.report", log)
    assert "\x1b" not in log


def test_a_command_says_nodes_and_a_table_without_escapes_or_warnings(project):
    said = project.command("kedro", "run", "--env", "test", "--pipelines", "pca")
    lines = said.splitlines()
    assert len(lines) <= 25, said
    named = [line.split(": ")[1] for line in lines if re.search(r"INFO +\d+ of \d+: ", line)]
    assert named == [f"pca.{node}" for node in NODES]
    assert f"{len(NODES)} of {len(NODES)}: pca.report" in said
    written_j = written("distortion", project.metrics("pca")["distortion"])
    assert rows_of(said, "pca")["J"].startswith(f"{written_j} ")
    last = re.fullmatch(r"Done: (\d+) nodes in \S+ s\. The whole log: (\S+)", lines[-1])
    assert last[1] == str(len(named))
    assert "Loading data from pca.images" in (project.path / last[2]).read_text()
    unsaid = (
        "\x1b",
        "WARNING",
        "Warning",
        "Loading data",
        "Saving data",
        "Completed node",
        "Running node",
        "Using '",
    )
    assert [words for words in unsaid if words in said] == []


@pytest.mark.slow
def test_the_full_configuration_shows_everything(project):
    words = ["kedro", "run", "--env", "test", "--nodes", "pca.ingest"]
    said = project.command(*words, KEDRO_LOGGING_CONFIG="conf/logging_full.yml")
    for step in (
        "Loading data from pca.raw_images",
        "Saving data to pca.images",
        "Completed node: pca.ingest",
    ):
        assert step in said


def test_a_run_that_fails_says_where_and_ends_in_the_error(project):
    many = ["--params", "pca.fit.n_components=1000"]
    said = project.kedro("run", "--env", "test", "--pipelines", "pca", *many, code=1)
    rows = rows_of(said, "pca")
    assert re.fullmatch(
        r"ingest .*, features .*, split .*, fit FAILED after .* s, not run: evaluate, draw, export, report",
        rows.pop("nodes"),
    )
    assert rows == {}
    assert "The run failed in pca.fit: ValueError." in said
    assert "Done" not in said
    assert '--from-nodes "pca.fit"' in said
    error = "n_components=1000 must be between 0 and min(n_samples, n_features)=64"
    assert f"ValueError: {error}" in said.splitlines()[-1]
    (log,) = (project.path / "data/test/logs").iterdir()
    assert "the run failed in pca.fit\nTraceback" in log.read_text()
    assert error in log.read_text()


def test_what_cannot_be_read_is_named_with_its_node(continued, capsys):
    (continued.path / "data/test/06_models/pca/model.safetensors").write_bytes(b"damaged")
    with pytest.raises(Exception, match=r"model\.safetensors"):
        continued.run("pca", from_nodes=["pca.evaluate"])
    said = capsys.readouterr().out
    assert re.match(
        r"evaluate FAILED after .* s, not run: draw, export, report", rows_of(said, "pca")["nodes"]
    )
    assert "The run failed in pca.evaluate" in said


def test_part_of_a_pipeline_tells_what_it_has_read(continued, capsys):
    continued.run("pca", "cvae", node_names=["pca.export", "cvae.ingest"])
    said = capsys.readouterr().out
    rows = rows_of(said, "pca")
    assert set(rows) == {"J", "Held-out error", "Variance kept", "nodes"}  # the report is of another run
    assert re.fullmatch("export .* s", rows["nodes"])
    assert list(rows_of(said, "cvae")) == ["nodes"]


def test_where_nothing_is_to_be_run_it_says_so(continued, capsys):
    continued.run("cvae", to_nodes=["cvae.ingest"], only_missing_outputs=True)
    assert "Done: no node was to be run." in capsys.readouterr().out


@pytest.mark.parametrize("runner", [SequentialRunner(), ThreadRunner()])
def test_inference_tells_how_much_and_where(continued, runner, monkeypatch, capfd):
    monkeypatch.chdir(continued.path)
    continued.run("clustering_inference", "pca_inference", runner=runner)
    said = capfd.readouterr().out
    rows = rows_of(said, "clustering_inference")
    assert rows["documents"] == "10"
    assert rows["assignments"] == "data/test/07_model_output/clustering_inference/assignments.csv"
    rows = rows_of(said, "pca_inference")
    assert rows["samples"] == "10"
    assert (continued.path / rows["reconstructions"]).is_file()
    places = [int(place) for place in re.findall(r"(\d+) of \d+: ", said)]
    assert places
    assert places == list(range(1, len(places) + 1))


@pytest.fixture
def without_mlflow(continued, monkeypatch):
    """Switch kedro-mlflow off for runs of this process."""
    bootstrap_project(continued.path)  # else the first run would, and read Kedro's settings anew
    with monkeypatch.context() as patch:
        patch.setattr("kedro.framework.project.settings.DISABLE_HOOKS_FOR_PLUGINS", ("kedro_mlflow",))
        yield
    bootstrap_project(continued.path)  # they cannot be given back what they had


@pytest.mark.usefixtures("without_mlflow")
def test_without_mlflow_there_is_a_table_all_the_same(continued, capsys):
    continued.run("pca", node_names=["pca.evaluate"])
    assert continued.runs() == []
    assert "J" in rows_of(capsys.readouterr().out, "pca")


def test_a_warning_is_seen_once(project):
    shutil.copytree(project.path / "conf/test", project.path / "conf/few")
    project.write(
        "conf/few/parameters_clustering.yml",
        "clustering: {fit: {n_components: [2, 3], annealing: false, max_iter: 2}}",
    )
    said = project.kedro("run", "--env", "few", "--to-nodes", "clustering.fit")
    assert said.count("ConvergenceWarning: EM took max_iter=2 steps") == 1


def test_logs_are_a_file_a_run_and_the_oldest_go(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/notes.log").touch()
    log = RunLog()
    for day in range(10, 10 + RunLog.KEPT + 3):
        log.open(tmp_path, f"2026-11-{day}T08.00.00.000Z")
        logging.getLogger("latents").warning("on day %d", day)
    assert log.path == tmp_path / f"logs/2026-11-{day}T08.00.00.000Z.log"
    log.close()
    assert log.path is None
    logging.getLogger("latents").warning("afterwards")
    left = sorted((tmp_path / "logs").iterdir())
    assert left[-1].name == "notes.log"
    assert len(left) == RunLog.KEPT + 1
    assert left[0].name == "2026-11-13T08.00.00.000Z.log"
    assert [re.findall(r"on day \d+|afterwards", path.read_text()) for path in left[:-1]] == [
        [f"on day {day}"] for day in range(13, 10 + RunLog.KEPT + 3)
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_log_whose_disk_is_full_ends_with_one_warning(tmp_path, caplog, capsys):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/2026-11-10T08.00.00.000Z.log").symlink_to("/dev/full")
    log = RunLog()
    log.open(tmp_path, "2026-11-10T08.00.00.000Z")
    for number in range(3):
        logging.getLogger("latents").warning("line %d", number)
    log.close()
    assert len(re.findall("the log .* ends here: .*No space left", caplog.text)) == 1
    assert caplog.text.count("line ") == 3
    assert "Traceback" not in capsys.readouterr().err


def test_a_line_that_cannot_be_formatted_ends_no_log(tmp_path, capsys):
    log = RunLog()
    log.open(tmp_path, "2026-11-10T08.00.00.000Z")
    # To the file alone: pytest's own handler raises.
    (file,) = [one for one in logging.root.handlers if one.__class__.__name__ == "_LogFile"]
    file.handle(logging.LogRecord("lib", logging.WARNING, __file__, 1, "line %d", ("x",), None))
    logging.getLogger("latents").warning("the line after")
    written = log.path.read_text()
    log.close()
    assert "the line after" in written
    assert "Logging error" in capsys.readouterr().err


def test_a_table_that_cannot_be_printed_fails_no_run(continued, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise BrokenPipeError("nobody reads")

    monkeypatch.setattr(rich.get_console(), "print", broken)
    continued.run("pca", node_names=["pca.ingest"])
    assert "the table was not printed: BrokenPipeError('nobody reads')" in caplog.text
    (run,) = continued.runs()
    assert run.info.status == "FINISHED"


def test_where_no_log_can_be_written_the_run_says_so_and_goes_on(continued, capsys, caplog):
    (continued.path / "data/test/logs").rename(continued.path / "data/test/old")
    continued.write("data/test/logs", "a file")
    continued.run("pca", node_names=["pca.ingest"])
    assert "this run has no log file: " in caplog.text
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"Done: 1 node in \S+ s\.", last)


@pytest.mark.slow
def test_the_package_brings_the_projects_logging(project, tmp_path):
    """It runs where there is no ``conf``."""
    own = yaml.safe_load((ROOT / "src/latents/logging.yml").read_text())
    assert own == yaml.safe_load((ROOT / "conf/logging.yml").read_text())
    words = ["--conf-source", str(project.path / "conf"), "--env", "test", "--nodes", "pca.ingest"]
    (tmp_path / "elsewhere").mkdir()
    elsewhere = type(project)(tmp_path / "elsewhere")
    said = elsewhere.command(sys.executable, "-m", "latents", *words)
    assert re.search(r"INFO +1 of 1: pca.ingest", said)
    assert "Loading data" not in said
    assert "Saving data to pca.images" in next((elsewhere.path / "data/test/logs").iterdir()).read_text()
