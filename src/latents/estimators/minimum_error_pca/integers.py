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
def are_right() -> bool:
    """Tell whether this processor, and this torch, add up products of bytes without losing any.

    Without instructions of its own for them a processor adds up pairs of products in 16 bits, in which two of the
    largest are cut off or wrap around, and says nothing. So largest numbers of both signs are tried, beside each
    other in all ways, in many rows and in few.
    """
    for n, p in ((_TRIED, 2 * _STRIP), (7, _STRIP + 5)):
        rows, columns = np.arange(n)[:, np.newaxis], np.arange(p)
        largest = np.where((rows >> columns % 4) & 1 == 0, 127, -128).astype(np.int8)
        largest[:, ::5], largest[:, ::7] = 127, -128
        found = torch.zeros(p, p, dtype=torch.float64)
        try:
            add_products(torch.from_numpy(largest), found)
        except RuntimeError:  # a build without them
            return False
        exact = largest.astype(np.float64)  # in which so few are
        if not np.array_equal(np.triu(found.numpy()), np.triu(exact.T @ exact)):
            return False
    return True


@cache
def are_faster(n_threads: int) -> bool:
    """Tell whether products of bytes are right, and sooner done than those of float32.

    They are torch's, which has threads of its own: one thread alone does without, unless torch has no more.
    """
    if n_threads == 1 < torch.get_num_threads() or not are_right():
        return False
    numbers = torch.ones(_TRIED, 2 * _STRIP, dtype=torch.int8)
    floats = numbers.to(torch.float32)
    return _seconds(lambda: torch._int_mm(numbers.t(), numbers)) < 0.75 * _seconds(
        lambda: floats.t() @ floats
    )


def _seconds(product: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(12):
        begun = perf_counter()
        product()
        times.append(perf_counter() - begun)
    return min(times)
