"""The nearest images are those that brute force finds, however they are parted and wherever they are read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latents.features import nearest_images as room
from latents.features.nearest_images import nearest_images


@given(
    seed=st.integers(0, 99),
    block=st.integers(1, 200),
    is_binary=st.booleans(),
    chosen=st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_any_parting_finds_the_nearest(seed, block, is_binary, chosen):
    rng = np.random.default_rng(seed)
    X, asked = rng.random((30, 6), np.float32), rng.random((7, 6), np.float32)
    if is_binary:
        X, asked = X.round(), asked.round()
    rows = np.flatnonzero(np.array(chosen) | (np.arange(30) == 17))
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_BLOCK", block)
        found = nearest_images(asked, X, rows, lambda *call: told.append(call))
    distances = np.linalg.norm(asked[:, None].astype(np.float64) - X[rows], axis=2)
    np.testing.assert_allclose(found.distances, distances.min(axis=1), atol=1e-6)
    assert np.isin(found.rows, rows).all()
    # Of equally near ones it may be any.
    own = np.linalg.norm(asked.astype(np.float64) - X[found.rows], axis=1)
    np.testing.assert_allclose(own, distances.min(axis=1), atol=1e-6)
    assert told[-1] == ("images", len(rows), len(rows))


def test_images_in_a_file_are_found(tmp_path):
    X = np.random.default_rng(0).random((50, 4), np.float32)
    np.save(tmp_path / "X.npy", X)
    found = nearest_images(X[[41, 3]], np.load(tmp_path / "X.npy", mmap_mode="r"), np.arange(1, 50, 2))
    assert found.rows.tolist() == [41, 3]
    assert found.distances.tolist() == [0, 0]
