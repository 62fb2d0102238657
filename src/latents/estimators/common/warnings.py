"""Warnings that point at the caller's line."""

import inspect
import warnings

_ESTIMATORS = __name__.partition(".common.")[0]


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line outside of the estimators' package that called it, through however many of its methods."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_ESTIMATORS):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
