"""Answers by brute force: the mixture of multinomials in plain loops, and masses of grey values one by one."""

from itertools import product
from math import exp, fsum, lgamma, log

import numpy as np
from scipy.stats import logistic


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


def discretised_logistic_masses(mean, scale):
    """P(k) of the grey values 0, ..., 255: black has all below it, white all above it."""
    low, high = (np.arange(256) - 0.5) / 255, (np.arange(256) + 0.5) / 255
    low[0], high[-1] = -np.inf, np.inf
    # By the tail that is small, or the difference would be of numbers near one.
    below = logistic.cdf(high, mean, scale) - logistic.cdf(low, mean, scale)
    above = logistic.sf(low, mean, scale) - logistic.sf(high, mean, scale)
    return np.where(low > mean, above, below)


def discretised_mixture_masses(shares, means, scales):
    return sum(
        share * discretised_logistic_masses(mean, scale)
        for share, mean, scale in zip(shares, means, scales, strict=True)
    )


def discretised_colour_masses(shares, means, scales, coefficients, red):
    """P(red, green, blue) of all greens (rows) and blues (columns); the parameters are of shape (3, K)."""
    total = np.zeros((256, 256))
    for k, share in enumerate(shares):
        off_red = red / 255 - means[0, k]
        of_red = discretised_logistic_masses(means[0, k], scales[0, k])[red]
        of_green = discretised_logistic_masses(means[1, k] + coefficients[0, k] * off_red, scales[1, k])
        for green in range(256):
            off_green = green / 255 - means[1, k]
            m_blue = means[2, k] + coefficients[1, k] * off_red + coefficients[2, k] * off_green
            total[green] += (
                share * of_red * of_green[green] * discretised_logistic_masses(m_blue, scales[2, k])
            )
    return total
