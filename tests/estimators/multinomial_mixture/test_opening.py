"""More clusters later: components that a batch opens where its documents fit none."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from latents.estimators import MultinomialMixture, load
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import Parameters, log_joint
from latents.estimators.multinomial_mixture.opening import worth
from tests import oracles as oracle
from tests.conftest import ROOT

N_WORDS, LENGTH = 80, 15


def drawn(topics, n_documents, seed=0, length=LENGTH):
    """Documents of some of 24 topics, and which they are of."""
    mu = np.random.default_rng(7).dirichlet(np.full(N_WORDS, 0.2), size=24)
    rng = np.random.default_rng(seed)
    z = rng.choice(topics, size=n_documents)
    return np.array([rng.multinomial(length, mu[k]) for k in z]), z


def fitted(n_topics=3, **arguments):
    X, _ = drawn(range(n_topics), 600)
    return MultinomialMixture(n_topics, random_state=0, **arguments).fit(X)


@pytest.mark.parametrize("topics", [[3], [3, 4]])
def test_documents_of_new_topics_open_components_and_all_others_keep_their_places(topics):
    model = fitted(new_components=4)
    X, z = drawn([0, 1, 2, *topics], 800, seed=1)
    before, words = model.predict(X), model.word_probabilities_
    model.partial_fit(X)
    assert model.n_components == model.weights_.size == 3 + len(topics)
    assert model.component_classes_.tolist() == [-1] * model.n_components
    after = model.predict(X)
    known = z < 3
    assert np.mean(after[known] == before[known]) > 0.97
    np.testing.assert_allclose(model.word_probabilities_[:3], words, atol=0.02)
    opened = {int(np.bincount(after[z == topic]).argmax()) for topic in topics}
    assert opened == set(range(3, model.n_components))
    assert all(np.mean(after[z == topic] >= 3) > 0.97 for topic in topics)
    # A topic that is a share of the last batch alone is less of all.
    assert model.weights_[3:].sum() < np.mean(z >= 3)
    assert model.weights_.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(6))
def test_documents_of_known_topics_open_none(seed):
    model = fitted(new_components=4).partial_fit(drawn([0, 1, 2], 800, seed=seed)[0])
    assert model.n_components == 3


def test_no_batch_opens_any_unless_it_is_allowed_to():
    model = fitted().partial_fit(drawn([3], 800)[0])
    assert model.n_components == 3
    assert fitted(new_components=1).partial_fit(drawn([3, 4, 5], 800)[0]).n_components == 4


def test_few_documents_open_none():
    model = fitted(new_components=2)
    for n_documents in (1, 5):
        model.partial_fit(drawn([3], n_documents)[0])
    model.partial_fit(np.zeros((20, N_WORDS)))
    assert model.n_components == 3


def test_a_mixture_of_one_component_opens_more():
    model = fitted(1, new_components=4)
    assert model.partial_fit(drawn([0, 1, 2], 900, seed=2)[0]).n_components == 3


@pytest.mark.parametrize("length", [15, 60])
@pytest.mark.parametrize("n_topics", [3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_without_smoothing_as_with_it(length, n_topics, seed):
    opened = []
    for smoothing in ("auto", 0):
        # No word is new to the mixture.
        X = np.vstack([drawn([0, 1, 2], 600, seed, length)[0], np.ones(N_WORDS)])
        model = MultinomialMixture(3, random_state=seed, new_components=3, smoothing=smoothing).fit(X)
        opened.append(model.partial_fit(drawn(range(n_topics), 800, seed, length)[0]).n_components - 3)
    assert opened == [n_topics - 3] * 2


@pytest.mark.parametrize("smoothing", ["auto", 0.25, 0])
def test_batches_go_on_from_there_with_any_smoothing(smoothing, tmp_path):
    X = np.vstack([drawn([0, 1, 2], 600)[0], np.ones(N_WORDS)])  # no word is new to the mixture
    model = MultinomialMixture(3, random_state=0, new_components=2, smoothing=smoothing).fit(X)
    model.partial_fit(drawn(range(4), 800, seed=1)[0])
    assert model.n_components == 4
    model.save(tmp_path / "model.safetensors")
    model = load(tmp_path / "model.safetensors").partial_fit(drawn(range(5), 800, seed=2)[0])
    assert model.n_components == 5
    assert model.n_documents_seen_ == 2201
    assert np.isfinite(model.lower_bounds_).all()


def test_labelled_documents_stay_with_their_class_and_open_nothing():
    X, z = drawn([0, 1, 2], 600)
    model = MultinomialMixture(3, random_state=0, new_components=2, use_labels="guide").fit(X, z)
    other, topics = drawn([0, 1, 2, 3], 800, seed=1)
    as_if = np.where(topics == 3, 0, topics)  # all documents have a label: there is none to go elsewhere
    assert model.partial_fit(other, as_if).n_components == 3
    guided = MultinomialMixture(3, random_state=0, new_components=2, use_labels="guide").fit(X, z)
    guided.partial_fit(other, np.where(topics == 3, -1, topics))
    assert guided.component_classes_.tolist() == [0, 1, 2, -1]
    assert np.mean(guided.predict(other)[topics == 3] == 3) > 0.97


def test_seed_words_keep_their_classes():
    X, _ = drawn([0, 1, 2], 600)
    words = np.random.default_rng(7).dirichlet(np.full(N_WORDS, 0.2), size=24).argmax(axis=1)
    seeds = {f"topic {k}": [int(words[k])] for k in range(3)}
    model = MultinomialMixture(3, random_state=0, seeds=seeds, new_components=2).fit(X)
    model.partial_fit(drawn([0, 1, 2, 3], 800, seed=1)[0])
    assert model.component_classes_.tolist() == [0, 1, 2, -1]
    assert model.classes_.tolist() == list(seeds)


def test_whole_weights_are_repeated_rows():
    X, _ = drawn([0, 1, 2, 3], 800, seed=1)
    weights = np.random.default_rng(0).integers(1, 4, size=len(X))
    model = fitted(new_components=2).partial_fit(X, sample_weight=weights)
    repeated = fitted(new_components=2).partial_fit(np.repeat(X, weights, axis=0))
    assert model.n_components == repeated.n_components == 4
    np.testing.assert_allclose(model.word_probabilities_, repeated.word_probabilities_, atol=0.01)


def test_documents_of_no_weight_open_nothing():
    X, z = drawn([0, 1, 2, 3], 800, seed=1)
    assert fitted(new_components=2).partial_fit(X, sample_weight=z < 3).n_components == 3
    one = np.arange(800) == 5
    for smoothing in ("auto", 0.25):
        assert (
            fitted(new_components=2, smoothing=smoothing).partial_fit(X, sample_weight=one).n_components == 3
        )


@pytest.mark.filterwarnings("error")
def test_words_by_name_and_rows_without_length_are_no_reason_to_warn():
    X, _ = drawn([0, 1, 2], 600)
    names = [f"word {w}" for w in range(N_WORDS)]
    model = MultinomialMixture(3, random_state=0, new_components=2).fit(pd.DataFrame(X, columns=names))
    model.set_params(n_components=7)  # says how many the next fit has
    other = drawn([0, 1, 2, 3], 800, seed=1)[0]
    model.partial_fit(pd.DataFrame(other, columns=names))
    assert model.n_components == model.component_classes_.size == 4
    plain = MultinomialMixture(3, annealing=False, random_state=0, new_components=2)
    plain.fit(X / LENGTH).partial_fit(other / LENGTH)


def test_the_seed_repeats_what_is_opened():
    X, _ = drawn([0, 1, 2, 3], 800, seed=1)
    one, other = (fitted(new_components=2).partial_fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.word_probabilities_, other.word_probabilities_)


def test_an_impossible_document_leaves_the_model_as_it_was():
    X, _ = drawn([0, 1, 2], 600)
    X[:, 5] = 0
    model = MultinomialMixture(3, random_state=0, smoothing=0, new_components=2).fit(X)
    before = model.word_probabilities_.copy()
    other, _ = drawn([0, 1, 2, 3], 800, seed=1)
    other[:, X.sum(axis=0) == 0] = 0
    other[11, 5] = 1
    with pytest.raises(ValueError, match="row 11 of X is impossible"):
        model.partial_fit(other)
    assert model.n_components == 3
    np.testing.assert_array_equal(model.word_probabilities_, before)


def test_worth_is_what_log_p_loses():
    X, _ = drawn(range(4), 30)
    X[3] *= 6  # gamma is next to 1, and 1 - gamma has no digits left
    pi, mu = np.array([0.1, 0.2, 0.3, 0.4]), np.random.default_rng(7).dirichlet(np.ones(N_WORDS), size=4)
    weights = np.random.default_rng(1).uniform(0.5, 2, size=30)
    counts = Counts(sp.csr_array(X.astype(float)), torch.device("cpu"), weights=weights)
    found = worth(counts, log_joint(counts, Parameters.of(pi, mu)), torch.from_numpy(pi))
    gamma = np.array([oracle.posterior(d, pi, mu) for d in X])
    for k in range(4):
        rest = np.delete(pi, k) / (1 - pi[k])
        lost = np.array(
            [
                oracle.log_probability(d, pi, mu) - oracle.log_probability(d, rest, np.delete(mu, k, axis=0))
                for d in X
            ]
        )
        in_all, words = weights @ lost, weights @ (gamma[:, k] * X.sum(axis=1))
        assert found.z_scores[k] == pytest.approx(in_all / np.sqrt(weights @ lost**2), rel=1e-9)
        assert found.per_word[k] == pytest.approx(in_all / words, rel=1e-9)


def test_the_documented_example():
    (code,) = re.findall(r"```python\n([^`]*new_components[^`]*)```", (ROOT / "docs/models.md").read_text())
    names = {
        "MultinomialMixture": MultinomialMixture,
        "counts": drawn(range(20), 4000)[0],
        "later_counts": drawn(range(22), 3000)[0],
    }
    exec(code, names)
    assert names["model"].n_components == 22
    assert names["model"].weights_.sum() == pytest.approx(1)
