"""Choosing K: a mixture for every number of components, measured alike, and the best one kept."""

from __future__ import annotations  # so that naming MultinomialMixture in a signature does not import torch

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from latents import estimators
from latents.estimators.multinomial_mixture.metrics import npmi_coherence
from latents.features.block_counts import BlockCounts
from latents.key_numbers import written
from latents.pipelines.clustering.guiding import Known
from latents.pipelines.shared import Monitor
from latents.reporting.selection import CRITERIA, best_fit, near_best

logger = logging.getLogger(__name__)

Row = dict[str, float]

COLUMNS = [
    "n_components",
    *CRITERIA,
    "log_likelihood",
    "lower_bound",
    "n_iter",
    "fit_seconds",
    "chosen",
]

# NPMI is that of the top 10 words whatever is shown, so that runs can be compared.
COHERENCE_WORDS = 10

_NOTHING = Known()


def measure(
    model: estimators.MultinomialMixture,
    train: sparse.csr_array | BlockCounts,
    held_out: sparse.csr_array | BlockCounts,
) -> Row:
    """Return what can be said of a mixture without labels.

    Parameters
    ----------
    model : MultinomialMixture
        The fitted mixture.
    train, held_out : sparse arrays or BlockCounts of shape (n_documents, n_words)
        Counts of the documents that it was fitted to, and of those that it was not.

    Returns
    -------
    mapping
        ``log_likelihood``, ``bic``, ``icl`` and, where there are pairs of words, ``npmi`` over `train`, of the
        components that hold a document of it (the words of the others mean nothing);
        ``heldout_perplexity`` where `held_out` has words.
    """
    metrics = {
        "log_likelihood": float(model.score_samples(train).sum()),
        "bic": model.bic(train),
        "icl": model.icl(train),
    }
    held = np.unique(model.predict(train))
    top_columns = np.argsort(-model.word_probabilities_[held], axis=1, kind="stable")[:, :COHERENCE_WORDS]
    if top_columns.shape[1] > 1:
        metrics["npmi"] = npmi_coherence(train, top_columns)
    if held_out.sum() > 0:
        metrics["heldout_perplexity"] = model.perplexity(held_out)
    return metrics


def check_candidates(
    candidates: Sequence[dict[str, Any]],
    criterion: str,
    train: sparse.csr_array | BlockCounts,
    held_out: sparse.csr_array | BlockCounts,
) -> None:
    """Refuse, before any fit, a search that could not be carried out or would have nothing to choose by.

    Raises
    ------
    ValueError
        If a number of components exceeds that of the training documents, or of several numbers one is to be
        chosen by a criterion that cannot be measured.
    """
    most = max(candidate["n_components"] for candidate in candidates)
    if most > train.shape[0]:
        raise ValueError(
            f"n_components={most} exceeds the number of documents to train on; allowed for "
            f"clustering.fit.n_components are 1 to {train.shape[0]}"
        )
    lacking = {}
    if held_out.sum() == 0:
        lacking["heldout_perplexity"] = (
            "no held-out document has a word; hold some out (clustering.split.held_out_fraction, or a column "
            "held_out)"
        )
    if train.shape[1] < 2:
        lacking["npmi"] = "the vocabulary has no pair of words; loosen clustering.features"
    if len(candidates) > 1 and criterion in lacking:
        others = [name for name in CRITERIA if name not in lacking]
        raise ValueError(
            f"clustering.select.criterion is {criterion!r}, but {lacking[criterion]}, or choose by another "
            f"criterion: {', '.join(others)}"
        )


def fit_and_choose(
    candidates: Sequence[dict[str, Any]],
    criterion: str,
    train: sparse.csr_array | BlockCounts,
    held_out: sparse.csr_array | BlockCounts,
    monitor: Monitor,
    known: Known = _NOTHING,
) -> tuple[estimators.MultinomialMixture, pd.DataFrame]:
    """Fit a mixture for each of the candidates, and keep the best.

    Parameters
    ----------
    candidates : sequence of mappings
        The arguments of each ``MultinomialMixture``; they differ in ``n_components``. Of several, every fit is a
        trial of its own to `monitor`; a single one is just fitted.
    criterion : {"heldout_perplexity", "bic", "icl", "npmi"}
        What chooses; of the fits near the best the one with fewest components (``best_fit``).
    train, held_out : sparse arrays or BlockCounts of shape (n_documents, n_words)
        Counts to fit to, and to measure perplexity on.
    monitor : Monitor
        Watches the fits.
    known : Known, optional
        Labels of `train`, and words that tell of classes; every fit is told them.

    Returns
    -------
    model : MultinomialMixture
        The chosen mixture; of the others only those that may yet be chosen are kept in memory.
    selection : DataFrame
        One row per fit in the order of `candidates`, with the columns ``COLUMNS``; what cannot be measured is
        missing.
    """
    check_candidates(candidates, criterion, train, held_out)
    if len(candidates) == 1:
        model, row = _fit(candidates[0], "EM", train, held_out, monitor, known)
        return model, _table([row], 0)
    rows: list[Row] = []
    models: dict[int, estimators.MultinomialMixture] = {}
    for number, candidate in enumerate(candidates):
        name = f"K = {candidate['n_components']}"
        with monitor.trial(name, candidate) as trial:
            models[number], row = _fit(candidate, f"EM, {name}", train, held_out, trial, known)
            trial.record(row)
        measured = {key: row[key] for key in CRITERIA if key in row}
        monitor.record(measured, step=candidate["n_components"], group="select")
        logger.info(
            "%s: %s", name, ", ".join(f"{key} {written(key, value)}" for key, value in measured.items())
        )
        rows.append(row)
        near = near_best([row[criterion] for row in rows], criterion)
        models = {number: model for number, model in models.items() if near[number]}
    chosen = best_fit([row["n_components"] for row in rows], [row[criterion] for row in rows], criterion)
    logger.info("chosen by %s: K = %d", criterion, rows[chosen]["n_components"])
    _retell(models[chosen], monitor)
    return models[chosen], _table(rows, chosen)


def _fit(
    arguments: dict[str, Any],
    task: str,
    train: sparse.csr_array | BlockCounts,
    held_out: sparse.csr_array | BlockCounts,
    monitor: Monitor,
    known: Known,
) -> tuple[estimators.MultinomialMixture, Row]:
    model = estimators.MultinomialMixture(**{**arguments, **known.arguments})
    started = time.perf_counter()
    with monitor.watch(task) as callback:
        given = (
            train.to_fit(known.labels, "")
            if isinstance(train, BlockCounts)
            else {"X": train, "y": known.labels}
        )
        model.fit(**given, callback=callback)
    seconds = time.perf_counter() - started
    return model, {
        "n_components": arguments["n_components"],
        **measure(model, train, held_out),
        "lower_bound": model.lower_bound_,
        "n_iter": model.n_iter_,
        "fit_seconds": seconds,
    }


def _retell(model: estimators.MultinomialMixture, monitor: Monitor) -> None:
    """Give the run itself the curves of the fit that it keeps, as if that had been its only one."""
    with monitor.watch("EM") as callback:
        for name, values in (
            ("lower_bound", model.lower_bounds_),
            ("tempered_bound", model.tempered_bounds_),
        ):
            for step, value in enumerate(values):
                callback(name, value, step)


def _table(rows: Sequence[Row], chosen: int) -> pd.DataFrame:
    table = pd.DataFrame(rows).assign(chosen=np.arange(len(rows)) == chosen)
    return table.reindex(columns=COLUMNS)
