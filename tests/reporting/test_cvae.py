import numpy as np
import pandas as pd
import pytest

from latents.reporting import cvae
from tests.reporting.sheets import assert_pairs, texts, tiles


def make_history(epochs=4):
    rng = np.random.default_rng(0)
    reconstruction, kl = -rng.uniform(60, 90, epochs), rng.uniform(15, 25, epochs)
    return {
        "reconstruction": list(reconstruction),
        "kl": list(kl),
        "lower_bound": list(reconstruction - kl),
        "lower_bound_test": [np.nan, -95.0, np.nan, -92.0][:epochs],
        "seconds": [1.0] * epochs,
    }


def test_bound_and_its_terms_per_epoch():
    history = make_history()
    figure = cvae.bound_per_epoch(history)
    drawn = {trace.name: trace for trace in figure.data}
    keys = {
        "train": "lower_bound",
        "test": "lower_bound_test",
        "reconstruction, train": "reconstruction",
        "KL, train": "kl",
    }
    assert set(drawn) == set(keys)
    for name, key in keys.items():
        np.testing.assert_array_equal(drawn[name].x, [1, 2, 3, 4])
        np.testing.assert_array_equal(drawn[name].y, history[key])
    assert drawn["train"].yaxis == drawn["test"].yaxis
    assert len({drawn[n].yaxis for n in ("train", "reconstruction, train", "KL, train")}) == 3
    for axis in (figure.layout.yaxis, figure.layout.yaxis2, figure.layout.yaxis3):
        assert axis.title.text == "nats per image"
    assert "test \N{MINUS SIGN}92" in figure.layout.title.text


def test_epochs_of_a_fall_do_not_flatten_the_rest():
    history = make_history()
    calm = cvae.bound_per_epoch(history)
    assert calm.layout.yaxis.range is None
    assert "Far outside" not in calm.layout.title.subtitle.text
    history["lower_bound_test"][1] = -1.6e8
    figure = cvae.bound_per_epoch(history)
    lowest, highest = figure.layout.yaxis.range
    rest = history["lower_bound"]
    assert -1e4 < lowest < min(rest) < max(rest) < highest
    assert figure.layout.yaxis2.range is None
    assert "Far outside the frame: 1; a double click shows all." in figure.layout.title.subtitle.text


def test_bound_without_test_has_no_test_curve():
    history = make_history()
    del history["lower_bound_test"]
    figure = cvae.bound_per_epoch(history)
    assert len(figure.data) == 3
    assert "test" not in figure.layout.title.text
    assert not figure.layout.showlegend


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (30, 2, 5, 7), (3, 1, 4, 4, 3)])
def test_generated_grid_has_one_row_a_class(shape):
    images = np.random.default_rng(0).random(shape)
    names = [f"class {i}" for i in range(shape[0])]
    figure = cvae.generated_grid(images, names)
    np.testing.assert_allclose(np.stack(tiles(figure)), images.reshape(-1, *shape[2:]))
    extents = [image.get_extent() for image in figure.axes[0].images]
    tops = np.array([extent[3] for extent in extents]).reshape(shape[:2])
    lefts = np.array([extent[0] for extent in extents]).reshape(shape[:2])
    assert (np.ptp(tops, axis=1) == 0).all()
    assert (np.diff(tops[:, 0]) > 0).all()
    assert (np.ptp(lefts, axis=0) == 0).all()
    width, height = extents[0][1] - extents[0][0], extents[0][2] - extents[0][3]
    assert width / height == pytest.approx(shape[3] / shape[2])
    assert [text for text in texts(figure) if text.startswith("class ")] == names
    assert {image.get_clim() for image in figure.axes[0].images} == {(0.0, 1.0)}


@pytest.mark.parametrize("count", [1, 12, 30])
def test_reconstructions_stand_below_their_images(count):
    rng = np.random.default_rng(0)
    originals, rebuilt = rng.random((count, 6, 4)) > 0.5, rng.random((count, 6, 4))
    labels = rng.integers(0, 10, count)
    figure = cvae.reconstructions(originals, rebuilt, labels)
    assert_pairs(figure, originals, rebuilt)
    assert [text for text in texts(figure) if text.isdigit()] == [str(label) for label in labels]


def test_constant_images_are_drawn():
    cvae.reconstructions(np.zeros((2, 3, 3)), np.ones((2, 3, 3)), ["a", "b"]).canvas.draw()


def test_latent_scatter_draws_the_points():
    points = np.arange(6.0).reshape(3, 2)
    figure = cvae.latent_scatter(points, [4, 4, 7], ("latent 3", "latent 17"), has_class_priors=False)
    np.testing.assert_array_equal(figure.data[0].x, [0.0, 2.0])
    np.testing.assert_array_equal(figure.data[1].y, [5.0])
    assert [trace.name for trace in figure.data] == ["4", "7"]
    assert figure.layout.xaxis.title.text == "latent 3"
    assert figure.layout.yaxis.title.text == "latent 17"
    assert "overlap is expected" in figure.layout.title.subtitle.text
    apart = cvae.latent_scatter(points, [4, 4, 7], ("a", "b"), has_class_priors=True)
    assert "prior of its own" in apart.layout.title.subtitle.text


def test_the_nearest_training_image_stands_below_its_drawing():
    rng = np.random.default_rng(0)
    drawings, nearest = rng.random((2, 3, 5, 4)) > 0.5, rng.random((2, 3, 5, 4))
    own = np.array([[True, True, True], [True, False, True]])
    figure = cvae.nearest(drawings, nearest, ["a", "b"], own, [0.973, None])
    shown = np.stack(tiles(figure)).reshape(2, 2, 3, 5, 4)
    np.testing.assert_array_equal(shown[:, 0], drawings)
    np.testing.assert_array_equal(shown[:, 1], nearest)
    said = texts(figure)
    assert [text for text in said if text in ("a", "b", "nearest")] == ["a", "nearest", "b", "nearest"]
    assert [text for text in said if "recognised" in text] == ["97.3% recognised"]
    assert any("1 of 6 are of another class" in text for text in said)
    # The frame is about the one of another class.
    (frame,) = figure.axes[0].patches
    left, right, bottom, top = figure.axes[0].images[10].get_extent()
    assert frame.get_x() < left < right < frame.get_x() + frame.get_width()
    assert frame.get_y() < top < bottom < frame.get_y() + frame.get_height()
    alike = cvae.nearest(drawings, nearest, ["a", "b"], np.ones((2, 3)), [None, None])
    assert not alike.axes[0].patches


def test_distances_of_drawings_stand_beside_those_of_test_images_and_copies():
    rng = np.random.default_rng(0)
    distances = {"drawings": rng.gamma(5, 2, 300), "test": rng.gamma(5, 1, 200), "copies": np.zeros(100)}
    figure = cvae.nearest_distances(**distances)
    for trace, (name, key) in zip(
        figure.data,
        [("copies", "copies"), ("test images", "test"), ("drawings", "drawings")],
        strict=True,
    ):
        median = np.median(distances[key])
        assert trace.name.startswith(f"{name}, median ")
        edges, share = trace.x[::2], np.array(trace.y[1:-1:2])
        np.testing.assert_allclose(share * len(distances[key]), np.histogram(distances[key], edges)[0])
        assert share.sum() == pytest.approx(1)
        assert float(trace.name.split()[-1]) == pytest.approx(median, rel=0.01)
    ratio = np.median(distances["drawings"]) / np.median(distances["test"])
    assert f"{ratio:.2f} times as far" in figure.layout.title.text
    assert "0.00 times" in figure.layout.title.subtitle.text
    same = cvae.nearest_distances([1.0], [0.0], [0.0])
    assert same.layout.title.text == "Half of the test images are training images"


ZEROS = np.zeros((2, 3, 4, 4))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: cvae.bound_per_epoch({"lower_bound": [1.0], "reconstruction": [1.0]}), r"lacks \['kl'\]"),
        (lambda: cvae.bound_per_epoch(make_history() | {"kl": [1.0] * 3}), "kl has 3"),
        (
            lambda: cvae.bound_per_epoch({"lower_bound": [], "reconstruction": [], "kl": []}),
            "at least one epoch",
        ),
        (lambda: cvae.learning({}, ["a"], {}), "at least one epoch"),
        (lambda: cvae.learning({1: ZEROS[0]}, ["a"], {}), "class_names has 1"),
        (lambda: cvae.generated_grid(ZEROS, ["a"]), "images_by_class has 2, class_names has 1"),
        (lambda: cvae.generated_grid(ZEROS[0], ["a"] * 3), r"\(C, n, H, W\)"),
        (lambda: cvae.reconstructions(ZEROS[0], ZEROS[0, :, 1:], [0] * 3), "originals' shape"),
        (lambda: cvae.reconstructions(ZEROS[0], ZEROS[0], [0]), "labels has 1"),
        (lambda: cvae.hardest(ZEROS[0], ZEROS[0, :2], [("", "")] * 3, [0] * 3, 0), "originals' shape"),
        (lambda: cvae.hardest(ZEROS[0], ZEROS[0], [("", "")] * 3, [0], 0), "bounds has 1"),
        (lambda: cvae.interpolations(ZEROS, ZEROS[:1, :2], [("a", "a")] * 2), "ends has 1"),
        (lambda: cvae.interpolations(ZEROS, ZEROS[:, :2], [("a", "a")]), "labels has 1"),
        (lambda: cvae.class_paths(ZEROS, [("a", "b")]), "labels has 1"),
        (lambda: cvae.styles(ZEROS[:, 0], ZEROS, ["a", "b"], ["a", "b"]), "class_names has 2"),
        (lambda: cvae.traversals(ZEROS[None], [1, 2], [0.5], ["a", "b"], [-1, 0, 1]), "latents has 2"),
        (lambda: cvae.traversals(ZEROS[None], [1], [0.5], ["a", "b"], [-1, 1]), "values has 2"),
        (
            lambda: cvae.nearest(ZEROS, ZEROS[:, :1], ["a", "b"], np.ones((2, 3)), [None] * 2),
            "drawings' shape",
        ),
        (lambda: cvae.nearest(ZEROS, ZEROS, ["a"], np.ones((2, 3)), [None] * 2), "class_names has 1"),
        (lambda: cvae.nearest_distances([1.0], [], [1.0]), "test images must have at least one"),
        (lambda: cvae.class_bounds(pd.DataFrame(columns=["label"])), "at least one class"),
        (lambda: cvae.confusion(["a", "a"], ["a"], ["a"]), "predicted has 1"),
        (lambda: cvae.confusion([], [], ["a"]), "at least one image"),
        (lambda: cvae.confusion(["a"], ["z"], ["a", "b"]), "predicted has 'z'"),
        (
            lambda: cvae.class_priors(
                np.eye(2), ["a", "b"], ["a", "b", "c"], np.eye(2), [np.eye(2)] * 3, 20.0, 23.5, ("one", "two")
            ),
            "means has 2",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
