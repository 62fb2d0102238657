"""``python -m latents``: ``kedro run`` of the installed package, away from its sources.

The configuration is what ``--conf-source`` names, or the folder ``conf``. What a run writes, MLflow's database
included, goes to the working folder.
"""

import os
from pathlib import Path

# Kedro reads this when it is imported: what is said where there is no folder ``conf``.
if not Path("conf/logging.yml").is_file():
    os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(Path(__file__).with_name("logging.yml")))

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project


def main() -> None:
    """Run pipelines; the command line takes the options of ``kedro run``."""
    # As in the project, whose .telemetry and Makefile say so: nothing reports usage.
    os.environ.setdefault("DO_NOT_TRACK", "true")
    configure_project("latents")
    find_run_command("latents")()


if __name__ == "__main__":
    main()
