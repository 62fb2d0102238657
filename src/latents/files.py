"""Files and folders that appear whole or not at all.

What is being written lies in a folder of its own beside its final place, ``.writing-<number>-<name>``, whose lock
the writer holds until all is done. The operating system frees the lock of a writer that is killed: who can take it
knows that nobody writes there any more, and clears up (``sweep``, ``restore``). What an interrupt, which may come
between any two lines, kept a writer from clearing up goes when Python ends (``remove_own``). On a file system that
has no locks files and folders are written all the same, and nothing is cleared up.

What belongs to a store (``places``) is written in the same way, but in one folder for all of them (``scratch``),
and uploaded before that is moved to where its copy is kept.
"""

import atexit
import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from latents import scratch
from latents.places import Remote

_LOCK = ".lock"
_NEW, _OLD = "new", "old"
# Of network file systems whose server keeps no locks; for those that know none, filelock has a way of its own.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
# A place that another process removes while it is locked is missing for the lock, or there no more for its folder.
_GONE = (FileNotFoundError, FileExistsError)
# Earlier versions put the replaced folder beside the new one, and held no locks.
_PLACE = re.compile(r"\.(?:writing|replaced)-[0-9a-f]{12,32}-(?P<name>.+)", re.DOTALL)
# Of this process, each with its number, which is another's after a fork.
_own: dict[Path, int] = {}


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` when the block ends well.

    The temporary file has the name of `path`, since some writers choose the format by it, and lies on the same
    disk, so that the move is one atomic rename; it is flushed first. When the block raises, it is removed and
    `path` stays as it was. Of a store, the upload is what comes last.
    """
    final = path.copy if isinstance(path, Remote) else Path(path)
    with _place_for(final, scratch.being_written() if isinstance(path, Remote) else None) as place:
        temporary = place / final.name
        yield temporary
        if isinstance(path, Remote):
            path.put(temporary)
            final.parent.mkdir(parents=True, exist_ok=True)
        else:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(final)


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder to write to, and put it in the place of `path` when the block ends well.

    The folder that was there before is then removed; when the block raises, it stays as it was. Of a process that
    is killed between the two renames, ``sweep`` and ``restore`` put it back. Of several writers at once the last
    one's is left. In a store no moment is without the one or the other.
    """
    new = path.new_folder() if isinstance(path, Remote) else None
    final = Path(path).resolve() if new is None else new.copy
    with _place_for(final, None if new is None else scratch.being_written()) as place:
        (place / _NEW).mkdir()
        try:
            yield place / _NEW
            if isinstance(path, Remote) and new is not None:
                path.put_folder(new, place / _NEW)
                final.parent.mkdir(parents=True, exist_ok=True)
            while not _exchange(place, final):
                shutil.rmtree(place / _OLD, ignore_errors=True)
        finally:
            _put_back(place / _OLD, final)


def share(path: str | os.PathLike[str], other: str | os.PathLike[str]) -> None:
    """Make `other`, a file of the same content, a second name of the file at `path` (a hard link).

    Files written by `whole_file` and `whole_folder` are replaced and never changed: the other name keeps what it
    has. Where the file system has no such names, or the two are on different ones, both files stay.
    """
    final = Path(other)
    with suppress(OSError), _place_for(final) as place:
        os.link(path, place / final.name)
        (place / final.name).replace(final)


def sweep(folder: str | os.PathLike[str], name: str | None = None) -> list[Path]:
    """Clear up in a folder what writers have left that were killed; those at work are let alone.

    Parameters
    ----------
    folder : path-like
        Its subfolders are not looked into.
    name : str, optional
        Only what was to become the file or folder of this name.

    Returns
    -------
    list of Path
        The folders that were put back, as they had been before they were to be replaced.
    """
    restored = []
    for place in _places(Path(folder), name):
        # What is another user's, or cannot be locked, is no reason not to write.
        with suppress(OSError), _claim(place) as is_dead:
            if not is_dead:
                continue
            if _put_back(_replaced(place), _final(place)):
                restored.append(_final(place))
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)
    return restored


def restore(path: str | os.PathLike[str]) -> None:
    """Put a folder back whose writer was killed between taking it away and putting another in its place.

    In a store it never is away.

    Raises
    ------
    FileNotFoundError
        If it is away and cannot be put back.
    """
    if isinstance(path, Remote):
        return
    final = Path(path).resolve()
    if final.exists() or not final.parent.is_dir():
        return
    for place in _places(final.parent, final.name):
        if not _replaced(place).is_dir():
            continue
        try:
            # Who is at work needs no more than an instant for it.
            with _claim(place, patience=5.0) as is_dead:
                if is_dead:
                    _put_back(_replaced(place), final)
        except OSError as error:
            raise FileNotFoundError(
                f"{final} is missing: what wrote it was killed while it replaced it. It is now "
                f"{_replaced(place)}, and cannot be moved back ({error})"
            ) from error


@atexit.register
def remove_own(*, final: bool = True) -> None:
    """Clear up what this process is writing, or was when it was interrupted; for its very end.

    Where it is not `final`, since other threads may be writing, a folder that was to be replaced is let alone.
    """
    for place in [place for place, process in list(_own.items()) if process == os.getpid()]:
        with suppress(OSError):  # of another thread that is still at work
            _put_back(_replaced(place), _final(place))
        if final or not _replaced(place).is_dir():
            _remove(place)


@contextmanager
def _place_for(final: Path, within: Path | None = None) -> Iterator[Path]:
    """Give a fresh folder beside a file or folder to be, locked for the length of the block, and remove it.

    Or one `within` a folder where nothing else is made: all that the killed have left there goes.
    """
    folder = final.parent if within is None else within
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder, final.name if within is None else None)
    place, lock = _locked_place(folder / final.name)
    try:
        yield place
    finally:
        _remove(place)
        lock.release()


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    _own.pop(place, None)


def _locked_place(final: Path, attempts: int = 5) -> tuple[Path, FileLock]:
    place = final.with_name(f".writing-{uuid4().hex[:12]}-{final.name}")
    _own[place] = os.getpid()
    place.mkdir()
    lock = FileLock(place / _LOCK, timeout=0)
    try:
        lock.acquire()
        if (place / _LOCK).exists():
            return place, lock
        lock.release()
    except (*_GONE, Timeout):
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return place, lock
    # Swept in the instant before it was locked.
    _remove(place)
    if not attempts:
        raise FileNotFoundError(f"{place} is removed again and again by another process")
    return _locked_place(final, attempts - 1)


@contextmanager
def _claim(place: Path, patience: float = 0.0) -> Iterator[bool]:
    """Tell whether a place is left by a dead writer, and keep others away from it for the length of the block."""
    if not _is_lockable(place):
        yield True
        return
    lock = FileLock(place / _LOCK, timeout=patience)
    try:
        lock.acquire()
    except (*_GONE, Timeout):  # its writer has just cleared up, or is at work
        yield False
        return
    try:
        yield place.is_dir()
    finally:
        lock.release()


def _is_lockable(place: Path) -> bool:
    """Tell a place of this version from a file or folder of an earlier one."""
    return place.is_dir() and not place.name.startswith(".replaced-")


def _places(folder: Path, name: str | None = None) -> list[Path]:
    """Return where in a folder something is written, or was."""
    found = ((path, _PLACE.fullmatch(path.name)) for path in folder.iterdir())
    return sorted(path for path, match in found if match and name in (None, match["name"]))


def _final(place: Path) -> Path:
    return place.with_name(_PLACE.sub(r"\g<name>", place.name))


def _replaced(place: Path) -> Path:
    """Return where a place keeps the folder that is replaced."""
    return place if place.name.startswith(".replaced-") else place / _OLD


def _exchange(place: Path, final: Path) -> bool:
    """Put the new folder in the place of the old one; tell whether no other writer was quicker."""
    with suppress(FileNotFoundError):
        final.rename(place / _OLD)
    return _moved(place / _NEW, final)


def _put_back(old: Path, final: Path) -> bool:
    return old.is_dir() and not final.exists() and _moved(old, final)


def _moved(folder: Path, final: Path) -> bool:
    """Move a folder to where there may be one by now; tell whether there was none."""
    try:
        folder.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True
