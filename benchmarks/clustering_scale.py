"""Tell whether the mixture fits what memory does not hold, and whether its cost grows as it should.

``make`` writes a synthetic corpus of 100 million non-zeros to disk, block by block. ``fit`` fits it from there in
a process of its own and tells the peak resident memory above that of the imported library. ``pass`` holds one EM
pass over the blocks on disk against one over the whole matrix in memory. ``sweep`` times passes over growing
corpora and growing K, and draws the seconds over non-zeros times K. Everything is written below ``--output``.
"""

import argparse
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import islice
from math import ceil
from operator import add
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from _common import OUTPUT, interleaved, machine, markdown, positive, quality, resident_bytes, spread, timed
from _synthetic import LABELS, write_corpus
from latents.datasets.block_folder import MANIFEST
from latents.datasets.count_blocks import CountBlocks
from latents.estimators import MultinomialMixture
from latents.estimators.multinomial_mixture.counts import Counts
from latents.estimators.multinomial_mixture.em import Parameters, e_step, m_step
from latents.reporting.style import CATEGORY_COLOURS

SMOOTHING = 0.3
CPU = torch.device("cpu")
GIB = 2**30
TARGET_MEMORY = 2.0
TARGET_PASS = 1.3
TARGET_NONZEROS = 100_000_000
# Parts of the corpus that the sweep goes through.
PARTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)

Pass = Callable[[Parameters], Parameters]


def over_blocks(blocks: Iterable[tuple[sparse.csr_array, sparse.csc_array]]) -> Pass:
    """Prepare one EM step over blocks that are read anew in every pass: nothing of them is kept."""

    def one_pass(parameters: Parameters) -> Parameters:
        n_components = len(parameters.log_weights)
        steps = (e_step(Counts(T, CPU, n_components, by_words), parameters) for T, by_words in blocks)
        return m_step(reduce(add, steps), SMOOTHING)

    return one_pass


def in_memory(T: sparse.csr_array, n_components: int) -> Pass:
    """Prepare one EM step of up to so many components over a whole matrix; only what this returns is timed."""
    counts = Counts(T, CPU, n_components)
    counts.by_words(torch.zeros(T.shape[0], 1, dtype=counts.dtype))  # lay it out by words, once
    return lambda parameters: m_step(e_step(counts, parameters), SMOOTHING)


def starting_point(n_words: int, n_components: int) -> Parameters:
    """Return parameters that take no look at the data: equal weights, words drawn at random."""
    mu = np.random.default_rng(0).dirichlet(np.ones(n_words), size=n_components)
    return Parameters.of(np.full(n_components, 1 / n_components), mu)


def whole(blocks: Iterable[tuple[sparse.csr_array, sparse.csc_array]]) -> sparse.csr_array:
    """Return all blocks as one matrix in memory."""
    return sparse.csr_array(sparse.vstack([T for T, _ in blocks], format="csr", dtype=np.float64))


def make(folder: Path, options: argparse.Namespace) -> None:
    """Write the corpus."""
    blocks, seconds = timed(
        lambda: write_corpus(
            folder,
            n_documents=options.documents,
            n_words=options.words,
            n_nonzeros=options.nonzeros,
            n_clusters=options.clusters,
            block_documents=options.block_documents,
        )
    )
    on_disk = sum(path.stat().st_size for path in folder.rglob("*.npy"))
    print(
        f"make: {options.documents:,} documents x {options.words:,} words, "
        f"{blocks.n_nonzeros:,} non-zeros in {len(blocks)} blocks, {on_disk / GIB:.2f} GiB on disk, "
        f"{seconds:.1f} s; so far this process has held {resident_bytes()[1] / GIB:.2f} GiB at most\n"
    )


def fit_here(folder: Path, n_components: int, n_passes: int) -> dict[str, float]:
    """Fit from disk in this process, which should be a fresh one; return seconds, bytes and quality."""
    imported, _ = resident_bytes()
    blocks = CountBlocks(folder)
    model = MultinomialMixture(n_components, max_iter=n_passes, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is what was asked for
        _, seconds = timed(lambda: model.fit(blocks))
    _, peak = resident_bytes()
    clusters = np.concatenate([model.predict(T) for T, _ in blocks])
    nmi = quality(np.load(folder / LABELS), clusters)["nmi"]
    return {
        "seconds": seconds,
        "imported": imported,
        "peak": peak,
        "nmi": nmi,
        "passes": len(model.lower_bounds_),
    }


def fit(folder: Path, options: argparse.Namespace) -> None:
    """Fit from disk in a process of its own, so that nothing else is in the memory measured."""
    command = [sys.executable, __file__, "--fit-here", str(folder)]
    command += ["--clusters", str(options.clusters), "--passes", str(options.passes)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    above = (found["peak"] - found["imported"]) / GIB
    print(
        f"fit: K = {options.clusters}, {found['passes']:.0f} steps, each a pass over all blocks,"
        f" {found['seconds']:.1f} s; peak resident memory"
        f" {found['peak'] / GIB:.2f} GiB, {above:.2f} above the imported library's"
        f" {found['imported'] / GIB:.2f} (target below {TARGET_MEMORY}:"
        f" {'met' if above < TARGET_MEMORY else 'missed'}); NMI with the planted clusters {found['nmi']:.3f}\n"
    )


def compare_passes(folder: Path, options: argparse.Namespace) -> None:
    """Time one pass from disk against one in memory, taking turns."""
    blocks = CountBlocks(folder)
    parameters = starting_point(blocks.n_words, options.clusters)
    passes = {"from disk": over_blocks(blocks), "in memory": in_memory(whole(blocks), options.clusters)}
    found = {name: one_pass(parameters).arrays()[1] for name, one_pass in passes.items()}
    difference = np.abs(found["from disk"] - found["in memory"])
    if not difference.sum(axis=1).max() <= 1e-4:
        raise ValueError(
            f"the pass from disk differs from that in memory by {difference.sum(axis=1).max():.1e}"
        )
    seconds = interleaved(
        {name: lambda one=one_pass: one(parameters) for name, one_pass in passes.items()}, options.repetitions
    )
    ratio = np.median(seconds["from disk"]) / np.median(seconds["in memory"])
    print(
        f"pass: K = {options.clusters}, from disk {spread(seconds['from disk'], 2)} s, in memory"
        f" {spread(seconds['in memory'], 2)} s, medians of {options.repetitions}: ratio {ratio:.2f} (target at"
        f" most {TARGET_PASS}: {'met' if ratio <= TARGET_PASS else 'missed'})\n"
    )


def sweep(folder: Path, options: argparse.Namespace) -> None:
    """Time a pass for parts of the corpus and several K; write ``scale.csv`` and ``scale.png``."""
    n_blocks = len(CountBlocks(folder))
    rows = []
    for n in sorted({ceil(part * n_blocks) for part in PARTS}):
        T = whole(list(islice(CountBlocks(folder), n)))
        one_pass = in_memory(T, max(options.components))
        points = {str(K): starting_point(T.shape[1], K) for K in options.components}
        seconds = interleaved(
            {K: lambda at=parameters: one_pass(at) for K, parameters in points.items()},  # noqa: B023
            options.repetitions,
        )
        for K, values in seconds.items():
            rows.append({"nonzeros": T.nnz, "K": int(K), "seconds": np.median(values)})
    table = pd.DataFrame(rows)
    table.to_csv(options.output / "scale.csv", index=False)
    slopes = fitted_slopes(table)
    draw(table, slopes).savefig(options.output / "scale.png", dpi=150)
    shown = (
        table.pivot_table(index="nonzeros", columns="K", values="seconds").map("{:.3f}".format).reset_index()
    )
    shown["nonzeros"] = shown["nonzeros"].map("{:,}".format)
    shown.columns = ["non-zeros", *(f"K = {K}, s" for K in shown.columns[1:])]
    print(f"sweep: seconds of a pass in memory, medians of {options.repetitions}\n\n{markdown(shown)}\n")
    print(
        f"Slopes in the log-log plane, where 1 is linear: {slopes['product']:.2f} in non-zeros times K; with both "
        f"apart {slopes['nonzeros']:.2f} in non-zeros and {slopes['K']:.2f} in K."
    )
    print(f"Figure: {options.output / 'scale.png'}")


def fitted_slopes(table: pd.DataFrame) -> dict[str, float]:
    """Return least-squares slopes of log seconds.

    ``product`` is the slope in log(non-zeros x K); ``nonzeros`` and ``K`` are those in both logs at once.
    """
    log = np.log(table[["nonzeros", "K", "seconds"]].to_numpy(dtype=float))
    ones = np.ones(len(log))
    product = np.linalg.lstsq(np.c_[ones, log[:, 0] + log[:, 1]], log[:, 2])[0]
    apart = np.linalg.lstsq(np.c_[ones, log[:, :2]], log[:, 2])[0]
    return {"product": product[1], "nonzeros": apart[1], "K": apart[2]}


def draw(table: pd.DataFrame, slopes: dict[str, float]) -> Figure:
    """Draw seconds over non-zeros times K, with the line of slope 1 through their middle."""
    work = table["nonzeros"] * table["K"]
    middle = float(np.exp(np.log(table["seconds"] / work).mean()))
    with mpl.rc_context({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8, 5.2), layout="constrained")
        axes = figure.subplots()
        ends = np.array([work.min() / 1.5, work.max() * 1.5])
        axes.plot(ends, middle * ends, color="#8a94a0", linestyle="--", zorder=1)
        axes.annotate(
            "slope 1",
            (ends[1], middle * ends[1]),
            textcoords="offset points",
            xytext=(-4, 8),
            ha="right",
            color="#5b6875",
        )
        for colour, (K, rows) in zip(CATEGORY_COLOURS * 10, table.groupby("K"), strict=False):
            axes.plot(
                rows["nonzeros"] * K, rows["seconds"], "o-", color=colour, linewidth=1, label=f"K = {K}"
            )
        axes.set(xscale="log", yscale="log", xlabel="non-zeros x K", ylabel="seconds of one E+M pass")
        axes.grid(which="major", color="#e6eaee")
        axes.set_axisbelow(True)
        axes.legend(frameon=False)
        axes.set_title(
            f"A pass costs {1e9 * middle:.1f} ns for each non-zero and component: slope {slopes['product']:.2f}",
            loc="left",
            fontsize=13,
        )
    return figure


STEPS = {"make": make, "fit": fit, "pass": compare_passes, "sweep": sweep}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the steps that are asked for, in their order; ``make`` only where the corpus is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--documents", type=positive, default=300_000)
    parser.add_argument("--words", type=positive, default=100_000)
    parser.add_argument("--nonzeros", type=positive, default=TARGET_NONZEROS)
    parser.add_argument("--block-documents", type=positive, default=10_000)
    parser.add_argument("--clusters", type=positive, default=20, help="planted, and K of fit and pass")
    parser.add_argument("--passes", type=positive, default=10, help="of the streamed fit")
    parser.add_argument(
        "--components", nargs="+", type=positive, default=[10, 20, 50, 100], help="K of the sweep"
    )
    parser.add_argument("--repetitions", type=positive, default=3)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--fit-here", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.fit_here:
        print(json.dumps(fit_here(options.fit_here, options.clusters, options.passes)))
        return

    print(machine(), "\n")
    folder = (
        options.output / f"corpus-{options.documents}x{options.words}-{options.nonzeros}-{options.clusters}"
    )
    options.output.mkdir(parents=True, exist_ok=True)
    for name, step in STEPS.items():
        if name not in options.steps:
            continue
        if name == "make" and (folder / MANIFEST).exists():
            print(f"make: {folder} is there already; delete it to make it anew\n")
        else:
            step(folder, options)


if __name__ == "__main__":
    main()
