"""Labels and marks as they come: texts, some of which are numbers or truth values that were written down."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def numbers_if_whole(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels in text as whole numbers, if all of them are: 7 and -3, but not 007, 7.0 or an empty one.

    So the classes of data are the same, whatever kind of file they are read from. Labels of other types stay as
    they are.
    """
    if labels.dtype.kind not in "UO":
        return labels
    texts = labels.tolist()
    if not texts or not all(isinstance(label, str) and _WHOLE.fullmatch(label) for label in texts):
        return labels
    return np.array(list(map(int, texts)), dtype=np.int64)


def truth_of(mark: object) -> bool | None:
    """Return what a mark says that is true or false, or 1 or 0, as such or as a text; None if it is none of these.

    Any other text would count as true in Python, "False" and "no" included.
    """
    return _TRUTH.get(str(mark).strip().lower())
