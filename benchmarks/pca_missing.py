"""Rebuild missing pixels of MNIST: MinimumErrorPCA beside scikit-learn's imputers and PCA.

From 5,000 images, pixels from 0 to 1, shares of the pixels are taken away at random. The error is the mean
squared one of the pixels taken: as imputed (ours, IterativeImputer), or as PCA rebuilds them (where their means
were put for them). Seconds are of a fit and what it imputes; of the peers, of both their steps. All have the same
number of components, d. It is chosen by pixels that are observed: a twentieth of those of every second row are
hidden too, and the d that rebuilds these best, by ours, is taken for all. No method is shown a missing pixel. What
the choice takes is told apart. IterativeImputer keeps a covariance of all columns for each column and round: 38 GB
for all 784 pixels, half a GB for 196. Where MNIST is not to be had, random numbers of a like spectrum stand in.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer

from _common import machine, markdown, positive, spread, timed
from latents.estimators import MinimumErrorPCA
from pca_speed import tall

_HIDDEN = 20  # one observed pixel in so many is hidden where d is chosen


def without(X: NDArray[Any], share: float, seed: int = 0) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return X with a share of its numbers missing, and which."""
    gone = np.random.default_rng(seed).random(X.shape) < share
    return np.where(gone, np.nan, X).astype(X.dtype), gone


def ours(Y: NDArray[Any], d: int) -> NDArray[Any]:
    """Fit to the incomplete rows, and impute what they lack."""
    return MinimumErrorPCA(d, missing="em").fit(Y).impute(Y)


def iterative(Y: NDArray[Any], d: int) -> NDArray[Any]:
    """Impute by regressions of each column on all others, in rounds, and fit PCA to the outcome."""
    full = IterativeImputer(random_state=0).fit_transform(Y)
    PCA(d).fit(full)
    return full


def mean_imputed(Y: NDArray[Any], d: int) -> NDArray[Any]:
    """Put means for what is missing, fit PCA, and rebuild."""
    full = SimpleImputer().fit_transform(Y)
    pca = PCA(d).fit(full)
    return pca.inverse_transform(pca.transform(full))


METHODS = {
    "ours": ours,
    "IterativeImputer, then PCA": iterative,
    "mean-imputed PCA": mean_imputed,
}


def error(found: NDArray[Any], X: NDArray[Any], gone: NDArray[np.bool_]) -> float:
    """Return the mean squared error of what is missing."""
    return float(np.square(found - X, dtype=np.float64)[gone].mean())


def chosen(Y: NDArray[Any], dimensions: Sequence[int]) -> int:
    """Return the d that rebuilds best what is observed of every second row, a part of it hidden."""
    Y = Y[::2]
    hidden = (np.random.default_rng(1).random(Y.shape) < 1 / _HIDDEN) & ~np.isnan(Y)
    shown = np.where(hidden, np.nan, Y).astype(Y.dtype)
    return min(dimensions, key=lambda d: error(ours(shown, d), Y, hidden))


def compare(X: NDArray[Any], share: float, dimensions: Sequence[int], methods: Sequence[str], n: int) -> None:
    """Print a table of the methods where a share of the pixels is missing."""
    Y, gone = without(X, share)
    d, choice = timed(lambda: chosen(Y, dimensions))
    rows, of_iterative = [], None
    for name in sorted(methods, key=list(METHODS).index, reverse=True):
        repetitions = 1 if name.startswith("Iterative") else n
        runs = [timed(lambda name=name: METHODS[name](Y, d)) for _ in range(repetitions)]
        seconds = np.array([run[1] for run in runs])
        if name.startswith("Iterative"):
            of_iterative = float(np.median(seconds))
        to_iterative = "" if of_iterative is None else f"{np.median(seconds) / of_iterative:.3f}"
        rows.append(
            {
                "pixels from": name,
                "error": f"{error(runs[0][0], X, gone):.4f}",
                "s": spread(seconds, 3),
                "to IterativeImputer": to_iterative,
            }
        )
    print(
        f"{share:.0%} missing, {len(X):,} x {X.shape[1]}: d = {d}, of {list(dimensions)} ({choice:.1f} s)\n"
    )
    print(markdown(pd.DataFrame(rows[::-1])), "\n", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare at each share that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.3, 0.5])
    parser.add_argument("--images", type=positive, default=5000)
    parser.add_argument("--pixels", type=positive, default=784, help="take so many of each, evenly, or fewer")
    parser.add_argument("--components", nargs="+", type=positive, default=[50, 100, 150])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--repetitions", type=positive, default=3, help="of all but IterativeImputer")
    options = parser.parse_args(arguments)
    X = tall(options.images / 60_000)
    X = X[:, :: -(-X.shape[1] // options.pixels)] / np.float32(255)
    print(machine(), "\n")
    for share in options.shares:
        compare(X, share, options.components, options.methods, options.repetitions)


if __name__ == "__main__":
    main()
