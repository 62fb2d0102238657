"""Nothing in a default has the scale of one corpus."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from latents.estimators import MultinomialMixture


def planted(n_documents, n_words, n_components, length, *, seed=0, sparsity=0.05):
    """Counts drawn from a known mixture, their components, and what the mixture itself makes of them."""
    rng = np.random.default_rng(seed)
    mu = (
        rng.dirichlet(np.full(n_words, sparsity), size=n_components) * 0.8
        + rng.dirichlet(np.ones(n_words)) * 0.2
    )
    z = rng.integers(n_components, size=n_documents)
    lengths = np.maximum(rng.poisson(length, n_documents), 1)
    X = sp.csr_array(np.array([rng.multinomial(n, mu[k]) for n, k in zip(lengths, z, strict=True)]))
    return X, z, (X @ np.log(mu).T).argmax(axis=1)


@pytest.mark.parametrize(
    ("n_documents", "n_words", "n_components", "length"),
    [
        (200, 500, 2, 3),
        (200, 2000, 5, 300),
        (1000, 3000, 100, 40),
        (3000, 400, 20, 8),
        (400, 64, 6, 3000),  # few words and many counts: genes, pixels
        (1500, 120, 12, 6),  # shopping baskets
        (4000, 5000, 150, 20),
    ],
)
def test_planted_clusters_are_recovered_where_their_own_posterior_recovers_them(
    n_documents, n_words, n_components, length
):
    X, z, best = planted(n_documents, n_words, n_components, length)
    found = MultinomialMixture(n_components, random_state=0).fit_predict(X)
    attainable = normalized_mutual_info_score(z, best)
    assert attainable > 0.4
    # The posterior knows the components; they have to be told from so many words.
    assert normalized_mutual_info_score(z, found) > 0.85 * attainable
    # A mixture that has lost a cluster has lost its documents, too.
    assert len(np.unique(found)) > 0.9 * n_components


def test_pseudo_counts_are_shares_of_the_mean_count_in_which_repeats_count_once():
    X = np.array([[1, 0, 7], [2, 0, 0], [0, 1, 0.5]])
    model = MultinomialMixture(2, smoothing=0.4, random_state=0).fit(X)
    assert model.pseudo_count_ == pytest.approx(0.4 * (1 + 1 + 1 + 1 + 0.5) / (2 * 3))
    assert model.mean_length_ == pytest.approx(11.5 / 3)
    absolute = MultinomialMixture(2, smoothing=0.4, relative=False, random_state=0).fit(X)
    assert absolute.pseudo_count_ == 0.4


@given(copies=st.integers(2, 4), annealing=st.booleans())
@settings(max_examples=8, deadline=None)
def test_a_corpus_several_times_over_gives_the_same_mixture(copies, annealing):
    X, _, _ = planted(120, 200, 3, 30)
    arguments = {"smoothing": 0.25, "annealing": annealing, "random_state": 0, "tol": 1e-10}
    once = MultinomialMixture(3, **arguments).fit(X)
    again = MultinomialMixture(3, **arguments).fit(sp.vstack([X] * copies).tocsr())
    assert again.pseudo_count_ == pytest.approx(copies * once.pseudo_count_)
    if annealing:  # plain EM's start is by chance, and so is its optimum
        assert again.lower_bound_ == pytest.approx(once.lower_bound_, abs=1e-4)


@pytest.mark.parametrize("beta", [0.02, 0.3, 2.0])
def test_pseudo_counts_are_told_by_the_clusters_by_default(beta):
    """They are those of the Dirichlet distribution that clusters come from, whatever their number."""
    rng = np.random.default_rng(0)
    mu = rng.dirichlet(np.full(300, beta), size=20)
    z = rng.integers(20, size=2000)
    X = np.array([rng.multinomial(60, mu[k]) for k in z])
    model = MultinomialMixture(20, random_state=0).fit(X)
    assert model.pseudo_count_ == pytest.approx(beta, rel=0.15)
    best, *others = (
        MultinomialMixture(20, smoothing=smoothing, relative=False, random_state=0)
        .fit(X)
        .perplexity(np.array([rng.multinomial(60, mu[k]) for k in z]))
        for smoothing in (model.pseudo_count_, 4 * beta + 1, beta / 20)
    )
    assert best < min(others)


def test_tol_is_per_word_or_per_document():
    X, _, _ = planted(300, 300, 4, 50)
    steps = {
        relative: MultinomialMixture(
            4,
            annealing=False,
            smoothing=0,
            relative=relative,
            tol=tol,
            random_state=0,
        )
        .fit(X)
        .lower_bounds_
        for relative, tol in ((True, 1e-5), (False, 1e-5 * X.sum() / 300))
    }
    np.testing.assert_allclose(steps[True], steps[False], rtol=1e-12)


def test_what_a_fixed_pseudo_count_does_to_many_small_clusters():
    """The prior outweighs the data, and a hundred clusters end as a few; a share of the mean count keeps them."""
    X, _, _ = planted(1000, 3000, 100, 9)
    fixed = MultinomialMixture(
        100, smoothing=0.3, annealing_smoothing=1.0, relative=False, random_state=0
    ).fit_predict(X)
    assert len(np.unique(fixed)) < 30
    assert len(np.unique(MultinomialMixture(100, random_state=0).fit_predict(X))) > 90
