"""Fitting a mixture of multinomials: annealing, then EM, over documents in memory, in blocks or batch by batch."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import count
from operator import add
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from latents.estimators.multinomial_mixture.annealing import annealed, lengths
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import (
    Parameters,
    Recipe,
    Statistics,
    e_step,
    log_coefficients,
    log_prior,
    m_step,
    m_step_from,
    random_responsibilities,
)

# Called with the name of a number, the number and a step.
Callback = Callable[[str, float, int], object]
Report = Callable[[str, float], None]

# Of a streamed corpus the start knows the first block only: where there is no smoothing, every word must still be
# possible in the first pass over the others.
_PSEUDO_COUNT_OF_UNSEEN_WORDS = 0.01


class Run(NamedTuple):
    """What a fit yields: `words_per_component` (K,) are those of the last M step."""

    parameters: Parameters
    words_per_component: torch.Tensor
    lower_bounds: list[float]
    tempered_bounds: list[float]
    converged: bool


def numbered(callback: Callback | None) -> Report:
    """Give each call of `callback` its step, counted from 0 for each name."""
    steps: defaultdict[str, count[int]] = defaultdict(count)

    def report(name: str, value: float) -> None:
        if callback is not None:
            callback(name, value, next(steps[name]))

    return report


def fit_documents(
    T: sp.csr_array, recipe: Recipe, device: torch.device, rng: np.random.RandomState, report: Report
) -> Run:
    """Fit to documents in memory, and keep the best of `n_init` runs by the objective."""
    counts = Counts(T, device)
    coarse = counts.single_precision() if recipe.annealing else None
    coefficient = float(log_coefficients(T).sum())

    def run() -> Run:
        bounds = _Bounds(report, coefficient)
        if coarse is not None:
            schedule = lengths(T.sum(axis=1, dtype=np.float64), recipe.length_growth)
            start = annealed(coarse, recipe, schedule, rng, bounds.record_annealed)
        else:
            gamma = random_responsibilities(counts, recipe.n_components, rng)
            start = m_step_from(counts, gamma, recipe.smoothing)
        return _plain_em(lambda parameters: e_step(counts, parameters), start, recipe, bounds)

    return max((run() for _ in range(recipe.n_init)), key=lambda run: run.lower_bounds[-1])


def fit_blocks(
    read: Callable[[], Iterator[Counts]],
    first: Run,
    coefficient: float,
    recipe: Recipe,
    report: Report,
) -> Run:
    """Take exact EM steps from the fit to the first block, one pass over all blocks each.

    `coefficient` is the whole corpus's.
    """

    def full_e_step(parameters: Parameters) -> Statistics:
        return reduce(add, (e_step(counts, parameters) for counts in read()))

    start = first.parameters
    if recipe.smoothing == 0:
        seen = Statistics.of(start, first.words_per_component, n_documents=1, smoothing=0)
        start = m_step(seen, _PSEUDO_COUNT_OF_UNSEEN_WORDS)
    return _plain_em(full_e_step, start, recipe, _Bounds(report, coefficient))


def stepwise(
    T: sp.csr_array, parameters: Parameters, before: Statistics, smoothing: float, power: float
) -> Run:
    """Take a step of stepwise EM by a batch T (D_batch, W), after all those whose statistics were `before`.

    The average statistics per document become (1 - eta) before + eta batch, with eta = (D / D_batch)^-power and
    D the documents of all, this batch's included. The bound is that of the batch under `parameters`.
    """
    batch = e_step(Counts(T, parameters.log_words.device), parameters)
    n_seen = before.n_documents + batch.n_documents
    eta = (n_seen / batch.n_documents) ** -power
    mean = before.scaled((1 - eta) / before.n_documents) + batch.scaled(eta / batch.n_documents)
    statistics = mean.scaled(n_seen)
    log_likelihood = batch.log_likelihood + float(log_coefficients(T).sum())
    bound = log_likelihood / batch.n_documents + log_prior(parameters, smoothing) / n_seen
    words = statistics.word_counts.sum(dim=0)
    return Run(m_step(statistics, smoothing), words, [bound], [], converged=False)


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


def _plain_em(
    full_e_step: Callable[[Parameters], Statistics],
    parameters: Parameters,
    recipe: Recipe,
    bounds: _Bounds,
) -> Run:
    """Alternate E and M steps until `tol` or `max_iter`; the bound recorded last is of what is returned."""
    previous, words = -np.inf, torch.empty(0)
    for step in range(recipe.max_iter + 1):
        statistics = full_e_step(parameters)
        objective = statistics.log_likelihood + log_prior(parameters, recipe.smoothing)
        bounds.record(objective, statistics.n_documents)
        if objective - previous <= recipe.tol * statistics.n_documents:
            return Run(parameters, words, bounds.lower, bounds.tempered, converged=True)
        if step < recipe.max_iter:
            parameters, words = m_step(statistics, recipe.smoothing), statistics.word_counts.sum(dim=0)
        previous = objective
    return Run(parameters, words, bounds.lower, bounds.tempered, converged=False)
