"""How fast a training can go on this machine: the type of its products, and whether they are compiled."""

import os
import platform
import shutil
from dataclasses import dataclass

import torch
from torch import nn

from latents.estimators._warnings import warn_caller

PRECISIONS = ("auto", "float32", "bfloat16")

# Below this many weights, turning numbers into bfloat16 and back takes what the shorter products save.
_LEAST_WEIGHTS = 1 << 18
# On two cores compiling takes 15 s for a reference and 50 for a ladder, and saves 4 and 15 ms of a step.
_LEAST_STEPS = 5_000
# Of oneDNN's names of instruction sets, by which a user may limit it, those with AVX-512 but without bfloat16. It
# says by itself that it emulates those with less.
_AVX512_WITHOUT_BFLOAT16 = ("AVX512_CORE", "AVX512_CORE_VNNI")
# The width of vectors that torch compiles for, by what it says of an x86 processor. Those of others it finds out.
_VECTOR_BITS = {"AVX512": 512, "AVX2": 256, "DEFAULT": 1}


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

    Warns
    -----
    UserWarning
        If bfloat16 is asked for where it is emulated.
    """
    device = next(network.parameters()).device
    if precision == "auto":
        n_weights = sum(weight.numel() for weight in network.parameters())
        is_short = n_weights >= _LEAST_WEIGHTS and multiplies_bfloat16(device)
        precision = "bfloat16" if is_short else "float32"
    elif precision == "bfloat16" and not multiplies_bfloat16(device):
        warn_caller(
            f"precision='bfloat16': {device.type} has no instructions for it here and emulates it, about ten "
            "times slower than float32, which 'auto' takes"
        )
    if compiled == "auto":
        compiled = n_steps >= _LEAST_STEPS
    return Pace(getattr(torch, precision), bool(compiled) and _can_compile(device))


def multiplies_bfloat16(device: torch.device) -> bool:
    """Tell whether the device has instructions for it, and may use them; elsewhere it is emulated, slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch asks the processor by the one function, and oneDNN, which may be told to leave instructions out, by the
    # other; it has no public ones in all versions that we take.
    return (
        device.type == "cpu"
        and bool(torch.cpu._is_avx512_bf16_supported())
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        and os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() not in _AVX512_WITHOUT_BFLOAT16
    )


def compiler_options() -> dict[str, int]:
    """Return what torch is told when it compiles: the width of vectors, which it would find out by itself.

    It keeps what it has compiled on disk, and takes it up again by its options: without the width among them, what
    was compiled for a wider processor, or a wider setting of ``ATEN_CPU_CAPABILITY``, would be taken up on a
    narrower one, where it does not even compile.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return {}
    bits = _VECTOR_BITS.get(torch.backends.cpu.get_cpu_capability())
    return {} if bits is None else {"cpp.simdlen": bits}


def _can_compile(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (7, 0)  # what Triton makes code for
    return device.type == "cpu" and any(shutil.which(name) for name in ("g++", "c++", "clang++"))
