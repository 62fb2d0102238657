"""Word counting beside scikit-learn's ``CountVectorizer``: the same counts, in a part of its time.

Both count in turns in one process; medians are reported. It stops with an error if a count differs.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from _common import CORPORA, interleaved, machine, markdown, positive, read_corpora, spread
from latents.features.words import WordCounts, count_words

LETTERS = r"(?u)\b[a-zA-Z]{3,}\b"
SETTINGS = {
    "letters a to z": {"token_pattern": LETTERS},
    "letters of any alphabet": {"token_pattern": r"(?u)\b[^\W\d_]{3,}\b"},
    "pairs of words too": {"token_pattern": LETTERS, "ngram_range": (1, 2)},
    "a pattern for Python's re": {"token_pattern": r"(?u)(?<!\w)[a-zA-Z]{3,}(?!\w)"},
}
COMMON = {"stop_words": "english", "min_df": 5, "max_df": 0.5}


def check(found: WordCounts, expected: sparse.csr_array, words: list[str]) -> None:
    """Stop unless words, their order and all counts are the same."""
    if found.words != words or (found.counts != expected).nnz:
        raise SystemExit("word counts differ from CountVectorizer's")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each setting."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    texts_only = [name for name in CORPORA if name != "digits"]
    parser.add_argument("--corpus", choices=texts_only, default="newsgroups")
    parser.add_argument("--repetitions", type=positive, default=5)
    parser.add_argument("--documents", type=positive, help="take this many documents, for a try")
    options = parser.parse_args(arguments)

    print(machine(), "\n")
    (corpus,) = read_corpora([options.corpus], options.documents)
    texts = list(corpus.texts or [])
    rows = []
    for title, own in SETTINGS.items():
        chosen = {**COMMON, **own}
        vectorizer = CountVectorizer(dtype=np.int32, **chosen)
        found = count_words(texts, **chosen)
        expected = vectorizer.fit_transform(texts)
        check(found, expected, vectorizer.get_feature_names_out().tolist())
        seconds = interleaved(
            {
                "theirs": lambda vectorizer=vectorizer: vectorizer.fit_transform(texts),
                "ours": lambda chosen=chosen: count_words(texts, **chosen),
            },
            options.repetitions,
        )
        ratio = np.median(seconds["ours"]) / np.median(seconds["theirs"])
        rows.append(
            {
                "setting": title,
                "words": f"{len(found.words):,}",
                "CountVectorizer, s": spread(seconds["theirs"], 2),
                "ours, s": spread(seconds["ours"], 2),
                "ratio": f"{ratio:.2f}",
            }
        )
    print(
        f"{corpus.name}: {len(texts):,} documents, medians of {options.repetitions}; all counts are equal\n"
    )
    print(markdown(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
