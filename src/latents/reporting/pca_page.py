"""The report page of PCA: which numbers and figures stand there, and what to read in them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from latents.key_numbers import error_unit
from latents.reporting.pca.slider import Slider
from latents.reporting.report import Section, chosen, render_report

# What the criteria ask for, and what their curves mean.
_CHOICES = {
    "parallel": (
        "what can be told from noise, by parallel analysis",
        "Dots are the variances along the directions. The line is what the largest one would be of columns that "
        "have nothing in common, of the variances that are left without the directions before: where the dots go "
        "under it, noise begins.",
    ),
    "cross_validation": (
        "the least error of held-out entries, by bi-cross-validation",
        "Rows and columns are parted in three, and each block of entries is predicted from the others by d "
        "directions. The line falls as long as one more tells something about entries that it has not seen, and "
        "rises where it tells noise.",
    ),
}


def pca(
    figures: Mapping[str, Any],
    worst: pd.DataFrame,
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
) -> str:
    """Return the report of the PCA pipeline as an HTML page.

    Parameters
    ----------
    figures : mapping
        ``slider``, ``distortion``, ``eigenimages``, ``loadings``, ``spectrum``, ``scatter``, ``worst``,
        ``errors``; ``choice``, which is shown where one of its criteria chose d; and ``imputed``, where `metrics`
        have a ``missing_share``. Where ``slider`` is no Slider, the data are a table of features.
    worst : DataFrame
        The rows of the largest errors; shown for a table of features.
    metrics : mapping
        The numbers of ``metrics.json``.
    parameters : mapping
        The pipeline's parameters.
    """
    lacks = "missing_share" in metrics
    are_images = isinstance(figures["slider"], Slider)
    one, what = ("image", "pixels") if are_images else ("row", "features")
    shape = figures["slider"].data["shape"] if are_images else (int(metrics["n_features"]),)
    unit = error_unit(shape)
    asked = _asked(parameters["fit"], int(metrics["n_components"]), unit)
    numbers = chosen(
        metrics,
        [
            ("n_components", f"Numbers kept of each {one}. {asked}".strip()),
            (
                "distortion",
                f"Mean squared error of a rebuilt training {one}, from the discarded eigenvalues.",
            ),
            (
                "heldout_distortion",
                f"Mean over {one}s not trained on, each a sum over its numbers that are not missing."
                if lacks
                else f"The same, measured on {one}s not trained on.",
            ),
            (
                "n_outlying",
                f"Training {one}s that lie apart from the others: left out of the fit, and marked below.",
            ),
            ("explained_variance_ratio", "Share of the total variance along the components."),
            ("missing_share", "Share of the numbers that are missing, and were estimated."),
            ("distortion_gap", "Relative difference between J and the measured error: rounding."),
            ("fit_seconds", "Wall time of the fit."),
        ],
        {"distortion": unit, "heldout_distortion": unit},
    )
    where = "They lie on the line."
    if lacks:
        where = (
            "They are sums over the numbers that are not missing, and lie below it: J is the error that is "
            "expected of whole rows."
        )
    price = Section(
        "The price of d numbers",
        f"{asked} The blue line is J(d), the sum of the discarded eigenvalues: what theory says the error is. The "
        f"circles are errors measured by rebuilding every training {one} from d numbers. {where} Orange, where "
        f"{one}s are held out, is the same for those; the further above, the more the basis has learnt by "
        "heart.".strip(),
        figures["distortion"],
    )
    choice = []
    if parameters["fit"]["n_components"] in _CHOICES:
        meaning = _CHOICES[parameters["fit"]["n_components"]][1]
        choice = [Section("Why so many", f"{asked} {meaning}", figures["choice"])]
    variance = Section(
        "How the variance is spread",
        "Share of the variance along each direction and its running sum. A steep start means that few "
        "numbers tell most of the story; a bend is a natural place to stop.",
        figures["spectrum"],
    )
    spread = Section(
        "How the errors are spread",
        f"How many {one}s are off by how much. A long tail to the right is where to look for outliers; the worst "
        "are marked below, point at them for their names. Held-out errors further right than those of training "
        "mean that the basis is too fine for so few data."
        + (
            " Dotted is where a robust fit draws the line: training beyond it was left out, and what is held out "
            "still counts in its mean."
            if "n_outlying" in metrics
            else ""
        ),
        figures["errors"],
    )
    if are_images:
        reading = "Mid-grey is no change" if len(shape) == 3 else "Red adds where blue takes away"
        sections = [
            Section(
                "What is left of an image",
                "Drag to rebuild images from more or fewer numbers, or press Play. All begin as the mean; every "
                "number adds one pattern, the strongest first, and the curve shows what error remains. The images "
                "are held-out ones, where there are any: the basis never saw them. slider.html, beside this page, "
                "is the same by itself.",
                figures["slider"],
            ),
            price,
            *choice,
            Section(
                "The patterns",
                f"The basis vectors as images, from the largest share of the variance down. {reading}, and the "
                "sign of a whole pattern is arbitrary.",
                figures["eigenimages"],
            ),
            variance,
            Section(
                "The first two numbers",
                "Every point is a training image at its first two coordinates: point at it to see the image. "
                "Labels, where known, colour the points and had no part in the fit. Images close together here "
                "may differ in all the other numbers.",
                figures["scatter"],
            ),
            Section(
                "Images that fit worst",
                "The largest errors of all images, trained on or not: odd ones, wrong ones, or a kind that the "
                "data have too little of. The last row is what no number of theirs could say. worst.csv lists "
                "them.",
                figures["worst"],
            ),
            spread,
        ]
    else:
        columns = {"held_out": "held out", "times_mean": "times mean", "deviations": "deviates most in"}
        sections = [
            price,
            *choice,
            Section(
                "The patterns",
                "What each basis vector is made of: its largest weights, by the names of the features. Features "
                "in other units weigh as their numbers do: where one drowns the others, scale them before.",
                figures["loadings"],
            ),
            variance,
            Section(
                "The first two numbers",
                "Every point is a training row at its first two coordinates; point at it for its name. Labels, "
                "where known, colour the points and had no part in the fit.",
                figures["scatter"],
            ),
            Section(
                "Rows that fit worst",
                "The largest errors of all rows, trained on or not, how many times the mean error they are, and "
                "the features that deviate most from what the components say of the row.",
                worst.rename(columns=columns),
            ),
            spread,
        ]
    if lacks:
        gaps = Section(
            "What was missing",
            f"A few {one}s with missing numbers, and what the model expects there given those observed. It takes "
            "them to be missing at random: where numbers lack because of what they would be, it is wrong.",
            figures["imputed"],
        )
        sections.insert(sections.index(price) + 1, gaps)
    return render_report(
        "Images in few numbers" if are_images else "Rows in few numbers",
        f"{metrics['n_samples']:,} {one}s of {metrics['n_features']:,} {what}, each kept as "
        f"{metrics['n_components']} numbers by the basis of least squared error",
        numbers,
        sections,
        parameters,
        "J has divisor N; explained variance has N - 1, as in scikit-learn.",
    )


def _asked(fit: Mapping[str, Any], d: int, unit: str) -> str:
    """Say what was asked for, where the number of components was not."""
    if (share := fit["max_distortion_share"]) is not None:
        return f"Asked: an error of at most {_percent(share)} of the total → d = {d}."
    if (error := fit["max_distortion"]) is not None:
        return f"Asked: an error of at most {error:,g} {unit} → d = {d}."
    if fit["n_components"] == "mle":
        return f"Asked: Minka's choice by evidence → d = {d}."
    if fit["n_components"] in _CHOICES:
        return f"Asked: {_CHOICES[fit['n_components']][0]} → d = {d}."
    if isinstance(fit["n_components"], float):
        return f"Asked: more than {_percent(fit['n_components'])} of the variance → d = {d}."
    return ""


def _percent(share: float) -> str:
    return f"{100 * share:.6g} %"
