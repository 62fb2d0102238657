"""Images that are larger than what is held at once: the run of the pipeline cvae is that of images in memory."""

import numpy as np
import pytest
import torch

from latents import estimators
from latents.datasets import NpyFolderDataset
from latents.pipelines.cvae import nodes

ENTRY = """
cvae.raw_images:
  type: latents.datasets.NpyDataset
  filepath: data/01_raw/images.npy
  labels: labels.npy
"""
PARAMS = {
    "cvae": {
        "features": {"white": 255.0},
        "fit": {"epochs": 2, "n_latents": 2, "hidden": [8], "batch_size": 32, "checkpoint_every": 1},
        "watch": {"every": None},
        "evaluate": {"n_importance_samples": 5, "n_generated": 2, "n_reconstructions": 4, "n_hardest": 3},
    }
}


@pytest.fixture
def mapped_project(project):
    rng = np.random.default_rng(0)
    folder = project.path / "data/01_raw"
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", rng.integers(0, 256, (300, 6, 5), dtype=np.uint8))
    np.save(folder / "labels.npy", np.arange(300, dtype=np.uint8) % 3)
    project.write("conf/local/catalog.yml", ENTRY)
    return project


def outcome(project, **fit):
    params = {"cvae": {**PARAMS["cvae"], "fit": {**PARAMS["cvae"]["fit"], **fit}}}
    project.run("cvae", env=None, params=params, until="export")
    model = estimators.load(project.path / "data/06_models/cvae/model.safetensors")
    test = NpyFolderDataset(str(project.path / "data/05_model_input/cvae/test")).load()
    return model, np.array(test["X"]), project.metrics("cvae", env=None)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_run_is_the_same_from_memory_and_from_maps(mapped_project, monkeypatch, likelihood):
    model, X_test, metrics = outcome(mapped_project, likelihood=likelihood)
    monkeypatch.setattr(nodes, "_IN_MEMORY", 0)
    monkeypatch.setattr(nodes, "_BLOCK", 30 * 11)
    again, its_X_test, its_metrics = outcome(mapped_project, likelihood=likelihood)
    np.testing.assert_array_equal(its_X_test, X_test)
    for name, weight in again.network_.state_dict().items():
        assert torch.equal(weight, model.network_.state_dict()[name]), name
    assert its_metrics.pop("seconds_per_epoch") > 0 < metrics.pop("seconds_per_epoch")
    assert its_metrics == metrics

    # Some windows to an epoch: another order, and a model about as good.
    other, _, metrics = outcome(mapped_project, likelihood=likelihood, window=60 * 30)
    assert other.window == 1800
    assert metrics["lower_bound_test"] != its_metrics["lower_bound_test"]
    assert metrics["lower_bound_test"] == pytest.approx(its_metrics["lower_bound_test"], rel=0.2)
