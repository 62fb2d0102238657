#!/usr/bin/env bash
# SciPy 1.17.1 and gensim 4.4.0, on Matrix Market files of counts.
#
# Behaviour: SciPy writes the header by the values. Whole numbers make the field "integer", which gensim's MmCorpus
# refuses, as it reads "real general" alone; the same counts as floating point numbers are read. And a matrix that
# equals its transpose is written by its lower half ("symmetric") when it is small, and whole ("general") from side 100
# on: a table of which words occur together changes its form with the size of the vocabulary, and gensim reads the
# large one alone.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6 gensim==4.4.0
cd "$folder"
venv/bin/python -W ignore > seen << 'PYTHON'
import numpy as np
from gensim.corpora import MmCorpus
from scipy.io import mmwrite
from scipy.sparse import csr_array, diags_array


def tried(name, matrix):
    mmwrite("counts.mtx", matrix)
    with open("counts.mtx") as file:
        field, symmetry = file.readline().split()[3:]
    try:
        outcome = f"{len(list(MmCorpus('counts.mtx')))} documents"
    except ValueError as error:
        outcome = type(error).__name__
    print(f"{name}: {field} {symmetry}; gensim: {outcome}")


counts = csr_array(np.array([[2, 0, 1], [0, 1, 0]]))
tried("counts, int64", counts)
tried("counts, float64", counts.astype(float))
for side in (99, 100):
    tried(f"neighbours of {side} words", csr_array(diags_array([1.0, 2.0, 1.0], offsets=[-1, 0, 1], shape=(side, side))))
PYTHON
diff seen - << 'SEEN'
counts, int64: integer general; gensim: ValueError
counts, float64: real general; gensim: 2 documents
neighbours of 99 words: real symmetric; gensim: ValueError
neighbours of 100 words: real general; gensim: 100 documents
SEEN
echo "as described"
