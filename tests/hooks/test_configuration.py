"""Where MLflow's artifacts go."""

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from latents.hooks.configuration import ConfigurationError


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


def test_credentials_that_nobody_has_given_stop_the_run(project):
    project.write("conf/bucket/globals.yml", "{data: 's3://bucket/latents', credentials: nobody}\n")
    project.write("conf/bucket/credentials.yml", "somebody: {key: hush}\n")
    with pytest.raises(
        ConfigurationError, match=r"credentials is 'nobody' .*\.yml .* has 'somebody'"
    ) as raised:
        project.run("pca", env="bucket")
    assert "hush" not in str(raised.value)
