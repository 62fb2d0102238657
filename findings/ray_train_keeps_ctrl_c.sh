#!/usr/bin/env bash
# Ray 2.60.0 (ray[train]), by DataParallelTrainer, which TorchTrainer and the others inherit from.
#
# Behaviour: fit() in the main thread puts a SIGINT handler of its own in place, which aborts the training, and does not
# put the former one back when the training has ended. From then on Ctrl-C is no KeyboardInterrupt: the first two do
# nothing but log, and the third ends the process with exit code 0, as if the script had come to its end. After
# ray.shutdown() the first raises a plain Exception, as the actor to be told of it is gone.
#
# Output seen: the lines that are compared below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "ray[train]==2.60.0"
cd "$folder"
cat > script.py << 'PYTHON'
import signal
import sys

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer


def interrupt(when):
    try:
        signal.raise_signal(signal.SIGINT)
        print(f"{when}: nothing")
    except BaseException as error:
        print(f"{when}: {type(error).__name__}{f' {error.code}' if isinstance(error, SystemExit) else ''}")


def train():
    place = RunConfig(storage_path=f"{folder}/results")
    DataParallelTrainer(lambda: None, scaling_config=ScalingConfig(num_workers=1), run_config=place).fit()


folder = sys.argv[1]
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the shell ignores SIGINT
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", _temp_dir=f"{folder}/ray")
interrupt("before fit")
train()
for turn in ("first", "second", "third"):
    interrupt(f"after fit, {turn}")
train()
ray.shutdown()
interrupt("after another fit and shutdown")
PYTHON
RAY_USAGE_STATS_ENABLED=0 venv/bin/python script.py "$folder" > seen 2> told
diff seen - << 'SEEN'
before fit: KeyboardInterrupt
after fit, first: nothing
after fit, second: nothing
after fit, third: SystemExit 0
after another fit and shutdown: Exception
SEEN
echo "as described"
