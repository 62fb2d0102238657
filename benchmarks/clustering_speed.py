"""Time the mixture: one E+M pass against the same formulas elsewhere, and whole fits against the peers.

``passes`` times one E step and one M step on 20 Newsgroups, ours beside scipy.sparse and dense NumPy, and stops if
they do not agree. ``fits`` times whole fits with default settings, without and with the making of features.
In both, what is compared takes turns in one process; medians are reported.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from _common import (
    CORPORA,
    Corpus,
    interleaved,
    machine,
    markdown,
    positive,
    read_corpora,
    settings,
    spread,
    timed,
)
from _methods import METHODS, OURS, REFERENCE, available
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import Parameters, e_step, m_step
from latents.features.words import count_words

SMOOTHING = 0.3
FITS = [OURS, "k-means", REFERENCE, "nmf", "lda"]
TARGET_PASS = 0.30
TARGET_FIT = 0.5
# Relative, in the log-likelihood and in probability mass: wide enough for an E step in float32.
TOLERANCE = 1e-4


class Start(NamedTuple):
    """The parameters that a pass begins with."""

    weights: NDArray[np.float64]
    word_probabilities: NDArray[np.float64]


class Outcome(NamedTuple):
    """What a pass yields: the next parameters, and the log-likelihood of those it was given."""

    weights: NDArray[np.float64]
    word_probabilities: NDArray[np.float64]
    log_likelihood: float


class Pass(NamedTuple):
    """An E and an M step: `run` takes and gives log pi and log mu in a form of its own, which `read` tells."""

    run: Callable[[], Any]
    read: Callable[[Any], Outcome]


def ours(T: sparse.csr_array, start: Start) -> Pass:
    """Prepare the product's own pass, as plain EM takes it."""
    counts = Counts(T.astype(np.float64), torch.device("cpu"), len(start.weights))
    parameters = Parameters.of(start.weights, start.word_probabilities)

    def run() -> tuple[Parameters, float]:
        statistics = e_step(counts, parameters)
        return m_step(statistics, SMOOTHING), statistics.log_likelihood

    def read(found: tuple[Parameters, float]) -> Outcome:
        return Outcome(*found[0].arrays(), found[1])

    return Pass(run, read)


def ours_annealing(T: sparse.csr_array, start: Start) -> Pass:
    """Prepare the same as annealing computes it: in single precision, relative to the words' frequencies."""
    counts = Counts(T.astype(np.float64), torch.device("cpu"), len(start.weights)).single_precision()
    frequencies = np.maximum(T.sum(axis=0), 1)
    log_p = torch.log(torch.from_numpy(frequencies / frequencies.sum()))[:, None]
    offset = float((counts.T @ log_p.numpy()).sum())
    log_pi, log_mu = Parameters.of(start.weights, start.word_probabilities)
    relative = Parameters(log_pi.float(), (log_mu - log_p).float())
    log_p = log_p.float()

    def run() -> tuple[Parameters, float]:
        statistics = e_step(counts, relative)
        log_pi, log_mu = m_step(statistics, SMOOTHING)
        return Parameters(log_pi, log_mu.sub_(log_p)), statistics.log_likelihood

    def read(found: tuple[Parameters, float]) -> Outcome:
        log_pi, log_lift = found[0]
        return Outcome(*Parameters(log_pi.double(), log_lift.double() + log_p).arrays(), found[1] + offset)

    return Pass(run, read)


def with_scipy(T: sparse.csr_array, start: Start) -> Pass:
    """Prepare the formulas in scipy.sparse."""
    return _in_numpy(T, T.T, start)


def with_scipy_twice(T: sparse.csr_array, start: Start) -> Pass:
    """Prepare the formulas in scipy.sparse, with a second copy of the counts whose rows are words."""
    return _in_numpy(T, T.T.tocsr(), start)


def with_dense(T: sparse.csr_array, start: Start) -> Pass:
    """Prepare the formulas in dense NumPy, zeros and all."""
    dense = T.toarray()
    return _in_numpy(dense, dense.T, start)


def _in_numpy(T: Any, transposed: Any, start: Start) -> Pass:
    """Prepare the formulas in float64 for whatever can be multiplied, on log mu' of shape (W, K)."""
    log_pi, log_mu = np.log(start.weights), np.ascontiguousarray(np.log(start.word_probabilities).T)

    def run() -> tuple[Any, Any, float]:
        gamma = T @ log_mu
        gamma += log_pi
        top = gamma.max(axis=1, keepdims=True)
        gamma -= top
        np.exp(gamma, out=gamma)
        total = gamma.sum(axis=1, keepdims=True)
        gamma /= total
        words = transposed @ gamma
        words += SMOOTHING
        words /= words.sum(axis=0)
        return np.log(gamma.mean(axis=0)), np.log(words, out=words), float(top.sum() + np.log(total).sum())

    def read(found: tuple[Any, Any, float]) -> Outcome:
        return Outcome(np.exp(found[0]), np.exp(found[1]).T, found[2])

    return Pass(run, read)


PASSES = {
    "ours": ours,
    "ours, annealing (float32)": ours_annealing,
    "scipy.sparse": with_scipy,
    "scipy.sparse, transpose kept": with_scipy_twice,
    "dense NumPy": with_dense,
}


def starting_point(T: sparse.csr_array, n_components: int) -> Start:
    """Return the parameters of a partition drawn at random."""
    rng = np.random.default_rng(0)
    gamma = sparse.csr_array(np.eye(n_components)[rng.integers(n_components, size=T.shape[0])])
    counts = (gamma.T @ T).toarray() + SMOOTHING
    return Start(gamma.mean(axis=0), counts / counts.sum(axis=1, keepdims=True))


def disagreement(one: Outcome, other: Outcome) -> float:
    """Return the largest of three differences.

    They are the relative one of the log-likelihoods, and the total variation between the weights and between the
    word probabilities of a component.
    """
    return max(
        abs(one.log_likelihood - other.log_likelihood) / abs(other.log_likelihood),
        float(np.abs(one.weights - other.weights).sum() / 2),
        float(np.abs(one.word_probabilities - other.word_probabilities).sum(axis=1).max() / 2),
    )


def check_agreement(T: sparse.csr_array, start: Start) -> float:
    """Return the largest disagreement of any implementation with scipy.sparse.

    Raises
    ------
    ValueError
        If one is beyond the tolerance.
    """
    passes = {name: prepare(T, start) for name, prepare in PASSES.items()}
    outcomes = {name: one.read(one.run()) for name, one in passes.items()}
    differences = {name: disagreement(found, outcomes["scipy.sparse"]) for name, found in outcomes.items()}
    for name, difference in differences.items():
        if not difference <= TOLERANCE:
            raise ValueError(
                f"{name} differs from scipy.sparse by {difference:.1e}; allowed is {TOLERANCE:.0e}"
            )
    return max(differences.values())


def time_passes(corpus: Corpus, components: Sequence[int], repetitions: int, dense_gib: float) -> None:
    """Print a table of one pass for every K."""
    T = corpus.counts
    n_dense = max(1, min(T.shape[0], int(dense_gib * 2**30 / (8 * T.shape[1]))))
    slice_ = T[:n_dense]
    print(
        f"One E+M pass on {corpus.name}: {T.shape[0]:,} documents x {T.shape[1]:,} words, {T.nnz:,} non-zeros, "
        f"medians of {repetitions}"
    )
    if n_dense < T.shape[0]:
        print(
            f"(dense NumPy: {n_dense:,} documents, which are {dense_gib} GiB; its milliseconds are scaled by "
            f"{T.shape[0] / n_dense:.2f}. --dense-gib {8 * T.shape[0] * T.shape[1] / 2**30:.1f} takes all)"
        )
    rows, verdicts = [], []
    for n_components in components:
        start = starting_point(T, n_components)
        difference = check_agreement(slice_, start)
        passes = {
            name: prepare(slice_ if name == "dense NumPy" else T, start) for name, prepare in PASSES.items()
        }
        # The threads of the dense products linger and would slow what comes next: they have turns of their own.
        dense = passes.pop("dense NumPy")
        seconds = interleaved({name: one.run for name, one in passes.items()}, repetitions)
        seconds |= interleaved({"dense NumPy": dense.run}, repetitions)
        seconds["dense NumPy"] *= T.shape[0] / n_dense
        fastest_scipy = min(np.median(seconds[name]) for name in PASSES if name.startswith("scipy"))
        for name, values in seconds.items():
            ratio = np.median(values) / fastest_scipy
            rows.append(
                {"pass": name, "K": n_components, "ms": spread(1e3 * values, 1), "to scipy": f"{ratio:.2f}"}
            )
        for name in ("ours", "ours, annealing (float32)"):
            ratio = np.median(seconds[name]) / fastest_scipy
            met = "met" if ratio <= TARGET_PASS else "missed"
            verdicts.append(
                f"K = {n_components}: {name} takes {ratio:.2f} of the faster scipy pass (target "
                f"{TARGET_PASS:.2f}: {met}); all agree to {difference:.0e}"
            )
    print(f"\n{markdown(pd.DataFrame(rows))}\n")
    print("\n".join(verdicts), "\n")


def make_features(corpus: Corpus, method: str) -> object:
    """Turn texts into what a method wants, by the tools that its users would take."""
    if method == OURS:
        features = settings("parameters", "base")["features"] | corpus.words
        features["ngram_range"] = tuple(features["ngram_range"])
        return count_words(corpus.texts, **features)
    if METHODS[method].features == "tf-idf":
        return TfidfVectorizer(sublinear_tf=True, **corpus.words).fit_transform(corpus.texts)
    return CountVectorizer(**corpus.words).fit_transform(corpus.texts)


def time_fits(corpus: Corpus, methods: Sequence[str], repetitions: int) -> None:
    """Print a table of whole fits: each round fits every method once, with a seed of its own."""
    features = {name: corpus.features(METHODS[name].features) for name in methods}
    rounds = []
    for seed in range(repetitions):
        first = seed % len(methods)
        for name in [*methods[first:], *methods[:first]]:
            making = timed(lambda name=name: make_features(corpus, name))[1]
            clusters, fitting = timed(
                lambda name=name, seed=seed: METHODS[name].fit_predict(
                    features[name], corpus.n_clusters, seed
                )
            )
            nmi = corpus.quality(clusters)["nmi"]
            rounds.append({"method": name, "fit": fitting, "both": making + fitting, "nmi": nmi})
            print(f"{name}, seed {seed}: features {making:.1f} s, fit {fitting:.1f} s", flush=True)
    by_method = pd.DataFrame(rounds).groupby("method")
    medians = by_method[["fit", "both"]].median()
    ratios = medians / medians.loc[REFERENCE]
    table = pd.DataFrame(
        {
            "method": METHODS[name].title,
            "fit, s": spread(by_method.get_group(name)["fit"], 2),
            "to LSA + k-means": f"{ratios['fit'][name]:.2f}",
            "features and fit, s": spread(by_method.get_group(name)["both"], 2),
            "to LSA + k-means (both)": f"{ratios['both'][name]:.2f}",
            "NMI": f"{by_method.get_group(name)['nmi'].median():.3f}",
        }
        for name in methods
    )
    print(
        f"\nWhole fits with prediction on {corpus.name}: {corpus.counts.shape[0]:,} documents, K = "
        f"{corpus.n_clusters}, medians of {repetitions}\n\n{markdown(table)}\n"
    )
    if OURS in methods:
        met = "met" if ratios["fit"][OURS] <= TARGET_FIT else "missed"
        print(f"Ours takes {ratios['fit'][OURS]:.2f} of LSA + k-means (target {TARGET_FIT}: {met})\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    texts = [name for name in CORPORA if name != "digits"]
    parser.add_argument("--parts", nargs="+", choices=["passes", "fits"], default=["passes", "fits"])
    parser.add_argument("--corpus", choices=texts, default="newsgroups")
    parser.add_argument("--components", nargs="+", type=positive, default=[20, 100], help="K of the passes")
    parser.add_argument("--pass-repetitions", type=positive, default=15)
    parser.add_argument("--dense-gib", type=float, default=1.0, help="memory for the dense counts")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=FITS)
    parser.add_argument("--fit-repetitions", type=positive, default=3)
    parser.add_argument("--documents", type=positive, help="take this many documents, for a try")
    options = parser.parse_args(arguments)
    if REFERENCE not in options.methods:
        parser.error(f"--methods must have {REFERENCE}, which the others are held against")

    print(machine(), "\n")
    (corpus,) = read_corpora([options.corpus], options.documents)
    if "passes" in options.parts:
        time_passes(corpus, options.components, options.pass_repetitions, options.dense_gib)
    if "fits" in options.parts:
        time_fits(corpus, available(options.methods), options.fit_repetitions)


if __name__ == "__main__":
    main()
