#!/usr/bin/env bash
# NumPy 2.4.6 from its wheel, which brings OpenBLAS; on x86-64 with AVX2.
#
# Behaviour: whether a product of finite numbers overflows depends on the kernel, which OpenBLAS chooses by the
# processor. The sum of 64 numbers of +-1.5e308 by turns is 0. As a matrix times a vector, the kernels for Haswell give
# NaN (partial sums of one sign overflow, and infinity less infinity is none), those for Sandybridge 0.0; the same matrix
# times a matrix of ones gives 0.0 on both. So np.isfinite after a product is no check of its input: the same script
# refuses on one machine and not on the next.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
cd "$folder"
for kernel in Haswell Sandybridge; do
    OPENBLAS_CORETYPE=$kernel venv/bin/python -W ignore - << 'PYTHON' >> seen
import os

import numpy as np

numbers = np.tile([1.5e308, -1.5e308], (8, 32))
print(
    os.environ["OPENBLAS_CORETYPE"],
    "matrix times vector", (numbers @ np.ones(64))[0],
    "matrix times matrix", (numbers @ np.ones((64, 8)))[0, 0],
)
PYTHON
done
diff seen - << 'SEEN'
Haswell matrix times vector nan matrix times matrix 0.0
Sandybridge matrix times vector 0.0 matrix times matrix 0.0
SEEN
echo "as described"
