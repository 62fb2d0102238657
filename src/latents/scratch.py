"""Copies of files that lie elsewhere, kept in a folder of limited size until the room is needed.

They lie in a folder of our own, ``latents-copies``: nothing else is counted, or removed. What is being written
lies beside the copies, and is no copy before it is whole.

A copy's time of change is made of its version, so that one rename brings both; its time of access is that of its
last use. Copies are removed that have not been used for longest, but none of the last minute: a run that needs
more at once takes more. What maps or reads a copy that is removed goes on reading it.
"""

import hashlib
import os
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from latents.memory import parsed_size

FOLDER, LIMIT = "LATENTS_SCRATCH", "LATENTS_SCRATCH_LIMIT"
"""The variables that name the folder in which ours is made, and how much of it may be copies."""
_OURS = "latents-copies"
_USUAL = "20 GiB"
_IN_USE = 60.0  # seconds
_HALF = 3600.0  # seconds after which half a copy is a dead process's
_BRINGING = ".bringing-"
_MILLISECOND = 10**6  # nanoseconds, which every file system tells apart

_lock = threading.Lock()
_room: int | None = None  # bytes, as far as this process knows


def folder() -> Path:
    """Return the folder of the copies, which only its user may read: in LATENTS_SCRATCH, or the cache at home."""
    return _own("kept")


def being_written() -> Path:
    """Return the folder of what is being written, on the same disk, of which nothing is removed to make room."""
    _limit()  # before hours are spent on what could then not be kept
    return _own("being-written")


def _own(name: str) -> Path:
    chosen = os.environ.get(FOLDER) or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    ours = Path(chosen).expanduser().absolute() / _OURS
    found = ours / name
    if not found.is_dir():
        ours.parent.mkdir(parents=True, exist_ok=True)
        ours.mkdir(stat.S_IRWXU, exist_ok=True)
        found.mkdir(stat.S_IRWXU, exist_ok=True)
    return found


def is_copy(path: Path, size: int, version: str | None) -> bool:
    """Tell whether a copy is there of this version, and note that it is used."""
    if version is None:
        return False
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != size or found.st_mtime_ns != _time_of(version):
            return False
        os.utime(path, ns=(time.time_ns(), found.st_mtime_ns))
    except OSError:  # removed in this instant
        return False
    return True


def mark(path: Path, size: int, version: str | None) -> None:
    """Note of which version a copy is; of one that is not whole nothing is noted, and it will not count as one."""
    if version is not None and path.stat().st_size == size:
        os.utime(path, ns=(time.time_ns(), _time_of(version)))


def beside(path: Path) -> Path:
    """Return where a copy is made, to be renamed."""
    return path.with_name(f"{_BRINGING}{uuid4().hex[:12]}")


def take(n_bytes: int) -> None:
    """Make room for so many bytes, by what has not been used for longest."""
    global _room
    with _lock:
        if _room is None or _room < n_bytes:
            _room = _made(n_bytes)
        _room -= n_bytes


def _limit() -> int:
    text = os.environ.get(LIMIT) or _USUAL
    limit = parsed_size(text)
    if limit is None:
        raise ValueError(f"{LIMIT} is {text!r:.40}; allowed is a size such as 500 MiB or 20 GiB")
    return limit


def _made(n_bytes: int) -> int:
    limit = _limit()
    copies, total, at = [], 0, time.time()
    for within, _, names in os.walk(folder()):
        for name in names:
            path = os.path.join(within, name)
            with suppress(OSError):
                found = os.stat(path, follow_symlinks=False)
                total += found.st_size
                if not name.startswith("."):
                    copies.append((found.st_atime, found.st_size, path))
                elif name.startswith(_BRINGING) and at - found.st_mtime > _HALF:
                    os.unlink(path)
    # Not for each file anew: a tenth of the room is made at once.
    enough = limit - max(n_bytes, limit // 10)
    for used, size, path in sorted(copies):
        if total <= enough or at - used < _IN_USE:
            break
        with suppress(OSError):
            os.unlink(path)
            total -= size
    return max(limit - total, n_bytes)


def _time_of(version: str) -> int:
    """Return a time of the years 1970 to 2039, in nanoseconds, that stands for a version."""
    digest = hashlib.blake2b(version.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**41 * _MILLISECOND
