"""The charts of PCA that speak of errors, of single rows and of features."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from latents.reporting import pca
from latents.reporting.report import PicturedChart, Section, render_report
from latents.reporting.shrinking import thumbnails
from tests.reporting.sheets import texts, tiles
from tests.reporting.test_report import Page

CURVE = np.array([100.0, 40, 20, 10, 5])


def test_held_out_errors_are_a_second_line_with_marks():
    unseen = np.array([110.0, 50, 30])
    figure = pca.distortion_curve(
        CURVE, [1, 2], CURVE[1:3], 2, held_out=(unseen, unseen[1:]), largest_error=20.0
    )
    theory, measured, line, marks = figure.data
    np.testing.assert_array_equal(line.y, unseen)
    np.testing.assert_array_equal(marks.y, unseen[1:])
    np.testing.assert_allclose(line.customdata, unseen / 110)
    np.testing.assert_allclose(theory.customdata, CURVE / 100)
    np.testing.assert_array_equal(measured.x, [1, 2])
    assert "50.0% above that of training" in figure.layout.title.subtitle.text
    assert "asked: at most 20" in [note.text for note in figure.layout.annotations]
    assert figure.layout.yaxis.range[1] > 110


def test_errors_of_rows_with_gaps_are_held_against_their_like():
    """J is of whole rows; what is measured, held out or not, is over the numbers observed."""
    figure = pca.distortion_curve(
        CURVE, [1, 2], [30.0, 15.0], 2, held_out=([90.0, 33, 18], [33.0, 18]), lacks=True
    )
    assert "20.0% above that of training" in figure.layout.title.subtitle.text
    exact = pca.distortion_curve(
        CURVE, [1, 2], [30.0, 1e-28], 2, held_out=([90.0, 33, 18], [33.0, 18]), lacks=True
    )
    assert "that of training" not in exact.layout.title.subtitle.text
    alone = pca.distortion_curve(CURVE, [1, 2], [30.0, 15.0], 2, lacks=True)
    assert "below the line" in alone.layout.title.subtitle.text


@pytest.mark.parametrize(("n_components", "last", "kind"), [(2, 5.0, "linear"), (4, 0.5, "log")])
def test_the_axis_is_logarithmic_where_little_is_left_and_can_be_switched(n_components, last, kind):
    curve = np.append(CURVE[:-1], [last, 1e-14, 0.0])
    figure = pca.distortion_curve(curve, [1], [40.0], n_components, largest_error=8.0)
    assert figure.layout.yaxis.type == kind
    linear, logarithmic = (button.args[0] for button in figure.layout.updatemenus[0].buttons)
    low, high = logarithmic["yaxis.range"]
    # Zeros and rounding errors have no place on a logarithmic axis; all the rest has.
    assert np.log10(last) - 1 < low < np.log10(last)
    assert high > 2
    assert linear["yaxis.range"][0] == 0
    (at,) = [i for i, note in enumerate(figure.layout.annotations) if "asked" in note.text]
    assert linear[f"annotations[{at}].y"] == pytest.approx(8.0)
    assert logarithmic[f"annotations[{at}].y"] == pytest.approx(np.log10(8.0))
    assert figure.layout.annotations[at].y == pytest.approx(8.0 if kind == "linear" else np.log10(8.0))


def test_the_spectrum_says_where_the_variance_is():
    figure = pca.spectrum([0.5, 0.3, 0.15, 0.05], 2)
    assert figure.layout.title.subtitle.text == "Of the variance 50% in 1, 90% in 3, 99% in 4 directions."
    assert "d = 2: 80.0%" in [note.text for note in figure.layout.annotations]
    assert pca.spectrum([0.3], 1).layout.title.text == "1 component keeps 30.0% of the variance"


def test_errors_are_shares_of_their_own_group():
    rng = np.random.default_rng(0)
    error = rng.gamma(4, size=1000)
    held_out = np.arange(1000) % 4 == 0
    error[held_out] *= 1.5
    worst = np.sort(error)[:-4:-1]
    figure = pca.error_spread(error, held_out, worst, ["<a>", "b", "c"], "images")
    training, unseen, marks = figure.data
    for trace in (training, unseen):
        steps, share = np.asarray(trace.x).reshape(-1, 2), np.asarray(trace.y).reshape(-1, 2)
        np.testing.assert_array_equal(share[:, 0], share[:, 1])
        assert share[:, 0].sum() == pytest.approx(1)
        assert steps[0, 0] == error.min()
        assert steps[-1, 1] >= error.max()
    np.testing.assert_array_equal(marks.x, worst)
    assert marks.text[0] == "&lt;a&gt;"
    expected = np.quantile(error, 0.99) / error.mean()
    assert f"over {expected:.1f} times" in figure.layout.title.subtitle.text
    assert f"{worst[0] / error.mean():.1f} times as far off" in figure.layout.title.text
    excess = error[held_out].mean() / error[~held_out].mean() - 1
    assert f"{excess:.1%} further off" in figure.layout.title.subtitle.text
    assert figure.layout.xaxis.type == "linear"


def test_errors_over_decades_have_a_logarithmic_axis():
    error = np.geomspace(0.01, 1000, 300)
    figure = pca.error_spread(error, np.zeros(300, bool), error[-1:], ["a"], "images")
    assert figure.layout.xaxis.type == "log"
    assert len(figure.data) == 2
    assert np.sum(figure.data[0].y) / 2 == pytest.approx(1)


def test_no_errors_at_all():
    figure = pca.error_spread(np.zeros(5), np.arange(5) == 0, [0.0], ["a"], noun="rows")
    assert figure.layout.title.text == "All rows are rebuilt without an error"


@pytest.mark.parametrize("shape", [(3, 8, 8), (10, 6, 9, 3)])
def test_worst_images_are_shown_with_what_is_missing(shape):
    rng = np.random.default_rng(0)
    truth, back = rng.random((2, *shape))
    errors = np.sort(np.square(truth - back).reshape(len(truth), -1).sum(axis=1))[::-1]
    captions = [(f"pictures/a_very_long_name_{i}.png", "label x") for i in range(len(truth))]
    figure = pca.worst_images(truth, back, errors, captions, errors[0] / 2.5)
    shown = tiles(figure)
    assert len(shown) == 3 * len(truth)
    if len(shape) == 3:
        for i in range(len(truth)):
            np.testing.assert_array_equal(shown[3 * i], truth[i])
            np.testing.assert_array_equal(shown[3 * i + 1], back[i])
            np.testing.assert_array_equal(shown[3 * i + 2], truth[i] - back[i])
    else:  # mid-grey is zero
        reach = (truth.max() - truth.min()) / 2
        np.testing.assert_allclose(
            shown[2], np.clip(0.5 + (truth[0] - back[0]) / (2 * reach), 0, 1), atol=1e-12
        )
    written = texts(figure)
    assert "The worst-rebuilt image is 2.5 times as far off as the mean one" in written
    assert "2.5 x mean" in written
    assert "pict…me_0.png" in written


def test_images_stand_beside_what_is_made_of_them():
    truth = np.random.default_rng(0).normal(size=(3, 4, 5))
    figure = pca.rebuilt_images(truth, truth / 2, [3, 2, 1], [("a", "label 1"), ("b", ""), ("c", "")], 1)
    shown = tiles(figure)
    assert len(shown) == 9
    np.testing.assert_array_equal(shown[3], truth[1])
    np.testing.assert_array_equal(shown[4], truth[1] / 2)
    np.testing.assert_array_equal(shown[5], truth[1] / 2)
    written = texts(figure)
    assert "Images rebuilt from 1 number each" in written
    assert {"a", "label 1", "3", "2", "1"} <= set(written)


def test_loadings_are_the_largest_weights_by_name():
    basis = np.array([[0.1, -0.9, 0.3, 0.0], [0.7, 0.1, -0.2, 0.6]])
    figure = pca.loadings(basis, ["a", "<b>", "c", "d"], [0.6, 0.3])
    first, second = figure.data
    np.testing.assert_array_equal(first.x, [0.0, 0.1, 0.3, -0.9])
    assert list(first.customdata) == ["d", "a", "c", "&lt;b&gt;"]
    np.testing.assert_array_equal(second.x, [0.1, -0.2, 0.6, 0.7])
    assert list(figure.layout.yaxis2.ticktext) == ["&lt;b&gt;", "c", "d", "a"]
    assert figure.layout.title.text == "The first pattern is mostly &lt;b&gt;"
    assert "all of 4 features" in figure.layout.title.subtitle.text
    many = pca.loadings(np.eye(12), list("abcdefghijkl"), np.full(12, 1 / 12))
    assert [len(trace.x) for trace in many.data] == [8] * 9
    assert "8 of 12 features" in many.layout.title.subtitle.text


def plane(z, labels, **options):
    return pca.scatter(z, labels, shares=(0.5, 0.25), noun="rows", **options)


def test_points_know_their_rows_and_texts():
    z = np.random.default_rng(0).normal(size=(6, 2))
    labels = np.array(list("abcabc"))
    figure = plane(z, labels, texts=[f"row {i}\n<x>" for i in range(6)], is_whitened=True, n_rows=60)
    for trace in figure.data:
        for row, x, y, text in zip(trace.customdata[:, 0], trace.x, trace.y, trace.text, strict=True):
            assert [x, y] == z[row].tolist()
            assert text == f"row {row}<br>&lt;x&gt;"
            assert labels[row] == trace.name
    assert figure.layout.xaxis.title.text == "score on component 1 (whitened), 50.0% of the variance"
    assert "hold 75% of the variance" in figure.layout.title.text
    assert "Shown: 6 of 60." in figure.layout.title.subtitle.text
    without = plane(z, None, texts=[""] * 6, is_whitened=False, n_rows=6)
    assert without.layout.title.subtitle.text == "Both axes share one scale."
    assert without.layout.xaxis.title.text == "score on component 1 (input units), 50.0% of the variance"


@pytest.mark.parametrize("shape", [(7, 16, 24), (5, 12, 12, 3), (3, 64, 32)])
def test_every_thumbnail_is_at_its_place(shape):
    rng = np.random.default_rng(0)
    levels = rng.permutation(len_ := shape[0]) / (len_ - 1)
    images = np.broadcast_to(levels.reshape(-1, *[1] * (len(shape) - 1)), shape) * 200.0 - 50
    sheet = thumbnails(images)
    assert max(sheet.width, sheet.height) <= 32
    assert sheet.width / sheet.height == shape[2] / shape[1]
    packed = base64.b64decode(sheet.source.split(",", 1)[1])
    pixels = np.asarray(Image.open(io.BytesIO(packed)).convert("RGB"))
    for i, level in enumerate(levels):
        x, y = i % sheet.columns * sheet.width, i // sheet.columns * sheet.height
        tile = pixels[y + 3 : y + sheet.height - 3, x + 3 : x + sheet.width - 3]
        np.testing.assert_allclose(tile, 255 * level, atol=12)


def test_a_chart_with_thumbnails_brings_them_along():
    chart = plane(np.eye(3, 2), None, texts=list("abc"), is_whitened=False, n_rows=3)
    sheet = thumbnails(np.random.default_rng(0).random((3, 8, 8)))
    page = Page(render_report("T", "S", [], [Section("Plane", "Read.", PicturedChart(chart, sheet))], {}))
    (attached,) = [text for attrs, text in page.scripts if attrs.get("class") == "thumbnails"]
    assert sheet.source in attached
    assert len(page.charts()) == 1
    without = render_report("T", "S", [], [Section("Plane", "Read.", chart)], {})
    assert "thumbnail" not in without
