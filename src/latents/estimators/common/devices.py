"""Where torch computes."""

import torch

from latents.estimators.common.warnings import warn_caller


def resolve_device(name: str) -> torch.device:
    """Return the torch device of that name; ``"auto"`` is CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError
        If torch cannot use the device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        probe = torch.zeros(1, device=name)
        probe.item()  # there are devices that hold no numbers
    except (AssertionError, ImportError, RuntimeError) as error:
        raise ValueError(f"device is {name!r}, which torch cannot use here") from error
    return probe.device


def device_of_fitted(name: str) -> torch.device:
    """Return the device for a model that may have been fitted elsewhere: only learning needs that very one.

    Where torch cannot use it here, it is the CPU, with a warning.
    """
    try:
        return resolve_device(name)
    except ValueError as error:
        warn_caller(f"{error}: the fitted model is on the CPU")
        return torch.device("cpu")
