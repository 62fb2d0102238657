"""Time commands that do little beside another checkout of the project: what is left is mostly imports.

Both run with the packages of this environment, from their own folders, in turns. Each row gives the median seconds
on the clock and of processors (all cores added up), and the modules that are loaded in the end.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from _common import ROOT, machine, markdown, positive, spread

# Told at the exit on standard error: what a command prints and writes stays its own.
_TELL = (
    "import atexit, os, sys\natexit.register(lambda: print('modules', len(sys.modules), file=sys.stderr))\n"
)
_KEDRO = "from kedro.framework.cli import main; sys.argv[0] = 'kedro'; main()"
COMMANDS = {
    "kedro run --env test --pipelines pca": (_KEDRO, "run", "--env", "test", "--pipelines", "pca"),
    "kedro run --help": (_KEDRO, "run", "--help"),
    "kedro registry list": (_KEDRO, "registry", "list"),
    "from latents.estimators import MinimumErrorPCA": ("from latents.estimators import MinimumErrorPCA",),
}


class Cost(NamedTuple):
    """What a command took: seconds on the clock, seconds of processors, and modules."""

    wall: float
    cpu: float
    modules: int


def run(project: Path, command: Sequence[str]) -> Cost:
    """Run a command in a project's folder, with that project's sources."""
    code, *arguments = command
    path = os.pathsep.join(filter(None, [str(project / "src"), os.environ.get("PYTHONPATH")]))
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _TELL + code, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": path, "DO_NOT_TRACK": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments) or code} failed in {project}:\n{done.stdout}{done.stderr}")
    cpu = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    (told,) = (line for line in done.stderr.splitlines() if line.startswith("modules "))
    return Cost(wall, cpu, int(told.split()[1]))


def compare(projects: dict[str, Path], names: Sequence[str], repetitions: int) -> pd.DataFrame:
    """Run every command in every project in turns; one round before the first is not counted."""
    rows = []
    for name in names:
        costs: dict[str, list[Cost]] = {project: [] for project in projects}
        for repetition in range(repetitions + 1):
            for project, folder in projects.items():
                cost = run(folder, COMMANDS[name])
                if repetition:
                    costs[project].append(cost)
        columns = {project: np.array(found) for project, found in costs.items()}
        first = np.median(next(iter(columns.values())), axis=0)
        for project, found in columns.items():
            ratio = np.median(found, axis=0) / first
            rows.append(
                {
                    "command": name,
                    "project": project,
                    "seconds": spread(found[:, 0], 2),
                    "ratio": f"{ratio[0]:.2f}",
                    "of processors": spread(found[:, 1], 2),
                    "ratio ": f"{ratio[1]:.2f}",
                    "modules": f"{int(found[-1, 2]):,}",
                }
            )
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("other", type=Path, nargs="?", help="the other checkout; without it, this one alone")
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS), metavar="COMMAND")
    parser.add_argument("--repetitions", type=positive, default=5)
    options = parser.parse_args(arguments)
    projects = {} if options.other is None else {"the other": options.other.resolve()}
    print(f"{machine()}\n")
    print(markdown(compare({**projects, "this": ROOT}, options.commands, options.repetitions)))


if __name__ == "__main__":
    main()
