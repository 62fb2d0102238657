"""Pictures of a browser into the pixels of a model, and back."""

from base64 import b64decode, b64encode
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from latents.app.pictures import Frame, _framed, frame_of, read_picture, url_of, url_of_missing

PREFIX = "data:image/png;base64,"
SHAPES = [(1, 1), (3, 7), (8, 2), (1, 1, 3), (4, 5, 3)]


def url(pixels, kind="PNG"):
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return PREFIX + b64encode(file.getvalue()).decode()


def pixels_of(url):
    return np.asarray(Image.open(BytesIO(b64decode(url.removeprefix(PREFIX)))))


def ink(shape, top, left, bottom, right, value=255):
    image = np.zeros(shape, dtype=np.uint8)
    image[top:bottom, left:right] = value
    return image


@given(st.sampled_from(SHAPES).flatmap(lambda shape: arrays(np.uint8, shape)))
def test_a_picture_of_the_models_size_is_read_pixel_by_pixel(pixels):
    image = read_picture(url(pixels), pixels.shape)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, pixels / np.float32(255))


@given(
    st.sampled_from(SHAPES).flatmap(lambda shape: arrays(np.uint8, shape)),
    st.sampled_from([1.0, 16.0, 255.0, 65535.0]),
)
def test_what_is_drawn_is_read_back(pixels, white):
    image = pixels / 255 * white
    np.testing.assert_allclose(read_picture(url_of(image, white), pixels.shape) * white, image, rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_a_larger_picture_is_averaged(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 18, *shape[2:]), dtype=np.uint8)
    means = pixels.reshape(4, 5, 6, 3, -1).mean(axis=(1, 3)).reshape(shape)
    np.testing.assert_allclose(
        read_picture(url(pixels), shape) * 255, means, atol=1
    )  # rounded to greys by rows, then columns


def test_colours_and_greys_are_made_of_each_other():
    grey = np.random.default_rng(0).integers(0, 256, (4, 5), dtype=np.uint8)
    colour = np.repeat(grey[..., np.newaxis], 3, axis=2)
    np.testing.assert_array_equal(read_picture(url(grey), (4, 5, 3)), read_picture(url(colour), (4, 5, 3)))
    np.testing.assert_array_equal(read_picture(url(colour), (4, 5)), read_picture(url(grey), (4, 5)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "this is no picture that the page has drawn"),
        ("https://example.org/a.png", "this is no picture that the page has drawn"),
        ("data:image/jpeg;base64,AAAA", "this is no picture that the page has drawn"),
        (PREFIX + "A" * 2**20, "this is no picture that the page has drawn"),
        (PREFIX, "the picture cannot be read"),
        (PREFIX + "AAAA", "the picture cannot be read"),
        (PREFIX + "!!!!", "the picture cannot be read"),
        (PREFIX + "ä", "the picture cannot be read"),
        (url(ink((9, 9), 1, 1, 3, 3), "JPEG"), "the picture cannot be read"),
        (url(ink((9, 9), 1, 1, 3, 3))[:-60], "the picture cannot be read"),
        (url(np.zeros((20_000, 20_000), dtype=np.uint8)), "the picture cannot be read"),  # in half a megabyte
    ],
)
def test_what_is_no_picture_is_refused(given, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        read_picture(given, (8, 8))


@given(st.data())
def test_a_damaged_picture_is_refused_or_read(data):
    content = bytearray(b64decode(url(ink((8, 8), 2, 3, 6, 5)).removeprefix(PREFIX)))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        image = read_picture(PREFIX + b64encode(bytes(content)).decode(), (8, 8))
    except ValueError as error:
        image = error
    if isinstance(image, ValueError):
        assert str(image) == "the picture cannot be read"
    else:
        assert image.shape == (8, 8)
        assert 0 <= image.min() <= image.max() <= 1


# Where ink lies


@given(
    top=st.integers(0, 60),
    left=st.integers(0, 100),
    height=st.integers(20, 40),
    width=st.integers(20, 40),
    middle=st.tuples(st.floats(10, 18), st.floats(12, 20)),
    colours=st.sampled_from([(), (3,)]),
)
def test_ink_is_moved_and_scaled_to_where_images_have_theirs(top, left, height, width, middle, colours):
    picture = np.zeros((100, 140, *colours), dtype=np.uint8)
    picture[top : top + height, left : left + width] = 255
    image = read_picture(url(picture), (28, 32, *colours), Frame(middle, 16)).reshape(28, 32, -1)[..., 0]
    mass = image.sum()
    for axis, at in enumerate(middle):
        places = np.arange(image.shape[axis]) + 0.5
        assert (image.sum(axis=1 - axis) @ places) / mass == pytest.approx(at, abs=0.6)
    scale = 16 / max(height, width)
    assert mass == pytest.approx(height * width * scale**2, rel=0.2)


def test_a_picture_that_has_its_ink_in_place_stays_as_it_is():
    picture = ink((28, 28), 4, 8, 24, 20)
    np.testing.assert_array_equal(
        read_picture(url(picture), (28, 28), Frame((14, 14), 20)), picture / np.float32(255)
    )


def test_a_picture_without_ink_is_shown_whole():
    for value in (0, 63):
        image = read_picture(url(np.full((50, 90), value, dtype=np.uint8)), (8, 12), Frame((4, 6), 6))
        np.testing.assert_allclose(image, value / 255)


@pytest.mark.parametrize("shape", [(8, 8), (28, 28, 3), (3, 7), (500, 2)])
@pytest.mark.parametrize("size", [(2048, 1), (1, 2048), (2048, 2048)])
def test_a_long_thin_line_is_read_without_a_huge_picture(shape, size):
    line = np.zeros(size, dtype=np.uint8)
    line[:, 0] = 255
    if size[0] == 1:
        line[:] = 255
    frame = Frame((shape[0] / 2, shape[1] / 2), 1)
    assert max(_framed(Image.fromarray(line), frame, *shape[:2]).size) <= 2049
    image = read_picture(url(line), shape, frame)
    assert image.shape == shape
    assert 0 <= image.min() <= image.max() <= 1


@pytest.mark.parametrize("size", [(2049, 1), (1, 2049), (2049, 2049)])
@pytest.mark.parametrize("frame", [None, Frame((4, 4), 4)])
def test_pictures_of_more_than_2048_pixels_a_side_are_refused(size, frame):
    with pytest.raises(ValueError, match=r"^the picture cannot be read$"):
        read_picture(url(np.zeros(size, dtype=np.uint8)), (8, 8), frame)


def test_no_images_have_no_frame():
    assert frame_of(np.empty((0, 8, 8)), 1.0) is None
    assert frame_of(np.empty((0, 8, 8, 3), dtype=np.uint8), 255.0) is None


def test_missing_pixels_are_no_ink():
    images = np.stack([ink((12, 10), 2, 3, 8, 6)] * 3) / 255
    images[:, :2] = np.nan
    assert frame_of(images, 1.0) == ((5, 4.5), 6)
    assert frame_of(np.full((3, 8, 8), np.nan), 1.0) is None


@pytest.mark.parametrize("white", [1.0, 16.0, 255.0])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_the_frame_is_the_median_of_boxes(white, colours):
    boxes = [(2, 3, 8, 6), (3, 3, 9, 7), (1, 4, 8, 6)]  # top, left, bottom, right
    images = np.stack([*(ink((12, 10), *box) for box in boxes), np.zeros((12, 10), dtype=np.uint8)])
    images = images / 255 * white
    if colours:
        images = np.repeat(images[..., np.newaxis], 3, axis=3)
    frame = frame_of(images, white)
    assert frame.middle == (np.median([10, 12, 9]) / 2, np.median([9, 10, 10]) / 2)
    assert frame.side == np.median([6, 6, 7])


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((3, 8, 8)),  # no ink
        np.ones((3, 8, 8)),
        np.stack([1 - ink((8, 8), 2, 2, 5, 5, 1)] * 3),  # dark on a bright edge
        np.pad(np.ones((3, 6, 6)), ((0, 0), (1, 1), (1, 1))),  # more bright than dark
        np.random.default_rng(0).random((9, 8, 8)),
    ],
)
def test_images_that_are_of_no_ink_have_no_frame(images):
    assert frame_of(images, 1.0) is None


# Into pictures


def test_what_lies_outside_of_black_and_white_is_drawn_as_the_nearer_one():
    np.testing.assert_array_equal(pixels_of(url_of([[-3, 0, 8, 16, 99]], 16.0)), [[0, 0, 128, 255, 255]])


def test_what_is_missing_is_orange_where_too_dark_and_blue_where_too_bright():
    found = pixels_of(url_of_missing(np.array([[0.0, 16.0, -16.0, 99.0, -99.0]]), 16.0))[0]
    np.testing.assert_array_equal(found[0], [255, 255, 255])
    np.testing.assert_array_equal(found[1], found[3])
    np.testing.assert_array_equal(found[2], found[4])
    (red, _, blue), (other_red, _, other_blue) = found[1].astype(int), found[2].astype(int)
    assert red > blue
    assert other_blue > other_red


@given(arrays(np.float64, (4, 5), elements=st.floats(-1, 1)))
def test_the_more_is_missing_the_further_a_pixel_is_from_white(difference):
    far = 255.0 - pixels_of(url_of_missing(difference, 1.0)).min(axis=2)
    for of_sign in (difference >= 0, difference <= 0):
        order = np.argsort(np.abs(difference[of_sign]))
        assert (np.diff(far[of_sign][order]) >= 0).all()
    colours = difference[..., np.newaxis] + np.array([-0.1, 0, 0.1])  # of the same mean
    np.testing.assert_allclose(
        pixels_of(url_of_missing(colours, 1.0)).astype(float),
        pixels_of(url_of_missing(difference, 1.0)),
        atol=1,
    )
