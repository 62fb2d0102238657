import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latents.reporting import clustering


def make_topics(n_clusters, rankings=("relevance", "probability", "lift"), n_words=4):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            (cluster, ranking, rank, f"{ranking}-{cluster}-{rank}", value / 10, 10 * value)
            for cluster in range(n_clusters)
            for ranking in rankings
            for rank, value in enumerate(np.sort(rng.random(n_words))[::-1])
        ],
        columns=["cluster", "ranking", "rank", "word", "probability", "lift"],
    )


def make_names(n):
    return [f"name{cluster}, word" for cluster in range(n)]


def test_bound_without_annealing_is_one_panel_counted_from_the_start():
    figure = clustering.bound_per_iteration([-9.0, -7.5, -7.25], [])
    (trace,) = figure.data
    np.testing.assert_array_equal(trace.x, [0, 1, 2])
    np.testing.assert_array_equal(trace.y, [-9.0, -7.5, -7.25])
    assert figure.layout.xaxis.title.text == "EM steps taken"
    assert figure.layout.yaxis.title.text == "objective<br>(nats per document)"
    assert figure.layout.title.text == "EM reached \N{MINUS SIGN}7.25 nats per document after 2 steps"
    assert not figure.layout.shapes
    assert not figure.layout.annotations


def test_annealed_steps_are_shaded_and_their_objective_has_a_scale_of_its_own():
    figure = clustering.bound_per_iteration([-9.0, -8.0, -8.5, -7.0, -6.0], [-20.0, -19.0, -25.0])
    objective, tempered = figure.data
    np.testing.assert_array_equal(objective.y, [-9.0, -8.0, -8.5, -7.0, -6.0])
    np.testing.assert_array_equal(objective.x, range(5))
    np.testing.assert_array_equal(tempered.y, [-20.0, -19.0, -25.0])
    np.testing.assert_array_equal(tempered.x, range(3))
    assert (objective.yaxis, tempered.yaxis) == ("y", "y2")
    assert figure.layout.yaxis.title.text == "objective<br>(nats per document)"
    assert figure.layout.yaxis2.title.text == "tempered objective<br>(nats per document)"
    upper, lower = (figure.layout[axis].domain for axis in ("yaxis", "yaxis2"))
    assert upper[1] - upper[0] > lower[1] - lower[0]
    assert figure.layout.xaxis.matches == "x2"  # zooming into one panel zooms into both
    # The third annealed step starts at 2 and ends at 3, where documents are whole.
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(0, 3), (0, 3)]
    assert figure.layout.title.text == "EM reached \N{MINUS SIGN}6.00 nats per document after 4 steps"


@pytest.mark.parametrize("n_clusters", [1, 2, 13, 30])
def test_topic_words_draw_every_word_of_every_cluster(n_clusters):
    topics = make_topics(n_clusters)
    figure = clustering.topic_words(topics.sample(frac=1, random_state=1), make_names(n_clusters))
    bars = {trace.name: trace for trace in figure.data if trace.type == "bar"}
    marks = {trace.name: trace for trace in figure.data if trace.type == "scatter"}
    assert len(bars) == 3 * n_clusters
    assert len({trace.xaxis for trace in figure.data}) == n_clusters
    for (cluster, ranking), expected in topics.groupby(["cluster", "ranking"]):
        trace = bars[f"cluster {cluster}, {ranking}"]
        assert list(trace.y) == expected["word"].tolist()
        np.testing.assert_array_equal(trace.x, expected["lift" if ranking == "lift" else "probability"])
        assert trace.visible is (ranking == "relevance")
        if ranking != "lift":  # the word's share of the corpus: its probability over its lift
            np.testing.assert_allclose(marks[f"cluster {cluster}, {ranking}, corpus"].x, 0.01)
    assert len(marks) == 2 * n_clusters
    titles = [note.text for note in figure.layout.annotations]
    assert titles == [f"<b>{name}</b>" for name in make_names(n_clusters)]


def test_topic_switch_shows_one_ranking_at_a_time():
    figure = clustering.topic_words(make_topics(3), make_names(3))
    buttons = figure.layout.updatemenus[0].buttons
    assert [button.label for button in buttons] == ["by relevance", "by probability", "by lift"]
    for button in buttons:
        shown = button.args[0]["visible"]
        ranking = button.label.removeprefix("by ")
        assert [ranking in trace.name for trace in figure.data] == shown
        assert button.args[1]["title.text"] == clustering.RANKINGS[ranking][1]
    assert figure.layout.title.text == buttons[0].args[1]["title.text"]


def test_one_ranking_needs_no_switch():
    figure = clustering.topic_words(make_topics(2, rankings=("lift",)), make_names(2))
    assert len(figure.layout.updatemenus) == 0
    assert all(trace.visible for trace in figure.data)
    assert figure.layout.title.text == clustering.RANKINGS["lift"][1]


def test_long_and_hostile_words_are_shortened_on_the_axis_and_escaped():
    topics = make_topics(1, rankings=("probability",), n_words=2)
    topics["word"] = ["<b>x</b>", "a_very_long_identifier_indeed"]
    figure = clustering.topic_words(topics, ["<i>, a_very_long_identifier_indeed, another_long_one"])
    assert list(figure.data[0].y) == ["&lt;b&gt;x&lt;/b&gt;", "a_very_long_identifier_indeed"]
    assert figure.layout.yaxis.labelalias == {"a_very_long_identifier_indeed": "a_very_long_iden…"}
    assert figure.layout.annotations[0].text == "<b>&lt;i&gt;, a_very_long_i…</b>"


def test_a_word_that_the_corpus_lacks_has_no_share_to_mark():
    topics = make_topics(1, n_words=2)
    topics["lift"] = [1.0, 0.0] * 3
    _, marks, *_ = clustering.topic_words(topics, ["a"]).data
    assert np.isnan(marks.x[1])
    assert np.isfinite(marks.x[0])


@settings(max_examples=40)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1, max_size=60),
    as_text=st.booleans(),
)
def test_heat_map_is_the_crosstab(pairs, as_text):
    labels = [f"label {label}" if as_text else label for label, _ in pairs]
    clusters = [cluster for _, cluster in pairs]
    (trace,) = clustering.label_by_cluster(labels, clusters, make_names(8)).data
    table = pd.crosstab(pd.Series(labels), pd.Series(clusters)).reindex(columns=range(8), fill_value=0)
    columns = [make_names(8).index(name) for name in trace.x]
    assert sorted(columns) == list(range(8))
    expected = table[columns].to_numpy()
    np.testing.assert_array_equal(trace.customdata[..., 0], expected)
    np.testing.assert_array_equal(trace.customdata[0, :, 1], columns)
    np.testing.assert_allclose(trace.z, expected / expected.sum(axis=1, keepdims=True))
    assert [row.rsplit("  (", 1)[0] for row in trace.y] == [str(label) for label in table.index]


@settings(max_examples=20)
@given(st.permutations(range(7)), st.integers(0, 2**32 - 1))
def test_a_permuted_clustering_shows_its_diagonal(permutation, seed):
    labels = np.random.default_rng(seed).integers(0, 7, 50)
    labels[:7] = range(7)
    figure = clustering.label_by_cluster(labels, np.array(permutation)[labels], make_names(7))
    np.testing.assert_array_equal(figure.data[0].z, np.eye(7))
    assert figure.layout.title.text.startswith("100.0%")


@pytest.mark.parametrize(
    ("labels", "clusters", "columns", "agreeing"),
    [
        # Matched greedily, both clusters would go to "a"; the matching gives 4 + 4 over 5 + 0.
        ("a" * 9 + "b" * 4, [0] * 5 + [1] * 4 + [0] * 4, "yx", 8 / 13),
        # One left over stands beside its label.
        ("a" * 9 + "b" * 5, [2] * 5 + [0] * 4 + [1] * 5, "zxy", 10 / 14),
        # An empty one stands at the end.
        ("aab", [3, 1, 2], "xzyw", 2 / 3),
    ],
)
def test_columns_follow_the_matching_not_the_largest_cell(labels, clusters, columns, agreeing):
    names = sorted(columns)  # of the clusters 0, 1, ...
    figure = clustering.label_by_cluster(list(labels), clusters, names)
    assert list(figure.data[0].x) == list(columns)
    assert figure.layout.title.text.startswith(f"{agreeing:.1%}")


def test_labels_alike_at_their_start_keep_their_rows():
    labels = ["comp.sys.ibm.pc.hardware.first"] * 2 + ["comp.sys.ibm.pc.hardware.second"] * 2
    figure = clustering.label_by_cluster(labels, [0, 0, 1, 1], make_names(2))
    assert len(set(figure.data[0].y)) == 2
    assert all("…" in short for short in figure.layout.yaxis.labelalias.values())


@pytest.mark.parametrize(("n_clusters", "named"), [(60, True), (61, False)])
def test_more_columns_than_have_room_for_names_are_pointed_at(n_clusters, named):
    figure = clustering.label_by_cluster(["a"] * n_clusters, range(n_clusters), make_names(n_clusters))
    assert figure.layout.xaxis.showticklabels == named
    assert ("Point at a cell" in figure.layout.title.subtitle.text) != named


def test_a_cluster_left_over_is_matched_to_no_label():
    labels = ["a"] * 9 + ["b"] * 5
    names, counts, matched = clustering.matched_clusters(labels, [2] * 5 + [0] * 4 + [1] * 5, 4)
    assert names == ["a", "b"]
    np.testing.assert_array_equal(counts, [[4, 0, 5, 0], [0, 5, 0, 0]])
    np.testing.assert_array_equal(matched, [-1, 1, 0, -1])


def test_a_cluster_without_documents_of_a_label_is_not_matched_to_it():
    _, _, matched = clustering.matched_clusters(["a", "a", "b"], [0, 1, 0], 2)
    np.testing.assert_array_equal(matched, [1, 0])
    _, _, matched = clustering.matched_clusters(["a", "a", "b", "b"], [0, 1, 0, 0], 2)
    np.testing.assert_array_equal(matched, [1, 0])
    _, _, matched = clustering.matched_clusters(["a", "a", "b"], [0, 1, 2], 4)
    assert sorted(matched.tolist()) == [-1, -1, 0, 1]


def test_the_darkest_cells_run_down_the_diagonal():
    # The third cluster has one document of "a", and most of its own from "c".
    labels = ["b"] * 6 + ["c"] * 9 + ["a"] * 1 + ["c"] * 4
    clusters = [1] * 6 + [0] * 9 + [2] * 1 + [2] * 4
    (trace,) = clustering.label_by_cluster(labels, clusters, ["of c", "of b", "of a and c"]).data
    assert list(trace.x) == ["of a and c", "of b", "of c"]
    # With nine more documents "a" is nearly all in the second cluster, and the third has a larger share of "c".
    labels += ["a"] * 9
    clusters += [1] * 9
    (trace,) = clustering.label_by_cluster(labels, clusters, ["of c", "of b", "of a and c"]).data
    assert list(trace.x) == ["of b", "of c", "of a and c"]


def test_names_that_shortening_makes_equal_stay_apart():
    names = [f"{'wind' * 8}, {word}" for word in ("sea", "sky", "land")]
    (trace,) = clustering.label_by_cluster(["a", "b", "c"], [0, 1, 2], names).data
    assert len(set(trace.x)) == 3
    assert len(set(clustering.cluster_sizes([0, 1, 2], names, [0.2, 0.3, 0.5]).data[0].y)) == 3


def test_cluster_sizes_count_and_expect():
    weights = np.array([0.2, 0.5, 0.1, 0.2])
    figure = clustering.cluster_sizes(pd.Series([1, 1, 1, 0, 3, 3]), list("abcd"), weights)
    bars, marks = figure.data
    assert dict(zip(bars.y, bars.x, strict=True)) == {"b": 3, "d": 2, "a": 1, "c": 0}
    assert list(bars.x) == sorted(bars.x, reverse=True)
    assert [marks.x[list(marks.y).index(name)] for name in "abcd"] == pytest.approx(6 * weights)
    assert figure.layout.title.text == "6 documents in 3 clusters, 1 empty"
    assert figure.layout.xaxis.title.text == "documents"
    assert json.loads(figure.to_json())["layout"]["title"]["text"]


TOPICS = make_topics(2)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: clustering.bound_per_iteration([], []), "got 0 and 0"),
        (lambda: clustering.bound_per_iteration([-1.0], [-1.0]), "got 1 and 1"),
        (lambda: clustering.topic_words(TOPICS.drop(columns="rank"), ["x", "y"]), "rank"),
        (lambda: clustering.topic_words(TOPICS.assign(ranking="tf-idf"), ["x", "y"]), "tf-idf"),
        (lambda: clustering.topic_words(TOPICS.iloc[:0], ["x", "y"]), "must hold rankings"),
        (lambda: clustering.label_by_cluster([], [], ["x", "y"]), "at least one document"),
        (lambda: clustering.label_by_cluster(["a"], [0, 1], ["x", "y"]), "labels has 1, clusters has 2"),
        (lambda: clustering.label_by_cluster(["a"] * 3, [0, 2, 1], ["x", "y"]), "got 2 in row 1"),
        (lambda: clustering.cluster_sizes([0, 2, 1], ["x", "y"], [0.5, 0.5]), "got 2 in row 1"),
        (lambda: clustering.cluster_sizes([0], ["x", "y", "z"], [0.5, 0.5]), r"shape \(3,\)"),
    ],
)
def test_what_does_not_belong_together_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
