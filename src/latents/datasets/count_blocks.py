"""A count matrix larger than memory: blocks of documents on disk, mapped when their turn comes."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from kedro.io import AbstractDataset, DatasetError
from numpy.typing import NDArray
from scipy import sparse

from latents.datasets.block_folder import (
    InBlocks,
    block_file,
    check_whole,
    read_manifest,
    write_manifest,
    writing,
)
from latents.datasets.engine import engine_of
from latents.features.block_counts import BlockCounts
from latents.places import Place, Remote, bring, here

_PARTS = ("data", "indices", "indptr")
_LARGEST_WHOLE = 2**32 - 1  # beyond, floats are as short
_SIZES = ("n_documents", "n_words", "n_nonzeros")


class CountBlocks:
    """Blocks of a count matrix on disk, read as often as wanted: ``MultinomialMixture.fit`` streams over them.

    Every block is kept twice, by documents (CSR) and by words (CSC), since EM multiplies from both sides; whole
    counts in as few bytes as hold the largest. Reading maps the files, so that memory holds no more than the
    blocks in use. Sent elsewhere it is but a path and numbers.

    Parameters
    ----------
    folder : path-like
        Where ``write`` has put them. Of a store the blocks are brought here when their turn comes.

    Attributes
    ----------
    n_documents, n_words, n_nonzeros : int
    rows : list of int
        The documents of each block.

    Raises
    ------
    FileNotFoundError
        If no blocks were written there, or a file of theirs is missing.
    ValueError
        If the file that lists them is damaged.
    """

    def __init__(self, folder: str | Path | Remote) -> None:
        self.folder, (sizes, self.rows) = read_manifest(folder, _listed)
        self.n_documents, self.n_words, self.n_nonzeros = sizes
        check_whole(self.folder, _all_files(len(self)))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[sparse.csr_array, sparse.csc_array]]:
        """Yield every block as CSR and as CSC."""
        for number in range(len(self)):
            yield self[number]

    def __getitem__(self, number: int) -> tuple[sparse.csr_array, sparse.csc_array]:
        """Return one block as CSR and as CSC."""
        number = range(len(self))[number]
        shape = (self.rows[number], self.n_words)
        # Copy-on-write: torch takes writable memory only, and nobody writes.
        files = [self.folder / name for name in _files(number)]
        bring(files)
        maps = [np.load(here(file), mmap_mode="c") for file in files]
        return sparse.csr_array(tuple(maps[:3]), shape=shape), sparse.csc_array(tuple(maps[3:]), shape=shape)

    @classmethod
    def write(cls, folder: str | Path | Remote, blocks: Iterable[sparse.csr_array]) -> Self:
        """Write blocks as they come, whole or not at all; blocks that were there before are replaced.

        Parameters
        ----------
        folder : path-like
            Where to.
        blocks : iterable of sparse matrices
            Documents by words; each of any number of documents, all of the same words.

        Raises
        ------
        FileExistsError
            If something else than blocks is there.
        ValueError
            If there is no block, or one has no documents, or another number of words than the first.
        """
        final = folder if isinstance(folder, Remote) else Path(folder).resolve()
        with writing(final) as new:
            sizes: list[BlockSize] = []
            for number, block in enumerate(blocks):
                sizes.append(write_block(new, number, block))
                check_sizes(sizes)
            finish(new, sizes)
        return cls(final)


class BlockSize(NamedTuple):
    """How large a block is."""

    n_documents: int
    n_words: int
    n_nonzeros: int


def write_block(folder: Place, number: int, given: sparse.csr_array) -> BlockSize:
    """Write a block (documents, words) in the place of what another attempt may have left of it.

    Raises
    ------
    ValueError
        If it has no documents.
    """
    block = sparse.csr_array(given, copy=True)
    if block.dtype.kind in "uib":  # duplicates may add up beyond a small type
        block = block.astype(np.int64)
    block.sum_duplicates()
    block.eliminate_zeros()
    if not block.shape[0]:
        raise ValueError(f"block {number} has no documents")
    block.data = _in_few_bytes(block.data)
    by_words = block.tocsc()
    arrays = [getattr(layout, part) for layout in (block, by_words) for part in _PARTS]
    for name, array in zip(_files(number), arrays, strict=True):
        with block_file(folder / name) as temporary:
            np.save(temporary, array)
    n_documents, n_words = block.shape
    return BlockSize(n_documents, n_words, block.nnz)


def finish(folder: Place, sizes: list[BlockSize]) -> None:
    """List the blocks that were written, which makes them ``CountBlocks``.

    Raises
    ------
    ValueError
        If there is no block, or one has another number of words than the first.
    FileNotFoundError
        If a file of a block is missing, as where who wrote it does not see this folder.
    """
    check_sizes(sizes)
    if not sizes:
        raise ValueError("there is no block to write")
    rows, n_words, n_nonzeros = zip(*sizes, strict=True)
    manifest = {
        "n_documents": sum(rows),
        "n_words": n_words[0],
        "n_nonzeros": sum(n_nonzeros),
        "rows": list(rows),
    }
    write_manifest(folder, manifest, _all_files(len(sizes)))


def check_sizes(sizes: list[BlockSize]) -> None:
    """Refuse a last block of other words than the first."""
    if sizes and sizes[-1].n_words != sizes[0].n_words:
        raise ValueError(
            f"block {len(sizes) - 1} has {sizes[-1].n_words} words, but block 0 has {sizes[0].n_words}"
        )


class CountBlocksDataset(InBlocks, AbstractDataset[Any, Any]):
    """A folder of blocks of counts: saves a sparse matrix, or any iterable of such.

    Parameters
    ----------
    filepath : str
        The folder.
    engine : mapping, optional
        Who works on the blocks: ``name`` is "local" or "ray", all else the parameters of that engine. It then
        loads as ``BlockCounts``, which pipelines use as they use a matrix; without one as ``CountBlocks``.
    documents_per_block : int, default=10000
        How a matrix is parted. Its documents stay in order.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def load(self) -> CountBlocks | BlockCounts:
        """Return the blocks, none of them read yet."""
        blocks = CountBlocks(self._place)
        if self._engine is None:
            return blocks
        return BlockCounts(engine_of(self._engine).blocks(blocks), blocks.rows, blocks.n_words)

    def save(self, data: Any) -> None:
        """Write the blocks, whole or not at all; those of ``BlockCounts`` where they are."""
        try:
            if isinstance(data, BlockCounts):
                with writing(self._place) as new:
                    finish(new, data.written(partial(write_block, new)))
                return
            CountBlocks.write(self._place, self._parts(data) if sparse.issparse(data) else data)
        except ValueError as error:
            raise DatasetError(f"{self._place}: {error}") from error

    def _parts(self, matrix: Any) -> Iterator[sparse.csr_array]:
        T = sparse.csr_array(matrix)
        for start in range(0, T.shape[0], self._documents_per_block):
            yield T[start : start + self._documents_per_block]


def _in_few_bytes(values: NDArray[Any]) -> NDArray[Any]:
    """Return counts as whole numbers of the smallest type that holds them; what has a fraction stays float64."""
    if values.dtype.kind not in "ui":
        values = values.astype(np.float64)
        if not (np.isfinite(values).all() and (values == np.rint(values)).all() and (values >= 0).all()):
            return values
    if not values.size or values.min() < 0 or values.max() > _LARGEST_WHOLE:
        return values.astype(np.float64)
    return values.astype(np.min_scalar_type(int(values.max())))


def _listed(manifest: Any) -> tuple[list[int], list[int]]:
    return [int(manifest[name]) for name in _SIZES], [int(n) for n in manifest["rows"]]


def _all_files(n_blocks: int) -> Iterator[str]:
    return chain.from_iterable(map(_files, range(n_blocks)))


def _files(number: int) -> list[str]:
    """Return the files of a block: its arrays by documents, then those by words."""
    return [f"block-{number:05d}/{layout}.{part}.npy" for layout in ("documents", "words") for part in _PARTS]
