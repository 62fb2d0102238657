"""What a page says of images that are rebuilt, held against the reconstructions themselves."""

import numpy as np
import pytest

from latents.app.images import Gallery, Images
from latents.app.pictures import frame_of
from latents.estimators import MinimumErrorPCA
from latents.predictors import PCAPredictor


def of_images(images, n_components=4, **parameters):
    model = MinimumErrorPCA(n_components, **parameters).fit(images.reshape(len(images), -1))
    return PCAPredictor(model, shape=images.shape[1:])


@pytest.fixture(scope="module")
def gallery(digits):
    images, labels = digits
    return Gallery(images[:200], images[200:], labels[200:])


@pytest.fixture(scope="module")
def shown(pca_predictor, gallery):
    return Images(pca_predictor, gallery)


def errors(predictor, images, n_components):
    rebuilt = predictor.reconstruct(images, n_components=n_components)
    return ((images - rebuilt) ** 2).reshape(len(images), -1).sum(axis=1)


@pytest.mark.parametrize("n_components", range(5))
def test_an_image_is_rebuilt_with_the_error_of_its_curve(shown, pca_predictor, gallery, n_components):
    image = gallery.training[7]
    found = shown.rebuild(image, n_components)
    np.testing.assert_array_equal(found.image, image)
    np.testing.assert_allclose(
        found.rebuilt,
        pca_predictor.reconstruct(image[np.newaxis], n_components=n_components)[0],
        atol=1e-5,
    )
    assert found.curve.shape == (5,)
    assert found.curve[n_components] == pytest.approx(((image - found.rebuilt) ** 2).sum(), rel=1e-5)
    own = errors(pca_predictor, image[np.newaxis], n_components)
    assert found.stranger_than == (errors(pca_predictor, gallery.test, n_components) < own).mean()


@pytest.mark.parametrize("n_components", range(1, 5))
def test_the_nearest_images_are_those_of_the_nearest_reconstructions(
    shown, pca_predictor, gallery, n_components
):
    image = gallery.test[3]
    rebuilt = pca_predictor.reconstruct(image[np.newaxis], n_components=n_components)
    others = pca_predictor.reconstruct(gallery.training, n_components=n_components)
    distances = np.linalg.norm((others - rebuilt).reshape(len(others), -1), axis=1)
    found = shown.rebuild(image, n_components).nearest
    assert len(set(found.tolist())) == 8
    np.testing.assert_allclose(distances[found], np.sort(distances)[:8], rtol=1e-4)
    assert shown.rebuild(gallery.training[11], n_components).nearest[0] == 11


def test_of_no_number_the_mean_image_is_made_and_none_is_nearest(shown):
    found = shown.rebuild(np.zeros((8, 8)), 0)
    np.testing.assert_allclose(found.rebuilt.ravel(), shown.predictor.model.mean_)
    assert found.nearest.size == 0


def test_few_training_images_are_all_near(pca_predictor, gallery):
    few = Images(pca_predictor, gallery._replace(training=gallery.training[:3]))
    assert sorted(few.rebuild(gallery.test[0], 4).nearest) == [0, 1, 2]


def test_without_a_gallery_an_image_is_rebuilt_and_held_against_none(pca_predictor, digits):
    shown = Images(pca_predictor)
    found = shown.rebuild(digits[0][0], 2)
    assert (found.stranger_than, found.nearest.size, shown.frame) == (None, 0, None)
    assert found.curve[2] == pytest.approx(errors(pca_predictor, digits[0][:1], 2)[0])


@pytest.mark.parametrize("n_components", [-1, 5])
def test_numbers_that_the_model_does_not_have_are_refused(shown, n_components):
    with pytest.raises(ValueError, match=f"n_components is {n_components}; allowed are 0 to 4"):
        shown.rebuild(np.zeros((8, 8)), n_components)


@pytest.mark.parametrize("shape", [(3, 5), (4, 2, 3)])
@pytest.mark.parametrize("whiten", [False, True])
def test_images_of_any_shape_and_colours(shape, whiten):
    images = 255 * np.random.default_rng(0).random((30, *shape))
    predictor = of_images(images, whiten=whiten)
    shown = Images(predictor, Gallery(images[:20], images[20:], None))
    found = shown.rebuild(images[25], 2)
    assert (shown.shape, shown.n_components, found.rebuilt.shape) == (shape, 4, shape)
    assert found.curve[2] == pytest.approx(((images[25] - found.rebuilt) ** 2).sum())
    assert (np.diff(found.curve) <= 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_of_whole_numbers_are_rebuilt_as_they_are_in_floats(dtype):
    images = np.random.default_rng(0).integers(0, 256, (30, 3, 4)).astype(dtype)
    predictor = of_images(images.astype(np.float64))
    found = Images(predictor, Gallery(images[:20], images[20:], None)).rebuild(images[25], 3)
    expected = Images(predictor).rebuild(images[25].astype(np.float64), 3)
    np.testing.assert_allclose(found.rebuilt, expected.rebuilt, rtol=1e-4)
    np.testing.assert_allclose(found.curve, expected.curve, rtol=1e-4)


@pytest.mark.parametrize(("brightest", "white"), [(0.9, 1), (1.5, 16), (16, 16), (100, 255), (300, 65535)])
def test_white_is_the_brightest_of_the_run_or_the_least_usual_value_above_the_mean(brightest, white):
    images = np.random.default_rng(0).random((10, 2, 3))
    images[:, 0, 0] = 1
    images *= brightest
    predictor = of_images(images, 2)
    assert Images(predictor).white == white
    assert Images(predictor, Gallery(images, images, None)).white == brightest
    assert Images(predictor, Gallery(0 * images, images, None)).white == 1  # or nothing could be drawn


def test_ink_is_sought_in_the_training_images(pca_predictor, gallery):
    ink = np.zeros((5, 8, 8))
    ink[:, 2:6, 3:5] = 16
    shown = Images(pca_predictor, Gallery(ink, gallery.test, None))
    assert shown.frame == frame_of(ink, 16.0) == ((4, 4), 4)


def test_warming_up_changes_no_answer(pca_predictor, gallery, shown):
    warm = Images(pca_predictor, gallery)
    warm.warm_up()
    found, expected = warm.rebuild(gallery.test[0], 3), shown.rebuild(gallery.test[0], 3)
    np.testing.assert_array_equal(found.nearest, expected.nearest)
    assert found.stranger_than == expected.stranger_than


def test_a_model_of_features_has_no_images(feature_predictor):
    with pytest.raises(ValueError, match="the model reads rows of numbers, and no images"):
        _ = Images(feature_predictor[0]).shape


def test_training_images_that_lack_pixels_have_a_white_and_a_frame():
    rng = np.random.default_rng(0)
    images = np.zeros((40, 6, 7))
    images[:, 1:5, 2:4] = rng.uniform(8, 16, (40, 4, 2))
    images[rng.random(images.shape) < 0.1] = np.nan
    shown = Images(of_images(images, 2, missing="em"), Gallery(images[:30], images[30:], None))
    assert shown.white == np.nanmax(images[:30])
    assert shown.frame == ((3, 3), 4)
    shown.warm_up()
    found = shown.rebuild(images[35], 2)
    assert np.isfinite(found.rebuilt).all()
    assert np.isfinite(found.curve).all()
    assert 0 <= found.stranger_than < 1
    assert len(found.nearest) == 8


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("kind", ["whole numbers", "fractions", "far from 0", "in the plane"])
def test_a_test_image_is_never_stranger_than_itself(kind, whiten):
    rng = np.random.default_rng(0)
    images = {
        "whole numbers": rng.integers(0, 256, (60, 4, 5)).astype(np.uint8),
        "fractions": 255 * rng.random((60, 4, 5)),
        "far from 0": 1e5 + rng.random((60, 4, 5)),
        "in the plane": (rng.random((60, 3)) @ rng.random((3, 20))).reshape(60, 4, 5),
    }[kind]
    predictor = of_images(images[:40].astype(np.float64), 3, whiten=whiten)
    for row in range(40, 60, 4):
        alone = Images(predictor, Gallery(images[:40], images[row : row + 1], None))
        assert [alone.rebuild(images[row], d).stranger_than for d in range(4)] == [0] * 4
