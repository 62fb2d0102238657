"""From new documents to their clusters and nearest relatives: the nodes of the pipeline."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from latents import reporting
from latents.estimators.common.blocks import Blocks
from latents.features.block_counts import BlockCounts
from latents.features.documents import DocumentBlocks, Documents, excerpts, told_of
from latents.features.nearest import nearest
from latents.features.words import count_vocabulary
from latents.pipelines import bags
from latents.pipelines.clustering_inference.parameters import NearestParameters, PredictParameters
from latents.pipelines.documents import IngestParameters, read_documents
from latents.predictors import ClusteringPredictor

logger = logging.getLogger(__name__)

_DIFFERENT = ": they are of different trainings; run the pipeline clustering as a whole"


def ingest(
    predictor: ClusteringPredictor,
    raw_documents: pd.DataFrame | Mapping[str, Any] | Blocks[pd.DataFrame],
    params: IngestParameters,
) -> tuple[Documents, bags.Bag]:
    """Read new documents as those of training are read; labels may be missing.

    Words that a file knows by numbers are numbered as in the training, where the file does not say it.

    Returns
    -------
    documents : DataFrame or DocumentBlocks
        ``text`` and, where given, ``label`` and ``name`` (see ``Read``).
    bag : mapping
        The counts and words of a bag; of texts nothing.

    Raises
    ------
    ValueError
        If there is no document or no text column, a value is of another kind than texts and
        numbers, a count of a bag is no number of occurrences, or nothing tells how its words are numbered.
    """
    read = read_documents(raw_documents, params, predictor.first_word)
    return read.documents, read.bag


def count_words(predictor: ClusteringPredictor, documents: Documents, bag: bags.Bag) -> sparse.csr_array:
    """Count the words that the model knows, (n_documents, n_words).

    Raises
    ------
    ValueError
        If the documents are a bag of words, and the model counts n-grams.
    """
    if bag:
        counts = predictor.count_bag(*bags.counts_of(bag))
    elif isinstance(documents, DocumentBlocks):
        count = partial(count_vocabulary, vocabulary=predictor.vocabulary, rules=predictor.rules)
        counts = sparse.csr_array(sparse.vstack(documents.texts.each(count), format="csr"))
    else:
        counts = predictor.count(documents["text"].tolist())
    unknown = (counts.sum(axis=1) == 0).nonzero()[0]
    if len(unknown):
        logger.warning(
            "%d of %d documents have no word that the model knows (the first is row %d); their responsibilities "
            "are the mixing weights",
            len(unknown),
            len(documents),
            unknown[0],
        )
    return counts


def predict(
    predictor: ClusteringPredictor,
    counts: sparse.csr_array,
    documents: Documents,
    params: PredictParameters,
) -> pd.DataFrame:
    """Say which cluster each document belongs to, and which words have decided.

    Returns
    -------
    DataFrame
        ``name`` and ``label``, where given, and the columns of ``ClusteringPredictor.predict``.
    """
    table = predictor.predict_counts(counts, n_deciding_words=params.n_deciding_words)
    told = told_of(documents)
    known = [column for column in ("name", "label") if column in told]
    return pd.concat([told[known], table], axis=1)


def find_nearest(
    predictor: ClusteringPredictor,
    counts: sparse.csr_array,
    documents: Documents,
    trained_counts: sparse.csr_array | BlockCounts,
    trained_vocabulary: pd.DataFrame,
    trained_documents: Documents,
    trained_assignments: pd.DataFrame,
    trained_clusters: pd.DataFrame,
    params: NearestParameters,
) -> pd.DataFrame:
    """Find the training documents that use the same words: cosine similarity of tf-idf weights.

    Returns
    -------
    DataFrame
        For each document the nearest first: ``document`` (its row) and ``document_name``, where given; ``rank``
        from 1, ``similarity`` in (0, 1], ``row`` among the documents of training, the ``cluster``,
        ``cluster_name`` and, where known, ``label`` and ``name`` of that one, and an ``excerpt``. A document
        without words that the model knows has none.

    Raises
    ------
    ValueError
        If the predictor and the tables of training, or these among themselves, are of different trainings.
    """
    _check_one_training("word", predictor.vocabulary, "vocabulary", trained_vocabulary["word"])
    _check_one_training("cluster", predictor.cluster_names, "clusters", trained_clusters["name"])
    _check_sizes("clustering.counts", trained_counts.shape, (len(trained_documents), len(trained_vocabulary)))
    _check_sizes("clustering_inference.counts", counts.shape, (len(documents), len(trained_vocabulary)))
    _check_sizes("clustering.assignments", (len(trained_assignments),), (len(trained_documents),))
    has_words = trained_counts.sum(axis=1) > 0
    candidates = np.flatnonzero(has_words & ~trained_assignments["held_out"].to_numpy(dtype=bool))
    asked = np.flatnonzero(counts.sum(axis=1) > 0)
    relatives = nearest(counts[asked], trained_counts[candidates], params.n_neighbours)
    n_found = relatives.rows.shape[1]
    rows = candidates[relatives.rows.ravel()]
    found = pd.DataFrame(
        {
            "document": np.repeat(asked, n_found),
            "rank": np.tile(np.arange(1, n_found + 1), len(asked)),
            "similarity": relatives.similarities.ravel(),
            "row": rows,
        }
    )
    if "name" in documents:
        found.insert(1, "document_name", documents["name"].to_numpy()[found["document"]])
    for column in ("cluster", "cluster_name", "label", "name"):
        if column in trained_assignments:
            found[column] = trained_assignments[column].to_numpy()[rows]
    found["excerpt"] = excerpts(trained_documents, rows, params.excerpt_length)
    return found[found["similarity"] > 0].reset_index(drop=True)


def _check_one_training(what: str, own: Sequence[str], entry: str, found: pd.Series) -> None:
    """Refuse words or clusters of a training that are not the predictor's."""
    if len(own) != len(found):
        raise ValueError(
            f"the predictor has {len(own)} {what}s and clustering.{entry} {len(found)}{_DIFFERENT}"
        )
    for place, (one, other) in enumerate(zip(own, found, strict=True)):
        if one != other:
            raise ValueError(
                f"{what} {place} of the predictor is {one!r:.80} and of clustering.{entry} {other!r:.80}"
                f"{_DIFFERENT}"
            )


def _check_sizes(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Refuse a table of another run, by its shape (n_documents[, n_words])."""
    if shape != wanted:
        raise ValueError(
            f"{name} has shape {shape}, and documents and words make {wanted}: they are of different runs; run "
            f"the pipeline {name.split('.')[0]} as a whole"
        )


def report(predictor: ClusteringPredictor, assignments: pd.DataFrame) -> Any:
    """Draw how many of the documents are in each cluster, beside what the weights expect (a Plotly figure)."""
    return reporting.clustering.cluster_sizes(
        assignments["cluster"], predictor.cluster_names, predictor.model.weights_
    )
