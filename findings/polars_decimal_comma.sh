#!/usr/bin/env bash
# polars 2.1.0.
#
# Behaviour: read_csv(decimal_comma=True) of a column that is said to hold Float64 takes numbers with a point as well,
# and without a word: of a column that has both, "1.5" and "1,5" are the same number. In a table where the point parts
# thousands, "1.234" is read as one and a bit. Where the type is not said, such a column comes as text.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet polars==2.1.0
"$folder/venv/bin/python" > "$folder/seen" << 'PYTHON'
import io

import polars as pl

table = b"length\n1,5\n1.5\n1.234\n"
for types in ({"length": pl.Float64}, {}):
    read = pl.read_csv(io.BytesIO(table), separator=";", decimal_comma=True, schema_overrides=types)
    print(read["length"].dtype, read["length"].to_list())
PYTHON
diff "$folder/seen" - << 'SEEN'
Float64 [1.5, 1.5, 1.234]
String ['1,5', '1.5', '1.234']
SEEN
echo "as described"
