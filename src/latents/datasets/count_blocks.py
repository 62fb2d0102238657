"""A count matrix larger than memory: blocks of documents on disk, mapped when their turn comes."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from kedro.io import AbstractDataset, DatasetError
from scipy import sparse

from latents.files import restore, whole_folder

_PARTS = ("data", "indices", "indptr")
_SIZES = ("n_documents", "n_words", "n_nonzeros")


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
        If no blocks were written there, or a file of theirs is missing.
    ValueError
        If the file that lists them is damaged.
    """

    MANIFEST = "manifest.json"

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / self.MANIFEST
        restore(self.folder)
        try:
            manifest = json.loads(path.read_text())
            self.n_documents, self.n_words, self.n_nonzeros = (int(manifest[name]) for name in _SIZES)
            self._rows = [int(n) for n in manifest["rows"]]
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.folder} has no {self.MANIFEST}: no blocks of counts were written there"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error!r}") from error
        for number in range(len(self)):
            for file in _files(self.folder, number):
                if not file.is_file():
                    raise FileNotFoundError(f"{file} is missing: block {number} of {len(self)} is not whole")

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[sparse.csr_array, sparse.csc_array]]:
        """Yield every block as CSR and as CSC."""
        for number in range(len(self)):
            yield self[number]

    def __getitem__(self, number: int) -> tuple[sparse.csr_array, sparse.csc_array]:
        """Return one block as CSR and as CSC."""
        number = range(len(self))[number]
        shape = (self._rows[number], self.n_words)
        # Copy-on-write: torch takes writable memory only, and nobody writes.
        maps = [np.load(file, mmap_mode="c") for file in _files(self.folder, number)]
        return sparse.csr_array(tuple(maps[:3]), shape=shape), sparse.csc_array(tuple(maps[3:]), shape=shape)

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
        FileExistsError
            If something else than blocks is there.
        ValueError
            If there is no block, or one has no documents, or another number of words than the first.
        """
        final = Path(folder).resolve()
        is_empty = final.is_dir() and not any(final.iterdir())
        if final.exists() and not is_empty and not (final / cls.MANIFEST).is_file():
            raise FileExistsError(
                f"{final} is there, and has no {cls.MANIFEST}; allowed are a folder of blocks, to replace them, "
                "an empty one, or none"
            )
        with whole_folder(final) as new:
            manifest = _write_all(new, blocks)
            (new / cls.MANIFEST).write_text(json.dumps(manifest))
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
        restore(self._filepath)
        return (self._filepath / CountBlocks.MANIFEST).is_file()


def _write_all(folder: Path, blocks: Iterable[sparse.csr_array]) -> dict[str, Any]:
    rows: list[int] = []
    n_words, n_nonzeros = 0, 0
    for number, given in enumerate(blocks):
        block = sparse.csr_array(given, copy=True)
        block.sum_duplicates()
        block.eliminate_zeros()
        if not block.shape[0]:
            raise ValueError(f"block {number} has no documents")
        if number and block.shape[1] != n_words:
            raise ValueError(f"block {number} has {block.shape[1]} words, but block 0 has {n_words}")
        n_words = block.shape[1]
        files = _files(folder, number)
        files[0].parent.mkdir(parents=True)
        by_words = block.tocsc()
        arrays = [getattr(layout, part) for layout in (block, by_words) for part in _PARTS]
        for file, array in zip(files, arrays, strict=True):
            np.save(file, array)
        rows.append(block.shape[0])
        n_nonzeros += block.nnz
    if not rows:
        raise ValueError("there is no block to write")
    return {"n_documents": sum(rows), "n_words": n_words, "n_nonzeros": n_nonzeros, "rows": rows}


def _files(folder: Path, number: int) -> list[Path]:
    """Return the files of a block: its arrays by documents, then those by words."""
    place = folder / f"block-{number:05d}"
    return [place / f"{layout}.{part}.npy" for layout in ("documents", "words") for part in _PARTS]
