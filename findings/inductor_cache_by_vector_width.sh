#!/usr/bin/env bash
# PyTorch 2.15.0 on x86-64 with AVX2 or AVX-512, and a C++ compiler.
#
# Behaviour: torch.compile keeps its graphs on disk (TORCHINDUCTOR_CACHE_DIR), by a key that leaves out how wide the
# vectors may be. Where a graph was compiled first on all that the processor has, a process with
# ATEN_CPU_CAPABILITY=default is handed that graph, compiles its vector code without vectors, and fails. With a cache of
# its own the same program runs. So a cache that several machines share, or a home directory on a network, serves
# the machine that filled it. Giving the width by options={"cpp.simdlen": ...} makes it part of the key.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6
cd "$folder"
cat > step.py << 'PYTHON'
import sys

import torch


@torch.compile
def step(x):
    return torch.sigmoid(x) * x


try:
    step(torch.ones(64, 64))
    print(f"{sys.argv[1]}: compiled")
except Exception as error:
    print(f"{sys.argv[1]}: {type(error).__name__}, of at::vec: {'at::vec' in str(error)}")
PYTHON
run() { TORCHINDUCTOR_CACHE_DIR="$folder/$1" venv/bin/python -W ignore step.py "$2" 2> messages >> seen; }
run shared "all that there is, cache empty"
ATEN_CPU_CAPABILITY=default run shared "no vectors, that cache"
ATEN_CPU_CAPABILITY=default run own "no vectors, a cache of its own"
diff seen - << 'SEEN'
all that there is, cache empty: compiled
no vectors, that cache: BackendCompilerFailed, of at::vec: True
no vectors, a cache of its own: compiled
SEEN
echo "as described"
