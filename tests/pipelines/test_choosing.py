"""What is fitted where parameters say ``auto``."""

import logging

import numpy as np
import pytest
from sklearn.datasets import load_digits

from latents.estimators import ConditionalVAE
from latents.features.images import ScaledRows, check_white
from latents.pipelines.cvae import nodes
from latents.pipelines.cvae.choosing import choose, settled
from latents.pipelines.cvae.parameters import FeaturesParameters, FitParameters
from latents.pipelines.shared import SplitParameters
from tests.pipelines.test_cvae_pictures import FIT, made_up

AUTO = dict.fromkeys(("likelihood", "n_latents", "hidden", "epochs", "batch_size"), "auto")
LADDER = FIT | {"network": "ladder"}


def chosen(data, **asked):
    images = nodes.ingest(data)
    pixels = nodes.scale_pixels(images, FeaturesParameters(white="auto"))
    split = SplitParameters(held_out_fraction=0.2, random_state=0)
    return nodes.split(pixels, images, split, FitParameters(**LADDER | AUTO | asked))[1]


def labelled(n, n_classes=10):
    return np.arange(n) % n_classes


def test_the_digits_are_ink_and_few(caplog):
    digits = load_digits()
    with caplog.at_level(logging.INFO):
        found = chosen({"images": digits.images, "labels": digits.target})
    assert found == {
        "likelihood": "bernoulli",
        "n_latents": 12,
        "hidden": [128, 128, 128],
        "epochs": 100,
        "batch_size": 128,
    }
    assert "1438 ink images of 8 x 8, 133 to 150 of each of 10 classes: bernoulli pixels" in caplog.text
    assert "white is 16" in caplog.text


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_grey_and_coloured_pictures_have_discretised_pixels(shape):
    images = np.random.default_rng(0).integers(0, 256, (90, *shape), dtype=np.uint8)
    assert chosen(made_up() | {"images": images})["likelihood"] == "discretised"


def test_colours_are_never_ink():
    images = np.random.default_rng(0).integers(0, 2, (90, 6, 5, 3), dtype=np.uint8) * 255
    assert chosen(made_up() | {"images": images})["likelihood"] == "discretised"
    assert chosen(made_up() | {"images": images[..., 0]})["likelihood"] == "bernoulli"


@pytest.mark.parametrize(
    "asked",
    [
        {"likelihood": "gaussian", "n_latents": 5, "hidden": [7, 7], "epochs": 3, "batch_size": 9},
        {"likelihood": "bernoulli"},
        {"n_latents": 2},
        {"hidden": [9] * 5},
        {"network": "reference"},
        {"network": "reference", "hidden": []},
    ],
)
def test_what_is_asked_for_stays_and_the_rest_goes_with_it(asked):
    found = chosen(made_up(), **asked)
    assert {name: found[name] for name in found if name in asked} == {
        name: value for name, value in asked.items() if name in found
    }
    model = ConditionalVAE(**{**found, "epochs": 1, "network": asked.get("network", "ladder")})
    images = nodes.ingest(made_up())
    model.fit(images["images"].reshape(90, -1) / 255, images["labels"])
    assert np.isfinite(model.score([[0.5] * 30], ["bar"]))


def test_of_an_earlier_choice_only_what_is_auto_is_taken():
    choice = {"likelihood": "bernoulli", "n_latents": 12, "hidden": [128], "epochs": 100, "batch_size": 64}
    asked = {"epochs": 3, "batch_size": "auto", "precision": "auto", "random_state": 0}
    assert settled(asked, choice) == {**asked, "batch_size": 64}


@pytest.mark.parametrize(
    ("n_images", "hidden", "n_latents", "epochs", "batch_size"),
    [
        (6, [128] * 3, 12, 300, 16),
        (400, [128] * 3, 12, 155, 32),
        (10_000, [192] * 4, 24, 50, 256),
        (60_000, [288] * 6, 48, 30, 256),
        (3_000_000, [288] * 6, 48, 20, 256),
    ],
)
def test_more_images_bear_a_larger_network_and_fewer_passes(n_images, hidden, n_latents, epochs, batch_size):
    found = choose((28, 28), 0.1, labelled(n_images), FitParameters(**LADDER | AUTO))
    assert found == {
        "likelihood": "bernoulli",
        "hidden": hidden,
        "n_latents": n_latents,
        "epochs": epochs,
        "batch_size": batch_size,
    }


def test_classes_of_few_images_are_named(caplog):
    data = made_up()
    data["labels"] = np.where(np.arange(90) < 5, "rare", data["labels"])
    chosen(data)
    assert "of 'rare' there are fewer than 10 images" in caplog.text
    caplog.clear()
    chosen(made_up())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("images", "white"),
    [
        (np.array([[0, 1]], np.uint8), 1),
        (np.array([[False, True]]), 1),
        (np.array([[0.0, 0.7]]), 1),
        (np.array([[0.0, 16.0]]), 16),
        (np.array([[0.0, 15.5]]), 255),
        (np.array([[0, 17]], np.uint8), 255),
        (np.array([[0.0, 254.5]], np.float32), 255),
        (np.array([[0, 4000]], np.uint16), 65535),
        (np.array([[0, 4000]], np.float16), 65535),
    ],
)
def test_white_is_told_by_the_brightest_pixel(images, white):
    assert check_white(images) == white
    scaled = ScaledRows(images, white)[:]
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, images.astype(float) / white, rtol=1e-6)


def test_a_white_that_is_not_known_is_asked_for():
    images = {"images": np.full((2, 3, 3), 1e6), "labels": np.array([0, 1])}
    with pytest.raises(ValueError, match=r"1e\+06, above 65535.*parameter cvae.features.white"):
        nodes.scale_pixels(images, FeaturesParameters(white="auto"))
    assert nodes.scale_pixels(images, FeaturesParameters(white=1e6))["white"] == 1e6
