"""Measure how far rows of another kind turn the basis of MinimumErrorPCA(robust=True), and of its peers.

Data are the first 10,000 images of MNIST, or numbers like them, and planes of 5 dimensions in noise; a tenth of
the rows is replaced. Angles are the largest principal ones, in radians, between what is found then and the
plane of the clean data; ``without`` is that of the clean rows alone. Peers are spherical PCA (the covariance of
directions from the spatial median: Locantore and others, 1999) and Tyler's scatter about the same median
(1987), which takes p < N.
"""

import argparse
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from _common import machine, markdown, positive, timed
from latents.estimators import MinimumErrorPCA
from pca_speed import tall

Array = NDArray[Any]


def ours(X: Array, d: int) -> Array:
    """Return the basis (d, p) of a robust fit."""
    return MinimumErrorPCA(d, robust=True, random_state=0).fit(X).components_


def plain(X: Array, d: int) -> Array:
    """Return that of a fit to all rows alike."""
    return MinimumErrorPCA(d, random_state=0).fit(X).components_


def spatial_median(X: Array, n_iter: int = 50) -> Array:
    """Return the point of the least sum of distances, by Weiszfeld's iteration."""
    median = np.median(X, axis=0)
    for _ in range(n_iter):
        shares = 1 / np.maximum(np.linalg.norm(X - median, axis=1), 1e-12)
        former, median = median, shares @ X / shares.sum()
        if np.linalg.norm(median - former) <= 1e-8 * np.linalg.norm(former):
            break
    return median


def spherical(X: Array, d: int) -> Array:
    """Return the basis of the rows' directions from their spatial median."""
    directions = X - spatial_median(X)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    return leading(directions.T @ directions, d)


def tyler(X: Array, d: int, n_iter: int = 30) -> Array:
    """Return the basis of Tyler's scatter, a millionth of the trace added where it would be singular."""
    A, p = X - spatial_median(X), X.shape[1]
    scatter = np.eye(p)
    for _ in range(n_iter):
        precision = linalg.inv(scatter + 1e-6 * np.eye(p))
        weights = p / np.maximum(np.einsum("ij,ij->i", A @ precision, A), 1e-300)
        former, scatter = scatter, (A * weights[:, np.newaxis]).T @ A
        scatter *= p / scatter.trace()
        if np.linalg.norm(scatter - former) <= 1e-6 * np.linalg.norm(former):
            break
    return leading(scatter, d)


def leading(symmetric: Array, d: int) -> Array:
    """Return the first eigenvectors as rows."""
    p = len(symmetric)
    return linalg.eigh(symmetric, subset_by_index=(p - d, p - 1))[1].T[::-1]


PEERS: dict[str, Callable[[Array, int], Array]] = {
    "plain": plain,
    "ours": ours,
    "spherical": spherical,
    "Tyler": tyler,
}


def contaminations(X: Array, rng: np.random.Generator) -> dict[str, Callable[[Array], Array]]:
    """Return what takes the place of some rows, by name."""
    length, p = np.sqrt(X.var(axis=0).sum()), X.shape[1]
    along = rng.normal(size=p)
    along /= np.linalg.norm(along)
    low, high = X.min(), X.max()
    return {
        "negatives": lambda rows: low + high - rows,
        "noise": lambda rows: rng.uniform(low, high, rows.shape),
        "one picture": lambda rows: X[0][::-1] + 0.05 * length / np.sqrt(p) * rng.normal(size=rows.shape),
        "shifted": lambda rows: rows + 1.5 * length * along,
        "a line": lambda rows: X.mean(axis=0) + 3 * length * rng.normal(size=(len(rows), 1)) * along,
        "heavy tails": lambda rows: X.mean(axis=0) + length / np.sqrt(p) * rng.standard_cauchy(rows.shape),
    }


def planted(n: int, p: int, seed: int) -> Array:
    """Return rows about a plane of 5 dimensions."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(p, 5)))[0]
    return (rng.normal(size=(n, 5)) * np.linspace(3, 1, 5)) @ basis.T + 0.1 * rng.normal(size=(n, p))


def angle(one: Array, other: Array) -> float:
    """Return the largest principal angle between the planes of two bases."""
    return float(linalg.subspace_angles(one.T.astype(np.float64), other.T.astype(np.float64)).max())


def compare(name: str, X: Array, d: int, share: float, peers: Sequence[str]) -> pd.DataFrame:
    """Return a table of angles, a row for each kind of rows that a share of X is replaced by."""
    clean = plain(X, d)
    found = []
    for kind in contaminations(X, np.random.default_rng(0)):
        rng = np.random.default_rng(0)
        rows = rng.permutation(len(X))[: int(share * len(X))]
        spoilt = X.copy()
        spoilt[rows] = contaminations(X, rng)[kind](X[rows])
        line: dict[str, Any] = {"data": name, "d": d, "replaced by": kind}
        line["without"] = f"{angle(clean, plain(np.delete(X, rows, axis=0), d)):.3f}"
        for peer in peers:
            if peer == "Tyler" and X.shape[0] <= X.shape[1]:
                line[peer] = ""
                continue
            basis, seconds = timed(lambda fit=PEERS[peer], data=spoilt: fit(data, d))
            line[peer] = f"{angle(clean, basis):.3f} ({seconds:.2g} s)"
        found.append(line)
    return pd.DataFrame(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--components", nargs="+", type=positive, default=[3, 8, 16])
    parser.add_argument("--share", type=float, default=0.1, help="of the rows that are replaced")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--images", type=positive, default=10_000)
    options = parser.parse_args(arguments)
    warnings.simplefilter("error")
    print(machine(), "\n")
    images = tall(1.0)[: options.images] / 255.0
    tables = [compare("images", images, d, options.share, options.peers) for d in options.components]
    for n, p in ((500, 50), (200, 500)):
        tables.append(compare(f"planted, {n} x {p}", planted(n, p, 0), 5, options.share, options.peers))
    print(markdown(pd.concat(tables)), "\n")


if __name__ == "__main__":
    main()
