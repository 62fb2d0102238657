"""What people know beforehand: labels, seed words, weights; and what they change afterwards."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from latents.estimators import MultinomialMixture
from latents.estimators.common.blocks import InMemory
from latents.estimators.multinomial_mixture.annealing import Climb, Corpus
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import (
    Answers,
    Parameters,
    e_step,
    log_coefficients,
    log_prior,
    m_step,
)
from latents.estimators.multinomial_mixture.moves import lead_by_seeds
from tests import oracles as oracle

CPU = torch.device("cpu")


def planted(n_documents=600, n_components=4, n_words=60, length=12, seed=0):
    rng = np.random.default_rng(seed)
    mu = rng.dirichlet(np.full(n_words, 0.3), size=n_components)
    z = rng.integers(n_components, size=n_documents)
    return np.array([rng.multinomial(length, mu[k]) for k in z]), z, mu


def known(z, n_each, unknown=-1, seed=0):
    """Labels of some documents of each class."""
    rng = np.random.default_rng(seed)
    y = np.full(len(z), unknown, dtype=object if unknown is None else int)
    for k in np.unique(z):
        rows = rng.choice(np.flatnonzero(z == k), n_each, replace=False)
        y[rows] = f"class {k}" if unknown is None else k
    return y


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("unknown", [-1, None])
def test_labelled_documents_keep_their_component_and_others_follow(unknown):
    X, z, _ = planted()
    y = known(z, 5, unknown)
    model = MultinomialMixture(4, random_state=0).fit(X, y)
    expected = [f"class {k}" for k in range(4)] if unknown is None else list(range(4))
    assert model.classes_.tolist() == expected
    assert model.component_classes_.tolist() == [0, 1, 2, 3]
    rest = y == unknown if unknown == -1 else np.array([label is None for label in y])
    assert np.mean(model.predict(X)[rest] == z[rest]) > 0.93
    # Of each component, nothing but labels says which number it has.
    unguided = MultinomialMixture(4, random_state=0).fit(X)
    assert not hasattr(unguided, "classes_")
    assert unguided.component_classes_.tolist() == [-1] * 4


def test_the_objective_is_that_of_documents_and_labels_together():
    X, z, _ = planted(n_documents=60)
    y = known(z, 4)
    model = MultinomialMixture(6, random_state=0).fit(X, y)
    pi, mu, a = model.weights_, model.word_probabilities_, model.pseudo_count_
    total = 0.0
    for document, label in zip(X, y, strict=True):
        joint = np.array(oracle.joint(document, pi, mu))
        allowed = joint if label < 0 else joint[model.component_classes_ == label]
        total += np.log(allowed.sum())
    total += log_coefficients(sp.csr_array(X.astype(float))).sum()
    prior = log_prior(Parameters.of(pi, mu).log_words, a)
    assert model.lower_bound_ == pytest.approx((total + prior) / 60, rel=1e-9)


def test_an_em_step_with_labels_and_weights_by_enumeration():
    X, _, _ = planted(n_documents=30)
    rng = np.random.default_rng(3)
    pi, mu = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(60), size=4)
    barred = np.zeros((30, 4), dtype=bool)
    barred[:5, 1:3] = True
    weights = rng.uniform(0, 3, size=30)
    counts = Counts(sp.csr_array(X.astype(float)), CPU, weights=weights, barred=barred)
    new_pi, new_mu = m_step(e_step(counts, Parameters.of(pi, mu)), 0.2).arrays()
    joint = np.array([oracle.joint(d, pi, mu) for d in X]) * ~barred
    gamma = joint / joint.sum(axis=1, keepdims=True) * weights[:, None]
    words = gamma.T @ X + 0.2
    np.testing.assert_allclose(new_pi, gamma.sum(axis=0) / weights.sum(), rtol=1e-10)
    np.testing.assert_allclose(new_mu, words / words.sum(axis=1, keepdims=True), rtol=1e-10)


def test_a_class_may_have_several_components_and_unlabelled_classes_may_appear():
    X, z, _ = planted(n_components=6, n_documents=1200, length=25)
    classes = np.array([0, 0, 1, 1, 2, 3])[z]  # two classes of two kinds each, and two without a label
    y = known(classes, 12)
    y[classes >= 2] = -1
    model = MultinomialMixture(6, components_per_class=2, random_state=0).fit(X, y)
    assert model.component_classes_.tolist() == [0, 0, 1, 1, -1, -1]
    found = model.component_classes_[model.predict(X)]
    assert np.mean(found[classes < 2] == classes[classes < 2]) > 0.9
    assert np.mean(found[classes >= 2] == -1) > 0.9
    assert (model.component_classes_[model.predict(X)][y >= 0] == y[y >= 0]).mean() > 0.9


def test_labels_that_are_all_known_are_left_to_judge_unless_they_are_asked_to_guide():
    X, z, _ = planted(n_documents=200)
    ignored = MultinomialMixture(2, random_state=0).fit(X, z)
    np.testing.assert_array_equal(
        ignored.word_probabilities_, MultinomialMixture(2, random_state=0).fit(X).word_probabilities_
    )
    guided = MultinomialMixture(4, use_labels="guide", smoothing=0.1, relative=False, random_state=0).fit(
        X, z
    )
    words = np.array([X[z == k].sum(axis=0) for k in range(4)]) + 0.1  # naive Bayes
    np.testing.assert_allclose(
        guided.word_probabilities_, words / words.sum(axis=1, keepdims=True), rtol=1e-9
    )
    some = np.where(np.arange(200) < 50, z, -1)
    np.testing.assert_array_equal(
        MultinomialMixture(4, use_labels="ignore", random_state=0).fit(X, some).word_probabilities_,
        MultinomialMixture(4, random_state=0).fit(X).word_probabilities_,
    )


@pytest.mark.parametrize("annealing", [True, False])
def test_labels_and_weights_of_blocks_are_those_of_the_whole(annealing):
    X, z, _ = planted(n_documents=300)
    y, weights = known(z, 20), np.random.default_rng(0).integers(0, 3, 300).astype(float)
    blocks = [sp.csr_array(X[i : i + 110].astype(float)) for i in range(0, 300, 110)]
    arguments = {"annealing": annealing, "smoothing": 0.25, "tol": 1e-10, "random_state": 0}
    whole = MultinomialMixture(4, **arguments).fit(X, y, sample_weight=weights)
    model = MultinomialMixture(4, **arguments).fit(blocks, y, sample_weight=weights)
    assert model.n_documents_seen_ == whole.n_documents_seen_ == weights.sum()
    assert model.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-6)
    np.testing.assert_allclose(model.word_probabilities_, whole.word_probabilities_, atol=1e-4)


def test_later_batches_bring_labels_of_the_same_classes():
    X, z, _ = planted()
    y = known(z, 30)
    model = MultinomialMixture(4, random_state=0).partial_fit(X[:300], y[:300])
    model.partial_fit(X[300:], y[300:])
    assert np.mean(model.predict(X) == z) > 0.9
    with pytest.raises(
        ValueError, match=r"y has the label 7; allowed are 0, 1, 2, \.\.\., and -1 for unknown"
    ):
        model.partial_fit(X[:3], [7, -1, 0])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, -1], r"y has shape \(3,\), and X has 600 documents; allowed is a label for each"),
        (np.arange(600) % 5 - 1, None),
        (np.arange(600) % 6 - 1, r"there are 5 classes \(0, 1, 2, ...\) .* n_components=4; allowed are 5"),
        ([{"a"}, None] * 300, "y has labels that are neither numbers nor strings"),
    ],
)
def test_labels_that_do_not_fit_are_refused(y, message):
    X, _, _ = planted()
    model = MultinomialMixture(4, random_state=0)
    if message is None:
        model.fit(X, y)
    else:
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)
        assert not hasattr(model, "weights_")


# --- seed words -----------------------------------------------------------------------------------


def test_seed_words_draw_a_class_to_its_component():
    X, z, mu = planted(n_components=5, n_documents=800, length=20)
    names = np.array([f"w{column}" for column in range(60)])
    lift = mu / mu.mean(axis=0)
    seeds = {f"kind {k}": names[np.argsort(-lift[k] * mu[k])[:3]].tolist() for k in (3, 1)}
    model = MultinomialMixture(5, seeds=seeds, random_state=0).fit(pd.DataFrame(X, columns=names))
    assert model.classes_.tolist() == ["kind 3", "kind 1"]
    assert model.component_classes_.tolist() == [0, 1, -1, -1, -1]
    found = model.predict(pd.DataFrame(X, columns=names))
    assert np.mean(found[z == 3] == 0) > 0.9
    assert np.mean(found[z == 1] == 1) > 0.9
    by_column = MultinomialMixture(
        5, seeds={name: [int(word[1:]) for word in words] for name, words in seeds.items()}, random_state=0
    ).fit(X)
    np.testing.assert_array_equal(by_column.word_probabilities_, model.word_probabilities_)


def test_seeds_are_pseudo_counts_of_so_many_documents():
    X, z, _ = planted(n_documents=100)
    y = z.copy()  # every label is known: one M step is all
    model = MultinomialMixture(
        4, use_labels="guide", seeds={0: [5, 7], 2: [9]}, seed_strength=3, smoothing=0.1, relative=False
    ).fit(X, y)
    words = np.array([X[z == k].sum(axis=0) for k in range(4)]) + 0.1
    words[0, [5, 7]] += 3 * 12 / 2
    words[2, 9] += 3 * 12
    np.testing.assert_allclose(model.word_probabilities_, words / words.sum(axis=1, keepdims=True), rtol=1e-9)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ({"space": ["orbit"]}, r"seeds\['space'\] has 'orbit', which is no word of X; allowed are 0 to 59"),
        ({"space": [60]}, r"seeds\['space'\] has 60, which is no word of X"),
        ({"space": []}, r"seeds\['space'\] is \[\]; allowed is a list of one word or more"),
        ({"space": "orbit"}, r"seeds\['space'\] is 'orbit'; allowed is a list"),
        ({"space": [1, 2], "sea": [2]}, "seeds contradict: 2 is of 'space' and of 'sea'"),
        ({name: [number] for number, name in enumerate("abcde")}, "there are 5 classes .* allowed are 5"),
        ({"a": [0], 3: [1]}, "classes are called 'a' and 3; allowed are numbers or strings alone"),
    ],
)
def test_seeds_that_do_not_fit_are_refused(seeds, message):
    X, _, _ = planted()
    with pytest.raises(ValueError, match=message):
        MultinomialMixture(4, seeds=seeds).fit(X)
    with pytest.raises(ValueError, match="smoothing is 0, and seeds are pseudo-counts"):
        MultinomialMixture(4, seeds={"a": [0]}, smoothing=0).fit(X)


def test_a_guided_model_goes_on_after_saving(tmp_path):
    X, z, _ = planted()
    y = known(z, 10, None)
    model = MultinomialMixture(5, seeds={"more": [1, 2]}, components_per_class=1, random_state=0).fit(
        X[:400], y[:400]
    )
    model.save(tmp_path / "m.safetensors")
    again = MultinomialMixture.load(tmp_path / "m.safetensors")
    assert again.get_params() == model.get_params()
    assert again.classes_.tolist() == model.classes_.tolist() == [*(f"class {k}" for k in range(4)), "more"]
    np.testing.assert_array_equal(
        again.partial_fit(X[400:], y[400:]).word_probabilities_,
        model.partial_fit(X[400:], y[400:]).word_probabilities_,
    )


# --- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_whole_weights_are_repeated_rows(smoothing):
    X, _, _ = planted(n_documents=200, length=30)
    weights = np.random.default_rng(0).integers(0, 4, size=200)
    arguments = {"smoothing": smoothing, "tol": 1e-12, "random_state": 0}
    weighted = MultinomialMixture(4, **arguments).fit(X, sample_weight=weights)
    repeated = MultinomialMixture(4, **arguments).fit(np.repeat(X, weights, axis=0))
    assert weighted.pseudo_count_ == pytest.approx(repeated.pseudo_count_)
    assert weighted.n_documents_seen_ == weights.sum()
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, abs=1e-7)
    order = np.argsort(weighted.word_probabilities_[:, 0]), np.argsort(repeated.word_probabilities_[:, 0])
    np.testing.assert_allclose(
        weighted.word_probabilities_[order[0]], repeated.word_probabilities_[order[1]], atol=1e-6
    )


def test_a_weighted_batch_is_a_batch_of_repeated_rows():
    X, _, _ = planted()
    weights = np.arange(200) % 3
    models = [MultinomialMixture(4, random_state=0).fit(X[:400]) for _ in range(2)]
    models[0].partial_fit(X[400:], sample_weight=weights)
    models[1].partial_fit(np.repeat(X[400:], weights, axis=0))
    np.testing.assert_allclose(models[0].word_probabilities_, models[1].word_probabilities_, rtol=1e-9)
    assert models[0].lower_bound_ == pytest.approx(models[1].lower_bound_)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], "sample_weight has 2 numbers, and X has 600 documents; allowed is one for each"),
        (np.r_[np.ones(599), -1], r"sample_weight\[599\] is -1.0; allowed are numbers of at least 0"),
        (np.r_[np.nan, np.ones(599)], r"sample_weight\[0\] is nan"),
        (np.zeros(600), "sample_weight is zero throughout"),
        (np.ones((600, 1)), r"sample_weight has shape \(600, 1\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, message):
    X, _, _ = planted()
    with pytest.raises(ValueError, match=message):
        MultinomialMixture(4).fit(X, sample_weight=weights)
    blocks = [sp.csr_array(X[:300].astype(float)), sp.csr_array(X[300:].astype(float))]
    with pytest.raises(ValueError, match="sample_weight"):
        MultinomialMixture(4).fit(blocks, sample_weight=weights)


# --- what fits nowhere ----------------------------------------------------------------------------


def test_familiarity_by_its_formula():
    X, _, _ = planted(n_documents=50)
    X[3] = 0
    model = MultinomialMixture(3, random_state=0).fit(X)
    frequencies = X.sum(axis=0) / X.sum()
    used = X.sum(axis=0) > 0
    np.testing.assert_allclose(model.word_frequencies()[used], frequencies[used], rtol=0.02)
    expected = [
        (
            np.log(sum(oracle.joint(d, model.weights_, model.word_probabilities_)))
            - d @ np.log(model.word_frequencies())
        )
        / d.sum()
        for d in np.delete(X, 3, axis=0)
    ]
    found = model.familiarity(X)
    np.testing.assert_allclose(np.delete(found, 3), expected, rtol=1e-9)
    assert np.isnan(found[3])


def test_shuffled_documents_fit_nowhere():
    X, _, _ = planted(n_documents=1000, n_components=6, length=40)
    rng = np.random.default_rng(0)
    p = X.sum(axis=0) / X.sum()
    strange = rng.multinomial(40, p, size=50)
    model = MultinomialMixture(6, random_state=0).fit(np.vstack([X, strange]))
    familiarity = model.familiarity(np.vstack([X, strange]))
    auc = np.mean(familiarity[:1000, None] > familiarity[None, 1000:])
    assert auc > 0.98


# --- more clusters later --------------------------------------------------------------------------


def test_a_component_of_two_kinds_is_split_and_what_was_split_is_merged():
    X, z, _ = planted(n_components=3, n_documents=900, length=30)
    y = np.where(z == 0, 0, 1)  # two kinds in one class
    model = MultinomialMixture(2, use_labels="guide", random_state=0).fit(X, y)
    names = model.component_classes_.tolist()
    before = model.word_probabilities_.copy(), model.weights_.copy()
    assert model.split(1, X) is model
    assert model.n_components == 3
    assert model.component_classes_.tolist() == [*names, 1]
    np.testing.assert_array_equal(model.word_probabilities_[0], before[0][0])
    np.testing.assert_allclose([model.weights_.sum(), model.weights_[1:].sum()], [1, before[1][1]])
    found = model.predict(X)
    both = [np.mean(found[z == k] == 1) for k in (1, 2)]
    assert max(both) > 0.95
    assert min(both) < 0.05
    model.merge(1, 2)
    assert model.component_classes_.tolist() == names
    np.testing.assert_allclose(model.weights_, before[1])
    np.testing.assert_allclose(model.word_probabilities_, before[0], atol=2e-3)
    assert model.fit(X, y).n_components == 2


def test_a_merged_component_is_what_one_fit_to_both_would_be():
    X, z, _ = planted(n_documents=300, length=50)
    model = MultinomialMixture(4, use_labels="guide", smoothing=0.2, relative=False).fit(X, z)
    free = MultinomialMixture(4, use_labels="guide", smoothing=0.2, relative=False).fit(X, z)
    free.component_classes_ = np.full(4, -1)
    free.merge(3, 1)
    words = X[(z == 1) | (z == 3)].sum(axis=0) + 0.2
    np.testing.assert_allclose(free.word_probabilities_[2], words / words.sum(), rtol=1e-9)
    np.testing.assert_array_equal(free.word_probabilities_[:2], model.word_probabilities_[[0, 2]])
    assert free.weights_[2] == pytest.approx(np.isin(z, [1, 3]).mean())


def test_split_and_merged_components_keep_their_seed_words():
    X, z, _ = planted(n_components=3, n_documents=300, length=30)
    model = MultinomialMixture(
        3, use_labels="guide", seeds={1: [4]}, smoothing=0.2, relative=False, random_state=0
    ).fit(X, z)
    before = model.word_probabilities_.copy()
    model.split(1, X).merge(1, 3)
    np.testing.assert_allclose(model.word_probabilities_, before, atol=2e-3)
    np.testing.assert_array_equal(model.word_probabilities_[[0, 2]], before[[0, 2]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, X: m.split(4, X), "component=4; allowed are the components 0 to 3"),
        (lambda m, X: m.split(0, X[:1]), "component 0 has [01] documents of X, which nothing parts"),
        (lambda m, X: m.merge(1, 1), "first and second are both 1; allowed are two different components"),
        (lambda m, X: m.merge(0, 9), "second=9; allowed are the components 0 to 3"),
        (lambda m, X: m.merge(0, 1), "components 0 and 1 are of different classes, '0' and '1'"),
    ],
)
def test_changes_that_cannot_be_are_refused(change, message):
    X, z, _ = planted(n_documents=100)
    model = MultinomialMixture(4, use_labels="guide").fit(X, z)
    with pytest.raises(ValueError, match=message):
        change(model, X)
    assert model.n_components == 4


@pytest.mark.parametrize("n_components", [6, 12])
@pytest.mark.parametrize("seed", range(3))
def test_seeds_lead_a_component_with_documents_however_many_there_are(n_components, seed):
    X, z, mu = planted(n_words=40, seed=seed)
    lifts = mu / mu.mean(axis=0)
    seeds = {f"topic {k}": lifts[k].argsort()[-2:].tolist() for k in range(3)}
    model = MultinomialMixture(n_components, seeds=seeds, random_state=seed).fit(X)
    clusters = model.predict(X)
    for k in range(3):
        own = clusters == np.flatnonzero(model.component_classes_ == k).item()
        assert own.sum() > 10
        assert np.mean(z[own] == k) > 0.8


def test_seeds_that_no_document_has_lead_nothing():
    X, _, _ = planted()
    X[:, :2] = 0
    model = MultinomialMixture(6, seeds={"nothing": [0, 1]}, random_state=0).fit(X)
    assert not np.any(model.predict(X) == 0)


def test_seeds_do_not_ask_a_component_that_has_documents_without_words_alone():
    X, _, _ = planted(n_documents=40)
    counts = Counts(sp.csr_array(np.vstack([X, np.zeros((1, X.shape[1]))]).astype(float)), CPU)
    # The first component is led and empty, the last has the document without words.
    words = torch.from_numpy(np.stack([np.zeros(X.shape[1]), X.sum(axis=0), np.zeros(X.shape[1])], axis=1))
    answers = Answers(words, torch.tensor([0.0, 40.0, 1.0]))
    a = torch.full((X.shape[1], 3), 0.1)
    a[X[:20].sum(axis=0).argmax(), 0] = 5
    climb = Climb(Corpus(InMemory(counts), CPU), answers, a)
    lead_by_seeds(climb, a)
    assert climb.answers.documents.tolist() in ([0, 40, 1], [40, 0, 1])
