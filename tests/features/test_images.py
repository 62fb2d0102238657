"""Images are checked, and scaled, alike in training and afterwards."""

import numpy as np
import pytest

from latents.features import images as module
from latents.features.images import ScaledRows, check_white, image_array, images_of_shape, scale_to_white


def test_one_image_is_enough():
    assert images_of_shape(np.ones((1, 2, 3)), (2, 3)).shape == (1, 6)
    assert images_of_shape([np.ones((2, 3, 1))], (2, 3)).shape == (1, 6)
    assert images_of_shape(np.ones((4, 2, 3, 3)), (2, 3, 3)).shape == (4, 18)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "there is no image"),
        (np.ones((0, 2, 3)), "there is no image"),
        (np.ones((2, 3)), r"images have shape \(3,\); allowed are \(height, width\)"),
        (np.ones((1, 3, 2)), r"images have shape \(3, 2\); the model was trained on images of \(2, 3\)"),
        ([np.ones((2, 3)), np.ones((3, 3))], r"image 1 has shape \(3, 3\), image 0 has \(2, 3\)"),
        (np.full((1, 2, 3), "a"), "pixels are of type <U1"),
        ([[[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5]]], "image 1 has lines of different lengths"),
        (None, "images are None; allowed is an array of images, or a list of them"),
        (5, "images are 5; allowed"),
        (np.array(5), r"images are array\(5\); allowed"),
    ],
)
def test_other_shapes_and_types_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        images_of_shape(given, (2, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused_by_image_and_place(value, monkeypatch):
    monkeypatch.setattr(module, "_PIECE", 64)
    images = np.ones((9, 2, 3))
    images[7, 1, 2] = value
    with pytest.raises(ValueError, match=rf"image 7 has {value} at \(1, 2\); allowed are finite numbers"):
        images_of_shape(images, (2, 3))


def test_an_array_is_not_copied():
    images = np.ones((3, 2, 2), dtype=np.uint8)
    assert image_array(images) is images
    assert np.shares_memory(images_of_shape(images, (2, 2)), images)


def test_grey_values_are_scaled_to_white(caplog):
    scaled = scale_to_white(np.array([[0, 8, 16]], dtype=np.uint8), 16.0)
    np.testing.assert_array_equal(scaled, np.array([[0, 0.5, 1]], dtype=np.float32))
    assert scaled.dtype == np.float32
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("brightest", "white", "other", "factor"),
    [(1.0, 255.0, 1, 255), (0.3, 16.0, 1, 16), (200, 65535.0, 255, 257)],
)
def test_new_images_of_another_white_are_told(caplog, brightest, white, other, factor):
    scale_to_white(np.array([[0.0, brightest]]), white)
    said = f"no pixel is above {brightest:g}, where the model was trained on images whose white is {white:g}"
    assert f"{said}: where that of these is {other}, multiply them by {factor}" in caplog.text


@pytest.mark.parametrize(("brightest", "white"), [(0.0, 255.0), (10.0, 255.0), (0.1, 1.0), (3.0, 16.0)])
def test_of_new_images_that_are_dark_nothing_is_said(caplog, brightest, white):
    scale_to_white(np.array([[0.0, brightest]]), white)
    assert caplog.text == ""


@pytest.mark.parametrize("value", [-0.1, 16.1])
def test_grey_values_outside_are_refused(value):
    with pytest.raises(ValueError, match=rf"pixel 1 of image 2 is {value}; allowed are 0 to 16.0"):
        scale_to_white(np.array([[0, 1], [2, 3], [4, value]]), 16.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("white", [1.0, 16.0, 255.0])
def test_rows_are_scaled_to_the_same_bits_however_they_are_read(dtype, white):
    X = np.random.default_rng(0).integers(0, int(white) + 1, (40, 7)).astype(dtype)
    expected = (X / white).astype(np.float32)
    rows = ScaledRows(X, white)
    assert (rows.shape, len(rows), rows.dtype) == ((40, 7), 40, np.float32)
    np.testing.assert_array_equal(scale_to_white(X, white), expected)
    np.testing.assert_array_equal(rows[3:9], expected[3:9])
    np.testing.assert_array_equal(rows[np.array([8, 2])], expected[[8, 2]])


def test_what_lies_outside_is_named_by_its_image_whichever_piece_it_is_in(monkeypatch):
    monkeypatch.setattr(module, "_PIECE", 5 * 4)
    X = np.full((40, 5), 3, dtype=np.int32)
    X[31, 2], X[36, 1] = 17, -4
    said = r"pixel 2 of image 31 is 17; allowed are 0 to 16.0 \(of all the darkest is -4, the brightest 17\)"
    with pytest.raises(ValueError, match=said):
        check_white(X, 16.0)
    check_white(X[:31], 16.0)
