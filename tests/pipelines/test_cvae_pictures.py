"""The nodes of the cvae pipeline on images of several kinds, without Kedro."""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace

import matplotlib.figure
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from pydantic import ValidationError

from latents.datasets import SnapshotsDataset
from latents.datasets.snapshots import Snapshots
from latents.estimators import ConditionalVAE
from latents.pipelines.cvae import drawing, measuring, nodes
from latents.pipelines.cvae.parameters import (
    EvaluateParameters,
    FeaturesParameters,
    FitParameters,
    ReportParameters,
    WatchParameters,
)
from latents.pipelines.cvae.pipeline import RESULTS
from latents.pipelines.shared import EngineParameters, SplitParameters
from tests.reporting.test_report import Page

FIT = {
    "network": "reference",
    "prior": "standard",
    "posterior": "correlated",
    "likelihood": "bernoulli",
    "objective": "elbo",
    "n_particles": 1,
    "n_latents": 3,
    "hidden": [16],
    "spatial": [],
    "epochs": 4,
    "batch_size": 32,
    "learning_rate": 1e-2,
    "beta_2": 0.999,
    "schedule": "constant",
    "kl_warm_up": 0.0,
    "class_weight": None,
    "precision": "auto",
    "compiled": "auto",
    "device": "cpu",
    "window": 2**28,
    "checkpoint_every": 1,
    "random_state": 0,
}
WATCH = {
    "log_every": 2,
    "every": 2,
    "n_importance_samples": 5,
    "n_likelihood_images": 7,
    "n_generated": 3,
    "random_state": 0,
}
EVALUATE = EvaluateParameters(
    n_importance_samples=5,
    n_likelihood_images=None,
    n_marginal_images=12,
    n_generated=2,
    n_drawn=60,
    n_classifier_steps=150,
    n_nearest_classes=10,
    n_reconstructions=5,
    n_paths=4,
    n_steps=3,
    n_traversed=2,
    n_traversed_classes=10,
    n_hardest=5,
    random_state=0,
)
LABELS = np.array(["bar", "cross <b>", "frame"])


class Watching:
    """A monitor that writes down what it is told."""

    def __init__(self, checkpoint):
        self.told = []
        self.checkpoint = checkpoint

    @contextmanager
    def watch(self, task, total=None, log_metrics=True):
        yield lambda *call: self.told.append((task, *call))

    def record_parameters(self, parameters, group):
        self.parameters = {f"{group}.{name}": value for name, value in parameters.items()}


def made_up(shape=(6, 5), n=90, n_classes=3, labels=LABELS):
    """Images of a bright bar in a place of its own for each class, and noise."""
    rng = np.random.default_rng(0)
    codes = np.arange(n) % n_classes
    images = rng.integers(0, 80, (n, *shape), dtype=np.uint8)
    for image, code in zip(images, codes, strict=True):
        image[2 * code] = 255
    return {"images": images, "labels": labels[codes]}


@dataclass
class Outcome:
    """What the nodes have made of images; pictures are drawn when they are looked at."""

    model: ConditionalVAE
    test: dict
    snapshots: Snapshots
    results: dict
    monitor: Watching
    fit: dict
    choice: dict

    @cached_property
    def drawn(self):
        results = [self.results[name] for name in RESULTS]
        parameters = ReportParameters(n_scatter_points=10)
        figures = drawing.draw(self.model, *results, self.snapshots, parameters)
        page = nodes.report(self.results["metrics"], {"fit": self.fit}, self.choice, **figures)
        return {**figures, "page": page}


def run(tmp_path, data, watch=None, **fit):
    """Run all nodes; return what they have made."""
    monitor = Watching(tmp_path / "checkpoint.safetensors")
    params = FitParameters(**FIT | fit)
    images = nodes.ingest(data)
    pixels = nodes.scale_pixels(images, FeaturesParameters(white=255.0))
    how = SplitParameters(held_out_fraction=0.3, random_state=0)
    split, choice, test = nodes.split(pixels, images, how, params)
    snapshots = SnapshotsDataset(path=str(tmp_path / "epochs"), artifact_path="cvae").load()
    watching = WatchParameters(**WATCH | (watch or {}))
    model, record = nodes.fit(
        *(pixels, split, test, images, choice, params, watching, monitor, snapshots),
        EngineParameters(name="local"),
    )
    results = nodes.evaluate(model, pixels, split, test, images, record, EVALUATE, monitor)
    return Outcome(model, test, snapshots, results, monitor, FIT | fit, choice)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What the nodes have made of images with names, to be looked at alone."""
    names = np.array([f"{i:02}.png" for i in range(90)])
    return run(tmp_path_factory.mktemp("trained"), made_up() | {"names": names}, epochs=10)


@pytest.mark.parametrize(
    ("shape", "fit"),
    [
        ((6, 5), {"prior": "per_class"}),
        ((6, 5), {"network": "ladder", "n_latents": 4, "hidden": [8, 8], "prior": "per_class"}),
        ((6, 5), {"network": "ladder", "n_latents": 2, "hidden": [8, 8], "prior": "per_class"}),
        ((6, 5), {"network": "ladder", "hidden": [8], "spatial": [4, 4]}),
        ((9, 20, 3), {"network": "ladder", "hidden": [8], "spatial": [4], "likelihood": "discretised"}),
        ((6, 5, 3), {"likelihood": "gaussian", "objective": "iwae", "n_particles": 3}),
        ((6, 5, 3), {"likelihood": "discretised", "prior": "per_class"}),
        ((70, 40), {"n_latents": 1, "prior": "per_class"}),
        ((6, 5), {"n_latents": 1}),
        ((6, 5), {"n_latents": 2, "prior": "per_class", "likelihood": "gaussian"}),
    ],
)
def test_every_kind_of_model_and_image_is_drawn(tmp_path, shape, fit):
    outcome = run(tmp_path, made_up(shape), **fit)
    results, drawn = outcome.results, outcome.drawn
    pictures = ["generated", "learning", "interpolations", "class_paths", "styles", "traversals"]
    pictures += ["reconstructions", "hardest", "nearest"]
    for name in pictures:
        assert isinstance(drawn[name], matplotlib.figure.Figure)
        drawn[name].canvas.draw()
    charts = ["bound", "class_bounds", "confusion", "latents", "priors", "nearest_distances"]
    for name in charts:
        assert isinstance(drawn[name], go.Figure)
    assert set(drawn) == {*pictures, *charts, "page"}
    assert outcome.model.image_shape == shape
    page = Page(drawn["page"])
    learned = fit.get("prior") == "per_class"
    assert ("kl_standard_prior" in results["metrics"]) == learned
    assert ("The priors of the classes" in page.text) == learned
    assert ("log densities of grey values" in page.text) == (fit.get("likelihood") == "gaussian")
    for text in ("256 grey values", "Bits per dimension"):
        assert (text in page.text) == (fit.get("likelihood") == "discretised")
    assert ("importance-weighted bound of 3 draws" in page.text) == ("n_particles" in fit)
    assert list(drawn["confusion"].data[0].x) == ["bar", "cross &lt;b&gt;", "frame"]


def test_continuous_pixels_are_not_binarised(tmp_path, trained):
    data = made_up()
    outcome = run(tmp_path, data, likelihood="gaussian", epochs=1)
    model, test = outcome.model, outcome.test
    np.testing.assert_allclose(test["X"], data["images"].reshape(90, -1)[test["rows"]] / 255, rtol=1e-6)
    assert not model.network_.pixels.is_binary
    assert set(np.unique(trained.test["X"])) == {0, 1}


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_grey_values_and_colours_are_measured_in_bits(tmp_path, caplog, shape):
    caplog.set_level("INFO", logger="latents")
    outcome = run(tmp_path, made_up(shape), likelihood="discretised")
    metrics, test = outcome.results["metrics"], outcome.test
    assert len(np.unique(test["X"])) > 50
    bits = -metrics["lower_bound_test"] / (np.prod(shape) * np.log(2))
    assert metrics["bits_per_dimension"] == pytest.approx(bits)
    assert 0 < bits < 8
    assert f"test bound {bits:.3f} bits per dimension" in caplog.text
    last = f"{metrics['lower_bound_test']:.2f} on test images (nats per image), {bits:.3f} bits per dimension"
    assert last in caplog.text
    assert outcome.model.network_.pixels.n_channels == (3 if len(shape) == 3 else 1)
    for likelihood in ("bernoulli", "gaussian"):
        others = run(tmp_path, made_up(shape), likelihood=likelihood, epochs=1).results["metrics"]
        assert "bits_per_dimension" not in others


def test_the_half_trained_model_is_looked_at(tmp_path, caplog):
    caplog.set_level("INFO", logger="latents")
    outcome = run(tmp_path, made_up())
    model, test, monitor = outcome.model, outcome.test, outcome.monitor
    found = outcome.snapshots.load()
    assert list(found) == [2, 4]
    assert found[4]["images"].shape == (3, 3, 6, 5)
    # The last look is at the model that is kept.
    rows = np.linspace(0, 26, 7).astype(int)
    likelihoods = model.log_likelihood(test["X"][rows], test["y"][rows], n_samples=5)
    bounds = model.score_samples(test["X"], test["y"])
    expected = bounds.mean() + (likelihoods - bounds[rows]).mean()
    assert float(found[4]["log_likelihood_test"]) == pytest.approx(expected)
    assert float(found[4]["lower_bound_test"]) == pytest.approx(model.score(test["X"], test["y"]))
    expected = model.sample(np.repeat(model.classes_, 3), random_state=0).reshape(3, 3, 6, 5)
    np.testing.assert_allclose(found[4]["images"], expected, atol=1e-6)
    curve = model.history_["log_likelihood_test"]
    np.testing.assert_array_equal(np.isnan(curve), [True, False, True, False])
    told = [call for call in monitor.told if call[:2] == ("VAE epochs", "log_likelihood_test")]
    assert told == [("VAE epochs", "log_likelihood_test", curve[i], i + 1) for i in (1, 3)]
    for epoch in (2, 4):
        bounds = [model.history_[name][epoch - 1] for name in ("lower_bound", "lower_bound_test")]
        for said in (
            f"bound {bounds[0]:.2f} in training, {bounds[1]:.2f} on test images",
            f"test bound {bounds[1]:.2f}, log p(x | y) {curve[epoch - 1]:.2f}",
        ):
            assert f"epoch {epoch}: {said}" in caplog.text
    assert "epoch 3:" not in caplog.text
    learning = outcome.drawn["learning"]
    told = [text.get_text() for text in learning.axes[0].texts]
    assert [text for text in told if "epoch " in text] == ["epoch 2", "epoch 4"]

    # A fit that begins anew forgets the former one's drawings.
    outcome = run(tmp_path, made_up(), watch={"every": None}, epochs=1)
    assert outcome.snapshots.load() == {}
    assert any("cvae.watch.every" in text.get_text() for text in outcome.drawn["learning"].axes[0].texts)


def test_each_test_image_has_its_numbers(trained):
    model, test, results = trained.model, trained.test, trained.results
    table, metrics = results["latents"], results["metrics"]
    np.testing.assert_allclose(table["lower_bound"], model.score_samples(test["X"], test["y"]))
    np.testing.assert_allclose(
        table["log_likelihood"], model.log_likelihood(test["X"], test["y"], n_samples=5), rtol=1e-6
    )
    np.testing.assert_allclose(table[["z1", "z2", "z3"]], model.transform(test["X"], test["y"]), rtol=1e-6)
    known = table.dropna(subset="predicted")
    assert len(known) == 12 == metrics["n_marginal_images"]
    X = test["X"][known.index]
    assert known["predicted"].tolist() == model.predict(X, n_samples=5).tolist()
    shares = model.predict_proba(X, n_samples=5)
    own = np.searchsorted(model.classes_, known["label"])
    np.testing.assert_allclose(known["p_label"], shares[np.arange(12), own], rtol=1e-6)
    assert metrics["accuracy_bayes"] == (known["predicted"] == known["label"]).mean()
    np.testing.assert_allclose(known["log_marginal"], model.log_marginal(X, n_samples=5), rtol=1e-6)


def test_likelihoods_of_some_images_are_carried_over_to_all(tmp_path):
    outcome = run(tmp_path, made_up(n=240), epochs=12)
    model, test, results = outcome.model, outcome.test, outcome.results
    table, metrics = results["latents"], results["metrics"]
    assert metrics["log_likelihood_test"] == pytest.approx(table["log_likelihood"].mean())
    joint = model.class_log_likelihood(test["X"], n_samples=200) + np.log(model.class_prior_)
    exact = np.logaddexp.reduce(joint, axis=1)
    # Twelve images by themselves say little of all of them.
    error = abs(metrics["log_marginal_test"] - exact.mean())
    assert error < 0.5 * exact.std() / np.sqrt(12)
    assert error < 0.4
    some = table.assign(log_likelihood=table["log_likelihood"].where(table.index % 6 == 0))
    carried = measuring.likelihoods(model, some)
    assert carried["log_likelihood_test"] == pytest.approx(metrics["log_likelihood_test"], abs=0.3)
    assert carried["log_likelihood_test"] != metrics["log_likelihood_test"]


def test_the_error_of_a_mean_over_all_images_is_the_usual_one(trained):
    table, metrics = trained.results["latents"], trained.results["metrics"]
    assert metrics["log_likelihood_test_error"] == pytest.approx(table["log_likelihood"].sem())
    whole = table.assign(log_marginal=table["lower_bound"] + 0.3, p_label=0.5, log_likelihood=table["kl"])
    errors = measuring.likelihoods(trained.model, whole)
    # log p(x) of an image, whose class says log p(y) - log p(y | x).
    above = np.log(trained.model.class_prior_[np.searchsorted(trained.model.classes_, whole["label"])] / 0.5)
    assert errors["log_marginal_test_error"] == pytest.approx((whole["kl"] + above).sem())
    measuring_one = table.assign(log_likelihood=table["log_likelihood"].where(table.index == 0))
    assert not [name for name in measuring.likelihoods(trained.model, measuring_one) if "error" in name]


@pytest.mark.parametrize(("n_second", "n_third"), [(40, 40), (20, 5), (3, 40)])
def test_the_error_of_a_sum_of_means_is_how_far_it_strays(n_second, n_third):
    rng = np.random.default_rng(0)
    # Bounds that differ much, what is added little, and against each other.
    factor = np.array([[5.0, 0, 0], [-0.5, 1, 0], [0.3, -0.4, 0.6]])
    sums, errors = [], []
    for _ in range(2000):
        values = pd.DataFrame(rng.standard_normal((40, 3)) @ factor.T)
        values[1] = values[1].where(values.index < n_second)
        values[2] = values[2].where(values.index % (40 // n_third) == 0)
        sums.append(values.mean().sum())
        errors.append(measuring.error_of_sum([values[i] for i in values]))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(sums), rel=0.06)


def test_classes_are_means_over_their_images(trained):
    results = trained.results
    table, classes = results["latents"], results["class_table"].set_index("label")
    assert set(classes.index) == set(LABELS)
    for label, row in classes.iterrows():
        own = table[table["label"] == label]
        assert row["n_images"] == len(own)
        for name in ("lower_bound", "reconstruction", "kl", "log_likelihood"):
            assert row[name] == pytest.approx(own[name].mean())
            assert row[f"{name}_error"] == pytest.approx(own[name].std() / np.sqrt(len(own)))
        known = own.dropna(subset="predicted")
        assert row["accuracy"] == pytest.approx((known["predicted"] == label).mean())
    assert classes["n_marginal_images"].sum() == 12
    np.testing.assert_array_equal(classes.loc[LABELS, "training_share"], trained.model.class_prior_)


def test_the_hardest_are_the_lowest_bounds(trained):
    model, test, results = trained.model, trained.test, trained.results
    found, bounds = results["hardest_table"], results["latents"]["lower_bound"]
    np.testing.assert_array_equal(found["lower_bound"], np.sort(bounds)[:5])
    places = np.argsort(bounds.to_numpy(), kind="stable")[:5]
    np.testing.assert_array_equal(found["row"], test["rows"][places])
    assert found["name"].tolist() == [f"{row:02}.png" for row in found["row"]]
    assert found["label"].tolist() == made_up()["labels"][found["row"]].tolist()
    np.testing.assert_array_equal(results["hardest"]["originals"], test["X"][places])
    shares = model.predict_proba(test["X"][places], n_samples=5)
    np.testing.assert_allclose(found["probability"], shares.max(axis=1), rtol=1e-6)
    assert found["taken_for"].tolist() == model.classes_[shares.argmax(axis=1)].tolist()
    said = [text.get_text() for text in trained.drawn["hardest"].axes[0].texts]
    assert found["name"][0] in said


def test_ways_lead_within_and_between_classes(tmp_path):
    outcome = run(tmp_path, made_up(), prior="per_class")
    model, test, results = outcome.model, outcome.test, outcome.results
    paths = results["paths"]
    same = paths["labels"][:, 0] == paths["labels"][:, 1]
    assert same.tolist() == [True, True, False, False]
    for way, ends, labels in zip(paths["between_images"], paths["images"], paths["labels"], strict=True):
        expected = model.interpolate(ends[:1], labels[:1], ends[1:], labels[1:], steps=3)[0]
        np.testing.assert_allclose(way, expected, atol=1e-5)
    for way, (before, after) in zip(paths["between_classes"], paths["class_labels"], strict=True):
        assert before != after
        image = test["X"][np.flatnonzero(test["y"] == before)[:1]]
        np.testing.assert_allclose(way[:1], model.reconstruct(image, [before]), atol=1e-5)
        np.testing.assert_allclose(way[-1:], model.restyle(image, [before], [after]), atol=1e-5)
    for row, image, label in zip(paths["restyled"], paths["styled"], paths["styled_labels"], strict=True):
        own = int(np.flatnonzero(model.classes_ == label)[0])
        np.testing.assert_allclose(row[own], model.reconstruct(image[None], [label])[0], atol=1e-5)
    assert paths["restyled"].shape == (3, 3, 30)


def test_the_most_active_latents_are_moved(trained):
    model, test, results = trained.model, trained.test, trained.results
    traversals = results["traversals"]
    variances = model.latent_variances(test["X"], test["y"])
    assert traversals["latents"].tolist() == np.argsort(-variances)[:2].tolist()
    np.testing.assert_array_equal(traversals["variances"], variances[traversals["latents"]])
    assert traversals["grids"].shape == (2, 3, 6, 30)
    expected = model.traverse(["frame"], latents=traversals["latents"], values=traversals["values"])[0]
    np.testing.assert_allclose(traversals["grids"][:, 2], expected, atol=1e-6)


def test_numbers_as_labels_stay_numbers(tmp_path):
    outcome = run(tmp_path, made_up(n_classes=2, labels=np.array([7, 30])))
    results, drawn = outcome.results, outcome.drawn
    assert results["latents"]["predicted"].dropna().isin([7, 30]).all()
    assert set(results["hardest_table"]["label"]) <= {7, 30}
    assert list(drawn["confusion"].data[0].x) == ["7", "30"]


def test_a_class_without_test_images_is_left_out(tmp_path):
    data = made_up()
    data["held_out"] = np.zeros(90, dtype=bool)
    data["held_out"][[0, 3, 6, 1]] = True  # three of the first class, one of the second, none of the third
    outcome = run(tmp_path, data)
    results, drawn = outcome.results, outcome.drawn
    assert results["class_table"]["label"].tolist() == ["bar", "cross <b>"]
    assert np.isnan(results["class_table"]["lower_bound_error"][1])
    labels = results["paths"]["labels"]
    assert set(labels.ravel()) == {"bar", "cross <b>"}
    drawn["interpolations"].canvas.draw()
    assert results["paths"]["restyled"].shape[1] == 3


@pytest.mark.parametrize("class_weight", ["balanced", {7: 2.5}])
def test_classes_weigh_as_the_parameters_say(tmp_path, class_weight):
    labels = np.array([7, 30])[(np.arange(90) % 9 > 0).astype(int)]
    data = made_up(n_classes=2, labels=np.array([7, 30])) | {"labels": labels}
    weighing, plain = (run(tmp_path, data, class_weight=given).model for given in (class_weight, None))
    assert weighing.class_weight == class_weight
    assert weighing.history_["lower_bound"] != plain.history_["lower_bound"]


@pytest.mark.parametrize("class_weight", ["equal", {7: 0.0}, {7: "2"}, {None: 1.0}, {True: 1.0}, 2.0])
def test_class_weights_that_are_none_are_refused(class_weight):
    with pytest.raises(ValidationError, match="class_weight"):
        FitParameters(**FIT | {"class_weight": class_weight})


def test_many_classes(tmp_path):
    names = np.array([f"class {i:02}" for i in range(40)])
    rng = np.random.default_rng(0)
    data = {"images": rng.integers(0, 255, (240, 4, 4), dtype=np.uint8), "labels": names[np.arange(240) % 40]}
    outcome = run(tmp_path, data, epochs=1)
    results, drawn = outcome.results, outcome.drawn
    assert results["traversals"]["grids"].shape[1] == 10
    assert len(results["drawings"]["classes"]) == 10
    for name in ("generated", "styles", "traversals", "learning", "nearest"):
        drawn[name].canvas.draw()


def test_means_of_no_image_are_missing():
    table = pd.DataFrame(
        {
            "label": [0, 0],
            "lower_bound": [1.0, 3.0],
            "reconstruction": 2.0,
            "kl": 1.0,
            "log_likelihood": np.nan,
        }
    )
    table["predicted"] = pd.Series([0], index=[5]).convert_dtypes()
    model = SimpleNamespace(classes_=np.array([0, 1]), class_prior_=np.array([0.25, 0.75]))
    (row,) = measuring.by_class(table, model).to_dict("records")
    assert row["training_share"] == 0.25
    assert row["lower_bound"] == 2
    assert row["lower_bound_error"] == 1
    assert np.isnan(row["accuracy"])
    assert np.isnan(row["log_likelihood"])
    assert row["n_likelihood_images"] == row["n_marginal_images"] == 0
