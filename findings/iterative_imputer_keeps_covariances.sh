#!/usr/bin/env bash
# scikit-learn 1.9.1 (with numpy 2.4.6, scipy 1.17.1).
#
# Behaviour: IterativeImputer with its default BayesianRidge keeps the fitted regression of every column in every
# round in imputation_sequence_, and each of these its posterior covariance, sigma_, of all other columns: 8 p^2 bytes
# for each of p columns, times the rounds. Memory grows with p^3, whatever the number of rows, and none of sigma_ is
# used by transform unless sample_posterior=True. At p = 100 and 2 rounds it is 16 MB for data of 80 kB; at the 784
# pixels of a small image and the default of 10 rounds it is 38 GB. A pickle of the imputer is as large.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cd "$folder"
venv/bin/python -W ignore::UserWarning > seen << 'PYTHON'
import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

rng = np.random.default_rng(0)
for p in (50, 100):
    X = rng.normal(size=(100, p))
    Y = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    imputer = IterativeImputer(max_iter=2, tol=0.0, random_state=0).fit(Y)
    kept = [step.estimator.sigma_ for step in imputer.imputation_sequence_]
    n_bytes = sum(sigma.nbytes for sigma in kept)
    imputed = imputer.transform(Y)
    for step in imputer.imputation_sequence_:
        step.estimator.sigma_ = None
    same = np.array_equal(imputed, imputer.transform(Y))
    print(f"{p} columns: {len(kept)} covariances of {kept[0].shape}, {n_bytes:,} bytes; same without them: {same}")
PYTHON
diff seen - << 'SEEN'
50 columns: 100 covariances of (49, 49), 1,920,800 bytes; same without them: True
100 columns: 200 covariances of (99, 99), 15,681,600 bytes; same without them: True
SEEN
echo "as described"
