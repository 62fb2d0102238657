"""Words are counted over files on any engine: the same bytes as by one thread, and the counts of one machine."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from latents.datasets import CorpusDataset
from latents.datasets.block_folder import writing
from latents.datasets.count_blocks import CountBlocks, finish, write_block
from latents.engines import LocalEngine
from latents.features.corpus_words import CorpusCounts, words_of_corpus
from latents.features.words import count_words, rules_of
from tests.engines.conftest import on_each_engine
from tests.engines.work import n_threads_of_polars, texts_of, write_or_die
from tests.tables import write_table

RULES = rules_of("words", lowercase=True, stop_words="english", ngram_range=(1, 2))
LIMITS = {"min_df": 2, "max_df": 0.3, "max_features": 250}
KINDS = ("a.csv", "a.jsonl", "a.parquet", "texts")


@pytest.fixture(scope="module")
def documents():
    """Posts of unlike lengths, some of several lines and some without a word, as those of 20 Newsgroups."""
    rng = np.random.default_rng(0)
    words = np.array(
        [a + b + c for a in ("ka", "lö", "mi", "no") for b in "bdfgl" for c in ("rum", "stan", "vé", "x")]
    )
    lengths = rng.poisson(12, 300) * (rng.random(300) > 0.02)
    shares = 1 / np.arange(1, len(words) + 1)
    posts = [rng.choice(words, n, p=shares / shares.sum()) for n in lengths]
    texts = [" ".join(f'"{word}",\n' if word.endswith("x") else word for word in post) for post in posts]
    return pd.DataFrame({"text": texts, "label": rng.choice(["sea", "sky"], 300)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory, documents):
    """The same documents as files of all kinds."""
    folder = tmp_path_factory.mktemp("corpora")
    for name in KINDS[:2]:
        write_table(documents, folder / name)
    documents.to_parquet(folder / "a.parquet", row_group_size=40)
    for row, text in enumerate(documents["text"]):
        place = folder / "texts" / f"{row // 50}" / f"{row:03d}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder


def count(engine, path, to, write=write_block):
    """Write the counts of a corpus, and return its words and the bytes of all files."""
    parts = CorpusDataset(str(path), part_size=60_000 if path.is_dir() else 2_500).parts()
    assert len(parts) > 4
    texts = engine.blocks(parts).prepared(texts_of)
    found = words_of_corpus(texts, RULES, **LIMITS)
    with writing(to) as new:
        finish(new, CorpusCounts(texts, found, RULES).written(partial(write, new)))
    assert not list(to.rglob(".writing-*"))
    return found, {str(file.relative_to(to)): file.read_bytes() for file in sorted(to.rglob("*.*"))}


@pytest.fixture(scope="module")
def expected(folder, tmp_path_factory):
    """Of each kind what one thread writes."""
    to = tmp_path_factory.mktemp("counts")
    return {name: count(LocalEngine(1), folder / name, to / name) for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_the_counts_are_those_of_one_machine(folder, documents, expected, tmp_path, name):
    whole = count_words(documents["text"].tolist(), **RULES._asdict(), **LIMITS)
    found, files = count(LocalEngine(2), folder / name, tmp_path / "blocks")
    assert found.words == expected[name][0].words == whole.words
    assert len(found.words) == 250
    assert files == expected[name][1]
    blocks = CountBlocks(tmp_path / "blocks")
    counts = sparse.csr_array(sparse.vstack([csr for csr, _ in blocks], format="csr"))
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(counts, part), getattr(whole.counts, part))


@on_each_engine
def test_a_cluster_writes_the_same_bytes(engine, folder, expected, tmp_path):
    assert engine.blocks([None, None]).add_up(n_threads_of_polars) == 2 * engine.n_threads
    for name in KINDS:
        found, files = count(engine, folder / name, tmp_path / name)
        assert found.words == expected[name][0].words
        assert files == expected[name][1]


def test_a_cluster_writes_the_same_bytes_if_a_worker_is_killed(engine, folder, expected, tmp_path):
    dying = partial(write_or_die, str(tmp_path / "killed"))
    found, files = count(engine, folder / "a.csv", tmp_path / "again", dying)
    assert (tmp_path / "killed").exists()
    assert found.words == expected["a.csv"][0].words
    assert files == expected["a.csv"][1]


def test_a_part_that_a_worker_cannot_see_is_named(engine, documents, tmp_path):
    documents.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    parts = CorpusDataset(str(tmp_path / "a.jsonl"), part_size=2_500).parts()
    (tmp_path / "a.jsonl").rename(tmp_path / "away.jsonl")
    with pytest.raises(FileNotFoundError, match=r"worker on .* cannot see .*a\.jsonl; allowed"):
        words_of_corpus(engine.blocks(parts).prepared(texts_of), RULES)
