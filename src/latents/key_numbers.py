"""What the numbers in ``metrics.json`` are called, their units, and how they are rounded for people."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from latents import rounding


class KeyNumber(NamedTuple):
    """The name of a metric, how its values are written, and their unit (none for seconds, which carry it)."""

    name: str
    write: Callable[[float], str]
    unit: str = ""


_NATS = "nats per image"

KEY_NUMBERS = {
    # clustering
    "nmi": KeyNumber("NMI", rounding.score),
    "ari": KeyNumber("ARI", rounding.score),
    "accuracy": KeyNumber("Accuracy", rounding.share),
    "heldout_accuracy": KeyNumber("Held-out accuracy", rounding.share),
    "heldout_perplexity": KeyNumber("Held-out perplexity", rounding.number, "words"),
    "npmi": KeyNumber("NPMI", rounding.score),
    "lower_bound": KeyNumber("Objective", rounding.nats),  # as a fit goes on
    "tempered_bound": KeyNumber("Tempered objective", rounding.nats),
    "log_likelihood": KeyNumber("Log-likelihood", rounding.whole, "nats"),
    "bic": KeyNumber("BIC", rounding.whole),
    "icl": KeyNumber("ICL", rounding.whole),
    "n_iter": KeyNumber("EM steps", rounding.whole),
    # pca, of which the unit of errors depends on what the samples are (error_unit)
    "n_components": KeyNumber("Components", rounding.whole),
    "distortion": KeyNumber("J", rounding.number),
    "heldout_distortion": KeyNumber("Held-out error", rounding.number),
    "n_outlying": KeyNumber("Outlying", rounding.whole),
    "explained_variance_ratio": KeyNumber("Variance kept", rounding.share),
    "missing_share": KeyNumber("Numbers missing", lambda value: f"{value:.1%}"),
    "distortion_gap": KeyNumber("Gap", lambda value: rounding.number(value, 2)),
    "fit_seconds": KeyNumber("Fit", rounding.seconds),
    # cvae
    "lower_bound_test": KeyNumber("Test lower bound", rounding.nats, _NATS),
    "lower_bound_train": KeyNumber("Training lower bound", rounding.nats, _NATS),
    "reconstruction": KeyNumber("Reconstruction", rounding.nats, _NATS),
    "kl": KeyNumber("KL", rounding.nats, _NATS),
    "kl_standard_prior": KeyNumber("KL to N(0, I)", rounding.nats, _NATS),
    "log_likelihood_test": KeyNumber("log p(x | y)", rounding.nats, _NATS),
    "log_marginal_test": KeyNumber("log p(x)", rounding.nats, _NATS),
    "bits_per_dimension": KeyNumber("Bits per dimension", lambda value: f"{value:.3f}"),
    "accuracy_bayes": KeyNumber("Accuracy of p(y | x)", rounding.share),
    "accuracy_drawn": KeyNumber("Drawings recognised", rounding.share),
    "accuracy_classifier": KeyNumber("Test images recognised", rounding.share),
    "nearest_distance_ratio": KeyNumber("Distance to training images", rounding.score, "times test images'"),
    "active_units": KeyNumber("Active units", rounding.whole),
    "seconds_per_epoch": KeyNumber("Epoch", rounding.seconds),
}


def written(metric: str, value: float) -> str:
    """Write the value of a metric for a terminal or a log, without its unit; of one not listed, as any number.

    A minus is the character that one types.
    """
    write = KEY_NUMBERS[metric].write if metric in KEY_NUMBERS else rounding.number
    return typed(write(value))


def with_error(metrics: Mapping[str, float], metric: str) -> str:
    """Write one of `KEY_NUMBERS` for a page, beside it its standard error where there is one, ``<metric>_error``.

    >>> with_error({"log_marginal_test": -82.5644, "log_marginal_test_error": 0.3149}, "log_marginal_test")
    '−82.56 ± 0.31'
    """
    names = [name for name in (metric, f"{metric}_error") if name in metrics]
    return " ± ".join(KEY_NUMBERS[metric].write(metrics[name]) for name in names)


def typed(text: str) -> str:
    """Return a text in characters that one types, as terminals and logs have them."""
    return text.replace(rounding.MINUS, "-").replace("±", "+/-")


def error_unit(shape: Sequence[int]) -> str:
    """Return the unit of squared errors of samples of a shape: (height, width[, 3]), or (n_features,)."""
    units = {2: "squared grey levels per image", 3: "squared colour values per image"}
    return units.get(len(shape), "squared input units per row")
