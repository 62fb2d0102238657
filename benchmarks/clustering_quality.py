"""Hold the quality of the mixture against its peers: NMI, ARI, matched accuracy and seconds.

Prints one table a corpus, medians over seeds with the least and the greatest, and writes one row a fit to
``--output``. Fits that are in that file already are not done again, so the table can be made in pieces; delete the
file to begin anew. Quality is measured over the documents that have words.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from _common import (
    CORPORA,
    OUTPUT,
    Corpus,
    machine,
    markdown,
    positive,
    read_corpora,
    read_folder,
    spread,
    timed,
)
from _methods import METHODS, available

KEY = ["corpus", "n_documents", "method", "seed"]
COLUMNS = [*KEY, "n_words", "n_clusters", "nmi", "ari", "accuracy", "seconds", "features", "feature_seconds"]


def measure(corpus: Corpus, name: str, seed: int) -> dict[str, object]:
    """Cluster a corpus once; ``seconds`` are those of fit and prediction, features apart."""
    method = METHODS[name]
    features = corpus.features(method.features)
    clusters, seconds = timed(lambda: method.fit_predict(features, corpus.n_clusters, seed))
    return {
        "corpus": corpus.name,
        "n_documents": features.shape[0],
        "method": name,
        "seed": seed,
        "n_words": features.shape[1],
        "n_clusters": corpus.n_clusters,
        **corpus.quality(clusters),
        "seconds": seconds,
        "features": method.features if corpus.is_text else "counts",
        "feature_seconds": corpus.seconds[method.features],
    }


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row a method, in the order of ``METHODS``: medians with least and greatest."""
    rows = []
    for name, method in METHODS.items():
        of_method = runs[runs["method"] == name]
        if len(of_method):
            rows.append(
                {
                    "method": method.title,
                    "NMI": spread(of_method["nmi"]),
                    "ARI": spread(of_method["ari"]),
                    "accuracy": spread(of_method["accuracy"]),
                    "seconds": spread(of_method["seconds"], 1),
                    "features": f"{of_method['features'].iloc[0]}, {of_method['feature_seconds'].median():.1f} s",
                    "fits": len(of_method),
                }
            )
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what is asked for and is not in the file yet, then print the tables of all that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder",
        type=read_folder,
        default={},
        metavar="PATH",
        help="more corpora: pairs of name.txt, a document a line (its words parted by blanks), and "
        "name.labels.txt, its label on the same line",
    )
    parser.add_argument(
        "--corpora",
        nargs="+",
        metavar="NAME",
        help=f"names of files in --folder (all, if it is given), or of {', '.join(CORPORA)} (all, if not)",
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--documents", type=positive, help="take this many documents of each corpus, for a try"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT / "clustering_quality.csv")
    options = parser.parse_args(arguments)
    if options.output.is_dir():
        parser.error(f"--output {options.output} is a folder; allowed is a CSV file, there already or not")
    names = options.corpora or list(options.folder or CORPORA)
    allowed = [*CORPORA, *options.folder]
    for name in names:
        if name not in allowed:
            parser.error(f"--corpora {name} is not known; allowed are {', '.join(allowed)}")

    options.output.parent.mkdir(parents=True, exist_ok=True)
    if options.output.exists():
        runs = pd.read_csv(options.output, dtype={"corpus": str})  # a file's name may be a number
    else:
        runs = pd.DataFrame(columns=COLUMNS)
        runs.to_csv(options.output, index=False)

    print(machine(), "\n")
    methods = available(options.methods)
    for corpus in read_corpora(names, options.documents, options.folder):
        n_documents, n_words = corpus.counts.shape
        for seed in options.seeds:
            for name in methods:
                key = pd.Series([corpus.name, n_documents, name, seed], index=KEY)
                if (runs[KEY] == key).all(axis=1).any():
                    continue
                row = pd.DataFrame([measure(corpus, name, seed)], columns=COLUMNS)
                row.to_csv(options.output, mode="a", header=False, index=False)
                runs = pd.concat([runs, row], ignore_index=True) if len(runs) else row
                print(f"{name}, seed {seed}: NMI {row['nmi'][0]:.3f}, {row['seconds'][0]:.1f} s", flush=True)
        asked = runs[
            (runs["corpus"] == corpus.name)
            & (runs["n_documents"] == n_documents)
            & runs["method"].isin(methods)
            & runs["seed"].isin(options.seeds)
        ]
        documents = f"{n_documents:,} documents"
        if not corpus.has_words.all():
            documents += f" ({corpus.has_words.sum():,} with words)"
        print(f"\n{corpus.name}: {documents} x {n_words:,} words, K = {corpus.n_clusters}\n")
        print(markdown(summary(asked)), "\n")
    print(
        "Quality is that of documents with words. Seconds are those of fit and prediction, not of features."
    )
    for name in methods:
        print(f"{METHODS[name].title}: {METHODS[name].settings}.")


if __name__ == "__main__":
    main()
