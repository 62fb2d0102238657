"""Folders of blocks: whoever sees one may write and read some of them; a manifest, written last, lists them."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from kedro.io import DatasetError

from latents.datasets.engine import checked
from latents.datasets.placed import Placed
from latents.files import restore, whole_file, whole_folder
from latents.places import Access, Place, Remote, now, place

R = TypeVar("R")

MANIFEST = "manifest.json"


class InBlocks(Placed):
    """Put before a dataset that is a folder of blocks.

    Parameters
    ----------
    filepath : str
        The folder.
    engine : mapping, optional
        Who works on the blocks.
    documents_per_block : int
        How a table or matrix is parted.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    _place: Place

    def __init__(
        self,
        filepath: str,
        engine: dict[str, Any] | None = None,
        documents_per_block: int = 10_000,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(documents_per_block, int) or documents_per_block < 1:
            raise DatasetError(
                f"documents_per_block is {documents_per_block!r:.80}; allowed are whole numbers of at least 1"
            )
        self._place = place(filepath, credentials, fs_args)
        self._engine = None if engine is None else checked(engine)
        self._documents_per_block = documents_per_block
        self.metadata = metadata

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._place), "engine": self._engine}

    def _exists(self) -> bool:
        restore(self._place)
        return (now(self._place) / MANIFEST).is_file()


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
