"""What a page says of texts is what the mixture says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latents.app.documents import LONGEST, MOST, Corpus, Documents
from latents.app.files import sound
from latents.estimators import MultinomialMixture
from latents.features.nearest import nearest
from latents.features.tokens import words_of_any_language
from latents.features.words import WordRules, composed, count_all, count_words
from latents.predictors import ClusteringPredictor
from latents.predictors.document_map import DocumentMap
from tests.features.test_words import ODD
from tests.predictors.examples import RULES, SEA, SKY, TEXTS


@pytest.fixture(scope="module")
def corpus(clustering_predictor):
    counts = clustering_predictor.count(TEXTS)
    clusters = clustering_predictor.model.predict(counts)
    places = np.random.default_rng(0).normal(size=(len(TEXTS), 2)) + 9.0 * clusters[:, np.newaxis]
    titles = [f"title {row}" for row in range(len(TEXTS))]
    return Corpus(DocumentMap(clustering_predictor.model, counts, places), TEXTS, titles, clusters)


@pytest.fixture(scope="module")
def documents(clustering_predictor, corpus):
    return Documents(clustering_predictor, corpus)


def of_clusters(n, **parameters):
    counted = count_words(TEXTS, **RULES._asdict())
    model = MultinomialMixture(n, smoothing=0.1, random_state=0).fit(counted.counts)
    names = [f"cluster {k}" for k in range(n)]
    return Documents(ClusteringPredictor(model, counted.words, RULES, names, **parameters))


def test_a_reading_is_the_predictors(documents, clustering_predictor):
    text = "A ship, a sail; wind and PLANE."
    reading, row = documents.read(text), clustering_predictor.predict([text]).iloc[0]
    assert (reading.cluster, reading.name) == (row["cluster"], "sea")
    assert reading.probability == pytest.approx(row["probability"])
    assert reading.against == "sky"
    assert reading.n_words == 4
    assert not reading.fits_nowhere
    assert [(bar.name, bar.cluster) for bar in reading.bars] == [
        (clustering_predictor.cluster_names[k], k) for k in (reading.cluster, 1 - reading.cluster)
    ]
    for bar in reading.bars:
        assert bar.probability == pytest.approx(row[f"p_{bar.cluster}"])
    assert reading.telling_words == clustering_predictor.telling_words(10)[reading.cluster]


@given(
    st.lists(st.sampled_from([*SEA, "ship", "wind", "plane", " ", "😀", "\n", "\ud800", "É"])).map("".join)
)
def test_the_pieces_of_a_text_make_it_up(clustering_predictor, text):
    marks = Documents(clustering_predictor).read(text).marks
    assert "".join(piece for piece, _ in marks) == text
    assert all(piece for piece, _ in marks)
    marked = {piece.lower() for piece, value in marks if value}
    assert marked <= set(clustering_predictor.vocabulary)


def test_marks_add_up_to_the_log_odds_of_the_most_probable_cluster(documents, clustering_predictor):
    reading = documents.read(f"{SEA}. {SEA} and one wing")
    log_weights = np.log(clustering_predictor.model.weights_)
    share = reading.probability
    assert sum(value for _, value in reading.marks) == pytest.approx(
        np.log(share / (1 - share)) - log_weights[reading.cluster] + log_weights[1 - reading.cluster]
    )


@pytest.mark.parametrize("text", ["", " \n", "nothing of this is known", "the and", "😀", "\ud800"])
def test_a_text_without_known_words_has_the_mixing_weights_and_no_place(
    documents, clustering_predictor, text
):
    reading = documents.read(text)
    assert reading.n_words == 0
    assert reading.place is None
    assert reading.nearest == []
    assert not reading.fits_nowhere
    assert reading.probability == pytest.approx(clustering_predictor.model.weights_.max())
    assert all(value == 0 for _, value in reading.marks)


def test_the_nearest_documents_are_those_of_most_shared_words(documents, clustering_predictor, corpus):
    text = "harbour wind of a ship"
    reading = documents.read(text)
    counts = clustering_predictor.count([text])
    found = nearest(counts, clustering_predictor.count(TEXTS), 5)
    assert [neighbour.row for neighbour in reading.nearest] == found.rows[0].tolist()
    np.testing.assert_allclose([n.similarity for n in reading.nearest], found.similarities[0])
    for neighbour in reading.nearest:
        assert neighbour.title == f"title {neighbour.row}"
        assert neighbour.excerpt == TEXTS[neighbour.row]
        assert neighbour.cluster == corpus.clusters[neighbour.row]
    np.testing.assert_allclose(reading.place, corpus.map.place(counts)[0])


def test_documents_that_share_no_word_are_not_near(clustering_predictor):
    counts = clustering_predictor.count([SEA, SKY])
    places = DocumentMap(clustering_predictor.model, counts, np.eye(2))
    documents = Documents(clustering_predictor, Corpus(places, [SEA, SKY], ["a", "b"], np.array([0, 1])))
    assert [neighbour.title for neighbour in documents.read("ship").nearest] == ["a"]


def test_a_corpus_without_texts_has_neighbours_by_title(clustering_predictor, corpus):
    documents = Documents(clustering_predictor, corpus._replace(texts=[]))
    assert [neighbour.excerpt for neighbour in documents.read(SEA).nearest] == [""] * 5


def test_without_a_corpus_there_is_neither_place_nor_neighbour(clustering_predictor):
    reading = Documents(clustering_predictor).read(SEA)
    assert reading.place is None
    assert reading.nearest == []


def test_one_cluster_is_against_none():
    reading = of_clusters(1).read(SEA)
    assert (reading.name, reading.probability, reading.against) == ("cluster 0", 1, "")
    assert [bar.name for bar in reading.bars] == ["cluster 0"]
    assert reading.marks == [(SEA, 0)]


def test_at_most_five_clusters_have_bars():
    reading = of_clusters(7).read(SEA)
    shares = [bar.probability for bar in reading.bars]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)
    assert reading.bars[0].cluster == reading.cluster


def test_a_text_that_fits_nowhere_says_so():
    documents = of_clusters(2, least_familiarity=0.0)
    assert documents.read("ship wing sail airport").fits_nowhere
    assert not documents.read(SEA).fits_nowhere
    assert not documents.read("unknown").fits_nowhere  # of it nothing is known


def test_an_impossible_text_is_refused():
    documents = of_clusters(2)
    mu = documents.predictor.model.word_probabilities_
    mu[mu < 0.05] = 0.0
    reading = documents.read(SEA)
    assert dict(reading.marks)["ship"] == np.inf  # the other cluster rules it out
    with pytest.raises(ValueError, match="is impossible: no single component"):
        documents.read("ship plane")


def test_a_table_is_that_of_the_predictor_without_all_probabilities(documents, clustering_predictor):
    texts = [SEA, "", SKY, "=1+1 wing"]
    table = documents.table(texts)
    expected = clustering_predictor.predict(texts).drop(columns=["p_0", "p_1"])
    assert table["text"].tolist() == texts
    pd.testing.assert_frame_equal(table.drop(columns="text"), expected)


def test_too_much_is_refused_and_as_much_as_allowed_is_not(documents):
    with pytest.raises(ValueError, match=r"^the text has 100,001 characters; allowed are 100,000\. A part"):
        documents.read("a" * (LONGEST + 1))
    with pytest.raises(ValueError, match=r"^text 2 has 100,001 characters; allowed are 100,000$"):
        documents.table([SEA, "a" * (LONGEST + 1)])
    with pytest.raises(ValueError, match=r"^there are 10,001 texts; allowed at a time are 10,000$"):
        documents.table(["ship"] * (MOST + 1))
    with pytest.raises(ValueError, match=r"^there is no text in it$"):
        documents.table([])
    assert documents.read("ship " * (LONGEST // 5)).n_words == LONGEST // 5
    assert len(documents.table(["ship"] * MOST)) == MOST


def test_warming_up_changes_no_answer(clustering_predictor, corpus):
    warm = Documents(clustering_predictor, corpus)
    warm.warm_up()
    assert warm.read(SKY) == Documents(clustering_predictor, corpus).read(SKY)


def test_of_long_texts_the_second_cluster_is_that_of_the_next_likelihood():
    """Their probabilities are 1 and 0, of which no other is the second."""
    after = {"ship": "wing", "wing": "rail", "rail": "ship"}  # of a word, the cluster that has it second most
    texts = [f"{word} " * 9 + second for second, word in after.items()] * 4
    counted = count_words(texts, **RULES._asdict())
    model = MultinomialMixture(3, smoothing=0.01, random_state=0).fit(counted.counts)
    mu = model.word_probabilities_
    names = [counted.words[word] for word in mu.argmax(axis=1)]
    assert sorted(names) == sorted(after)
    documents = Documents(ClusteringPredictor(model, counted.words, RULES, names))
    for word, second in after.items():
        text = f"{word} " * 2000
        reading = documents.read(text)
        assert (reading.name, reading.probability, reading.against) == (word, 1, second)
        assert [bar.name for bar in reading.bars[:2]] == [word, second]
        own, other = names.index(word), names.index(second)
        column = counted.words.index(word)
        expected = np.log(mu[own, column]) - np.log(mu[other, column])
        np.testing.assert_allclose(documents.predictor.mark(text)["log_odds"], expected)
        np.testing.assert_allclose([value for _, value in reading.marks if value], expected)


def test_a_model_whose_clusters_rule_words_out_is_warmed_up():
    documents = of_clusters(2)
    mu = documents.predictor.model.word_probabilities_
    mu[mu < 0.05] = 0.0
    documents.warm_up()
    for cluster, words in enumerate(documents.telling_words):
        assert 0 < len(words) < len(documents.predictor.vocabulary)
        reading = documents.read(" ".join(words))
        assert (reading.cluster, reading.n_words) == (cluster, len(words))


N_COLUMNS = 30
PATTERNS = [
    r"[a-z ]+",
    r"[a-z ]*",
    r"(?s).",
    r"\w+\s\w+",
    r"(\w+) ",
    r"\S+",
    r"[\W_]+",
    words_of_any_language(),
]


@pytest.fixture(scope="module")
def of_numbers():
    """A mixture of words that are nothing but columns."""
    counts = np.random.default_rng(0).integers(0, 9, (12, N_COLUMNS))
    return MultinomialMixture(3, smoothing=0.1, random_state=0).fit(counts)


@given(
    st.text(st.sampled_from(ODD + "abAΣ\u03c3fi\u00ad\ufb01\u200b\u0301 \t\n\x1c\x85\u2028"), max_size=30),
    st.sampled_from(PATTERNS),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(1, 1), (1, 2)]),
)
@example("\ufb01Σb \u200ba\tba", r"[a-z ]+", True, True, (1, 1))
@example("\ufb01Σb \u200ba\tba", r"[a-z ]+", True, False, (1, 2))
@example("\ufb01 a\ufb01 \ufb01", r"[a-z ]+", True, True, (1, 1))
def test_the_pieces_make_up_a_text_whatever_its_words_are(
    of_numbers, text, pattern, lowercase, plain_letters, ngram_range
):
    rules = WordRules(pattern, lowercase, frozenset(), ngram_range, plain_letters)
    found = count_all([composed(text)], rules)[1]
    known = [word for word in found if sound(word) == word][:N_COLUMNS]
    words = [*known, *(f"word {number}" for number in range(N_COLUMNS - len(known)))]
    documents = Documents(ClusteringPredictor(of_numbers, words, rules, ["a", "b", "c"]))
    marks = documents.read(text).marks
    assert "".join(piece for piece, _ in marks) == text
    assert all(piece for piece, _ in marks)
