#!/usr/bin/env bash
# MLflow 3.17.2's registry, asked for what is not there, in a SQLite store.
#
# Behaviour: a registered model, a version or a run that does not exist is RESOURCE_DOES_NOT_EXIST, which a server
# answers by HTTP 404. An alias that no version of an existing model has is INVALID_PARAMETER_VALUE, HTTP 400, as if the
# question were wrong: who asks for a champion that may not be there yet must take both for "none".
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mlflow==3.17.2
cd "$folder"
venv/bin/python > seen 2> /dev/null << 'PYTHON'
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
client.create_registered_model("there")
for what, question in {
    "model": lambda: client.get_registered_model("missing"),
    "version": lambda: client.get_model_version("there", "1"),
    "run": lambda: client.get_run("0" * 32),
    "alias of no model": lambda: client.get_model_version_by_alias("missing", "champion"),
    "alias": lambda: client.get_model_version_by_alias("there", "champion"),
}.items():
    try:
        question()
    except MlflowException as error:
        print(f"{what}: {error.error_code}, {error.get_http_status_code()}")
PYTHON
diff seen - << 'SEEN'
model: RESOURCE_DOES_NOT_EXIST, 404
version: RESOURCE_DOES_NOT_EXIST, 404
run: RESOURCE_DOES_NOT_EXIST, 404
alias of no model: RESOURCE_DOES_NOT_EXIST, 404
alias: INVALID_PARAMETER_VALUE, 400
SEEN
echo "as described"
