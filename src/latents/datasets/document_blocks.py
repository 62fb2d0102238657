"""Documents larger than memory: blocks of texts on disk, and one table of what is told of all beside."""

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from latents.datasets.block_folder import (
    InBlocks,
    block_file,
    check_whole,
    read_manifest,
    write_manifest,
    writing,
)
from latents.datasets.engine import engine_of
from latents.estimators.common.blocks import LocalBlocks
from latents.features.documents import DocumentBlocks, Documents, told_of
from latents.files import whole_file
from latents.places import Place, here

_TOLD = "told.parquet"


class TextBlocks:
    """Texts in blocks on disk, read as often as wanted. Sent elsewhere it is but a path and a number.

    Parameters
    ----------
    folder : path-like
        Where ``DocumentBlocksDataset`` has put them.

    Attributes
    ----------
    rows : list of int
        The documents of each block.

    Raises
    ------
    FileNotFoundError
        If no blocks were written there, or a file of theirs is missing.
    ValueError
        If the file that lists them is damaged.
    """

    def __init__(self, folder: str | Place) -> None:
        self.folder, self.rows = read_manifest(folder, _rows)
        check_whole(self.folder, [_TOLD, *map(_file, range(len(self)))])

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Sequence[str]]:
        """Yield the texts of every block."""
        for number in range(len(self)):
            yield self[number]

    def __getitem__(self, number: int) -> Sequence[str]:
        """Return the texts of one block, which are read when one of them is asked for."""
        number = range(len(self))[number]
        return _Texts(self.folder / _file(number), self.rows[number])

    def told(self) -> pd.DataFrame:
        """Return what is told of all documents."""
        told = pd.read_parquet(here(self.folder / _TOLD))
        # A Parquet file without a column has no rows.
        return told if len(told.columns) else pd.DataFrame(index=range(sum(self.rows)))


class _Texts(Sequence[str]):
    """The texts of a block; most are not read where some documents are quoted."""

    def __init__(self, file: Place, n_texts: int) -> None:
        self._file, self._n_texts = file, n_texts

    @cached_property
    def _texts(self) -> list[str]:
        texts: list[str] = pd.read_parquet(here(self._file))["text"].tolist()
        if len(texts) != self._n_texts:
            raise ValueError(
                f"{self._file} has {len(texts)} documents, and the manifest says {self._n_texts}"
            )
        return texts

    def __len__(self) -> int:
        return self._n_texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __getitem__(self, place: Any) -> Any:
        return self._texts[place]


class DocumentBlocksDataset(InBlocks, AbstractDataset[Documents, DocumentBlocks]):
    """A folder of blocks of documents: saves a table, or such blocks where they are, and loads ``DocumentBlocks``.

    Parameters
    ----------
    filepath : str
        The folder.
    engine : mapping, optional
        Who works on the blocks: ``name`` is "local" or "ray", all else the parameters of that engine. By
        default it is this process.
    documents_per_block : int, default=10000
        How a table is parted. Its documents stay in order.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def load(self) -> DocumentBlocks:
        """Return the documents, none of their texts read yet."""
        blocks = TextBlocks(self._place)
        return DocumentBlocks(
            engine_of(self._engine or {"name": "local"}).blocks(blocks), blocks.told(), blocks.rows
        )

    def save(self, data: Documents) -> None:
        """Write the blocks, whole or not at all; those of ``DocumentBlocks`` where they are."""
        if not isinstance(data, pd.DataFrame | DocumentBlocks):
            raise DatasetError(
                f"this is a {type(data).__name__}; allowed are a table with a column text and documents in blocks"
            )
        if isinstance(data, pd.DataFrame):
            parts = _Parts(data["text"], self._documents_per_block)
            data = DocumentBlocks(LocalBlocks(parts), told_of(data), [len(part) for part in parts])
        try:
            with writing(self._place) as new:
                data.written(partial(write_texts, new))
                with whole_file(new / _TOLD) as temporary:
                    data.told.to_parquet(temporary)
                write_manifest(new, {"rows": data.n_rows}, map(_file, range(len(data.n_rows))))
        except ValueError as error:
            raise DatasetError(f"{self._place}: {error}") from error


def write_texts(folder: Place, number: int, texts: list[str]) -> None:
    """Write the texts of a block in the place of what another attempt may have left of it."""
    with block_file(folder / _file(number)) as temporary:
        pd.DataFrame({"text": texts}, dtype=object).to_parquet(temporary)


class _Parts:
    """So many texts a time."""

    def __init__(self, texts: pd.Series, size: int) -> None:
        self._texts, self._size = texts, size

    def __iter__(self) -> Iterator[Sequence[str]]:
        for start in range(0, len(self._texts), self._size):
            yield self._texts.iloc[start : start + self._size].tolist()


def _rows(manifest: Any) -> list[int]:
    return [int(n) for n in manifest["rows"]]


def _file(number: int) -> str:
    return f"block-{number:05d}/text.parquet"
