"""The notebooks: committed without outputs, and true of a finished run."""

import json
import os
import re

import nbformat
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.conftest import ROOT

NAMES = ["1_clustering.ipynb", "2_pca.ipynb", "3_cvae.ipynb"]


def test_each_model_has_its_notebook():
    assert sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_is_committed_without_outputs(name):
    notebook = json.loads((ROOT / "notebooks" / name).read_text())
    nbformat.validate(notebook)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"  # which every environment has
    for cell in notebook["cells"]:
        assert cell["id"]
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]


@pytest.fixture(scope="module")
def kernel(finished):
    """Yield a running kernel for all notebooks, as most of a notebook's time goes into imports."""
    folder = finished.path / "notebooks"
    folder.mkdir(exist_ok=True)  # another worker of pytest may have made it
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=folder, env=environment)
    yield manager
    manager.shutdown_kernel(now=True)


def executed(name, kernel, env):
    """Return the cells of a notebook with what they have put out, run on an environment of the project."""
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    (load,) = [cell for cell in notebook.cells if cell.id == "load"]
    assert load.source.count("ENV = None") == 1
    load.source = load.source.replace("ENV = None", f"ENV = {env!r}")
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))  # nothing is left of the one before
    client = NotebookClient(notebook, km=kernel, timeout=600)
    try:
        client.execute()
    finally:
        client.kc.stop_channels()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_holds_for_a_finished_run(kernel, name):
    """Formulas and models are held against each other by the notebooks' own assertions."""
    cells = executed(name, kernel, "test")
    figures = [cell for cell in cells if re.fullmatch(r'catalog\.load\("\w+\.\w+_figure"\)', cell.source)]
    assert len(figures) >= 4
    for cell in figures:
        shown = set().union(*(output.data for output in cell.outputs if "data" in output))
        assert "image/png" in shown or shown >= {"application/vnd.plotly.v1+json", "text/html"}, cell.source
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.data for output in outputs if "data" in output)
    assert [output for output in outputs if output.get("name") == "stderr"] == []


@pytest.mark.slow
def test_says_so_where_there_is_no_run(kernel):
    with pytest.raises(CellExecutionError) as caught:
        executed("2_pca.ipynb", kernel, "benchmark")
    assert caught.value.evalue.startswith("no finished run of pca in ")
    assert "ENV='benchmark'" in caught.value.evalue
