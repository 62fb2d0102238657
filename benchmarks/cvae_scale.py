"""Tell whether the VAE is trained on images that memory does not hold, in how much memory and at which price.

``make`` writes random bytes as images, sorted by class. ``fit`` trains the smallest of networks on them for an
epoch from a map of the file, in a process of its own, and tells the most memory that it took beyond the imported
library: its own, without pages of the mapped file, which the system takes back when it needs them. It tells
seconds, too: of the pass in which all values are looked at, and of training.
"""

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from _common import OUTPUT, machine, positive, timed
from latents.estimators import ConditionalVAE
from latents.features.images import ScaledRows
from latents.features.rows import RowBlocks

GIB = 2**30
TARGET_MEMORY = 1.0
SIDE = 28
N_CLASSES = 10
_AT_ONCE = 20_000  # images
_BLOCK = 1 << 20  # pixels
_LOOK = 0.02  # seconds


def make(folder: Path, n_images: int) -> None:
    """Write the images, unless they are there."""
    path = folder / "images.npy"
    if path.is_file() and len(np.load(path, mmap_mode="r")) == n_images:
        print(f"make: {path} is there")
        return
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (_AT_ONCE, SIDE**2), dtype=np.uint8)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (n_images, SIDE**2))

    def write() -> None:
        for start in range(0, n_images, _AT_ONCE):
            part = images[start : start + _AT_ONCE]
            part[:] = np.roll(noise, start // _AT_ONCE, axis=1)[: len(part)]
        images.flush()

    print(f"make: {n_images:,} images, {images.nbytes / GIB:.2f} GiB, {timed(write)[1]:.0f} s")


def own_bytes() -> int:
    """Return what this process holds now, mapped files left out."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise SystemExit("this system does not tell what memory is a process's own; Linux does")
    return int(found[1]) * 1024


@contextmanager
def watched() -> Iterator[list[int]]:
    """Note what this process holds, many times a second; the last is the most."""
    seen, end = [own_bytes()], threading.Event()

    def look() -> None:
        while not end.wait(_LOOK):
            seen.append(max(own_bytes(), seen[-1]))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        end.set()
        watcher.join()


def fit_here(folder: Path, window: int) -> dict[str, float]:
    """Train in this process, which should be a fresh one; return seconds and bytes."""
    X = np.load(folder / "images.npy", mmap_mode="r")
    blocks = RowBlocks(ScaledRows(X, 255.0), np.arange(len(X)), _BLOCK)
    y = (np.arange(len(X)) * N_CLASSES // len(X)).astype(np.uint8)
    model = ConditionalVAE(
        **{"network": "reference", "n_latents": 2, "hidden": (4,), "epochs": 1, "batch_size": 4096},
        **{"compiled": False, "window": window, "random_state": 0},
    )
    imported = own_bytes()
    began = time.perf_counter()
    with watched() as seen:
        model.fit(blocks, y)
    seconds = time.perf_counter() - began
    return {
        "imported": imported,
        "peak": seen[-1],
        "seconds": seconds,
        "fit_seconds": model.fit_seconds_,
        "bound": model.history_["lower_bound"][-1],
    }


def fit(folder: Path, options: argparse.Namespace) -> None:
    """Train in a process of its own, so that nothing else is in the memory measured."""
    command = [sys.executable, __file__, "--fit-here", str(folder), "--window", str(options.window)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    above = (found["peak"] - found["imported"]) / GIB
    rate = options.images / found["fit_seconds"]
    print(
        f"fit: an epoch in windows of {options.window / 2**20:.0f} MiB, {found['fit_seconds']:.0f} s"
        f" ({rate:,.0f} images a second), {found['seconds'] - found['fit_seconds']:.0f} s before it; at most"
        f" {above:.2f} GiB of its own above the imported library's {found['imported'] / GIB:.2f} (target below"
        f" {TARGET_MEMORY}: {'met' if above < TARGET_MEMORY else 'missed'}); bound {found['bound']:.2f} nats"
    )


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=positive, default=27_000_000, help="of 784 bytes; 20 GiB by default")
    parser.add_argument("--window", type=positive, default=2**27, help="bytes that are shuffled together")
    parser.add_argument("--output", type=Path, default=OUTPUT / "cvae_scale")
    parser.add_argument("--fit-here", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for."""
    options = parsed(arguments)
    if options.fit_here is not None:
        print(json.dumps(fit_here(options.fit_here, options.window)))
        return
    print(machine(), end="\n\n")
    make(options.output, options.images)
    fit(options.output, options)


if __name__ == "__main__":
    main()
