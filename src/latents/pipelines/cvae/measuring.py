"""What the trained model says of test images, and what it makes of them."""

from __future__ import annotations  # so that naming ConditionalVAE in a signature does not import torch

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from latents import estimators
from latents.pipelines.cvae.parameters import EvaluateParameters
from latents.pipelines.images import evenly
from latents.pipelines.shared import Monitor

Arrays = Mapping[str, NDArray[Any]]

_VALUES = (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)  # standard deviations of p(z | y)
_AVERAGED = ("lower_bound", "reconstruction", "kl", "log_likelihood")


def describe(
    model: estimators.ConditionalVAE, test: Arrays, params: EvaluateParameters, monitor: Monitor
) -> pd.DataFrame:
    """Return a row for each test image.

    Its code ``z1``, ``z2``, ..., ``label``, ``lower_bound`` and its terms ``reconstruction`` and ``kl``; and,
    NaN where it is none of those measured, ``log_likelihood`` (log p(x | y)), ``log_marginal`` (log p(x)),
    ``p_label`` (p(y | x) of its class) and ``predicted``, the likeliest class. Nats.
    """
    X, y = test["X"], test["y"]
    reconstruction, kl = model.bound_terms(X, y)
    likely, marginal = (
        evenly(len(X), len(X) if n is None else n)
        for n in (params.n_likelihood_images, params.n_marginal_images)
    )
    n_samples, n_classes = params.n_importance_samples, len(model.classes_)
    with monitor.watch("log p(x | y)", total=len(likely), log_metrics=False) as callback:
        log_likelihood = model.log_likelihood(X[likely], y[likely], n_samples=n_samples, callback=callback)
    with monitor.watch("log p(x)", total=len(marginal) * n_classes, log_metrics=False) as callback:
        by_class = model.class_log_likelihood(X[marginal], n_samples=n_samples, callback=callback)
    log_marginal, shares = estimators.bayes(by_class, model.class_prior_)
    own = np.searchsorted(model.classes_, y[marginal])

    z = model.transform(X, y)
    table = pd.DataFrame(z, columns=[f"z{i}" for i in range(1, z.shape[1] + 1)]).assign(
        lower_bound=reconstruction - kl, reconstruction=reconstruction, kl=kl, label=y
    )
    table["log_likelihood"] = pd.Series(log_likelihood, index=likely)
    table["log_marginal"] = pd.Series(log_marginal, index=marginal)
    table["p_label"] = pd.Series(shares[np.arange(len(own)), own], index=marginal)
    # A type that has a value for "missing", so that whole numbers stay such.
    table["predicted"] = pd.Series(model.classes_[shares.argmax(axis=1)], index=marginal).convert_dtypes()
    return table


def likelihoods(model: estimators.ConditionalVAE, table: pd.DataFrame) -> dict[str, float]:
    """Estimate the mean log p(x | y) and log p(x) of all test images, though only some are measured.

    The former by ``carried_over``. The latter in the same way: log p(x) lies above log p(x | y) by log p(y) -
    log p(y | x), whose mean over the images that have it is added. With each comes its standard error,
    ``<name>_error``, unless a single image was measured: see ``error_of_sum``.
    """
    likely = table.dropna(subset="log_likelihood")
    known = table.dropna(subset="p_label")
    share_of_class = model.class_prior_[np.searchsorted(model.classes_, known["label"])]
    shares = np.maximum(known["p_label"], np.finfo(np.float64).tiny)
    above = pd.Series(np.log(share_of_class) - np.log(shares), index=known.index)
    likelihood = carried_over(table["lower_bound"].mean(), likely["log_likelihood"], likely["lower_bound"])
    of_bound = [table["lower_bound"], table["log_likelihood"] - table["lower_bound"]]
    errors = {
        "log_likelihood_test_error": error_of_sum(of_bound),
        "log_marginal_test_error": error_of_sum([*of_bound, above.reindex(table.index)]),
    }
    return {
        "log_likelihood_test": likelihood,
        "log_marginal_test": likelihood + float(above.mean()),
        **{name: error for name, error in errors.items() if np.isfinite(error)},
    }


def error_of_sum(columns: Sequence[pd.Series]) -> float:
    r"""Return the standard error of a sum of means, each over those of the same N images that have a value.

    With values v_ci of n_c images, and deviations 0 where there is none,

    .. math::

        \sqrt{\sum_i \Big(\sum_c \frac{v_{ci} - \bar v_c}{\sqrt{n_c (n_c - 1)}}\Big)^2},

    which is s / sqrt(N) of the sums where all images have all values. NaN where a column has only one.
    """
    total = pd.Series(0.0, index=columns[0].index)
    for column in columns:
        n = column.count()
        if n == 1:
            return float("nan")
        total += ((column - column.mean()) / np.sqrt(n * (n - 1))).fillna(0)
    return float(np.sqrt(total.pow(2).sum()))


def carried_over(mean_bound: float, likelihoods: ArrayLike, bounds: ArrayLike) -> float:
    """Estimate the mean of log p(x | y) over all images, of which some have been measured.

    Images differ by tens of nats in it, and by few in how far it lies above the bound, which all have. So the mean
    of that difference over those measured is added to the mean bound of all.

    Parameters
    ----------
    mean_bound : float
        Of all images.
    likelihoods, bounds : array-like of shape (n,)
        Of those measured.
    """
    return float(mean_bound + np.mean(np.asarray(likelihoods) - np.asarray(bounds)))


def bits_per_dimension(model: estimators.ConditionalVAE, bound: float) -> dict[str, float]:
    """Return what a bound in nats per image comes to in bits per pixel and colour, -L / (p ln 2), by its name.

    Of discretised pixels only: any model of 8-bit images can be held against it. Others have nothing of the kind.
    """
    if model.likelihood != "discretised":
        return {}
    return {"bits_per_dimension": -bound / (model.n_features_in_ * np.log(2))}


def by_class(table: pd.DataFrame, model: estimators.ConditionalVAE) -> pd.DataFrame:
    """Return a row for each class that has test images: means over them, and their standard errors.

    Columns ``label``, ``n_images``, ``training_share``, that of the training images, those of ``_AVERAGED``, each
    with its ``<name>_error``, ``accuracy`` of argmax p(y | x), and the numbers of images that the two measured on
    some were measured on.
    """
    shares = dict(zip(model.classes_.tolist(), model.class_prior_.tolist(), strict=True))
    rows = []
    for label, own in table.groupby("label"):
        row: dict[str, Any] = {"label": label, "n_images": len(own), "training_share": shares[label]}
        for name in _AVERAGED:
            row[name] = own[name].mean()
            row[f"{name}_error"] = own[name].sem()
        known = own["predicted"].dropna()
        row["n_likelihood_images"] = int(own["log_likelihood"].notna().sum())
        row["accuracy"] = (known == label).astype(np.float64).mean()  # NaN where none was measured
        row["n_marginal_images"] = len(known)
        rows.append(row)
    return pd.DataFrame(rows)


def hardest(
    model: estimators.ConditionalVAE,
    test: Arrays,
    names: NDArray[Any] | None,
    table: pd.DataFrame,
    params: EvaluateParameters,
) -> tuple[pd.DataFrame, dict[str, NDArray[Any]]]:
    """Find the test images of the lowest bounds.

    Returns
    -------
    table : DataFrame
        The lowest first: ``row`` among all images, ``name`` where known, ``label``, ``lower_bound`` and its terms,
        ``taken_for`` (the likeliest class by Bayes) and ``probability`` (p(y | x) of that class).
    arrays : mapping
        ``originals`` as the model saw them, and ``rebuilt``, rows of pixels.
    """
    places = np.argsort(table["lower_bound"].to_numpy(), kind="stable")[: params.n_hardest]
    X, y = test["X"][places], test["y"][places]
    shares = model.predict_proba(X, n_samples=params.n_importance_samples)
    found = pd.DataFrame({"row": test["rows"][places]})
    if names is not None:
        found["name"] = names[found["row"]]
    found["label"] = y
    for name in ("lower_bound", "reconstruction", "kl"):
        found[name] = table[name].to_numpy()[places]
    found["taken_for"] = model.classes_[shares.argmax(axis=1)]
    found["probability"] = shares.max(axis=1)
    return found, {"originals": X, "rebuilt": model.reconstruct(X, y)}


def paths(
    model: estimators.ConditionalVAE, test: Arrays, params: EvaluateParameters
) -> dict[str, NDArray[Any]]:
    """Lead images into one another, and classes.

    Returns
    -------
    mapping
        ``between_images`` (n, steps, p) with their ends ``images`` (n, 2, p) and ``labels`` (n, 2): the first half
        within classes where there are two images of one, the others from class to class. ``between_classes``
        (m, steps, p) with ``class_labels`` (m, 2): one image's latents while the class moves. ``styled`` (k, p)
        with ``styled_labels`` (k), and as every class ``restyled`` (k, C, p).
    """
    X, y, classes = test["X"], test["y"], model.classes_
    of_class = [np.flatnonzero(y == label) for label in classes]
    there = [code for code, rows in enumerate(of_class) if len(rows)]
    twice = [code for code, rows in enumerate(of_class) if len(rows) > 1]
    within = [twice[i] for i in evenly(len(twice), params.n_paths // 2)] if twice else []
    begins = [there[i] for i in evenly(len(there), params.n_paths - len(within))]
    following = dict(zip(there, there[1:] + there[:1], strict=True))
    pairs = [(of_class[code][0], of_class[code][-1]) for code in within]
    pairs += [(of_class[code][0], of_class[following[code]][-1]) for code in begins]
    from_, to = np.array(pairs).T
    moving = [there[i] for i in evenly(len(there), params.n_paths)]
    styled = np.array([of_class[code][0] for code in moving])

    shares = np.linspace(0, 1, params.n_steps)
    corners = np.eye(len(classes))
    weights = [
        corners[code] + share * (corners[following[code]] - corners[code])
        for code in moving
        for share in shares
    ]
    starts = np.repeat(styled, params.n_steps)
    moved = model.restyle(X[starts], y[starts], np.array(weights))
    every = np.tile(np.arange(len(classes)), len(styled))
    restyled = model.restyle(
        X[np.repeat(styled, len(classes))], y[np.repeat(styled, len(classes))], classes[every]
    )
    return {
        "between_images": model.interpolate(X[from_], y[from_], X[to], y[to], steps=params.n_steps),
        "images": np.stack([X[from_], X[to]], axis=1),
        "labels": np.stack([y[from_], y[to]], axis=1),
        "between_classes": moved.reshape(len(moving), params.n_steps, -1),
        "class_labels": np.array([[classes[code], classes[following[code]]] for code in moving]),
        "styled": X[styled],
        "styled_labels": y[styled],
        "restyled": restyled.reshape(len(styled), len(classes), -1),
    }


def traversals(
    model: estimators.ConditionalVAE, test: Arrays, params: EvaluateParameters
) -> dict[str, NDArray[Any]]:
    """Move the most active latents one at a time.

    Returns
    -------
    mapping
        ``grids`` (K, C', V, p) of the latents ``latents`` (K, counted from 0), which have ``variances`` (K), for
        ``classes`` (C') and ``values`` (V) in standard deviations of p(z | y).
    """
    variances = model.latent_variances(test["X"], test["y"])
    latents = np.argsort(-variances, kind="stable")[: params.n_traversed]
    classes = model.classes_[evenly(len(model.classes_), params.n_traversed_classes)]
    grids = model.traverse(classes, latents=latents, values=_VALUES)
    return {
        "grids": grids.transpose(1, 0, 2, 3),
        "latents": latents,
        "variances": variances[latents],
        "classes": classes,
        "values": np.array(_VALUES),
    }
