"""The MLflow model of a predictor ("models from code": MLflow runs this file instead of unpickling an object)."""

from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

from latents import predictors
from latents.tracking.scoring_server import guard_scoring


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Loads the predictor's folder and predicts with it."""

    def load_context(self, context: Any) -> None:
        """Read the predictor."""
        guard_scoring()
        self.predictor = predictors.load(context.artifacts["predictor"])

    # MLflow reads type hints as a schema; of this one it makes none, and the signature is the schema.
    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        """Predict, turning refused data into an error that MLflow answers by its reason alone."""
        try:
            return self.predictor.predict(model_input)
        except ValueError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


mlflow.models.set_model(ServedModel())
