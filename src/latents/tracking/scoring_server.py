"""MLflow's scoring server, made to answer every bad request by a 4xx and the reason alone."""

import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.types import DataType, Schema

from latents.messages import shown

logger = logging.getLogger(__name__)

# The loading process is that of `mlflow models serve`, or of `mlflow models predict`.
_SERVER, _SERVING = "mlflow.pyfunc.scoring_server.app", "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"


def guard_scoring() -> None:
    """Guard what MLflow reads requests by, in a process of its server or of ``mlflow models predict``.

    Left to itself MLflow sends its stack trace along with CSV or Parquet that it cannot parse, answers 500 to JSON
    that Python cannot read and to a request without a content type, takes the first of too many values in a row of
    CSV for a label, and null or 5 for the texts "None" and "5", and answers NaN, which is no JSON. There is no
    hook for any of this, so functions are replaced; a model is served by the version of MLflow that it was logged
    with. Twice is as good as once.
    """
    if _SERVER not in sys.modules and os.environ.get(_SERVING) != "true":
        return
    from mlflow.pyfunc import scoring_server

    for name, guarded in (
        ("invocations", _answer),
        ("_decode_json_input", _decode),
        ("parse_csv_input", _parse_csv),
        ("infer_and_parse_data", _parse_json),
        ("predictions_to_json", _write_json),
    ):
        original = getattr(scoring_server, name)
        if not hasattr(original, "__wrapped__"):
            setattr(scoring_server, name, functools.wraps(original)(functools.partial(guarded, original)))


def _answer(invocations: Callable[..., Any], data: bytes, content_type: str | None, *model: Any) -> Any:
    """Answer a request, or raise what MLflow turns into a 4xx."""
    try:
        return invocations(data, content_type or "none", *model)  # a header may be missing
    except RecursionError:
        raise MlflowException("The JSON is nested too deeply.", BAD_REQUEST) from None
    except MlflowException as error:
        if trace := error.json_kwargs.pop("stack_trace", None):
            logger.warning("a request was refused: %s\n%s", error.message, trace)
        raise


def _decode(decode: Callable[..., Any], json_input: Any) -> Any:
    """Refuse integers of thousands of digits, which MLflow leaves to Python's ValueError."""
    try:
        return decode(json_input)
    except ValueError as error:
        raise MlflowException(f"The JSON cannot be read: {error}", BAD_REQUEST) from error


def _parse_csv(
    parse: Callable[..., pd.DataFrame], csv_input: Any, schema: Schema | None = None
) -> pd.DataFrame:
    """Refuse CSV for arrays, and rows with more values than the header has names."""
    if schema is not None and schema.is_tensor_spec():
        raise MlflowException.invalid_parameter_value(
            "This model takes arrays, which CSV is not; send JSON, {'inputs': [...]}."
        )
    table = parse(csv_input, schema=schema)
    if not isinstance(table.index, pd.RangeIndex):
        raise MlflowException.invalid_parameter_value(
            f"The row that begins with {table.index[0]!r:.80} has more values than the header has names; a text "
            "with commas must be quoted."
        )
    return table


def _parse_json(parse: Callable[..., Any], data: dict[str, Any], schema: Schema | None = None) -> Any:
    """Refuse what is no text where texts are wanted."""
    if schema is not None and not schema.is_tensor_spec() and set(schema.input_types()) == {DataType.string}:
        for form in ("inputs", "instances"):
            for row, text in enumerate(_leaves(data.get(form, []))):
                if not isinstance(text, str):
                    raise MlflowException.invalid_parameter_value(
                        f"text {row} is {shown(text)}; allowed are texts"
                    )
    return parse(data, schema=schema)


def _write_json(write: Callable[..., Any], predictions: Any, *arguments: Any, **options: Any) -> Any:
    """Answer null where a number of a table is missing."""
    if isinstance(predictions, pd.DataFrame) and predictions.isna().any(axis=None):
        predictions = predictions.astype(object).where(predictions.notna(), None)
    return write(predictions, *arguments, **options)


def _leaves(value: Any) -> Iterator[Any]:
    """Yield what is in nested lists and objects."""
    if isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value
