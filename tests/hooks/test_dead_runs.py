"""What the next run tells MLflow of runs whose process is gone (``test_store`` has those whose server was)."""

from latents.hooks import dead_runs


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
