"""Where torch computes."""

import torch


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
        return torch.empty(0, device=name).device
    except (AssertionError, ImportError, RuntimeError) as error:
        raise ValueError(f"device is {name!r}, which torch cannot use here") from error
