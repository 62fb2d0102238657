#!/usr/bin/env bash
# Kedro-Viz 12.5.0 with Kedro 1.7.0 and kedro-datasets 9.6.0; fsspec 2026.9.0, with a file system of one's own.
#
# Behaviour: the hook that Kedro-Viz adds to each full "kedro run" notes how large every file is that was loaded or
# saved. It asks fsspec for the entry's _filepath alone, and so not where the entry's data lie. Of a dask.CSVDataset,
# whose _filepath is the whole address, it asks the store without the entry's credentials; the refusal is told at level
# DEBUG, and the size noted is 0. Of a pandas.CSVDataset, whose _filepath is the address without its protocol, it asks
# the local disk, and notes the size of a file that happens to have that name there.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet kedro==1.7.0 kedro-viz==12.5.0 kedro-datasets==9.6.0 fsspec==2026.9.0 \
    "dask[dataframe]==2026.8.0" pandas==3.1.1
cd "$folder"
cat > stores.py << 'PYTHON'
import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class Store(MemoryFileSystem):
    protocol, cachable, store = "gs", False, {}

    def __init__(self, *args, token=None, **options):
        if token is None:
            print("asked without the token")
            raise PermissionError("no token")
        super().__init__(*args, **options)

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("gs://"))


fsspec.register_implementation("gs", Store, clobber=True)
PYTHON
mkdir bucket
echo "another file" > bucket/table.csv
DO_NOT_TRACK=true venv/bin/python -W ignore > seen << 'PYTHON'
import logging

logging.disable()  # Kedro logs to the standard output

from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner
from kedro_viz.integrations.kedro.run_hooks import PipelineRunStatusHook
from stores import Store

Store(token="mine").pipe_file("bucket/table.csv", b"n\n1\n")
for kind in ("dask.CSVDataset", "pandas.CSVDataset"):
    entry = {"type": kind, "filepath": "gs://bucket/table.csv", "credentials": "store"}
    catalog = DataCatalog.from_config({"table": entry}, {"store": {"token": "mine"}})
    nodes = pipeline([node(lambda table: print(kind, "loaded:", len(table), "row") or 1, "table", "rows")])
    manager, hook = _create_hook_manager(), PipelineRunStatusHook()
    manager.register(hook)
    hook.after_catalog_created(catalog)
    hook.before_pipeline_run({}, nodes)
    SequentialRunner().run(nodes, catalog, manager)
    (event,) = (event for event in hook._events if event.get("dataset") == "table")
    print("size noted:", event["size"], "of 4 bytes")
PYTHON
diff seen - << 'SEEN'
asked without the token
dask.CSVDataset loaded: 1 row
size noted: 0 of 4 bytes
pandas.CSVDataset loaded: 1 row
size noted: 13 of 4 bytes
SEEN
echo "as described"
