#!/usr/bin/env bash
# PyTorch 2.15.0 (oneDNN), on x86. PYTHON_WITH_TORCH may name an interpreter that has it; else it is installed.
#
# Behaviour: torch._int_mm multiplies 8-bit numbers and adds up in 32 bits. On a processor without VNNI (or one that
# ONEDNN_MAX_CPU_ISA keeps from it, as here) one side is made unsigned by 128, pairs of products are added up in 16
# bits, cut off at 32,767, and 128 times the other side's sums taken away again: 127 * 127 + 127 * 127 is 255. There is
# no warning. Numbers of half the range are right, since two products of these fit; so are rows in which large ones are
# not next to each other, which a check by random numbers, or by such a pattern, may pass.
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
ONEDNN_MAX_CPU_ISA=AVX2 "$python" -W error > "$folder/seen" << 'PYTHON'
import torch

print(torch.__version__.split("+")[0])
for name, row in {
    "two of 127": [127, 127],
    "64 of 127": [127] * 64,
    "64 of 63": [63] * 64,
    "127 and -128 by turns": [127, -128] * 32,
    "127 in every third place, else -128": [127 if i % 3 == 0 else -128 for i in range(64)],
}.items():
    numbers = torch.tensor([row], dtype=torch.int8)
    found = torch._int_mm(numbers, numbers.t().contiguous()).item()
    print(f"{name}: {found}, and it is {sum(x * x for x in row)}")
PYTHON
diff "$folder/seen" - << 'SEEN'
2.15.0
two of 127: 255, and it is 32258
64 of 127: 8160, and it is 1032256
64 of 63: 254016, and it is 254016
127 and -128 by turns: 1040416, and it is 1040416
127 in every third place, else -128: 1042966, and it is 1042966
SEEN
echo "as described"
