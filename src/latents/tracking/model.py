"""Logging a predictor as an MLflow model, whose code is this package and whose weights are safetensors."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import mlflow
from mlflow.models import infer_signature
from mlflow.utils import environment

import latents
from latents.deferral import ipython_unasked
from latents.predictors import Candidate
from latents.tracking import served_model
from latents.tracking.current_run import current_run

# A hint for input with missing values; the integers here are in the answer.
warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer column")
_one_at_a_time = threading.Lock()
# What reading and predicting import, with the predictor's own; the installed versions are pinned.
_REQUIREMENTS = (
    "filelock",
    "mlflow",
    "numpy",
    "pandas",
    "safetensors",
    "scikit-learn",
    "scipy",
    "threadpoolctl",
)


def log_model(name: str, candidate: Candidate, folder: Path) -> str:
    """Log a predictor to the active MLflow run, with signature, input example and requirements.

    Parameters
    ----------
    name : str
        The model's name in the run.
    candidate : Candidate
        The predictor and its example.
    folder : Path
        Where the predictor is saved.

    Returns
    -------
    str
        MLflow's identifier of the model.
    """
    if mlflow.active_run() is None:  # in a thread of its own (`kedro run --async`)
        mlflow.start_run(run_id=current_run.run_id)
    predictor, example = candidate.predictor, candidate.example
    signature = infer_signature(example, predictor.predict(example))
    packages = (*_REQUIREMENTS, *predictor.requirements)
    # MLflow hands a model made from code over in a global variable: one thread at a time.
    with _one_at_a_time, ipython_unasked(), _requirements_unasked():
        logged = mlflow.pyfunc.log_model(
            name=name,
            python_model=served_model.__file__,
            artifacts={"predictor": folder.resolve().as_uri()},  # of a path MLflow decodes percent signs
            code_paths=[str(Path(latents.__file__).parent)],
            # A local build's suffix ("+cpu") is known to no package index.
            pip_requirements=[f"{package}=={version(package).split('+')[0]}" for package in packages],
            signature=signature,
            input_example=example,
        )
    return str(logged.model_id)


@contextmanager
def _requirements_unasked() -> Iterator[None]:
    """Keep MLflow from holding requirements against what is installed: they are the versions installed.

    It would read the records of all packages for that, a tenth of a short run.
    """
    name = "warn_dependency_requirement_mismatches"
    modules = (module for module in (environment, mlflow.pyfunc) if hasattr(module, name))
    asking = {module: getattr(module, name) for module in modules}
    try:
        for module in asking:
            setattr(module, name, lambda requirements: None)  # noqa: ARG005
        yield
    finally:
        for module, function in asking.items():
            setattr(module, name, function)
