"""The collapsed Gibbs sampler of the Dirichlet multinomial mixture (GSDMM), as a peer.

Yin and Wang, "A Dirichlet multinomial mixture model-based approach for short text clustering", KDD 2014. It is our
own because no package on PyPI that is kept up has it: tweetopic wants scikit-learn below 1.4 and NumPy below 1.27,
GPyM-TM and fast-gsdmm have had no release since 2020 and 2021, and tomotopy's models draw a topic for every word.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import gammaln


def sweeps(
    T: sparse.csr_array, n_clusters: int, *, alpha: float, beta: float, seed: int
) -> Iterator[NDArray[np.intp]]:
    r"""Yield the clusters of the documents (D,) after each sweep over all of them, without end.

    One document d after the other leaves its cluster, and enters cluster k with a probability proportional to

    .. math:: (m_k + \alpha)
              \frac{\Gamma(n_k + V \beta)}{\Gamma(n_k + N_d + V \beta)}
              \prod_w \frac{\Gamma(n_{kw} + T_{dw} + \beta)}{\Gamma(n_{kw} + \beta)},

    where the other documents of k are m_k, with n_kw words of kind w and n_k in all; there are V kinds, and N_d
    words in d (equation 4 of the paper, without the denominator that is the same for all k). The first clusters
    are drawn with equal probabilities. Counts T (D, V) have to be whole.
    """
    rng = np.random.default_rng(seed)
    T = T.astype(np.intp)
    n_documents, n_words = T.shape
    lengths = T.sum(axis=1).tolist()
    words = np.split(T.indices, T.indptr[1:-1])
    counts = np.split(T.data[:, None], T.indptr[1:-1])

    clusters = rng.integers(n_clusters, size=n_documents)
    members = np.zeros((n_clusters, n_documents), dtype=np.intp)
    members[clusters, np.arange(n_documents)] = 1
    m = members.sum(axis=1)
    n_of_words = np.ascontiguousarray((members @ T).T)  # (V, K): a document reads whole rows
    n = n_of_words.sum(axis=0)
    # With whole counts, few logarithms are ever wanted.
    log_m = np.log(np.arange(n_documents) + alpha)
    log_gamma_n = gammaln(np.arange(n.sum() + 1) + n_words * beta)
    log_gamma_of_words = gammaln(np.arange(T.sum(axis=0).max() + 1) + beta)

    while True:
        # The cluster with the largest sum of log-probability and Gumbel noise is a draw by the probabilities.
        noise = rng.gumbel(size=(n_documents, n_clusters))
        for d in range(n_documents):
            old, length, count = clusters[d], lengths[d], counts[d]
            m[old] -= 1
            n[old] -= length
            others = n_of_words.take(words[d], axis=0)
            others[:, old] -= count[:, 0]
            score = (log_gamma_of_words.take(others + count) - log_gamma_of_words.take(others)).sum(axis=0)
            score += log_m.take(m) + log_gamma_n.take(n) - log_gamma_n.take(n + length) + noise[d]
            new = score.argmax()
            m[new] += 1
            n[new] += length
            if new != old:
                clusters[d] = new
                n_of_words[words[d], old] -= count[:, 0]
                n_of_words[words[d], new] += count[:, 0]
        yield clusters.copy()
