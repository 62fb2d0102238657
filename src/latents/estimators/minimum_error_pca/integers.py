"""Sums over bytes in whole numbers, where the processor has products of these: several times the rate of float32.

Nothing is rounded either way, so that it is a matter of speed alone which is taken.
"""

from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

# Bytes less 128 are at most 128 in size: the products of 2^17 - 1 rows stay within 32 bits, these by far. Of so
# many the copy is small.
_ROWS = 2**13
# The product is symmetric: it is made in strips of so many columns, each from its diagonal on.
_STRIP = 128
_SHIFT = np.uint8(128)
_TRIED = 2**11  # rows by which it is seen whether products are right, and how fast


def sums_of_bytes(X: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return sum_n (x_n - 128), and sum_n (x_n - 128)(x_n - 128)', of rows of bytes or truth values (n, p)."""
    n, p = len(X), X.shape[1]
    sums, products = np.zeros(p, np.int64), torch.zeros(p, p, dtype=torch.float64)
    copied = np.empty((min(_ROWS, n), p), np.uint8)
    for start in range(0, n, _ROWS):
        block = np.asarray(X[start : start + _ROWS]).view(np.uint8)
        # What is 128 less is, as a signed byte, what differs in the first bit.
        block = np.bitwise_xor(block, _SHIFT, out=copied[: len(block)]).view(np.int8)
        sums += block.sum(axis=0, dtype=np.int32)
        add_products(torch.from_numpy(block), products)
    symmetric = products.numpy()
    for stop in range(_STRIP, p, _STRIP):
        strip = slice(stop - _STRIP, stop)
        symmetric[stop:, strip] = symmetric[strip, stop:].T
    return sums, symmetric


def add_products(block: torch.Tensor, products: torch.Tensor) -> None:
    """Add to `products` (p, p), from the strips of its diagonal on, those of the block's (n, p) with itself."""
    p = block.shape[1]
    for start in range(0, p, _STRIP):
        strip = slice(start, min(start + _STRIP, p))
        products[strip, start:] += torch._int_mm(block[:, strip].t(), block[:, start:])


@cache
def are_faster(n_threads: int) -> bool:
    """Tell whether products of bytes are right here, and sooner done than those of float32.

    They are torch's, which has threads of its own: one thread alone does without, unless torch has no more.

    Without instructions of its own for them a processor adds up pairs of products in 16 bits, where two of the
    largest are too much, or is slow. Both are tried: by the largest numbers, and by the clock.
    """
    if n_threads == 1 < torch.get_num_threads():
        return False
    largest = torch.full((_TRIED, 2 * _STRIP), -128, dtype=torch.int8)
    largest[::3, ::2] = 127
    floats = largest.to(torch.float32)
    exact = largest.to(torch.float64).numpy()  # in which so few are
    found = torch.zeros(2 * _STRIP, 2 * _STRIP, dtype=torch.float64)
    try:
        add_products(largest, found)
    except RuntimeError:  # a build without them
        return False
    if not np.array_equal(np.triu(found.numpy()), np.triu(exact.T @ exact)):
        return False
    return _seconds(lambda: torch._int_mm(largest.t(), largest)) < 0.75 * _seconds(lambda: floats.t() @ floats)


def _seconds(product: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(12):
        begun = perf_counter()
        product()
        times.append(perf_counter() - begun)
    return min(times)
