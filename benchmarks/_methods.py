"""Ways to put documents into K clusters: the mixture of multinomials and its peers.

Every peer has the settings that did best on 20 Newsgroups among the usual ones, so that none loses for want of
care; the Gibbs sampler has its usual ones. None sees a label.
"""

import warnings
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, LatentDirichletAllocation, TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import normalize

from _gibbs import sweeps
from latents.estimators import MultinomialMixture

Clusters = NDArray[np.intp]


class Method(NamedTuple):
    """A way to cluster: ``fit_predict(features, K, seed)``, on the features it wants.

    `module` comes with the extra ``benchmarks``; `available` tells whether it is there.
    """

    title: str
    features: str
    fit_predict: Callable[[sparse.csr_array, int, int], Clusters]
    settings: str
    module: str | None = None


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


def _n_jobs(counts: sparse.csr_array) -> int:
    # Processes take seconds to start: on small corpora one is sooner done than all cores.
    return -1 if counts.nnz > 500_000 else 1


def _lda(counts: sparse.csr_array, n_clusters: int, seed: int) -> Clusters:
    model = LatentDirichletAllocation(n_clusters, max_iter=20, n_jobs=_n_jobs(counts), random_state=seed)
    return np.argmax(model.fit_transform(counts), axis=1)


def _sib(counts: sparse.csr_array, n_clusters: int, seed: int) -> Clusters:
    from sib import SIB

    model = SIB(n_clusters, uniform_prior=False, n_jobs=_n_jobs(counts), random_state=seed)
    return model.fit_predict(sparse.csr_matrix(counts))  # it knows no sparse arrays


def _gibbs(counts: sparse.csr_array, n_clusters: int, seed: int) -> Clusters:
    states = sweeps(counts, n_clusters, alpha=0.1, beta=0.1, seed=seed)
    return next(islice(states, 199, None))


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
    "sib": Method(
        "sIB",
        "counts",
        _sib,
        "sequential information bottleneck, best of 10, documents weighted by their length",
        module="sib",
    ),
    "gibbs": Method(
        "Gibbs sampling",
        "counts",
        _gibbs,
        "collapsed, of the Dirichlet multinomial mixture, alpha = beta = 0.1, the last of 200 sweeps",
    ),
}
OURS = "mixture"
REFERENCE = "lsa-k-means"


def available(names: Iterable[str]) -> list[str]:
    """Return those of the methods that can run here, and say of each other one what it takes."""
    found = []
    for name in names:
        method = METHODS[name]
        if method.module is None or find_spec(method.module):
            found.append(name)
        else:
            print(
                f"No {method.title}, for there is no module {method.module}; going on without it. To have it: "
                "pip install --constraint constraints.txt --editable '.[benchmarks]'\n"
            )
    if not found:
        raise SystemExit("No method is left.")
    return found
