"""From documents to clusters: the nodes of the clustering pipeline."""

import logging
import time
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from latents import reporting
from latents.estimators import MultinomialMixture
from latents.estimators.clustering_metrics import matched_accuracy, npmi_coherence
from latents.pipelines.clustering import reading
from latents.pipelines.clustering.parameters import (
    EvaluateParameters,
    FeaturesParameters,
    FitParameters,
    IngestParameters,
)
from latents.pipelines.shared import Monitor, Rows, SplitParameters, plain, split_rows

logger = logging.getLogger(__name__)

# NPMI is that of the top 10 words whatever is shown, so that runs can be compared.
COHERENCE_WORDS = 10


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
    counts: sparse.csr_array, split: Rows, params: FitParameters, monitor: Monitor
) -> tuple[MultinomialMixture, dict[str, Any], dict[str, float]]:
    """Fit the mixture to the training documents.

    Returns
    -------
    model : MultinomialMixture
        The fitted mixture.
    mlflow_model : mapping
        The mixture and an example of its input, for MLflow.
    fit_record : mapping
        ``fit_seconds``.

    Raises
    ------
    ValueError
        If an entry of `counts` is no number of occurrences, or documents are held out from a model without
        smoothing, which calls documents with new words impossible.
    """
    check_counts(counts)
    if params.smoothing == 0 and len(split["held_out"]):
        raise ValueError(
            "clustering.fit.smoothing is 0 and documents are held out: one with a word unseen in training would "
            "be impossible; allowed are a smoothing above 0, or a clustering.split.held_out_fraction of 0"
        )
    train = counts[split["train"]]
    model = MultinomialMixture(**params.model_dump())
    started = time.perf_counter()
    with monitor.watch("EM") as callback:
        model.fit(train, callback=callback)
    seconds = time.perf_counter() - started
    example = train[:2].toarray().astype(np.float64)
    return model, {"estimator": model, "input_example": example}, {"fit_seconds": seconds}


def evaluate(
    model: MultinomialMixture,
    counts: sparse.csr_array,
    vocabulary: pd.DataFrame,
    documents: pd.DataFrame,
    split: Rows,
    fit_record: dict[str, float],
    params: EvaluateParameters,
) -> dict[str, Any]:
    """Assign every document, name the clusters, choose documents to read, and measure the fit.

    Returns
    -------
    mapping
        ``assignments``, ``topics``, ``clusters``, ``examples`` and ``map`` (tables, see
        ``pipelines.clustering.reading``) and ``metrics``: flat names and numbers; those that need labels,
        held-out words or pairs of words only where there are any.
    """
    responsibilities = model.predict_proba(counts)
    assignments = documents.drop(columns=["text", "held_out"], errors="ignore").assign(
        cluster=responsibilities.argmax(axis=1),
        probability=responsibilities.max(axis=1),
        n_tokens=counts.sum(axis=1),
        held_out=np.isin(np.arange(len(documents)), split["held_out"]),
    )
    train = counts[split["train"]]
    top_columns = np.argsort(-model.word_probabilities_, axis=1, kind="stable")[:, :COHERENCE_WORDS]
    metrics = {
        "n_documents": len(split["train"]),
        "n_words": counts.shape[1],
        "n_components": model.weights_.size,
        "log_likelihood": float(model.score_samples(train).sum()),
        "bic": model.bic(train),
        "icl": model.icl(train),
        "n_iter": model.n_iter_,
        "fit_seconds": fit_record["fit_seconds"],
    }
    if top_columns.shape[1] > 1:
        metrics["npmi"] = npmi_coherence(train, top_columns)
    if counts[split["held_out"]].sum() > 0:
        metrics["heldout_perplexity"] = model.perplexity(counts[split["held_out"]])
    if "label" in documents:
        labels = documents["label"].to_numpy()[split["train"]]
        clusters = assignments["cluster"].to_numpy()[split["train"]]
        metrics["nmi"] = float(normalized_mutual_info_score(labels, clusters))
        metrics["ari"] = float(adjusted_rand_score(labels, clusters))
        metrics["accuracy"] = matched_accuracy(labels, clusters)
    tables = reading.read(model, counts, vocabulary["word"].to_numpy(), documents, assignments, params)
    return {**tables, "metrics": metrics}


def report(
    model: MultinomialMixture,
    documents: pd.DataFrame,
    assignments: pd.DataFrame,
    topics: pd.DataFrame,
    clusters: pd.DataFrame,
    examples: pd.DataFrame,
    positions: pd.DataFrame,
    metrics: dict[str, float],
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """Draw the figures, over the training documents but for the map, and write the report page.

    Returns
    -------
    mapping
        ``bound``, ``topics``, ``labels``, ``sizes`` and ``map`` (Plotly figures), ``page`` and ``map_page``
        (HTML).
    """
    names = clusters["name"].tolist()
    train = assignments[~assignments["held_out"]]
    figures = {
        "bound": reporting.clustering.bound_per_iteration(model.lower_bounds_, model.tempered_bounds_),
        "topics": reporting.clustering.topic_words(topics[topics["cluster"].isin(train["cluster"])], names),
        "sizes": reporting.clustering.cluster_sizes(train["cluster"], names, model.weights_),
        "labels": (
            reporting.clustering.label_by_cluster(train["label"], train["cluster"], names)
            if "label" in train
            else reporting.absent("Labels by cluster", "The documents have no labels to compare with.")
        ),
        "map": reading.draw_map(positions, documents, assignments, names),
    }
    quotations = reading.quote(examples, clusters)
    return {
        **figures,
        "page": reporting.pages.clustering(figures, quotations, metrics, plain(parameters)),
        "map_page": reporting.pages.document_map(figures["map"]),
    }
