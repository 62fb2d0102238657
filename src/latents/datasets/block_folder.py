"""Folders of blocks: whoever sees one may write and read some of them; a manifest, written last, lists them."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from latents.files import restore, whole_file, whole_folder
from latents.places import Place, Remote, now

R = TypeVar("R")

MANIFEST = "manifest.json"


@contextmanager
def writing(folder: str | Place) -> Iterator[Place]:
    """Give a folder to write blocks to (`block_file`), which takes the place of the given one when all is done.

    Of a store it is one that nobody reads before the end.

    Raises
    ------
    FileExistsError
        If something else than blocks is there.
    """
    if isinstance(folder, Remote):  # where nothing is replaced but what was written so
        with folder.replaced() as new:
            yield new
        return
    final = Path(folder).resolve()
    is_empty = final.is_dir() and not any(final.iterdir())
    if final.exists() and not is_empty and not (final / MANIFEST).is_file():
        raise FileExistsError(
            f"{final} is there, and has no {MANIFEST}; allowed are a folder of blocks, to replace them, an empty "
            "one, or none"
        )
    with whole_folder(final) as new:
        yield new


@contextmanager
def block_file(file: Place) -> Iterator[Path]:
    """Give a file to write to, which then is a block, or a part of one, in the place of another attempt's."""
    if isinstance(file, Path):
        # In a folder that is there: nobody writes where others do not see it.
        file.parent.mkdir(exist_ok=True)
    with whole_file(file) as temporary:
        yield temporary


def write_manifest(folder: Place, manifest: dict[str, Any], files: Iterable[str]) -> None:
    """Say what is in a folder, in which all the files must be.

    Raises
    ------
    FileNotFoundError
        If one is missing, as where who wrote it does not see this folder.
    """
    check_whole(now(folder), files)
    with whole_file(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest))


def check_whole(folder: Place, files: Iterable[str]) -> None:
    """Refuse a folder in which a file of a block is missing."""
    for name in files:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} is missing: what was written there is not whole")


def read_manifest(folder: str | Place, read: Callable[[Any], R]) -> tuple[Place, R]:
    """Return a folder as it is now, and what `read` makes of its manifest.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged.
    """
    present = folder.now() if isinstance(folder, Remote) else Path(folder).absolute()
    path = present / MANIFEST
    restore(present)
    try:
        return present, read(json.loads(path.read_text()))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{present} has no {MANIFEST}: no blocks were written there") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error


def is_written(folder: Place) -> bool:
    """Tell whether there are blocks."""
    restore(folder)
    return (now(folder) / MANIFEST).is_file()
