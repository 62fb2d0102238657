"""Files and folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` when the block ends well.

    The temporary file lies in the folder of `path`, so that the move is one atomic rename, and is flushed to
    the disk first. When the block raises, it is removed and `path` stays as it was.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    # The ending is kept, since some writers choose the format by it.
    temporary = final.with_name(f".writing-{uuid4().hex}-{final.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder to write to, and put it in the place of `path` when the block ends well.

    The folder that was there before is then removed; when the block raises, it stays as it was.
    """
    final = Path(path).resolve()
    final.parent.mkdir(parents=True, exist_ok=True)
    new, old = (final.with_name(f".{what}-{uuid4().hex}-{final.name}") for what in ("writing", "replaced"))
    new.mkdir()
    try:
        yield new
        if final.exists():
            final.rename(old)
        new.rename(final)
    finally:
        if old.exists() and not final.exists():
            old.rename(final)
        for left_over in (new, old):
            shutil.rmtree(left_over, ignore_errors=True)
