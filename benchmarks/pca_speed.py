"""Time MinimumErrorPCA beside its peers, with the error of its eigenvalues and the memory beyond the data.

``tall`` is MNIST, 60,000 images of 784 pixels; ``wide`` 500 samples of 20,000 features; ``sparse`` the word counts
of 20 Newsgroups, 18,846 x 29,649; ``tensors`` MNIST as torch tensors, ten times over on CUDA where there is one,
beside the eigendecomposition of the covariance by torch itself. Where MNIST is not to be had, random numbers of
its shape and of a like spectrum stand in for it. What is compared takes turns in one process (IncrementalPCA once,
after the others); medians are reported. (On wide data scikit-learn's "auto" is its "randomized".) Errors are the
largest relative ones of the d eigenvalues, against LAPACK in float64 (sparse: against ARPACK to machine
precision). Memory is the peak of a process of its own that does nothing else, less what it held with the data
loaded (on CUDA: of its memory).
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from kedro.io import DatasetError
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import PCA, IncrementalPCA

from _common import (
    data_home,
    interleaved,
    machine,
    markdown,
    positive,
    read_corpora,
    resident_bytes,
    spread,
    timed,
)
from latents.datasets import TorchvisionImagesDataset
from latents.estimators import MinimumErrorPCA

REFERENCE = "scikit-learn, auto"
OURS = "ours, auto"
TORCH = "torch, eigh"


class Peer(NamedTuple):
    """A way to PCA: `fit(X, d)` returns d eigenvalues (divisor N - 1); `dtype` is what it is given."""

    fit: Callable[[Any, int], NDArray[Any]]
    dtype: type = np.float32
    is_slow: bool = False


def ours(X: Any, d: int, **how: Any) -> NDArray[Any]:
    """Fit ours, and return the eigenvalues."""
    return MinimumErrorPCA(d, random_state=0, **how).fit(X).explained_variance_


def theirs(X: Any, d: int, **how: Any) -> NDArray[Any]:
    """Fit scikit-learn's, and return the eigenvalues."""
    return PCA(d, random_state=0, **how).fit(X).explained_variance_


def ours_streamed(X: Any, d: int) -> NDArray[Any]:
    """Fit to blocks of rows."""
    return MinimumErrorPCA(d).fit(np.array_split(X, 12)).explained_variance_


def theirs_streamed(X: Any, d: int) -> NDArray[Any]:
    """Fit to the same blocks."""
    pca = IncrementalPCA(d)
    for block in np.array_split(X, 12):
        pca.partial_fit(block)
    return pca.explained_variance_


def torch_lowrank(X: Any, d: int) -> NDArray[Any]:
    """Fit torch's randomised PCA with its defaults."""
    torch.manual_seed(0)
    singular_values = torch.pca_lowrank(torch.from_numpy(X), q=d)[1].numpy()
    return singular_values.astype(np.float64) ** 2 / (len(X) - 1)


def torch_eigh(X: torch.Tensor, d: int) -> NDArray[Any]:
    """Decompose the covariance of a tensor, as one does with torch alone."""
    centred = X - X.mean(dim=0)
    values, _ = torch.linalg.eigh(centred.T @ centred / (len(X) - 1))
    return values.flip(0)[:d].cpu().numpy()


TALL = {
    REFERENCE: Peer(theirs),
    OURS: Peer(ours),
    "ours, from bytes": Peer(ours, np.uint8),
    "scikit-learn, from bytes": Peer(theirs, np.uint8),
    "scikit-learn, randomized": Peer(partial(theirs, svd_solver="randomized")),
    "torch.pca_lowrank": Peer(torch_lowrank),
    "ours, 12 blocks": Peer(ours_streamed),
    "IncrementalPCA, 12 blocks": Peer(theirs_streamed, is_slow=True),
}
WIDE = {
    REFERENCE: Peer(theirs),
    OURS: Peer(ours),
    "scikit-learn, full": Peer(partial(theirs, svd_solver="full")),
    "torch.pca_lowrank": Peer(torch_lowrank),
}
TENSORS = {
    TORCH: Peer(torch_eigh),
    OURS: Peer(ours),
    "ours, from bytes": Peer(ours, np.uint8),
}
SPARSE = {
    REFERENCE: Peer(theirs, np.float64),
    OURS: Peer(ours, np.float64),
    "ours, randomized": Peer(partial(ours, svd_solver="randomized"), np.float64),
}


def tall(size: float) -> NDArray[np.uint8]:
    """Return MNIST's training images as rows of bytes, or numbers like them."""
    n_samples = int(60_000 * size)
    try:
        images = TorchvisionImagesDataset(data_home()).load()["images"]
        return images.reshape(len(images), -1)[:n_samples]
    except DatasetError as error:
        print(f"No MNIST; going on with random numbers. {error}\n")
        return like_images(n_samples, 784)


def device() -> torch.device:
    """Return where tensors lie: CUDA, where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def tall_tensors(size: float) -> NDArray[np.uint8]:
    """Return the same images, ten times over where there is CUDA."""
    return np.tile(tall(size), (10 if device().type == "cuda" else 1, 1))


def wide(size: float) -> NDArray[np.uint8]:
    """Return few samples of many features."""
    return like_images(500, int(20_000 * size))


def like_images(n_samples: int, n_features: int) -> NDArray[np.uint8]:
    """Return bytes whose spectrum falls as that of images does."""
    rng = np.random.default_rng(0)
    rank = 200
    scales = 60 / np.arange(1, rank + 1)
    X = (rng.normal(size=(n_samples, rank)) * scales) @ rng.normal(size=(rank, n_features)) + 128
    return X.clip(0, 255).astype(np.uint8)


def counts(size: float) -> sparse.csr_array:
    """Return counts of words."""
    (corpus,) = read_corpora(["newsgroups"], int(18_846 * size))
    return corpus.counts


class Shape(NamedTuple):
    """Data, who is compared on them, to whom, and whether they are given as tensors."""

    read: Callable[[float], Any]
    peers: dict[str, Peer]
    reference: str = REFERENCE
    as_tensors: bool = False

    def lying(self, X: Any) -> Any:
        """Return data as they lie before the peers."""
        return torch.from_numpy(X).to(device()) if self.as_tensors else X


SHAPES = {
    "tall": Shape(tall, TALL),
    "wide": Shape(wide, WIDE),
    "sparse": Shape(counts, SPARSE),
    "tensors": Shape(tall_tensors, TENSORS, TORCH, as_tensors=True),
}


def given(X: Any, dtype: type) -> Any:
    """Return X as a peer gets it: floats from 0 to 1, or bytes."""
    if sparse.issparse(X) or dtype is np.uint8:
        return X
    return (X / np.float32(255)).astype(dtype)


def truth(X: Any, d: int) -> NDArray[np.float64]:
    """Return the d largest eigenvalues of the covariance, in the units of floats from 0 to 1."""
    if sparse.issparse(X):
        return theirs(X, d, svd_solver="arpack", tol=0)
    exact = given(X, np.float32).astype(np.float64)
    exact -= exact.mean(axis=0)
    gram = exact.T @ exact if exact.shape[0] > exact.shape[1] else exact @ exact.T
    return np.linalg.eigvalsh(gram)[::-1][:d] / (len(exact) - 1)


def measure_memory(shape: str, peer: str, path: str, d: int) -> None:
    """Print the bytes that a fit needs at its peak beyond the data, in this process."""
    loaded = SHAPES[shape].lying(sparse.load_npz(path) if path.endswith(".npz") else np.load(path))
    small = loaded[: max(600, d + 2)]
    fit = SHAPES[shape].peers[peer].fit
    fit(small, min(d, 8))  # what libraries set up once is no cost of the fit
    if getattr(loaded, "is_cuda", False):
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        fit(loaded, d)
        print(torch.cuda.max_memory_allocated() - before)
        return
    before, _ = resident_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    fit(loaded, d)
    print(resident_bytes()[1] - before)


def memory(shape: str, peer: str, path: Path, d: int) -> float:
    """Return mebibytes beyond the data, measured in a process of its own."""
    command = [sys.executable, __file__, "--measure-memory", shape, peer, str(path), str(d)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(ran.stdout.split()[-1]) / 2**20


def compare(shape: str, d: int, repetitions: int, size: float, folder: Path) -> None:
    """Print a table of all peers on data of one shape."""
    X = SHAPES[shape].read(size)
    peers = SHAPES[shape].peers
    inputs = {dtype: given(X, dtype) for dtype in {peer.dtype for peer in peers.values()}}
    paths = {}
    for dtype, data in inputs.items():
        kind = "npz" if sparse.issparse(data) else "npy"
        paths[dtype] = folder / f"{shape}-{np.dtype(dtype).name}.{kind}"
        if kind == "npz":
            sparse.save_npz(paths[dtype], data)
        else:
            np.save(paths[dtype], data)
    expected = truth(X, d)
    inputs = {dtype: SHAPES[shape].lying(data) for dtype, data in inputs.items()}
    reference = SHAPES[shape].reference
    results: dict[str, NDArray[Any]] = {}

    def fit(name: str) -> None:
        results[name] = peers[name].fit(inputs[peers[name].dtype], d)

    tasks = {name: partial(fit, name) for name in peers}
    seconds = interleaved(
        {name: tasks[name] for name, peer in peers.items() if not peer.is_slow}, repetitions
    )
    for name, peer in peers.items():
        if peer.is_slow:
            seconds[name] = np.array([timed(tasks[name])[1]])
    rows = []
    for name, peer in peers.items():
        found = results[name] / (255.0**2 if peer.dtype is np.uint8 else 1.0)
        rows.append(
            {
                "PCA": name,
                "s": spread(seconds[name], 3),
                f"to {reference.partition(',')[0]}": (
                    f"{np.median(seconds[name]) / np.median(seconds[reference]):.2f}"
                ),
                "error": f"{np.abs(found / expected - 1).max():.0e}",
                "MiB": f"{memory(shape, name, paths[peer.dtype], d):.0f}",
            }
        )
    where = f" on {device().type}" if SHAPES[shape].as_tensors else ""
    print(f"{shape}: {X.shape[0]:,} x {X.shape[1]:,}{where}, d = {d}, medians of {repetitions}\n")
    print(markdown(pd.DataFrame(rows)), "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare on the shapes that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--components", type=positive, default=50)
    parser.add_argument("--repetitions", type=positive, default=9)
    parser.add_argument("--size", type=float, default=1.0, help="take this part of the data, for a try")
    parser.add_argument("--measure-memory", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure_memory:
        shape, peer, path, d = options.measure_memory
        measure_memory(shape, peer, path, int(d))
        return

    print(machine(), "\n")
    with TemporaryDirectory() as folder:
        for shape in options.shapes:
            compare(shape, options.components, options.repetitions, options.size, Path(folder))


if __name__ == "__main__":
    main()
