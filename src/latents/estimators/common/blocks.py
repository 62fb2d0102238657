"""Data that come in blocks, and sums over them that do not depend on who makes them.

What is learned from many samples is sums over them. Here they are made in a binary tree over the numbers of the
blocks, ((0 + 1) + (2 + 3)) + ..., each block's own part by one thread: the same to the last bit, however many
threads or machines have a share in it, whichever blocks lie where, and whether or not a part was made twice.
Estimators say what is to be made of a block; who carries it out is a ``Blocks``.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, Generic, NamedTuple, TypeVar

from latents.estimators.common.threads import alone, n_blas_threads, one_thread_each

B = TypeVar("B")
C = TypeVar("C")
S = TypeVar("S")

NO_BLOCKS = "X has no blocks: there is nothing to fit to"
_NAMES = ("n_features_in_", "feature_names_in_")


class Blocks(ABC, Generic[B]):
    """A fixed list of blocks, and who works on them.

    Work is a callable of a block. It must not change what it is given, and may be done again. What
    works elsewhere sends it there, with all that it refers to, by pickling.
    """

    @abstractmethod
    def add_up(self, work: Callable[[B], S]) -> S:
        """Return the sum, by ``+``, of what work makes of the blocks, in the order of the tree.

        Raises
        ------
        ValueError
            If there are no blocks, or work raises one: then it names the block.
        """

    @abstractmethod
    def of_first(self, work: Callable[[B], S]) -> S:
        """Return what work makes of the first block."""

    def each(self, work: Callable[[B], S]) -> list[S]:
        """Return what work makes of each block, in their order."""
        return self.prepared(partial(_of_number, work)).add_up(_itself).in_order()

    @abstractmethod
    def prepared(self, prepare: Callable[[B, int], C]) -> "Blocks[C]":
        """Return the same list, of what `prepare` makes of each block; done anew each time unless in memory."""


class InMemory(Blocks[B]):
    """One block that is kept, and worked on with all threads that there are."""

    def __init__(self, block: B) -> None:
        self.block = block

    def add_up(self, work: Callable[[B], S]) -> S:
        """Return what work makes of the block."""
        return work(self.block)

    of_first = add_up

    def prepared(self, prepare: Callable[[B, int], C]) -> "InMemory[C]":
        """Prepare the block, once."""
        return InMemory(prepare(self.block, 0))


class LocalBlocks(Blocks[B]):
    """Blocks that this process reads, one after the other each time.

    Parameters
    ----------
    blocks : iterable
        The same blocks at every iteration.
    n_threads : int
        So many are worked on side by side, each by one thread.
    prepare : callable, optional
        What makes of a block and its number that which is worked on; the thread does that works on it.
    """

    def __init__(
        self, blocks: Iterable[Any], n_threads: int = 1, prepare: Callable[[Any, int], B] | None = None
    ) -> None:
        self._blocks, self.n_threads, self._prepare = blocks, n_threads, prepare or as_it_is

    def add_up(self, work: Callable[[B], S]) -> S:
        """Return the sum of what work makes of the blocks; no more than one is read ahead."""
        with one_thread_each():
            task = Task(self._prepare, work)
            return sum_in_order(in_turn(task, enumerate(self._blocks), self.n_threads))

    def of_first(self, work: Callable[[B], S]) -> S:
        """Return what work makes of the first block."""
        for block in self._blocks:
            return Task(self._prepare, work)((0, block))
        raise ValueError(NO_BLOCKS)

    def prepared(self, prepare: Callable[[B, int], C]) -> "LocalBlocks[C]":
        """Return what is prepared as it is read."""
        return LocalBlocks(self._blocks, self.n_threads, Composed(self._prepare, prepare))


@dataclass(frozen=True)
class Composed(Generic[C]):
    """What is prepared, prepared further."""

    first: Callable[[Any, int], Any]
    then: Callable[[Any, int], C]

    def __call__(self, block: Any, number: int) -> C:
        """Prepare a block twice."""
        return self.then(self.first(block, number), number)


@dataclass(frozen=True)
class Task(Generic[S]):
    """Work on a numbered block, whose name is in what is said to be wrong with it."""

    prepare: Callable[[Any, int], Any]
    work: Callable[[Any], S]

    def __call__(self, numbered: tuple[int, Any]) -> S:
        """Return what work makes of the block."""
        number, block = numbered
        with in_block(number):
            return self.work(self.prepare(block, number))


def as_it_is(block: B, number: int) -> B:  # noqa: ARG001
    """Prepare nothing."""
    return block


class Numbered(NamedTuple):
    """A block and its number."""

    number: int
    block: Any


def with_number(block: Any, number: int) -> Numbered:
    """Prepare a block by giving it its number."""
    return Numbered(number, block)


class ByBlock(dict[int, S]):
    """What is made of each block, by its number: the sum of two is of the blocks of both."""

    def __add__(self, other: "ByBlock[S]") -> "ByBlock[S]":
        """Return what is of either."""
        return ByBlock({**self, **other})

    def in_order(self) -> list[S]:
        """Return what was made of the blocks, in their order."""
        return [self[number] for number in sorted(self)]


def _of_number(work: Callable[[Any], S], block: Any, number: int) -> ByBlock[S]:
    return ByBlock({number: work(block)})


def _itself(found: S) -> S:
    return found


def in_turn(
    work: Callable[[tuple[int, B]], S], blocks: Iterable[tuple[int, B]], n_threads: int
) -> Iterator[S]:
    """Give what work makes of numbered blocks, in their order; so many are worked on side by side.

    No more than one is read ahead. Each thread is to compute alone (``one_thread_each``).
    """
    if n_threads == 1:
        yield from map(work, blocks)
        return
    with ThreadPoolExecutor(n_threads, initializer=alone) as pool:
        running: deque[Future[S]] = deque()
        try:
            for block in blocks:
                running.append(pool.submit(work, block))
                if len(running) > n_threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def sum_in_order(values: Iterable[S]) -> S:
    """Add values up in a tree whose left part is always the largest power of two below their number.

    No more sums are kept than there are levels.

    Raises
    ------
    ValueError
        If there are no values.
    """
    parts: list[tuple[int, S]] = []
    for value in values:
        size, total = 1, value
        while parts and parts[-1][0] == size:
            total = parts.pop()[1] + total  # type: ignore[operator]
            size *= 2
        parts.append((size, total))
    if not parts:
        raise ValueError(NO_BLOCKS)
    *left, (_, last) = parts
    return reduce(lambda total, part: part[1] + total, reversed(left), last)  # type: ignore[operator]


def subtrees(start: int, stop: int, n_blocks: int) -> list[tuple[int, int]]:
    """Return the largest parts of the tree over `n_blocks` that together are the blocks from `start` to `stop`."""

    def within(first: int, last: int) -> list[tuple[int, int]]:
        if start <= first and last <= stop:
            return [(first, last)]
        if last <= start or stop <= first:
            return []
        middle = _middle(first, last)
        return within(first, middle) + within(middle, last)

    return within(0, n_blocks)


def sum_of_subtrees(sums: dict[tuple[int, int], S], n_blocks: int) -> S:
    """Return the sum over all blocks by those of some parts of the tree."""

    def total(first: int, last: int) -> S:
        if (first, last) in sums:
            return sums[first, last]
        middle = _middle(first, last)
        return total(first, middle) + total(middle, last)  # type: ignore[operator,no-any-return]

    return total(0, n_blocks)


def _middle(first: int, last: int) -> int:
    return first + (1 << (last - first - 1).bit_length() - 1)


def are_blocks(X: Any, *, reread: bool = False) -> bool:
    """Return whether X is ``Blocks`` or an iterable of matrices: a list of lists is a matrix.

    Only the first item is looked at. What can be iterated only once is taken for blocks, unless they must be
    `reread`.

    Raises
    ------
    ValueError
        If X can be iterated only once, and must be reread.
    """
    if isinstance(X, Blocks):
        return True
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


def blocks_of(X: Any) -> Blocks[Any]:
    """Return blocks as they are given to an estimator: other iterables are read here, with all threads."""
    return X if isinstance(X, Blocks) else LocalBlocks(X, n_blas_threads())


def learn_names(estimator: Any, blocks: Blocks[Any], check: Callable[[Any, Any], object]) -> Any:
    """Let an estimator know the features by the first block, and return another of its parameters that does.

    `check` is called with such another and the block, where that is read, and is to set `n_features_in_` and,
    where there are names, `feature_names_in_`. The estimator that is returned can be sent to check all others.
    """
    found = blocks.of_first(partial(_names, _unfitted(estimator), check))
    for name in _NAMES:
        estimator.__dict__.pop(name, None)
    estimator.__dict__.update(found)
    other = _unfitted(estimator)
    other.__dict__.update(found)
    return other


def _names(estimator: Any, check: Callable[[Any, Any], object], block: Any) -> dict[str, Any]:
    check(estimator, block)
    return {name: getattr(estimator, name) for name in _NAMES if hasattr(estimator, name)}


def _unfitted(estimator: Any) -> Any:
    return type(estimator)(**estimator.get_params(deep=False))


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
