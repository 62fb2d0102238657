"""Run the clustering pipeline over texts that the driver never holds, and tell how much memory it takes.

Documents with planted clusters are written as a folder of Parquet files; by default their counts have 100 million
non-zeros. They go through `kedro run` as the page on clusters says it, by two workers of a Ray cluster of this
machine, from ingest to report. What counts is the highest memory of the driver above that of a process that has
imported what a run imports. Everything is written below ``--output``.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from _common import OUTPUT, machine, positive
from _synthetic import drawn_blocks

ROOT = Path(__file__).resolve().parents[1]
GIB = 2**30
TARGET_MEMORY = 1.5
IMPORTED = "import kedro_mlflow, matplotlib, mlflow, plotly, polars, ray, sklearn.metrics, torch"
_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))


def words_of(n_words: int) -> np.ndarray:
    """Return words of five letters, no two alike."""
    digits = np.arange(n_words)[:, np.newaxis] // 26 ** np.arange(4) % 26
    return np.array(
        ["".join(row) for row in _LETTERS[np.hstack([np.full((n_words, 1), 25), digits])]], object
    )


def texts(options: argparse.Namespace) -> Iterator[pd.DataFrame]:
    """Draw documents, some at a time."""
    words = words_of(options.words)
    blocks = drawn_blocks(
        n_documents=options.documents,
        n_words=options.words,
        n_nonzeros=options.nonzeros,
        n_clusters=options.clusters,
        block_documents=options.block,
    )
    for counts, labels in blocks:
        spelled = np.repeat(words[counts.indices], counts.data)
        edges = np.append(0, np.cumsum(counts.sum(axis=1)))
        rows = [" ".join(spelled[start:stop]) for start, stop in pairwise(edges)]
        yield pd.DataFrame({"text": rows, "label": [f"topic {label}" for label in labels]})


def configure(options: argparse.Namespace, folder: Path) -> None:
    """Write the environment of the run: the cluster's, whose raw documents are these."""
    shutil.copytree(ROOT / "conf", folder / "conf", dirs_exist_ok=True)
    own = folder / "conf/corpus"
    shutil.rmtree(own, ignore_errors=True)
    shutil.copytree(ROOT / "conf/cluster", own)
    engine = json.loads(options.engine)
    (own / "globals.yml").write_text(yaml.safe_dump({"data": str(folder / "data"), "engine": engine}))
    raw = {
        "type": "latents.datasets.CorpusDataset",
        "filepath": str(folder / "texts.parquet"),
        "engine": engine,
    }
    (own / "catalog_raw.yml").write_text(yaml.safe_dump({"clustering.raw_documents": raw}))
    features = {"min_df": 1, "max_df": 1.0}
    parameters = {"clustering": {"features": features, "fit": {"n_components": options.clusters}}}
    base = yaml.safe_load((ROOT / "conf/base/parameters_clustering.yml").read_text())["clustering"]
    for group, values in parameters["clustering"].items():
        base[group] |= values
    (own / "parameters_clustering.yml").write_text(yaml.safe_dump({"clustering": base}))


def peak_of(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command; return its seconds and the highest memory of its own process, children left out, in GiB."""
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "VmHWM" in lines:
            peak = max(peak, int(lines["VmHWM"].split()[0]) * 1024)
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - began, peak / GIB


def main() -> None:
    """Write the texts, unless they are there, and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=positive, default=300_000)
    parser.add_argument("--words", type=positive, default=100_000)
    parser.add_argument("--nonzeros", type=positive, default=100_000_000)
    parser.add_argument("--clusters", type=positive, default=20)
    parser.add_argument("--block", type=positive, default=5_000, help="documents of a file")
    parser.add_argument("--engine", default='{"name": "ray", "address": "local", "n_workers": 2}')
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    folder = (options.output / f"texts-{options.documents}x{options.words}-{options.nonzeros}").absolute()
    corpus = folder / "texts.parquet"
    if not corpus.exists():
        unfinished = folder / "unfinished"
        unfinished.mkdir(parents=True)
        for number, table in enumerate(texts(options)):
            table.to_parquet(unfinished / f"part-{number:05d}.parquet")
        unfinished.rename(corpus)
    configure(options, folder)
    shutil.rmtree(folder / "data", ignore_errors=True)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    _, imported = peak_of([sys.executable, "-c", IMPORTED], environment)
    run = [
        "kedro",
        "run",
        "--conf-source",
        str(folder / "conf"),
        "--env",
        "corpus",
        "--pipelines",
        "clustering",
    ]
    seconds, peak = peak_of([sys.executable, "-m", *run], environment)
    metrics = json.loads((folder / "data/08_reporting/clustering/metrics.json").read_text())
    print(machine())
    print(json.dumps(metrics, indent=2))
    verdict = "met" if peak - imported <= TARGET_MEMORY else "missed"
    print(
        f"{seconds:.0f} s; the driver held at most {peak:.2f} GiB, {peak - imported:.2f} above the import's "
        f"{imported:.2f} (target {TARGET_MEMORY}: {verdict})"
    )


if __name__ == "__main__":
    main()
