"""Clusters that are told labels of some documents and words of some classes, from YAML to new documents."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from latents import estimators
from latents.features.words import count_words
from latents.pipelines.clustering import description, drawing, nodes
from latents.predictors import load
from tests.conftest import ROOT

MANUAL = (ROOT / "docs/models.md").read_text()
(EXAMPLE,) = re.findall(r"```yaml\n(clustering:\n  fit:\n    n_components: .*?)```", MANUAL, flags=re.DOTALL)
CATALOG = """
clustering.raw_documents: {type: latents.datasets.DocumentTableDataset, filepath: data/01_raw/documents.csv}
clustering_inference.raw_documents: {type: latents.datasets.DocumentTableDataset, filepath: data/01_raw/new.csv}
"""
TOPICS = {
    "space": "orbit nasa rocket moon launch lunar",
    "hockey": "puck goalie ice skates rink score",
    "baking": "flour oven dough bread sugar yeast",
    "sailing": "sail harbour wind anchor wave mast",
}
SHARED = ["today", "people", "think", "know", "year"]


def corpus(n=160, labelled=("hockey", "baking"), every=4, seed=0):
    """Documents of four topics by turns, every tenth held out; some of two topics have their label."""
    rng = np.random.default_rng(seed)
    topics = [list(TOPICS)[i % 4] for i in range(n)]
    texts = [
        " ".join([*rng.choice(TOPICS[topic].split(), 10), *rng.choice(SHARED, 5)]).capitalize()
        for topic in topics
    ]
    held_out = np.arange(n) % 10 >= 8
    known = held_out | (np.arange(n) // 4 % every == 0)
    labels = [topic if topic in labelled and row else "" for topic, row in zip(topics, known, strict=True)]
    return pd.DataFrame({"text": texts, "label": labels, "held_out": held_out, "topic": topics})


def run(project, table, parameters, until=None, pipelines=("clustering",)):
    project.write(
        "data/01_raw/documents.csv", table.drop(columns="topic", errors="ignore").to_csv(index=False)
    )
    project.write("conf/local/catalog.yml", CATALOG)
    project.write("conf/local/parameters.yml", parameters)
    project.run(*pipelines, env=None, until=until)


def parameters_of(**fit):
    return yaml.safe_dump({"clustering": {"fit": {"n_components": 4, **fit}}}, sort_keys=False)


def read(project, name, folder="08_reporting/clustering"):
    return pd.read_csv(project.data(None) / folder / f"{name}.csv", keep_default_na=False)


def assignments_of(project, pipeline="clustering"):
    return read(project, "assignments", f"07_model_output/{pipeline}")


def test_the_manuals_example(project, caplog):
    table = corpus(1200)
    run(project, table, EXAMPLE)
    clusters, assigned = read(project, "clusters"), assignments_of(project)
    assert clusters["class"].tolist() == ["baking", "hockey", "space", "", "", ""]
    assert clusters["name"].tolist()[:3] == ["baking", "hockey", "space"]
    assert clusters["name"].is_unique
    assert "main_label" not in clusters
    of_class = clusters["class"].to_numpy()[assigned["cluster"]]
    given = (table["label"] != "") & ~table["held_out"]
    np.testing.assert_array_equal(of_class[given], table["label"][given])
    space = table["topic"] == "space"  # which has words, and no label
    assert (of_class[space] == "space").mean() > 0.9
    assert not set(of_class[table["topic"] == "sailing"]) - {""}
    judged = table["held_out"] & (table["label"] != "")
    metrics = project.metrics("clustering", env=None)
    assert judged.sum() > 10
    assert metrics["heldout_accuracy"] == (of_class[judged] == table["label"][judged]).mean() > 0.9
    assert not {"nmi", "ari", "accuracy"} & metrics.keys()
    assert "the vocabulary lacks words" not in caplog.text
    assert set(read(project, "topics")["cluster_name"]) <= set(clusters["name"])

    folder = project.data(None) / "08_reporting/clustering"
    page = (folder / "report.html").read_text()
    assert "Held-out accuracy" in page
    assert "the labels of the others guided the fit" in page
    assert "never shown" not in page
    assert "of the held-out documents are in a cluster of their label" in (folder / "labels.json").read_text()
    (log,) = (project.data(None) / "logs").iterdir()
    assert re.search(r"^ +Held-out accuracy +\d+\.\d%", log.read_text(), flags=re.MULTILINE)
    (tracked,) = project.runs()
    assert tracked.data.metrics["clustering/heldout_accuracy"] == metrics["heldout_accuracy"]
    assert tracked.data.params["clustering.fit.use_labels"] == "guide"
    assert tracked.data.params["clustering.fit.seeds"].startswith("{'space': ['orbit', 'NASA'], ")

    new = pd.DataFrame({"text": ["The puck and the goalie", "A rocket in orbit", "Bread from the oven"]})
    project.write("data/01_raw/new.csv", new.to_csv(index=False))
    project.run("clustering_inference", env=None)
    found = assignments_of(project, "clustering_inference")
    assert found["cluster_name"].tolist() == ["hockey", "space", "baking"]
    predictor = load(project.data(None) / "06_models/clustering/predictor")
    assert list(predictor.cluster_names) == clusters["name"].tolist()


def test_labels_of_heldout_documents_are_not_told_to_the_fit(project):
    table = corpus()
    parameters = parameters_of(use_labels="guide")
    run(project, table, parameters, until="fit")
    path = project.data(None) / "06_models/clustering/model.safetensors"
    told = estimators.load(path)
    table.loc[table["held_out"], "label"] = "none of them"
    run(project, table, parameters, until="evaluate")
    again = estimators.load(path)
    np.testing.assert_array_equal(again.word_probabilities_, told.word_probabilities_)
    np.testing.assert_array_equal(again.classes_, told.classes_)
    assert "heldout_accuracy" not in project.metrics("clustering", env=None)  # none is of a known class


def test_seeds_without_labels_name_their_clusters(project, caplog):
    odd, long = "c++ & co, ltd", "Eis" * 99
    seeds = {odd: ["Orbit", "NASA", "telescope"], long: ["PUCK", "zamboni", "slapshot"]}
    run(project, corpus().drop(columns="label"), parameters_of(seeds=seeds), until="export")
    clusters = read(project, "clusters")
    assert clusters["class"].tolist()[:2] == clusters["name"].tolist()[:2] == list(seeds)
    (said,) = [record.message for record in caplog.records if "vocabulary lacks" in record.message]
    assert said.endswith(f"clustering.fit.seeds: {odd}: 'telescope'; {long}: 'zamboni', 'slapshot'")
    (tracked,) = project.runs()
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["clustering.fit.seeds"] == str(seeds)
    topics = corpus()["topic"]
    of_class = clusters["class"].to_numpy()[assignments_of(project)["cluster"]]
    assert (of_class[topics == "space"] == odd).mean() > 0.9


def test_labels_judge_beside_seeds(project):
    table = corpus()
    run(
        project,
        table.assign(label=table["topic"]),
        parameters_of(seeds={"space": ["orbit"]}),
        until="evaluate",
    )
    metrics = project.metrics("clustering", env=None)
    assert metrics["nmi"] > 0.7
    assert "heldout_accuracy" not in metrics
    assert {"class", "main_label"} <= set(read(project, "clusters"))


def test_several_components_of_a_class_and_several_numbers_of_components(project):
    table = corpus()
    fit = {"n_components": [7, 6], "use_labels": "guide", "components_per_class": 2}
    run(project, table, parameters_of(**fit), until="evaluate")
    clusters = read(project, "clusters")
    assert clusters["class"].tolist()[:4] == ["baking", "baking", "hockey", "hockey"]
    for name, of_class in zip(clusters["name"][:4], clusters["class"][:4], strict=True):
        words = name.removeprefix(f"{of_class}: ").split(", ")
        assert name.startswith(f"{of_class}: ")
        assert set(words) <= {*TOPICS[of_class].split(), *SHARED} or words[0].startswith("empty")
    assert clusters["name"].is_unique
    of_class = clusters["class"].to_numpy()[assignments_of(project)["cluster"]]
    given = (table["label"] != "") & ~table["held_out"]
    np.testing.assert_array_equal(of_class[given], table["label"][given])
    assert read(project, "selection")["n_components"].tolist() == [7, 6]
    assert len(project.runs()) == 3


@pytest.mark.parametrize(
    ("fit", "labels", "said"),
    [
        ({}, None, r"documents\.csv, line 2: there is no label; all documents must have one, or none"),
        (
            {"use_labels": "guide"},
            "",
            "is 'guide', but no document has a label .* allowed are 'judge', or a label",
        ),
        (
            {"use_labels": "guide", "n_components": [9, 3], "components_per_class": 2},
            None,
            r"n_components is 3, but 2 classes \('baking', 'hockey'\) .*components_per_class 2 take 4; allowed",
        ),
        (
            {"seeds": {"space": ["Zeppelin", "comet"]}},
            "one",
            r"seeds: no word of 'space' is in the vocabulary: 'Zeppelin', 'comet'; allowed are those of its",
        ),
        (
            {"seeds": {"space": ["NASA", "moon"], "agencies": ["nasa"]}},
            "one",
            "seeds: 'nasa' is a word of 'space' and of 'agencies'; allowed is one class for each word",
        ),
    ],
)
def test_what_cannot_be_told_stops_the_run_before_any_fit(project, fit, labels, said):
    table = corpus() if labels is None else corpus().assign(label=labels)
    with pytest.raises(ValueError, match=said):
        run(project, table, parameters_of(**fit), until="fit")
    assert not list(project.data(None).rglob("model.safetensors"))
    if "seeds" not in fit and "n_components" not in fit:
        assert not list(project.data(None).rglob("documents.parquet"))  # nothing was computed


def test_a_label_that_the_words_contradict_is_kept_and_told(project):
    table = corpus()
    wrong = (table["topic"] == "hockey") & (table["label"] == "hockey") & ~table["held_out"]
    (row, *_) = table.index[wrong]
    table.loc[row, "label"] = "baking"
    run(project, table, parameters_of(use_labels="guide"), until="evaluate")
    document = assignments_of(project).loc[row]
    assert document["cluster_name"] == "baking"
    assert document["probability"] == 1
    assert document["log_odds"] < 0
    examples = read(project, "examples")
    told = examples[(examples["kind"] == "least certain") & (examples["cluster_name"] == "baking")]
    assert told.sort_values("rank")["document"].tolist()[0] == row
    assert told["runner_up_name"].tolist()[0] == "hockey"


def test_labels_of_heldout_documents_alone_do_not_guide(project):
    table = corpus()
    table.loc[~table["held_out"], "label"] = ""
    with pytest.raises(
        ValueError, match="'guide', but all documents with a label are held out; hold out others"
    ):
        run(project, table, parameters_of(use_labels="guide"), until="fit")


def test_labels_that_guided_do_not_judge_unless_all_are_there(project):
    """A run that goes on from `fit` with other parameters reads documents that `ingest` let pass for a guide."""
    run(project, corpus(), parameters_of(use_labels="guide"), until="fit")
    project.write("conf/local/parameters.yml", parameters_of())
    with pytest.raises(ValueError, match="there is no label; all documents must have one, or none"):
        project.run("clustering", env=None, from_nodes=["clustering.fit"])


def test_models_that_were_told_other_things_are_not_compared():
    table = corpus()
    counts = count_words(table["text"].tolist(), min_df=2).counts
    split = {"train": np.arange(len(table)), "held_out": np.arange(0)}
    fewer = table.assign(label=table["label"].where(table["label"] != "baking", ""))

    def told(documents, **arguments):
        labels = documents["label"].to_numpy(dtype=object)
        model = estimators.MultinomialMixture(4, n_init=1, random_state=0, **arguments).fit(counts, labels)
        return nodes._guidance(model, documents, split)

    assert told(table, use_labels="ignore") == {}
    seeds = {"hockey": [1, 2]}
    several = [
        told(table, use_labels="guide"),
        told(fewer, use_labels="guide"),
        told(table, use_labels="guide", seeds=seeds),
        told(table, use_labels="ignore", seeds=seeds),
        told(table, use_labels="ignore", seeds={"hockey": [1, 3]}),
        told(table, use_labels="ignore", seeds=seeds, seed_strength=5.0),
    ]
    assert len({one["guidance"] for one in several}) == len(several)
    assert told(table, use_labels="guide") == several[0]


@pytest.mark.parametrize(
    ("classes", "called"),
    [
        (["", "", ""], ["a, b", "c", "d"]),
        (["x", "", "y"], ["x", "c", "y"]),
        (["x", "x", ""], ["x: a, b", "x: c", "d"]),
        (["c", "", "x"], ["c", "c 1", "x"]),  # a class called as a free cluster
        (["", "", "c"], ["a, b", "c 1", "c"]),
        (["x", "x", "x: c"], ["x: a, b", "x: c 1", "x: c"]),
    ],
)
def test_clusters_are_called_by_their_classes_and_no_two_alike(classes, called):
    assert description.call_by_classes(["a, b", "c", "d"], classes) == called


def test_documents_without_a_label_contradict_none():
    assigned = pd.DataFrame(
        {"label": ["sea", "sea", "", "sky"], "cluster": [0, 1, 1, 1], "held_out": [False, True, True, True]}
    )
    np.testing.assert_array_equal(drawing._agreeing(assigned, 2, ["sea", ""]), [True, False, True, False])
    figure = drawing._labels(assigned, ["sea", "wind"], ["sea", ""])
    assert figure.layout.title.text.startswith(
        "0.0% of the held-out documents are in a cluster of their label"
    )
    none = drawing._labels(assigned[:1], ["sea", "wind"], ["sea", ""])
    assert "no held-out document has one" in none.layout.annotations[0].text


def test_a_label_as_other_programs_write_missing_ones_is_told_of(project, caplog):
    table = corpus()
    table["label"] = table["label"].replace("", "NA")  # as R does, unless it is told na = ""
    run(project, table, parameters_of(use_labels="guide"), until="fit")
    n = int((~table["held_out"] & (table["label"] == "NA")).sum())
    (said,) = [
        record.getMessage() for record in caplog.records if "taken for the name" in record.getMessage()
    ]
    assert said.startswith(f"the label 'NA' of {n} training documents is taken for the name of a class")
