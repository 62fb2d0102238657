"""Runs inside the run in progress: one for each fit of a search."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Param
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_USER

from latents.tracking.current_run import RunInterrupted
from latents.tracking.store import briefly, reason

logger = logging.getLogger(__name__)


@contextmanager
def child_run(parent_id: str | None, name: str, parameters: Mapping[str, Any]) -> Iterator[str | None]:
    """Open an MLflow run below another for the length of the block, and give its identifier.

    The run ends as FINISHED, as FAILED where the block raises an error, and as KILLED where it is interrupted.
    It is addressed by its identifier alone: MLflow's active run belongs to a thread, and stays the parent. Where
    MLflow's store is away there is no child, as the log then says: that should not cost the fit.

    Parameters
    ----------
    parent_id : str or None
        The run above; None where MLflow is switched off, and then there is no child either.
    name : str
        What the MLflow UI calls it.
    parameters : mapping
        Flat names and values.
    """
    if parent_id is None:
        yield None
        return
    try:
        child_id = _open(parent_id, name, parameters)
    except MlflowException as error:
        logger.error("MLflow has no run for %s (%s): it goes on without one", name, reason(error))
        yield None
        return
    status = "KILLED"  # of whatever is no error: an interrupt, an exit
    try:
        yield child_id
        status = "FINISHED"
    except RunInterrupted:
        raise
    except Exception:
        status = "FAILED"
        raise
    finally:
        _end(child_id, status)


def end_open_children(parent_id: str, status: str) -> None:
    """End the runs below another that are still called running.

    An interrupt can come while a child is opened or ended; this finds what it has left.
    """
    client = MlflowClient()
    open_children = client.search_runs(
        [client.get_run(parent_id).info.experiment_id],
        f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_id}' and attributes.status = 'RUNNING'",
    )
    for child in open_children:
        client.set_terminated(child.info.run_id, status)


def _open(parent_id: str, name: str, parameters: Mapping[str, Any]) -> str:
    client = MlflowClient()
    parent = client.get_run(parent_id)
    # Who started what: MLflow itself would fill these in for an active run only.
    inherited = {
        tag: value
        for tag, value in parent.data.tags.items()
        if tag == MLFLOW_USER or tag.startswith("mlflow.source.")
    }
    child_id: str = client.create_run(
        parent.info.experiment_id, tags={**inherited, MLFLOW_PARENT_RUN_ID: parent_id}, run_name=name
    ).info.run_id
    client.log_batch(child_id, params=[Param(key, str(value)) for key, value in parameters.items()])
    return child_id


def _end(run_id: str, status: str) -> None:
    for pause in (0.0, 0.5, 1.0):  # a store that is away for a moment should not cost the fit
        time.sleep(pause)
        try:
            with briefly():
                MlflowClient().set_terminated(run_id, status)
            return
        except Exception as error:
            why = reason(error)
    logger.error("MLflow could not be told that the run %s is %s (%s)", run_id, status, why)
