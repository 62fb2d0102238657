import operator
import warnings
from functools import reduce
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment
from scipy.stats import dirichlet, multinomial
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from latents.estimators._multinomial_em import (
    Parameters,
    Statistics,
    e_step,
    log_prior,
    m_step,
    random_start,
)
from latents.estimators.multinomial_mixture import MultinomialMixture
from tests import oracles as oracle

PLAIN_EM = {"initial_beta": 1.0, "smoothing": 0.0}


def random_parameters(n_components, n_words, seed):
    rng = np.random.default_rng(seed)
    return Parameters(
        rng.dirichlet(np.ones(n_components)), rng.dirichlet(np.ones(n_words), size=n_components)
    )


def model_with(parameters):
    """A fitted estimator that has just these parameters."""
    n_components, n_words = parameters.word_probabilities.shape
    model = MultinomialMixture(n_components).fit(np.eye(max(n_components, n_words), n_words) + 1)
    model.weights_, model.word_probabilities_ = parameters
    return model


def planted(n_documents=400, n_components=4, n_words=30, length=60, seed=0):
    """Documents drawn from a known mixture."""
    rng = np.random.default_rng(seed)
    truth = Parameters(
        rng.dirichlet(np.full(n_components, 5.0)),
        rng.dirichlet(np.full(n_words, 0.3), size=n_components),
    )
    z = rng.choice(n_components, size=n_documents, p=truth.weights)
    return np.array([rng.multinomial(length, truth.word_probabilities[k]) for k in z]), z, truth


@st.composite
def corpora(draw):
    """Small corpora with at least one word: whole or fractional counts, empty rows and columns."""
    shape = draw(st.tuples(st.integers(3, 8), st.integers(1, 6)))
    scale = draw(st.sampled_from([1.0, 0.37, 20.0]))
    counts = draw(arrays(np.int64, shape, elements=st.integers(0, 4))) * scale
    if not counts.any():
        counts[0, 0] = 1.0
    return counts


# --- scikit-learn ---------------------------------------------------------------------------------

SPARSE_REASON = (
    "the check reads classifier_tags.multi_class of whatever has predict_proba, and a density "
    "estimator has no classifier tags; test_dense_and_sparse_inputs_agree covers sparse input"
)


@parametrize_with_checks(
    [MultinomialMixture(), MultinomialMixture(2, **PLAIN_EM, max_iter=20)],
    expected_failed_checks=lambda _: {
        "check_estimator_sparse_array": SPARSE_REASON,
        "check_estimator_sparse_matrix": SPARSE_REASON,
    },
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# --- the model against enumeration ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_posterior_and_likelihood_by_enumeration(seed):
    pi, mu = random_parameters(3, 4, seed)
    model = model_with(Parameters(pi, mu))
    documents = [*oracle.documents_of_length(3, 4), (0, 0, 0, 0), (0.5, 0, 2.25, 1)]
    np.testing.assert_allclose(
        model.predict_proba(documents), [oracle.posterior(d, pi, mu) for d in documents], rtol=1e-12
    )
    np.testing.assert_allclose(
        model.score_samples(documents),
        [oracle.log_probability(d, pi, mu) for d in documents],
        rtol=1e-12,
        atol=1e-12,
    )
    assert model.perplexity(documents) == pytest.approx(oracle.perplexity(documents, pi, mu))


def test_probabilities_of_all_documents_of_a_length_sum_to_one():
    model = model_with(random_parameters(3, 4, 5))
    documents = oracle.documents_of_length(5, 4)
    assert np.exp(model.score_samples(documents)).sum() == pytest.approx(1.0)


def test_one_component_is_scipys_multinomial_and_its_fit_is_x_over_n():
    X, _, _ = planted(n_documents=20)
    model = MultinomialMixture(1, smoothing=0).fit(X)
    np.testing.assert_allclose(model.word_probabilities_[0], X.sum(axis=0) / X.sum())
    np.testing.assert_allclose(
        model.score_samples(X), multinomial.logpmf(X, X[0].sum(), X.sum(axis=0) / X.sum())
    )


@pytest.mark.parametrize("beta", [1.0, 0.3])
@pytest.mark.parametrize("smoothing", [0.0, 0.7])
def test_an_em_step_by_enumeration(beta, smoothing):
    pi, mu = random_parameters(3, 4, 1)
    documents = np.random.default_rng(2).poisson(2.0, (6, 4)).astype(float)
    new = m_step(e_step(sp.csr_array(documents), Parameters(pi, mu), beta), smoothing)
    expected_pi, expected_mu = oracle.em_step(documents, pi, mu, smoothing, beta)
    np.testing.assert_allclose(new.weights, expected_pi, rtol=1e-12)
    np.testing.assert_allclose(new.word_probabilities, expected_mu, rtol=1e-12)


def test_tempered_likelihood_by_enumeration():
    pi, mu = random_parameters(3, 4, 1)
    documents = np.random.default_rng(2).poisson(2.0, (6, 4)).astype(float)
    for beta in (0.25, 1.0):
        tempered = [sum(v**beta for v in oracle.joint(d, pi, mu)) for d in documents]
        statistics = e_step(sp.csr_array(documents), Parameters(pi, mu), beta)
        assert statistics.tempered_log_likelihood == pytest.approx(np.log(tempered).sum() / beta)
        plain = [sum(oracle.joint(d, pi, mu)) for d in documents]
        assert statistics.log_likelihood == pytest.approx(np.log(plain).sum())


def test_bic_and_icl_by_their_formulas():
    X, _, _ = planted(n_documents=50, length=5)
    model = MultinomialMixture(3, random_state=0).fit(X)
    gamma = model.predict_proba(X)
    n_free = 3 * (X.shape[1] - 1) + 2
    bic = -2 * model.score_samples(X).sum() + n_free * np.log(50)
    assert model.bic(X) == pytest.approx(bic)
    assert model.icl(X) == pytest.approx(bic - 2 * np.sum(gamma * np.log(gamma)))
    assert model.icl(X) > model.bic(X)


# --- the statistics -------------------------------------------------------------------------------


@given(corpora(), st.data())
@settings(max_examples=50, deadline=None)
def test_shards_add_up_to_the_full_pass(X, data):
    beta = data.draw(st.sampled_from([1.0, 0.2]))
    cuts = sorted(data.draw(st.lists(st.integers(0, X.shape[0]), max_size=3)))
    parameters = random_parameters(3, X.shape[1], 0)
    T = sp.csr_array(X)
    edges = [0, *cuts, X.shape[0]]
    shards = [e_step(T[a:b], parameters, beta) for a, b in pairwise(edges) if a < b]
    total, full = reduce(operator.add, shards), e_step(T, parameters, beta)
    np.testing.assert_allclose(total.word_counts, full.word_counts, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(total.document_counts, full.document_counts, rtol=1e-12)
    assert total.log_likelihood == pytest.approx(full.log_likelihood, rel=1e-12)
    assert total.tempered_log_likelihood == pytest.approx(full.tempered_log_likelihood, rel=1e-12)
    assert total.n_documents == full.n_documents == X.shape[0]


def test_m_step_gives_a_component_without_words_the_corpus_frequencies():
    statistics = Statistics(np.array([[3.0, 1.0], [0.0, 0.0]]), np.array([2.0, 0.0]), -1.0, -1.0, 2)
    pi, mu = m_step(statistics, smoothing=0.0)
    np.testing.assert_array_equal(pi, [1.0, 0.0])
    np.testing.assert_array_equal(mu, [[0.75, 0.25], [0.75, 0.25]])


# --- the objective --------------------------------------------------------------------------------


@given(
    X=corpora(),
    n_components=st.integers(1, 3),
    smoothing=st.sampled_from([0.0, 1e-3, 0.3, 2.0]),
    initial_beta=st.sampled_from([1.0, 0.2, "auto"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None)
def test_objective_at_beta_1_never_falls_and_is_that_of_the_parameters_returned(
    X, n_components, smoothing, initial_beta, seed
):
    model = MultinomialMixture(
        n_components, smoothing=smoothing, initial_beta=initial_beta, random_state=seed, tol=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_iter=30).fit(X)
    bounds = model.lower_bounds_
    plain_em = bounds[len(model.tempered_bounds_) :]
    assert np.isfinite(bounds).all()
    assert np.diff(plain_em).min() >= -1e-10 * (1 + abs(bounds).max())
    assert len(bounds) == model.n_iter_ + 1
    assert 2 <= len(plain_em) <= 31
    assert bounds[-1] == model.lower_bound_
    parameters = Parameters(model.weights_, model.word_probabilities_)
    objective = model.score(X) + log_prior(parameters, smoothing) / X.shape[0]
    assert model.lower_bound_ == pytest.approx(objective, rel=1e-10, abs=1e-10)
    np.testing.assert_allclose(model.weights_.sum(), 1.0)
    np.testing.assert_allclose(model.word_probabilities_.sum(axis=1), 1.0)


def test_tempered_objective_never_falls_at_one_temperature():
    X, _, _ = planted(n_documents=40)
    T, smoothing, beta = sp.csr_array(X.astype(float)), 0.5, 0.1
    parameters, objectives = random_parameters(4, X.shape[1], 3), []
    for _ in range(40):
        statistics = e_step(T, parameters, beta)
        objectives.append(statistics.tempered_log_likelihood + log_prior(parameters, smoothing))
        parameters = m_step(statistics, smoothing)
    assert np.diff(objectives).min() >= -1e-9 * abs(objectives[0])
    assert objectives[-1] > objectives[0] + 1


def test_log_prior_is_the_dirichlet_density_up_to_a_constant():
    concentration = np.full(4, 1.3)
    mus = [random_parameters(2, 4, seed) for seed in (0, 1)]
    densities = [sum(dirichlet.logpdf(row, concentration) for row in p.word_probabilities) for p in mus]
    ours = [log_prior(p, 0.3) for p in mus]
    assert ours[0] - ours[1] == pytest.approx(densities[0] - densities[1])


# --- fitting --------------------------------------------------------------------------------------


def test_planted_components_are_recovered():
    X, z, truth = planted(n_documents=2000, seed=1)
    model = MultinomialMixture(4, random_state=0).fit(X)
    distances = abs(model.word_probabilities_[:, None] - truth.word_probabilities).sum(axis=2)
    found, true = linear_sum_assignment(distances)
    assert distances[found, true].max() < 0.1
    np.testing.assert_allclose(model.weights_[found], truth.weights[true], atol=0.03)
    assert np.mean(true[model.predict(X)] == z) > 0.98


def test_annealing_finds_better_optima_than_plain_em():
    X = load_digits().data
    plain = [MultinomialMixture(10, **PLAIN_EM, random_state=seed).fit(X).lower_bound_ for seed in range(3)]
    annealed = [
        MultinomialMixture(10, smoothing=0, random_state=seed).fit(X).lower_bound_ for seed in range(3)
    ]
    assert np.mean(annealed) > np.mean(plain)


def test_components_that_met_part_again():
    """Without perturbation annealing loses most components of these data at small beta."""
    X = load_digits().data
    model = MultinomialMixture(10, random_state=0).fit(X)
    unperturbed = MultinomialMixture(10, perturbation=0, random_state=0).fit(X)
    assert np.unique(model.predict(X)).size == 10
    assert model.lower_bound_ > unperturbed.lower_bound_ + 10


def test_plain_em_has_no_annealed_phase():
    X, _, _ = planted(n_documents=40)
    model = MultinomialMixture(3, **PLAIN_EM, random_state=0).fit(X)
    assert model.tempered_bounds_.size == 0
    assert model.lower_bound_ == pytest.approx(model.score(X))


def test_annealing_spaces_its_temperatures_evenly_up_to_one():
    X, _, _ = planted(n_documents=40, length=60)
    model = MultinomialMixture(3, beta_growth=2, steps_per_beta=3, random_state=0).fit(X)
    assert model.tempered_bounds_.size == 3 * int(np.ceil(np.log2(60)))


def test_best_of_n_init_is_kept_and_reported():
    X, _, _ = planted(n_documents=60, length=10)
    log = []
    model = MultinomialMixture(4, **PLAIN_EM, n_init=5, random_state=0)
    model.fit(X, callback=lambda *entry: log.append(entry))
    assert [step for _, _, step in log] == list(range(len(log)))
    assert model.lower_bound_ == max(value for _, value, _ in log)
    assert len(log) > len(model.lower_bounds_)


def test_callback_follows_every_step_of_both_phases():
    X, _, _ = planted(n_documents=60)
    log = []
    model = MultinomialMixture(3, random_state=0)
    model.fit(X, callback=lambda *entry: log.append(entry))
    expected = [("lower_bound", value, step) for step, value in enumerate(model.lower_bounds_)]
    expected += [("tempered_bound", value, step) for step, value in enumerate(model.tempered_bounds_)]
    assert log == sorted(expected, key=lambda entry: (entry[2], entry[0]))  # as they happen


def test_callbacks_steps_run_on_through_several_fits():
    X, _, _ = planted(n_documents=60, length=10)
    log = {"lower_bound": [], "tempered_bound": []}

    def callback(name, value, step):
        assert step == len(log[name])
        log[name].append(value)

    model = MultinomialMixture(4, n_init=2, random_state=0).fit(X, callback=callback)
    assert len(log["tempered_bound"]) == 2 * len(model.tempered_bounds_)
    assert len(log["lower_bound"]) > len(log["tempered_bound"]) + 2
    assert model.n_iter_ < len(log["lower_bound"]) - 1


def test_history_is_the_objective_and_the_tempered_objective_of_the_same_parameters():
    """The fit again by hand, at one temperature without noise: its one random draw is the start."""
    X, _, _ = planted(n_documents=60)
    T, smoothing, beta = sp.csr_array(X.astype(float)), 0.3, 0.5
    model = MultinomialMixture(
        3, initial_beta=beta, beta_growth=2, steps_per_beta=4, perturbation=0, max_iter=3, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    parameters = random_start(T, 3, smoothing, np.random.RandomState(0))
    expected, tempered = [], []
    by_hand = MultinomialMixture(3).fit(X)
    for step in range(model.n_iter_ + 1):
        by_hand.weights_, by_hand.word_probabilities_ = parameters
        prior = smoothing * np.log(parameters.word_probabilities).sum() / len(X)
        expected.append(by_hand.score(X) + prior)
        if step < 4:
            joint = [oracle.joint(d, *parameters) for d in X]
            raised = [np.log(sum(v**beta for v in row)) / beta for row in joint]
            plain = [np.log(sum(row)) for row in joint]
            tempered.append(expected[-1] + np.mean(raised) - np.mean(plain))
        parameters = m_step(e_step(T, parameters, beta if step < 4 else 1.0), smoothing)
    assert model.n_iter_ <= 4 + 3
    np.testing.assert_allclose(model.lower_bounds_, expected, rtol=1e-12)
    np.testing.assert_allclose(model.tempered_bounds_, tempered, rtol=1e-12)


def test_what_the_callback_raises_passes_through_and_leaves_no_fit():
    def callback(name, value, step):
        raise KeyboardInterrupt

    model = MultinomialMixture(2)
    with pytest.raises(KeyboardInterrupt):
        model.fit([[1, 2], [3, 0]], callback=callback)
    with pytest.raises(NotFittedError):
        model.predict([[1, 2]])


def test_fits_repeat_with_their_seed_and_differ_without():
    X, _, _ = planted(n_documents=60)
    fits = [MultinomialMixture(4, random_state=s).fit(X).word_probabilities_ for s in (0, 0, 1)]
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])


def test_running_out_of_steps_warns():
    X, _, _ = planted(n_documents=60, length=5)
    with pytest.warns(ConvergenceWarning, match="max_iter=1 "):
        model = MultinomialMixture(4, **PLAIN_EM, max_iter=1, tol=0, random_state=0).fit(X)
    assert not model.converged_
    assert model.n_iter_ == 1
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1 .* beta = 1"):
        annealed = MultinomialMixture(4, max_iter=1, tol=0, random_state=0).fit(X)
    assert annealed.n_iter_ == len(annealed.tempered_bounds_) + 1
    assert MultinomialMixture(4, random_state=0).fit(X).converged_


def test_fit_predict_is_fit_then_predict():
    X, _, _ = planted(n_documents=60)
    model = MultinomialMixture(3, random_state=0)
    np.testing.assert_array_equal(model.fit_predict(X), model.predict(X))


# --- inputs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array])
def test_dense_and_sparse_inputs_agree(container):
    X, _, _ = planted(n_documents=60)
    dense = MultinomialMixture(3, random_state=0).fit(X)
    sparse = MultinomialMixture(3, random_state=0).fit(container(X))
    np.testing.assert_array_equal(sparse.word_probabilities_, dense.word_probabilities_)
    np.testing.assert_array_equal(sparse.score_samples(container(X)), dense.score_samples(X))
    np.testing.assert_array_equal(sparse.predict_proba(container(X)), dense.predict_proba(X))


def test_stored_zeros_and_duplicates_change_nothing_and_the_input_stays_as_it_was():
    X = sp.csr_array(
        (np.array([2.0, 0.0, 1.0, 1.0, 3.0, 1.0]), [0, 1, 2, 2, 1, 0], [0, 2, 4, 5, 6]),
        shape=(4, 3),
    )
    before = X.data.copy()
    model = MultinomialMixture(2, smoothing=0, random_state=0).fit(X)
    np.testing.assert_array_equal(X.data, before)
    clean = MultinomialMixture(2, smoothing=0, random_state=0).fit(X.toarray())
    assert model.lower_bound_ == clean.lower_bound_
    # A word unseen in training, stored as a zero, is no word at all.
    seen = MultinomialMixture(1, smoothing=0).fit([[1, 0], [2, 0]])
    stored_zero = sp.csr_array((np.array([1.0, 0.0]), [0, 1], [0, 2]), shape=(1, 2))
    assert seen.score_samples(stored_zero)[0] == pytest.approx(0.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_documents_without_words_keep_pi(smoothing):
    X, _, _ = planted(n_documents=40)
    X[[3, 7]] = 0
    model = MultinomialMixture(3, smoothing=smoothing, random_state=0).fit(X)
    np.testing.assert_allclose(model.predict_proba(X)[[3, 7]], [model.weights_] * 2)
    np.testing.assert_allclose(model.score_samples(X)[[3, 7]], 0.0, atol=1e-12)


@pytest.mark.parametrize("initial_beta", ["auto", 1.0])
def test_more_components_than_different_documents_gives_no_nan(initial_beta):
    X = np.array([[5, 0, 0], [5, 0, 0], [0, 4, 0], [0, 4, 0]])
    model = MultinomialMixture(4, smoothing=0, initial_beta=initial_beta, random_state=0).fit(X)
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.word_probabilities_).all()
    assert model.lower_bound_ == pytest.approx(np.log(0.5))


def test_a_word_never_seen_is_an_error_that_names_row_and_word():
    X = np.array([[5, 1, 0], [0, 4, 0]])
    model = MultinomialMixture(2, smoothing=0, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"row 1 of X .* word in column 2 has probability 0"):
        model.predict([[1, 1, 0], [1, 0, 2]])
    model.fit(pd.DataFrame(X, columns=["apple", "pear", "quince"]))
    with pytest.raises(ValueError, match=r"row 0 of X .* word 'quince' \(column 2\)"):
        model.score_samples(pd.DataFrame([[0, 0, 1]], columns=["apple", "pear", "quince"]))
    allowed = MultinomialMixture(2, smoothing=0.1, random_state=0).fit(X)
    assert np.isfinite(allowed.score_samples([[1, 0, 2]])).all()


def test_words_that_no_single_component_allows_together_are_an_error():
    mu = np.array([[1.0, 0.0], [0.0, 1.0]])
    model = model_with(Parameters(np.array([0.5, 0.5]), mu))
    np.testing.assert_array_equal(model.predict([[2, 0], [0, 3]]), [0, 1])
    with pytest.raises(ValueError, match=r"row 1 of X .* no single component"):
        model.predict([[2, 0], [1, 1]])


@pytest.mark.parametrize(("value", "message"), [(-1.0, "Negative"), (np.nan, "NaN"), (np.inf, "Infinity")])
@pytest.mark.parametrize("container", [np.array, sp.csr_array])
def test_bad_entries_are_refused_with_their_place(value, message, container):
    X = np.ones((4, 3))
    X[1] = 0  # a row without stored entries must not shift the row that is named
    X[2, 1] = value
    with pytest.raises(ValueError, match=rf"{message}.*X\[2, 1\] = "):
        MultinomialMixture(2).fit(container(X))
    with pytest.raises(ValueError, match=rf"{message}.*X\[2, 1\] = "):
        MultinomialMixture(2).fit(np.ones((4, 3))).predict(container(X))


def test_more_components_than_documents_is_an_error():
    with pytest.raises(ValueError, match=r"n_components=3 .* n_samples=2"):
        MultinomialMixture(3).fit([[1, 2], [3, 4]])


def test_a_corpus_without_words_is_an_error():
    with pytest.raises(ValueError, match="no words"):
        MultinomialMixture(2).fit(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="no words"):
        MultinomialMixture(1).fit(np.ones((3, 4))).perplexity(np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("smoothing", -0.1),
        ("initial_beta", 0.0),
        ("initial_beta", 1.5),
        ("initial_beta", "high"),
        ("beta_growth", 1.0),
        ("steps_per_beta", 0),
        ("perturbation", -1.0),
        ("max_iter", 0),
        ("tol", -1e-3),
        ("n_init", 0),
        ("random_state", "seed"),
    ],
)
def test_impossible_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=rf"'{name}' parameter"):
        MultinomialMixture(**{name: value}).fit([[1, 2], [3, 4]])


# --- sampling, saving -----------------------------------------------------------------------------


def test_samples_have_the_models_moments():
    pi, mu = random_parameters(3, 5, 4)
    model = model_with(Parameters(pi, mu)).set_params(random_state=0)
    n_samples, length = 20_000, 12
    X, z = model.sample(n_samples, length)
    counts = X.toarray()
    assert (counts.sum(axis=1) == length).all()
    share = np.bincount(z, minlength=3) / n_samples
    assert (abs(share - pi) < 5 * np.sqrt(pi * (1 - pi) / n_samples)).all()
    mean = length * pi @ mu
    variance = length * pi @ (mu * (1 - mu) + length * mu**2) - mean**2
    assert (abs(counts.mean(axis=0) - mean) < 5 * np.sqrt(variance / n_samples)).all()
    np.testing.assert_allclose(counts.var(axis=0), variance, rtol=0.1)
    np.testing.assert_allclose(counts[z == 0].mean(axis=0) / length, mu[0], atol=0.02)


def test_sample_takes_a_length_for_each_document():
    model = model_with(random_parameters(2, 5, 0))
    X, _ = model.sample(3, [0, 7, 2])
    np.testing.assert_array_equal(X.sum(axis=1), [0, 7, 2])
    with pytest.raises(ValueError, match="n_samples=0"):
        model.sample(0)
    with pytest.raises(ValueError, match="broadcast"):
        model.sample(3, [1, 2])


@pytest.mark.parametrize("arguments", [{}, PLAIN_EM])
def test_saved_and_loaded_it_is_the_same(tmp_path, arguments):
    X = pd.DataFrame(planted(n_documents=60)[0]).add_prefix("word")
    model = MultinomialMixture(3, random_state=0, **arguments).fit(X)
    model.save(tmp_path / "model.safetensors")
    loaded = MultinomialMixture.load(tmp_path / "model.safetensors")
    assert loaded.get_params() == model.get_params()
    assert vars(loaded).keys() == vars(model).keys()
    for name, value in vars(model).items():
        np.testing.assert_array_equal(getattr(loaded, name), value)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.bic(X) == model.bic(X)


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        MultinomialMixture().save(tmp_path / "model.safetensors")
