"""Sheets of images in rows: ways through the latents, and what was drawn while learning."""

import numpy as np
import pytest

from latents.reporting import cvae
from tests.reporting.sheets import assert_pairs, texts, tiles

SHAPES = [(8, 8), (5, 7), (4, 4, 3)]


def places(figure):
    """Left edge and top of every image, as drawn from the left and from the top."""
    return np.array([(image.get_extent()[0], image.get_extent()[3]) for image in figure.axes[0].images])


def rng_images(*shape):
    return np.random.default_rng(0).random(shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_ways_between_images_stand_between_them(shape):
    paths, ends = rng_images(3, 5, *shape), 1 - rng_images(3, 2, *shape)
    figure = cvae.interpolations(paths, ends, [("a", "a"), ("b", "b"), ("a", "b")])
    rows = np.concatenate([ends[:, :1], paths, ends[:, 1:]], axis=1)
    np.testing.assert_allclose(np.stack(tiles(figure)), rows.reshape(-1, *shape))
    lefts, tops = places(figure).reshape(3, 7, 2).transpose(2, 0, 1)
    assert (np.ptp(lefts, axis=0) == 0).all()
    assert (np.ptp(tops, axis=1) == 0).all()
    across, down = np.diff(lefts[0]), np.diff(tops[:, 0])
    # The images themselves stand apart from the way, and what is within a class from what is not.
    assert across[0] > across[1] + 0.1
    assert across[-1] > across[-2] + 0.1
    np.testing.assert_allclose(across[1:-1], across[1])
    assert down[1] > down[0] + 0.1
    said = texts(figure)
    assert {"a", "b", "a → b"} <= set(said)
    assert [text for text in said if text.endswith("%")] == ["0%", "25%", "50%", "75%", "100%"]
    assert said.count("image") == 2
    figure.canvas.draw()


@pytest.mark.parametrize("shape", SHAPES)
def test_ways_between_classes_begin_and_end_at_their_names(shape):
    paths = rng_images(2, 4, *shape)
    figure = cvae.class_paths(paths, [("nil", "one"), ("one", "two")])
    np.testing.assert_allclose(np.stack(tiles(figure)), paths.reshape(-1, *shape))
    left = next(t for t in figure.axes[0].texts if t.get_text() == "nil")
    right = next(t for t in figure.axes[0].texts if t.get_text() == "two")
    lefts = places(figure)[:, 0]
    assert left.get_position()[0] < lefts.min()
    assert right.get_position()[0] > lefts.max()


@pytest.mark.parametrize("shape", SHAPES)
def test_styles_stand_beside_their_image(shape):
    originals, restyled = rng_images(2, *shape), 1 - rng_images(2, 3, *shape)
    figure = cvae.styles(originals, restyled, ["one", "two"], ["nil", "one", "a class of a long name"])
    rows = np.concatenate([originals[:, None], restyled], axis=1)
    np.testing.assert_allclose(np.stack(tiles(figure)), rows.reshape(-1, *shape))
    names = texts(figure)
    assert {"image", "nil", "one", "two"} <= set(names)
    assert any(name.startswith("a ") and name.endswith("…") for name in names)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_latents", [1, 3])
def test_traversals_have_a_panel_for_each_latent(shape, n_latents):
    grids = rng_images(n_latents, 2, 3, *shape)
    figure = cvae.traversals(
        grids, [7, 2, 5][:n_latents], [0.9, 0.5, 0.25][:n_latents], ["a", "b"], [-1.5, 0, 2]
    )
    np.testing.assert_allclose(np.stack(tiles(figure)), grids.reshape(-1, *shape))
    said = texts(figure)
    assert [text for text in said if text.startswith("latent")] == ["latent 7", "latent 2", "latent 5"][
        :n_latents
    ]
    assert said.count("\N{MINUS SIGN}1.5") == said.count("0") == said.count("+2") == n_latents
    assert said.count("a") == n_latents
    assert "variance 0.90" in said
    # No two images overlap.
    assert len(np.unique(places(figure), axis=0)) == 6 * n_latents
    figure.canvas.draw()


def test_learning_has_a_row_for_each_epoch_in_order():
    drawn = {20: rng_images(3, 4, 4), 10: 1 - rng_images(3, 4, 4)}
    figure = cvae.learning(drawn, ["a", "b", "c"], {20: -91.2345})
    np.testing.assert_allclose(np.stack(tiles(figure)), np.concatenate([drawn[10], drawn[20]]))
    said = texts(figure)
    assert said.index("epoch 10") < said.index("epoch 20")
    assert "\N{MINUS SIGN}91.23" in said
    assert {"a", "b", "c"} <= set(said)


def test_drawings_of_an_epoch_say_so():
    figure = cvae.generated_grid(np.zeros((1, 2, 3, 3)), ["a"], epoch=10)
    assert texts(figure)[0] == "Images the model generates for each class after 10 epochs"
    assert texts(cvae.generated_grid(np.zeros((1, 2, 3, 3)), ["a"], epoch=1))[0].endswith("after 1 epoch")


@pytest.mark.parametrize("count", [1, 8, 11])
def test_the_hardest_stand_above_what_is_made_of_them(count):
    originals, rebuilt = rng_images(count, 6, 4) > 0.5, rng_images(count, 6, 4)
    captions = [(f"folder/a-long-name-{i}.png", "4, taken for 9") for i in range(count)]
    bounds = -300.0 + np.arange(count)
    figure = cvae.hardest(originals, rebuilt, captions, bounds, -90.5)
    assert_pairs(figure, originals, rebuilt)
    said = texts(figure)
    assert said.count("4, taken for 9") == count
    assert sum(text.endswith(f"{i}.png") for i in range(count) for text in said) >= count
    assert f"\N{MINUS SIGN}{300 - (count - 1)}.00 nats" in said
    assert said[0].startswith("The hardest test image has a bound of \N{MINUS SIGN}300.00 nats")
    assert "\N{MINUS SIGN}90.50" in said[0]
