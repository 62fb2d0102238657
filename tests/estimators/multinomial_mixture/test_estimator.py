import operator
import warnings
from functools import reduce
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment
from scipy.stats import dirichlet, multinomial
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import normalized_mutual_info_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from latents.estimators import MultinomialMixture
from latents.estimators.common.blocks import InMemory
from latents.estimators.multinomial_mixture import counts as counts_module
from latents.estimators.multinomial_mixture import estimator
from latents.estimators.multinomial_mixture.annealing import Climb, Corpus, critical_length, drawn_seed
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import (
    Answers,
    Parameters,
    RandomStarts,
    Statistics,
    e_step,
    log_prior,
    m_step,
)
from tests import oracles as oracle

PLAIN_EM = {"annealing": False, "smoothing": 0.0}
CPU = torch.device("cpu")


def random_parameters(n_components, n_words, seed):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n_components)), rng.dirichlet(np.ones(n_words), size=n_components)


def shares(rows):
    return rows / rows.sum(axis=1, keepdims=True)


def counted(X):
    """Documents as the E step takes them."""
    return Counts(sp.csr_array(np.asarray(X, dtype=float)), CPU)


def model_with(parameters):
    """A fitted estimator that has just these parameters."""
    n_components, n_words = parameters[1].shape
    model = MultinomialMixture(n_components).fit(np.eye(max(n_components, n_words), n_words) + 1)
    model.weights_, model.word_probabilities_ = parameters
    return model


def planted(n_documents=400, n_components=4, n_words=30, length=60, seed=0):
    """Documents drawn from a known mixture."""
    rng = np.random.default_rng(seed)
    pi = rng.dirichlet(np.full(n_components, 5.0))
    mu = rng.dirichlet(np.full(n_words, 0.3), size=n_components)
    z = rng.choice(n_components, size=n_documents, p=pi)
    return np.array([rng.multinomial(length, mu[k]) for k in z]), z, (pi, mu)


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

REPEATED_REASON = (
    "plain EM starts from random responsibilities, one draw a row: repeated rows draw others; "
    "test_whole_weights_are_repeated_rows covers the rest"
)
SPARSE_REASON = (
    "the check reads classifier_tags.multi_class of whatever has predict_proba, and a density "
    "estimator has no classifier tags; test_dense_and_sparse_inputs_agree covers sparse input"
)


@parametrize_with_checks(
    [MultinomialMixture(), MultinomialMixture(2, **PLAIN_EM, max_iter=20)],
    expected_failed_checks=lambda estimator: {
        "check_estimator_sparse_array": SPARSE_REASON,
        "check_estimator_sparse_matrix": SPARSE_REASON,
        **(
            {
                "check_sample_weight_equivalence_on_dense_data": REPEATED_REASON,
                "check_sample_weight_equivalence_on_sparse_data": REPEATED_REASON,
            }
            if estimator.n_components > 1
            else {}
        ),
    },
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# --- the model against enumeration ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_posterior_and_likelihood_by_enumeration(seed):
    pi, mu = random_parameters(3, 4, seed)
    model = model_with((pi, mu))
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
    np.testing.assert_allclose(
        model.predict_joint_log_proba(documents),
        np.log([oracle.joint(d, pi, mu) for d in documents]),
        rtol=1e-12,
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


@pytest.mark.parametrize("smoothing", [0.0, 0.7])
def test_an_em_step_by_enumeration(smoothing):
    pi, mu = random_parameters(3, 4, 1)
    documents = np.random.default_rng(2).poisson(2.0, (6, 4)).astype(float)
    statistics = e_step(counted(documents), Parameters.of(pi, mu))
    new_pi, new_mu = m_step(statistics, smoothing).arrays()
    expected_pi, expected_mu = oracle.em_step(documents, pi, mu, smoothing)
    np.testing.assert_allclose(new_pi, expected_pi, rtol=1e-12)
    np.testing.assert_allclose(new_mu, expected_mu, rtol=1e-12)
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
@settings(max_examples=50)
def test_shards_add_up_to_the_full_pass(X, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, X.shape[0]), max_size=3)))
    parameters = Parameters.of(*random_parameters(3, X.shape[1], 0))
    edges = [0, *cuts, X.shape[0]]
    shards = [e_step(counted(X[a:b]), parameters) for a, b in pairwise(edges) if a < b]
    total, full = reduce(operator.add, shards), e_step(counted(X), parameters)
    np.testing.assert_allclose(total.word_counts, full.word_counts, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(total.document_counts, full.document_counts, rtol=1e-12)
    assert total.log_likelihood == pytest.approx(full.log_likelihood, rel=1e-12)
    assert total.n_documents == full.n_documents == X.shape[0]


@pytest.mark.parametrize("n_components", [1, 16, 17, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("largest_int32", [None, 20])
@pytest.mark.parametrize("documents_per_part", [30, 29, 7, 1])
def test_products_in_parts_are_scipys(n_components, dtype, largest_int32, documents_per_part, monkeypatch):
    monkeypatch.setattr(counts_module, "_ENTRIES_PER_PART", documents_per_part)
    monkeypatch.setattr(counts_module, "_DOCUMENTS_PER_WORD", 0)
    if largest_int32:
        monkeypatch.setattr(counts_module, "_LARGEST_INT32", largest_int32)
    T = sp.random_array((30, 20), density=0.2, format="csr", rng=np.random.default_rng(0))
    counts = Counts(T, CPU) if dtype == torch.float64 else Counts(T, CPU).single_precision()
    M, G = (torch.rand(n, n_components, dtype=dtype) for n in (20, 30))
    rtol = 1e-5 if dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(counts.by_documents(M), T @ M.numpy(), rtol=rtol)
    np.testing.assert_allclose(counts.by_words(G), T.T @ G.numpy(), rtol=rtol)
    indices = torch.int64 if largest_int32 else torch.int32
    assert len(counts.parts()) == -(-30 // documents_per_part)
    of_part = counts.parts()[0][1]._tensor(by_words=True)
    assert counts._tensor(by_words=False).col_indices().dtype == of_part.crow_indices().dtype == indices


@pytest.mark.parametrize("guided", [False, True])
def test_fits_in_parts_are_fits_of_the_whole(guided, monkeypatch):
    X, z, _ = planted(n_documents=90)
    y = np.where(np.arange(90) % 3 == 0, z, -1) if guided else None
    weights = np.random.default_rng(0).integers(1, 3, size=90)
    fits = []
    for entries in (10**6, 80, 4):
        monkeypatch.setattr(counts_module, "_ENTRIES_PER_PART", entries)
        monkeypatch.setattr(counts_module, "_DOCUMENTS_PER_WORD", 0)
        fits.append(MultinomialMixture(4, random_state=0).fit(X, y, sample_weight=weights))
    for fit in fits[1:]:
        np.testing.assert_allclose(fit.word_probabilities_, fits[0].word_probabilities_, rtol=1e-9)
        # While components part, the rounding of single precision grows; plain EM after it is in double.
        n = len(fit.tempered_bounds_)
        np.testing.assert_allclose(fit.lower_bounds_[:n], fits[0].lower_bounds_[:n], rtol=1e-5)
        np.testing.assert_allclose(fit.lower_bounds_[n:], fits[0].lower_bounds_[n:], rtol=1e-9)
        np.testing.assert_array_equal(fit.predict(X), fits[0].predict(X))


def test_an_impossible_document_is_named_whatever_part_it_is_in(monkeypatch):
    monkeypatch.setattr(counts_module, "_ENTRIES_PER_PART", 6)
    monkeypatch.setattr(counts_module, "_DOCUMENTS_PER_WORD", 0)
    X, _, _ = planted(n_documents=40)
    X[:, 5] = 0
    model = MultinomialMixture(2, smoothing=0, random_state=0).fit(X)
    X[31, 5] = 1
    with pytest.raises(ValueError, match="row 31 of X is impossible"):
        model.partial_fit(X)


def test_m_step_gives_a_component_without_words_the_corpus_frequencies():
    words = torch.tensor([[3.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    pi, mu = m_step(Statistics(words, torch.tensor([2.0, 0.0]), -1.0, 2), 0.0).arrays()
    np.testing.assert_array_equal(pi, [1.0, 0.0])
    np.testing.assert_allclose(mu, [[0.75, 0.25], [0.75, 0.25]])


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_statistics_are_told_from_the_parameters_they_gave(smoothing):
    X, _, _ = planted(n_documents=40)
    statistics = e_step(counted(X), Parameters.of(*random_parameters(3, X.shape[1], 0)))
    words = statistics.word_counts.sum(dim=0)
    again = Statistics.of(m_step(statistics, smoothing), words, len(X), smoothing)
    np.testing.assert_allclose(again.word_counts, statistics.word_counts, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(again.document_counts, statistics.document_counts)


# --- the objective --------------------------------------------------------------------------------


@given(
    X=corpora(),
    n_components=st.integers(1, 3),
    smoothing=st.sampled_from([0.0, 1e-3, 0.3, 2.0]),
    annealing=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80)
def test_objective_of_plain_em_never_falls_and_is_that_of_the_parameters_returned(
    X, n_components, smoothing, annealing, seed
):
    model = MultinomialMixture(
        n_components, smoothing=smoothing, annealing=annealing, random_state=seed, tol=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(max_iter=30).fit(X)
    bounds = model.lower_bounds_
    plain_em = bounds[len(model.tempered_bounds_) :]
    assert np.isfinite(bounds).all()
    assert np.diff(plain_em).min() >= -1e-10 * (1 + abs(bounds).max())
    assert len(bounds) == model.n_iter_ + 1
    assert 2 <= len(plain_em) <= 31
    assert bounds[-1] == model.lower_bound_
    parameters = Parameters.of(model.weights_, model.word_probabilities_)
    objective = model.score(X) + log_prior(parameters.log_words, model.pseudo_count_) / X.shape[0]
    assert model.lower_bound_ == pytest.approx(objective, rel=1e-10, abs=1e-10)
    np.testing.assert_allclose(model.weights_.sum(), 1.0)
    np.testing.assert_allclose(model.word_probabilities_.sum(axis=1), 1.0)


def test_log_prior_is_the_dirichlet_density_up_to_a_constant():
    concentration = np.full(4, 1.3)
    models = [random_parameters(2, 4, seed) for seed in (0, 1)]
    densities = [sum(dirichlet.logpdf(row, concentration) for row in mu) for _, mu in models]
    ours = [log_prior(Parameters.of(pi, mu).log_words, 0.3) for pi, mu in models]
    assert ours[0] - ours[1] == pytest.approx(densities[0] - densities[1])


# --- fitting --------------------------------------------------------------------------------------


def test_planted_components_are_recovered():
    X, z, truth = planted(n_documents=2000, seed=1)
    model = MultinomialMixture(4, random_state=0).fit(X)
    distances = abs(model.word_probabilities_[:, None] - truth[1]).sum(axis=2)
    found, true = linear_sum_assignment(distances)
    assert distances[found, true].max() < 0.1
    np.testing.assert_allclose(model.weights_[found], truth[0][true], atol=0.03)
    assert np.mean(true[model.predict(X)] == z) > 0.98


def test_annealing_finds_better_optima_than_plain_em():
    X = load_digits().data
    plain = [MultinomialMixture(10, **PLAIN_EM, random_state=seed).fit(X).lower_bound_ for seed in range(3)]
    annealed = [
        MultinomialMixture(10, smoothing=0, random_state=seed).fit(X).lower_bound_ for seed in range(3)
    ]
    assert np.mean(annealed) > np.mean(plain)


def test_perturbation_parts_components_that_met():
    # Rounding errors part some of them, too, other ones on every processor: more than a few must have met.
    X, _, _ = planted(n_documents=230, n_components=6)
    bounds = {
        perturbation: np.mean(
            [
                MultinomialMixture(
                    6, perturbation=perturbation, rearrangements=0, n_init=1, random_state=seed
                )
                .fit(X)
                .lower_bound_
                for seed in range(30)
            ]
        )
        for perturbation in (0.0, 0.3)
    }
    assert bounds[0.3] > bounds[0.0] + 0.5


def test_counts_that_add_up_beyond_single_precision_are_refused():
    X = np.full((1100, 1000), 1e30)
    with pytest.raises(ValueError, match=r"the numbers of X add up to 1\.1e\+36; allowed is 1e\+36"):
        MultinomialMixture(1).fit(X)
    assert np.isfinite(MultinomialMixture(1, max_iter=1000).fit(X[:30]).tempered_bounds_).all()


def test_annealing_begins_where_components_part_and_is_slow_while_documents_decide():
    X, z, _ = planted(n_documents=300, n_components=3, length=60, seed=3)
    steps = []
    model = MultinomialMixture(3, length_growth=1.1, steps_per_length=1, n_init=1, random_state=0)
    with pytest.MonkeyPatch.context() as patch:
        step = Climb.step

        def watched(self, c, **options):
            step(self, c, **options)
            if len(self.log_pi) == 3 and np.isfinite(c):
                steps.append((c, self.decided))

        patch.setattr(Climb, "step", watched)
        model.fit(X)
    c, decided = np.array(steps).T
    critical = critical_length(
        Corpus(InMemory(counted(X)), CPU), 3, 0.25 * np.count_nonzero(X) / (3 * X.shape[1])
    )
    assert c[0] == pytest.approx(max(1, 0.7 * critical), rel=1e-5)
    assert decided[0] < 0.1
    # The first components part beyond the critical length, where noise alone does not hold documents apart.
    assert 0.7 * critical < c[decided > 0.3].min() < 3 * critical
    growth = c[1:] / c[:-1]
    slow = (decided[:-1] >= 0.02) & (decided[:-1] < 0.85)
    np.testing.assert_allclose(growth[slow], 1.1, rtol=1e-5)
    np.testing.assert_allclose(growth[decided[:-1] < 0.02], 1.1**2, rtol=1e-5)
    assert slow.sum() > 2
    assert growth[-1] > 1.1**2
    assert c[-1] < 60 <= c[-1] * 2
    assert normalized_mutual_info_score(z, model.predict(X)) > 0.95


@pytest.mark.parametrize("smoothing", [0.0, 0.4])
def test_the_critical_length_is_where_a_small_difference_grows(smoothing):
    """By the eigenvalues of EM's own linearised step, dense."""
    X, _, _ = planted(n_documents=80, n_components=4, n_words=12, length=50)
    n = X.sum(axis=1)
    B = X.T @ (1 / n) + 3 * smoothing * len(X) / X.sum()
    A = (X / n[:, None]).T @ (X / n[:, None])
    symmetric = A / np.sqrt(np.outer(B, B))
    trivial = np.sqrt(B / B.sum())
    off = np.eye(12) - np.outer(trivial, trivial)
    largest = np.linalg.eigvalsh(off @ symmetric @ off).max()
    assert critical_length(Corpus(InMemory(counted(X)), CPU), 3, smoothing) == pytest.approx(
        1 / largest, rel=0.02
    )


def test_two_annealed_steps_by_enumeration():
    """The M step between the two goes beyond EM's."""
    X, _, _ = planted(n_documents=60)
    X[:20] //= 3
    corpus = Corpus(InMemory(counted(X)), CPU)
    gamma = np.random.default_rng(0).dirichlet(np.full(3, 100.0), size=60)
    answers = Answers(torch.from_numpy(X.T @ gamma).float(), torch.from_numpy(gamma.sum(axis=0)).float())
    climb = Climb(corpus, answers, 0.5)
    s = np.minimum(1, 1 / X.sum(axis=1))
    share = len(X) / X.sum()
    pi, mu = gamma.mean(axis=0), shares(gamma.T @ X + 0.5)
    found, expected = [], []
    for _ in range(2):
        climb.step(1.0)
        found.append((climb.objective, climb.shortened_objective))
        joint = [oracle.joint(d, pi, mu) for d in X]
        log_prior = np.log(mu).sum()
        whole = sum(np.log(sum(row)) for row in joint)
        shortened = sum(np.log(sum(v**power for v in row)) for row, power in zip(joint, s, strict=True))
        expected.append((whole + 0.5 * log_prior, shortened + 0.5 * share * log_prior))
        gamma = np.array([oracle.posterior(d, pi, mu, power) for d, power in zip(X, s, strict=True)])
        maximiser = shares((s[:, None] * gamma).T @ X + 0.5 * share)
        pi, mu = gamma.mean(axis=0), shares(mu * (maximiser / mu) ** 1.9)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert abs(np.subtract(*expected)).min() > 0.01  # the second step is another
    np.testing.assert_allclose(climb.answers.documents, gamma.sum(axis=0), rtol=1e-4)
    assert climb.decided == pytest.approx((gamma.max(axis=1).mean() - 1 / 3) / (2 / 3), rel=1e-4)
    np.testing.assert_allclose(torch.exp(climb.log_pi), pi, rtol=1e-5)
    np.testing.assert_allclose(torch.exp(climb.log_lift + corpus.log_shares).T, mu, rtol=1e-4)


@pytest.mark.parametrize(
    ("scale", "arguments"),
    [
        (1e7, {}),
        (1e28, {}),
        (100, {"annealing_smoothing": 0.1}),
        (1e4, {"annealing_smoothing": 1e-3}),
        (100, {"annealing_smoothing": 1e-40}),
        (1, {"perturbation": 30.0}),
    ],
)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_long_documents_and_hard_annealing_are_grouped_all_the_same(scale, arguments, smoothing):
    """Steps beyond EM's own, and noise, lead out of what log probabilities can be: they are brought back."""
    X, z, _ = planted(n_documents=200, n_components=5, n_words=200)
    model = MultinomialMixture(8, smoothing=smoothing, random_state=0, **arguments).fit(X * scale)
    assert np.isfinite(model.lower_bounds_).all()
    assert np.isfinite(model.tempered_bounds_).all()
    assert normalized_mutual_info_score(z, model.predict(X * scale)) > 0.8


def test_counts_too_small_for_single_precision_do_not_vanish():
    X, _, _ = planted(n_documents=60)
    X = X.astype(float)
    X[5] = 0
    X[:, 3] *= 1e-50
    X[5, 3] = 1e-50
    assert np.isfinite(MultinomialMixture(3, smoothing=0, random_state=0).fit(X).lower_bounds_).all()


def test_the_best_of_n_init_is_kept():
    X, _, _ = planted(n_documents=60, length=10)
    log = {"lower_bound": [], "tempered_bound": []}

    def callback(name, value, step):
        assert step == len(log[name])
        log[name].append(value)

    model = MultinomialMixture(4, n_init=4, random_state=0, **PLAIN_EM).fit(X, callback=callback)
    assert len(log["lower_bound"]) > len(model.lower_bounds_)  # steps run on through all fits
    assert model.lower_bound_ == max(log["lower_bound"])
    bounds = {
        n_init: [
            MultinomialMixture(8, smoothing=0.25, n_init=n_init, rearrangements=0, random_state=seed)
            .fit(X)
            .lower_bound_
            for seed in range(8)
        ]
        for n_init in (1, 6)
    }
    assert np.mean(bounds[6]) > np.mean(bounds[1])


def test_callback_follows_every_step_of_both_phases():
    X, _, _ = planted(n_documents=60)
    log = []
    model = MultinomialMixture(3, random_state=0)
    model.fit(X, callback=lambda *entry: log.append(entry))
    expected = [("lower_bound", value, step) for step, value in enumerate(model.lower_bounds_)]
    expected += [("tempered_bound", value, step) for step, value in enumerate(model.tempered_bounds_)]
    assert log == sorted(expected, key=lambda entry: (entry[2], entry[0]))  # as they happen


def test_history_is_the_objective_of_plain_em_by_hand():
    X, _, _ = planted(n_documents=60)
    model = MultinomialMixture(
        3, smoothing=0.3, relative=False, annealing=False, max_iter=3, tol=0, random_state=0
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    (start,) = RandomStarts(3, 1, drawn_seed(np.random.RandomState(0)))(counted(X))
    words = start.words.numpy().T + 0.3
    pi, mu = start.documents.numpy() / 60, words / words.sum(axis=1, keepdims=True)
    expected = []
    for _ in range(4):
        log_likelihood = np.mean([oracle.log_probability(d, pi, mu) for d in X])
        expected.append(log_likelihood + 0.3 * np.log(mu).sum() / len(X))
        pi, mu = (np.array(value) for value in oracle.em_step(X, pi, mu, 0.3))
    np.testing.assert_allclose(model.lower_bounds_, expected, rtol=1e-12)
    assert model.tempered_bounds_.size == 0


@pytest.mark.parametrize("blocks", [False, True])
def test_an_interrupted_fit_leaves_the_model_as_it_was(blocks):
    def callback(name, value, step):
        raise KeyboardInterrupt

    other = [np.ones((3, 2))] if blocks else np.ones((3, 2))
    X = pd.DataFrame(planted(n_documents=40)[0]).add_prefix("word")
    model = MultinomialMixture(2, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(other, callback=callback)
    with pytest.raises(NotFittedError):
        model.predict(other)
    before = {name: np.copy(value) for name, value in vars(model.fit(X)).items()}
    with pytest.raises(KeyboardInterrupt):
        model.fit(other, callback=callback)
    assert vars(model).keys() == before.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(model, name), value)
    assert model.predict(X).shape == (40,)


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
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1 .* whole documents"):
        annealed = MultinomialMixture(4, max_iter=1, tol=0, random_state=0).fit(X)
    assert annealed.n_iter_ == len(annealed.tempered_bounds_) + 1
    assert MultinomialMixture(4, random_state=0).fit(X).converged_


@pytest.mark.parametrize("method", ["fit", "fit_predict", "partial_fit"])
def test_warnings_point_at_the_callers_line(method):
    X, _, _ = planted(n_documents=60, length=5)
    model = MultinomialMixture(4, max_iter=1, tol=0, random_state=0)
    with pytest.warns(ConvergenceWarning) as caught:
        getattr(model, method)(X)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("form", [np.asarray, lambda X: [X]])
def test_rows_of_no_length_get_no_annealing_and_are_told_so(form):
    X, _, _ = planted(n_documents=60)
    model = MultinomialMixture(2, random_state=0)
    with pytest.warns(UserWarning, match="nothing to anneal"):
        model.fit(form(shares(X)))
    one_word_each = np.eye(4, dtype=int).repeat(5, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(form(X / 16))
        model.fit(form(one_word_each))  # counts, and legitimate ones
        model.set_params(annealing=False).fit(form(shares(X)))


# --- streams --------------------------------------------------------------------------------------


def in_blocks(X, size=50):
    return [sp.csr_array(X[i : i + size].astype(float)) for i in range(0, len(X), size)]


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("form", ["sparse", "dense", "both layouts"])
def test_a_streamed_fit_is_exact_em_on_the_whole(smoothing, form):
    X, _, _ = planted(n_documents=1000, seed=1)
    blocks = in_blocks(X, 300)
    if form == "dense":
        blocks = [block.toarray() for block in blocks]
    elif form == "both layouts":
        blocks = [(block, block.tocsc()) for block in blocks]
    model = MultinomialMixture(4, smoothing=smoothing, tol=1e-10, random_state=0).fit(blocks)
    assert model.n_documents_seen_ == 1000
    assert np.diff(model.lower_bounds_[len(model.tempered_bounds_) :]).min() >= -1e-10
    parameters = Parameters.of(model.weights_, model.word_probabilities_)
    objective = model.score(X) + log_prior(parameters.log_words, model.pseudo_count_) / len(X)
    assert model.lower_bound_ == pytest.approx(objective)
    # It is a fixed point of EM on all documents at once.
    pi, mu = m_step(e_step(counted(X), parameters), model.pseudo_count_).arrays()
    np.testing.assert_allclose(pi, model.weights_, atol=1e-4)
    np.testing.assert_allclose(mu, model.word_probabilities_, atol=1e-4)
    in_memory = MultinomialMixture(4, smoothing=smoothing, tol=1e-10, random_state=0).fit(X)
    assert model.pseudo_count_ == pytest.approx(in_memory.pseudo_count_)
    assert model.lower_bound_ == pytest.approx(in_memory.lower_bound_, abs=1e-3)


def test_words_that_the_first_block_lacks_are_learned_without_smoothing():
    X = np.kron(np.eye(2, dtype=int), np.full((20, 3), 2))  # two kinds of documents, no word in common
    model = MultinomialMixture(2, smoothing=0, random_state=0).fit([X[:20], X])
    assert np.isfinite(model.score(X))


def test_a_streamed_fit_tells_of_all_that_a_fit_in_memory_does():
    X, _, _ = planted(n_documents=120)
    log = {}
    model = MultinomialMixture(3, n_init=1, random_state=0).fit(
        in_blocks(X), callback=lambda name, value, step: log.setdefault(name, []).append((step, value))
    )
    assert list(log) == ["lower_bound", "tempered_bound"]
    assert [value for _, value in log["lower_bound"]] == list(model.lower_bounds_)
    assert [value for _, value in log["tempered_bound"]] == list(model.tempered_bounds_)


class Handing:
    """An iterable that is no list."""

    def __init__(self, begin):
        self.begin = begin

    def __iter__(self):
        return self.begin()


@pytest.mark.parametrize("method", ["fit", "fit_predict", "predict", "score"])
def test_blocks_that_can_be_read_once_only_are_refused(method):
    X, _, _ = planted(n_documents=60)
    model = MultinomialMixture(2, random_state=0).fit(X)
    once = iter(in_blocks(X))
    for blocks in (once, Handing(lambda: once), (block for block in in_blocks(X))):
        with pytest.raises(ValueError, match="iterated only once"):
            getattr(model, method)(blocks)
    with pytest.raises(ValueError, match="X has no blocks"):
        getattr(model, method)(Handing(lambda: iter([])))


@pytest.mark.parametrize("form", [list, lambda blocks: Handing(lambda: iter(blocks))])
def test_what_is_said_of_blocks_is_what_is_said_of_the_whole(form):
    X, _, _ = planted(n_documents=120)
    blocks = form([(block, block.tocsc()) for block in in_blocks(X)])
    model = MultinomialMixture(3, random_state=0).fit(X)
    for method in ("predict", "predict_proba", "predict_joint_log_proba", "score_samples"):
        np.testing.assert_allclose(getattr(model, method)(blocks), getattr(model, method)(X), rtol=1e-12)
    for method in ("score", "perplexity", "bic", "icl"):
        assert getattr(model, method)(blocks) == pytest.approx(getattr(model, method)(X), rel=1e-12)
    for documents in (blocks, X):
        np.testing.assert_array_equal(model.fit_predict(documents), model.predict(X))


def test_blocks_may_be_data_frames():
    X = pd.DataFrame(planted(n_documents=120)[0]).add_prefix("word")
    streamed = MultinomialMixture(3, random_state=0).fit([X[:60], X[60:]])
    listed = MultinomialMixture(3, random_state=0).fit([X[:60].to_numpy(), X[60:].to_numpy()])
    np.testing.assert_array_equal(streamed.word_probabilities_, listed.word_probabilities_)
    np.testing.assert_array_equal(streamed.predict([X]), listed.predict(X.to_numpy()))
    assert list(streamed.feature_names_in_) == list(X.columns)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "bool", "longdouble", ">i4", ">f8"])
def test_blocks_may_be_of_any_numbers_and_read_only(dtype):
    X = planted(n_documents=60)[0].astype(dtype)
    block = X if dtype.startswith(">") else sp.csr_array(X)  # scipy has no foreign byte order
    for part in (X,) if block is X else (block.data, block.indices, block.indptr):
        part.flags.writeable = False
    model = MultinomialMixture(2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        streamed = model.fit([block]).word_probabilities_
    np.testing.assert_array_equal(model.fit([X.astype(float)]).word_probabilities_, streamed)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (np.array([[1.0, 1, 1], [1, 1, -1]]), r"block 1: Negative.*X\[1, 2\]"),
        (np.ones((4, 2)), "block 1: X has 2 features"),
        (np.ones((0, 3)), r"block 1: .*0 sample"),
        ((sp.csr_array(np.ones((4, 3))), np.ones(4)), "block 1: it is a tuple of csr, ndarray"),
        ((sp.csr_array(np.ones((4, 3))),) * 2, "block 1: it is a tuple of csr, csr"),
        (
            (sp.csr_array(np.ones((4, 3))), sp.csc_array(np.ones((3, 3)))),
            r"block 1: .* differ.*\(4, 3\).*\(3, 3\)",
        ),
        ((sp.csr_array(np.ones((4, 3))), sp.csc_array(np.eye(4, 3))), "block 1: .*12 non-zeros, .* with 3"),
    ],
)
def test_what_is_wrong_with_a_block_is_said_with_its_number(second, message):
    model = MultinomialMixture(2, random_state=0).fit(np.ones((4, 3)))
    for take in (MultinomialMixture(2).fit, model.predict):
        with pytest.raises(ValueError, match=message):
            take([np.ones((4, 3)), second])


def test_words_beyond_the_documents_of_a_block_are_refused():
    T = sp.csr_array(np.ones((4, 3)))
    broken = T.tocsc()
    broken.indices[0] = 1_000_000
    with pytest.raises(ValueError, match=r"block 0: .*indices"):
        MultinomialMixture(2).fit([(T, broken)])


@pytest.mark.parametrize(
    ("first", "message"),
    [(np.ones((2, 3)), "n_components=3 .* n_samples=2"), (np.zeros((9, 3)), "there are no words")],
)
def test_documents_from_which_no_fit_can_start_are_an_error(first, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        MultinomialMixture(3).fit(first)
    with pytest.raises(ValueError, match=f"^{message}"):
        MultinomialMixture(3).fit([first[:1], first[1:]])


def test_a_batch_is_no_iterable_of_blocks():
    X, _, _ = planted(n_documents=60)
    model = MultinomialMixture(3, random_state=0)
    for _ in range(2):
        with pytest.raises(ValueError, match="call partial_fit once a block"):
            model.partial_fit(in_blocks(X))
        model.partial_fit(X)


def test_stepwise_em_by_hand():
    X, _, _ = planted(n_documents=90)
    power = 0.8
    arguments = {"smoothing": 0.25, "stepwise_power": power, "random_state": 0}
    model = MultinomialMixture(3, **arguments).partial_fit(X[:50])
    first = MultinomialMixture(3, **arguments).fit(X[:50])
    np.testing.assert_array_equal(model.word_probabilities_, first.word_probabilities_)
    pi, mu, a = first.weights_, first.word_probabilities_, first.pseudo_count_
    words = mu * (first.words_per_component_ + a * X.shape[1])[:, None] - a
    gamma = np.array([oracle.posterior(d, pi, mu) for d in X[50:]])
    eta = (90 / 40) ** -power
    mean_words = (1 - eta) * words / 50 + eta * gamma.T @ X[50:] / 40
    mean_documents = (1 - eta) * pi + eta * gamma.mean(axis=0)
    a = 0.25 * np.count_nonzero(X) / mu.size  # of all documents now
    bound = np.mean([oracle.log_probability(d, pi, mu) for d in X[50:]]) + a * np.log(mu).sum() / 90
    model.partial_fit(X[50:])
    assert model.pseudo_count_ == pytest.approx(a)
    new = 90 * mean_words + a
    np.testing.assert_allclose(model.weights_, mean_documents, rtol=1e-9)
    np.testing.assert_allclose(model.word_probabilities_, new / new.sum(axis=1, keepdims=True), rtol=1e-7)
    assert model.lower_bound_ == model.lower_bounds_[-1] == pytest.approx(bound)
    assert model.n_documents_seen_ == 90


def test_a_batch_weighs_by_its_size():
    X, _, _ = planted(n_documents=600)
    fitted = MultinomialMixture(4, random_state=0).fit(X[:400])
    held_out = fitted.score(X[400:])
    fitted.partial_fit(X[:1])
    assert fitted.score(X[400:]) == pytest.approx(held_out, abs=0.1)
    for row in range(100):
        fitted.partial_fit(X[[row]])
    assert fitted.score(X[400:]) == pytest.approx(held_out, abs=0.5)


@pytest.mark.parametrize("size", [1, 37])
def test_at_power_1_all_documents_weigh_alike_however_dealt_out(size):
    X, _, _ = planted(n_documents=120)
    model = MultinomialMixture(1, smoothing=0.25, stepwise_power=1.0)
    for start in range(0, 120, size):
        model.partial_fit(X[start : start + size])
    expected = MultinomialMixture(1, smoothing=0.25).fit(X).word_probabilities_
    np.testing.assert_allclose(model.word_probabilities_, expected)


def test_stepwise_em_goes_on_after_saving_and_learns(tmp_path):
    X, _, _ = planted(n_documents=2000, seed=1)
    model = MultinomialMixture(4, random_state=0)
    for start in range(0, 1000, 100):
        model.partial_fit(X[start : start + 100])
    model.save(tmp_path / "model.safetensors")
    loaded = MultinomialMixture.load(tmp_path / "model.safetensors")
    for start in range(1000, 2000, 100):
        model.partial_fit(X[start : start + 100])
        loaded.partial_fit(X[start : start + 100])
    np.testing.assert_array_equal(loaded.word_probabilities_, model.word_probabilities_)
    whole = MultinomialMixture(4, random_state=0).fit(X)
    assert model.score(X) == pytest.approx(whole.score(X), abs=0.2)


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


@pytest.mark.parametrize("annealing", [True, False])
def test_more_components_than_different_documents_gives_no_nan(annealing):
    X = np.array([[5, 0, 0], [5, 0, 0], [0, 4, 0], [0, 4, 0]])
    model = MultinomialMixture(4, smoothing=0, annealing=annealing, random_state=0).fit(X)
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
    model = model_with((np.array([0.5, 0.5]), mu))
    np.testing.assert_array_equal(model.predict([[2, 0], [0, 3]]), [0, 1])
    np.testing.assert_array_equal(
        np.isneginf(model.predict_joint_log_proba([[2, 0], [1, 1]])), [[False, True], [True, True]]
    )
    with pytest.raises(ValueError, match=r"row 1 of X .* no single component"):
        model.predict([[2, 0], [1, 1]])


@pytest.mark.parametrize(
    ("value", "message"),
    [(-1.0, "Negative"), (-np.inf, "Negative"), (np.nan, "NaN"), (np.inf, "Infinity"), (1e31, "Too large")],
)
@pytest.mark.parametrize("container", [np.array, sp.csr_array])
def test_bad_entries_are_refused_with_their_place(value, message, container):
    X = np.ones((4, 3))
    X[1] = 0  # a row without stored entries must not shift the row that is named
    X[2, 1] = value
    with pytest.raises(ValueError, match=rf"{message}.*X\[2, 1\] = "):
        MultinomialMixture(2).fit(container(X))
    with pytest.raises(ValueError, match=rf"{message}.*X\[2, 1\] = "):
        MultinomialMixture(2).fit(np.ones((4, 3))).predict(container(X))


def test_no_words_have_no_perplexity():
    with pytest.raises(ValueError, match="no words"):
        MultinomialMixture(1).fit(np.ones((3, 4))).perplexity(np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("smoothing", -0.1),
        ("annealing", "slow"),
        ("length_growth", 1.0),
        ("steps_per_length", 0),
        ("annealing_smoothing", 0.0),
        ("perturbation", -1.0),
        ("max_iter", 0),
        ("tol", -1e-3),
        ("n_init", 0),
        ("stepwise_power", 0.5),
        ("device", 0),
        ("random_state", "seed"),
    ],
)
def test_impossible_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=rf"'{name}' parameter"):
        MultinomialMixture(**{name: value}).fit([[1, 2], [3, 4]])


# --- devices --------------------------------------------------------------------------------------


@pytest.fixture
def devices(monkeypatch):
    """The names that the mixture asks for."""
    asked = []
    monkeypatch.setattr(estimator, "resolve_device", lambda name: asked.append(name) or CPU)
    monkeypatch.setattr(estimator, "device_of_fitted", lambda name: asked.append(name) or CPU)
    return asked


def test_every_method_computes_where_it_is_told(devices):
    X, _, _ = planted(n_documents=60)
    model = MultinomialMixture(2, device="there", random_state=0)
    for method in ("fit", "partial_fit", "predict", "score", "predict_joint_log_proba"):
        getattr(model, method)(X)
        assert set(devices) == {"there"}, method
        devices.clear()
    model.fit(in_blocks(X))
    assert set(devices) == {"there"}


@pytest.mark.parametrize("name", ["cuda:99", "meta", "nowhere"])
def test_a_device_that_is_not_there_is_named_and_what_is_fitted_goes_on_without(name, tmp_path):
    X, _, _ = planted(n_documents=60)
    model = MultinomialMixture(2, random_state=0).fit(X)
    expected = model.predict_proba(X)
    model.set_params(device=name).save(tmp_path / "model.safetensors")
    loaded = MultinomialMixture.load(tmp_path / "model.safetensors")
    with pytest.warns(UserWarning, match=f"device is '{name}'.* on the CPU") as caught:
        np.testing.assert_allclose(loaded.predict_proba(X), expected)
    assert [warning.filename for warning in caught] == [__file__]
    for learn in (loaded.fit, loaded.partial_fit, lambda X: loaded.fit(in_blocks(X))):
        with pytest.raises(ValueError, match=f"device is '{name}', which torch cannot use here"):
            learn(X)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("arguments", [{}, PLAIN_EM])
def test_a_fit_on_cuda_reaches_what_one_on_the_cpu_does(arguments):
    X, _, _ = planted(n_documents=1000, seed=1)
    cuda, cpu = (
        MultinomialMixture(4, device=device, tol=1e-8, random_state=0, **arguments)
        for device in ("cuda", "cpu")
    )
    for form in (X, in_blocks(X)):
        assert cuda.fit(form).lower_bound_ == pytest.approx(cpu.fit(form).lower_bound_, abs=1e-3)
        np.testing.assert_allclose(cuda.predict_proba(X), cpu.predict_proba(X), atol=1e-2)
    assert MultinomialMixture(device="auto").fit(X).weights_.size == 1


# --- sampling, saving -----------------------------------------------------------------------------


def test_samples_have_the_models_moments():
    pi, mu = random_parameters(3, 5, 4)
    model = model_with((pi, mu)).set_params(random_state=0)
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
