"""MLflow's scoring server, made to answer every bad request by a 4xx and the reason alone."""

import functools
import logging
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import scoring_server

logger = logging.getLogger(__name__)


def answer_by_reasons() -> None:
    """Wrap what answers a request, in a process that serves a model.

    Left to itself MLflow sends its stack trace along with CSV or Parquet that it cannot parse, and answers 500 to
    JSON that is nested too deeply and to a request without a content type. There is no hook for this, so the
    function is replaced; a served model runs with the version of MLflow that it was logged with.
    """
    invocations: Any = scoring_server.invocations

    @functools.wraps(invocations)
    def answer(data: bytes, content_type: str | None, model: Any, input_schema: Any) -> Any:
        content_type = content_type or "none"  # a header may be missing
        if input_schema.is_tensor_spec() and not content_type.startswith(scoring_server.CONTENT_TYPE_JSON):
            return scoring_server.InvocationsResponse(
                f"This model takes arrays, as {scoring_server.CONTENT_TYPE_JSON}. Got '{content_type}'.",
                status=415,
                mimetype="text/plain",
            )
        try:
            return invocations(data, content_type, model, input_schema)
        except RecursionError:
            raise MlflowException("The JSON is nested too deeply.", error_code=BAD_REQUEST) from None
        except MlflowException as error:
            if trace := error.json_kwargs.pop("stack_trace", None):
                logger.warning("a request was refused: %s\n%s", error.message, trace)
            raise

    scoring_server.invocations = answer
