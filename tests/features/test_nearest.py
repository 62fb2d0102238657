"""The nearest documents are those of scikit-learn's tf-idf and cosine, however the corpus is parted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.metrics.pairwise import cosine_similarity

from latents.features import nearest as room
from latents.features.nearest import nearest

from .test_block_counts import drawn, in_blocks


@given(
    seed=st.integers(0, 99),
    cuts=st.lists(st.integers(1, 49), max_size=4),
    chosen=st.lists(st.booleans(), min_size=50, max_size=50),
    n=st.sampled_from([1, 5, 60]),
)
def test_any_parting_finds_the_nearest(seed, cuts, chosen, n):
    T, asked, mask = drawn(seed=seed), drawn(7, seed=seed + 1), np.array(chosen)
    mask[3] = True
    corpus = T[mask]
    weighting = TfidfTransformer().fit(corpus)
    expected = cosine_similarity(weighting.transform(asked), weighting.transform(corpus))
    found = nearest(asked, corpus, n)
    assert found.rows.shape == found.similarities.shape == (7, min(n, corpus.shape[0]))
    np.testing.assert_allclose(found.similarities, -np.sort(-expected, axis=1)[:, :n], atol=1e-12)
    np.testing.assert_allclose(found.similarities, np.take_along_axis(expected, found.rows, 1), atol=1e-12)
    parted = nearest(asked, in_blocks(T, cuts)[mask], n)
    np.testing.assert_array_equal(parted.rows, found.rows)
    np.testing.assert_array_equal(parted.similarities, found.similarities)


def test_of_equally_near_ones_the_first_comes_first():
    T = sparse.csr_array(np.tile(np.eye(3, dtype=np.uint8), (4, 1)))
    for corpus in (T, in_blocks(T, (2, 5))):
        assert nearest(T[1:2], corpus, 3).rows.tolist() == [[1, 4, 7]]


def test_many_are_asked_some_at_a_time(monkeypatch):
    T, asked = drawn(), drawn(23, seed=1)
    whole = nearest(asked, T, 4)
    monkeypatch.setattr(room, "_ENTRIES", 200)
    np.testing.assert_array_equal(nearest(asked, T, 4).rows, whole.rows)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_nobody_asks(n_threads):
    assert nearest(drawn()[:0], in_blocks(drawn(), (20,), n_threads), 3).rows.shape[0] == 0
