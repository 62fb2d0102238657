"""From counts to clusters: the nodes of the clustering pipeline after those of `corpus`."""

from __future__ import annotations  # so that naming MultinomialMixture in a signature does not import torch

import logging
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from latents import estimators, reporting
from latents.estimators.multinomial_mixture.metrics import matched_accuracy
from latents.estimators.multinomial_mixture.reading import assigned
from latents.features.block_counts import BlockCounts
from latents.features.documents import Documents, excerpts, told_of
from latents.features.words import WordRules
from latents.pipelines import bags
from latents.pipelines.clustering import description, scale
from latents.pipelines.clustering.changes import changes_since
from latents.pipelines.clustering.guiding import GUIDE, class_names, known_of
from latents.pipelines.clustering.parameters import (
    EvaluateParameters,
    FitParameters,
    SelectParameters,
)
from latents.pipelines.clustering.selection import fit_and_choose, measure
from latents.pipelines.headlines import check_measured, digest, fingerprint, headline_of
from latents.pipelines.shared import Monitor, Rows, SplitParameters, are_one_class, plain, split_rows
from latents.predictors import Candidate, ClusteringPredictor

logger = logging.getLogger(__name__)

_EXAMPLE_CHARACTERS = 500  # of a document that shows MLflow what the model takes


def split(counts: sparse.csr_array | BlockCounts, documents: Documents, params: SplitParameters) -> Rows:
    """Divide the documents into training and held-out rows.

    Raises
    ------
    ValueError
        If nothing is left to train on.
    """
    held_out = documents["held_out"].to_numpy() if "held_out" in documents else None
    return split_rows(counts.shape[0], held_out, params)


def fit(
    counts: sparse.csr_array | BlockCounts,
    split: Rows,
    documents: Documents,
    vocabulary: pd.DataFrame,
    word_rules: dict[str, Any],
    params: FitParameters,
    select: SelectParameters,
    monitor: Monitor,
) -> tuple[estimators.MultinomialMixture, dict[str, float], pd.DataFrame]:
    """Fit the mixture to the training documents; of several numbers of components, each, and choose one.

    Returns
    -------
    model : MultinomialMixture
        The fitted mixture, the chosen one of several.
    fit_record : mapping
        ``fit_seconds``, those of the chosen fit alone.
    selection : DataFrame
        One row per fit: its criteria, seconds, and whether it was ``chosen``.

    Raises
    ------
    ValueError
        If an entry of `counts` is no number of occurrences, documents are held out from a model without
        smoothing, which calls documents with new words impossible, there are fewer documents than components,
        or there is nothing to measure the criterion on; or if labels or seeds are not as they must be (see
        ``known_of``).
    """
    bags.check_counts(counts)
    if params.smoothing == 0 and len(split["held_out"]):
        raise ValueError(
            "clustering.fit.smoothing is 0 and documents are held out: one with a word unseen in training would "
            "be impossible; allowed are a smoothing above 0, or a clustering.split.held_out_fraction of 0"
        )
    train, held_out = counts[split["train"]], counts[split["held_out"]]
    words, rules = vocabulary["word"].tolist(), WordRules.from_json(word_rules)
    known = known_of(documents, split["train"], words, rules, params)
    model, selection = fit_and_choose(params.candidates, select.criterion, train, held_out, monitor, known)
    scale.warn(model, train, _assigned(model, counts, documents, split)[0][split["train"]])
    seconds = float(selection.loc[selection["chosen"], "fit_seconds"].item())
    return model, {"fit_seconds": seconds}, selection


def evaluate(
    model: estimators.MultinomialMixture,
    counts: sparse.csr_array | BlockCounts,
    vocabulary: pd.DataFrame,
    documents: Documents,
    bag: bags.Bag,
    split: Rows,
    fit_record: dict[str, float],
    params: EvaluateParameters,
    monitor: Monitor,
) -> dict[str, Any]:
    """Assign every document, name the clusters, choose documents to read, and measure the fit.

    Returns
    -------
    mapping
        ``assignments``, ``topics``, ``clusters``, ``examples`` and ``map`` (tables, see
        ``pipelines.clustering.description``), ``changes`` (a table, see ``pipelines.clustering.changes``) and
        ``metrics``: flat names and numbers; those that need labels,
        held-out words or pairs of words only where there are any. Labels that are all the same are none. Those
        that guided the fit are held against the held-out documents alone (``heldout_accuracy``); a training
        document with one is in a cluster of its class, whatever its words say.
    """
    is_guided = model.use_labels == GUIDE
    told = told_of(documents)
    if (
        not is_guided
        and "label" in told
        and are_one_class(labels := told["label"].to_numpy()[split["train"]])
    ):
        logger.warning(
            "all training documents have the label %.80r, which tells nothing apart: taken as no labels, so there "
            "is no NMI, ARI, accuracy or heat map",
            labels[0],
        )
        told = told.drop(columns="label")
    clusters, probabilities = _assigned(model, counts, documents, split)
    assignments = told.drop(columns="held_out", errors="ignore").assign(
        cluster=clusters,
        probability=probabilities,
        n_tokens=counts.sum(axis=1),
        held_out=np.isin(np.arange(len(documents)), split["held_out"]),
    )
    train = counts[split["train"]]
    metrics = {
        "n_documents": len(split["train"]),
        "n_words": counts.shape[1],
        "n_components": model.weights_.size,
        **measure(model, train, counts[split["held_out"]]),
        "n_iter": model.n_iter_,
        "fit_seconds": fit_record["fit_seconds"],
    }
    if is_guided:
        metrics |= _heldout_accuracy(model, assignments)
    elif "label" in told:
        from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score  # slow to load

        labels = told["label"].to_numpy()[split["train"]]
        clusters = assignments["cluster"].to_numpy()[split["train"]]
        metrics["nmi"] = float(normalized_mutual_info_score(labels, clusters))
        metrics["ari"] = float(adjusted_rand_score(labels, clusters))
        metrics["accuracy"] = matched_accuracy(labels, clusters)
    tables = description.describe(
        model, counts, vocabulary["word"].to_numpy(), documents, assignments, params
    )
    changes = changes_since(monitor.champion(), documents, bag, tables, params)
    return {**tables, "changes": changes, "metrics": metrics}


def _assigned(
    model: estimators.MultinomialMixture,
    counts: sparse.csr_array | BlockCounts,
    documents: Documents,
    split: Rows,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the cluster of each document and its responsibility; given its label, where that has guided."""
    allowed = None
    if model.use_labels == GUIDE:
        # Of training documents; a class that the fit was not told of is none.
        labels = documents["label"].to_numpy(dtype=object)[split["train"]]
        classes = pd.Index(np.asarray(model.classes_, dtype=object))
        allowed = np.full(len(documents), -1, dtype=np.intp)
        allowed[split["train"]] = classes.get_indexer(pd.Index(labels))
    return assigned(model, counts, allowed)


def _heldout_accuracy(model: estimators.MultinomialMixture, assignments: pd.DataFrame) -> dict[str, float]:
    """Return the share of held-out documents of known classes that are in a component of theirs, if any are."""
    judged = assignments[assignments["held_out"] & assignments["label"].isin(model.classes_)]
    if judged.empty:
        return {}
    found = np.array(class_names(model), dtype=object)[judged["cluster"]]
    return {"heldout_accuracy": float((found == judged["label"].to_numpy(dtype=object)).mean())}


def export(
    model: estimators.MultinomialMixture,
    counts: sparse.csr_array | BlockCounts,
    vocabulary: pd.DataFrame,
    documents: Documents,
    word_rules: dict[str, Any],
    bag: bags.Bag,
    split: Rows,
    assignments: pd.DataFrame,
    clusters: pd.DataFrame,
    metrics: dict[str, float],
) -> Candidate:
    """Put the mixture together with all that it takes to read texts.

    A mixture of a bag of words finds these in texts by the word rules, as far as these find them at all. Where
    documents were marked as fitting nowhere, new ones are marked by the same familiarity.

    Returns
    -------
    Candidate
        Of a predictor: texts in, clusters out. Models of as many components compare by their held-out perplexity,
        or by their likelihood where nothing is held out, on the same counts, words and split.

    Raises
    ------
    ValueError
        If `metrics` are of another training.
    """
    log_likelihood = float(model.score_samples(counts[split["train"]]).sum())
    check_measured("clustering", metrics, "log_likelihood", log_likelihood)
    rules = WordRules.from_json(word_rules)
    predictor = ClusteringPredictor(
        model,
        vocabulary["word"].tolist(),
        rules,
        clusters["name"].tolist(),
        int(bag["first_word"]) if "first_word" in bag else None,
        description.least_familiarity_of(assignments),
    )
    if bag and (unfound := np.flatnonzero(predictor.count(predictor.vocabulary).diagonal() == 0)).size:
        logger.warning(
            "%d of %d words of the bag, such as %.80r, are none to clustering.features.token_pattern, and will "
            "not be found in new texts; new bags of words may have them",
            unfound.size,
            len(vocabulary),
            predictor.vocabulary[unfound[0]],
        )
    headline = headline_of(
        metrics,
        {"heldout_perplexity": "lowest", "log_likelihood": "highest"},
        {
            "n_components": metrics["n_components"],
            "vocabulary": digest(vocabulary["word"].to_numpy()),
            "counts": fingerprint(counts),
            "split": digest(split["train"], split["held_out"]),
            **_guidance(model, documents, split),
        },
    )
    example = pd.DataFrame({"text": excerpts(documents, split["train"][:2], _EXAMPLE_CHARACTERS)})
    return Candidate(predictor, example, headline)


def _guidance(model: estimators.MultinomialMixture, documents: Documents, split: Rows) -> dict[str, str]:
    """Return what the fit was told beside the counts; who tells more does not want what foresees words better."""
    if not any(classes := class_names(model)):
        return {}
    labels = documents["label"].to_numpy()[split["train"]] if model.use_labels == GUIDE else np.empty(0, str)
    seeds = [f"{name}: {columns}" for name, columns in (model.seeds or {}).items()]
    return {"guidance": digest(np.array(classes), labels, np.array([*seeds, str(model.seed_strength)]))}


def report(
    clusters: pd.DataFrame,
    examples: pd.DataFrame,
    changes: pd.DataFrame,
    metrics: dict[str, float],
    fits: pd.DataFrame,
    parameters: dict[str, Any],
    **figures: Any,
) -> tuple[str, str]:
    """Write the pages: the report of the figures that `draw` has left, and the map by itself.

    Returns
    -------
    report, map_page : str
        HTML.

    Raises
    ------
    ValueError
        If another criterion than the given one has chosen the number of components.
    """
    given = plain(parameters)
    if len(fits) > 1:
        reporting.selection.best_by_criterion(fits, given["select"]["criterion"])
    else:
        del figures["selection"]
    page = reporting.pages.clustering(
        figures,
        description.quote(examples, clusters),
        description.quote_unfamiliar(examples),
        changes,
        metrics,
        given,
    )
    return page, reporting.report.render_chart("Map of the documents", figures["map"])
