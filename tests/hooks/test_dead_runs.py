"""What the next run tells MLflow of runs whose process is gone (``test_store`` has those whose server was)."""

from latents.hooks import dead_runs
from latents.hooks.dead_runs import DeadRunHook, OpenRun
from latents.places import place


def test_a_run_leaves_its_mark_before_it_tells_of_others(project, monkeypatch):
    """Telling may take seconds, in which it can be killed itself."""
    mark = project.path / "data/test/02_intermediate/pca/.run"
    project.write(str(mark.relative_to(project.path)), "0123456789abcdef0123456789abcdef\n")
    seen, end = [], dead_runs._end

    def look(run):
        seen.append([line.split()[0] for line in mark.read_text().splitlines()])
        return end(run)

    monkeypatch.setattr(dead_runs, "_end", look)
    project.run("pca", to_nodes=["pca.ingest"])
    (run,) = project.runs()
    assert seen == [["0123456789abcdef0123456789abcdef", run.info.run_id]]
    assert not mark.exists()


def test_a_store_that_is_away_keeps_no_mark_from_a_disk(tmp_path, caplog):
    hook = DeadRunHook()
    hook._marks = [place("nostore://b/.run"), place("nostore://c/.run"), tmp_path / ".run"]
    hook._untold = [OpenRun("1", "KILLED", "x")]
    hook._leave(None)
    assert (tmp_path / ".run").read_text() == "1 KILLED x\n"
    assert len(caplog.records) == 1
