"""Data that come in blocks."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def are_blocks(X: Any, *, reread: bool = False) -> bool:
    """Return whether X is an iterable of matrices: a list of lists is a matrix.

    Only the first item is looked at. What can be iterated only once is taken for blocks, unless they must be
    `reread`.

    Raises
    ------
    ValueError
        If X can be iterated only once, and must be reread.
    """
    if hasattr(X, "shape") or hasattr(X, "__array__") or isinstance(X, str) or not isinstance(X, Iterable):
        return False
    if iter(X) is iter(X):
        if reread:
            raise ValueError(
                "X can be iterated only once, as generators can; allowed are an array, a list of blocks, or an "
                "object whose __iter__ begins anew, since it is passed over more than once"
            )
        return True
    first = next(iter(X), None)
    if first is None:
        return not isinstance(X, Sequence)
    if isinstance(first, tuple) and first:
        first = first[0]
    return len(getattr(first, "shape", ())) == 2


@contextmanager
def in_block(number: int) -> Iterator[None]:
    """Name the block in what is said to be wrong with it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"block {number}: {error}") from error


def by_documents(block: Any) -> Any:
    """Return a block as it was given, or of a tuple (CSR, CSC) the first, if the second is of its shape.

    Raises
    ------
    ValueError
        If a tuple has other formats, or its two layouts cannot be of the same counts.
    """
    if not isinstance(block, tuple):
        return block
    formats = [getattr(layout, "format", type(layout).__name__) for layout in block]
    if formats != ["csr", "csc"]:
        raise ValueError(f"it is a tuple of {', '.join(formats)}; allowed is (csr, csc) of the same counts")
    csr, csc = block
    if (csr.shape, csr.nnz) != (csc.shape, csc.nnz):
        raise ValueError(
            f"its layouts differ: csr of {csr.shape} with {csr.nnz} non-zeros, csc of {csc.shape} with {csc.nnz}"
        )
    return csr
