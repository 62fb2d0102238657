import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latents.reporting import clustering, style


def make_topics(n_clusters, rankings=("probability", "lift"), n_words=4):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            (cluster, ranking, rank, f"{ranking}-{cluster}-{rank}", value)
            for cluster in range(n_clusters)
            for ranking in rankings
            for rank, value in enumerate(np.sort(rng.random(n_words))[::-1])
        ],
        columns=["cluster", "ranking", "rank", "word", "value"],
    )


def test_bound_without_annealing_is_one_panel_counted_from_the_start():
    figure = clustering.bound_per_iteration([-9.0, -7.5, -7.25])
    (trace,) = figure.data
    np.testing.assert_array_equal(trace.x, [0, 1, 2])
    np.testing.assert_array_equal(trace.y, [-9.0, -7.5, -7.25])
    assert figure.layout.xaxis.title.text == "EM steps taken"
    assert figure.layout.yaxis.title.text == "objective<br>(nats per document)"
    assert figure.layout.title.text == f"EM reached {style.MINUS}7.250 nats per document after 2 steps"
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
    # The third annealed step starts at 2 and ends at 3, where beta is 1.
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(0, 3), (0, 3)]
    assert figure.layout.title.text == f"EM reached {style.MINUS}6 nats per document after 4 steps"


@pytest.mark.parametrize(("lower_bounds", "tempered_bounds"), [([], []), ([-1.0], [-1.0])])
def test_bound_needs_a_value_at_beta_1(lower_bounds, tempered_bounds):
    with pytest.raises(ValueError, match=rf"got {len(lower_bounds)} and {len(tempered_bounds)}"):
        clustering.bound_per_iteration(lower_bounds, tempered_bounds)


@pytest.mark.parametrize("n_clusters", [1, 2, 13, 30])
def test_topic_words_draw_every_word_of_every_cluster(n_clusters):
    topics = make_topics(n_clusters)
    figure = clustering.topic_words(topics.sample(frac=1, random_state=1))
    assert len(figure.data) == 2 * n_clusters
    assert len({trace.xaxis for trace in figure.data}) == n_clusters
    for (cluster, ranking), expected in topics.groupby(["cluster", "ranking"]):
        (trace,) = [t for t in figure.data if t.name == f"cluster {cluster}, {ranking}"]
        assert list(trace.y) == expected["word"].tolist()
        np.testing.assert_array_equal(trace.x, expected["value"])
        assert trace.visible is (ranking == "probability")


def test_topic_switch_shows_one_ranking_at_a_time():
    figure = clustering.topic_words(make_topics(3))
    by_probability, by_lift = figure.layout.updatemenus[0].buttons
    for button, ranking in ((by_probability, "probability"), (by_lift, "lift")):
        shown = button.args[0]["visible"]
        assert [t.name.endswith(ranking) for t in figure.data] == shown
        (caption,) = [key for key in button.args[1] if key.startswith("annotations")]
        index = int(caption.removeprefix("annotations[").removesuffix("].text"))
        assert figure.layout.annotations[index].text == clustering.RANKINGS["probability"]
        assert button.args[1][caption] == clustering.RANKINGS[ranking]


def test_one_ranking_needs_no_switch():
    figure = clustering.topic_words(make_topics(2, rankings=("lift",)))
    assert len(figure.layout.updatemenus) == 0
    assert all(trace.visible for trace in figure.data)
    assert figure.layout.annotations[-1].text == clustering.RANKINGS["lift"]


def test_long_and_hostile_words_are_shortened_on_the_axis_and_escaped():
    topics = make_topics(1, rankings=("probability",), n_words=2)
    topics["word"] = ["<b>x</b>", "a_very_long_identifier_indeed"]
    figure = clustering.topic_words(topics)
    assert list(figure.data[0].y) == ["&lt;b&gt;x&lt;/b&gt;", "a_very_long_identifier_indeed"]
    assert figure.layout.yaxis.labelalias == {"a_very_long_identifier_indeed": "a_very_long_iden…"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="rank"), "rank"),
        (lambda t: t.assign(ranking="tf-idf"), "tf-idf"),
        (lambda t: t.iloc[:0], "must hold rankings"),
    ],
)
def test_topic_table_is_checked(change, message):
    with pytest.raises(ValueError, match=message):
        clustering.topic_words(change(make_topics(2)))


@settings(deadline=None, max_examples=40)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1, max_size=60),
    as_text=st.booleans(),
)
def test_heat_map_is_the_crosstab(pairs, as_text):
    labels = [f"label {label}" if as_text else label for label, _ in pairs]
    clusters = [cluster for _, cluster in pairs]
    (trace,) = clustering.label_by_cluster(labels, clusters, 8).data
    table = pd.crosstab(pd.Series(labels), pd.Series(clusters)).reindex(columns=range(8), fill_value=0)
    columns = [int(name) for name in trace.x]
    assert sorted(columns) == list(range(8))
    expected = table[columns].to_numpy()
    np.testing.assert_array_equal(trace.customdata, expected)
    np.testing.assert_allclose(trace.z, expected / expected.sum(axis=1, keepdims=True))
    assert [row.rsplit("  (", 1)[0] for row in trace.y] == [str(label) for label in table.index]


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(7)), st.integers(0, 2**32 - 1))
def test_a_permuted_clustering_shows_its_diagonal(permutation, seed):
    labels = np.random.default_rng(seed).integers(0, 7, 50)
    labels[:7] = range(7)
    figure = clustering.label_by_cluster(labels, np.array(permutation)[labels], 7)
    np.testing.assert_array_equal(figure.data[0].z, np.eye(7))
    assert figure.layout.title.text.startswith("100%")
    assert figure.layout.xaxis.title.text == "cluster"


def test_columns_follow_the_matching_not_the_largest_cell():
    # Matched greedily, both clusters would go to "a"; the matching gives 4 + 4 over 5 + 0.
    labels = ["a"] * 9 + ["b"] * 4
    clusters = [0] * 5 + [1] * 4 + [0] * 4
    figure = clustering.label_by_cluster(labels, clusters, 2)
    assert list(figure.data[0].x) == ["1", "0"]
    assert figure.layout.title.text.startswith(f"{8 / 13:.0%}")


def test_a_cluster_left_over_stands_beside_its_label():
    labels = ["a"] * 9 + ["b"] * 5
    clusters = [2] * 5 + [0] * 4 + [1] * 5
    (trace,) = clustering.label_by_cluster(labels, clusters, 3).data
    assert list(trace.x) == ["2", "0", "1"]


def test_labels_alike_at_their_start_keep_their_rows():
    labels = ["comp.sys.ibm.pc.hardware.first"] * 2 + ["comp.sys.ibm.pc.hardware.second"] * 2
    figure = clustering.label_by_cluster(labels, [0, 0, 1, 1], 2)
    assert len(set(figure.data[0].y)) == 2
    assert all("…" in short for short in figure.layout.yaxis.labelalias.values())


@pytest.mark.parametrize("draw", [lambda c: clustering.label_by_cluster(["a"] * 3, c, 2)])
def test_clusters_out_of_range_name_the_row(draw):
    with pytest.raises(ValueError, match="got 2 in row 1"):
        draw([0, 2, 1])


def test_heat_map_refuses_nothing_and_unequal_lengths():
    with pytest.raises(ValueError, match="at least one document"):
        clustering.label_by_cluster([], [], 2)
    with pytest.raises(ValueError, match="labels has 1, clusters has 2"):
        clustering.label_by_cluster(["a"], [0, 1], 2)


def test_cluster_sizes_count_and_expect():
    weights = np.array([0.2, 0.5, 0.1, 0.2])
    figure = clustering.cluster_sizes(pd.Series([1, 1, 1, 0, 3, 3]), 4, weights)
    bars, marks = figure.data
    assert dict(zip(bars.x, bars.y, strict=True)) == {"1": 3, "3": 2, "0": 1, "2": 0}
    assert list(bars.y) == sorted(bars.y, reverse=True)
    assert [marks.y[list(marks.x).index(str(k))] for k in range(4)] == pytest.approx(6 * weights)
    assert figure.layout.title.text == "6 documents in 3 clusters, 1 empty"
    assert figure.layout.yaxis.title.text == "documents"
    assert len(clustering.cluster_sizes([0, 1], 2).data) == 1


def test_cluster_sizes_need_a_weight_each():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        clustering.cluster_sizes([0], 3, [0.5, 0.5])


def test_charts_become_plotly_json():
    for figure in (clustering.topic_words(make_topics(2)), clustering.cluster_sizes([0, 1], 2)):
        assert json.loads(figure.to_json())["layout"]["title"]["text"]
