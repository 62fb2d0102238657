import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latents.reporting import clustering, style
from latents.reporting.clustering.names import short_name, short_names
from latents.reporting.clustering.placing import apart, categories, heads

NAMES = ["wind, waves, ship", "plane, clouds", "rails, train", "never seen"]
HOSTILE = "<b>x</b> & $a$ %{x}"


def draw(n=60, **changes):
    rng = np.random.default_rng(0)
    arguments = {
        "positions": rng.normal(size=(n, 2)),
        "clusters": np.arange(n) % 3,
        "names": NAMES,
        "texts": [f"the beginning of text {i}" for i in range(n)],
        "titles": [f"file{i}" for i in range(n)],
        "labels": np.array(["sea", "sky", "sky"])[np.arange(n) % 3],
        "agreeing": np.arange(n) % 3 < 2,
        "n_documents": n,
    } | changes
    return clustering.document_map(**arguments)


def tags(figure, visible=True):
    return [note.text for note in figure.layout.annotations if (note.visible is not False) == visible]


def test_every_document_is_a_point_of_its_cluster_with_its_text():
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(60, 2))
    figure = draw(positions=positions)
    assert [trace.name for trace in figure.data] == NAMES[:3]  # no trace without documents
    assert {trace.type for trace in figure.data} == {"scattergl"}
    for k, trace in enumerate(figure.data):
        np.testing.assert_allclose(np.column_stack([trace.x, trace.y]), positions[k::3], rtol=1e-6)
        assert all(f"text {3 * i + k}<" in text for i, text in enumerate(trace.text))
        assert all(f"<b>file{3 * i + k}</b>" in text for i, text in enumerate(trace.text))
        assert all(f"cluster: {NAMES[k]}" in text for text in trace.text)
    assert "label: sea" in figure.data[0].text[0]
    assert figure.layout.title.text == "60 documents as the mixture of 4 sees them"


def test_the_largest_cluster_is_first_and_names_stand_on_their_documents():
    positions = np.array([[0.0, 0], [1, 0], [0, 1], [9, 9], [9, 8]])
    figure = draw(5, positions=positions, clusters=[2, 2, 2, 0, 0], labels=None)
    assert [trace.name for trace in figure.data] == [NAMES[2], NAMES[0]]
    assert not figure.layout.updatemenus
    for note in figure.layout.annotations:
        members = positions[:3] if note.text == NAMES[2] else positions[3:]
        assert [note.x, note.y] in members.tolist()


def test_of_many_clusters_the_largest_are_named_and_all_are_in_the_legend():
    names = [f"name {k}" for k in range(50)]
    clusters = np.r_[np.arange(50), np.arange(10, 50)]
    figure = draw(90, clusters=clusters, names=names, labels=None)
    assert sorted(tags(figure)) == sorted(names[10:])
    assert len(figure.data) == 50
    assert figure.layout.title.subtitle.text.endswith("Named: the 40 largest clusters.")
    assert "Named" not in draw().layout.title.subtitle.text


def test_the_switch_recolours_the_same_points():
    figure = draw()
    modes = {button.label: button.args for button in figure.layout.updatemenus[0].buttons}
    assert list(modes) == ["by cluster", "by label", "by agreement"]
    colours = modes["by label"][0]["marker.color"]
    assert set(colours[1]) == set(colours[2]) != set(colours[0])
    assert modes["by agreement"][0]["marker.color"] == [
        [style.GREY] * 20,
        [style.GREY] * 20,
        [style.ORANGE] * 20,
    ]
    assert "33.3%" in modes["by agreement"][1]["title.subtitle.text"]
    assert modes["by cluster"][0]["marker.color"] == [trace.marker.color for trace in figure.data]
    assert [relayout["showlegend"] for _, relayout in modes.values()] == [True, False, False]
    assert (tags(figure), tags(figure, visible=False)) == (NAMES[:3], ["sea", "sky"])
    for mode, (_, relayout) in modes.items():
        shown = [relayout[f"annotations[{i}].visible"] for i in range(5)]
        assert shown == ([False] * 3 + [True] * 2 if mode == "by label" else [True] * 3 + [False] * 2)


def test_more_labels_than_colours_and_symbols_have_no_colouring_of_their_own():
    figure = draw(61, labels=np.arange(61), agreeing=np.ones(61, dtype=bool))
    labels = [button.label for button in figure.layout.updatemenus[0].buttons]
    assert labels == ["by cluster", "by agreement"]


def test_a_share_of_the_documents_is_said():
    assert "Shown: 60 of 1,000." in draw(n_documents=1000).layout.title.subtitle.text
    assert "Shown" not in draw().layout.title.subtitle.text


def test_hostile_text_is_escaped():
    figure = draw(
        3, texts=[HOSTILE] * 3, titles=[HOSTILE] * 3, labels=[HOSTILE] * 3, names=["<b>x</b>, &", "b", "c"]
    )
    text = figure.data[0].text[0]
    assert "<b>x" not in text.replace("<b>&lt;", "")
    assert text.count("&lt;b&gt;x&lt;/b&gt; &amp; $a$ %{x}") == 3
    assert figure.data[0].name == tags(figure)[0] == "&lt;b&gt;x&lt;/b&gt;, &amp;"
    assert json.loads(figure.to_json())["data"][0]["text"][0] == text


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="texts has 1"):
        draw(3, texts=["a"])
    with pytest.raises(ValueError, match="agreeing has 0"):
        draw(3, agreeing=None)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 50))
def test_boxes_end_apart(seed, n):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 600, (n, 2))
    sizes = np.column_stack([rng.uniform(40, 170, n), np.full(n, 19.0)])
    moved = apart(centres, sizes)
    gap = np.abs(moved[:, None] - moved[None]) - (sizes[:, None] + sizes[None]) / 2
    assert (gap.max(axis=2)[np.triu_indices(n, 1)] > -2).all()
    np.testing.assert_array_equal(centres, np.random.default_rng(seed).uniform(0, 600, (n, 2)))


def test_boxes_that_are_apart_stay():
    centres, sizes = np.array([[0.0, 0], [0, 30], [100, 0]]), np.full((3, 2), [80.0, 20.0])
    np.testing.assert_array_equal(apart(centres, sizes), centres)


def test_a_group_in_two_parts_has_its_name_on_one_of_them():
    xy = np.array([[0.0, 0], [0, 1], [10, 0], [10, 1], [5, 5]])
    places = heads(xy, np.array([0, 0, 0, 0, 1]), 3)
    assert places[0].tolist() in [[0, 1], [10, 1]]
    assert places[1].tolist() == [5, 5]
    assert np.isnan(places[2]).all()


def test_documents_gone_astray_do_not_carry_the_name():
    xy = np.vstack([np.random.default_rng(0).normal(size=(90, 2)), np.full((10, 2), [0.0, 50])])
    assert np.abs(heads(xy, np.zeros(100, dtype=int), 1)).max() < 5


@pytest.mark.parametrize("n", [1, 10, 20, 60])
def test_no_two_groups_look_the_same_and_equal_colours_are_far_apart(n):
    places = np.random.default_rng(0).normal(size=(n, 2))
    looks = categories(places)
    assert len(set(looks)) == n
    if n > 10:
        gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
        first, second = np.tril_indices(n, -1)
        alike = np.array([looks[i][0] == looks[j][0] for i, j in zip(first, second, strict=True)])
        by_number = (first - second) % 10 == 0
        assert gaps[first, second][alike].min() > gaps[first, second][by_number].min()


def test_short_names():
    assert short_name("wind, waves, ship", 20) == "wind, waves, ship"
    assert short_name("wind, waves, ship", 12) == "wind, waves"
    assert short_name("multidimensionality", 30) == "multidimensionality"
    assert short_name("multidimensionality, waves", 25) == "multidimensio…, waves"
    assert short_name("comp.os.ms-windows.misc: drivers, fonts", 32) == "comp.os.ms-windows.misc: drivers"
    assert short_name("multidimensionality", 5) == "mult…"
    assert short_names(["wind, sails, ship", "wind, sails, plane", "sky"], 11) == [
        "wind (0)",
        "wind (1)",
        "sky",
    ]
