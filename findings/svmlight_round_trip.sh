#!/usr/bin/env bash
# scikit-learn 1.9.1 with SciPy 1.17.1; gensim 4.4.0 as a second reader.
#
# Behaviour: dump_svmlight_file numbers columns from 0 and says so in a comment, which it writes only where `comment`
# is given; load_svmlight_file, whose default is zero_based="auto", does not read that comment and takes a file
# without a column 0 for one that counts from 1. So a matrix whose first column is empty comes back with each column
# in the place of its left neighbour, and two files written alike are read by different numbers, as one of them
# happens to use column 0. gensim's SvmLightCorpus always counts from 1, so that what was column 0 becomes word -1.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6 gensim==4.4.0
cd "$folder"
venv/bin/python -W ignore > seen << 'PYTHON'
import numpy as np
from gensim.corpora import SvmLightCorpus
from scipy.sparse import csr_array
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

words = ["aorta", "beat", "cell", "dose"]
train = csr_array(np.array([[2, 1, 0, 0], [0, 0, 3, 1]]))
new = csr_array(np.array([[0, 1, 0, 0], [0, 0, 3, 1]]))  # no document says "aorta"
for name, counts in (("train", train), ("new", new)):
    dump_svmlight_file(counts, [0, 0], f"{name}.svm", comment="counts of words")
    with open(f"{name}.svm") as file:
        says = [line.strip() for line in file if "Column indices" in line]
    read, _ = load_svmlight_file(f"{name}.svm")
    row, column = read.nonzero()
    print(name, says, "written", counts.shape, "read", read.shape, "document 0 says", words[column[row == 0][-1]])
print("gensim:", [word for word, _ in list(SvmLightCorpus("train.svm"))[0]])
PYTHON
diff seen - << 'SEEN'
train ['# Column indices are zero-based'] written (2, 4) read (2, 4) document 0 says beat
new ['# Column indices are zero-based'] written (2, 4) read (2, 3) document 0 says aorta
gensim: [-1, 0]
SEEN
echo "as described"
