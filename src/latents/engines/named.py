"""Engines by name, as configurations ask for them: one for all who ask for the same."""

import atexit
from threading import Lock
from typing import Any

from latents.engines.interface import Engine
from latents.engines.local import LocalEngine
from latents.engines.on_ray import RayEngine

KINDS: dict[str, type[Engine]] = {"local": LocalEngine, "ray": RayEngine}

_open: dict[str, Engine] = {}
_one_at_a_time = Lock()


def named(name: str, **options: Any) -> Engine:
    """Return the engine of that name and options; it is begun when it is asked for first, and open until the end.

    Parameters
    ----------
    name : {"local", "ray"}
    **options
        The parameters of ``LocalEngine`` or ``RayEngine``.

    Raises
    ------
    ValueError
        If there is no such engine, or it has no such option.
    ClusterError
        If its cluster cannot be had.
    """
    if name not in KINDS:
        raise ValueError(f"the engine is {name!r}; allowed are {', '.join(map(repr, KINDS))}")
    key = f"{name} {sorted(options.items())}"
    with _one_at_a_time:
        if key not in _open:
            try:
                _open[key] = KINDS[name](**options)
            except TypeError as error:
                raise ValueError(f"the engine {name!r} does not take {options}: {error}") from error
        return _open[key]


@atexit.register
def close_all() -> None:
    """Close what is open."""
    while _open:
        _open.popitem()[1].close()
