"""Charts of a VAE by class: bounds, confusion, priors."""

import numpy as np
import pandas as pd

from latents.reporting import cvae


def table(labels=("a", "b", "c"), **changes):
    n = len(labels)
    columns = {
        "label": list(labels),
        "n_images": [1000 + i for i in range(n)],
        "lower_bound": [-90.0 - 10 * i for i in range(n)],
        "lower_bound_error": [0.5] * n,
        "reconstruction": [-70.0 - 8 * i for i in range(n)],
        "reconstruction_error": [0.4] * n,
        "kl": [20.0 + 2 * i for i in range(n)],
        "kl_error": [0.1] * n,
        "log_likelihood": [-88.0 - 10 * i for i in range(n)],
        "log_likelihood_error": [0.5] * n,
        "accuracy": [0.99] * n,
        "training_share": [(1 + i) / (n * (n + 1) / 2) for i in range(n)],
    }
    return pd.DataFrame(columns | changes)


def test_classes_stand_from_the_hardest_down():
    figure = cvae.class_bounds(table())
    drawn = {trace.name: trace for trace in figure.data}
    assert set(drawn) == {
        "lower bound",
        "log p(x | y)",
        "reconstruction",
        "KL",
        "accuracy",
        "of the training images",
    }
    for trace in figure.data:
        assert list(trace.y) == ["c  (1,002)", "b  (1,001)", "a  (1,000)"]
    np.testing.assert_array_equal(drawn["lower bound"].x, [-110, -100, -90])
    np.testing.assert_array_equal(drawn["lower bound"].error_x.array, [0.5] * 3)
    np.testing.assert_array_equal(drawn["KL"].x, [24, 22, 20])
    assert drawn["lower bound"].xaxis == drawn["log p(x | y)"].xaxis
    assert len({trace.xaxis for trace in figure.data}) == 5
    assert drawn["accuracy"].error_x.array is None
    assert figure.layout.title.text == (
        "The hardest class is c (\N{MINUS SIGN}110.00 nats), the easiest a (\N{MINUS SIGN}90.00 nats)"
    )
    assert figure.layout.xaxis4.tickformat == ".0%"
    np.testing.assert_allclose(drawn["of the training images"].x, [3 / 6, 2 / 6, 1 / 6])


def test_classes_of_one_and_of_hostile_names_are_drawn():
    figure = cvae.class_bounds(table(["<b>a</b>"], accuracy=[np.nan], lower_bound_error=[np.nan]))
    assert figure.data[0].y[0] == "&lt;b&gt;a&lt;/b&gt;  (1,000)"
    assert "<b>" not in figure.layout.title.text
    long = cvae.class_bounds(table(["x" * 40 + "1", "x" * 40 + "2"]))
    assert len(set(long.data[0].y)) == 2
    assert all(len(shown) < 40 for shown in long.layout.yaxis.labelalias.values())


def test_a_table_of_an_earlier_version_is_drawn_without_what_it_lacks():
    figure = cvae.class_bounds(table().drop(columns="training_share"))
    assert "of the training images" not in {trace.name for trace in figure.data}


def test_classes_that_are_numbers_are_no_fractions():
    assert "class is 9 (" in cvae.class_bounds(table([7, 8, 9])).layout.title.text


def test_confusion_counts_images():
    figure = cvae.confusion(["a", "a", "a", "b"], ["a", "b", "a", "b"], ["a", "b", "c"])
    (heat,) = figure.data
    np.testing.assert_array_equal(heat.customdata, [[2, 1, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(heat.z, [[2 / 3, 1 / 3, 0], [0, 1, 0], [0, 0, 0]])
    assert list(heat.y) == ["a  (3)", "b  (1)", "c  (0)"]
    assert list(heat.x) == ["a", "b", "c"]
    assert figure.layout.title.text == "75.0% of 4 test images are likeliest in their own class"
    assert "1 image is taken" in figure.layout.title.subtitle.text


def test_confusion_of_numbers_and_of_many_classes():
    labels = np.arange(60)
    figure = cvae.confusion(labels, labels, labels)
    assert figure.data[0].texttemplate is None
    np.testing.assert_array_equal(figure.data[0].z, np.eye(60))
    assert "100.0% of 60" in figure.layout.title.text


def priors(**changes):
    arguments = {
        "points": np.arange(8.0).reshape(4, 2),
        "labels": ["a", "b", "a", "b"],
        "class_names": ["a", "aa", "b"],
        "means": [[0.0, 1.0], [5.0, 5.0], [2.0, 0.0]],
        "covariances": [np.eye(2), [[2.0, 1.0], [1.0, 2.0]], np.diag([4.0, 0.25])],
        "kl": 20.0,
        "kl_standard": 23.5,
        "axis_names": ("one", "two"),
    }
    return cvae.class_priors(**arguments | changes)


def test_priors_are_ellipses_of_one_standard_deviation():
    drawn = {trace.name: trace for trace in priors().data}
    circle = drawn["N(0, I)"]
    np.testing.assert_allclose(np.hypot(circle.x, circle.y), 1)
    for name, mean, covariance in (
        ("a", [0.0, 1.0], np.eye(2)),
        ("b", [2.0, 0.0], np.diag([4.0, 0.25])),
        ("aa", [5.0, 5.0], np.array([[2.0, 1.0], [1.0, 2.0]])),
    ):
        ellipse = drawn[f"p(z | {name})"]
        away = np.stack([ellipse.x, ellipse.y], axis=1) - mean
        np.testing.assert_allclose(np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away), 1)
    assert [trace.name for trace in priors().data if trace.showlegend is None] == [
        "N(0, I)",
        *("p(z | a)", "p(z | aa)", "p(z | b)"),
    ]
    assert drawn["p(z | b)"].legendgroup == drawn["b"].legendgroup
    assert drawn["p(z | a)"].line.color == drawn["a"].marker.color
    assert drawn["p(z | b)"].line.color == drawn["b"].marker.color
    assert len({trace.line.color for name, trace in drawn.items() if name.startswith("p(z")}) == 3
    np.testing.assert_array_equal(drawn["b"].x, [2.0, 6.0])


def test_priors_say_what_they_save():
    figure = priors()
    assert figure.layout.title.text == "The priors of the classes save 3.50 nats of KL an image"
    assert "KL to p(z | y) 20.00 nats, to N(0, I) 23.50" in figure.layout.title.subtitle.text
    assert "cost 1.00 nats" in priors(kl_standard=19.0).layout.title.text


def test_other_measurements_join_the_bound():
    history = {name: [-3.0, -2.0] for name in ("lower_bound", "reconstruction", "kl")}
    history |= {"importance_bound": [-2.5, -1.5], "log_likelihood_test": [np.nan, -1.0]}
    drawn = {trace.name: trace for trace in cvae.bound_per_epoch(history).data}
    np.testing.assert_array_equal(drawn["train, importance-weighted"].y, [-2.5, -1.5])
    np.testing.assert_array_equal(drawn["test, log p(x | y)"].y, [np.nan, -1.0])
    assert "markers" in drawn["test, log p(x | y)"].mode
    assert len({trace.yaxis for name, trace in drawn.items() if name.startswith(("train", "test"))}) == 1
