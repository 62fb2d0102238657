"""Checkpoints: all that a training remembers, in one safetensors file that is there whole or not at all.

Numbers and names are JSON in the file's header, tensors follow it; nothing is pickled.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latents import sealed
from latents.messages import printable

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
_HEADER = "latents_checkpoint"
_FIELDS = {"format_version": int, "epoch": int, "fingerprint": dict, "build": str, "state": dict}


class Checkpoints:
    """The one checkpoint of a training, in a file that each later one replaces.

    Parameters
    ----------
    path : path-like
        The file; its folder is made where there is none.
    fingerprint : mapping
        What the training is of, by names: data, parameters, seeds; values of JSON. A checkpoint of anything
        else is left alone until the first one of this training replaces it.
    every : int
        Epochs from one checkpoint to the next.
    """

    def __init__(self, path: str | os.PathLike[str], fingerprint: Mapping[str, Any], every: int) -> None:
        self.path = path
        self._fingerprint = json.loads(json.dumps(fingerprint))  # as it will be read back
        self._every = every
        self._last_epoch: int | None = None

    def is_due(self, epoch: int, last: int) -> bool:
        """Tell whether a checkpoint follows this epoch, as one does the last."""
        return epoch % self._every == 0 or epoch == last

    def save(self, epoch: int, state: Mapping[str, Any]) -> None:
        """Write the state after an epoch: nested mappings, lists and tuples of tensors and plain values.

        Raises
        ------
        TypeError
            If a value has no form in JSON.
        """
        tensors: dict[str, Tensor] = {}
        header = {
            "format_version": FORMAT_VERSION,
            "epoch": epoch,
            "fingerprint": self._fingerprint,
            "build": _build(),
            "state": pack(state, tensors),
        }
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        sealed.write_sealed(self.path, _HEADER, header, arrays)
        self._last_epoch = epoch

    def load(self) -> dict[str, Any] | None:
        """Return the state of the last checkpoint, or None where there is none of this training.

        A file that is damaged or of another training is told of in the log, with the reason.
        """
        if not os.path.isfile(self.path):
            return None
        try:
            header, tensors = read(self.path)
            with sealed.damaged(self.path):
                state: dict[str, Any] = unpack(header["state"], tensors)
        except ValueError as error:
            logger.warning("%s; the training begins anew", error)
            return None
        different = differences(header["fingerprint"], self._fingerprint)
        if different:
            logger.warning(
                "%s is a checkpoint of another training (%s); this one begins anew",
                self.path,
                printable("; ".join(different)[:1000]),
            )
            return None
        if header["build"] != _build():
            logger.warning(
                "%s was written by %s, and this is %s: the training goes on, but its last digits may differ",
                *(self.path, header["build"], _build()),
            )
        logger.info("going on after epoch %d, from %s", header["epoch"], self.path)
        self._last_epoch = header["epoch"]
        return state

    @property
    def last_good(self) -> str:
        """Say which checkpoint of this training is there."""
        if self._last_epoch is None:
            return "there is no checkpoint"
        return f"the last good checkpoint is that of epoch {self._last_epoch}, {self.path}"


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the header and the tensors of a checkpoint.

    Raises
    ------
    ValueError
        If the file is no checkpoint, not whole, changed after it was written, or of another version.
    """
    header, arrays, digest = sealed.read_sealed(path, _HEADER, "no checkpoint")
    if digest is None:
        raise ValueError(f"{path} is damaged: a checkpoint has a digest")
    if not isinstance(header, dict):
        raise ValueError(f"{path} is damaged: its header is no mapping")
    if header.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {header.get('format_version')}; this version reads {FORMAT_VERSION}"
        )
    with sealed.damaged(path):
        sealed.check_keys(header, _FIELDS, "its header")
    return header, {name: torch.from_numpy(array) for name, array in arrays.items()}


def digest_of(*parts: Tensor) -> str:
    """Return a fingerprint of tensors: of their types, shapes and bytes."""
    return sealed.digest_of({str(place): part.cpu().numpy() for place, part in enumerate(parts)})


class RunningDigest:
    """``digest_of`` of up to ten tensors that come one after the other, each in pieces."""

    def __init__(self) -> None:
        self._digest, self._n_parts = hashlib.blake2b(digest_size=16), 0

    def begin(self, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
        """Begin the next tensor."""
        kind = str(dtype).removeprefix("torch.")
        self._digest.update(sealed.head_of(str(self._n_parts), kind, shape))
        self._n_parts += 1

    def add(self, piece: Tensor) -> None:
        """Add the next values of a tensor, on the CPU."""
        self._digest.update(piece.contiguous().view(-1).numpy().view(np.uint8).data)

    def hexdigest(self) -> str:
        """Return the digest of all that was added."""
        return self._digest.hexdigest()


def _build() -> str:
    return f"torch {torch.__version__} with {torch.get_num_threads()} threads"


def differences(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Say what differs between two fingerprints, by dotted names."""
    found = []
    for name in dict.fromkeys((*there, *here)):
        a, b = there.get(name), here.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{prefix}{name}.")
        elif a != b:
            found.append(f"{prefix}{name} {a} there, {b} here")
    return found


def pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON, its tensors put among `tensors` under names that the JSON refers to.

    Raises
    ------
    TypeError
        If something in it has no form in JSON.
    """
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy: parts may share memory, which safetensors refuses.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"mapping": [[pack(key, tensors), pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [pack(item, tensors) for item in value]}
    if isinstance(value, list):
        return [pack(item, tensors) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} has no form in a checkpoint")


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo ``pack``."""
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "tuple" in value:
        return tuple(unpack(item, tensors) for item in value["tuple"])
    return {unpack(key, tensors): unpack(item, tensors) for key, item in value["mapping"]}
