#!/usr/bin/env bash
# NumPy 2.4.6, given a path as os.scandir gives it: an os.PathLike, but none of pathlib's.
#
# Behaviour: np.load and np.fromfile take it. np.load(mmap_mode=) and np.memmap, whose type hints promise any path, end
# with an AttributeError after the file has been mapped, as they ask the path itself to resolve(), which only pathlib's
# can. So a loop over os.scandir breaks when mapping is switched on, and mode "w+" has made the file by then.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
mkdir "$folder/arrays"
cd "$folder/arrays"
../venv/bin/python > ../seen << 'PYTHON'
import os

import numpy as np

np.save("one.npy", np.arange(3.0))
(entry,) = os.scandir(".")
for name, opened in {
    "np.load": lambda: np.load(entry),
    "np.fromfile": lambda: np.fromfile(entry, offset=128),
    "np.load(mmap_mode='r')": lambda: np.load(entry, mmap_mode="r"),
    "np.memmap": lambda: np.memmap(entry, mode="r", offset=128),
    "np.memmap(mode='w+')": lambda: np.memmap(entry, float, mode="w+", shape=1000),
}.items():
    try:
        print(f"{name}: {opened()}")
    except AttributeError as error:
        print(f"{name}: {error}")
print(os.stat("one.npy").st_size, "bytes")
PYTHON
diff ../seen - << 'SEEN'
np.load: [0. 1. 2.]
np.fromfile: [0. 1. 2.]
np.load(mmap_mode='r'): 'posix.DirEntry' object has no attribute 'resolve'
np.memmap: 'posix.DirEntry' object has no attribute 'resolve'
np.memmap(mode='w+'): 'posix.DirEntry' object has no attribute 'resolve'
8000 bytes
SEEN
echo "as described"
