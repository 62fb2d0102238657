"""Telling data that come in blocks from one matrix."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse as sp


def are_blocks(X: Any) -> bool:
    """Return whether X is an iterable of matrices: a list of lists is a matrix.

    Only the first item is looked at. What can be iterated only once is taken for blocks.
    """
    if hasattr(X, "shape") or hasattr(X, "__array__") or isinstance(X, str) or not isinstance(X, Iterable):
        return False
    if iter(X) is X:
        return True
    first = next(iter(X), None)
    if isinstance(first, tuple) and first:
        first = first[0]
    return sp.issparse(first) or (isinstance(first, np.ndarray) and first.ndim == 2)
