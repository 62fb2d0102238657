"""Folders of files: which files are in one, and what its subfolders say of them, labels or a split."""

import logging
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from kedro.io import DatasetError

from latents.places import Place, Remote

logger = logging.getLogger(__name__)

_TRAIN = ("train", "training")
_HELD_OUT = ("test", "testing", "val", "valid", "validation")
# Some put what the data are called before, as in 20news-bydate-train and 20news-bydate-test.
_PART = re.compile(
    rf"(?P<of>.*[-_. ])?(?P<part>{'|'.join((*_TRAIN, *_HELD_OUT))})", re.IGNORECASE | re.DOTALL
)


def files_within(root: Place, pattern: str = "*") -> list[str]:
    """Return the files in a folder and all folders below it, as paths within it, parted by ``/``.

    They come sorted by folder and name, hidden ones left out. Links are followed, to files and to folders;
    one to a folder that it lies in is told of and not entered again, so that loops end. A store has none.

    Parameters
    ----------
    root : Path or Remote
        The folder.
    pattern : str
        Which files, such as ``*.txt``; with a ``/`` in it, by the ends of their paths.

    Raises
    ------
    DatasetError
        If there is no such folder, no such file in it, a folder that cannot be read, a link to nothing, or a name
        that is no UTF-8.
    """
    if not root.is_dir():
        raise DatasetError(f"there is no folder {root}")
    ending = pattern
    while ending.startswith("**/"):  # any depth is allowed as it is
        ending = ending.removeprefix("**/")
    names = [
        name
        for name in (root.names() if isinstance(root, Remote) else _walk(root))
        if PurePosixPath(name).match(ending)
    ]
    if not names:
        raise DatasetError(f"{root} has no file {pattern}")
    names.sort(key=lambda name: name.split("/"))
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DatasetError(f"the file name {name!r:.300} in {root} is no utf-8; rename it") from error
    return names


def _walk(root: Path) -> Iterator[str]:
    """Yield the visible files in a folder and those below it, in no order."""
    # Each folder with the true places of itself and of those that it lies in.
    folders: list[tuple[str, tuple[Path, ...]]] = [("", (root.resolve(),))]
    while folders:
        within, chain = folders.pop()
        try:
            with os.scandir(root / within) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    name, path = within + entry.name, Path(entry.path)
                    if entry.is_file():
                        yield name
                    elif entry.is_dir() and (place := path.resolve()) in chain:
                        logger.warning("%s leads back to %s and is not entered again", path, place)
                    elif entry.is_dir():
                        folders.append((f"{name}/", (*chain, place)))
                    elif entry.is_symlink():
                        raise DatasetError(f"{path} is a link to {os.readlink(path)}, where there is nothing")
        except OSError as error:
            raise DatasetError(f"{error.filename} cannot be read: {error.strerror}") from error


def split_of(folders: Collection[str]) -> dict[str, bool] | None:
    """Say of folders that divide a data set which of them are held out, or None where they are labels.

    They divide it if one is called ``train`` or ``training``, another one ``test``, ``testing``, ``val``,
    ``valid`` or ``validation``, and there is none beside; in capitals or not, and perhaps with one beginning
    for all, as in ``20news-bydate-train``.
    """
    parts = {name: _PART.fullmatch(name) for name in folders}
    held_out = {name: part["part"].lower() in _HELD_OUT for name, part in parts.items() if part}
    beginnings = {part["of"] for part in parts.values() if part}
    is_split = len(held_out) == len(parts) and len(beginnings) == 1 and len(set(held_out.values())) == 2
    return held_out if is_split else None


def labels_and_split(root: Place, names: Sequence[str]) -> tuple[list[str] | None, list[bool] | None]:
    """Return what the subfolders of a folder say of the files in it: their labels, and which are held out.

    Subfolders are labels, but for ``train`` and ``test`` (see `split_of`): there those one level below are,
    if there are any, and the log says so.

    Parameters
    ----------
    root : Path or Remote
        The folder, for messages.
    names : sequence of str
        The paths of the files within it, parted by ``/``.

    Returns
    -------
    labels : list of str, or None
        One for each file; None where no file is in a subfolder.
    held_out : list of bool, or None
        One for each file; None where the subfolders are no split.

    Raises
    ------
    DatasetError
        If some files are in subfolders that are labels, and others beside these.
    """
    parts = [name.split("/") for name in names]
    split = (
        split_of({first for first, *below in parts if below})
        if all(len(part) > 1 for part in parts)
        else None
    )
    held_out = None
    if split is not None:
        held_out = [split[first] for first, *_ in parts]
        parts = [below for _, *below in parts]
        uses = [f"{name} {'is held out' if out else 'is trained on'}" for name, out in sorted(split.items())]
        logger.info(
            "the folders of %s are a split: %s; if they are labels, rename one", root, ", ".join(uses)
        )
    outside = [name for name, part in zip(names, parts, strict=True) if len(part) == 1]
    if len(outside) == len(names):
        return None, held_out
    if outside:
        raise DatasetError(
            f"{root / outside[0]} lies beside the subfolders, which are the labels, and has none; "
            "move it into one of them, or all files out of them"
        )
    return [first for first, *_ in parts], held_out
