#!/usr/bin/env bash
# sib-clustering 0.2.7, of SciPy 1.17.1's sparse arrays.
#
# Behaviour: SIB clusters counts in a dense array or a sparse matrix (csr_matrix), and ends with an AttributeError of
# NumPy's ('numpy.ndarray' object has no attribute 'A') on the same counts in a sparse array (csr_array), which SciPy
# advises for new code and scikit-learn's estimators take. A sum over a sparse matrix is a numpy.matrix, whose
# attribute A the package reads; over a sparse array it is an ndarray, which has none.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sib-clustering==0.2.7 scipy==1.17.1 scikit-learn==1.9.1
cd "$folder"
venv/bin/python > seen << 'PYTHON'
import numpy as np
from scipy import sparse
from sib import SIB

counts = np.array([[5, 4, 0, 0], [4, 6, 1, 0], [6, 5, 0, 1], [0, 1, 5, 6], [0, 0, 7, 4], [1, 0, 4, 5]])
for form in (np.asarray, sparse.csr_matrix, sparse.csr_array):
    try:
        clusters = SIB(2, random_state=0).fit_predict(form(counts))
        seen = f"{len(set(clusters[:3].tolist()))} and {len(set(clusters[3:].tolist()))} clusters in either half"
    except AttributeError as error:
        seen = f"AttributeError: {error}"
    print(f"{form.__name__}: {seen}")
PYTHON
diff seen - << 'SEEN'
asarray: 1 and 1 clusters in either half
csr_matrix: 1 and 1 clusters in either half
csr_array: AttributeError: 'numpy.ndarray' object has no attribute 'A'
SEEN
echo "as described"
