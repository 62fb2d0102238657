"""Names, examples and the map: what the clustering pipeline makes for its readers."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from latents.estimators import MultinomialMixture
from latents.features.documents import excerpt
from latents.pipelines.clustering import description, drawing
from latents.pipelines.clustering.parameters import EvaluateParameters
from latents.reporting.report import render_chart

WORDS = np.array(["ship", "ships", "wind", "wave", "plane", "cloud", "air", "and"], dtype=object)
PARAMS = EvaluateParameters(
    n_top_words=4, relevance_weight=0.6, n_examples=2, contamination=0, map_documents=50, random_state=0
)


def corpus(n=40, seed=0):
    """Documents of the sea and of the sky, every tenth held out; one without words, one of the midst."""
    rng = np.random.default_rng(seed)
    sky = np.arange(n) % 2 == 1
    shares = np.where(sky[:, None], [0, 0, 0, 0, 4, 3, 3, 4], [4, 3, 3, 3, 0, 0, 0, 4])
    counts = np.stack([rng.multinomial(30, row / row.sum()) for row in shares])
    counts[0] = 0
    counts[1] = [1, 0, 0, 0, 1, 0, 0, 1]
    documents = pd.DataFrame(
        {
            "text": [" ".join(np.repeat(WORDS, row)) for row in counts],
            "label": np.where(sky, "sky", "sea"),
            "name": [f"file{i}" for i in range(n)],
        }
    )
    return sparse.csr_array(counts), documents, np.arange(n) % 10 == 9


def read(n_components=2, params=PARAMS, keep=("text", "label", "name"), **options):
    counts, documents, held_out = corpus(**options)
    documents = documents[list(keep)]
    model = MultinomialMixture(n_components, random_state=0).fit(counts[~held_out])
    gamma = model.predict_proba(counts)
    assignments = documents.drop(columns="text").assign(
        cluster=gamma.argmax(axis=1),
        probability=gamma.max(axis=1),
        n_tokens=counts.sum(axis=1),
        held_out=held_out,
    )
    return documents, description.describe(model, counts, WORDS, documents, assignments, params)


@pytest.fixture(scope="module")
def of_two():
    """The documents and what is told of two clusters of them, to be looked at alone."""
    return read()


def test_clusters_are_named_by_their_words(of_two):
    _, tables = of_two
    names = tables["clusters"].set_index("main_label")["name"]
    # "and" is everywhere, "ships" says no more than "ship".
    assert set(names["sea"].split(", ")) == {"ship", "wave", "wind"}
    assert set(names["sky"].split(", ")) == {"plane", "cloud", "air"}
    np.testing.assert_array_equal(
        tables["assignments"]["cluster_name"],
        tables["clusters"]["name"].to_numpy()[tables["assignments"]["cluster"]],
    )
    assert tables["clusters"]["n_documents"].sum() == 36
    assert tables["clusters"]["n_held_out"].sum() == 4
    assert tables["clusters"]["main_label_share"].between(0.9, 1).all()


def test_names_differ_where_words_do_not():
    ranking = np.array(
        [[3.0, 2.0, 1.0, 0.5], [3.0, 2.0, 1.0, 0.4], [3.0, 2.0, 1.0, 0.3], [1.0, 2.0, 3.0, 4.0]]
    )
    words = np.array(["a", "b", "c", "d"], dtype=object)
    names = description.name_clusters(ranking, words, np.array([5, 5, 5, 0]))
    assert names == ["a, b, c", "a, b, c, d", "a, b, c, d 2", "empty 3"]


def test_words_that_begin_alike_count_once():
    words = "software war god gods 26 6 york new·york york·new·jersey ice price"
    words = np.array([word.replace("·", " ") for word in words.split()], dtype=object)
    for best, name in [
        (["software", "war", "god"], "software, war, god"),
        (["gods", "god", "war", "ice"], "gods, war, ice"),
        (["26", "6", "price", "ice"], "26, 6, price"),
        (["york", "new york", "york new jersey", "ice", "war"], "york, ice, war"),
    ]:
        ranking = np.full((1, len(words)), -9.0)
        ranking[0, [list(words).index(word) for word in best]] = -np.arange(len(best))
        assert description.name_clusters(ranking, words, np.array([5])) == [name]


def test_words_rarer_in_a_cluster_than_elsewhere_do_not_tell_of_it():
    params = PARAMS.model_copy(update={"relevance_weight": 1.0, "n_top_words": 8})
    _, tables = read(params=params)
    topics = tables["topics"]
    told = topics[topics["ranking"] == "relevance"]
    assert (told["lift"] > 1).all()
    assert set(told["cluster"]) == {0, 1}
    assert not np.isinf(told["relevance"]).any()
    rare = topics[(topics["ranking"] == "probability") & (topics["lift"] <= 1)]
    assert len(rare)  # what the test is about
    named = {(row.cluster, word) for row in tables["clusters"].itertuples() for word in row.name.split(", ")}
    assert not named & set(zip(rare["cluster"], rare["word"], strict=True))
    _, tables = read(n_components=1, params=params)  # there is no elsewhere
    assert len(tables["topics"]) == 24
    assert len(tables["clusters"]["name"][0].split(", ")) == 3


def test_words_that_a_cluster_lacks_do_not_name_it():
    ranking = np.array([[-1.0, -np.inf, -np.inf], [-np.inf] * 3])
    assert description.name_clusters(ranking, WORDS[:3], np.array([1, 1])) == ["ship", "1"]


def test_topics_hold_three_rankings_with_all_measures(of_two):
    _, tables = of_two
    topics = tables["topics"]
    assert topics.groupby(["cluster", "ranking"]).size().tolist() == [4] * 6
    for ranking, rows in topics.groupby("ranking"):
        assert rows.groupby("cluster")[ranking].apply(lambda values: values.is_monotonic_decreasing).all()
    np.testing.assert_allclose(
        topics["relevance"], 0.6 * np.log(topics["probability"]) + 0.4 * np.log(topics["lift"])
    )


def test_examples_are_ordered_training_documents_with_words(of_two):
    documents, tables = of_two
    examples, assignments = tables["examples"], tables["assignments"]
    assert not (set(examples["document"]) & {0, 9, 19, 29, 39})
    trained = assignments[~assignments["held_out"]].drop(index=0)
    unfamiliar, examples = examples[-2:], examples[:-2]
    assert set(unfamiliar["kind"]) == {"least familiar"}
    assert unfamiliar["document"].tolist() == trained["familiarity"].nsmallest(2).index.tolist()
    assert unfamiliar["document"].iloc[0] == 1
    assert unfamiliar["rank"].tolist() == [1, 2]
    quoted = description.quote_unfamiliar(tables["examples"])
    assert [quotation.source for quotation in quoted] == unfamiliar["name"].tolist()
    assert quoted[0].facts.startswith(f"sky · in {unfamiliar['cluster_name'].iloc[0]} · ")
    assert examples.groupby(["cluster", "kind"]).size().tolist() == [2] * 4
    for (cluster, kind), rows in examples.groupby(["cluster", "kind"]):
        candidates = trained[trained["cluster"] == cluster]
        typical, odds = candidates["typicality"], candidates["log_odds"]
        best = typical.nlargest(2) if kind == "typical" else odds.nsmallest(2)
        assert rows["document"].tolist() == best.index.tolist()
        assert rows["rank"].tolist() == [1, 2]
    first = examples[examples["kind"] == "least certain"].sort_values("log_odds").iloc[0]
    assert first["document"] == 1
    assert first["excerpt"] == documents["text"][1] == "ship plane and"
    assert first["runner_up_name"] != first["cluster_name"]


def test_texts_that_begin_alike_are_read_once():
    columns = {"cluster": 0, "cluster_name": "a", "n_tokens": 5, "held_out": False}
    assignments = pd.DataFrame({"typicality": np.arange(40.0), "familiarity": -np.arange(40.0), **columns})
    documents = pd.DataFrame({"text": ["same  text" if i > 36 else f"text {i}" for i in range(40)]})
    chosen = description.choose_examples(assignments, documents, ["a"], 2)
    assert chosen["document"].tolist() == [39, 36] * 2
    assert chosen["excerpt"].tolist() == ["same text", "text 36"] * 2
    assert chosen["kind"].tolist() == ["typical"] * 2 + ["least familiar"] * 2


@pytest.mark.parametrize("contamination", [0, 0.01, 0.1, 0.49])
def test_so_many_training_documents_are_marked_and_the_boundary_is_found_again(contamination):
    _, tables = read(params=PARAMS.model_copy(update={"contamination": contamination}))
    assignments = tables["assignments"]
    if not contamination:
        assert "fits_nowhere" not in assignments
        assert description.least_familiarity_of(assignments) is None
        return
    assert assignments["fits_nowhere"][0]  # it has no words
    trained = assignments[~assignments["held_out"]].drop(index=0)
    marked = trained["familiarity"].nsmallest(int(np.ceil(contamination * len(trained)))).index
    assert set(trained.index[trained["fits_nowhere"]]) == set(marked)
    least = description.least_familiarity_of(assignments)
    assert trained["familiarity"][marked].max() < least < trained["familiarity"].drop(marked).min()
    np.testing.assert_array_equal(assignments["fits_nowhere"], ~(assignments["familiarity"] > least))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  a\n\n b\t", "a b"),
        ("abcdefghij", "abcdefghij"),
        ("abcdefghi jk", "abcdefghi…"),
        ("", ""),
        (" " * 100 + "hello", "hello"),
        (("a" + " " * 30) * 5, "a a a a a"),
        (("a" + " " * 30) * 6, "a a a a a…"),
        ("a " * 5 + " " * 100, "a a a a a"),
        ("ab " * 100, "ab ab ab…"),
    ],
)
def test_excerpts(text, expected):
    assert excerpt(text, 10) == expected


def test_the_map_draws_documents_that_have_words(of_two):
    _, tables = of_two
    assert tables["map"]["document"].tolist() == list(range(1, 40))
    assert np.isfinite(tables["map"][["x", "y"]]).all(axis=None)
    few = PARAMS.model_copy(update={"map_documents": 12})
    rows = [read(params=few)[1]["map"]["document"].tolist() for _ in range(2)]
    assert rows[0] == rows[1] == sorted(set(rows[0]))
    assert len(rows[0]) == 12
    assert read(params=few.model_copy(update={"random_state": 1}))[1]["map"]["document"].tolist() != rows[0]


def drawn_map(documents, tables):
    names = tables["clusters"]["name"].tolist()
    return drawing._map(tables["map"], documents, tables["assignments"], names)


@pytest.mark.parametrize(
    "options", [{"n_components": 1}, {"n": 3}, {"params": PARAMS.model_copy(update={"map_documents": 0})}]
)
def test_without_a_map_the_page_says_so(options):
    documents, tables = read(**options)
    assert tables["map"].empty
    figure = drawn_map(documents, tables)
    assert "not asked for" in figure.layout.annotations[0].text
    assert "not asked for" in render_chart("", figure)


def test_one_cluster_has_typical_documents_alone():
    _, tables = read(n_components=1)
    assert set(tables["examples"]["kind"]) == {"typical", "least familiar"}
    assert "log_odds" not in tables["assignments"]
    (group,) = description.quote(tables["examples"], tables["clusters"])
    assert list(group.columns) == ["Most typical"]


def test_without_labels_and_names_rows_stand_for_them():
    documents, tables = read(keep=["text"])
    assert "main_label" not in tables["clusters"]
    groups = description.quote(tables["examples"], tables["clusters"])
    sources = {
        quotation.source for group in groups for column in group.columns.values() for quotation in column
    }
    assert sources == {f"document {row}" for row in tables["examples"]["document"]}
    figure = drawn_map(documents, tables)
    assert not figure.layout.updatemenus
    assert any("<b>document 1</b>" in text for trace in figure.data for text in trace.text)


def test_agreement_is_with_the_label_matched_in_training(of_two):
    _, tables = of_two
    assignments = tables["assignments"].assign(label="sky")
    train = ~assignments["held_out"]
    assignments.loc[train, "label"] = np.where(assignments["cluster"][train] == 0, "sea", "sky")
    agreeing = drawing._agreeing(assignments, 2)
    assert agreeing[train].all()
    np.testing.assert_array_equal(agreeing[~train], assignments["cluster"][~train] == 1)


def test_empty_clusters_are_told_apart_from_read_ones(of_two):
    _, tables = of_two
    clusters = description._clusters(tables["assignments"], ["a", "b", "empty 2"], np.array([0.5, 0.5, 0.0]))
    assert clusters["n_documents"].tolist()[2] == 0
    assert clusters["main_label"].tolist()[2] == ""
    groups = description.quote(tables["examples"], clusters)
    sizes = clusters.set_index("name")["n_documents"]
    assert {group.heading for group in groups} == {"a", "b"}
    assert sizes[groups[0].heading] >= sizes[groups[1].heading]
