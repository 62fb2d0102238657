"""Drawings of models of which it is known what they draw: copies, other classes, or new images of their own."""

import numpy as np
import pytest

from latents import estimators
from latents.pipelines.cvae import judging
from latents.pipelines.images import evenly
from tests.pipelines import test_cvae_pictures
from tests.pipelines.test_cvae_pictures import EVALUATE, Watching, run
from tests.pipelines.test_cvae_pictures import made_up as made_up_images

CLASSES = np.array(["bar", "frame"])
N_LATENTS = 2


class Drawing:
    """A model that draws what a function of class and state has it draw."""

    def __init__(self, draw, classes=CLASSES, shares=(0.25, 0.75), likelihood="gaussian"):
        self.classes_, self.class_prior_, self.likelihood = classes, np.array(shares), likelihood
        self.draw, self.asked = draw, []

    def sample(self, y, *, pixels, random_state, noise=None):
        assert noise is None or noise.shape == (len(y), N_LATENTS)
        state = np.random.RandomState(random_state) if isinstance(random_state, int) else random_state
        self.asked.append((y, pixels))
        return np.array([self.draw(label, state) for label in y], np.float32)


def new_image(label, state):
    """Eight pixels of noise, and one side of it bright."""
    image = state.uniform(0, 0.6, 8)
    image[:4] += 0.4 * (label == "bar")
    image[4:] += 0.4 * (label == "frame")
    return image


def made_up(n=400, n_test=200, seed=5):
    """Training and test images, a quarter of the first class."""
    state = np.random.RandomState(seed)
    y = np.where(np.arange(n + n_test) % 4 == 0, "bar", "frame")
    X = np.array([new_image(label, state) for label in y], np.float32)
    split = {"train": np.arange(n), "held_out": np.arange(n, n + n_test)}
    test = {"X": X[n:], "y": y[n:], "rows": split["held_out"]}
    return {"X": X, "y": y}, split, test


def judged(draw, tmp_path, data=None, **model):
    params = EVALUATE.model_copy(update={"n_drawn": 200, "n_classifier_steps": 400})
    monitor = Watching(tmp_path)
    drawing = Drawing(draw, **model)
    noise = np.zeros((len(drawing.classes_), params.n_generated, N_LATENTS))
    metrics, drawings = judging.judge(drawing, *(data or made_up()), noise, params, monitor)
    return metrics, drawings, drawing, monitor


def test_drawings_like_real_images_are_recognised_and_no_copies(tmp_path):
    metrics, drawings, model, monitor = judged(new_image, tmp_path)
    assert metrics["accuracy_classifier"] > 0.9
    # Five standard errors of the difference of two shares of 200.
    allowed = 5 * np.sqrt(2 * 0.1 * 0.9 / 200)
    assert metrics["accuracy_drawn"] == pytest.approx(metrics["accuracy_classifier"], abs=allowed)
    assert metrics["nearest_distance_ratio"] == pytest.approx(1, abs=0.1)
    assert metrics["nearest_distance_ratio_copies"] == 0
    assert metrics["n_drawn"] == 200 == len(drawings["distances"])
    # Classes as frequent as in training, and whole draws, not means.
    assert np.sum(drawings["labels"] == "bar") == 50
    assert {pixels for _, pixels in model.asked} == {"drawn"}
    assert {task for task, *_ in monitor.told} == {"nearest training images", "classifier of real images"}
    again = judged(new_image, tmp_path)
    assert again[0] == metrics


def test_training_images_drawn_are_copies(tmp_path):
    pixels, split, test = made_up()
    of_class = {label: np.flatnonzero(pixels["y"][split["train"]] == label) for label in CLASSES}

    def copy(label, state):
        return pixels["X"][state.choice(of_class[label])]

    metrics, drawings, *_ = judged(copy, tmp_path, (pixels, split, test))
    assert not drawings["distances"].any()
    assert metrics["nearest_distance_ratio"] == 0
    np.testing.assert_array_equal(drawings["images"], drawings["nearest"])
    assert (drawings["nearest_labels"] == drawings["classes"][:, np.newaxis]).all()
    assert metrics["accuracy_drawn"] > 0.9
    # Of 200 three in ten are copies, give or take five standard errors.
    mixed, drawings, *_ = judged(
        lambda label, state: copy(label, state) if state.uniform() < 0.3 else new_image(label, state),
        tmp_path,
        (pixels, split, test),
    )
    assert np.sum(drawings["distances"] == 0) == pytest.approx(60, abs=5 * np.sqrt(200 * 0.3 * 0.7))
    assert 0 < mixed["nearest_distance_ratio"] < 0.95


def test_drawings_of_the_other_class_are_not_recognised(tmp_path):
    metrics, drawings, *_ = judged(
        lambda label, state: new_image("frame" if label == "bar" else "bar", state), tmp_path
    )
    assert metrics["accuracy_drawn"] < 0.1
    assert metrics["accuracy_classifier"] > 0.9
    assert (drawings["nearest_labels"] != drawings["classes"][:, np.newaxis]).mean() > 0.5


def test_binary_drawings_are_held_against_images_in_their_form(tmp_path, monkeypatch):
    pixels, split, test = made_up()
    seen = []
    fit = judging._Classifier

    class Looking(fit):
        def __call__(self, images):
            seen.append(np.unique(images).tolist())
            return super().__call__(images)

    monkeypatch.setattr(judging, "_Classifier", Looking)
    binary = test | {"X": estimators.binarise(test["X"], 0)}
    metrics, drawings, *_ = judged(
        lambda label, state: state.uniform(size=8) < new_image(label, state),
        tmp_path,
        (pixels, split, binary),
        likelihood="bernoulli",
    )
    assert seen == [[0, 1], [0, 1]]
    assert metrics["nearest_distance_ratio"] == pytest.approx(1, abs=0.1)
    trained_on = pixels["X"][split["train"]]
    copies = estimators.binarise(trained_on[evenly(400, 200)], EVALUATE.random_state)
    for name, images in (("test_distances", binary["X"]), ("copy_distances", copies)):
        distances = np.linalg.norm(images[:, np.newaxis] - trained_on, axis=2)
        np.testing.assert_allclose(drawings[name], distances.min(axis=1), atol=1e-5)


def test_one_class_has_no_classifier_and_test_images_that_are_trained_on_no_ratio(tmp_path, caplog):
    pixels, split, test = made_up()
    pixels["y"][:] = test["y"][:] = "bar"
    pixels["X"][split["held_out"]] = test["X"] = pixels["X"][:200]
    metrics, drawings, *_ = judged(
        new_image, tmp_path, (pixels, split, test), classes=CLASSES[:1], shares=(1.0,)
    )
    assert metrics == {"n_drawn": 200}
    assert not drawings["test_distances"].any()
    assert "taken_for" not in drawings
    assert "copying is not measured" in caplog.text
    assert "no classifier" in caplog.text


def test_classes_are_drawn_as_often_as_they_are_trained_on():
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    model = Drawing(None, np.arange(4), shares)
    found = judging.in_proportion(model, 1000)
    assert np.bincount(found).tolist() == [500, 300, 150, 50]
    assert (
        judging.in_proportion(Drawing(None, np.arange(3), [1 / 3] * 3), 10).tolist()
        == [0] * 3 + [1] * 4 + [2] * 3
    )


@pytest.mark.parametrize("spatial", [[], [3]])
def test_of_many_classes_only_those_shown_are_drawn_again_and_as_the_figure_of_all_has_them(
    tmp_path, monkeypatch, spatial
):
    sample, asked = estimators.ConditionalVAE.sample, []

    def looking(model, y, **how):
        asked.append((np.asarray(y), how))
        return sample(model, y, **how)

    monkeypatch.setattr(estimators.ConditionalVAE, "sample", looking)
    params = EVALUATE.model_copy(update={"n_nearest_classes": 2, "n_drawn": 7})
    monkeypatch.setattr(test_cvae_pictures, "EVALUATE", params)
    outcome = run(tmp_path, made_up_images(), network="ladder", spatial=spatial, epochs=1)
    classes = outcome.results["drawings"]["classes"]
    *_, (some, how), (all_of_them, usual) = asked
    assert 2 == len(classes) < len(outcome.model.classes_)
    assert how["pixels"] == "drawn"
    np.testing.assert_array_equal(some, np.repeat(classes, params.n_generated))
    np.testing.assert_array_equal(how["noise"], usual["noise"][np.isin(all_of_them, classes)])
