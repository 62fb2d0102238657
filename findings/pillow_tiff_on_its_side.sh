#!/usr/bin/env bash
# Pillow 13.0.0, with NumPy 2.4.6 to look at the pixels.
#
# Behaviour: a grey TIFF that is not compressed and lies on its side (Orientation 6) comes out scrambled when it is
# opened by its path, without an error: Pillow maps such files into memory, by the width and height of the picture after
# it has been turned. The same file is right when it is opened as a file object, and a compressed one is right both ways.
# Square pictures and those that stand upright are right, so it takes a scanner or camera held sideways to see it.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python > seen << 'PYTHON'
import numpy as np
from PIL import Image

ORIENTATION = 274
grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
upright = np.rot90(grey, -1)
for compression in (None, "tiff_lzw"):
    Image.fromarray(grey).save("page.tiff", compression=compression, tiffinfo={ORIENTATION: 6})
    with Image.open("page.tiff") as picture:
        by_path = np.asarray(picture)
    with open("page.tiff", "rb") as file, Image.open(file) as picture:
        by_file = np.asarray(picture)
    for how, pixels in (("path", by_path), ("file object", by_file)):
        print(f"compression {compression}, by {how}: {pixels.tolist()}, right: {np.array_equal(pixels, upright)}")
PYTHON
diff seen - << 'SEEN'
compression None, by path: [[4, 2, 0], [5, 3, 1]], right: False
compression None, by file object: [[3, 0], [4, 1], [5, 2]], right: True
compression tiff_lzw, by path: [[3, 0], [4, 1], [5, 2]], right: True
compression tiff_lzw, by file object: [[3, 0], [4, 1], [5, 2]], right: True
SEEN
echo "as described"
