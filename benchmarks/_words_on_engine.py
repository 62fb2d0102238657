"""Counting the words of a file by the workers of a cluster: the seconds of one, of two, and of this process."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import ray
from numpy.typing import NDArray

from _common import interleaved
from latents.datasets import CorpusDataset, DocumentTableDataset
from latents.datasets.block_folder import writing
from latents.datasets.count_blocks import finish, write_block
from latents.engines import Engine, LocalEngine, RayEngine, on_ray
from latents.features.corpus_words import CorpusCounts, words_of_corpus
from latents.features.words import count_words, rules_of

RULES = rules_of("words", lowercase=True, stop_words="english", ngram_range=(1, 1))
LIMITS = {"min_df": 5, "max_df": 0.5}
N_WORDS = 100_000
_LETTERS = np.frombuffer(b"etaoinshrdlucmfwypvbgkjqxz", np.uint8)


def write_texts(path: Path, n_bytes: int, mean_length: int = 200, seed: int = 0) -> None:
    """Write documents as lines of JSON, their words drawn by Zipf's law, until the file has so many bytes."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 12, N_WORDS)
    letters = rng.choice(_LETTERS, (N_WORDS, 12)).tobytes().decode()
    words = np.array([letters[12 * n : 12 * n + length] for n, length in enumerate(lengths)])
    shares = 1 / np.arange(1, N_WORDS + 1)
    with path.open("w") as file:
        while file.tell() < n_bytes:
            drawn = rng.choice(words, rng.poisson(mean_length), p=shares / shares.sum())
            file.write(json.dumps({"text": " ".join(drawn)}) + "\n")


def texts_of(table: pd.DataFrame, number: int) -> list[str]:  # noqa: ARG001
    """Return the texts of a part."""
    return table["text"].tolist()


def count(engine: Engine, path: Path, to: Path, part_size: int | str) -> list[str]:
    """Write blocks of the counts of a file, and return its words."""
    texts = engine.blocks(CorpusDataset(str(path), part_size=part_size).parts()).prepared(texts_of)
    found = words_of_corpus(texts, RULES, **LIMITS)
    with writing(to) as new:
        finish(new, CorpusCounts(texts, found, RULES).written(partial(write_block, new)))
    return found.words


def count_in_memory(path: Path) -> list[str]:
    """Read a file and count its words, as on one machine."""
    texts = DocumentTableDataset(str(path)).load()["text"].tolist()
    return count_words(texts, **RULES._asdict(), **LIMITS).words


def seconds_of_counting(
    folder: Path, n_bytes: int = 36 * 10**6, part_size: int | str = "3 MiB", repetitions: int = 3
) -> dict[str, NDArray[np.float64]]:
    """Return the seconds of every repetition by one and by two workers of one thread, and in this process.

    Ray has begun, if it had not, and its workers have all that they import, before the first that counts. The
    program must lie beside this file: workers look there for what they are to do.

    Parameters
    ----------
    folder : Path
        Where the file and the counts are written; they are removed.
    n_bytes, part_size
        Of the file, and of its parts.
    repetitions : int
        How often each is done, in turns.
    """
    path = folder / "texts.jsonl"
    write_texts(path, n_bytes)
    if begins := not ray.is_initialized():
        on_ray.begin(ray, os.environ.get("RAY_ADDRESS", "local"), 3)
    try:
        with ExitStack() as stack:
            engines: dict[str, Engine] = {
                "1 worker": stack.enter_context(RayEngine(n_workers=1)),
                "2 workers": stack.enter_context(RayEngine(n_workers=2)),
                "this process, 1 thread, in parts": LocalEngine(1),
                "this process, 2 threads, in parts": LocalEngine(2),
            }
            tasks: dict[str, Callable[[], list[str]]] = {
                name: partial(count, engine, path, folder / "counts", part_size)
                for name, engine in engines.items()
            }
            tasks["this process, in memory"] = partial(count_in_memory, path)
            if len({tuple(task()) for task in tasks.values()}) > 1:
                raise SystemExit("the words that are counted differ")
            return interleaved(tasks, repetitions)
    finally:
        if begins:
            ray.shutdown()
        path.unlink()
        shutil.rmtree(folder / "counts", ignore_errors=True)
