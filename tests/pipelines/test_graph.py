"""What Kedro-Viz makes of the pipelines: little hangs from a collapsed one, and an opened one has layers."""

import pytest
import yaml

from latents.pipeline_registry import register_pipelines
from tests.conftest import ROOT

TRAINING = ("clustering", "pca", "cvae")
pytestmark = [
    pytest.mark.parametrize("name", [*TRAINING, *(f"{name}_inference" for name in TRAINING)]),
    # As the settings and the registry have it.
    pytest.mark.filterwarnings("ignore:One or more dataset names contain"),
    pytest.mark.filterwarnings("ignore:The 'preview_fn' feature"),
]


def test_at_most_five_datasets_hang_from_a_collapsed_pipeline(name):
    pipeline = register_pipelines()[name]
    hanging = {dataset for dataset in pipeline.inputs() if "params:" not in dataset} | pipeline.outputs()
    # What new documents are held against is the training's, and drawn as such.
    trained = {
        f"clustering.{table}" for table in ["counts", "vocabulary", "documents", "assignments", "clusters"]
    }
    if name == "clustering_inference":
        assert trained < hanging
        hanging -= trained
    assert len(hanging) <= 5, hanging


def test_every_dataset_has_a_layer_and_every_node_writes_into_one(name):
    entries = {}
    for path in (ROOT / "conf/base").glob("catalog*.yml"):
        entries |= yaml.safe_load(path.read_text())
    pipeline = register_pipelines()[name]
    layers = {
        dataset: entries[dataset]["metadata"]["kedro-viz"]["layer"]
        for dataset in pipeline.datasets()
        if "params:" not in dataset
    }
    for node in pipeline.nodes:
        assert len({layers[dataset] for dataset in node.outputs}) == 1, node.name
