"""What the benchmarks share: corpora, fair timing, memory, and tables."""

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from kedro.io import DatasetError
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from threadpoolctl import threadpool_info

from latents.datasets import DocstringsDataset, NewsgroupsDataset
from latents.estimators.conditional_vae.training import multiplies_bfloat16
from latents.estimators.multinomial_mixture.metrics import matched_accuracy
from latents.features.tokens import pattern_of

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "data" / "08_reporting" / "benchmarks"


class Corpus:
    """Documents, what they are counted by, and labels that no method gets to see.

    Parameters
    ----------
    name : str
    labels : array-like of shape (D,)
        K is the number of different ones.
    texts : sequence of str, optional
        The documents; `words` says how they are counted.
    words : mapping, optional
        Arguments of ``CountVectorizer``.
    counts : sparse array of shape (D, W), optional
        In place of texts: what is counted is no text, and the peers get it without tf-idf.

    Attributes
    ----------
    seconds : dict
        What "counts" and "tf-idf" took, by name, once they have been computed.
    """

    def __init__(
        self,
        name: str,
        labels: ArrayLike,
        *,
        texts: Sequence[str] | None = None,
        words: Mapping[str, Any] | None = None,
        counts: sparse.csr_array | None = None,
    ) -> None:
        self.name = name
        self.labels = np.asarray(labels)
        self.n_clusters = len(np.unique(self.labels))
        self.texts = texts
        self.words = dict(words or {})
        self.seconds: dict[str, float] = {}
        self._given = counts

    @cached_property
    def counts(self) -> sparse.csr_array:
        """T (D, W), as float64: no method then has to convert it."""
        started = time.perf_counter()
        if self.texts is None:
            counts = sparse.csr_array(self._given, dtype=np.float64)
        else:
            counts = sparse.csr_array(
                CountVectorizer(dtype=np.float64, **self.words).fit_transform(self.texts)
            )
        self.seconds["counts"] = time.perf_counter() - started
        return counts

    @property
    def is_text(self) -> bool:
        """Whether tf-idf means anything here."""
        return self.texts is not None

    @cached_property
    def tfidf(self) -> sparse.csr_array:
        """Sublinear tf-idf with rows of length 1 (D, W); of what is no text, the counts."""
        counts = self.counts
        started = time.perf_counter()
        weighted = counts
        if self.is_text:
            weighted = sparse.csr_array(TfidfTransformer(sublinear_tf=True).fit_transform(counts))
        self.seconds["tf-idf"] = self.seconds["counts"] + time.perf_counter() - started
        return weighted

    def features(self, kind: str) -> sparse.csr_array:
        """Return ``"counts"`` or ``"tf-idf"``."""
        return {"counts": lambda: self.counts, "tf-idf": lambda: self.tfidf}[kind]()

    @property
    def has_words(self) -> NDArray[np.bool_]:
        """Which of the documents have words (D,)."""
        return self.counts.sum(axis=1) > 0

    def quality(self, clusters: ArrayLike) -> dict[str, float]:
        """Return NMI, ARI and matched accuracy over the documents that have words: of others none can tell."""
        has_words = self.has_words
        return quality(self.labels[has_words], np.asarray(clusters)[has_words])

    def sample(self, n_documents: int | None) -> "Corpus":
        """Return this many of the documents, drawn once and for all; None, or too many, means all."""
        n_all = len(self.labels)
        if n_documents is None or n_documents >= n_all:
            return self
        rows = np.sort(np.random.default_rng(0).permutation(n_all)[:n_documents])
        return Corpus(
            self.name,
            self.labels[rows],
            texts=None if self.texts is None else [self.texts[row] for row in rows],
            words=self.words,
            counts=None if self._given is None else self._given[rows],
        )


def settings(kind: str, *environments: str) -> dict[str, Any]:
    """Return the clustering pipeline's ``conf/<environment>/<kind>_clustering.yml``, later ones on top."""
    merged: dict[str, Any] = {}
    for environment in environments:
        path = ROOT / "conf" / environment / f"{kind}_clustering.yml"
        for group, values in yaml.safe_load(path.read_text()).get("clustering", {}).items():
            merged[group] = {**merged.get(group, {}), **values}
    return merged


def _words(*environments: str) -> dict[str, Any]:
    features = settings("parameters", *environments)["features"]
    words = {
        name: features[name] for name in ("token_pattern", "lowercase", "stop_words", "min_df", "max_df")
    }
    # CountVectorizer knows no pattern by name.
    return {**words, "token_pattern": pattern_of(features["token_pattern"])}


def data_home() -> str:
    """Return the folder of the caches of data sets."""
    return os.environ.get("LATENTS_DATA_HOME") or str(ROOT / "data" / "01_raw")


def _newsgroups(name: str, remove: Sequence[str]) -> Corpus:
    documents = NewsgroupsDataset(data_home(), subset="all", remove=remove).load()
    return Corpus(name, documents["label"], texts=list(documents["text"]), words=_words("base", "benchmark"))


def _scipy(name: str) -> Corpus:
    catalog = yaml.safe_load((ROOT / "conf" / "base" / "catalog_clustering.yml").read_text())
    entry = catalog["clustering.raw_documents"]
    documents = DocstringsDataset(entry["package"], entry["subpackages"]).load()
    return Corpus(name, documents["label"], texts=list(documents["text"]), words=_words("base"))


def _digits(name: str) -> Corpus:
    images, labels = load_digits(return_X_y=True)
    return Corpus(name, labels, counts=sparse.csr_array(images))


CORPORA: dict[str, Callable[[], Corpus]] = {
    "newsgroups": lambda: _newsgroups("newsgroups", ()),
    "newsgroups-stripped": lambda: _newsgroups("newsgroups-stripped", ("headers", "footers", "quotes")),
    "scipy": lambda: _scipy("scipy"),
    "digits": lambda: _digits("digits"),
}


def _lines(path: Path) -> list[str]:
    """Return the lines of a file (which ``splitlines`` would also cut at form feeds and the like)."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{path} cannot be read as text in UTF-8: {error}") from error
    return lines if lines[-1] else lines[:-1]


def read_folder(folder: str) -> dict[str, Corpus]:
    """Read the corpora of a folder, each from a pair of files, by their name.

    ``name.txt`` has a document a line, its words parted by blanks; an empty line is a document without words.
    ``name.labels.txt`` has its label on the same line. Words are counted as they stand: no letter is made small,
    no stop word and no rare one is left out. `argparse` shows what is raised as the mistake of an option.
    """
    paths = [path for path in sorted(Path(folder).glob("*.txt")) if path.is_file()]
    of_labels = {
        path.name.removesuffix(".labels.txt"): path for path in paths if path.name.endswith(".labels.txt")
    }
    of_texts = {path.stem: path for path in paths if path not in of_labels.values()}
    if not paths:
        found = "has no corpora" if Path(folder).is_dir() else "is no folder"
        raise argparse.ArgumentTypeError(
            f"{folder} {found}; allowed is a folder of pairs name.txt (documents) and name.labels.txt (labels)"
        )
    for name in sorted(of_texts.keys() ^ of_labels.keys()):
        there, missing = (of_texts, ".labels.txt") if name in of_texts else (of_labels, ".txt")
        raise argparse.ArgumentTypeError(
            f"{there[name]} is half a corpus: {name}{missing} has to be beside it"
        )

    corpora = {}
    for name, path in of_texts.items():
        if name in CORPORA:
            raise argparse.ArgumentTypeError(f"{path}: the benchmark has a corpus {name}; rename the file")
        texts, labels = _lines(path), [label.strip() for label in _lines(of_labels[name])]
        if len(texts) != len(labels):
            raise argparse.ArgumentTypeError(
                f"{path} has {len(texts):,} lines and {of_labels[name].name} {len(labels):,}; allowed is as many, "
                "the label of a document on the same line"
            )
        if "" in labels:
            raise argparse.ArgumentTypeError(
                f"{of_labels[name]}, line {labels.index('') + 1}: there is no label"
            )
        if not any(text.split() for text in texts):
            raise argparse.ArgumentTypeError(f"{path}: no document has words")
        corpora[name] = Corpus(name, labels, texts=texts, words={"token_pattern": r"\S+", "lowercase": False})
    return corpora


def read_corpora(
    names: Sequence[str], n_documents: int | None = None, given: Mapping[str, Corpus] | None = None
) -> list[Corpus]:
    """Return corpora by name, the given ones and our own.

    Where 20 Newsgroups is not to be had, say so and take SciPy's docstrings.
    """
    given = given or {}
    corpora: dict[str, Corpus] = {}
    for name in names:
        try:
            corpus = given[name] if name in given else CORPORA[name]()
            corpora.setdefault(name, corpus.sample(n_documents))
        except DatasetError as error:
            print(f"No {name}; going on with SciPy's docstrings. {error}\n")
            corpora.setdefault("scipy", CORPORA["scipy"]().sample(n_documents))
    return list(corpora.values())


def quality(labels: ArrayLike, clusters: ArrayLike) -> dict[str, float]:
    """Return NMI, ARI and matched accuracy."""
    return {
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
        "accuracy": matched_accuracy(labels, clusters),
    }


def timed(task: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a task returns, and its seconds."""
    started = time.perf_counter()
    result = task()
    return result, time.perf_counter() - started


_PAUSE = 0.1  # seconds


def interleaved(
    tasks: Mapping[str, Callable[[], object]], repetitions: int, most_seconds: float = float("inf")
) -> dict[str, NDArray[np.float64]]:
    """Return the seconds of every repetition of every task.

    The tasks take turns, so that a machine that is slow for a while is slow for all of them, and every round
    begins with another one. One round before the first is not counted. A pause before each lets go to sleep the
    threads of BLAS that the one before has left waiting for work. No round begins after `most_seconds`, but for
    the first that counts: on a slow machine there are fewer of them.
    """
    started = time.perf_counter()
    names = list(tasks)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        tasks[name]()
    for repetition in range(repetitions):
        if repetition and time.perf_counter() - started > most_seconds:
            break
        first = repetition % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(_PAUSE)
            seconds[name].append(timed(tasks[name])[1])
    return {name: np.array(values) for name, values in seconds.items()}


def resident_bytes() -> tuple[int, int]:
    """Return the memory resident in this process, now and at its highest, mapped files included.

    Linux tells both; elsewhere the highest stands for both. (Linux's ``ru_maxrss`` would not do: a child process
    inherits its parent's.)
    """
    status = Path("/proc/self/status")
    if status.is_file():
        values = dict(line.split(":", 1) for line in status.read_text().splitlines())
        now, peak = (int(values[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
        return now, max(now, peak)  # the kernel's own peak may lag by a few pages
    unit = 1 if platform.system() == "Darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return peak, peak


def machine() -> str:
    """Return two lines that say what the figures were taken on: the processor, and what ran on it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", "as many as cores")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn", "torch"))
    return (
        f"{processor()}\n"
        f"{cores} cores, OMP_NUM_THREADS: {threads}; Python {platform.python_version()}, {libraries}"
    )


def processor() -> str:
    """Return the model of the processor, and the instructions that torch and BLAS use of those that it has."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = named[0] if named else platform.processor() or platform.machine()
    libraries = threadpool_info()
    blas = sorted({found.get("architecture", "?") for found in libraries if found["user_api"] == "blas"})
    bfloat16 = "native" if multiplies_bfloat16(torch.device("cpu")) else "emulated"
    widest = torch.backends.cpu.get_cpu_capability()
    return f"{model}; widest instructions {widest}, BLAS for {', '.join(blas)}, bfloat16 {bfloat16}"


def spread(values: ArrayLike, digits: int = 3) -> str:
    """Return the median, with the least and the greatest value where there are several."""
    values = np.asarray(values, dtype=float)
    median = f"{np.median(values):.{digits}f}"
    return median if values.size == 1 else f"{median} ({values.min():.{digits}f}..{values.max():.{digits}f})"


def markdown(table: pd.DataFrame) -> str:
    """Return a table in Markdown, its columns aligned: the first to the left, the others to the right."""
    rows = [list(map(str, table.columns)), *(list(map(str, row)) for row in table.to_numpy().tolist())]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(table.shape[1])]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = (
        [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        for row in (rows[0], rule, *rows[1:])
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def positive(text: str) -> int:
    """Read a whole number of at least 1 from the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: allowed are whole numbers of at least 1")
    return number
