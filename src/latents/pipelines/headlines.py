"""By what models are compared over runs: one metric, on the same data."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from latents.features.block_counts import BlockCounts
from latents.features.images import ScaledRows
from latents.predictors import Headline

_PIECE = 1 << 24  # bytes


def headline_of(
    metrics: Mapping[str, float], directions: Mapping[str, str], conditions: Mapping[str, Any]
) -> Headline:
    """Return the first metric that there is.

    Parameters
    ----------
    metrics : mapping
        Those of a run.
    directions : mapping
        Names, the preferred one first, and whether the ``lowest`` or the ``highest`` value wins.
    conditions : mapping
        What must be equal for values to be compared.
    """
    metric = next(name for name in directions if name in metrics)
    return Headline(
        metric,
        float(metrics[metric]),
        directions[metric] == "highest",
        {name: str(value) for name, value in conditions.items()},
    )


def check_measured(pipeline: str, metrics: Mapping[str, float], name: str, value: float) -> None:
    """Refuse metrics that were measured of another training, as they may be where a run begins between nodes.

    Parameters
    ----------
    pipeline : str
        Whose metrics and model these are.
    metrics : mapping
        Those on disk.
    name, value : str, float
        One of them, and what it is of the model.

    Raises
    ------
    ValueError
    """
    if not np.isclose(metrics[name], value, rtol=1e-9, atol=0, equal_nan=True):
        raise ValueError(
            f"{pipeline}.metrics are of another training than {pipeline}.model: their {name} is {metrics[name]}, "
            f"the model's {value}; run from the node {pipeline}.evaluate"
        )


def digest(*arrays: NDArray[Any] | ScaledRows) -> str:
    """Return a fingerprint of arrays: of their types, shapes and values.

    What is mapped into memory is read in pieces, once.

    Parameters
    ----------
    arrays : arrays or ScaledRows
        Of numbers or texts.
    """
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        is_objects = isinstance(array, np.ndarray) and array.dtype.kind == "O"
        values = np.asarray(array, np.str_) if is_objects else array
        found.update(f"{values.dtype.str} {values.shape} ".encode())
        n_rows = max(1, _PIECE // max(values[:1].nbytes, 1))
        for start in range(0, len(values), n_rows):
            found.update(values[start : start + n_rows].tobytes())
    return found.hexdigest()


def fingerprint(counts: sparse.csr_array | BlockCounts) -> str:
    """Return what tells counts from others; of blocks, it is of those of each."""
    if isinstance(counts, BlockCounts):
        return digest(np.array(counts.each(fingerprint)))
    return digest(counts.indptr, counts.indices, counts.data)
