"""What is on a sheet of pictures, in the order in which it was drawn."""

import numpy as np


def tiles(figure):
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def assert_pairs(figure, originals, rebuilt):
    """Every image stands above what is made of it."""
    pictures = figure.axes[0].images
    assert len(pictures) == 2 * len(originals)
    for i, (above, below) in enumerate(zip(pictures[::2], pictures[1::2], strict=True)):
        np.testing.assert_array_equal(above.get_array(), originals[i])
        np.testing.assert_array_equal(below.get_array(), rebuilt[i])
        assert above.get_extent()[:2] == below.get_extent()[:2]
        assert above.get_extent()[2] < below.get_extent()[3]
