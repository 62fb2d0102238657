import numpy as np
import pytest

from latents.reporting.scatter import MAX_SVG_POINTS, scatter_by_label


def draw(points, labels, **options):
    return scatter_by_label(points, labels, axis_titles=("across", "up"), title="t", subtitle="s", **options)


@pytest.mark.parametrize("names", [[0, 1, 2], ["<b>fft</b>", "io", "stats"]])
def test_each_label_has_its_points_and_its_median(names):
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(90, 2)), np.array(names)[rng.integers(0, 3, 90)]
    figure = draw(points, labels)
    for trace, pill, name in zip(figure.data, figure.layout.annotations, names, strict=True):
        own = points[labels == name]
        assert trace.name == str(name).replace("<", "&lt;").replace(">", "&gt;")
        np.testing.assert_array_equal(np.column_stack([trace.x, trace.y]), own)
        assert (pill.x, pill.y) == pytest.approx(tuple(np.median(own, axis=0)))
        assert pill.text == trace.name
    assert figure.layout.xaxis.title.text == "across"
    assert figure.layout.yaxis.title.text == "up"
    assert figure.layout.yaxis.scaleanchor == "x"


def test_without_labels_there_is_one_cloud():
    points = np.arange(8.0).reshape(4, 2)
    figure = draw(points, None)
    (trace,) = figure.data
    np.testing.assert_array_equal(np.column_stack([trace.x, trace.y]), points)
    assert not figure.layout.showlegend


def test_medians_can_be_left_unnamed():
    assert not draw(np.eye(2), ["a", "b"], name_medians=False).layout.annotations


def test_many_points_are_drawn_by_webgl():
    few, many = np.zeros((MAX_SVG_POINTS, 2)), np.zeros((60_000, 2))
    assert draw(few, None).data[0].type == "scatter"
    figure = draw(many, np.arange(60_000) % 30)
    assert {trace.type for trace in figure.data} == {"scattergl"}
    assert sum(len(trace.x) for trace in figure.data) == 60_000
    assert len({(trace.marker.color, trace.marker.symbol) for trace in figure.data}) == 30


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\(n, 2\)"):
        draw(np.zeros((3, 3)), None)
    with pytest.raises(ValueError, match="points has 3, labels has 2"):
        draw(np.zeros((3, 2)), [0, 1])
