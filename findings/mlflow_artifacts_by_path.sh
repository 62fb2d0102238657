#!/usr/bin/env bash
# MLflow 3.17.2.
#
# Behaviour: log_model(artifacts=) takes a path for an address and decodes it: of a folder whose name holds a percent
# sign and two digits, as "100%20", another folder is sought, and the error tells of the one that is there. Given as an
# address of its own (file://, the percent sign coded) the same folder is found. A model that is logged without
# artifacts does not mind.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mlflow==3.17.2
mkdir -p "$folder/100%20/weights"
touch "$folder/100%20/weights/numbers.txt"
cd "$folder"
venv/bin/python 2> told > seen << 'PYTHON'
from pathlib import Path

import mlflow


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return model_input


mlflow.set_tracking_uri("sqlite:///runs.db")
folder = Path("100%20/weights").resolve()
for how, given in (("path", str(folder)), ("address", folder.as_uri())):
    with mlflow.start_run():
        try:
            mlflow.pyfunc.log_model(
                name="echo", python_model=Echo(), artifacts={"weights": given}, pip_requirements=[]
            )
            print(f"given as {how}: logged")
        except mlflow.MlflowException as error:
            print(f"given as {how}: {'No such artifact' if 'No such artifact' in str(error) else error}")
PYTHON
diff seen - << 'SEEN'
given as path: No such artifact
given as address: logged
SEEN
echo "as described"
