"""The fingerprint of the data that models are compared on."""

import numpy as np
import pytest

from latents.pipelines import headlines
from latents.pipelines.headlines import digest


def test_equal_data_have_equal_digests_however_they_are_kept_and_read(tmp_path, monkeypatch):
    X = np.random.default_rng(0).integers(0, 255, size=(1000, 7, 3), dtype=np.uint8)
    np.save(tmp_path / "X.npy", X)
    expected = digest(X)
    monkeypatch.setattr(headlines, "_PIECE", 100)
    assert digest(np.load(tmp_path / "X.npy", mmap_mode="r")) == digest(np.asfortranarray(X)) == expected
    words = ["abc", "ж", ""]
    assert digest(np.array(words, dtype=object)) == digest(np.array(words))


@pytest.mark.parametrize(
    "other",
    [
        [np.arange(6), np.arange(3)],
        [np.arange(6).reshape(2, 3), np.arange(4)],
        [np.arange(6, dtype=np.int32), np.arange(4)],
        [np.arange(4), np.arange(6)],
        [np.array([0, 1, 2, 3, 5, 4]), np.arange(4)],
        [np.arange(6)],
        [np.arange(6), np.arange(4), np.arange(0)],
        [np.arange(6).astype(str), np.arange(4)],
    ],
)
def test_other_values_shapes_types_or_orders_have_other_digests(other):
    assert digest(*other) != digest(np.arange(6), np.arange(4))
