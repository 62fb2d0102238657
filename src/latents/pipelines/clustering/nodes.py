"""From documents to clusters: the nodes of the clustering pipeline."""

import logging
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from latents import reporting
from latents.estimators import MultinomialMixture
from latents.estimators.clustering_metrics import lift, matched_accuracy
from latents.pipelines.clustering.parameters import (
    EvaluateParameters,
    FeaturesParameters,
    FitParameters,
    IngestParameters,
    SelectParameters,
)
from latents.pipelines.clustering.selection import fit_and_choose, measure
from latents.pipelines.shared import Monitor, Rows, SplitParameters, plain, split_rows

logger = logging.getLogger(__name__)


def ingest(raw_documents: pd.DataFrame, params: IngestParameters) -> pd.DataFrame:
    """Check a table of documents and give its columns their names.

    Parameters
    ----------
    raw_documents : DataFrame
        One row per document, in any order of columns.
    params : IngestParameters
        Which columns are the text and the label.

    Returns
    -------
    DataFrame
        Column ``text`` and, where given, ``label``, ``name`` and ``held_out``. A missing text is an empty one.

    Raises
    ------
    ValueError
        If there is no document or no text column, or a row lacks its label or held-out mark.
    """
    if raw_documents.empty:
        raise ValueError("the corpus is empty: there is no document to cluster")
    if params.text_column not in raw_documents:
        raise ValueError(
            f"no column {params.text_column!r} (parameter clustering.ingest.text_column); "
            f"the documents have {', '.join(map(str, raw_documents.columns))}"
        )
    documents = pd.DataFrame({"text": raw_documents[params.text_column]})
    if params.label_column in raw_documents:
        documents["label"] = raw_documents[params.label_column]
    else:
        logger.warning(
            "no column %r: without labels there is no NMI, ARI, accuracy or heat map", params.label_column
        )
    for column in ("name", "held_out"):
        if column in raw_documents:
            documents[column] = raw_documents[column]
    documents = documents.reset_index(drop=True)
    for column in documents.columns.intersection(["label", "held_out"]):
        missing = documents.index[documents[column].isna() | (documents[column].astype(str) == "")]
        if len(missing):
            raise ValueError(f"document {missing[0]} has no {column}; all documents must have one, or none")
    absent = documents.index[documents["text"].isna()]
    if len(absent):
        # Tables on disk often cannot tell an empty text from a missing one.
        logger.warning(
            "%d documents have no text (the first is row %d): taken as empty", len(absent), absent[0]
        )
    return documents.assign(text=documents["text"].fillna("").astype(str))


def count_words(documents: pd.DataFrame, params: FeaturesParameters) -> tuple[sparse.csr_array, pd.DataFrame]:
    """Count the words of every document.

    Returns
    -------
    counts : sparse array of shape (n_documents, n_words)
        T, the number of times that each document uses each word.
    vocabulary : DataFrame
        One row per column of `counts`: ``word``, ``n_documents``, ``n_occurrences``.

    Raises
    ------
    ValueError
        If the vocabulary rules leave no word.
    """
    vectorizer = CountVectorizer(dtype=np.int32, **params.model_dump())
    try:
        counts = sparse.csr_array(vectorizer.fit_transform(documents["text"]))
    except ValueError as error:
        raise ValueError(
            f"the vocabulary rules leave no word of {len(documents)} documents ({error}); loosen "
            f"clustering.features: {params}"
        ) from error
    vocabulary = pd.DataFrame(
        {
            "word": vectorizer.get_feature_names_out(),
            "n_documents": counts.count_nonzero(axis=0),
            "n_occurrences": counts.sum(axis=0),
        }
    )
    empty = np.flatnonzero(counts.sum(axis=1) == 0)
    if len(empty):
        logger.warning(
            "%d documents have no word of the vocabulary (the first is row %d); they are kept, and their "
            "responsibilities are the mixing weights",
            len(empty),
            empty[0],
        )
    logger.info("%d documents, %d words, %d counts", *counts.shape, counts.nnz)
    return counts, vocabulary


def split(counts: sparse.csr_array, documents: pd.DataFrame, params: SplitParameters) -> Rows:
    """Divide the documents into training and held-out rows.

    Raises
    ------
    ValueError
        If nothing is left to train on.
    """
    held_out = documents["held_out"].to_numpy() if "held_out" in documents else None
    return split_rows(counts.shape[0], held_out, params)


def check_counts(counts: sparse.csr_array) -> None:
    """Refuse entries that are no number of occurrences; counts may come from anywhere.

    Raises
    ------
    ValueError
        If an entry is negative, fractional, NaN or infinite; names its document and word.
    """
    bad = ~(np.isfinite(counts.data) & (counts.data >= 0) & (counts.data == np.round(counts.data)))
    if bad.any():
        row, column = (index[bad.argmax()] for index in counts.tocoo().coords)
        raise ValueError(
            f"count of document {row}, word {column} is {counts.data[bad.argmax()]}; allowed are the whole "
            "numbers 0, 1, 2, ..."
        )


def fit(
    counts: sparse.csr_array,
    split: Rows,
    params: FitParameters,
    select: SelectParameters,
    monitor: Monitor,
) -> tuple[MultinomialMixture, dict[str, Any], dict[str, float], pd.DataFrame]:
    """Fit the mixture to the training documents; of several numbers of components, each, and choose one.

    Returns
    -------
    model : MultinomialMixture
        The fitted mixture, the chosen one of several.
    mlflow_model : mapping
        The mixture and an example of its input, for MLflow.
    fit_record : mapping
        ``fit_seconds``, those of the chosen fit alone.
    selection : DataFrame
        One row per fit: its criteria, seconds, and whether it was ``chosen``.

    Raises
    ------
    ValueError
        If an entry of `counts` is no number of occurrences, documents are held out from a model without
        smoothing, which calls documents with new words impossible, there are fewer documents than components,
        or there is nothing to measure the criterion on.
    """
    check_counts(counts)
    if params.smoothing == 0 and len(split["held_out"]):
        raise ValueError(
            "clustering.fit.smoothing is 0 and documents are held out: one with a word unseen in training would "
            "be impossible; allowed are a smoothing above 0, or a clustering.split.held_out_fraction of 0"
        )
    train, held_out = counts[split["train"]], counts[split["held_out"]]
    model, selection = fit_and_choose(params.candidates, select.criterion, train, held_out, monitor)
    example = train[:2].toarray().astype(np.float64)
    seconds = float(selection.loc[selection["chosen"], "fit_seconds"].item())
    return model, {"estimator": model, "input_example": example}, {"fit_seconds": seconds}, selection


def evaluate(
    model: MultinomialMixture,
    counts: sparse.csr_array,
    vocabulary: pd.DataFrame,
    documents: pd.DataFrame,
    split: Rows,
    fit_record: dict[str, float],
    params: EvaluateParameters,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Assign every document, name the topics, and measure the fit.

    Returns
    -------
    assignments : DataFrame
        One row per document: ``cluster``, its ``probability``, ``n_tokens``, ``held_out``, and ``label`` and
        ``name`` where known.
    topics : DataFrame
        The top words of every cluster by probability and by lift.
    metrics : mapping
        Flat names and numbers; those that need labels, held-out words or pairs of words only where there are any.
    """
    responsibilities = model.predict_proba(counts)
    assignments = documents.drop(columns=["text", "held_out"], errors="ignore").assign(
        cluster=responsibilities.argmax(axis=1),
        probability=responsibilities.max(axis=1),
        n_tokens=counts.sum(axis=1),
        held_out=np.isin(np.arange(len(documents)), split["held_out"]),
    )
    train = counts[split["train"]]
    topics = _top_words(model, train, vocabulary["word"].to_numpy(), params.n_top_words)
    metrics = {
        "n_documents": len(split["train"]),
        "n_words": counts.shape[1],
        "n_components": model.weights_.size,
        **measure(model, train, counts[split["held_out"]]),
        "n_iter": model.n_iter_,
        "fit_seconds": fit_record["fit_seconds"],
    }
    if "label" in documents:
        labels = documents["label"].to_numpy()[split["train"]]
        clusters = assignments["cluster"].to_numpy()[split["train"]]
        metrics["nmi"] = float(normalized_mutual_info_score(labels, clusters))
        metrics["ari"] = float(adjusted_rand_score(labels, clusters))
        metrics["accuracy"] = matched_accuracy(labels, clusters)
    return assignments, topics, metrics


def _top_words(
    model: MultinomialMixture, counts: sparse.csr_array, words: np.ndarray, n_top: int
) -> pd.DataFrame:
    rankings = {
        "probability": model.word_probabilities_,
        "lift": lift(model.word_probabilities_, counts),
    }
    tables = []
    for ranking, values in rankings.items():
        order = np.argsort(-values, axis=1, kind="stable")[:, :n_top]
        for cluster, columns in enumerate(order):
            tables.append(
                pd.DataFrame(
                    {
                        "cluster": cluster,
                        "ranking": ranking,
                        "rank": np.arange(1, len(columns) + 1),
                        "word": words[columns],
                        "value": values[cluster, columns],
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def report(
    model: MultinomialMixture,
    assignments: pd.DataFrame,
    topics: pd.DataFrame,
    metrics: dict[str, float],
    selection: pd.DataFrame,
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """Draw the figures over the training documents and write the report page.

    Returns
    -------
    mapping
        ``bound``, ``topics``, ``labels``, ``sizes`` and ``selection`` (Plotly figures) and ``page`` (HTML).
    """
    given = plain(parameters)
    n_clusters = model.weights_.size
    train = assignments[~assignments["held_out"]]
    figures = {
        "bound": reporting.clustering.bound_per_iteration(model.lower_bounds_, model.tempered_bounds_),
        "topics": reporting.clustering.topic_words(topics),
        "sizes": reporting.clustering.cluster_sizes(train["cluster"], n_clusters, model.weights_),
        "labels": (
            reporting.clustering.label_by_cluster(train["label"], train["cluster"], n_clusters)
            if "label" in train
            else reporting.absent("Labels by cluster", "The documents have no labels to compare with.")
        ),
    }
    if len(selection) > 1:
        figures["selection"] = reporting.selection.criteria_over_k(selection, given["select"]["criterion"])
    page = reporting.pages.clustering(figures, metrics, given)
    single = reporting.absent(
        "Choosing K",
        "One number of clusters was fitted; clustering.fit.n_components may be a list of several.",
    )
    return {"selection": single, **figures, "page": page}
