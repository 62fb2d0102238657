"""What fits nowhere, from a table of texts to marks, report and new documents; fits off their corpus's scale."""

import logging

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.framework.session import KedroSession

from latents.pipelines.clustering.corpus import count_words
from latents.pipelines.clustering.parameters import FeaturesParameters
from tests.conftest import ROOT

ENTRY = """
{pipeline}.raw_documents:
  type: latents.datasets.DocumentTableDataset
  filepath: data/01_raw/{pipeline}.csv
"""
WORDS = np.array([a + b + c for a in "bdfgklm" for b in "aeiou" for c in "nrst"])


def table_of(n_documents, n_shuffled, seed):
    """Documents of three kinds, some whose words are drawn from all of them, and one without words."""
    rng = np.random.default_rng(seed)
    shares = np.random.default_rng(0).dirichlet(np.full(len(WORDS), 0.15), 3)
    kinds = rng.integers(3, size=n_documents)
    words = np.array([rng.choice(WORDS, 40, p=shares[kind]) for kind in kinds])
    shuffled = rng.choice(words.ravel(), (n_shuffled, 40))
    texts = [" ".join(row) for row in [*words, *shuffled]]
    labels = [*(f"kind {kind}" for kind in kinds), *["shuffled"] * n_shuffled]
    table = pd.DataFrame({"text": [*texts, "0"], "label": [*labels, "empty"]})
    return table.sample(frac=1, random_state=seed, ignore_index=True)


def run(project, until=None, **parameters):
    """Run the clustering of a table of one's own."""
    parameters = {"features": {"min_df": 1, "max_df": 1.0}, **parameters}
    project.write("conf/local/parameters.yml", yaml.safe_dump({"clustering": parameters}))
    project.write("conf/local/catalog.yml", "".join(map(entry, ["clustering", "clustering_inference"])))
    project.run("clustering", env=None, until=until)


def entry(pipeline):
    return ENTRY.format(pipeline=pipeline)


def write(project, pipeline, table):
    project.write(f"data/01_raw/{pipeline}.csv", table.to_csv(index=False))


def loaded(project, name):
    with KedroSession.create(project_path=project.path) as session:
        return session.load_context().catalog.load(name)


def auc_of(table):
    """How often a shuffled document is less familiar than one that is not."""
    shuffled = table["label"] == "shuffled"
    known = table["label"].str.startswith("kind")
    values = table["familiarity"].to_numpy()
    return np.mean(values[known][:, None] > values[shuffled][None])


def test_shuffled_documents_are_found_marked_and_shown_and_new_ones_by_the_same_measure(project):
    write(project, "clustering", table_of(300, 30, seed=1))
    write(project, "clustering_inference", table_of(60, 60, seed=2))
    run(project, fit={"n_components": 3}, evaluate={"contamination": 0.08, "n_examples": 4})
    assignments = loaded(project, "clustering.assignments")
    assert auc_of(assignments) > 0.95
    empty = assignments["n_tokens"] == 0
    np.testing.assert_array_equal(assignments["familiarity"].isna(), empty)
    assert assignments["fits_nowhere"][empty].all()
    trained = assignments[~assignments["held_out"] & ~empty]
    assert trained["fits_nowhere"].sum() == np.ceil(0.08 * len(trained))
    marked = assignments[assignments["fits_nowhere"] & ~empty]
    assert (marked["label"] == "shuffled").mean() > 0.9

    examples = loaded(project, "clustering.examples")
    least = examples[examples["kind"] == "least familiar"]
    assert least["document"].tolist() == trained["familiarity"].nsmallest(4).index.tolist()
    page = (project.path / "data/08_reporting/clustering/report.html").read_text()
    assert "What fits nowhere" in page
    assert "The least familiar 8.00% of the training documents" in page
    for row in least.itertuples():
        assert f"shuffled · in {row.cluster_name} · {row.familiarity:.2f} nats a word" in page

    project.run("clustering_inference", env=None)
    new = loaded(project, "clustering_inference.assignments")
    assert auc_of(new) > 0.95
    predictor = project.predictor("clustering", env=None)
    documents = pd.read_parquet(project.path / "data/02_intermediate/clustering_inference/documents.parquet")
    pd.testing.assert_frame_equal(new[list(predictor.predict([""]))], predictor.predict(documents["text"]))
    np.testing.assert_array_equal(new["fits_nowhere"], ~(new["familiarity"] > predictor.least_familiarity))
    assert new["fits_nowhere"].sum() > 40
    again = predictor.predict(
        pd.read_parquet(project.path / "data/02_intermediate/clustering/documents.parquet")
    )
    np.testing.assert_array_equal(again["fits_nowhere"], assignments["fits_nowhere"])


def test_the_embedded_documents_are_told_without_marks(finished):
    assignments = pd.read_csv(finished.data() / "07_model_output/clustering/assignments.csv")
    assert np.isfinite(assignments["familiarity"]).all()
    assert "fits_nowhere" not in assignments
    assert finished.predictor("clustering").least_familiarity is None
    examples = pd.read_csv(finished.data() / "08_reporting/clustering/examples.csv")
    assert examples["kind"].tolist()[-5:] == ["least familiar"] * 5


@pytest.mark.parametrize("share", [-0.1, 0.5, True])
def test_a_share_that_is_none_is_refused(project, share):
    with pytest.raises(Exception, match=r"contamination"):
        project.run("clustering", params={"clustering": {"evaluate": {"contamination": share}}})
    assert not list((project.path / "data").rglob("documents.parquet"))


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_fit_off_the_scale_of_its_corpus_says_once_what_to_change(project, caplog):
    write(project, "clustering", table_of(60, 0, seed=1)[lambda table: table["label"] != "empty"])
    run(project, until="fit", fit={"n_components": 3})
    assert not warnings_of(caplog)
    run(project, until="fit", fit={"n_components": 12, "annealing_smoothing": 2.0, "rearrangements": 0})
    said, outweighed = warnings_of(caplog)
    empty = 12 - len(np.unique(clusters_of(project)))
    assert said.startswith(
        f"{empty} of 12 clusters hold no training document; a smaller clustering.fit.n_comp"
    )
    assert said.endswith("annealing_smoothing (2)")
    assert "clustering.fit.annealing_smoothing (2) adds" in outweighed
    caplog.clear()
    run(
        project,
        until="fit",
        fit={"n_components": 2, "smoothing": 20.0, "relative": False, "annealing": False},
    )
    (said,) = [text for text in warnings_of(caplog) if "prior" in text]
    counts = loaded(project, "clustering.counts")
    n_words = counts[loaded(project, "clustering.split")["train"]].sum()
    assert f"smoothing (20) adds {2 * counts.shape[1] * 20} pseudo-counts to their {n_words} words" in said
    assert said.endswith("relative: true, by which it is a share of what there is")


def clusters_of(project):
    counts, rows = loaded(project, "clustering.counts"), loaded(project, "clustering.split")["train"]
    return loaded(project, "clustering.model").predict(counts[rows])


@pytest.mark.slow
def test_the_embedded_documents_give_no_cause_for_warning(project, caplog):
    project.run("clustering", env=None, until="fit")
    assert not warnings_of(caplog)


DEFAULTS = yaml.safe_load((ROOT / "conf/base/parameters_clustering.yml").read_text())["clustering"][
    "features"
]
# Of 20 documents each: a word of its own or one of a few, and one of all; a word of the half, and one of all.
APART = [f"{WORDS[i]} sea" for i in range(20)]
HALVES = [f"{'ship' if i % 2 else 'plane'} sea" for i in range(20)]


@pytest.mark.parametrize(
    ("texts", "limits", "said"),
    [
        (
            [*APART[:18], "boat sea", "boat sea"],
            {"min_df": 2},
            "of 40 occurrences of words in 20 documents clustering.features.min_df (2) drops 18, max_df (0.5) 20 "
            "and max_features (None) 0, and 18 documents have no word left; set a greater max_df",
        ),
        (
            [text.removesuffix(" sea") for text in [*APART[:18], "boat", "boat"]],
            {"min_df": 2},
            "drops 18, max_df (0.5) 0 and max_features (None) 0, and 18 documents have no word left; set a "
            "smaller min_df: to some hundred short texts 1 or 2 is enough",
        ),
        (HALVES, {"max_df": 0.6}, None),
        (
            [f"{text} sea" for text in HALVES],
            {"max_df": 0.6},
            "max_df (0.6) 40 and max_features (None) 0, and 0 documents have no word left; set a greater max_df",
        ),
        (
            HALVES,
            {"max_df": 0.6, "max_features": 1},
            "max_features (1) 10, and 10 documents have no word left",
        ),
        (APART, {"min_df": 2, "ngram_range": [1, 2], "max_df": 1.0}, None),
        (["the", "and", "0", *HALVES], {"max_df": 1.0}, None),  # what has no words anyway
    ],
)
def test_limits_that_leave_little_of_the_corpus_say_so(caplog, texts, limits, said):
    features = FeaturesParameters(**DEFAULTS | {"min_df": 1} | limits)
    count_words(pd.DataFrame({"text": texts}), {}, features)
    found = [text for text in warnings_of(caplog) if "occurrences" in text]
    assert len(found) == (said is not None)
    assert all(said in text for text in found)
