#!/usr/bin/env bash
# NumPy 2.4.6, beside SciPy 1.17.1.
#
# Behaviour: numpy.linalg gives float32 back for float32, and has computed it in float64: qr, svd, eigh, cholesky and
# solve of a float32 array are, to the last bit, those of its float64 copy, rounded. SciPy's of the same names call
# the LAPACK of single precision. So to move a decomposition from SciPy to NumPy makes it more precise, and takes the
# memory of float64 copies and the time of double precision; nothing in shapes and types tells which it was.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 scipy==1.17.1
cd "$folder"
venv/bin/python > seen << 'PYTHON'
import numpy as np
from scipy import linalg

A = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float32)
S, b = A.T @ A, A[:40, 0]
for name in ("qr", "svd", "eigh", "cholesky", "solve"):
    given = {"qr": (A,), "svd": (A,), "solve": (S, b)}.get(name, (S,))
    told = []
    for library in (np.linalg, linalg):
        more = {"mode": "economic"} if (library, name) == (linalg, "qr") else {}
        outcomes = [
            getattr(library, name)(*(array.astype(dtype) for array in given), **more)
            for dtype in (np.float32, np.float64)
        ]
        single, double = (found if isinstance(found, tuple) else (found,) for found in outcomes)
        types = {str(part.dtype) for part in single}
        same = all(np.array_equal(x, y.astype(np.float32)) for x, y in zip(single, double, strict=True))
        told.append(f"{library.__name__.split('.')[0]} {', '.join(types)} {'of' if same else 'not of'} float64")
    print(f"{name}: {'; '.join(told)}")
PYTHON
diff seen - << 'SEEN'
qr: numpy float32 of float64; scipy float32 not of float64
svd: numpy float32 of float64; scipy float32 not of float64
eigh: numpy float32 of float64; scipy float32 not of float64
cholesky: numpy float32 of float64; scipy float32 not of float64
solve: numpy float32 of float64; scipy float32 not of float64
SEEN
echo "as described"
