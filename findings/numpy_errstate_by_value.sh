#!/usr/bin/env bash
# NumPy 2.4.6 and cloudpickle 3.1.2.
#
# Behaviour: np.errstate works as a decorator, as its page says. A function that wears it cannot be pickled by value,
# which is how Ray and Dask send what a script or a notebook defines to their workers: the wrapper is a closure of
# NumPy's own module, and brings with it, among the globals it reads, a context variable, which nothing pickles. The
# same function with the errstate inside, by "with", can be sent, and so can an errstate itself. Where the decorated
# function is imported from a module it goes by its name, so that a test in a package does not tell.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 cloudpickle==3.1.2
cd "$folder"
cat > squares.py << 'PYTHON'
import numpy as np


@np.errstate(over="ignore")
def decorated(x):
    return x * x


def inside(x):
    with np.errstate(over="ignore"):
        return x * x
PYTHON
cat squares.py - > script.py << 'PYTHON'


import cloudpickle
import squares

for name, sent in {
    "inside": inside,
    "an errstate": np.errstate(over="ignore"),
    "decorated, imported": squares.decorated,
    "decorated": decorated,
}.items():
    try:
        cloudpickle.loads(cloudpickle.dumps(sent))
        print(f"{name}: sent")
    except TypeError as error:
        print(f"{name}: {error}")
PYTHON
venv/bin/python script.py > seen
diff seen - << 'SEEN'
inside: sent
an errstate: sent
decorated, imported: sent
decorated: cannot pickle '_contextvars.ContextVar' object
SEEN
echo "as described"
