"""Latents on a grid: the grid against cutting by hand, what neighbours hear, and what such levels refuse."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latents.estimators import ConditionalVAE
from latents.estimators.conditional_vae.networks import build
from latents.estimators.conditional_vae.spatial import Grid, Neighbours
from tests.estimators.conditional_vae.test_objective import seeded


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    d=st.integers(1, 3),
    lead=st.lists(st.integers(0, 3), min_size=1, max_size=2),
)
def test_an_image_is_cut_into_cells_and_joined_again(height, width, d, lead):
    grid = Grid(height, width)
    (down, across), (high, wide) = grid.shape, grid.cell
    assert max(down, across) <= 8
    assert (down - 1) * high < height <= down * high
    assert (across - 1) * wide < width <= across * wide
    assert high == wide or min(height, width) < max(high, wide)
    x = torch.randn(*lead, height * width * d, generator=seeded())
    cells = grid.cut(x)
    assert cells.shape == (*lead, grid.n_cells, grid.n_of_cell(height * width * d))
    assert torch.equal(grid.join(cells), x)

    above, left = (down * high - height) // 2, (across * wide - width) // 2
    for image, its_cells in zip(x.reshape(-1, height, width, d), cells.flatten(0, -3), strict=True):
        whole = np.zeros((down * high, across * wide, d), np.float32)
        whole[above : above + height, left : left + width] = image
        by_hand = [
            whole[i * high : (i + 1) * high, j * wide : (j + 1) * wide].ravel()
            for i in range(down)
            for j in range(across)
        ]
        np.testing.assert_array_equal(its_cells, by_hand)


@torch.no_grad()
def test_cells_hear_from_those_next_to_them():
    grid, width = Grid(3, 5), 4
    neighbours = Neighbours(grid, width, seeded())
    cells = torch.randn(2, 6, grid.n_cells, width, generator=seeded(1))
    on_grid, weight = cells.reshape(2, 6, 3, 5, width), neighbours.weight[:, 0]
    expected = on_grid.clone()
    for i, j in np.ndindex(3, 5):
        for above, left in np.ndindex(3, 3):
            k, l = i + above - 1, j + left - 1  # noqa: E741
            if 0 <= k < 3 and 0 <= l < 5:
                expected[:, :, i, j] += weight[:, above, left] * on_grid[:, :, k, l]
    torch.testing.assert_close(neighbours(cells), expected.reshape(cells.shape))


@torch.no_grad()
def test_a_latent_of_a_cell_changes_the_image_about_it_alone():
    """By the lowest level: the state after it goes through one more layer, which hears one cell further."""
    shape = (16, 16)
    network = build(
        "ladder", "standard", n_pixels=256, n_classes=2, n_latents=2, hidden=(6,), spatial=(4,),
        image_shape=shape, generator=seeded(),
    )  # fmt: skip
    y, noise = torch.zeros(1, dtype=torch.int64), torch.zeros(1, network.n_latents)
    moved = noise.clone()
    moved[0, 2 + 3 * 8 + 5] = 3.0  # row 3, column 5 of 8 x 8 cells of 2 x 2 pixels
    one, other = (network.passage(y, noise=n).outputs.reshape(shape) for n in (noise, moved))
    rows, columns = torch.nonzero(one != other, as_tuple=True)
    assert (int(rows.min()), int(rows.max())) == (4, 9)
    assert (int(columns.min()), int(columns.max())) == (8, 13)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "discretised"])
@pytest.mark.parametrize("shape", [(4, 6), (2, 4, 3), (10, 9), (1, 24)])
def test_images_of_any_shape_and_pixels(likelihood, shape):
    rng = np.random.default_rng(0)
    X, y = rng.random((30, int(np.prod(shape)))), np.arange(30) % 3
    model = ConditionalVAE(
        n_latents=2, hidden=(6,), spatial=[3, 3], image_shape=shape, likelihood=likelihood, epochs=2,
        batch_size=8, random_state=0,
    ).fit(X, y)  # fmt: skip
    Z = model.transform(X, y)
    assert Z.shape[1] == len(model.get_feature_names_out()) == 2 + 2 * Grid(*shape[:2]).n_cells
    np.testing.assert_allclose(model.inverse_transform(Z, y), model.reconstruct(X, y), atol=1e-5)
    assert model.sample([0, 2]).shape == (2, X.shape[1])


def test_a_last_batch_of_one_image_is_trained_on():
    X, y = np.random.default_rng(0).random((9, 6)), np.arange(9) % 2
    how = {"n_latents": 2, "hidden": (5,), "spatial": (3,), "image_shape": (2, 3), "batch_size": 4}
    model = ConditionalVAE(**how, epochs=2, random_state=0).fit(X, y)
    assert np.isfinite(model.history_["lower_bound"]).all()
    assert np.isfinite(model.score(X, y))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spatial": (8, 6)}, r"spatial is \[8, 6\], but these levels are all of the same width"),
        ({"spatial": (8, 0)}, r"spatial is \(8, 0\), but every width must be an integer of at least 1"),
        ({"spatial": (2.5,)}, r"spatial is \(2\.5,\), but every width must be an integer"),
        ({"spatial": 8}, "spatial"),
        ({"spatial": (8,), "image_shape": None}, r"spatial is \[8\], but .* image_shape is None"),
        ({"spatial": (8,), "network": "reference"}, r"spatial is \(8,\), but network is 'reference'"),
    ],
)
def test_impossible_levels_are_refused_and_leave_a_model_as_it_was(changes, said):
    X, y = np.random.default_rng(0).random((20, 6)), np.arange(20) % 2
    how = {"n_latents": 2, "hidden": (4,), "epochs": 1, "random_state": 0, "image_shape": (2, 3)}
    model = ConditionalVAE(**how).fit(X, y)
    before = model.score(X, y)
    with pytest.raises(ValueError, match=said):
        model.set_params(**changes).fit(X, y)
    assert model.set_params(**how, spatial=(), network="ladder").score(X, y) == before
