"""The three models as scikit-learn estimators: mathematics, and nothing else.

Each is imported on first use, because torch takes seconds to load, and ``MinimumErrorPCA`` does without it.
"""

from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING

from latents.deferral import deferred

# scikit-learn imports these for functions that no estimator calls: they take longer than all else.
with deferred("pandas", "scipy.stats"):
    from latents.estimators.common.persistence import read

if TYPE_CHECKING:
    from latents.estimators.conditional_vae.estimator import ConditionalVAE
    from latents.estimators.conditional_vae.objective import bayes
    from latents.estimators.conditional_vae.pixels import binarise
    from latents.estimators.minimum_error_pca.estimator import MinimumErrorPCA
    from latents.estimators.multinomial_mixture.estimator import MultinomialMixture

_HOMES = {
    "ConditionalVAE": "conditional_vae.estimator",
    "MinimumErrorPCA": "minimum_error_pca.estimator",
    "MultinomialMixture": "multinomial_mixture.estimator",
    "bayes": "conditional_vae.objective",
    "binarise": "conditional_vae.pixels",
}
_ESTIMATORS = ("ConditionalVAE", "MinimumErrorPCA", "MultinomialMixture")


__all__ = ["ConditionalVAE", "MinimumErrorPCA", "MultinomialMixture", "bayes", "binarise", "load"]


def load(path: "str | PathLike[str]") -> "ConditionalVAE | MinimumErrorPCA | MultinomialMixture":
    """Read a saved estimator of any of the three classes.

    Parameters
    ----------
    path : path-like
        A file written by an estimator's ``save``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, of an unknown estimator, or of an unknown format version.
    """
    name = read(path).header["estimator"]
    if name not in _ESTIMATORS:
        raise ValueError(f"{path} holds a {name!r}; allowed are {', '.join(_ESTIMATORS)}")
    estimator: ConditionalVAE | MinimumErrorPCA | MultinomialMixture = __getattr__(name).load(path)  # type: ignore[attr-defined]
    return estimator


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
