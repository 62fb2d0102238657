"""What is saved in threads goes to the one run."""

import mlflow
from kedro.runner import SequentialRunner


def test_what_is_saved_asynchronously_goes_to_one_run(project):
    project.run("pca", runner=SequentialRunner(is_async=True))
    mlflow.set_tracking_uri(project.client.tracking_uri)  # models are looked up there, whatever the client's
    (run,) = project.runs()
    assert run.info.status == "FINISHED"
    assert "pca/distortion" in run.data.metrics
    assert "pca.fit.svd_solver" in run.data.params
    figures = {path.name for path in (project.data() / "08_reporting/pca").iterdir()}
    assert project.artifacts(run, "pca") >= figures - {".lock", ".run", "metrics.json"}
    (model,) = project.client.search_logged_models([run.info.experiment_id])
    assert (model.name, model.source_run_id) == ("pca", run.info.run_id)
    (version,) = project.client.search_model_versions("name = 'latents-pca-test'")
    assert version.run_id == run.info.run_id
