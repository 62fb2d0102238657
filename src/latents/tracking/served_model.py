"""The MLflow model of a predictor ("models from code": MLflow runs this file instead of unpickling an object)."""

import sys
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

from latents import predictors


def data_of(predictor: predictors.Predictor, model_input: Any) -> Any:
    """Return what a predictor takes of an input that MLflow has held against the signature."""
    # By name: the class itself would import what the other predictors do without.
    return model_input["text"] if type(predictor).__name__ == "ClusteringPredictor" else model_input


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Loads the predictor's folder and predicts with it."""

    def load_context(self, context: Any) -> None:
        """Read the predictor."""
        if "mlflow.pyfunc.scoring_server.app" in sys.modules:  # `mlflow models serve` loads the model
            from latents.tracking.scoring_server import answer_by_reasons

            answer_by_reasons()
        self.predictor = predictors.load(context.artifacts["predictor"])

    # MLflow reads type hints as a schema; of this one it makes none, and the signature is the schema.
    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        """Predict, turning refused data into an error that MLflow answers by its reason alone."""
        try:
            return self.predictor.predict(data_of(self.predictor, model_input))
        except ValueError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


mlflow.models.set_model(ServedModel())
