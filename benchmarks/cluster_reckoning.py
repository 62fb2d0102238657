"""Reckon what a step of EM over 1e9 documents and a PCA of 1e8 x 1e4 take on 100 workers, and what gives first.

Seconds of a thread are measured on small data, those of network and disk are given; each is an option.
``--measure`` measures the former on this machine, in seconds of the processor, by one thread.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy import linalg, sparse

from _common import machine
from latents.engines import LocalEngine
from latents.estimators import MultinomialMixture
from latents.estimators.common.threads import one_thread_each
from latents.estimators.minimum_error_pca.moments import RowSums
from latents.estimators.multinomial_mixture.em import Answers, m_step_from

SINGLE, DOUBLE = 4, 8  # bytes
INDEX, COUNT = 4, 1  # bytes of a word's or document's number in a block, and of a count that is below 256
# What is measured: words of a corpus, its documents, the words of each, and its blocks; columns of PCA.
WORDS, SHAPES, COLUMNS = 100_000, [(100, 20, 1), (100, 20, 5), (60_000, 60, 3), (10_000, 330, 4)], 2000


@dataclass(frozen=True)
class Task:
    """What is to be done, and by whom."""

    documents: float = 1e9
    document_words: float = 60
    words: float = 1e5
    components: float = 100
    rows: float = 1e8
    columns: float = 1e4
    workers: int = 100  # each a machine of its own
    threads: int = 16  # of each worker
    blocks: int = 32  # of each worker, for both; a power of two, so that each sends one sum up


@dataclass(frozen=True)
class Costs:
    """Seconds of one thread, and bytes a second.

    Attributes
    ----------
    annealed_nonzero, plain_nonzero : float
        Of a non-zero and component in a step of EM: in the search for a start, and after it.
    annealed_document, plain_document : float
        Of a document and component.
    annealed_word, plain_word : float
        Of a word and component in each block: sums are made and added up.
    add : float
        Of a number of two sums that are added up.
    maximise : float
        Of a number of the sum that parameters are made of.
    product : float
        Of a row and pair of columns of bytes in PCA.
    eigen : float
        Of a cubic column of PCA's eigenvectors.
    network, disk : float
        Bytes a second of the network card of each machine, and of what each reads from the blocks.
    """

    annealed_nonzero: float = 5.4e-10
    plain_nonzero: float = 8e-10
    annealed_document: float = 2e-8
    plain_document: float = 6.1e-8
    annealed_word: float = 1.6e-8
    plain_word: float = 1.8e-8
    add: float = 2.6e-9
    maximise: float = 1.5e-8
    product: float = 1.1e-11
    eigen: float = 1.5e-10
    network: float = 1.25e9  # 10 Gbit/s
    disk: float = 5e8


def bytes_of_counts(documents: float, words: float, nonzeros: float, n_blocks: int) -> float:
    """Return what blocks of counts take on disk: by documents and by words, beside 128 bytes a file."""
    edges = documents + n_blocks + n_blocks * (words + 1)
    return 2 * nonzeros * (COUNT + INDEX) + edges * INDEX


def of_em(task: Task, costs: Costs, kind: str) -> dict[str, float]:
    """Return what a step of EM takes: seconds by name, then bytes."""
    nonzeros, n_blocks = task.documents * task.document_words, task.workers * task.blocks
    sums, table = task.workers, task.words * task.components
    of = {name: getattr(costs, f"{kind}_{name}") for name in ("nonzero", "document", "word")}
    work = nonzeros * of["nonzero"] + task.documents * of["document"] + n_blocks * task.words * of["word"]
    down = task.workers * table * (SINGLE if kind == "annealed" else DOUBLE)
    on_disk = bytes_of_counts(task.documents, task.words, nonzeros, n_blocks)
    return {
        "workers compute, s": work * task.components / task.workers / task.threads,
        "parameters go down, s": down / costs.network,
        "sums come up, s": sums * table * DOUBLE / costs.network,
        "driver adds up, s": sums * table * costs.add + table * costs.maximise,
        "blocks are read first, s": on_disk / task.workers / costs.disk,
        "blocks on disk, GB": on_disk / 1e9,
        "blocks of a worker, GB": on_disk / task.workers / 1e9,
        "sums of a worker, GB": (task.threads + math.log2(task.blocks)) * table * DOUBLE / 1e9,
        "sums on the driver, GB": sums * table * DOUBLE / 1e9,
        **_tree(task, costs, table),
    }


def of_pca(task: Task, costs: Costs) -> dict[str, float]:
    """Return what PCA of bytes takes, of which there is one pass: seconds by name, then bytes."""
    sums, table, on_disk = task.workers, task.columns**2, task.rows * task.columns
    own = task.rows * table * costs.product + task.workers * task.blocks * table * costs.add
    return {
        "workers compute, s": own / task.workers / task.threads,
        "sums come up, s": sums * table * DOUBLE / costs.network,
        "driver adds up, s": sums * table * costs.add,
        "driver finds eigenvectors, s": task.columns**3 * costs.eigen,
        "blocks are read first, s": on_disk / task.workers / costs.disk,
        "blocks on disk, GB": on_disk / 1e9,
        "blocks of a worker, GB": on_disk / task.workers / 1e9,
        "sums of a worker, GB": (task.threads + math.log2(task.blocks)) * table * DOUBLE / 1e9,
        "sums on the driver, GB": sums * table * DOUBLE / 1e9,
        **_tree(task, costs, table),
    }


def _tree(task: Task, costs: Costs, table: float) -> dict[str, float]:
    """Return what sums would take that workers added up in pairs, before the last goes up."""
    seconds = math.ceil(math.log2(task.workers)) * table * (DOUBLE / costs.network + costs.add)
    return {"sums in pairs of workers instead, s": seconds}


def measured() -> Iterator[tuple[str, float]]:
    """Yield the seconds of one thread of this machine, by name."""
    components = 100
    corpora = [[_block(n, length, WORDS, seed) for seed in range(times)] for n, length, times in SHAPES]
    known = [
        [sum(T.nnz for T, _ in blocks), sum(T.shape[0] for T, _ in blocks), len(blocks) * WORDS]
        for blocks in corpora
    ]
    for kind in ("annealed", "plain"):
        seconds = [_step(blocks, components, annealing=kind == "annealed") for blocks in corpora]
        # Each corpus counts alike, whatever a step over it takes.
        found = np.linalg.lstsq(
            np.array(known) / np.array(seconds)[:, None], np.ones(len(seconds)), rcond=None
        )
        for name, value in zip(("nonzero", "document", "word"), found[0], strict=True):
            yield f"{kind}_{name}", value / components
    a, b = np.ones((2, WORDS, components))
    yield "add", _seconds(lambda: a + b) / a.size
    answers = Answers(torch.ones(WORDS, components), torch.ones(components))
    with one_thread_each():
        yield "maximise", _seconds(lambda: m_step_from(answers, 0.1)) / a.size
    bytes_ = np.random.default_rng(0).integers(0, 256, size=(8192, COLUMNS), dtype=np.uint8)
    with one_thread_each():
        yield "product", _seconds(lambda: RowSums.of(bytes_), 3) / bytes_.size / COLUMNS
        scatter = np.cov(bytes_, rowvar=False)
        yield "eigen", _seconds(lambda: linalg.eigh(scatter, driver="evd"), 3) / COLUMNS**3


def _block(n: int, length: int, words: int, seed: int) -> tuple[sparse.csr_array, sparse.csc_array]:
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, words + 1) ** 0.8
    drawn = rng.choice(words, size=n * length, p=p / p.sum())
    T = sparse.csr_array((np.ones(n * length), (np.repeat(np.arange(n), length), drawn)), shape=(n, words))
    T.data = T.data.astype(np.uint8)
    return T, T.tocsc()


class EnoughError(Exception):
    """As many steps were timed as needed."""


def _step(
    blocks: list[tuple[sparse.csr_array, sparse.csc_array]], components: int, *, annealing: bool
) -> float:
    times: list[float] = []

    def callback(kind: str, value: float, step: int) -> None:  # noqa: ARG001
        if kind == "lower_bound":
            times.append(time.process_time())
            if len(times) > 5:
                raise EnoughError

    model = MultinomialMixture(components, n_init=1, random_state=0, max_iter=6, tol=0, annealing=annealing)
    try:
        with LocalEngine(1) as engine:
            model.fit(engine.blocks(blocks), callback=callback)
    except EnoughError:
        pass
    return float(np.median(np.diff(times)))


def _seconds(work: object, times: int = 9) -> float:
    found = []
    for _ in range(times):
        began = time.process_time()
        work()  # type: ignore[operator]
        found.append(time.process_time() - began)
    return float(np.median(found))


def main(arguments: list[str] | None = None) -> None:
    """Print the reckoning."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for kind in (Task, Costs):
        for field in fields(kind):
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    parser.add_argument("--measure", action="store_true", help="print the seconds of a thread here, and end")
    options = vars(parser.parse_args(arguments))
    if options["measure"]:
        print(machine())
        for name, value in measured():
            print(f"--{name.replace('_', '-')} {value:.2g}", flush=True)
        return
    task, costs = (
        kind(**{field.name: options[field.name] for field in fields(kind)}) for kind in (Task, Costs)
    )
    kinds = {
        "EM, annealed step": of_em(task, costs, "annealed"),
        "EM, plain step": of_em(task, costs, "plain"),
        "PCA": of_pca(task, costs),
    }
    print(f"| {task.workers} workers of {task.threads} threads | {' | '.join(kinds)} |")
    print(f"|---|{'---:|' * len(kinds)}")
    for name in dict.fromkeys(name for found in kinds.values() for name in found):
        print(f"| {name} | {' | '.join(_shown(found.get(name)) for found in kinds.values())} |")


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}" if value < 10 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
