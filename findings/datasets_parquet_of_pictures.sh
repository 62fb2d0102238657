#!/usr/bin/env bash
# Hugging Face's datasets 5.2.0 (with Pillow 13.0.0), read by pyarrow.
#
# Behaviour: Dataset.to_parquet of pictures that were given by their paths writes a file that holds the paths and no
# picture ("bytes" is null in every row), and says nothing. It loads on the machine that wrote it, where the files
# are, and nowhere else. Pictures that were given as objects of Pillow's are written whole, so it depends on how the
# data set was made. embed_table_storage, which push_to_hub uses, would put the bytes in.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pillow==13.0.0
cd "$folder"
HF_HUB_OFFLINE=1 HF_DATASETS_CACHE="$folder/cache" HF_DATASETS_DISABLE_PROGRESS_BARS=1 venv/bin/python > seen << 'PYTHON'
import pyarrow.parquet as pq
from datasets import Dataset, Features, Image
from PIL import Image as Picture

picture = Picture.new("L", (4, 4), 128)
picture.save("grey.png")
for how, given in (("path", "grey.png"), ("object", picture)):
    Dataset.from_dict({"image": [given]}, Features({"image": Image()})).to_parquet("pictures.parquet")
    cell = pq.read_table("pictures.parquet")["image"][0].as_py()
    print(f"given as {how}: bytes {'null' if cell['bytes'] is None else 'there'}, path {cell['path']}")
PYTHON
diff seen - << 'SEEN'
given as path: bytes null, path grey.png
given as object: bytes there, path None
SEEN
echo "as described"
