"""Sums over blocks: the same tree whoever adds up, and whatever share of it falls to whom."""

import operator
import pickle
import threading
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latents.estimators.common.blocks import (
    ByBlock,
    InMemory,
    LocalBlocks,
    Task,
    as_it_is,
    in_turn,
    subtrees,
    sum_in_order,
    sum_of_subtrees,
    with_number,
)


class Sum(str):
    """A sum that says in which order it was made."""

    def __add__(self, other):
        return Sum(f"({self}+{other})")


def leaves(n):
    return [Sum(i) for i in range(n)]


def tree(first, last):
    """The definition: what is left of the middle is the largest power of two."""
    if last - first == 1:
        return Sum(first)
    half = 1
    while 2 * half < last - first:
        half *= 2
    return tree(first, first + half) + tree(first + half, last)


@given(st.integers(1, 70))
def test_sums_are_made_in_the_tree(n):
    assert sum_in_order(leaves(n)) == tree(0, n)


@given(st.integers(1, 70), st.lists(st.integers(0, 70), max_size=6))
def test_sums_of_parts_are_those_of_the_whole_however_it_is_parted(n, cuts):
    edges = sorted({0, n, *(cut for cut in cuts if cut < n)})
    sums = {}
    for start, stop in pairwise(edges):
        parts = subtrees(start, stop, n)
        assert [number for part in parts for number in range(*part)] == list(range(start, stop))
        sums |= {part: sum_in_order(leaves(n)[slice(*part)]) for part in parts}
    assert sum_of_subtrees(sums, n) == tree(0, n)


def test_an_even_share_of_a_power_of_two_is_one_part():
    assert [subtrees(start, start + 4, 16) for start in (0, 4, 8, 12)] == [
        [(0, 4)], [(4, 8)], [(8, 12)], [(12, 16)],
    ]  # fmt: skip


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_threads_change_neither_order_nor_bits(n_threads):
    rng = np.random.default_rng(0)
    numbers = [rng.normal(size=200) * 10.0 ** rng.integers(-8, 8, 200) for _ in range(21)]
    total = LocalBlocks(numbers, n_threads).add_up(np.cumsum)
    np.testing.assert_array_equal(total, LocalBlocks(numbers).add_up(np.cumsum))
    labelled = LocalBlocks(leaves(21), n_threads).prepared(with_number)
    assert labelled.add_up(lambda block: Sum(block.number)) == tree(0, 21)
    assert not np.array_equal(
        total, reduce(operator.add, map(np.cumsum, numbers))
    )  # another order would show


def test_each_thread_computes_alone_and_no_more_blocks_are_read_than_that():
    in_use, most, lock = set(), [], threading.Lock()

    def read():
        for number in range(12):
            with lock:
                in_use.add(number)
                most.append(len(in_use))
            yield number

    class Reread:
        def __iter__(self):
            return read()

    seen = []

    def work(number):
        seen.append(torch.get_num_threads())
        with lock:
            in_use.discard(number)
        return number

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert LocalBlocks(Reread(), 3).add_up(work) == sum(range(12))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}
    assert max(most) <= 4


def test_blocks_are_prepared_each_time_and_one_in_memory_once():
    prepared = []

    def twice(block, number):
        prepared.append(number)
        return 2 * block

    def minus_number(block, number):
        return block - number

    local = LocalBlocks([1, 2, 3]).prepared(twice).prepared(minus_number)
    assert (local.add_up(float), local.of_first(float)) == (2 + 3 + 4, 2)
    assert prepared == [0, 1, 2, 0]
    in_memory = InMemory(5).prepared(twice).prepared(minus_number)
    assert [in_memory.add_up(float), in_memory.of_first(float)] == [10, 10]
    assert prepared == [0, 1, 2, 0, 0]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_what_is_wrong_with_a_block_names_it(n_threads):
    def work(block):
        if block == 3:
            raise ValueError("it is three")
        return block

    with pytest.raises(ValueError, match=r"^block 2: it is three$"):
        LocalBlocks([1, 2, 3, 4, 5], n_threads).add_up(work)
    for act in (LocalBlocks([]).add_up, LocalBlocks([]).of_first):
        with pytest.raises(ValueError, match="X has no blocks"):
            act(work)


def test_what_is_of_each_block_comes_in_order():
    letters = LocalBlocks("abcde", 2).prepared(with_number)
    assert letters.add_up(lambda block: ByBlock({block.number: block.block})).in_order() == list("abcde")


def test_tasks_can_be_sent():
    task = pickle.loads(pickle.dumps(Task(as_it_is, len)))
    assert list(in_turn(task, enumerate(["ab", "c"]), 1)) == [2, 1]
