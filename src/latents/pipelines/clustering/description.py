"""What makes a clustering readable: names, tables of documents, places on the map."""

from __future__ import annotations  # so that naming MultinomialMixture in a signature does not import torch

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from latents import estimators, reporting
from latents.estimators.multinomial_mixture.document_map import MIN_DOCUMENTS, evidence, plane
from latents.estimators.multinomial_mixture.reading import (
    boundary,
    is_unfamiliar,
    least_familiarity,
    lift,
    log_lift,
    relevance,
    second_choices,
    typicality,
)
from latents.features.block_counts import BlockCounts
from latents.features.documents import Documents, excerpts
from latents.pipelines.clustering.guiding import GUIDE, class_names
from latents.pipelines.clustering.parameters import EvaluateParameters

WORDS_IN_NAME = 3
EXCERPT = 400
# So many documents of a cluster are looked at for examples that begin unlike.
_MOST_READ = 10_000


def describe(
    model: estimators.MultinomialMixture,
    counts: sparse.csr_array | BlockCounts,
    words: NDArray[np.object_],
    documents: Documents,
    assignments: pd.DataFrame,
    params: EvaluateParameters,
) -> dict[str, pd.DataFrame]:
    """Describe a fitted mixture by words and by documents.

    Returns
    -------
    mapping
        ``assignments``
            With the name of the cluster, the document's ``typicality`` and ``familiarity``, of two clusters or
            more the ``runner_up`` and the ``log_odds`` against it, below 0 where the words speak against a label
            that guided the fit, and, where `params` say how many documents are to be marked, whether it
            ``fits_nowhere``.
        ``topics``
            Top words of every cluster by relevance (of those likelier there than in the corpus), probability and
            lift.
        ``clusters``
            One row each: its name, numbers of training and held-out documents, mixing weight and, where there
            are labels that did not guide the fit, the one it holds most of (``main_label``, and the share of the
            training documents). Where there are classes, the ``class``, empty for a free cluster.
        ``examples``
            The most typical and the least certain training documents of each cluster, and the least familiar
            of all.
        ``map``
            ``document`` (row), ``x`` and ``y``.
    """
    # Of the training documents nothing else matters to what words tell.
    used = np.atleast_2d(counts[~assignments["held_out"].to_numpy()].sum(axis=0))
    measures = {
        "relevance": relevance(model.word_probabilities_, used, params.relevance_weight),
        "probability": model.word_probabilities_,
        "lift": lift(model.word_probabilities_, used),
    }
    scores = log_lift(model.word_probabilities_, used)
    assigned = assignments["cluster"].to_numpy()
    n_trained = np.bincount(assigned[~assignments["held_out"]], minlength=model.weights_.size)
    ranking = telling(model, used, n_trained, params.relevance_weight)
    classes = class_names(model)
    names = call_by_classes(name_clusters(ranking, words, n_trained), classes)
    familiarity = model.familiarity(counts)
    described = assignments.assign(
        cluster_name=np.array(names, dtype=object)[assigned],
        typicality=typicality(counts, scores, assigned),
        familiarity=familiarity,
    )
    if len(names) > 1:
        second = second_choices(model, counts, assigned)
        described = described.assign(runner_up=second.clusters, log_odds=second.log_odds)
    # Of labels that guided, a cluster of a class holds no other, and a free one none.
    judged = described.drop(columns="label", errors="ignore") if model.use_labels == GUIDE else described
    clusters = _clusters(judged, names, model.weights_)
    if any(classes):
        clusters.insert(2, "class", classes)
    if params.contamination:
        trained = familiarity[~assignments["held_out"].to_numpy()]
        least = least_familiarity(trained, params.contamination)
        described = described.assign(fits_nowhere=is_unfamiliar(familiarity, least))
    return {
        "assignments": described,
        "topics": _top_words({**measures, "relevance": ranking}, measures, words, names, params.n_top_words),
        "clusters": clusters,
        "examples": choose_examples(described, documents, names, params.n_examples),
        "map": locate(counts, scores, params.map_documents, params.random_state),
    }


def telling(
    model: estimators.MultinomialMixture,
    used: NDArray[Any],
    n_documents: NDArray[np.intp],
    relevance_weight: float,
) -> NDArray[np.float64]:
    """Return how well each word tells of each cluster, (K, W): by its relevance; `used` is how often, (1, W).

    A word that is rarer in a cluster than elsewhere does not: it has -inf, unless no other cluster has documents.
    """
    ranking = relevance(model.word_probabilities_, used, relevance_weight)
    if (n_documents > 0).sum() > 1:
        ranking[lift(model.word_probabilities_, used) <= 1] = -np.inf
    return ranking


def best_columns(values: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Return where the `n` largest values (W,) of a ranking are, in order, without those that have no place."""
    best = np.argsort(-values, kind="stable")[:n]
    return best[~np.isneginf(values[best])]


def least_familiarity_of(assignments: pd.DataFrame) -> float | None:
    """Return the familiarity at or below which documents were marked as fitting nowhere; None without marks."""
    if "fits_nowhere" not in assignments:
        return None
    trained = assignments[~assignments["held_out"].astype(bool) & assignments["familiarity"].notna()]
    return boundary(trained["familiarity"].to_numpy(), trained["fits_nowhere"].to_numpy(dtype=bool))


def name_clusters(
    ranking: NDArray[np.float64], words: NDArray[np.object_], n_documents: NDArray[np.intp]
) -> list[str]:
    """Name every cluster by the words that rank highest in it, no two clusters alike.

    Words that begin alike count once ("god", "gods"), and so do n-grams with the words in them. Where clusters
    share their first words, more are added; a cluster without documents, whose words mean nothing, is called
    empty.
    """
    names: list[str] = []
    for cluster, values in enumerate(ranking):
        if n_documents[cluster] == 0:
            names.append(f"empty {cluster}")
            continue
        chosen: list[str] = []
        for column in np.argsort(-values, kind="stable")[: 10 * WORDS_IN_NAME]:
            word = str(words[column])
            if np.isneginf(values[column]):
                break
            if not any(_alike(word, other) for other in chosen):
                chosen.append(word)
            if len(chosen) >= WORDS_IN_NAME and ", ".join(chosen) not in names:
                break
        name = ", ".join(chosen)
        names.append(name if name and name not in names else f"{name} {cluster}".strip())
    return names


def call_by_classes(names: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Call clusters by their classes ("" for none), and those that share one by their words too, no two alike."""
    times = Counter(classes)
    alone = {of_class for of_class in classes if of_class and times[of_class] == 1}
    taken, called = set(alone), []
    for cluster, (name, of_class) in enumerate(zip(names, classes, strict=True)):
        if of_class not in alone:
            name = f"{of_class}: {name}" if of_class else name
            while name in taken:  # a class may be called as a free cluster is
                name = f"{name} {cluster}"
            taken.add(name)
        called.append(of_class if of_class in alone else name)
    return called


def _alike(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    begins = long.startswith(short) and short.isalpha() and long.isalpha()
    return begins or f" {short} " in f" {long} "


def _top_words(
    rankings: dict[str, NDArray[np.float64]],
    measures: dict[str, NDArray[np.float64]],
    words: NDArray[np.object_],
    names: Sequence[str],
    n_top: int,
) -> pd.DataFrame:
    """Rank the words of every cluster, but those that a ranking gives no place (-inf)."""
    tables = []
    for ranking, values in rankings.items():
        for cluster, of_cluster in enumerate(values):
            columns = best_columns(of_cluster, n_top)
            tables.append(
                pd.DataFrame(
                    {
                        "cluster": cluster,
                        "cluster_name": names[cluster],
                        "ranking": ranking,
                        "rank": np.arange(1, len(columns) + 1),
                        "word": words[columns],
                        **{name: each[cluster, columns] for name, each in measures.items()},
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def _clusters(assignments: pd.DataFrame, names: Sequence[str], weights: NDArray[np.float64]) -> pd.DataFrame:
    def count(chosen: pd.Series) -> NDArray[np.intp]:
        return np.bincount(assignments["cluster"][chosen], minlength=len(names))

    held_out = assignments["held_out"].astype(bool)
    clusters = pd.DataFrame(
        {
            "cluster": np.arange(len(names)),
            "name": names,
            "n_documents": count(~held_out),
            "n_held_out": count(held_out),
            "weight": weights,
        }
    )
    if "label" in assignments:
        train = assignments[~held_out]
        table = pd.crosstab(train["cluster"], train["label"]).reindex(clusters["cluster"], fill_value=0)
        sizes = table.sum(axis=1).to_numpy()
        clusters = clusters.assign(
            main_label=np.where(sizes > 0, table.idxmax(axis=1).astype(str), ""),
            main_label_share=table.max(axis=1).to_numpy() / np.maximum(sizes, 1),
        )
    return clusters


def choose_examples(
    assignments: pd.DataFrame, documents: Documents, names: Sequence[str], n_examples: int
) -> pd.DataFrame:
    """Choose the most typical and least certain training documents of each cluster, and the least familiar of all.

    Documents without words are not among them, and of texts that begin alike only the first is.

    Returns
    -------
    DataFrame
        ``cluster``, ``cluster_name``, ``kind`` ("typical", "least certain" or "least familiar"), ``rank``,
        ``document`` (its row), what `assignments` say of it, and ``excerpt``, the beginning of the text. The least
        certain come with ``runner_up_name``; of a single cluster there are none. The least familiar come last.
    """
    readable = assignments[~assignments["held_out"].astype(bool) & (assignments["n_tokens"] > 0)]
    readable = readable.assign(document=readable.index)
    orders = {"typical": ("cluster", "typicality", False)}
    if "runner_up" in readable:
        readable = readable.assign(runner_up_name=np.array(names, dtype=object)[readable["runner_up"]])
        orders["least certain"] = ("cluster", "log_odds", True)
    orders["least familiar"] = ("", "familiarity", True)
    chosen = []
    for kind, (group, measure, rising) in orders.items():
        groups = readable[group] if group else pd.Series(0, readable.index)
        ordered = readable.assign(group=groups, kind=kind).sort_values(
            measure, ascending=rising, kind="stable"
        )
        first = _first_unlike(ordered, documents, n_examples).sort_values("group", kind="stable")
        chosen.append(first.assign(rank=first.groupby("group").cumcount() + 1).drop(columns="group"))
    *of_clusters, unfamiliar = chosen
    examples = pd.concat([pd.concat(of_clusters).sort_values("cluster", kind="stable"), unfamiliar])
    first_columns = ["cluster", "cluster_name", "kind", "rank", "document"]
    columns = [*first_columns, *examples.columns.difference([*first_columns, "held_out"], sort=False)]
    return examples[columns].reset_index(drop=True)


def _first_unlike(ordered: pd.DataFrame, documents: Documents, n: int) -> pd.DataFrame:
    """Return the first `n` rows of each group whose texts begin unlike, with their ``excerpt``; few are read."""
    unread = {group: rows.to_numpy()[:_MOST_READ] for group, rows in ordered.groupby("group")["document"]}
    found: dict[Any, dict[str, int]] = {group: {} for group in unread}
    n_read = 2 * n
    while unread:
        asked = [(group, row) for group, rows in unread.items() for row in rows[:n_read].tolist()]
        texts = excerpts(documents, np.array([row for _, row in asked], dtype=np.intp), EXCERPT)
        for (group, row), text in zip(asked, texts, strict=True):
            if len(found[group]) < n:
                found[group].setdefault(text, row)
        unread = {
            group: rows[n_read:]
            for group, rows in unread.items()
            if len(found[group]) < n and len(rows) > n_read
        }
        n_read *= 4
    rows = [row for of_group in found.values() for row in of_group.values()]
    texts = [text for of_group in found.values() for text in of_group]
    return ordered.loc[rows].assign(excerpt=texts)


def locate(
    counts: sparse.csr_array | BlockCounts, scores: NDArray[np.float64], n_documents: int, random_state: int
) -> pd.DataFrame:
    """Lay documents out on the map: all that have words, or a random `n_documents` of them.

    Returns
    -------
    DataFrame
        ``document`` (row, rising), ``x`` and ``y``; no row where there is nothing to lay out.
    """
    rows = np.flatnonzero(counts.sum(axis=1) > 0)
    if len(rows) > n_documents:
        rows = np.sort(np.random.default_rng(random_state).permutation(rows)[:n_documents])
    if len(rows) < MIN_DOCUMENTS or len(scores) < 2:
        rows, xy = rows[:0], np.empty((0, 2))
    else:
        chosen = counts[rows]
        T = chosen.in_memory() if isinstance(chosen, BlockCounts) else chosen
        xy = plane(evidence(T, scores), random_state)
    return pd.DataFrame({"document": rows, "x": xy[:, 0], "y": xy[:, 1]})


def quote(examples: pd.DataFrame, clusters: pd.DataFrame) -> list[reporting.report.Quotations]:
    """Put the examples into words for the report, one group a cluster that has any, the largest first."""
    groups = []
    examples = examples[examples["kind"] != "least familiar"]
    read = clusters[clusters["cluster"].isin(examples["cluster"])]
    for cluster in read.sort_values("n_documents", ascending=False, kind="stable").to_dict("records"):
        note = f"{cluster['n_documents']:,} documents"
        if cluster.get("main_label_share"):
            note += f", {cluster['main_label_share']:.0%} of them {cluster['main_label']}"
        columns = {}
        for kind in ("typical", "least certain"):
            chosen = examples[(examples["cluster"] == cluster["cluster"]) & (examples["kind"] == kind)]
            if len(chosen):
                columns[f"Most {kind}" if kind == "typical" else "Least certain"] = [
                    _quotation(example, kind) for example in chosen.to_dict("records")
                ]
        groups.append(reporting.report.Quotations(cluster["name"], note, columns))
    return groups


def quote_unfamiliar(examples: pd.DataFrame) -> list[reporting.report.Quotation]:
    """Put the least familiar of the examples into words for the report."""
    chosen = examples[examples["kind"] == "least familiar"]
    return [_quotation(example, "least familiar") for example in chosen.to_dict("records")]


def _quotation(example: Mapping[Hashable, Any], kind: str) -> reporting.report.Quotation:
    source = str(example.get("name", f"document {example['document']}"))
    facts = [str(example["label"])] if example.get("label") else []
    if kind == "least certain":
        facts.append(f"or {example['runner_up_name']}? {example['log_odds']:.1f} nats between them")
    elif kind == "least familiar":
        facts.append(f"in {example['cluster_name']} · {example['familiarity']:.2f} nats a word")
    else:
        facts.append(f"{example['typicality']:.2f} nats a word")
    return reporting.report.Quotation(source, " · ".join(facts), str(example["excerpt"]))
