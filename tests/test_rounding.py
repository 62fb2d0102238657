import math
import re

import pytest

from latents import rounding
from latents.key_numbers import error_unit, written

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (187.433, "187"),
        (18846, "18,846"),
        (1234567.8, "1,234,568"),
        (0.63124, "0.631"),
        (9.996, "10.0"),
        (0.0, "0"),
        (1.23456e-5, f"1.23e{MINUS}05"),
        (4.414e12 + 0.5, "4.41e+12"),
        (-math.inf, f"{MINUS}∞"),
    ],
)
def test_measured_numbers_have_three_digits(value, text):
    assert rounding.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "< 0.01 s"),
        (0.0161, "0.016 s"),
        (0.07645, "0.076 s"),
        (0.5, "0.50 s"),
        (13.735, "14 s"),
        (99.4, "99 s"),
        (99.6, "1.7 min"),
        (971.3, "16 min"),
        (7260, "2.0 h"),
        (1e6, "278 h"),
    ],
)
def test_times_have_two_digits_and_a_unit(value, text):
    assert rounding.seconds(value) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("lower_bound_test", -19.956252, "-19.96"),
        ("kl", -0.001, "0.00"),  # of what rounds to nothing no sign is left
        ("nmi", 0.68167, "0.68"),
        ("accuracy", 0.548996, "54.9%"),
        ("heldout_perplexity", 610.466, "610"),
        ("log_likelihood", -553951.1079, "-553,951"),
        ("n_iter", 1412, "1,412"),
        ("distortion_gap", 1.57878e-16, "1.6e-16"),
        ("fit_seconds", 0.07645, "0.076 s"),
        ("of the user's own", 0.123456, "0.123"),
    ],
)
def test_a_metric_is_written_by_what_it_is(metric, value, text):
    assert written(metric, value) == text


@pytest.mark.parametrize("write", [rounding.number, rounding.nats, rounding.share, rounding.score])
def test_what_is_no_finite_number_says_so(write):
    assert write(math.nan) == "not a number"
    assert write(math.inf) == "∞"


def test_the_unit_of_errors_is_that_of_the_samples():
    units = [error_unit(shape) for shape in [(8, 8), (8, 8, 3), (13,)]]
    assert [re.sub("squared (.*) per (.*)", r"\1, \2", unit) for unit in units] == [
        "grey levels, image",
        "colour values, image",
        "input units, row",
    ]
