"""What suits a set of images, where parameters say ``auto``: it follows from the images alone."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from latents.messages import some_of
from latents.pipelines.cvae.parameters import FitParameters

logger = logging.getLogger(__name__)

# MNIST is at 0.08, scikit-learn's digits, of 8 x 8 pixels, at 0.28, photographs at 0.5.
_GREYEST_INK = 0.3
# Sets of fewer images than the first, or the second: levels of a ladder, their width, and latents on each.
_SIZES = ((5_000, 3, 128, 4), (20_000, 4, 192, 6))
_LARGE = (6, 288, 8)
_EPOCHS = 100, 1437  # passes that do for so many images; of more, fewer make as many steps
_FEWEST_EPOCHS, _MOST_EPOCHS = 20, 300
_SMALLEST_BATCH, _LARGEST_BATCH = 16, 256
_STEPS_PER_EPOCH = 11  # at least, of batches larger than the smallest
_FEW = 10  # images of a class, from which hardly anything can be learned of it


class Choice(TypedDict):
    """Arguments of ``ConditionalVAE`` for which images were looked at."""

    likelihood: str
    n_latents: int
    hidden: list[int]
    epochs: int
    batch_size: int


def choose(shape: Sequence[int], greyness: float, labels: NDArray[Any], params: FitParameters) -> Choice:
    """Return what was asked for, and in place of ``auto`` what suits the images; say so in the log.

    Ink, near black and white, has Bernoulli pixels, and all else, colours too, discretised ones. More images bear
    a larger network, and fewer passes over them.

    Parameters
    ----------
    shape : sequence of int
        Of an image: height, width and, of colours, 3.
    greyness : float
        Mean of 4 g (1 - g) over the pixels g, in [0, 1], of training images: 0 of black and white, 1 of a
        medium grey.
    labels : ndarray of shape (N,)
        The classes of the training images.
    params : FitParameters
    """
    n_images = len(labels)
    is_ink = len(shape) == 2 and greyness <= _GREYEST_INK
    n_levels, width, n_each = next((size for most, *size in _SIZES if n_images < most), _LARGE)
    if params.hidden != "auto":
        n_levels = len(params.hidden)
    elif params.n_latents != "auto":
        n_levels = min(n_levels, params.n_latents)
    is_source = params.network == "reference"
    hidden = [500, 500] if is_source else [width] * n_levels
    n_latents = 40 if is_source else n_each * n_levels
    passes, of_images = _EPOCHS
    epochs = 5 * round(passes / 5 * (of_images / n_images) ** (1 / 3))
    batch_size = 2 ** int(np.log2(max(1, n_images / _STEPS_PER_EPOCH)))
    choice: Choice = {
        "likelihood": _asked(params.likelihood, "bernoulli" if is_ink else "discretised"),
        "n_latents": _asked(params.n_latents, n_latents),
        "hidden": _asked(params.hidden, hidden),
        "epochs": _asked(params.epochs, min(max(epochs, _FEWEST_EPOCHS), _MOST_EPOCHS)),
        "batch_size": _asked(params.batch_size, min(max(batch_size, _SMALLEST_BATCH), _LARGEST_BATCH)),
    }
    classes, sizes = np.unique(labels, return_counts=True)
    kind = "colour" if len(shape) == 3 else "ink" if is_ink else "grey"
    logger.info(
        "to train on there are %d %s images of %s, %d to %d of each of %d classes: %s pixels, %d latents, hidden "
        "%s, %d passes in batches of %d",
        *(n_images, kind, " x ".join(map(str, shape)), sizes.min(), sizes.max(), len(classes)),
        *(choice[name] for name in ("likelihood", "n_latents", "hidden", "epochs", "batch_size")),
    )
    if (sizes < _FEW).any():
        logger.warning(
            "of %s there are fewer than %d images: their bounds say little, and class_weight: balanced soon "
            "learns them by heart",
            *(some_of(classes[sizes < _FEW].tolist()), _FEW),
        )
    return choice


def settled(parameters: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """Return parameters of a fit with what was chosen in place of ``auto``.

    A choice may be of an earlier run, with other parameters: what they say themselves stays.
    """
    return {name: _asked(value, choice.get(name, value)) for name, value in parameters.items()}


def _asked(asked: Any, chosen: Any) -> Any:
    return chosen if asked == "auto" else asked
