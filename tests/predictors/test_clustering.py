"""Texts in, clusters out: the words of training, counted as in training."""

# ruff: noqa: RUF001 - letters of other forms are what is tried here

import json
from math import log

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from latents.estimators import MultinomialMixture
from latents.features.numbering import Numbering
from latents.features.words import WordRules, count_words, rules_of
from latents.predictors import ClusteringPredictor, load
from tests.predictors.examples import RULES, SEA, SKY, TEXTS, change


def trained(texts=TEXTS, rules=RULES, n_clusters=2, **parameters):
    counted = count_words(texts, **rules._asdict())
    model = MultinomialMixture(n_clusters, random_state=0, **parameters).fit(counted.counts)
    return ClusteringPredictor(model, counted.words, rules, ["one", "two"][:n_clusters])


def parts_of(predictor):
    return {name: getattr(predictor, name) for name in ("model", "vocabulary", "rules", "cluster_names")}


def test_the_table_is_the_mixtures(clustering_predictor):
    counts = count_words(TEXTS, **RULES._asdict()).counts
    table = clustering_predictor.predict(TEXTS)
    gamma = clustering_predictor.model.predict_proba(counts)
    named = ["cluster", "cluster_name", "probability", "familiarity", "n_tokens", "deciding_words"]
    assert list(table) == [*named, "p_0", "p_1"]
    np.testing.assert_array_equal(table["cluster"], gamma.argmax(axis=1))
    np.testing.assert_allclose(table["probability"], gamma.max(axis=1))
    np.testing.assert_allclose(table[["p_0", "p_1"]], gamma)
    np.testing.assert_allclose(table["familiarity"], clustering_predictor.model.familiarity(counts))
    np.testing.assert_array_equal(table["n_tokens"], counts.sum(axis=1))
    assert table["cluster_name"].tolist()[:4] == ["sea", "sky", "sea", "sky"]


def test_the_words_that_decide_are_those_of_the_largest_log_odds(clustering_predictor):
    words, mu = list(clustering_predictor.vocabulary), clustering_predictor.model.word_probabilities_
    table = clustering_predictor.predict(["sail sail sail ship wind plane"])
    own = table["cluster"].item()
    log_odds = np.log(mu[own]) - np.log(mu[1 - own])
    counted = {"sail": 3, "ship": 1, "wind": 1, "plane": 1}
    told = {word: n * log_odds[words.index(word)] for word, n in counted.items()}
    expected = [word for word in sorted(told, key=told.get, reverse=True) if told[word] > 0]
    assert expected[0] == "sail"
    assert "plane" not in expected
    assert table["deciding_words"].item() == ", ".join(expected)
    shorter = clustering_predictor.predict(["sail sail sail ship wind plane"], n_deciding_words=1)
    assert shorter["deciding_words"].item() == "sail"


@pytest.mark.parametrize("text", ["", "nothing of this is known", "123 _ !", "the and"])
def test_a_text_without_known_words_has_the_mixing_weights(clustering_predictor, text):
    table = clustering_predictor.predict([SEA, text])
    np.testing.assert_allclose(
        table.loc[1, ["p_0", "p_1"]].astype(float), clustering_predictor.model.weights_
    )
    assert table["n_tokens"].tolist() == [4, 0]
    assert table["deciding_words"][1] == ""
    assert table["familiarity"].isna().tolist() == [False, True]


def test_texts_no_more_familiar_than_the_least_fit_nowhere(clustering_predictor, tmp_path):
    texts = [SEA, SKY, "ship wing sail airport", "nothing of this is known"]
    familiarity = clustering_predictor.predict(texts)["familiarity"]
    assert familiarity[2] < 0 < familiarity[:2].min()
    assert "fits_nowhere" not in clustering_predictor.predict(texts)
    for least, marks in ((float(familiarity[2]), [False, False, True, True]), (-9, [False] * 3 + [True])):
        ClusteringPredictor(**parts_of(clustering_predictor), least_familiarity=least).save(tmp_path / "a")
        loaded = load(tmp_path / "a")
        assert loaded.least_familiarity == least
        table = loaded.predict(texts)
        assert table["fits_nowhere"].tolist() == marks
        assert list(table)[3:6] == ["familiarity", "fits_nowhere", "n_tokens"]


def test_accents_of_texts_and_bags_are_composed_before_words_are_counted():
    predictor = trained(["schön schön Ufer", "Ufer Berg Berg"] * 3)
    pd.testing.assert_frame_equal(predictor.predict(["scho\u0308n"]), predictor.predict(["schön"]))
    assert predictor.predict(["scho\u0308n"])["n_tokens"].item() == 1
    counts = predictor.count_bag(sparse.csr_array(np.array([[2, 3, 1]])), ["scho\u0308n", "schön", "Ufer"])
    np.testing.assert_array_equal(counts.toarray(), predictor.count(["schön " * 5 + "Ufer"]).toarray())


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("one text", "texts are 'one text'; allowed is a list of texts, or a table of them"),
        ({"text": ["a"]}, r"texts are \{'text': \['a'\]\}; allowed is a list"),
        (None, "texts are None; allowed"),
        (5, "texts are 5; allowed"),
        (pd.DataFrame({"words": ["a"]}), r"no column 'text'; its columns are \['words'\]"),
        ([], "there is no text"),
        (["a", None], "text 1 is None; allowed are texts"),
        (pd.Series(["a", np.nan]), "text 1 is nan"),
        ([["a"]], r"text 0 is \['a'\]"),
        ([b"a"], "text 0 is b'a'"),
    ],
)
def test_what_is_no_text_is_refused_by_row(clustering_predictor, texts, said):
    with pytest.raises(ValueError, match=said):
        clustering_predictor.predict(texts)


def test_a_table_is_read_by_its_column(clustering_predictor):
    table = pd.DataFrame({"name": ["x", "y"], "text": [SEA, SKY]}, index=[7, 3])
    pd.testing.assert_frame_equal(
        clustering_predictor.predict(table), clustering_predictor.predict([SEA, SKY])
    )


def test_a_bag_of_words_is_read_as_its_texts_are(clustering_predictor):
    bag = sparse.csr_array(np.array([[2, 1, 1, 5], [0, 0, 3, 0]]))
    counts = clustering_predictor.count_bag(bag, ["Ship", "ship", "wing", "unheard"])
    table = clustering_predictor.predict_counts(counts)
    pd.testing.assert_frame_equal(
        table, clustering_predictor.predict(["ship ship ship wing", "wing wing wing"])
    )


def test_counts_of_a_bag_that_are_added_up_do_not_overflow(clustering_predictor):
    bag = sparse.csr_array(np.full((1, 2), 2**31 - 1, dtype=np.int32))
    counts = clustering_predictor.count_bag(bag, ["Ship", "ship"])
    assert counts.sum() == 2**32 - 2
    assert clustering_predictor.predict_counts(counts)["n_tokens"].item() == 2**32 - 2


def test_words_of_a_bag_are_numbered_as_those_of_the_training(clustering_predictor, tmp_path):
    """By what the predictor remembers, saved and loaded; one that remembers nothing asks for it."""
    bag = sparse.csr_array(np.array([[3, 1]]))
    numbering = Numbering("a.svm", None, named=True, from_zero=["ship", "sail"])
    for first, text in ((0, "ship ship ship sail"), (1, "plane plane plane wing")):
        ClusteringPredictor(**parts_of(clustering_predictor), first_word=first).save(tmp_path / str(first))
        predictor = ClusteringPredictor.load(tmp_path / str(first))
        assert predictor.first_word == first
        counts = predictor.count_bag(bag, ["plane", "wing"], numbering)
        np.testing.assert_array_equal(counts.toarray(), predictor.count([text]).toarray())
    with pytest.raises(
        ValueError, match=r"a\.svm does not tell whether its words are numbered from 0 or from 1"
    ):
        clustering_predictor.count_bag(bag, ["plane", "wing"], numbering)


def test_what_was_saved_before_there_was_a_first_word_is_loaded(clustering_predictor, tmp_path):
    clustering_predictor.save(tmp_path / "a")
    settings = json.loads((tmp_path / "a/predictor.json").read_text())["settings"]
    assert set(settings) == {"vocabulary", "rules", "cluster_names"}
    assert ClusteringPredictor.load(tmp_path / "a").first_word is None


@pytest.mark.parametrize("first", [2, -1, True, 1.0, "1", [1]])
def test_a_first_word_that_is_none_in_a_saved_predictor(clustering_predictor, tmp_path, first):
    clustering_predictor.save(tmp_path / "a")
    change(tmp_path / "a", first_word=first)
    with pytest.raises(ValueError, match=r"predictor\.json is damaged: first_word is .*; allowed are 0, 1"):
        ClusteringPredictor.load(tmp_path / "a")


@pytest.mark.parametrize("least", ["0", True, [0.0]])
def test_a_least_familiarity_that_is_none_in_a_saved_predictor(clustering_predictor, tmp_path, least):
    clustering_predictor.save(tmp_path / "a")
    change(tmp_path / "a", least_familiarity=least)
    with pytest.raises(ValueError, match=r"is damaged: least_familiarity is .*; allowed are finite numbers"):
        ClusteringPredictor.load(tmp_path / "a")


def test_pairs_of_words_are_counted_in_texts_and_not_in_bags():
    rules = RULES._replace(ngram_range=(1, 2))
    counted, predictor = count_words(TEXTS, **rules._asdict()), trained(rules=rules)
    assert "ship sail" in counted.words
    np.testing.assert_array_equal(predictor.count(TEXTS).toarray(), counted.counts.toarray())
    with pytest.raises(ValueError, match=r"counts n-grams \(ngram_range \[1, 2\]\), but the words of a bag"):
        predictor.count_bag(sparse.csr_array([[1]]), ["ship"])


def test_one_cluster_decides_nothing():
    table = trained(n_clusters=1).predict([SEA, ""])
    assert table["p_0"].tolist() == [1, 1]
    assert table["deciding_words"].tolist() == ["", ""]


def test_without_smoothing_an_impossible_text_is_refused_by_row():
    predictor = trained([SEA, SKY] * 3, smoothing=0)
    mu = predictor.model.word_probabilities_
    mu[mu < 1e-6] = 0.0  # what annealing leaves is on its way there
    told = predictor.predict([SEA])["deciding_words"].item().split(", ")
    assert set(told[:3]) == {"ship", "sail", "harbour"}  # the other cluster rules each of them out
    with pytest.raises(ValueError, match="row 1 of X is impossible: no single component"):
        predictor.predict([SEA, "ship plane"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vocabulary": ["a"]}, "vocabulary has 1 entries; the model has 7"),
        ({"vocabulary": ["a"] * 7}, "vocabulary has a word twice"),
        ({"vocabulary": "abcdefg"}, "vocabulary must be texts"),
        ({"cluster_names": ["a", 1]}, "cluster_names must be texts"),
        ({"cluster_names": ["a"]}, "cluster_names has 1 entries; the model has 2"),
        ({"rules": WordRules("(a)(b)", True, frozenset(), (1, 1))}, "has 2 groups; at most one is allowed"),
        ({"rules": WordRules("a", True, frozenset(), (2, 1))}, r"ngram_range is \(2, 1\)"),
        ({"model": "a mixture"}, "the model is a str; allowed is a MultinomialMixture"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(clustering_predictor, change, said):
    with pytest.raises((TypeError, ValueError), match=said):
        ClusteringPredictor(**{**parts_of(clustering_predictor), **change})


def test_a_predictor_saved_before_letters_were_made_plain_predicts_as_then(clustering_predictor, tmp_path):
    clustering_predictor.save(tmp_path / "saved")
    rules = RULES.to_json()
    del rules["plain_letters"]
    change(tmp_path / "saved", rules=rules)
    texts = ["sh\u00adip ship2 _wing_", "ｓａｉｌ wind"]
    loaded = load(tmp_path / "saved")
    assert loaded.predict(texts)["n_tokens"].tolist() == [0, 1]  # its pattern finds none of the others
    pd.testing.assert_frame_equal(loaded.predict(texts), clustering_predictor.predict(texts))


def test_the_words_of_any_language_are_read_as_in_training(tmp_path):
    rules = rules_of("words", lowercase=True, stop_words=["THE"], ngram_range=(1, 1))
    predictor = trained(["İzmir ﬁne", "the __strong__ कि\u200dताब"] * 3, rules)
    assert predictor.vocabulary == ["fine", "izmir", "strong", "किताब"]
    predictor.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    counts = loaded.count(["ＩＺＭＩＲ fi\u00adne2 किताब", "THE strong"])
    assert counts.toarray().tolist() == [[1, 1, 0, 1], [0, 0, 1, 0]]
    bag = loaded.count_bag(sparse.csr_array(np.array([[2, 3]])), ["ﬁne", "fine"])
    assert bag.toarray().tolist() == [[5, 0, 0, 0]]


# Where words stand, and which tell of a cluster


@given(st.lists(st.sampled_from([*TEXTS, "wind", "ship", "plane!", "ＳＡＩＬ", "unknown 😀"])).map(" ".join))
def test_marks_add_up_to_the_log_odds_against_the_second_cluster(clustering_predictor, text):
    table = clustering_predictor.mark(text)
    counts = clustering_predictor.count([text])
    joint = clustering_predictor.model.predict_joint_log_proba(counts)[0]
    own, other = np.argsort(-joint, kind="stable")
    log_weights = np.log(clustering_predictor.model.weights_)
    expected = joint[own] - joint[other] - log_weights[own] + log_weights[other]
    assert table["log_odds"].sum() == pytest.approx(expected, abs=1e-9)
    assert len(table) == counts.sum()
    assert (table["start"].to_numpy()[1:] >= table["stop"].to_numpy()[:-1]).all()


def test_each_word_is_marked_where_it_stands(clustering_predictor):
    text = "The Ship, the unknown wing and a ship"
    table = clustering_predictor.mark(text)
    assert [text[start:stop] for start, stop in zip(table["start"], table["stop"], strict=True)] == [
        "Ship",
        "wing",
        "ship",
    ]
    words, mu = list(clustering_predictor.vocabulary), clustering_predictor.model.word_probabilities_
    own = clustering_predictor.predict([text])["cluster"].item()
    log_odds = np.log(mu[own]) - np.log(mu[1 - own])
    expected = [log_odds[words.index(word)] for word in ("ship", "wing", "ship")]
    np.testing.assert_allclose(table["log_odds"], expected)
    assert expected[0] > 0 > expected[1]


def test_an_n_gram_adds_to_its_words_in_equal_parts():
    predictor = trained(rules=RULES._replace(ngram_range=(1, 2)), smoothing=0.1)
    text = "ship, unknown; the sail and harbour"
    table = predictor.mark(text)
    words, mu = list(predictor.vocabulary), predictor.model.word_probabilities_
    own = predictor.predict([text])["cluster"].item()
    log_odds = dict(zip(words, np.log(mu[own]) - np.log(mu[1 - own]), strict=True))
    pair = log_odds["sail harbour"]
    assert pair > 0
    np.testing.assert_allclose(
        table["log_odds"], [log_odds["ship"], log_odds["sail"] + pair / 2, log_odds["harbour"] + pair / 2]
    )


@pytest.mark.parametrize("text", ["", "nothing of this is known", "the and", "\ud800"])
def test_a_text_without_known_words_and_one_cluster_have_no_marks(clustering_predictor, text):
    table = clustering_predictor.mark(text)
    assert list(table) == ["start", "stop", "log_odds"]
    assert len(table) == len(trained(n_clusters=1).mark(SEA)) == 0


def test_a_word_that_the_second_cluster_rules_out_is_marked_without_bound():
    predictor = trained([SEA, SKY] * 3, smoothing=0)
    mu = predictor.model.word_probabilities_
    mu[mu < 1e-6] = 0.0
    assert predictor.mark("ship wind")["log_odds"].tolist() == [np.inf, pytest.approx(0, abs=1e-9)]


def test_what_is_no_text_is_not_marked(clustering_predictor):
    with pytest.raises(ValueError, match="text 0 is None; allowed are texts"):
        clustering_predictor.mark(None)


def test_the_words_that_tell_of_a_cluster_are_those_of_the_largest_relevance(clustering_predictor):
    model, words = clustering_predictor.model, list(clustering_predictor.vocabulary)
    mu, p = model.word_probabilities_, model.word_frequencies()
    told = clustering_predictor.telling_words(3)
    for k, best in enumerate(told):
        score = {
            word: 0.6 * log(mu[k, w]) + 0.4 * log(mu[k, w] / (p[w] / p.sum())) for w, word in enumerate(words)
        }
        order = sorted(score.values(), reverse=True)
        np.testing.assert_allclose([score[word] for word in best], order[:3], rtol=1e-6)
        assert len(set(best)) == 3
    sea = told[clustering_predictor.cluster_names.index("sea")]
    assert sorted(sea) == ["harbour", "sail", "ship"]
    assert all(sorted(every) == sorted(words) for every in clustering_predictor.telling_words(99))


def ruling_out(**rules):
    """A predictor without smoothing, each of whose clusters rules words of the other out."""
    predictor = trained([SEA, SKY] * 3, RULES._replace(**rules), smoothing=0)
    mu = predictor.model.word_probabilities_
    mu[mu < 1e-6] = 0.0
    return predictor


@pytest.mark.parametrize("ngram_range", [(1, 1), (1, 2)])
def test_no_word_that_a_cluster_rules_out_tells_of_it(ngram_range):
    predictor = ruling_out(ngram_range=ngram_range)
    mu = predictor.model.word_probabilities_
    for k, told in enumerate(predictor.telling_words(99)):
        allowed = {word for word, share in zip(predictor.vocabulary, mu[k], strict=True) if share > 0}
        assert set(told) == allowed
        assert len(told) == len(allowed) < len(predictor.vocabulary)
        assert predictor.telling_words(2)[k] == told[:2]


def test_a_text_that_is_impossible_in_every_cluster_is_not_marked():
    predictor = ruling_out()
    with pytest.raises(ValueError, match="row 0 of X is impossible: no single component"):
        predictor.mark("ship plane")
    assert len(predictor.mark("ship wind")) == 2
