"""Fitting a mixture of multinomials: annealing, then EM, over documents in memory or in blocks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from latents.estimators._multinomial_annealing import annealed, lengths
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
    counts = Counts(T, device)
    coarse = counts.single_precision() if recipe.annealing else None
    coefficient = float(log_coefficients(T).sum())
    runs = (_run(counts, coarse, coefficient, recipe, rng, report) for _ in range(recipe.n_init))
    return max(runs, key=lambda run: run.lower_bounds[-1])


def fit_blocks(
    read: Callable[[], Iterator[Counts]],
    start: Parameters,
    coefficient: float,
    recipe: Recipe,
    report: Report,
) -> Run:
    """Take exact EM steps from `start`, one pass over all blocks each; `coefficient` is the whole corpus's."""

    def full_e_step(parameters: Parameters) -> Statistics:
        return reduce(add, (e_step(counts, parameters) for counts in read()))

    bounds = _Bounds(report, coefficient)
    parameters, words, converged = _plain_em(full_e_step, start, recipe, bounds.record)
    return Run(parameters, words, bounds.lower, bounds.tempered, converged)


class _Bounds:
    """The objectives of a fit per document, as they come; they are given as totals without `coefficient`."""

    def __init__(self, report: Report, coefficient: float) -> None:
        self._report = report
        self._coefficient = coefficient
        self.lower: list[float] = []
        self.tempered: list[float] = []

    def record(self, objective: float, n_documents: float) -> None:
        self.lower.append((objective + self._coefficient) / n_documents)
        self._report("lower_bound", self.lower[-1])

    def record_annealed(self, objective: float, tempered: float, n_documents: float) -> None:
        self.record(objective, n_documents)
        self.tempered.append(tempered / n_documents)
        self._report("tempered_bound", self.tempered[-1])


def _run(
    counts: Counts,
    coarse: Counts | None,
    coefficient: float,
    recipe: Recipe,
    rng: np.random.RandomState,
    report: Report,
) -> Run:
    bounds = _Bounds(report, coefficient)
    if coarse is not None:
        start = annealed(
            coarse,
            recipe.n_components,
            recipe.smoothing,
            recipe.annealing_smoothing,
            lengths(coarse.T.sum(axis=1, dtype=np.float64), recipe.length_growth),
            recipe.steps_per_length,
            recipe.perturbation,
            rng,
            bounds.record_annealed,
        )
    else:
        gamma = random_responsibilities(counts, recipe.n_components, rng)
        start = m_step_from(counts, gamma, recipe.smoothing)
    parameters, words, converged = _plain_em(
        lambda parameters: e_step(counts, parameters), start, recipe, bounds.record
    )
    return Run(parameters, words, bounds.lower, bounds.tempered, converged)


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
