"""Tell what a cluster gains: the same work in one process, on one thread and two, and by the workers of Ray.

``em`` times steps of EM, annealed and plain ones, over the corpus that ``clustering_scale.py --steps make`` has
written, ``pca`` a fit to 600,000 x 784 bytes. Each engine works in a process of its own, in turns; seconds are
medians. What was learned is held against that of the others to the last bit. ``words`` counts 36 MB of text by one
worker and by two, and ``vae`` trains the source's network in one process and in two, of one thread each. Workers
are of a cluster of this machine, or of the one at RAY_ADDRESS.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from _common import OUTPUT, machine, positive, resident_bytes
from _ranks import images_per_second
from _words_on_engine import seconds_of_counting
from latents.datasets.count_blocks import CountBlocks
from latents.engines import Engine, LocalEngine, RayEngine
from latents.estimators import MinimumErrorPCA, MultinomialMixture

ENGINES: dict[str, Callable[[], Engine]] = {
    "one thread": lambda: LocalEngine(1),
    "two threads": lambda: LocalEngine(2),
    "Ray, 2 x 1": lambda: RayEngine(os.environ.get("RAY_ADDRESS", "local"), n_workers=2),
}
# Of the seconds by the engine named second, those of the first are to be no more than so many parts.
TARGET_WORDS, TARGET_VAE = 0.75, 1.5
TARGETS = {("Ray, 2 x 1", "one thread"): 0.75, ("Ray, 2 x 1", "two threads"): 1.15}
GIB = 2**30


class EnoughError(Exception):
    """As many steps were timed as asked for."""


def em(engine: Engine, options: argparse.Namespace) -> dict[str, object]:
    """Time steps of EM: those of the search in single precision, and plain ones in double."""
    blocks = engine.blocks(CountBlocks(options.corpus))
    seconds = {}
    bits = []
    for name, given in (("annealed", {}), ("plain", {"annealing": False})):
        times: list[float] = []

        def callback(kind: str, value: float, _: int, times: list[float] = times) -> None:
            if kind == "lower_bound":
                times.append(time.perf_counter())
                bits.append(value.hex())
                if len(times) > options.steps:
                    raise EnoughError

        model = MultinomialMixture(
            options.clusters, n_init=1, random_state=0, max_iter=options.steps + 1, tol=0, **given
        )
        with contextlib.suppress(EnoughError):
            model.fit(blocks, callback=callback)
        seconds[name] = float(np.median(np.diff(times)))
    return {"seconds": seconds, "bits": bits}


class Rows:
    """Blocks of rows of an array on disk."""

    def __init__(self, file: Path, n_rows: int) -> None:
        self.file, self.n_rows = file, n_rows

    def __len__(self) -> int:
        return -(-len(np.load(self.file, mmap_mode="r")) // self.n_rows)

    def __getitem__(self, number: int) -> np.ndarray:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return np.load(self.file, mmap_mode="r")[number * self.n_rows : (number + 1) * self.n_rows]


def pca(engine: Engine, options: argparse.Namespace) -> dict[str, object]:
    """Time the fit to bytes."""
    file = options.output / "bytes.npy"
    blocks = engine.blocks(Rows(file, 10_000))
    times = []
    for _ in range(options.repetitions + 1):  # the first reads the file from disk
        began = time.perf_counter()
        model = MinimumErrorPCA(50).fit(blocks)
        times.append(time.perf_counter() - began)
    return {"seconds": {"fit": float(np.median(times[1:]))}, "bits": [model.distortion_.hex()]}


WORK = {"em": em, "pca": pca}


def words(options: argparse.Namespace) -> None:
    """Tell how long counting takes one worker of one thread, and two."""
    options.output.mkdir(parents=True, exist_ok=True)
    found = seconds_of_counting(options.output, options.bytes, repetitions=options.repetitions)
    for name, seconds in found.items():
        print(f"words, {name}: {np.median(seconds):.2f} s")
    ratio = np.median(found["2 workers"]) / np.median(found["1 worker"])
    print(f"words: 2 workers to 1 {ratio:.2f} (target {TARGET_WORDS}: {verdict(ratio <= TARGET_WORDS)})")


def vae(options: argparse.Namespace) -> None:
    """Tell how many images a second one process of one thread trains on, and two together."""
    for name, compiled in (("as torch has it", False), ("compiled", True)):
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(options.turns):
            for n_processes, found in rates.items():
                found.append(images_per_second(n_processes, compiled=compiled))
        one, two = (float(np.median(found)) for found in rates.values())
        print(
            f"vae, {name}: 1 process {one:,.0f} images/s, 2 processes {two:,.0f}: {two / one:.2f} times as many "
            f"(target {TARGET_VAE}: {verdict(two / one >= TARGET_VAE)})"
        )


ALONE = {"words": words, "vae": vae}


def verdict(is_met: bool) -> str:
    """Say whether a target is met."""
    return "met" if is_met else "missed"


def here(options: argparse.Namespace) -> None:
    """Do a piece of work by an engine in this process, which should be a fresh one."""
    imported, _ = resident_bytes()
    with warnings.catch_warnings(), ENGINES[options.engine]() as engine:
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of steps is what was asked for
        found = WORK[options.here](engine, options)
    print(json.dumps({**found, "above": resident_bytes()[1] - imported}))


def compare(name: str, options: argparse.Namespace) -> None:
    """Let all engines do the same, in turns, and hold them against each other."""
    if name == "pca" and not (options.output / "bytes.npy").exists():
        options.output.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        few = rng.integers(0, 256, size=(min(6_000, options.rows), 784), dtype=np.uint8)
        np.save(options.output / "bytes.npy", np.tile(few, (options.rows // len(few), 1)))
    runs: dict[str, list[dict[str, object]]] = {engine: [] for engine in ENGINES}
    for _ in range(options.turns):
        for engine, found in runs.items():
            command = [sys.executable, __file__, "--here", name, "--engine", engine, *sys.argv[1:]]
            said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            found.append(json.loads(said.splitlines()[-1]))
    same = len({json.dumps(run["bits"]) for found in runs.values() for run in found}) == 1
    print(f"{name}: the same to the last bit by all engines: {'yes' if same else 'NO'}")
    for kind in runs["one thread"][0]["seconds"]:
        medians = {
            engine: float(np.median([run["seconds"][kind] for run in found]))
            for engine, found in runs.items()
        }
        for engine, seconds in medians.items():
            above = max(run["above"] for run in runs[engine]) / GIB
            print(f"  {kind}, {engine}: {seconds:.3f} s; this process held {above:.2f} GiB above the import")
        for (engine, other), target in TARGETS.items():
            ratio = medians[engine] / medians[other]
            print(f"  {kind}: {engine} to {other} {ratio:.2f} (target {target}: {verdict(ratio <= target)})")


def main() -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", nargs="+", choices=[*WORK, *ALONE], default=[*WORK, *ALONE])
    parser.add_argument("--corpus", type=Path, default=OUTPUT / "corpus", help="blocks of counts")
    parser.add_argument("--clusters", type=positive, default=20)
    parser.add_argument("--steps", type=positive, default=5, help="of EM that are timed")
    parser.add_argument("--rows", type=positive, default=600_000, help="of pca")
    parser.add_argument("--bytes", type=positive, default=36 * 10**6, help="of words")
    parser.add_argument("--repetitions", type=positive, default=3)
    parser.add_argument("--turns", type=positive, default=3)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--here", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        here(options)
        return
    print(machine())
    for name in options.work:
        ALONE[name](options) if name in ALONE else compare(name, options)


if __name__ == "__main__":
    main()
