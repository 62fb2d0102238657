"""The picture of rows that lacked numbers."""

import numpy as np
import pytest

from latents.reporting import images
from latents.reporting.pca import imputed_images, imputed_rows, rebuilt_images
from tests.reporting.sheets import texts, tiles


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_missing_pixels_are_marked_and_filled_below(shape):
    full = np.random.default_rng(0).uniform(0, 255, (3, *shape))
    given = full.copy()
    given[1, 2, 3] = np.nan
    figure = imputed_images(given, full, ["a", "b", "c"])
    pictures = tiles(figure)
    above, below = pictures[::2], pictures[1::2]
    assert all(np.isfinite(picture).all() for picture in pictures)
    red, green, blue = above[1][2, 3]
    assert red > green > blue
    is_grey = (above[0] == above[0][..., :1]).all()
    assert is_grey == (len(shape) == 2)
    if len(shape) == 2:
        np.testing.assert_array_equal(below[1], full[1])
    assert {"a", "b", "c", "given", "expected"} <= set(texts(figure))


def test_rebuilt_images_show_what_they_lacked():
    given = np.arange(12.0).reshape(1, 3, 4)
    full, given[0, 1, 2] = given + 1, np.nan
    original, rebuilt, difference = tiles(rebuilt_images(given, full, [3.0], [("a", "")], 2))
    assert np.argwhere((original == images.MARK).all(axis=2)).tolist() == [[1, 2]]
    np.testing.assert_array_equal(rebuilt, full[0])
    assert difference[1, 2] == 0
    assert (np.delete(difference.ravel(), 6) == -1).all()


def test_features_that_lack_most_are_listed_and_marked():
    full = np.arange(60.0).reshape(4, 15)
    given = full.copy()
    given[[0, 2], 14] = given[1, 3] = np.nan
    figure = imputed_rows(given, full, [f"row {i}" for i in range(4)], [f"f{j}" for j in range(15)])
    said = texts(figure)
    assert {"row 0", "row 3", "f3", "f14", "14", "44"} <= set(said)
    assert sum(name.startswith("f") and name[1:].isdigit() for name in said) == 10
    (cells,) = [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]
    marked = (cells < 1).any(axis=2)
    assert marked.sum() == 3
    assert marked[0, -1]
    assert marked[2, -1]


def test_lengths_have_to_agree():
    with pytest.raises(ValueError, match="names"):
        imputed_images(np.zeros((2, 3, 3)), np.zeros((2, 3, 3)), ["a"])
    with pytest.raises(ValueError, match="features"):
        imputed_rows(np.zeros((2, 3)), np.zeros((2, 3)), ["a", "b"], ["c"])
