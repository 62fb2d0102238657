"""Processes that train one network together: what each takes of a batch, and how they add up.

Every process draws the same batches and takes rows of each; what is summed over the images of a batch is then
summed over the processes, forward and backward, so that a step is that of one process on the whole batch. Between
steps all hold the same weights.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from torch.distributed import ProcessGroup
from torch.distributed import _functional_collectives as collectives
from torch.distributed.distributed_c10d import GroupName

T = TypeVar("T")


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
        """Sum tensors of one type over the processes, all at one go."""
        total = _flattened(addends)
        dist.all_reduce(total, group=self._group)
        parts = torch.split(total, [addend.numel() for addend in addends])
        return [part.view_as(addend) for part, addend in zip(parts, addends, strict=True)]

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
