"""Logging a fitted estimator as an MLflow model, whose code is this package and whose weights are safetensors."""

import threading
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.models import infer_signature

import latents
from latents.tracking import served_model

_one_at_a_time = threading.Lock()
REQUIREMENTS = ("mlflow", "numpy", "scipy", "scikit-learn", "safetensors")


def log_model(
    name: str, estimator: Any, input_example: Any, requirements: Sequence[str] = REQUIREMENTS
) -> None:
    """Log a fitted estimator to the active MLflow run, with signature and input example.

    Parameters
    ----------
    name : str
        The model's name in the run.
    estimator : MultinomialMixture, MinimumErrorPCA or ConditionalVAE
        The fitted estimator.
    input_example : array or mapping of arrays
        A few rows of its input.
    requirements : sequence of str
        The packages that it runs on; their installed versions are pinned.
    """
    prediction = served_model.predict(estimator, input_example)
    # MLflow hands a model made from code over in a global variable: one thread at a time.
    with _one_at_a_time, TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        estimator.save(path)
        mlflow.pyfunc.log_model(
            name=name,
            python_model=served_model.__file__,
            artifacts={"estimator": str(path)},
            code_paths=[str(Path(latents.__file__).parent)],
            pip_requirements=[f"{package}=={version(package).split('+')[0]}" for package in requirements],
            signature=infer_signature(input_example, prediction),
            input_example=input_example,
        )
