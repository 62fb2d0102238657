"""Fitting a mixture of multinomials: annealing, then EM, over all documents, or batch by batch."""

from collections import defaultdict
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import numpy as np
import torch

from latents.estimators.common.blocks import Blocks
from latents.estimators.multinomial_mixture.annealing import Climb, Corpus, annealed, drawn_seed
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import (
    Answers,
    EStep,
    Parameters,
    PseudoCounts,
    RandomStarts,
    Recipe,
    Statistics,
    e_step,
    log_prior,
    m_step,
    m_step_from,
)
from latents.estimators.multinomial_mixture.moves import (
    concentration,
    lead_by_seeds,
    told_by_clusters,
    with_moves,
)

# Called with the name of a number, the number and a step.
Callback = Callable[[str, float, int], object]
Report = Callable[[str, float], None]

# Annealed starts climb side by side in groups of so many, as each keeps what an E step yields.
SIDE_BY_SIDE = 4


class Run(NamedTuple):
    """What a fit yields: `words_per_component` (K,) are those of the last M step."""

    parameters: Parameters
    pseudo_counts: PseudoCounts
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
    counts: Blocks[Counts],
    device: torch.device,
    coefficient: float,
    recipe: Recipe,
    rng: np.random.RandomState,
    report: Report,
) -> Run:
    """Fit to documents, from the best of `n_init` starts: each step is one sum over all blocks.

    Annealed starts are told apart before they have ended (``annealing``), others by the objective that they reach.
    `coefficient` is the sum of the documents' log multinomial coefficients.
    """

    def run(start: Callable[[], tuple[Answers, PseudoCounts, _Bounds]]) -> Run:
        answers, a, bounds = start()
        return _plain_em(counts, device, m_step_from(answers.to(device), a), a, recipe, bounds)

    def searched() -> tuple[Answers, PseudoCounts, _Bounds]:
        climb, bounds = highest()
        if bounds.tempered:
            lead_by_seeds(climb, recipe.annealing_pseudo_counts)
            climb = with_moves(climb, recipe, rng, bounds.record_annealed)
        a = told_by_clusters(climb, recipe) if recipe.pseudo_counts is None else recipe.pseudo_counts
        return climb.answers, a, bounds

    def highest() -> tuple[Climb, _Bounds]:
        corpus = Corpus(counts, device)

        def of_group(n_starts: int) -> tuple[Climb, _Bounds]:
            bounds = _Bounds(report, coefficient)
            return annealed(corpus, recipe, n_starts, rng, bounds.record_annealed), bounds

        n_left = range(recipe.n_init, 0, -SIDE_BY_SIDE)
        return max((of_group(min(n, SIDE_BY_SIDE)) for n in n_left), key=lambda found: found[0].objective)

    def drawn() -> tuple[Answers, PseudoCounts, _Bounds]:
        a = recipe.annealing_pseudo_counts if recipe.pseudo_counts is None else recipe.pseudo_counts
        (answers,) = counts.add_up(RandomStarts(recipe.n_components, 1, drawn_seed(rng)))
        return answers, a, _Bounds(report, coefficient)

    if recipe.annealing:
        return run(searched)
    return max((run(drawn) for _ in range(recipe.n_init)), key=lambda run: run.lower_bounds[-1])


def stepwise(
    batch_counts: Counts,
    coefficient: float,
    parameters: Parameters,
    before: Statistics,
    a: PseudoCounts,
    power: float,
    *,
    told_anew: bool,
) -> Run:
    """Take a step of stepwise EM by a batch (D_batch, W), after all those whose statistics were `before`.

    The average statistics per document become (1 - eta) before + eta batch, with eta = (D / D_batch)^-power and
    D the documents of all, this batch's included. The bound is that of the batch under `parameters`. Pseudo-counts
    are a, or `told_anew` by the components as they have become.
    """
    batch = e_step(batch_counts, parameters)
    n_seen = before.n_documents + batch.n_documents
    eta = (n_seen / batch.n_documents) ** -power
    mean = before.scaled((1 - eta) / before.n_documents) + batch.scaled(eta / batch.n_documents)
    statistics = mean.scaled(n_seen)
    log_likelihood = batch.log_likelihood + coefficient
    bound = log_likelihood / batch.n_documents + log_prior(parameters.log_words, a) / n_seen
    words = statistics.word_counts.sum(dim=0)
    if told_anew:
        a = a - torch.as_tensor(a).min().item() + concentration(statistics.word_counts)
    return Run(m_step(statistics, a), a, words, [bound], [], converged=False)


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
    counts: Blocks[Counts],
    device: torch.device,
    parameters: Parameters,
    a: PseudoCounts,
    recipe: Recipe,
    bounds: _Bounds,
) -> Run:
    """Alternate E and M steps, with pseudo-counts a, until `tol` or `max_iter`.

    The bound recorded last is of what is returned.
    """
    previous, words = -np.inf, torch.empty(0)
    for step in range(recipe.max_iter + 1):
        statistics = counts.add_up(EStep(parameters)).to(device)
        objective = statistics.log_likelihood + log_prior(parameters.log_words, a)
        bounds.record(objective, statistics.n_documents)
        if objective - previous <= recipe.tol * statistics.n_documents:
            return Run(parameters, a, words, bounds.lower, bounds.tempered, converged=True)
        if step < recipe.max_iter:
            parameters, words = m_step(statistics, a), statistics.word_counts.sum(dim=0)
        previous = objective
    return Run(parameters, a, words, bounds.lower, bounds.tempered, converged=False)
