#!/usr/bin/env bash
# PyTorch 2.15.0, on gloo. PYTHON_WITH_TORCH may name an interpreter that has it; else it is installed.
#
# Behaviour: all_reduce of torch.distributed._functional_collectives, which the warning of torch.distributed.nn's
# advises in its place, has a derivative under backward(). torch.func.grad of it ends with a RuntimeError, as what
# registers the derivative makes an autograd.Function without the setup_context that torch.func asks for. The same goes
# for all_gather_tensor_autograd, which has the derivative in its name. An autograd.Function of one's own around it,
# whose setup_context does nothing and whose backward applies it again, is differentiated both ways.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON_WITH_TORCH:-$folder/venv/bin/python}
if [ -z "${PYTHON_WITH_TORCH:-}" ]; then
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet torch==2.15.0
fi
"$python" -W ignore > "$folder/seen" 2> "$folder/told" << 'PYTHON'
import torch
from torch import distributed
from torch.distributed import _functional_collectives as collectives

distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
ranks = distributed.group.WORLD


class Sum(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return collectives.all_reduce(x, "sum", ranks)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return Sum.apply(gradient)


def by_backward(function):
    x = torch.ones(2, requires_grad=True)
    function(x).backward()
    return x.grad


print(torch.__version__.split("+")[0])
for name, collective in {
    "all_reduce": lambda x: collectives.all_reduce(x, "sum", ranks),
    "all_gather_tensor_autograd": lambda x: collectives.all_gather_tensor_autograd(x, 0, ranks),
    "a Function around it": Sum.apply,
}.items():
    for way, gradient in {
        "backward": by_backward,
        "torch.func.grad": lambda function: torch.func.grad(function)(torch.ones(2)),
    }.items():
        try:
            print(f"{name}, {way}: {gradient(lambda x: (collective(x) ** 2).sum()).tolist()}")
        except RuntimeError as error:
            print(f"{name}, {way}: setup_context asked for: {'must override the setup_context' in str(error)}")
distributed.destroy_process_group()
PYTHON
diff "$folder/seen" - << 'SEEN'
2.15.0
all_reduce, backward: [2.0, 2.0]
all_reduce, torch.func.grad: setup_context asked for: True
all_gather_tensor_autograd, backward: [2.0, 2.0]
all_gather_tensor_autograd, torch.func.grad: setup_context asked for: True
a Function around it, backward: [2.0, 2.0]
a Function around it, torch.func.grad: [2.0, 2.0]
SEEN
echo "as described"
