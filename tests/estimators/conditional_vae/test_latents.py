"""From images to latents and back, and what lies between."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from latents.estimators import ConditionalVAE
from latents.estimators.conditional_vae.latents import arc
from latents.estimators.conditional_vae.pixels import binarise
from tests.estimators.conditional_vae.test_estimator import SMALL


@pytest.fixture(scope="module")
def images(digits):
    X, y = digits
    return binarise(X[:30], 0), y[:30]


@pytest.fixture(scope="module", params=["standard", "per_class", "ladder"])
def model(request, digits):
    if request.param == "ladder":  # of one level, whose prior is all there is
        changes = {"network": "ladder", "prior": "per_class", "epochs": 8}
        return ConditionalVAE(**{**SMALL, **changes}).fit(*digits)
    model = ConditionalVAE(**{**SMALL, "epochs": 8}, prior=request.param).fit(*digits)
    if request.param == "per_class":
        with torch.no_grad():  # as far from N(0, I) as a long training would take them
            model.network_.prior.mean.normal_(generator=torch.Generator().manual_seed(0))
            model.network_.prior.log_variance.normal_(generator=torch.Generator().manual_seed(1))
    return model


def test_images_of_codes_are_the_reconstructions(model, images):
    X, y = images
    Z = model.transform(X, y)
    np.testing.assert_allclose(model.inverse_transform(Z, y), model.reconstruct(X, y), atol=1e-6)
    corners = np.eye(3)[np.searchsorted(model.classes_, y)]
    np.testing.assert_allclose(model.inverse_transform(Z, corners), model.reconstruct(X, y), atol=1e-6)
    half = model.inverse_transform(Z[:1], [[0.5, 0.5, 0.0]])
    assert np.abs(half - model.inverse_transform(Z[:1], ["nil"])).max() > 0.01
    assert np.abs(half - model.inverse_transform(Z[:1], ["one"])).max() > 0.01


@pytest.mark.parametrize(
    ("Z", "y", "said"),
    [
        (np.zeros((2, 4)), ["nil", "one"], "Z has 4 columns, but the model has 3 latents"),
        (np.zeros((2, 3)), ["nil"], "inconsistent numbers of samples"),
        (np.full((1, 3), np.nan), ["nil"], "NaN"),
        (np.zeros((2, 3)), [[1, 0], [0, 1]], "y has 2 columns, but there are 3 classes"),
        (np.zeros((2, 3)), [[1, 0, 0], [0.5, 0, 0]], r"y\[1\] is \[0.5, 0.0, 0.0\]"),
        (np.zeros((1, 3)), [[2, -1, 0]], r"y\[0\] is \[2.0, -1.0, 0.0\]"),
        (np.zeros((1, 3)), ["ten"], r"y\[0\] is 'ten'"),
    ],
)
def test_impossible_codes_are_named(model, Z, y, said):
    with pytest.raises(ValueError, match=said):
        model.inverse_transform(Z, y)


def test_a_path_leads_from_one_image_to_the_other(model, images):
    X, y = images
    paths = model.interpolate(X[:10], y[:10], X[10:20], y[10:20], steps=5)
    assert paths.shape == (10, 5, 64)
    np.testing.assert_allclose(paths[:, 0], model.reconstruct(X[:10], y[:10]), atol=1e-5)
    np.testing.assert_allclose(paths[:, -1], model.reconstruct(X[10:20], y[10:20]), atol=1e-5)
    steps = np.abs(np.diff(paths, axis=1)).mean(axis=2)
    whole = np.abs(paths[:, -1] - paths[:, 0]).mean(axis=1)
    assert (steps.sum(axis=1) >= whole - 1e-6).all()
    assert (steps.max(axis=1) < whole).all()


def test_the_way_back_is_the_same(model, images):
    X, y = images
    there = model.interpolate(X[:5], y[:5], X[5:10], y[5:10])
    back = model.interpolate(X[5:10], y[5:10], X[:5], y[:5])
    assert there.shape == (5, 9, 64)
    np.testing.assert_allclose(there, back[:, ::-1], atol=1e-5)


def test_to_itself_a_path_stays_where_it_is(model, images):
    X, y = images
    paths = model.interpolate(X[:4], y[:4], X[:4], y[:4], steps=3)
    np.testing.assert_allclose(paths, model.reconstruct(X[:4], y[:4])[:, None].repeat(3, axis=1), atol=1e-5)


def test_half_way_is_of_both_classes(model, images):
    X, y = images
    a, b = np.flatnonzero(y == "nil")[0], np.flatnonzero(y == "two")[0]
    middle = model.interpolate(X[[a]], y[[a]], X[[b]], y[[b]], steps=3)[0, 1]
    means, spreads = model.class_priors()
    codes = model.transform(X[[a, b]], y[[a, b]])
    e = (codes - means[[0, 2]]) / spreads[[0, 2]]
    length = np.linalg.norm(e, axis=1)
    direction = (e / length[:, None]).sum(axis=0)
    half = length.mean() * direction / np.linalg.norm(direction)
    z = means[[0, 2]].mean(axis=0) + half * np.sqrt(spreads[0] * spreads[2])
    np.testing.assert_allclose(model.inverse_transform([z], [[0.5, 0, 0.5]])[0], middle, atol=1e-5)


def test_paths_are_checked(model, images):
    X, y = images
    with pytest.raises(ValueError, match="steps is 1"):
        model.interpolate(X, y, X, y, steps=1)
    with pytest.raises(ValueError, match="inconsistent"):
        model.interpolate(X[:2], y[:2], X[:3], y[:3])


def test_an_arc_keeps_its_length_and_turns_evenly():
    start, end = torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([[0.0, 4.0, 0.0]])
    points = arc(start, end, torch.linspace(0, 1, 7)[:, None, None])[:, 0]
    torch.testing.assert_close(points.norm(dim=1), torch.linspace(3, 4, 7))
    angles = torch.rad2deg(torch.atan2(points[:, 1], points[:, 0]))
    torch.testing.assert_close(angles, torch.linspace(0, 90, 7))


@pytest.mark.parametrize("end", [[2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
def test_an_arc_without_a_direction_is_straight(end):
    points = arc(
        torch.tensor([[1.0, 0.0]]), torch.tensor([end]), torch.tensor([0.0, 0.5, 1.0])[:, None, None]
    )
    torch.testing.assert_close(points[:, 0, 0], torch.tensor([1.0, (1 + end[0]) / 2, end[0]]))


def test_style_is_kept_in_another_class(model, images):
    X, y = images
    np.testing.assert_allclose(model.restyle(X, y, y), model.reconstruct(X, y), atol=1e-5)
    means, spreads = model.class_priors()
    codes, other = np.searchsorted(model.classes_, y), np.full(len(y), 1)
    z = (model.transform(X, y) - means[codes]) / spreads[codes] * spreads[other] + means[other]
    expected = model.inverse_transform(z, model.classes_[other])
    np.testing.assert_allclose(model.restyle(X, y, model.classes_[other]), expected, atol=1e-5)
    np.testing.assert_allclose(model.restyle(X, y, np.eye(3)[other]), expected, atol=1e-5)
    with pytest.raises(ValueError, match="inconsistent"):
        model.restyle(X, y, y[:3])


def test_a_traversal_moves_one_latent_in_units_of_the_prior(model):
    means, spreads = model.class_priors()
    images = model.traverse(["two", "nil"], latents=[2, 0], values=[-1, 0, 3])
    assert images.shape == (2, 2, 3, 64)
    for row, code in enumerate([2, 0]):
        for place, unit in enumerate([2, 0]):
            for stop, value in enumerate([-1, 0, 3]):
                z = means[code].copy()
                z[unit] += value * spreads[code, unit]
                expected = model.inverse_transform([z], [model.classes_[code]])[0]
                np.testing.assert_allclose(images[row, place, stop], expected, atol=1e-5)
    assert model.traverse(["one"], latents=[1]).shape == (1, 1, 6, 64)
    with pytest.raises(ValueError, match="latents has 3, but allowed are 0 to 2"):
        model.traverse(["one"], latents=[0, 3])


def test_activity_is_the_variance_in_units_of_the_prior(model, images):
    means, spreads = model.class_priors()
    codes = np.searchsorted(model.classes_, images[1])
    e = (model.transform(*images) - means[codes]) / spreads[codes]
    np.testing.assert_allclose(model.latent_variances(*images), e.var(axis=0), rtol=1e-4)


def test_an_unfitted_model_has_no_latents():
    model = ConditionalVAE()
    for call in (
        lambda: model.inverse_transform(np.zeros((1, 40)), [0]),
        lambda: model.interpolate([[0]], [0], [[0]], [0]),
        lambda: model.traverse([0], latents=[0]),
        model.class_priors,
    ):
        with pytest.raises(NotFittedError):
            call()


@pytest.mark.parametrize("pixels", ["means", "drawn"])
def test_weights_at_the_corners_are_drawn_as_their_classes(model, pixels):
    y = np.array(["two", "nil", "one", "two"])
    corners = np.eye(3)[np.searchsorted(model.classes_, y)]
    for given in (corners, corners.tolist(), corners.astype(int)):
        np.testing.assert_allclose(
            model.sample(given, pixels=pixels, random_state=5),
            model.sample(y, pixels=pixels, random_state=5),
            atol=1e-5,
        )


def test_weights_draw_what_lies_between_classes_with_one_style(model):
    share = np.linspace(0, 1, 9)[:, np.newaxis]
    weights = (1 - share) * [1, 0, 0] + share * [0, 0, 1]
    noise = np.random.default_rng(0).normal(size=(1, 3)).repeat(9, axis=0)
    way = model.sample(weights, noise=noise)
    np.testing.assert_allclose(way[[0, -1]], model.sample(["nil", "two"], noise=noise[:2]), atol=1e-5)
    steps, whole = np.abs(np.diff(way, axis=0)).mean(axis=1), np.abs(way[-1] - way[0]).mean()
    assert whole > 0.01
    assert steps.max() < whole / 2
    assert steps.min() > 0


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([[1, 0]], "y has 2 columns, but there are 3 classes"),
        (
            [[1, 0, 0], [0.5, 0, 0]],
            r"y\[1\] is \[0.5, 0.0, 0.0\]; allowed are weights from 0 that sum to one",
        ),
        ([[2, -1, 0]], r"y\[0\] is \[2.0, -1.0, 0.0\]"),
        ([[np.nan, 0, 1]], r"y\[0\] is \[nan, 0.0, 1.0\]"),
    ],
)
def test_weights_that_are_none_are_not_drawn(model, weights, said):
    with pytest.raises(ValueError, match=said):
        model.sample(weights)
