"""Processes that train one network together: what each takes of a batch, and how they add up.

Every process draws the same batches and takes rows of each; what is summed over the images of a batch is then
summed over the processes, forward and backward, so that a step is that of one process on the whole batch. Between
steps all hold the same weights. Gradients are long: processes of one machine add them up in memory that all see.
"""

import math
import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from torch.distributed import ProcessGroup
from torch.distributed import _functional_collectives as collectives
from torch.distributed.distributed_c10d import GroupName

T = TypeVar("T")

# Where files are memory, on systems that have such a place.
_MEMORY = Path("/dev/shm")  # noqa: S108


class Ranks:
    """One process among those of a group.

    Parameters
    ----------
    group : ProcessGroup
        By gloo on processors, by NCCL on CUDA devices, of which each process has one as its current device.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self._group = group
        self.rank, self.size = group.rank(), group.size()
        self._rooms: dict[int, Tensor | None] = {}

    @property
    def is_first(self) -> bool:
        """Whether it is this process that tells of the training and writes it down."""
        return self.rank == 0

    def rows(self, n: int) -> slice:
        """Return which of n rows are this process's: as many as any other's but for one, or none."""
        return slice(self.rank * n // self.size, (self.rank + 1) * n // self.size)

    def total(self, addend: Tensor) -> Tensor:
        """Sum a tensor over the processes, differentiably: all objectives together depend on the sum."""
        return cast(Tensor, _Total.apply(addend, self._group.group_name))

    def totals(self, addends: Sequence[Tensor]) -> list[Tensor]:
        """Sum tensors over the processes, all at one go: float32, on one device, good until the next such sum."""
        sizes = [addend.numel() for addend in addends]
        room = self._room(sum(sizes)) if addends[0].device.type == "cpu" else None
        if room is None:
            total = _flattened(addends)
            dist.all_reduce(total, group=self._group)
        else:
            *rows, total = room
            torch.cat([addend.detach().reshape(-1) for addend in addends], out=rows[self.rank])
            dist.barrier(self._group)  # all rows are there, and nobody needs the last total any more
            own = self.rows(len(total))
            torch.add(rows[0][own], rows[1][own], out=total[own])
            for row in rows[2:]:
                total[own] += row[own]
            dist.barrier(self._group)
        parts = torch.split(total, sizes)
        return [part.view_as(addend) for part, addend in zip(parts, addends, strict=True)]

    def _room(self, n: int) -> Tensor | None:
        """Return memory that all processes see, n numbers for each and n more: (size + 1, n).

        None if they are on several machines. To add up there takes less than half the time that sending takes.
        """
        if n not in self._rooms:
            shape = (self.size + 1, n)
            path = self.of_first(_new_file(4 * math.prod(shape)) if self.is_first else None)
            room = None
            try:
                if path is not None and path.exists():
                    with suppress(RuntimeError):  # of another user, or without memory for the map
                        room = torch.from_file(str(path), shared=True, size=math.prod(shape)).view(shape)
                self._rooms[n] = room if all(self.of_all(room is not None)) else None
            finally:
                if self.is_first and path is not None:
                    path.unlink()  # those who have it keep it
        return self._rooms[n]

    def of_first(self, value: T) -> T:
        """Return what the first process gives; what others give does not count."""
        values = [value]
        dist.broadcast_object_list(values, group=self._group, group_src=0)
        return values[0]

    def of_all(self, value: T) -> list[T]:
        """Return what each process gives."""
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self._group)
        return values

    def follow_first(self, tensors: Iterable[Tensor]) -> None:
        """Set tensors to those of the first process: unlike processors round the same update differently."""
        by_type: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            by_type.setdefault(tensor.dtype, []).append(tensor)
        for same in by_type.values():
            flat = _flattened(same)
            dist.broadcast(flat, group=self._group, group_src=0)
            parts = torch.split(flat, [tensor.numel() for tensor in same])
            for tensor, part in zip(same, parts, strict=True):
                tensor.detach().copy_(part.view_as(tensor))


def _new_file(n_bytes: int) -> Path | None:
    """Return a new file in memory, or None where there is no room for it."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="latents-", dir=_MEMORY)
    except OSError:
        return None
    try:
        os.posix_fallocate(descriptor, 0, n_bytes)  # who writes where no memory is left is killed
    except OSError:
        os.unlink(path)
        return None
    finally:
        os.close(descriptor)
    return Path(path)


def _flattened(tensors: Iterable[Tensor]) -> Tensor:
    """Return all numbers of tensors of one type as one vector."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


class _Total(Function):
    """The sum over a group, whose own derivative torch has, but not for ``torch.func``."""

    @staticmethod
    def forward(addend: Tensor, name: GroupName) -> Tensor:
        return cast(Tensor, collectives.wait_tensor(collectives.all_reduce(addend, "sum", name)))  # type: ignore[no-untyped-call]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG004
        ctx.name = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, None]:
        # By itself: within torch.func a gradient is something to be differentiated, too.
        return _Total.apply(gradients[0].contiguous(), ctx.name), None
