"""Ways to put documents into K clusters: the mixture of multinomials and its peers from scikit-learn.

Every peer has the settings that did best on 20 Newsgroups among the usual ones, so that none loses for want of
care. None sees a label.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, LatentDirichletAllocation, TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import normalize

from latents.estimators import MultinomialMixture

Clusters = NDArray[np.intp]


class Method(NamedTuple):
    """A way to cluster: ``fit_predict(features, K, seed)``, on the features it wants."""

    title: str
    features: str
    fit_predict: Callable[[sparse.csr_array, int, int], Clusters]
    settings: str


def _mixture(**options: Any) -> Callable[[sparse.csr_array, int, int], Clusters]:
    def fit_predict(counts: sparse.csr_array, n_clusters: int, seed: int) -> Clusters:
        return MultinomialMixture(n_clusters, random_state=seed, **options).fit_predict(counts)

    return fit_predict


def _k_means(tfidf: sparse.csr_array, n_clusters: int, seed: int) -> Clusters:
    return KMeans(n_clusters, n_init=5, random_state=seed).fit_predict(tfidf)


def _lsa_k_means(tfidf: sparse.csr_array, n_clusters: int, seed: int) -> Clusters:
    n_directions = min(100, min(tfidf.shape) - 1)
    reduced = normalize(TruncatedSVD(n_directions, random_state=seed).fit_transform(tfidf))
    return KMeans(n_clusters, n_init=5, random_state=seed).fit_predict(reduced)


def _nmf(**how: Any) -> Callable[[sparse.csr_array, int, int], Clusters]:
    def fit_predict(tfidf: sparse.csr_array, n_clusters: int, seed: int) -> Clusters:
        model = NMF(n_clusters, random_state=seed, **how)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # clusters no longer change by then
            weights = model.fit_transform(tfidf)
        # A topic's scale can move between its two factors; with words that sum to 1 the weights can be compared.
        return np.argmax(weights * model.components_.sum(axis=1), axis=1)

    return fit_predict


def _lda(counts: sparse.csr_array, n_clusters: int, seed: int) -> Clusters:
    # Processes take seconds to start: on small corpora one is sooner done than all cores.
    n_jobs = -1 if counts.nnz > 500_000 else None
    model = LatentDirichletAllocation(n_clusters, max_iter=20, n_jobs=n_jobs, random_state=seed)
    return np.argmax(model.fit_transform(counts), axis=1)


METHODS = {
    "mixture": Method("MultinomialMixture", "counts", _mixture(), "defaults"),
    "mixture-4": Method(
        "MultinomialMixture, best of 4", "counts", _mixture(n_init=4), "defaults but n_init=4"
    ),
    "k-means": Method("k-means", "tf-idf", _k_means, "n_init=5"),
    "lsa-k-means": Method(
        "LSA + k-means", "tf-idf", _lsa_k_means, "TruncatedSVD(100), rows normalised, then KMeans(n_init=5)"
    ),
    "nmf": Method(
        "NMF",
        "tf-idf",
        _nmf(init="random", max_iter=400),
        "squared error, init='random', argmax of the weights of topics that sum to 1",
    ),
    "nmf-kl": Method(
        "NMF, Kullback-Leibler",
        "tf-idf",
        _nmf(init="nndsvda", solver="mu", beta_loss="kullback-leibler", max_iter=200),
        "the same with KL divergence, multiplicative updates and init='nndsvda'",
    ),
    "lda": Method("LDA", "counts", _lda, "variational, batch, 20 passes, argmax of the topic proportions"),
}
OURS = "mixture"
REFERENCE = "lsa-k-means"
