"""Fitting a mixture of multinomials: annealing, then EM, over documents in memory or in blocks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from latents.estimators._multinomial_annealing import annealed
from latents.estimators._multinomial_em import (
    Parameters,
    Statistics,
    e_step,
    log_coefficients,
    log_prior,
    m_step,
    m_step_from,
    random_responsibilities,
)
from latents.estimators._sparse_counts import Counts

Report = Callable[[str, float], None]


@dataclass(frozen=True)
class Recipe:
    """The arguments of ``MultinomialMixture`` that say how to fit."""

    n_components: int
    smoothing: float
    annealing: bool
    length_growth: float
    steps_per_length: int
    annealing_smoothing: float
    perturbation: float
    max_iter: int
    tol: float
    n_init: int


class Run(NamedTuple):
    """What a fit yields: `words_per_component` (K,) are those of the last M step."""

    parameters: Parameters
    words_per_component: torch.Tensor
    lower_bounds: list[float]
    tempered_bounds: list[float]
    converged: bool


def fit_documents(
    T: sp.csr_array, recipe: Recipe, device: torch.device, rng: np.random.RandomState, report: Report
) -> Run:
    """Fit to documents in memory, and keep the best of `n_init` runs by the objective."""
    # Frequent words first: the rows of log mu that are read most then share a few pages of cache.
    order = np.argsort(-T.sum(axis=0), kind="stable")
    T = T[:, order]
    T.sort_indices()
    counts = Counts(T, device)
    coefficient = float(log_coefficients(T).sum())
    runs = (_run(counts, coefficient, recipe, rng, report) for _ in range(recipe.n_init))
    best = max(runs, key=lambda run: run.lower_bounds[-1])
    log_pi, log_mu = best.parameters
    in_their_place = torch.from_numpy(np.argsort(order)).to(device)
    return best._replace(parameters=Parameters(log_pi, log_mu[in_their_place]))


def fit_blocks(
    read: Callable[[], Iterator[Counts]],
    start: Parameters,
    coefficient: float,
    recipe: Recipe,
    report: Report,
) -> Run:
    """Take exact EM steps from `start`, one pass over all blocks each; `coefficient` is the whole corpus's."""
    bounds: list[float] = []

    def full_e_step(parameters: Parameters) -> Statistics:
        return reduce(add, (e_step(counts, parameters) for counts in read()))

    def record(objective: float, n_documents: float) -> None:
        bounds.append((objective + coefficient) / n_documents)
        report("lower_bound", bounds[-1])

    parameters, words, converged = _plain_em(full_e_step, start, recipe, record)
    return Run(parameters, words, bounds, [], converged)


def _run(
    counts: Counts, coefficient: float, recipe: Recipe, rng: np.random.RandomState, report: Report
) -> Run:
    bounds: list[float] = []
    tempered_bounds: list[float] = []

    def record(objective: float, n_documents: float = counts.n_documents) -> None:
        bounds.append((objective + coefficient) / n_documents)
        report("lower_bound", bounds[-1])

    def record_annealed(objective: float, tempered: float) -> None:
        record(objective)
        tempered_bounds.append(tempered / counts.n_documents)
        report("tempered_bound", tempered_bounds[-1])

    if recipe.annealing:
        start = annealed(
            counts.single_precision(),
            recipe.n_components,
            recipe.smoothing,
            recipe.annealing_smoothing,
            recipe.length_growth,
            recipe.steps_per_length,
            recipe.perturbation,
            rng,
            record_annealed,
        )
    else:
        gamma = random_responsibilities(counts, recipe.n_components, rng)
        start = m_step_from(counts, gamma, recipe.smoothing)
    parameters, words, converged = _plain_em(
        lambda parameters: e_step(counts, parameters), start, recipe, record
    )
    return Run(parameters, words, bounds, tempered_bounds, converged)


def _plain_em(
    full_e_step: Callable[[Parameters], Statistics],
    parameters: Parameters,
    recipe: Recipe,
    record: Callable[[float, float], None],
) -> tuple[Parameters, torch.Tensor, bool]:
    """Alternate E and M steps until `tol` or `max_iter`; the bound recorded last is of what is returned."""
    previous, words = -np.inf, torch.empty(0)
    for step in range(recipe.max_iter + 1):
        statistics = full_e_step(parameters)
        objective = statistics.log_likelihood + log_prior(parameters, recipe.smoothing)
        record(objective, statistics.n_documents)
        if objective - previous <= recipe.tol * statistics.n_documents:
            return parameters, words, True
        if step < recipe.max_iter:
            parameters, words = m_step(statistics, recipe.smoothing), statistics.word_counts.sum(dim=0)
        previous = objective
    return parameters, words, False
