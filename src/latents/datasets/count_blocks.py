"""A count matrix larger than memory: blocks of documents on disk, mapped when their turn comes."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import numpy as np
from kedro.io import AbstractDataset, DatasetError
from scipy import sparse

_PARTS = ("data", "indices", "indptr")


class CountBlocks:
    """Blocks of a count matrix on disk, read as often as wanted: ``MultinomialMixture.fit`` streams over them.

    Every block is kept twice, by documents (CSR) and by words (CSC), since EM multiplies from both sides. Reading
    maps the files, so that memory holds no more than the blocks in use.

    Parameters
    ----------
    folder : path-like
        Where ``write`` has put them.

    Attributes
    ----------
    n_documents, n_words, n_nonzeros : int

    Raises
    ------
    FileNotFoundError
        If no blocks, or not all, were written there.
    """

    MANIFEST = "manifest.json"

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            manifest = json.loads((self.folder / self.MANIFEST).read_text())
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.folder} has no {self.MANIFEST}: no blocks of counts were written there"
            ) from error
        self.n_documents: int = manifest["n_documents"]
        self.n_words: int = manifest["n_words"]
        self.n_nonzeros: int = manifest["n_nonzeros"]
        self._rows: list[int] = manifest["rows"]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[sparse.csr_array, sparse.csc_array]]:
        """Yield every block as CSR and as CSC."""
        for number in range(len(self)):
            yield self[number]

    def __getitem__(self, number: int) -> tuple[sparse.csr_array, sparse.csc_array]:
        """Return one block as CSR and as CSC."""
        shape = (self._rows[number], self.n_words)
        folder = _folder_of(self.folder, number)
        return (
            sparse.csr_array(_mapped(folder, "documents"), shape=shape),
            sparse.csc_array(_mapped(folder, "words"), shape=shape),
        )

    @classmethod
    def write(cls, folder: str | Path, blocks: Iterable[sparse.csr_array]) -> Self:
        """Write blocks as they come, whole or not at all; blocks that were there before are replaced.

        Parameters
        ----------
        folder : path-like
            Where to.
        blocks : iterable of sparse matrices
            Documents by words; each of any number of documents, all of the same words. A fit starts from the
            first one, which should be a fair sample.

        Raises
        ------
        ValueError
            If there is no block, or one has another number of words than the first.
        """
        final = Path(folder)
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".writing-{uuid4().hex}-{final.name}")
        try:
            manifest = _write_all(temporary, blocks)
            (temporary / cls.MANIFEST).write_text(json.dumps(manifest))
            if final.exists():
                shutil.rmtree(final)
            temporary.replace(final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return cls(final)


class CountBlocksDataset(AbstractDataset[Iterable[sparse.csr_array], CountBlocks]):
    """A folder of blocks of counts; loads as ``CountBlocks``, saves any iterable of sparse matrices.

    Parameters
    ----------
    filepath : str
        The folder.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> CountBlocks:
        """Return the blocks, none of them read yet."""
        return CountBlocks(self._filepath)

    def save(self, data: Iterable[sparse.csr_array]) -> None:
        """Write the blocks, whole or not at all."""
        try:
            CountBlocks.write(self._filepath, data)
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return (self._filepath / CountBlocks.MANIFEST).is_file()


def _write_all(folder: Path, blocks: Iterable[sparse.csr_array]) -> dict[str, Any]:
    rows: list[int] = []
    n_words, n_nonzeros = 0, 0
    for number, given in enumerate(blocks):
        block = sparse.csr_array(given)
        if number and block.shape[1] != n_words:
            raise ValueError(f"block {number} has {block.shape[1]} words, but block 0 has {n_words}")
        n_words = block.shape[1]
        place = _folder_of(folder, number)
        place.mkdir(parents=True)
        for name, layout in (("documents", block), ("words", block.tocsc())):
            for part in _PARTS:
                np.save(place / f"{name}.{part}.npy", getattr(layout, part))
        rows.append(block.shape[0])
        n_nonzeros += block.nnz
    if not rows:
        raise ValueError("there is no block to write")
    return {"n_documents": sum(rows), "n_words": n_words, "n_nonzeros": n_nonzeros, "rows": rows}


def _folder_of(folder: Path, number: int) -> Path:
    return folder / f"block-{number:05d}"


def _mapped(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Copy-on-write: torch takes writable memory only, and nobody writes.
    data, indices, indptr = (np.load(folder / f"{name}.{part}.npy", mmap_mode="c") for part in _PARTS)
    return data, indices, indptr
