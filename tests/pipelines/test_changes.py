"""What has changed since the champion: clusters held against those of the best model so far."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.feature_extraction.text import CountVectorizer

from latents.pipelines.clustering.changes import changes
from tests.pipelines.test_guided_clusters import CATALOG, SHARED, TOPICS

TOPICS = {**TOPICS, "gardens": "seed soil spade bloom hedge lawn"}


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        ([[9, 0], [0, 7]], [(0, 0, "kept"), (1, 1, "kept")]),
        ([[0, 7], [9, 0]], [(1, 0, "kept"), (0, 1, "kept")]),
        # A part of one goes its own way.
        ([[9, 0, 4], [0, 7, 0]], [(0, 0, "kept"), (1, 1, "kept"), (0, 2, "split off")]),
        # Two of them become one, which is most of the larger one's and is kept as that.
        ([[9, 0], [2, 0], [0, 5]], [(0, 0, "kept"), (2, 1, "kept"), (1, 0, "gone")]),
        # Three alike become one that is nobody's.
        (
            [[5, 0], [5, 0], [5, 0], [0, 5]],
            [(0, 0, "joined"), (3, 1, "kept"), (0, 0, "gone"), (1, 0, "gone"), (2, 0, "gone")],
        ),
        # Documents of all make one that there was not.
        (
            [[8, 0, 0, 2], [0, 8, 0, 2], [0, 0, 8, 2]],
            [(0, 0, "kept"), (1, 1, "kept"), (2, 2, "kept"), (0, 3, "new")],
        ),
        # In thirds: each is split off, and what it was is gone.
        ([[4, 4, 4]], [(0, 0, "split off"), (0, 1, "split off"), (0, 2, "split off"), (0, 0, "gone")]),
        # More documents would be shared by another matching, in which nothing is kept.
        ([[6, 5], [5, 0]], [(0, 0, "kept"), (0, 1, "split off"), (1, 0, "gone")]),
        # Empty ones, old and new, are nobody's.
        ([[9, 0, 0], [0, 0, 0], [0, 0, 7]], [(0, 0, "kept"), (2, 2, "kept")]),
    ],
)
def test_what_becomes_of_clusters(shared, expected):
    assert changes(np.array(shared)) == expected


@given(arrays(np.intp, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 5)))
def test_every_cluster_is_accounted_for(shared):
    found = changes(shared)
    new = [new for _, new, change in found if change != "gone"]
    assert new == np.flatnonzero(shared.sum(axis=0)).tolist()
    old = [old for old, _, change in found if change in ("kept", "gone")]
    assert sorted(old) == np.flatnonzero(shared.sum(axis=1)).tolist()
    assert all(shared[old, new] > 0 for old, new, _ in found)
    has_most = 2 * shared > np.maximum(shared.sum(axis=1, keepdims=True), shared.sum(axis=0))
    kept = {(old, new) for old, new, change in found if change == "kept"}
    assert kept >= set(zip(*(places.tolist() for places in has_most.nonzero()), strict=True))


def corpus(topics, n_each=40, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "text": [
                " ".join([*rng.choice(TOPICS[topic].split(), 10), *rng.choice(SHARED, 5)])
                for topic in topics
                for _ in range(n_each)
            ]
        }
    )


BAG = """
clustering.raw_documents:
  {type: latents.datasets.BagOfWordsDataset, filepath: data/01_raw/counts.npz, format: npz, vocabulary: words.txt}
"""


def bag_of(texts):
    vectoriser = CountVectorizer().fit(texts)
    return sp.csr_matrix(vectoriser.transform(texts)), vectoriser.get_feature_names_out().tolist()


def run(project, table, **groups):
    """Run on a table, or on the bag of words where there is none."""
    if table is not None:
        project.write("data/01_raw/documents.csv", table.to_csv(index=False))
    project.write("conf/local/catalog.yml", BAG if table is None else CATALOG)
    project.write("conf/local/parameters.yml", yaml.safe_dump({"clustering": groups}))
    project.run("clustering", env=None)
    folder = project.data(None) / "08_reporting/clustering"
    return pd.read_csv(folder / "changes.csv", keep_default_na=False), (folder / "report.html").read_text()


def test_a_second_run_is_held_against_the_first(project, caplog):
    before, page = run(project, corpus(["space", "hockey", "baking", "sailing"]), fit={"n_components": 4})
    assert before.empty
    assert "Since the champion" not in page
    again, page = run(project, corpus(["space", "hockey", "baking", "sailing"]), fit={"n_components": 4})
    assert again["change"].tolist() == ["kept"] * 4
    assert (again["n_shared"] == again["n_documents"]).all()
    assert (again["gained"] + again["lost"]).tolist() == [""] * 4
    assert "4 of 4 are kept, and 100% of the training documents" in page
    # One subject has gone, and another has come.
    later, page = run(project, corpus(["space", "baking", "sailing", "gardens"]), fit={"n_components": 4})
    kept = later[later["change"] == "kept"]
    assert len(kept) == 3
    assert set(later["change"]) <= {"kept", "gone", "new", "split off"}
    assert later["champion_version"].tolist() == [1] * len(later)
    assert "Version 1 was the champion before this run. Of its clusters, 3 of" in page
    assert set(kept["champion_name"]) <= set(again["champion_name"])
    assert "not comparable with the champion" in caplog.text


def test_words_that_come_and_go_are_told(project):
    run(project, corpus(["space", "hockey"], 60), fit={"n_components": 2})
    table = corpus(["space", "hockey"], 60)
    table["text"] = table["text"].str.replace("lunar", "orbiter").str.replace("moon", "crater")
    changed, _ = run(project, table, fit={"n_components": 2})
    (row,) = changed[changed["gained"] != ""].to_dict("records")
    assert set(row["gained"].split(", ")) >= {"orbiter", "crater"}
    assert set(row["lost"].split(", ")) >= {"lunar", "moon"}


def test_documents_of_other_words_are_held_against_nothing(project, caplog):
    table = corpus(["space", "hockey"], 60)
    run(project, table, fit={"n_components": 2})
    table["text"] = table["text"].str.upper().str.translate({i: 0x410 + i - 65 for i in range(65, 91)})
    found, page = run(project, table, fit={"n_components": 2})
    assert found.empty
    assert "Since the champion" not in page
    assert "the champion, version 1, knows no word of the documents" in caplog.text


def test_bags_are_held_against_bags_and_not_against_a_champion_of_pairs_of_words(project, caplog):
    counts, words = bag_of(corpus(["space", "hockey"], 60)["text"])
    project.write("data/01_raw/words.txt", "\n".join(words))
    sp.save_npz(project.path / "data/01_raw/counts.npz", counts)
    pairs = {"features": {"ngram_range": [1, 2]}, "fit": {"n_components": 2}}
    run(project, corpus(["space", "hockey"], 60), **pairs)
    found, _ = run(project, None, fit={"n_components": 2}, ingest={"label_column": None})
    assert found.empty
    assert "the champion, version 1, cannot read the documents: the model counts n-grams" in caplog.text
    project.client.set_registered_model_alias("latents-clustering-base", "champion", "2")
    found, _ = run(project, None, fit={"n_components": 2}, ingest={"label_column": None})
    assert found["change"].tolist() == ["kept", "kept"]
    assert found["champion_version"].tolist() == [2, 2]


def test_a_registry_that_is_away_costs_nothing_but_the_look_back(project, caplog, monkeypatch):
    table = corpus(["space", "hockey"], 60)
    run(project, table, fit={"n_components": 2})

    def away(name):
        raise OSError(f"{name} is away")

    monkeypatch.setattr("latents.tracking.registry.champion", away)
    found, _ = run(project, table, fit={"n_components": 2})
    assert found.empty
    assert (
        "the champion of latents-clustering-base cannot be read (latents-clustering-base is away)"
        in caplog.text
    )


def test_without_mlflow_nothing_is_held_against_anything(project):
    table = corpus(["space", "hockey"], 60)
    run(project, table, fit={"n_components": 2})
    project.write("conf/local/mlflow.yml", "tracking:\n  disable_tracking:\n    pipelines: [clustering]\n")
    assert run(project, table, fit={"n_components": 2})[0].empty
