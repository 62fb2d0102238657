#!/usr/bin/env bash
# MLflow 3.17.2's scoring server (mlflow models serve), read by a strict parser of JSON.
#
# Behaviour: a model that returns a data frame with a missing number is answered by {"predictions": [{"a": NaN}]},
# by the function that the server answers with. JSON has no NaN (RFC 8259, section 6): a strict parser refuses the
# whole answer, the good rows too. Python's own json reads it, so that a test in Python may not tell.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mlflow==3.17.2 orjson==3.11.3
cd "$folder"
venv/bin/python > seen 2> /dev/null << 'PYTHON'
import io

import orjson
import pandas as pd
from mlflow.pyfunc.scoring_server import predictions_to_json

answer = io.StringIO()
predictions_to_json(pd.DataFrame({"a": [1.5, None]}), answer)
print(answer.getvalue())
try:
    orjson.loads(answer.getvalue())
    print("JSON")
except orjson.JSONDecodeError:
    print("no JSON to orjson")
PYTHON
diff seen - << 'SEEN'
{"predictions": [{"a": 1.5}, {"a": NaN}]}
no JSON to orjson
SEEN
echo "as described"
