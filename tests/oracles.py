"""The mixture of multinomials by enumeration: plain loops over documents, components and words."""

from itertools import product
from math import exp, fsum, lgamma, log


def log_coefficient(document):
    return lgamma(sum(document) + 1) - fsum(lgamma(t + 1) for t in document)


def joint(document, pi, mu):
    """pi_k prod_w mu_kw^T_dw for every k; Python's 0.0 ** 0 is 1, as the model wants."""
    values = []
    for pi_k, mu_k in zip(pi, mu, strict=True):
        value = float(pi_k)
        for t, m in zip(document, mu_k, strict=True):
            value *= float(m) ** float(t)
        values.append(value)
    return values


def posterior(document, pi, mu, beta=1.0):
    values = [v**beta for v in joint(document, pi, mu)]
    return [v / fsum(values) for v in values]


def log_probability(document, pi, mu):
    return log_coefficient(document) + log(fsum(joint(document, pi, mu)))


def em_step(documents, pi, mu, smoothing, beta=1.0):
    """One E and M step: new pi, new mu."""
    gamma = [posterior(d, pi, mu, beta) for d in documents]
    n_components, n_words = len(pi), len(mu[0])
    new_pi = [fsum(g[k] for g in gamma) / len(documents) for k in range(n_components)]
    new_mu = []
    for k in range(n_components):
        counts = [
            smoothing + fsum(g[k] * d[w] for g, d in zip(gamma, documents, strict=True))
            for w in range(n_words)
        ]
        new_mu.append([c / fsum(counts) for c in counts])
    return new_pi, new_mu


def documents_of_length(n, n_words):
    """Every count vector with n words in all."""
    return [d for d in product(range(n + 1), repeat=n_words) if sum(d) == n]


def perplexity(documents, pi, mu):
    total = fsum(log(fsum(joint(d, pi, mu))) for d in documents)
    return exp(-total / sum(sum(d) for d in documents))
