"""Images in, classes, bounds and latents out; classes in, images out."""

import numpy as np
import pandas as pd
import pytest

from latents.estimators import ConditionalVAE
from latents.predictors import CVAEPredictor

SMALL = {"n_latents": 1, "hidden": (2,), "network": "reference", "epochs": 1, "compiled": False}


def trained(X, y, white=1.0, **parameters):
    """A predictor of images of 2 x 2 pixels."""
    model = ConditionalVAE(**SMALL, random_state=0, **parameters).fit(X, y)
    return CVAEPredictor(model, (2, 2), white)


def test_the_table_is_the_models(cvae_predictor, digits):
    images = digits[0][:20]
    table = cvae_predictor.predict(images, n_importance_samples=10)
    X = cvae_predictor.pixels(images)
    shares = cvae_predictor.model.predict_proba(X, n_samples=10)
    classes = cvae_predictor.model.classes_
    assert list(table) == ["predicted", *[f"p_{c}" for c in classes], "lower_bound", "z1", "z2", "z3", "z4"]
    np.testing.assert_array_equal(table["predicted"], classes[shares.argmax(axis=1)])
    np.testing.assert_allclose(table.filter(like="p_"), shares)
    np.testing.assert_allclose(
        table["lower_bound"], cvae_predictor.model.score_samples(X, table["predicted"])
    )
    np.testing.assert_allclose(
        table.filter(regex="z."), cvae_predictor.model.transform(X, table["predicted"])
    )


def test_labels_say_what_latents_and_bound_are_under(cvae_predictor, digits):
    images = digits[0][:5]
    under = cvae_predictor.predict(images, [3] * 5, n_importance_samples=5)
    plain = cvae_predictor.predict(images, n_importance_samples=5)
    X = cvae_predictor.pixels(images)
    np.testing.assert_allclose(under.filter(regex="z."), cvae_predictor.model.transform(X, [3] * 5))
    np.testing.assert_allclose(under["lower_bound"], cvae_predictor.model.score_samples(X, [3] * 5))
    pd.testing.assert_frame_equal(under.filter(like="p"), plain.filter(like="p"))


def test_grey_pixels_are_1_from_half_of_white(cvae_predictor, digits):
    images = digits[0][:50]
    np.testing.assert_array_equal(cvae_predictor.pixels(images), (images >= 8).reshape(50, 64))


@pytest.mark.parametrize("likelihood", ["gaussian", "discretised"])
def test_grey_pixels_of_other_likelihoods_stay_grey(likelihood):
    X = np.random.default_rng(0).random((6, 4))
    predictor = trained(X, [0, 1] * 3, 255.0, likelihood=likelihood)
    np.testing.assert_allclose(predictor.pixels(255 * X.reshape(6, 2, 2)), X, rtol=1e-6)
    assert len(predictor.predict(255 * X.reshape(6, 2, 2), n_importance_samples=5)) == 6


def test_another_shape_than_the_models_is_refused():
    X = np.random.default_rng(0).random((6, 4))
    for shape in (None, (2, 2), [2, 2, 1]):
        trained(X, [0, 1] * 3, image_shape=shape)
    with pytest.raises(ValueError, match=r"shape \(2, 2\) is not the model's image_shape, \(1, 4\)"):
        trained(X, [0, 1] * 3, image_shape=(1, 4))


def test_drawn_images_are_in_input_units_and_read_back(cvae_predictor):
    images = cvae_predictor.generate([3, 3, 8], random_state=1)
    assert images.shape == (3, 8, 8)
    np.testing.assert_allclose(
        images.reshape(3, 64), 16 * cvae_predictor.model.sample([3, 3, 8], random_state=1), rtol=1e-6
    )
    assert images.max() > 1
    assert images.max() <= 16
    assert len(cvae_predictor.predict(images, n_importance_samples=5)) == 3
    np.testing.assert_array_equal(images, cvae_predictor.generate([3, 3, 8], random_state=1))
    assert not np.allclose(images, cvae_predictor.generate([3, 3, 8], random_state=2))


def test_labels_may_be_texts_or_numbers(cvae_predictor):
    known = cvae_predictor.generate([3, 8], random_state=0)
    for labels in (
        ["3", "8"],
        np.array(["3", "8"]),
        [3.0, 8.0],
        pd.Series([3, 8]),
        np.array([3, "8"], dtype=object),
    ):
        np.testing.assert_array_equal(cvae_predictor.generate(labels, random_state=0), known)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([3, 11], r"label 1 is 11, no class of the model; allowed are 0, 1, 2, .*, 9"),
        ([3, "cat"], "label 1 is 'cat', no class"),
        ([np.nan], "label 0 is nan, no class"),
        ([3.5], r"label 0 is 3\.5, no class"),
        ([{}], r"label 0 is \{\}, no class"),
        ([None], "label 0 is None, no class"),
        ([], r"labels have shape \(0,\)"),
        (3, r"labels have shape \(\)"),
        ([[3]], r"labels have shape \(1, 1\)"),
        ([False, True], r"label 0 is False, no class .* \(False is what YAML makes of no, off"),
    ],
)
def test_unknown_labels_are_refused_by_row(cvae_predictor, labels, said):
    with pytest.raises(ValueError, match=said):
        cvae_predictor.generate(labels)


def test_as_many_labels_as_images(cvae_predictor, digits):
    with pytest.raises(ValueError, match="there are 2 labels for 3 images"):
        cvae_predictor.predict(digits[0][:3], [1, 2])


def test_classes_that_are_texts_say_so():
    predictor = trained(np.eye(4), ["cat", "1", "cat", "1"])
    table = predictor.predict(np.eye(4).reshape(4, 2, 2), n_importance_samples=5)
    assert list(table)[:3] == ["predicted", "p_1", "p_cat"]
    assert predictor.generate([1]).shape == (1, 2, 2)
    with pytest.raises(ValueError, match="label 0 is 2, no class of the model; allowed are '1', 'cat'"):
        predictor.generate([2])


def test_classes_that_are_floats_may_be_given_as_whole_numbers():
    predictor = trained(np.eye(4), [0.0, 2.0, 0.0, 2.0])
    for labels in ([0], ["0"], ["0.0"], [0.0], np.array([0], dtype=np.uint8)):
        assert predictor.classes_of(labels).tolist() == [0.0]
    assert predictor.classes_of(["2", 0, 2]).tolist() == [2.0, 0.0, 2.0]
    with pytest.raises(ValueError, match=r"label 0 is 1, no class of the model; allowed are 0\.0, 2\.0"):
        predictor.classes_of([1])


def test_pixels_outside_are_refused(cvae_predictor, digits):
    with pytest.raises(ValueError, match=r"pixel 0 of image 0 is 17\.0; allowed are 0 to 16\.0"):
        cvae_predictor.predict(np.full((1, 8, 8), 17.0))
    with pytest.raises(
        ValueError, match=r"images have shape \(4, 4\); the model was trained on images of \(8, 8\)"
    ):
        cvae_predictor.predict(np.ones((1, 4, 4)))


@pytest.mark.parametrize(
    ("shape", "white", "said"),
    [((7, 9), 16.0, "does not make the model's 64"), ((8, 8), 0.0, r"white is 0\.0")],
)
def test_parts_that_do_not_fit_together_are_refused(cvae_predictor, shape, white, said):
    with pytest.raises(ValueError, match=said):
        CVAEPredictor(cvae_predictor.model, shape, white)


# Styles, and what lies between classes


def test_equal_noise_is_one_style_in_every_class(cvae_predictor):
    noise = np.random.default_rng(0).normal(size=(1, 4)).repeat(10, axis=0)
    drawn = cvae_predictor.generate(range(10), noise=noise)
    np.testing.assert_allclose(
        drawn.reshape(10, 64), 16 * cvae_predictor.model.sample(range(10), noise=noise), rtol=1e-6
    )
    np.testing.assert_array_equal(drawn, cvae_predictor.generate(np.eye(10), noise=noise))
    with pytest.raises(ValueError, match=r"noise is of shape \(10, 4\), but must be \(1, 4\)"):
        cvae_predictor.generate([3], noise=noise)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([[0.5, 0.5]], r"labels have shape \(1, 2\); allowed is a list of one or more"),
        ([[0.2] * 10], r"y\[0\] is .*; allowed are weights from 0 that sum to one"),
        ([np.eye(10)[0], [2.0, -1.0] + [0.0] * 8], r"y\[1\] is .*; allowed are weights from 0"),
        ([[np.nan] * 10], r"y\[0\] is .*; allowed are weights from 0"),
    ],
)
def test_weights_that_are_none_are_refused_by_row(cvae_predictor, digits, weights, said):
    with pytest.raises(ValueError, match=said):
        cvae_predictor.generate(weights)
    with pytest.raises(ValueError, match=said):
        cvae_predictor.restyle(digits[0][: len(weights)], digits[1][: len(weights)], weights)


def test_images_are_rebuilt_and_restyled_as_the_model_does_in_input_units(cvae_predictor, digits):
    images, labels = digits[0][:6], digits[1][:6]
    X, model = cvae_predictor.pixels(images), cvae_predictor.model
    rebuilt = cvae_predictor.reconstruct(images, labels)
    np.testing.assert_allclose(rebuilt.reshape(6, 64), 16 * model.reconstruct(X, labels), rtol=1e-6)
    np.testing.assert_allclose(cvae_predictor.restyle(images, labels, labels), rebuilt, atol=1e-3)
    to = ["3", "4", "5", "6", "7", "8"]
    restyled = cvae_predictor.restyle(images, labels, to)
    np.testing.assert_allclose(
        restyled.reshape(6, 64), 16 * model.restyle(X, labels, [3, 4, 5, 6, 7, 8]), rtol=1e-6
    )
    np.testing.assert_array_equal(cvae_predictor.restyle(images, labels, np.eye(10)[3:9]), restyled)
    assert rebuilt.shape == restyled.shape == (6, 8, 8)
    with pytest.raises(ValueError, match="label 1 is 'ten', no class of the model"):
        cvae_predictor.restyle(images, labels, [1, "ten", 1, 1, 1, 1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        cvae_predictor.restyle(images, labels, [1, 2])


def test_a_traversal_draws_by_noise_that_has_one_number(cvae_predictor):
    drawn = cvae_predictor.traverse(["3", 8], latents=[2, 0], values=[-1.5, 0, 2])
    assert drawn.shape == (2, 2, 3, 8, 8)
    for row, label in enumerate([3, 8]):
        for place, latent in enumerate([2, 0]):
            for stop, value in enumerate([-1.5, 0, 2]):
                expected = cvae_predictor.generate([label], noise=value * np.eye(4)[[latent]])[0]
                np.testing.assert_allclose(drawn[row, place, stop], expected, atol=1e-4)
    with pytest.raises(ValueError, match="latents has 4, but allowed are 0 to 3"):
        cvae_predictor.traverse([3], latents=[4], values=[0])
    with pytest.raises(ValueError, match="label 0 is 11, no class of the model"):
        cvae_predictor.traverse([11], latents=[0], values=[0])


def test_the_busiest_latents_are_those_whose_ends_lie_farthest_apart(cvae_predictor):
    changes = np.zeros(4)
    for latent in range(4):
        low, high = (
            cvae_predictor.generate(range(10), noise=np.tile(end * np.eye(4)[latent], (10, 1)))
            for end in (-2, 2)
        )
        changes[latent] = sum(np.sqrt(((b - a) ** 2).sum()) for a, b in zip(low, high, strict=True))
    busiest = cvae_predictor.busiest_latents(4)
    assert (np.diff(changes[busiest]) <= 0).all()
    assert sorted(busiest.tolist()) == [0, 1, 2, 3]
    np.testing.assert_array_equal(cvae_predictor.busiest_latents(2), busiest[:2])
    np.testing.assert_array_equal(cvae_predictor.busiest_latents(99), busiest)


def test_colours_keep_their_shape_whatever_is_drawn():
    images = np.random.default_rng(0).random((8, 2, 3, 3))
    model = ConditionalVAE(**SMALL, random_state=0, likelihood="gaussian")
    predictor = CVAEPredictor(model.fit(images.reshape(8, -1), [0, 1] * 4), (2, 3, 3), 255.0)
    given = 255 * images[:2]
    assert predictor.reconstruct(given, [0, 1]).shape == given.shape
    assert predictor.restyle(given, [0, 1], [1, 0]).shape == given.shape
    assert predictor.traverse([0], latents=[0], values=[-1, 1]).shape == (1, 1, 2, 2, 3, 3)
    assert predictor.busiest_latents(5).tolist() == [0]


def test_labels_in_a_table_of_one_column_are_labels_of_a_wrong_shape_and_no_weights(cvae_predictor, digits):
    for labels in ([[3]], np.full((2, 9), 0.1), np.full((2, 11), 0.1)):
        shape = np.shape(labels)
        said = rf"^labels have shape \({shape[0]}, {shape[1]}\); allowed is a list of one or more$"
        with pytest.raises(ValueError, match=said):
            cvae_predictor.generate(labels)
        with pytest.raises(ValueError, match=said):
            cvae_predictor.restyle(digits[0][: shape[0]], digits[1][: shape[0]], labels)
