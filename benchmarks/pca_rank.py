"""How often criteria find a planted rank: ten directions in noise, by how far the weakest stands out of it.

Strength is the variance of the weakest direction in multiples of sigma^2 sqrt(p / N), below which nothing tells a
direction from equal noise in large data (Baik, Ben Arous and Peche); the strongest of the ten has ten times as
much. The signal is the same throughout, and the noise as strong as that takes. Each cell has the share of the
draws in which ten were found and no more, and the mean of what was found. "told" is the share of the draws in
which the fit says what it may have missed: every planted direction that was left out has less than 1.25 times the
least detectable variance that it names, or the next one is detectable by its account.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from _common import machine, markdown, positive, timed
from latents.estimators import MinimumErrorPCA

RANK, SPREAD = 10, 10.0
SHAPES = ((500, 100), (100, 100), (100, 500))
STRENGTHS = (16.0, 8.0, 4.0, 2.0, 1.0, 0.5)
N_PERMUTATIONS = 19


def planted(
    shape: tuple[int, int], strength: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows of ten directions in noise, and the variances along these, noise included."""
    n, p = shape
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(p, RANK)))[0]
    variances = np.geomspace(SPREAD, 1.0, RANK)
    noise = 1 / (strength * np.sqrt(p / n))
    signal = (rng.normal(size=(n, RANK)) * np.sqrt(variances)) @ basis.T
    return signal + np.sqrt(noise) * rng.normal(size=shape), variances + noise


def permuted(X: NDArray[np.float64], seed: int) -> int:
    """Choose by Horn's analysis as it is done elsewhere: all columns permuted, nothing taken away first."""
    rng = np.random.default_rng(seed)
    centred = X - X.mean(axis=0)
    largest = [np.linalg.svd(rng.permuted(centred, axis=0), compute_uv=False) for _ in range(N_PERMUTATIONS)]
    above = np.linalg.svd(centred, compute_uv=False) > np.max(largest, axis=0)
    return int(above.argmin()) if not above.all() else len(above)


def evidence(X: NDArray[np.float64], seed: int) -> int:  # noqa: ARG001
    """Choose by Minka's evidence, which takes no fewer samples than features."""
    return MinimumErrorPCA("mle").fit(X).n_components_ if X.shape[0] >= X.shape[1] else -1


OTHERS: dict[str, Callable[[NDArray[np.float64], int], int]] = {
    "columns permuted": permuted,
    "mle": evidence,
}


def cell(shape: tuple[int, int], strength: float, draws: int) -> dict[str, Any]:
    """Return a line of the table."""
    found: dict[str, list[int]] = {}
    seconds: dict[str, list[float]] = {}
    told: dict[str, list[bool]] = {}
    for seed in range(draws):
        X, variances = planted(shape, strength, seed)
        for name in ("parallel", "cross_validation"):
            pca, taken = timed(partial(MinimumErrorPCA(name, random_state=seed).fit, X))
            d = pca.n_components_
            found.setdefault(name, []).append(d)
            seconds.setdefault(name, []).append(taken)
            missed = variances[d:]
            is_told = pca.is_detectable_[-1] or (missed < 1.25 * pca.least_detectable_variance_).all()
            told.setdefault(name, []).append(bool(is_told))
        for name, choose in OTHERS.items():
            d, taken = timed(partial(choose, X, seed))
            found.setdefault(name, []).append(d)
            seconds.setdefault(name, []).append(taken)
    row: dict[str, Any] = {"N x p": f"{shape[0]} x {shape[1]}", "strength": f"{strength:g}"}
    for name, numbers in found.items():
        of_all = np.array(numbers)
        row[name] = "-" if (of_all < 0).all() else f"{np.mean(of_all == RANK):.2f} ({of_all.mean():.1f})"
        if name in told:
            row[f"told, {name}"] = f"{np.mean(told[name]):.2f}"
    for name, values in seconds.items():
        row[f"ms, {name}"] = f"{1000 * np.median(values):.1f}"
    return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, choose, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=positive, default=100)
    parser.add_argument("--strengths", nargs="+", type=float, default=list(STRENGTHS))
    options = parser.parse_args(arguments)
    print(machine(), "\n")
    rows = [cell(shape, strength, options.draws) for shape in SHAPES for strength in options.strengths]
    print(markdown(pd.DataFrame(rows)))
    print(
        f"\nRank {RANK}, {options.draws} draws a line. (-: it takes no such data.) Columns permuted: "
        f"{N_PERMUTATIONS} times, above all of them."
    )


if __name__ == "__main__":
    main()
