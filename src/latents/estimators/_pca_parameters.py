"""What ``MinimumErrorPCA`` accepts as arguments, alone and together with a solver and a shape."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from latents.estimators._pca_solvers import FULL_SPECTRUM, SOLVERS

_NORMALIZERS = ("auto", "QR", "LU", "none")


def _is_integer(value: Any, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def _is_fraction(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, Integral) and 0 < float(value) < 1


def _is_one_of(value: Any, names: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in names


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


# Argument -> (test, what is allowed).
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "n_components": (
        lambda v: v is None or _is_one_of(v, ("mle",)) or _is_integer(v, 0) or _is_fraction(v),
        "None, 'mle', integers of at least 0, fractions strictly between 0 and 1",
    ),
    "copy": (_is_boolean, "True, False"),
    "whiten": (_is_boolean, "True, False"),
    "svd_solver": (lambda v: _is_one_of(v, SOLVERS), ", ".join(map(repr, SOLVERS))),
    "tol": (
        lambda v: isinstance(v, Real) and not isinstance(v, bool) and 0 <= float(v) < np.inf,
        "finite numbers of at least 0",
    ),
    "iterated_power": (
        lambda v: _is_one_of(v, ("auto",)) or _is_integer(v, 0),
        "'auto', integers of at least 0",
    ),
    "n_oversamples": (lambda v: _is_integer(v, 1), "integers of at least 1"),
    "power_iteration_normalizer": (
        lambda v: _is_one_of(v, _NORMALIZERS),
        ", ".join(map(repr, _NORMALIZERS)),
    ),
}


def check_parameters(estimator: Any) -> None:
    """Raise ValueError for the first argument of `estimator` that no data could make sense of."""
    for name, (is_allowed, allowed) in _RULES.items():
        value = getattr(estimator, name)
        if not is_allowed(value):
            raise ValueError(f"{name}={value!r} is not allowed; allowed are {allowed}")


def resolve_components(n_components: Any, solver: str, shape: tuple[int, ...]) -> Any:
    """Return `n_components` with None made a number.

    Raises
    ------
    ValueError
        If the solver, or data of this shape, cannot give what is asked for.
    """
    n_samples, n_features = shape
    most = min(shape)
    found = f"X has n_samples={n_samples}, n_features={n_features}"
    if n_components is None:
        n_components = most - 1 if solver == "arpack" else most
    if isinstance(n_components, str):
        if solver not in FULL_SPECTRUM:
            raise ValueError(
                f"n_components={n_components!r} cannot be a string with svd_solver={solver!r};"
                f" allowed are the solvers of the whole spectrum, {', '.join(FULL_SPECTRUM)}"
            )
        if n_samples < n_features:
            raise ValueError(f"n_components='mle' is only supported if n_samples >= n_features; {found}")
        return n_components
    least = 0 if solver in FULL_SPECTRUM else 1
    if not least <= n_components <= most:
        raise ValueError(
            f"n_components={n_components} must be between {least} and"
            f" min(n_samples, n_features)={most} with svd_solver={solver!r}; {found}"
        )
    if solver == "arpack" and n_components == most:
        raise ValueError(
            f"n_components={n_components} must be strictly less than"
            f" min(n_samples, n_features)={most} with svd_solver='arpack'; {found}"
        )
    return n_components
