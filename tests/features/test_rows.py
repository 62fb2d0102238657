"""Rows in blocks, sent as the name of their file."""

import pickle

import numpy as np
import pytest

from latents.features.images import ScaledRows, scale_to_white
from latents.features.rows import RowBlocks


@pytest.mark.parametrize("kind", ["array", "mapped", "view of mapped", "columns of mapped"])
def test_blocks_are_the_rows_wherever_they_are_read(tmp_path, kind):
    X = np.arange(60 * 4, dtype=np.float32).reshape(60, 4)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    given = {
        "array": X,
        "mapped": mapped,
        "view of mapped": mapped[7:50],
        "columns of mapped": mapped[:, 1:3],
    }[kind]
    rows = np.arange(len(given))[::2]
    blocks = RowBlocks(given, rows, 5 * given.shape[1])
    sent = pickle.dumps(blocks)
    for each in (blocks, pickle.loads(sent)):
        parts = [each[number] for number in range(len(each))]
        assert [len(part) for part in parts[:-1]] == [5] * (len(parts) - 1)
        np.testing.assert_array_equal(np.concatenate(parts), given[rows])
    if kind in ("mapped", "view of mapped"):
        big = RowBlocks(mapped, np.arange(2), 4)
        assert len(pickle.dumps(big)) < X.nbytes
    with pytest.raises(IndexError):
        blocks[len(blocks)]


def test_scaled_rows_are_scaled_where_they_are_read(tmp_path):
    X = np.arange(60 * 4, dtype=np.uint8).reshape(60, 4)
    np.save(tmp_path / "X.npy", X)
    expected = scale_to_white(X, 255.0)[::2]
    for given in (X, np.load(tmp_path / "X.npy", mmap_mode="r")):
        blocks = RowBlocks(ScaledRows(given, 255.0), np.arange(60)[::2], 28)
        for each in (blocks, pickle.loads(pickle.dumps(blocks))):
            for _ in range(2):  # they can be had again
                np.testing.assert_array_equal(np.concatenate(list(each)), expected)
            assert each[0].dtype == np.float32
