"""``ConditionalVAE`` as a user meets it."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from latents.estimators import ConditionalVAE, load
from latents.estimators.conditional_vae import evaluation
from latents.estimators.conditional_vae.pixels import binarise

SMALL = {
    "network": "reference",
    "n_latents": 3,
    "hidden": (16,),
    "epochs": 3,
    "batch_size": 32,
    "learning_rate": 1e-2,
    "beta_2": 0.999,
    "schedule": "constant",
    "kl_warm_up": 0.0,
    "random_state": 0,
}
LABELS = np.array(["nil", "one", "two"])


@pytest.fixture(scope="module")
def images(digits):
    X, y = digits
    return binarise(X[:60], 0), y[:60]


@pytest.fixture(scope="module", params=["standard", "per_class"])
def model(request, digits):
    return ConditionalVAE(**SMALL, prior=request.param).fit(*digits)


@pytest.fixture(scope="module")
def trained(digits):
    return ConditionalVAE(**{**SMALL, "epochs": 20}).fit(*digits)


def weights(model):
    return model.network_.state_dict()


def assert_same(a, b):
    assert weights(a).keys() == weights(b).keys()
    assert all(torch.equal(weights(a)[name], weights(b)[name]) for name in weights(a))


# Training


@pytest.mark.parametrize("prior", ["standard", "per_class"])
def test_training_raises_the_bound(digits, images, prior):
    model = ConditionalVAE(**{**SMALL, "epochs": 15}, prior=prior)
    model.fit(*digits, validation=images)
    for name in ("lower_bound", "lower_bound_test"):
        bounds = model.history_[name]
        assert len(bounds) == 15
        assert bounds[-1] > bounds[0] + 5
    # 64 fair coins are what a model that learned nothing gives.
    assert model.score(*images) > -64 * np.log(2) + 10


def test_history_splits_the_bound_and_reaches_the_callback(digits, images):
    calls = []
    model = ConditionalVAE(**SMALL)
    model.fit(*digits, validation=images, callback=lambda *call: calls.append(call))
    history = model.history_
    assert set(history) == {"lower_bound", "reconstruction", "kl", "lower_bound_test"}
    np.testing.assert_allclose(history["lower_bound"], np.subtract(history["reconstruction"], history["kl"]))
    assert calls == [
        (name, values[epoch], epoch + 1) for epoch in range(3) for name, values in history.items()
    ]
    assert history["lower_bound_test"][-1] == pytest.approx(model.score(*images))


def test_first_epoch_mean_weighs_images_not_batches(digits):
    # One image more than a batch: with a rate too small to move, the mean is the network's own bound.
    X, y = digits[0][:33], digits[1][:33]
    X = binarise(X, 0)
    model = ConditionalVAE(**{**SMALL, "epochs": 40, "learning_rate": 1e-12}).fit(X, y)
    reconstruction, kl = model.bound_terms(X, y)
    assert np.mean(model.history_["kl"]) == pytest.approx(kl.mean(), rel=1e-5)
    assert np.mean(model.history_["reconstruction"]) == pytest.approx(reconstruction.mean(), rel=0.01)


def test_a_seed_repeats_and_torch_s_global_random_state_is_neither_used_nor_changed(digits, images):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = ConditionalVAE(**SMALL).fit(*digits)
    first.score(*images)
    first.sample(["one"])
    first.predict_proba(images[0], n_samples=2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again = clone(first).fit(*digits)
    assert_same(first, again)
    other = clone(first).set_params(random_state=1).fit(*digits)
    assert first.history_ == again.history_ != other.history_


@pytest.mark.parametrize("who", ["callback", "on_epoch"])
def test_what_is_raised_in_a_fit_passes_through_and_leaves_no_model(digits, who):
    def stop(*call):
        if call[-1] == 2:
            raise KeyboardInterrupt

    model = ConditionalVAE(**SMALL)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*digits, **{who: stop})
    with pytest.raises(NotFittedError):
        model.score(*digits)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*digits).fit(digits[0][:50], digits[1][:50], **{who: stop})
    with pytest.raises(NotFittedError):
        model.score(*digits)


def test_a_diverging_fit_names_epoch_and_step(digits):
    model = ConditionalVAE(**{**SMALL, "learning_rate": 1e30})
    with pytest.raises(FloatingPointError, match=r"epoch 1, step \d+ of 17.*learning_rate"):
        model.fit(*digits)


# Evaluation


def test_score_is_the_mean_of_the_terms_difference_and_repeats(model, images):
    reconstruction, kl = model.bound_terms(*images)
    assert reconstruction.shape == kl.shape == (60,)
    assert (reconstruction < 0).all()
    assert (kl > -1e-6).all()
    np.testing.assert_array_equal(model.score_samples(*images), reconstruction - kl)
    assert model.score(*images) == (reconstruction - kl).mean() == model.score(*images)


def test_kl_is_measured_from_the_prior_of_the_class(model, images):
    X, y = images
    codes = torch.from_numpy(np.searchsorted(model.classes_, y))
    with torch.no_grad():
        q = model.network_.encoder(torch.from_numpy(X).float(), codes)
        p = model.network_.prior(codes)
    assert (model.prior == "standard") == (not p.mean.any())
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(q.mean, torch.exp(0.5 * q.log_variance)),
        torch.distributions.Normal(p.mean, torch.exp(0.5 * p.log_variance)),
    ).sum(-1)
    np.testing.assert_allclose(model.bound_terms(X, y)[1], expected, rtol=1e-4, atol=1e-5)


def test_likelihood_is_above_the_bound_and_rises_with_samples(model, images):
    means = [model.log_likelihood(*images, n_samples=n).mean() for n in (1, 10, 300)]
    assert model.score(*images) < means[1] < means[2]
    assert means[0] < means[1]


def test_one_pass_gives_marginal_and_posterior(model, images):
    X, y = images
    steps = []
    likelihood = model.class_log_likelihood(X, n_samples=20, callback=lambda *call: steps.append(call))
    codes = np.searchsorted(model.classes_, y)
    np.testing.assert_allclose(
        likelihood[np.arange(60), codes], model.log_likelihood(X, y, n_samples=20), rtol=1e-5
    )
    joint = np.exp(likelihood) * model.class_prior_
    np.testing.assert_allclose(model.log_marginal(X, n_samples=20), np.log(joint.sum(axis=1)), rtol=1e-10)
    posterior = model.predict_proba(X, n_samples=20)
    np.testing.assert_allclose(posterior, joint / joint.sum(axis=1, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(X, n_samples=20), model.classes_[posterior.argmax(axis=1)])
    assert steps[-1] == ("log_likelihood", 1.0, 180)
    assert [step for _, _, step in steps] == sorted({step for _, _, step in steps})


def test_bayes_recognises_digits(trained, images):
    assert (trained.predict(images[0], n_samples=20) == images[1]).mean() > 0.9


def test_class_prior_is_the_share_of_each_class(digits):
    X, y = digits
    keep = np.r_[np.flatnonzero(y == "nil")[:30], np.flatnonzero(y == "two")[:10]]
    model = ConditionalVAE(**SMALL).fit(X[keep], y[keep])
    np.testing.assert_array_equal(model.classes_, ["nil", "two"])
    np.testing.assert_array_equal(model.class_prior_, [0.75, 0.25])


# Latents and images


def test_shapes_and_ranges(model, images):
    X, y = images
    assert model.transform(X, y).shape == (60, 3)
    for probabilities in (model.reconstruct(X, y), model.sample(y)):
        assert probabilities.shape == (60, 64)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_fit_transform_is_fit_then_transform(digits):
    first = ConditionalVAE(**SMALL).fit_transform(*digits)
    np.testing.assert_array_equal(first, ConditionalVAE(**SMALL).fit(*digits).transform(*digits))


def test_transform_of_a_subset(model, images):
    X, y = images
    rows = np.arange(60)[::-7]
    whole = model.transform(X, y)
    np.testing.assert_allclose(model.transform(X[rows], y[rows]), whole[rows], atol=1e-5)


def test_more_images_than_one_batch_holds(model, images):
    X, y = np.tile(images[0], (100, 1)), np.tile(images[1], 100)
    assert len(X) > evaluation._ROWS
    for method in (model.transform, model.reconstruct):
        few = method(*images)
        np.testing.assert_allclose(method(X, y), np.tile(few, (100, 1)), atol=1e-5)
    reconstruction, kl = model.bound_terms(X, y)
    assert reconstruction.shape == (6000,)
    np.testing.assert_allclose(kl, np.tile(model.bound_terms(*images)[1], 100), rtol=1e-4)
    # Every image gets noise of its own, in each batch too.
    assert len(np.unique(reconstruction[::60])) > 90


def test_reconstruction_resembles_its_image_more_than_another(trained, digits):
    X, y = digits
    reconstructions = trained.reconstruct(X, y)
    own = np.abs(reconstructions - X).mean()
    assert own < 0.7 * np.abs(reconstructions[::-1] - X).mean()


def test_samples_follow_class_and_seed(model):
    y = np.repeat(LABELS, 200)
    X = model.sample(y, random_state=0)
    np.testing.assert_array_equal(X, model.sample(y, random_state=0))
    np.testing.assert_array_equal(model.sample(y), model.sample(y))
    assert not np.array_equal(X, model.sample(y, random_state=1))
    nil, one = X[:200].mean(axis=0), X[200:400].mean(axis=0)
    assert np.abs(nil - one).max() > 0.2


@pytest.mark.parametrize("pixels", ["means", "drawn"])
def test_samples_by_noise_that_is_given_are_those_of_the_seed_that_draws_it(model, pixels):
    y = np.repeat(LABELS, 3)
    noise = np.random.RandomState(7).standard_normal((len(y), model.n_latents))
    np.testing.assert_array_equal(model.sample(y, noise=noise), model.sample(y, random_state=7))
    of_one = model.sample(y[4:5], pixels=pixels, noise=noise[4:5], random_state=0)
    assert of_one.shape == (1, model.n_features_in_)
    np.testing.assert_array_equal(
        of_one, model.sample(y[4:5], pixels=pixels, noise=noise[4:5].tolist(), random_state=0)
    )
    with pytest.raises(ValueError, match=r"noise is of shape \(8, \d+\), but must be \(9, \d+\)"):
        model.sample(y, noise=noise[1:])
    with pytest.raises(ValueError, match=r"noise contains NaN"):
        model.sample(y, noise=np.full_like(noise, np.nan))


def test_samples_of_a_learned_prior_use_its_class(digits):
    model = ConditionalVAE(**SMALL, prior="per_class").fit(*digits)
    with torch.no_grad():
        model.network_.prior.log_variance.fill_(-100)
    X = model.sample(["one", "one", "two"], random_state=0)
    np.testing.assert_allclose(X[0], X[1], atol=1e-6)
    assert np.abs(X[0] - X[2]).max() > 0.01


def test_active_units_are_those_whose_mean_moves(digits, images):
    model = ConditionalVAE(**SMALL, prior="per_class").fit(*digits)
    last = model.network_.encoder.layers[-1]
    with torch.no_grad():
        # Unit 1 repeats the class priors' means and nothing else; unit 2 is constant.
        last.weight[1:3] = 0
        last.bias[1:3] = 0
        model.network_.prior.mean[:, 1:3] = 0
        model.network_.prior.log_variance.zero_()
    variance = model.transform(*images).var(axis=0)
    np.testing.assert_allclose(variance[1:], 0, atol=1e-6)
    active = model.active_units(*images)
    np.testing.assert_array_equal(active, [True, False, False])
    assert not model.active_units(*images, threshold=1e6).any()
    with torch.no_grad():
        # In units of a prior a thousand times wider the first hardly moves.
        model.network_.prior.log_variance[:, 0] = 2 * np.log(1000)
    assert not model.active_units(*images).any()


def test_names_of_features(digits):
    X = pd.DataFrame(digits[0]).add_prefix("pixel")
    model = ConditionalVAE(**SMALL).set_output(transform="pandas").fit(X, digits[1])
    assert list(model.feature_names_in_) == list(X.columns)
    expected = [f"conditionalvae{i}" for i in range(3)]
    assert list(model.get_feature_names_out()) == expected
    assert list(model.transform(X, digits[1]).columns) == expected


# Saving


def test_save_and_load_round_trip_bit_for_bit(model, images, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    for other in (ConditionalVAE.load(path), load(path)):
        assert other.get_params() == model.get_params()
        assert other.history_ == model.history_
        assert list(other.history_) == list(model.history_)
        np.testing.assert_array_equal(other.classes_, model.classes_)
        np.testing.assert_array_equal(other.class_prior_, model.class_prior_)
        assert_same(other, model)
        np.testing.assert_array_equal(other.score_samples(*images), model.score_samples(*images))
        np.testing.assert_array_equal(other.sample(images[1]), model.sample(images[1]))
        np.testing.assert_array_equal(
            other.predict_proba(images[0], n_samples=5), model.predict_proba(images[0], n_samples=5)
        )


def test_a_model_of_a_missing_device_is_loaded_on_the_cpu(model, images, tmp_path):
    # No machine has that many; a model that is fitted stays where it is.
    path = tmp_path / "model.safetensors"
    model.save(path)
    ConditionalVAE.load(path).set_params(device="cuda:99").save(path)
    for reader in (ConditionalVAE.load, load):
        with pytest.warns(UserWarning, match=r"device is 'cuda:99'.* on the CPU"):
            other = reader(path)
        assert other.device == "cuda:99"
        for name, tensor in weights(model).items():
            torch.testing.assert_close(weights(other)[name], tensor.cpu(), rtol=0, atol=0)
        np.testing.assert_allclose(other.transform(*images), model.transform(*images), atol=1e-5)
        assert np.isfinite(other.score(*images))
        assert other.sample(images[1]).shape == (60, 64)
        assert other.predict_proba(images[0], n_samples=2).shape == (60, 3)
        assert other.active_units(*images).shape == (3,)
        with pytest.raises(ValueError, match="device is 'cuda:99'"):
            other.fit(*images)


# Inputs


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.float16, np.float32, np.float64, np.int64])
def test_any_real_type_of_pixels(images, dtype):
    X, y = images
    expected = ConditionalVAE(**SMALL).fit(X, y)
    model = ConditionalVAE(**SMALL).fit(X.astype(dtype), y)
    assert_same(model, expected)
    assert model.score(X.astype(dtype), y) == expected.score(X, y)


def test_one_class_and_one_image(images):
    X, y = images
    model = ConditionalVAE(**SMALL).fit(X[:1], y[:1])
    assert np.isfinite(model.score(X[:1], y[:1]))
    np.testing.assert_array_equal(model.predict_proba(X[:5], n_samples=2), np.ones((5, 1)))
    assert not model.active_units(X[:1], y[:1]).any()
    assert model.sample(y[:1]).shape == (1, 64)


def test_constant_pixels_and_linear_networks(images):
    X = np.zeros_like(images[0])
    model = ConditionalVAE(**{**SMALL, "hidden": ()}).fit(X, images[1])
    assert np.isfinite(model.score(X, images[1]))


def test_integer_labels(images):
    X, y = images
    codes = np.searchsorted(LABELS, y) * 10 - 10
    model = ConditionalVAE(**SMALL).fit(X, codes)
    np.testing.assert_array_equal(model.classes_, [-10, 0, 10])
    with pytest.raises(ValueError, match=r"y\[1\] is 3, .*known are \[-10, 0, 10\]"):
        model.sample([0, 3])


@pytest.mark.parametrize(("value", "shown"), [(1.5, "1.5"), (-0.25, "-0.25")])
def test_pixels_outside_the_unit_interval_are_named(model, images, value, shown):
    X, y = images[0].astype(float), images[1]
    X[3, 17] = value
    for call in (
        lambda: ConditionalVAE(**SMALL).fit(X, y),
        lambda: ConditionalVAE(**SMALL).fit(*images, validation=(X, y)),
        lambda: model.score(X, y),
        lambda: model.predict_proba(X),
        lambda: binarise(X),
    ):
        with pytest.raises(ValueError, match=rf"X\[3, 17\] is {shown}.*\[0, 1\]"):
            call()


def test_unknown_labels_are_named(model, images):
    X, y = images[0], images[1].copy()
    y[4] = "ten"
    for call in (
        lambda: model.score(X, y),
        lambda: model.sample(y),
        lambda: model.log_likelihood(X, y),
        lambda: ConditionalVAE(**SMALL).fit(*images, validation=(X, y)),
    ):
        with pytest.raises(ValueError, match=r"y\[4\] is 'ten'.*\['nil', 'one', 'two'\]"):
            call()


def test_missing_classes(model, images):
    with pytest.raises(ValueError, match="requires y"):
        ConditionalVAE(**SMALL).fit(images[0], None)
    for method in (model.score, model.transform, model.reconstruct, model.log_likelihood):
        with pytest.raises(ValueError, match="y is missing"):
            method(images[0], None)


def test_other_bad_inputs(model, images):
    X, y = images
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score(X, y[:-1])
    with pytest.raises(ValueError, match="63 features"):
        model.score(X[:, :-1], y)
    with pytest.raises(ValueError, match="n_samples is 0"):
        model.log_likelihood(X, y, n_samples=0)
    with pytest.raises(ValueError, match="continuous"):
        ConditionalVAE(**SMALL).fit(X, np.linspace(0, 1, 60))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_latents", 0),
        ("hidden", (16, 0)),
        ("hidden", 16),
        ("network", "staircase"),
        ("schedule", "linear"),
        ("kl_warm_up", 1.5),
        ("beta_2", 1.0),
        ("prior", "flat"),
        ("likelihood", "poisson"),
        ("objective", "vae"),
        ("n_particles", 0),
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("device", "abacus"),
        ("device", "cuda:99"),
        ("random_state", "seed"),
    ],
)
def test_impossible_parameters_are_named(images, name, value):
    with pytest.raises(ValueError, match=name):
        ConditionalVAE(**{**SMALL, name: value}).fit(*images)


# Classes that weigh


@pytest.fixture(scope="module")
def imbalanced(digits):
    """All images of two classes, and eight of the third."""
    X, y = digits
    rows = np.concatenate([np.flatnonzero(y != "two"), np.flatnonzero(y == "two")[:8]])
    return X[rows], y[rows]


def test_balanced_classes_describe_the_rare_one_better_and_the_others_worse(imbalanced):
    X, y = imbalanced
    plain, balanced = (
        ConditionalVAE(**{**SMALL, "epochs": 30}, class_weight=class_weight).fit(X, y)
        for class_weight in (None, "balanced")
    )
    for better, worse, which in ((balanced, plain, y == "two"), (plain, balanced, y != "two")):
        images = binarise(X[which], 0), y[which]
        assert better.score(*images) > worse.score(*images) + 0.3
    np.testing.assert_array_equal(balanced.class_prior_, plain.class_prior_)
    n, (_, sizes) = len(y), np.unique(y, return_counts=True)
    by_hand = dict(zip(np.unique(y), n / (3 * sizes), strict=True))
    assert_same(balanced, ConditionalVAE(**{**SMALL, "epochs": 30}, class_weight=by_hand).fit(X, y))


def test_classes_that_all_weigh_1_change_no_bit(digits):
    plain = ConditionalVAE(**SMALL).fit(*digits)
    assert_same(plain, ConditionalVAE(**SMALL, class_weight=dict.fromkeys(LABELS, 1.0)).fit(*digits))
    assert_same(plain, ConditionalVAE(**SMALL, class_weight={}).fit(*digits))


def test_class_weights_that_no_fit_has_are_not_saved(digits, tmp_path):
    model = ConditionalVAE(**SMALL).fit(*digits)
    model.class_weight = {"three": 2.0}
    with pytest.raises(ValueError, match="class_weight names 'three'"):
        model.save(tmp_path / "model.safetensors")


def test_class_weights_are_saved_and_make_another_training(digits, tmp_path, caplog):
    weighing = ConditionalVAE(**SMALL, class_weight={"two": 5})
    model = clone(weighing).fit(*digits, checkpoint=tmp_path / "checkpoint")
    model.save(tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").class_weight == {"two": 5}
    assert_same(model, clone(weighing).fit(*digits, checkpoint=tmp_path / "checkpoint"))
    assert "going on after epoch 3" in caplog.text
    assert_same(
        ConditionalVAE(**SMALL).fit(*digits),
        ConditionalVAE(**SMALL).fit(*digits, checkpoint=tmp_path / "checkpoint"),
    )
    assert "class weights [1.0, 1.0, 5.0] there, None here" in caplog.text


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"three": 2}, "class_weight names 'three', which is none of the classes 'nil', 'one', 'two'"),
        ({0: 2}, "class_weight names 0, which is none of the classes 'nil'"),
        ({"one": 0}, "class_weight of 'one' is 0, but must be a number from"),
        ({"one": float("nan")}, "class_weight of 'one' is nan"),
        ({"one": float("inf")}, "class_weight of 'one' is inf, but must be a number from .* to 3.4e"),
        ({"one": 1e39}, "class_weight of 'one' is 1e"),
        ({"one": 1e-50}, "class_weight of 'one' is 1e-50"),
        ({"one": 10**400}, "class_weight of 'one' is 1000"),
        ({"one": Fraction(3, 2)}, "class_weight of 'one' is Fraction"),
        ({"one": "2"}, "class_weight of 'one' is '2'"),
        ({"one": True}, "class_weight of 'one' is True"),
        ("equal", "'class_weight' parameter of ConditionalVAE must be"),
        (3.0, "'class_weight' parameter of ConditionalVAE must be"),
    ],
)
def test_impossible_class_weights_are_named(images, class_weight, message):
    with pytest.raises(ValueError, match=message):
        ConditionalVAE(**SMALL, class_weight=class_weight).fit(*images)


# Binarisation


def test_binarise_draws_with_the_grey_value():
    grey = np.tile([0.0, 0.1, 0.5, 0.9, 1.0], (20_000, 1))
    X = binarise(grey, 0)
    assert X.dtype == np.uint8
    assert set(np.unique(X)) == {0, 1}
    means = X.mean(axis=0)
    assert means[0] == 0
    assert means[-1] == 1
    np.testing.assert_allclose(means, grey[0], atol=5 * 0.5 / np.sqrt(20_000))
    np.testing.assert_array_equal(X, binarise(grey, 0))
    assert not np.array_equal(X, binarise(grey, 1))


def test_binarise_leaves_binary_images_alone(images):
    np.testing.assert_array_equal(binarise(images[0], 5), images[0])


def test_binarise_refuses_missing_values():
    with pytest.raises(ValueError, match=r"X\[0, 1\] is nan"):
        binarise([[0.5, np.nan]])
