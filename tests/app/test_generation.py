"""What a page draws by class is what the VAE draws."""

import numpy as np
import pytest

from latents.app.generation import FARTHEST, Generation
from latents.app.images import Gallery
from latents.app.pictures import frame_of
from latents.estimators import ConditionalVAE
from latents.predictors import CVAEPredictor

STILL = {"seed": 3, "temperature": 0.0, "moved": {}}
LIVELY = {"seed": 3, "temperature": 1.0, "moved": {0: 0.5, 2: -2.0}}


def of_classes(labels, shape, white, **parameters):
    images = np.random.default_rng(0).random((len(labels), *shape))
    model = ConditionalVAE(
        n_latents=2, hidden=(4, 4), epochs=1, compiled=False, random_state=0, **parameters
    ).fit(images.reshape(len(labels), -1), np.array(labels))
    return Generation(CVAEPredictor(model, shape, white), Gallery(white * images, white * images, None))


@pytest.fixture(scope="module")
def generation(cvae_predictor, digits):
    return Generation(cvae_predictor, Gallery(digits[0][:200], digits[0][200:], digits[1][200:]))


def test_images_are_drawn_by_the_noise_of_their_seed(generation, cvae_predictor):
    noise = np.random.RandomState(3).standard_normal((5, 4))
    noise[:, 0] += 0.5
    noise[:, 2] -= 2
    drawn = generation.draw(8, 5, **LIVELY)
    np.testing.assert_array_equal(drawn, cvae_predictor.generate([8] * 5, noise=noise))
    np.testing.assert_allclose(drawn[:2], generation.draw(8, 2, **LIVELY), atol=1e-4)
    assert np.abs(drawn - generation.draw(8, 5, **{**LIVELY, "seed": 4})).max() > 0.1


def test_without_temperature_all_images_are_the_mean_of_their_class(generation, cvae_predictor):
    drawn = generation.draw(3, 4, **STILL)
    np.testing.assert_allclose(drawn, cvae_predictor.generate([3] * 4, noise=np.zeros((4, 4))), atol=1e-5)
    np.testing.assert_array_equal(drawn, generation.draw(3, 4, **{**STILL, "seed": 99}))
    half = generation.draw(3, 6, **{**LIVELY, "temperature": 0.5, "moved": {}})
    noise = np.random.RandomState(3).standard_normal((6, 4)) / 2
    np.testing.assert_array_equal(half, cvae_predictor.generate([3] * 6, noise=noise))


def test_a_way_leads_from_a_class_to_another_with_one_style(generation):
    way = generation.way(3, 8, 7, **LIVELY)
    assert way.shape == (7, 8, 8)
    np.testing.assert_allclose(way[0], generation.draw(3, 1, **LIVELY)[0], atol=1e-4)
    np.testing.assert_allclose(way[-1], generation.draw(8, 1, **LIVELY)[0], atol=1e-4)
    back = generation.way(8, 3, 7, **LIVELY)
    np.testing.assert_allclose(way, back[::-1], atol=1e-4)
    assert np.abs(np.diff(way, axis=0)).max(axis=(1, 2)).min() > 0.01
    np.testing.assert_allclose(generation.way(3, 3, 4, **LIVELY), np.repeat(way[:1], 4, axis=0), atol=1e-4)


def test_the_ends_are_the_first_image_with_one_latent_moved(generation):
    ends = generation.ends(5, **LIVELY)
    assert ends.shape == (4, 2, 8, 8)
    assert sorted(generation.busiest) == [0, 1, 2, 3]
    for place, latent in enumerate(generation.busiest):
        for end, by in enumerate((-FARTHEST, FARTHEST)):
            moved = {**LIVELY["moved"], latent: by}
            drawn = generation.draw(5, 3, **{**LIVELY, "moved": moved})[0]
            np.testing.assert_allclose(ends[place, end], drawn, atol=1e-4)


def test_an_image_is_read_and_its_style_is_given_to_all_classes(generation, cvae_predictor, digits):
    image = digits[0][250]
    hand = generation.read(image)
    table = cvae_predictor.predict(image[np.newaxis], n_importance_samples=50)
    np.testing.assert_allclose(hand.shares, table.filter(like="p_").to_numpy()[0])
    assert hand.shares.sum() == pytest.approx(1)
    assert hand.lower_bound == pytest.approx(table["lower_bound"].item())
    own = table["predicted"].item()
    np.testing.assert_allclose(
        hand.styled[own], cvae_predictor.reconstruct(image[np.newaxis], [own])[0], atol=1e-4
    )
    for label in range(10):
        restyled = cvae_predictor.restyle(image[np.newaxis], [own], [label])[0]
        np.testing.assert_allclose(hand.styled[label], restyled, atol=1e-4)


@pytest.mark.parametrize(
    "labels", [["cat", "1"], [0.0, 2.0], [False, True], ["", "nan"], ["1.0", "x"], ["p_a", "predicted"]]
)
def test_classes_of_any_kind_are_drawn_and_read(labels):
    generation = of_classes(labels * 5, (3, 5), 255.0)
    assert generation.classes == sorted(labels)
    for label in generation.classes:
        assert generation.draw(label, 2, **STILL).shape == (2, 3, 5)
        assert generation.ends(label, **STILL).shape == (2, 2, 3, 5)
    first, last = generation.classes
    np.testing.assert_allclose(
        generation.way(first, last, 3, **STILL)[-1], generation.draw(last, 1, **STILL)[0], atol=1e-3
    )
    hand = generation.read(generation.gallery.test[0])
    assert hand.shares.shape == (2,)
    assert hand.styled.shape == (2, 3, 5)


@pytest.mark.parametrize("likelihood", ["gaussian", "discretised"])
def test_images_of_colours_are_drawn_in_units_of_their_white(likelihood):
    generation = of_classes([0, 1] * 5, (2, 3, 3), 255.0, likelihood=likelihood, image_shape=(2, 3, 3))
    drawn = generation.draw(1, 4, **{**STILL, "temperature": 1.0})
    assert drawn.shape == (4, 2, 3, 3)
    assert drawn.max() > 1
    assert generation.ends(0, **STILL).shape == (2, 2, 2, 3, 3)
    assert generation.read(generation.gallery.test[0]).styled.shape == (2, 2, 3, 3)


def test_what_no_model_has_is_refused(generation, digits):
    with pytest.raises(ValueError, match="label 0 is 'ten', no class of the model"):
        generation.draw("ten", 2, **STILL)
    with pytest.raises(ValueError, match=r"pixel \d+ of image 0 is .*; allowed are 0 to 16"):
        generation.read(2 * digits[0][0])
    with pytest.raises(ValueError, match="noise contains infinity"):
        generation.draw(3, 2, **{**STILL, "moved": {0: np.inf}})


def test_ink_is_sought_in_the_training_images(cvae_predictor, generation):
    assert Generation(cvae_predictor).frame is None
    assert generation.frame == frame_of(generation.gallery.training, 16.0)
    ink = np.zeros((5, 8, 8))
    ink[:, 1:6, 3:5] = 16
    assert Generation(cvae_predictor, Gallery(ink, ink, None)).frame == ((3.5, 4), 5)


def test_warming_up_changes_no_answer(cvae_predictor, generation):
    warm = Generation(cvae_predictor)
    warm.warm_up()
    np.testing.assert_array_equal(warm.draw(2, 3, **LIVELY), generation.draw(2, 3, **LIVELY))
