"""How fast a training can go on this machine: the type of its products, and whether they are compiled."""

import shutil
from dataclasses import dataclass

import torch
from torch import nn

PRECISIONS = ("auto", "float32", "bfloat16")

# Below this many weights, turning numbers into bfloat16 and back takes what the shorter products save.
_LEAST_WEIGHTS = 1 << 18
# On two cores compiling takes 15 s for a reference and 50 for a ladder, and saves 4 and 15 ms of a step.
_LEAST_STEPS = 5_000


@dataclass(frozen=True)
class Pace:
    """What ``train`` is told: the type of products, and whether the step is compiled."""

    precision: torch.dtype
    is_compiled: bool


def choose_pace(precision: str, compiled: bool | str, network: nn.Module, n_steps: int) -> Pace:
    """Return what was asked for, and in place of ``"auto"`` what pays for this network on this machine.

    The choice follows from machine and arguments alone, never from a clock: the same fit is made the same way
    each time.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
    compiled : {"auto"} or bool
        Without a compiler nothing is compiled.
    network : Module
        On the device that it is trained on.
    n_steps : int
        Of the whole training.
    """
    device = next(network.parameters()).device
    if precision == "auto":
        n_weights = sum(weight.numel() for weight in network.parameters())
        is_short = n_weights >= _LEAST_WEIGHTS and _multiplies_bfloat16(device)
        precision = "bfloat16" if is_short else "float32"
    if compiled == "auto":
        compiled = n_steps >= _LEAST_STEPS
    return Pace(getattr(torch, precision), bool(compiled) and _can_compile(device))


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Tell whether the device has instructions for it; elsewhere it is emulated, slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch asks the processor by this function, and has no public one in all versions that we take.
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def _can_compile(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (7, 0)  # what Triton makes code for
    return device.type == "cpu" and any(shutil.which(name) for name in ("g++", "c++", "clang++"))
