"""The MLflow model of an estimator ("models from code": MLflow runs this file instead of unpickling an object)."""

from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException

from latents import estimators


def predict(estimator: Any, model_input: Any) -> Any:
    """Return what each model is asked for most.

    Parameters
    ----------
    estimator : MultinomialMixture, MinimumErrorPCA or ConditionalVAE
        The fitted model.
    model_input : array of shape (n, n_features), or mapping
        Word counts for the mixture, flat images for PCA; for the VAE a mapping of ``images`` (pixels in
        [0, 1]) and ``labels``.

    Returns
    -------
    array of shape (n, n_components) or (n, n_latents)
        Responsibilities, coordinates, or posterior means.
    """
    name = type(estimator).__name__
    if name == "ConditionalVAE":
        if not isinstance(model_input, dict) or not model_input.keys() >= {"images", "labels"}:
            raise ValueError("the input must have two arrays, 'images' and 'labels'")
        return estimator.transform(model_input["images"], model_input["labels"])
    rows = np.asarray(model_input)
    return estimator.predict_proba(rows) if name == "MultinomialMixture" else estimator.transform(rows)


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Loads the estimator's safetensors file and predicts with it."""

    def load_context(self, context: Any) -> None:
        """Read the estimator."""
        self.estimator = estimators.load(context.artifacts["estimator"])

    # MLflow reads type hints as a schema; of this one it makes none, and the signature is the schema.
    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> Any:  # noqa: ARG002
        """Predict, turning a refused input into an error that MLflow answers cleanly."""
        try:
            return predict(self.estimator, model_input)
        except (KeyError, ValueError) as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


mlflow.models.set_model(ServedModel())
