"""A corpus too large to be held in memory with ease, drawn and written to disk block by block."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import brentq

from latents.datasets.count_blocks import CountBlocks

# How many different words a document has is calibrated for lengths spread evenly over this range of the mean.
LENGTHS = (0.5, 1.5)
# Rank r (0, 1, ...) of the words has probability about 1 / (r + OFFSET): Zipf's law with Mandelbrot's offset,
# which stands for the stop words that are not there.
OFFSET = 10.0
# Share of a document's words that are drawn by its cluster's own ranking of the vocabulary.
OWN_SHARE = 0.3


LABELS = "labels.npy"


def write_corpus(
    folder: Path,
    *,
    n_documents: int,
    n_words: int,
    n_nonzeros: int,
    n_clusters: int,
    block_documents: int,
    seed: int = 0,
) -> CountBlocks:
    """Write a corpus with planted clusters, one block in memory at a time; their labels lie beside the blocks."""
    planted: list[NDArray[np.int64]] = []

    def counts() -> Iterator[sparse.csr_array]:
        for block, labels in drawn_blocks(
            n_documents=n_documents,
            n_words=n_words,
            n_nonzeros=n_nonzeros,
            n_clusters=n_clusters,
            block_documents=block_documents,
            seed=seed,
        ):
            planted.append(labels)
            yield block

    blocks = CountBlocks.write(folder, counts())
    np.save(folder / LABELS, np.concatenate(planted))
    return blocks


def drawn_blocks(
    *,
    n_documents: int,
    n_words: int,
    n_nonzeros: int,
    n_clusters: int,
    block_documents: int,
    seed: int = 0,
) -> Iterator[tuple[sparse.csr_array, NDArray[np.int64]]]:
    """Yield the counts of documents with planted clusters, block by block, and which clusters these are.

    Words follow Zipf's law. Each cluster has a ranking of the vocabulary of its own, by which some of a document's
    words are drawn; the others come from a ranking that all share.
    """
    rng = np.random.default_rng(seed)
    rankings = np.array([rng.permutation(n_words) for _ in range(n_clusters)], dtype=np.int32)
    shares = rng.dirichlet(np.full(n_clusters, 10.0))
    length = _length_for(n_nonzeros / n_documents, rankings[0])
    for start in range(0, n_documents, block_documents):
        n_rows = min(block_documents, n_documents - start)
        labels = rng.choice(n_clusters, size=n_rows, p=shares)
        lengths = rng.poisson(length * rng.uniform(*LENGTHS, size=n_rows))
        documents = np.repeat(np.arange(n_rows), lengths)
        words = _ranks(rng.random(documents.size), n_words)
        own = rng.random(documents.size) < OWN_SHARE
        words[own] = rankings[labels[documents[own]], words[own]]
        cells, data = np.unique(documents * n_words + words, return_counts=True)
        indptr = np.searchsorted(cells, np.arange(n_rows + 1) * n_words).astype(np.int32)
        counts = sparse.csr_array(
            (data.astype(np.int32), (cells % n_words).astype(np.int32), indptr), shape=(n_rows, n_words)
        )
        yield counts, labels


def _ranks(uniform: NDArray[np.float64], n_words: int) -> NDArray[np.int64]:
    """Turn uniform draws into ranks, by the inverse of P(rank < r) = log(1 + r / q) / log(1 + W / q)."""
    ranks = OFFSET * np.expm1(uniform * np.log1p(n_words / OFFSET))
    return np.minimum(ranks.astype(np.int64), n_words - 1)


def _length_for(n_different: float, ranking: NDArray[np.int32]) -> float:
    """Return the mean number of words at which a document has this many different ones on average."""
    n_words = ranking.size
    if not n_different < 0.9 * n_words:
        raise ValueError(f"{n_different:.0f} different words a document cannot be drawn from {n_words}")
    common = np.diff(np.log1p(np.arange(n_words + 1) / OFFSET)) / np.log1p(n_words / OFFSET)
    own = np.empty(n_words)
    own[ranking] = common
    probabilities = (1 - OWN_SHARE) * common + OWN_SHARE * own
    spread = np.linspace(*LENGTHS, 21)

    def surplus(length: float) -> float:
        expected = [-np.expm1(-length * factor * probabilities).sum() for factor in spread]
        return float(np.mean(expected)) - n_different

    return float(brentq(surplus, n_different / 2, 1e4 * n_different))
