"""Who carries out the work of a run."""

from typing import Any

from kedro.io import DatasetError

from latents.engines import ClusterError, Engine, named


def checked(engine: Any) -> dict[str, Any]:
    """Return what an entry says of an engine, if it is a mapping with a name."""
    if not isinstance(engine, dict) or not isinstance(engine.get("name"), str):
        raise DatasetError(f"engine is {engine!r:.80}; allowed is a mapping with the name of one")
    return {name: value for name, value in engine.items() if value is not None}


def engine_of(engine: dict[str, Any]) -> Engine:
    """Return the engine of that name and parameters.

    Raises
    ------
    DatasetError
        If there is none, or its cluster cannot be had.
    """
    try:
        return named(**engine)
    except (ClusterError, ValueError, ModuleNotFoundError) as error:
        raise DatasetError(str(error)) from error
