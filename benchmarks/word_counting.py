"""Word counting beside scikit-learn's ``CountVectorizer``: the same counts, in a part of its time.

``python benchmarks/word_counting.py [repetitions]`` reads 20 Newsgroups from ``LATENTS_DATA_HOME`` (or
``data/01_raw``); where it is not there, SciPy's docstrings. Both count in turns in one process.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from latents.datasets import DocstringsDataset, NewsgroupsDataset
from latents.pipelines.clustering.words import WordCounts, count_words

LETTERS = r"(?u)\b[a-zA-Z]{3,}\b"
SETTINGS = {
    "letters a to z": {"token_pattern": LETTERS},
    "letters of any alphabet": {"token_pattern": r"(?u)\b[^\W\d_]{3,}\b"},
    "pairs of words too": {"token_pattern": LETTERS, "ngram_range": (1, 2)},
    "a pattern for Python's re": {"token_pattern": r"(?u)(?<!\w)[a-zA-Z]{3,}(?!\w)"},
}
COMMON = {"stop_words": "english", "min_df": 5, "max_df": 0.5}


def read_texts() -> tuple[str, list[str]]:
    """Return the name of the corpus, and its texts."""
    data_home = Path(os.environ.get("LATENTS_DATA_HOME", Path(__file__).parents[1] / "data/01_raw"))
    if (data_home / NewsgroupsDataset.CACHE).is_file():
        return "20 Newsgroups", NewsgroupsDataset(str(data_home)).load()["text"].tolist()
    packages = [
        "stats",
        "signal",
        "optimize",
        "sparse",
        "interpolate",
        "special",
        "linalg",
        "spatial",
        "ndimage",
    ]
    return "SciPy's docstrings", DocstringsDataset("scipy", packages).load()["text"].tolist()


def check(found: WordCounts, expected: sparse.csr_array, words: list[str]) -> None:
    """Stop unless words, their order and all counts are the same."""
    if found.words != words or (found.counts != expected).nnz:
        raise SystemExit("word counts differ from CountVectorizer's")


def main(repetitions: int) -> None:
    """Print a row for each setting."""
    name, texts = read_texts()
    print(f"{name}: {len(texts):,} documents, {sum(map(len, texts)):,} characters; {os.cpu_count()} cores")
    print(f"medians of {repetitions} runs\n")
    print(f"{'':28}{'words':>10}{'CountVectorizer':>18}{'count_words':>14}{'ratio':>8}")
    for title, own in SETTINGS.items():
        settings = {**own, **COMMON}
        vectorizer = CountVectorizer(dtype=np.int32, **settings)
        tasks: list[Callable[[], object]] = [
            lambda vectorizer=vectorizer: vectorizer.fit_transform(texts),
            lambda settings=settings: count_words(texts, **settings),
        ]
        # The run that is compared also warms both up.
        check(
            found := count_words(texts, **settings),
            vectorizer.fit_transform(texts),
            vectorizer.get_feature_names_out().tolist(),
        )
        seconds: list[list[float]] = [[], []]
        for repetition in range(repetitions):
            for i in (0, 1) if repetition % 2 else (1, 0):
                started = time.perf_counter()
                tasks[i]()
                seconds[i].append(time.perf_counter() - started)
        theirs, ours = map(statistics.median, seconds)
        print(f"{title:28}{len(found.words):>10,}{theirs:>16.2f} s{ours:>12.2f} s{ours / theirs:>8.2f}")
    print("\nall counts are equal")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
