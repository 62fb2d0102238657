"""Where MLflow's artifacts go."""

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project


@pytest.mark.parametrize("address", [None, "sqlite:///{}/mlflow.db"])
def test_artifacts_stay_in_the_project_where_no_server_keeps_them(project, monkeypatch, address):
    if address is None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(project.path))
    bootstrap_project(project.path)
    with KedroSession.create(project_path=project.path, env="test") as session:
        session.load_context()
    (experiment,) = [found for found in project.client.search_experiments() if found.name == "latents-test"]
    assert experiment.artifact_location.removeprefix("file://") == str(project.path / "mlartifacts")
