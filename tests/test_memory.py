"""Sizes that no memory holds are refused by their names, before an allocator fails."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from latents import memory
from latents.estimators import ConditionalVAE, MinimumErrorPCA, MultinomialMixture
from latents.estimators.conditional_vae.evaluation import rows_at_once
from latents.estimators.conditional_vae.networks import NETWORKS, POSTERIORS, build, n_weights
from latents.estimators.conditional_vae.pixels import LIKELIHOODS
from latents.memory import check_memory, memory_bytes
from tests.estimators.conditional_vae.test_training import seeded

HUGE = 10**9
IMAGES = np.random.default_rng(0).random((8, 5)), np.arange(8) % 2


def test_the_memory_is_that_of_a_machine():
    assert 2**28 < memory_bytes() < 2**50


def test_what_would_help_most_is_named():
    said = r"^b=50 needs too much memory: a box would take 2\.3 GiB; there are 1\.0 GiB$"
    with pytest.raises(ValueError, match=said):
        check_memory({"a": 5, "b": 50}, lambda a, b: a * b * 10**7, "a box", 2**30)
    check_memory({"a": 5}, lambda a: a, "a box", 5)
    with pytest.raises(ValueError, match=r"a=1000\d+ needs .* would take more than 10\^\d+ GiB"):
        check_memory({"a": 10**60}, lambda a: a, "a box", 5)


@given(
    network=st.sampled_from(sorted(NETWORKS)),
    prior=st.sampled_from(["standard", "per_class"]),
    likelihood=st.sampled_from(sorted(LIKELIHOODS)),
    posterior=st.sampled_from(POSTERIORS),
    n_pixels=st.integers(1, 3).map(lambda n: 3 * n),
    is_coloured=st.booleans(),
    n_classes=st.integers(1, 4),
    n_latents=st.integers(5, 12),
    n_layers=st.integers(1, 5),
    width=st.integers(1, 7),
    n_spatial=st.integers(0, 3),
    side=st.sampled_from([1, 9]),
)
def test_weights_are_counted_without_being_made(
    network, prior, n_layers, width, is_coloured, n_spatial, side, **sizes
):
    sizes["hidden"] = [width] * n_layers
    sizes["spatial"] = [width] * n_spatial
    sizes["n_pixels"] *= side
    sizes["image_shape"] = (
        (sizes["n_pixels"] // 3, 1, 3) if is_coloured else (side, sizes["n_pixels"] // side)
    )
    made = build(network, prior, generator=seeded(), **sizes)
    of_pixels = sum(w.numel() for w in made.pixels.parameters())
    assert n_weights(network, prior, **sizes) == sum(w.numel() for w in made.parameters()) - of_pixels


def test_the_reference_has_layers_of_any_widths():
    sizes = {"n_pixels": 5, "n_classes": 2, "n_latents": 3}
    for hidden in ([], [7], [4, 9]):
        made = build("reference", "standard", hidden=hidden, generator=seeded(), **sizes)
        counted = n_weights("reference", "standard", hidden=hidden, **sizes)
        assert counted == sum(w.numel() for w in made.parameters())


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"n_latents": HUGE}, "n_latents=1000000000"),
        ({"n_latents": 10**40}, "n_latents=1000"),
        ({"hidden": (HUGE, HUGE)}, r"hidden=\(1000000000, 1000000000\)"),
        ({"network": "reference", "n_latents": HUGE, "hidden": (500,)}, "n_latents=1000000000"),
        ({"network": "reference", "hidden": (500, HUGE)}, r"hidden=\(500, 1000000000\)"),
        ({"n_particles": HUGE * 100}, "n_particles=1000"),
        ({"spatial": (HUGE,), "image_shape": (5, 1)}, r"spatial=\(1000000000,\)"),
    ],
)
def test_a_vae_of_any_size_is_refused_by_the_name_of_the_size(parameters, named):
    with pytest.raises(
        ValueError, match=rf"{named}\S* needs too much memory: .* would take .* GiB; there are"
    ):
        ConditionalVAE(device="cpu", **parameters).fit(*IMAGES)


def test_a_step_has_all_numbers_of_a_pixel(monkeypatch):
    """So many particles of 5 pixels fit, and of 75 numbers that describe these they do not."""
    small = {
        "n_latents": 2,
        "hidden": (3, 3),
        "epochs": 1,
        "random_state": 0,
        "n_particles": 4000,
        "device": "cpu",
    }
    monkeypatch.setattr(memory, "memory_bytes", lambda: 4 * 4000 * 8 * 20)
    ConditionalVAE(**small).fit(*IMAGES)
    with pytest.raises(ValueError, match=r"n_particles=4000 needs too much memory: a step of training would"):
        ConditionalVAE(**small, likelihood="discretised").fit(*IMAGES)


def test_a_batch_is_no_larger_than_the_images_are():
    small = {"n_latents": 2, "hidden": (3, 3), "epochs": 1, "random_state": 0}
    bounds = [
        ConditionalVAE(batch_size=size, **small).fit(*IMAGES).history_["lower_bound"]
        for size in (8, HUGE, 10**30)
    ]
    assert bounds[0] == bounds[1] == bounds[2]


def test_samples_are_a_whole_number_and_take_no_memory_of_their_own():
    model = ConditionalVAE(n_latents=2, hidden=(3, 3), epochs=1, random_state=0).fit(*IMAGES)
    with pytest.raises(ValueError, match=r"n_samples is 2\.5, but must be a whole number"):
        model.predict_proba(IMAGES[0], n_samples=2.5)
    with pytest.raises(ValueError, match=r"steps=1000000000000 needs too much memory"):
        model.interpolate(*IMAGES, *IMAGES, steps=10**12)


def test_a_mixture_of_many_components(monkeypatch):
    counts = sparse.csr_array(np.random.default_rng(0).poisson(1.0, (50, 9)))
    with pytest.raises(ValueError, match="exceeds the number of documents: n_samples=50"):
        MultinomialMixture(HUGE).fit(counts)
    monkeypatch.setattr(memory, "memory_bytes", lambda: 10_000)
    with pytest.raises(
        ValueError, match=r"n_components=50 needs too much memory: a fit to these counts would"
    ):
        MultinomialMixture(50).fit(counts)
    model = MultinomialMixture(2, random_state=0).fit(counts)
    with pytest.raises(ValueError, match=r"n_samples=1000 needs too much memory: so many documents would"):
        model.sample(1000)


def test_a_covariance_that_no_memory_holds(monkeypatch):
    X = np.random.default_rng(0).normal(size=(30, 40))
    monkeypatch.setattr(memory, "memory_bytes", lambda: 20_000)
    said = r"svd_solver='covariance_eigh' needs too much memory: its 40 x 40 matrix would"
    pca = MinimumErrorPCA(2, svd_solver="covariance_eigh")
    for fit in (lambda: pca.fit(X), lambda: pca.fit([X]), lambda: pca.partial_fit(X)):
        with pytest.raises(ValueError, match=said):
            fit()
    assert MinimumErrorPCA(2, svd_solver="gram").fit(X).n_components_ == 2  # 30 x 30


def test_large_images_go_through_a_network_few_at_a_time():
    of_mnist, of_photographs = (
        build("reference", "standard", n_pixels=p, n_classes=2, n_latents=1, hidden=[1], generator=seeded())
        for p in (784, 10**6)
    )
    assert rows_at_once(of_mnist) == 4096
    assert rows_at_once(of_photographs) == 3
