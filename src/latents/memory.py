"""How much memory there is, and sizes: a parameter can be refused by its name before an allocator fails."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Where Linux keeps the limit of a container's memory, by version of control groups.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_GIB = 2**30
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def memory_bytes() -> int | None:
    """Return the memory of this machine, or what its container may have of it; None where that cannot be told."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # of systems that are no Unix
        return None
    limits = [Path(path).read_text().strip() for path in _LIMITS if Path(path).is_file()]
    return min([found, *(int(limit) for limit in limits if limit.isdigit())])


def check_memory(
    parameters: Mapping[str, Any], n_bytes: Callable[..., int], what: str, available: int | None = None
) -> None:
    """Refuse sizes that need more memory than there is.

    Parameters
    ----------
    parameters : mapping of str to int or sequence of int
        The sizes by the names that users give them.
    n_bytes : callable
        Given all of them by name, the bytes that they need at least.
    what : str
        For what they are needed.
    available : int, optional
        Bytes that there are; by default this machine's memory.

    Raises
    ------
    ValueError
        It names the parameter without which the least would be needed, what it needs, and what there is.
    """
    available = memory_bytes() if available is None else available
    needed = n_bytes(**parameters)
    if available is None or needed <= available:
        return
    least = {name: 1 if isinstance(size, int) else [1] * len(size) for name, size in parameters.items()}
    without = {name: n_bytes(**{**parameters, name: size}) for name, size in least.items()}
    name = min(without, key=lambda name: without[name])
    raise ValueError(
        f"{name}={parameters[name]!r:.80} needs too much memory: {what} would take {_in_gib(needed)} GiB; there "
        f"are {_in_gib(available)} GiB"
    )


def _in_gib(n_bytes: int) -> str:
    gib = n_bytes // _GIB
    return f"{n_bytes / _GIB:,.1f}" if gib < 10**6 else f"more than 10^{len(str(gib)) - 1}"


def parsed_size(text: str) -> int | None:
    """Return the bytes of a size such as ``4 GiB``; None where it is none."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?) ?([KMGT]?)i?B", text.strip(), flags=re.IGNORECASE)
    return int(float(found[1]) * _UNITS[found[2].upper()]) if found and float(found[1]) else None
