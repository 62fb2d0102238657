"""What commands load before they do anything, by the names of modules and never by the clock."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latents import garbage
from latents.deferral import deferred, ipython_unasked

ROOT = Path(__file__).parents[1]
# The command line of kedro-mlflow, which Kedro loads for every command, imports MLflow, pandas and polars anyway.
HEAVY = {"torch", "matplotlib", "alembic", "sklearn.metrics", "sklearn.manifold", "scipy.stats", "IPython"}
_TELL = "import atexit, json, sys; atexit.register(lambda: print('\\n' + json.dumps(sorted(sys.modules)))); "
_COMMAND = f"{_TELL}from kedro.framework.cli import main; sys.argv[0] = 'kedro'; main()"


def loaded_by(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "DO_NOT_TRACK": "true"},
    )
    return set(json.loads(done.stdout.splitlines()[-1])), done.stdout


def test_a_basis_is_imported_and_fitted_without_torch_pandas_and_matplotlib():
    code = (
        f"{_TELL}import numpy as np; from latents.estimators import MinimumErrorPCA; "
        "MinimumErrorPCA(2).fit(np.eye(5)).transform(np.eye(5))"
    )
    modules, _ = loaded_by(code)
    assert "sklearn.base" in modules
    beside = {"pandas", "polars", "pyarrow", "kedro", "mlflow", "fsspec"}
    assert not modules & (beside | {"torch", "matplotlib", "scipy.stats"})


@pytest.mark.parametrize(
    ("words", "said", "beside"),
    [
        (["run", "--help"], "--pipelines", {"sklearn", "plotly", "latents.pipelines"}),
        (["registry", "list"], "- pca_inference", set()),
    ],
)
def test_what_runs_nothing_loads_no_model_and_no_figure(words, said, beside):
    modules, text = loaded_by(_COMMAND, *words)
    assert said in text
    assert not modules & (HEAVY | {"latents.hooks"} | beside)


def test_what_is_deferred_is_what_it_would_have_been(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with deferred("colorsys", "json"):
        import colorsys as early

        assert sys.modules["json"] is json  # what is there stays
    assert "colorsys" not in sys.modules
    assert early.rgb_to_hsv(1, 1, 1) == (0.0, 0.0, 1)
    import colorsys

    assert early.hsv_to_rgb is colorsys.hsv_to_rgb


def test_what_is_used_at_once_is_loaded_at_once(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with deferred("colorsys"):
        from colorsys import rgb_to_hsv
    assert rgb_to_hsv is sys.modules["colorsys"].rgb_to_hsv


def test_functions_of_scikit_learn_find_what_was_deferred():
    code = (
        f"{_TELL}from latents.estimators import MinimumErrorPCA; from sklearn.utils import fixes; "
        "assert 'scipy.stats' not in sys.modules; assert fixes._mode([1, 1, 2]).mode == 1; "
        "import pandas; assert fixes.pd.DataFrame is pandas.DataFrame"
    )
    assert loaded_by(code)[0] >= {"scipy.stats", "pandas"}


def test_an_ipython_that_runs_is_asked_itself(monkeypatch):
    running = object()
    monkeypatch.setitem(sys.modules, "IPython", running)
    with ipython_unasked():
        assert sys.modules["IPython"] is running
    monkeypatch.delitem(sys.modules, "IPython")
    with ipython_unasked():
        from IPython import get_ipython, version_info

        assert get_ipython() is None
        assert version_info[:2] >= (8, 24)  # Matplotlib, in another thread, then asks no further
    assert "IPython" not in sys.modules


@pytest.fixture
def thresholds(monkeypatch):
    """The usual ones, as if nothing had been started in this process."""
    before, n_frozen, usual = gc.get_threshold(), gc.get_freeze_count(), (700, 10, 10)
    for name in ("IPython", "triton"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(garbage, "_usual", usual)
    monkeypatch.setattr(garbage, "_is_start_over", False)
    gc.set_threshold(*usual)
    yield usual
    gc.set_threshold(*before)
    if not n_frozen:
        gc.unfreeze()


def test_garbage_is_collected_as_usual_once_a_run_has_begun(thresholds):
    garbage.collect_seldom()
    assert gc.get_threshold()[0] > thresholds[0]
    garbage.collect_as_usual()
    assert gc.get_threshold() == thresholds
    n_frozen = gc.get_freeze_count()
    assert n_frozen > 0
    kept = [np.zeros(1) for _ in range(1000)], [[] for _ in range(1000)]
    garbage.collect_as_usual()  # a second run's data are not left out
    assert gc.get_freeze_count() <= n_frozen
    assert kept
