"""Attack the project, and say what survived: kills, signals, full disks, hostile files and values, servers away.

Survived means: what runs wrote is whole or not there, the user's files are as they were, locks are free and the
same command ends well the next time; what is hostile is refused in one sentence that names the file or the
parameter, within 60 seconds and 1.5 GiB of memory (the imported libraries included), and no pickle is executed.

Prints a table of counts and all failures in full, and writes a row a case to ``--output``. Ends with exit code 1
if anything was lost, or left unexplained. What is random is drawn from ``--seed``.
"""

import argparse
import random
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from _common import OUTPUT, machine, markdown
from _confined import look
from _disturbed import NotTriedError, disks, kills, servers, signals
from _hostile import all_cases
from _outcomes import Outcome

PARTS = ("hostile", "signals", "disks", "servers", "kills")


def outcomes(part: str, options: argparse.Namespace, root: Path) -> Iterator[Outcome]:
    """Yield what comes of the cases of a part of the battery."""
    if part == "hostile":
        n_all = len(all_cases())
        numbers = options.cases or range(n_all)
        if options.cases is None and options.hostile < n_all:
            numbers = sorted(random.Random(options.seed).sample(range(n_all), options.hostile))
        yield from look(list(numbers), root)
    elif part == "kills":
        yield from kills(options.kills, options.seed, root)
    elif part == "signals":
        yield from signals(options.seed, root, options.quick)
    elif part == "disks":
        yield from disks(root, options.quick)
    else:
        yield from servers(root, options.quick)


def summary(found: Sequence[Outcome]) -> pd.DataFrame:
    """Return one row a group: how many cases there were, and how many survived."""
    table = pd.DataFrame(found)
    counts = table["complaint"].eq("").groupby(table["group"], sort=False).agg(["size", "sum"])
    counts.loc["all"] = counts.sum()
    return counts.reset_index().set_axis(["what was done", "times", "survived"], axis="columns")


def main(arguments: Sequence[str] | None = None) -> None:
    """Go through the battery, print a row for each group, and the failures in full."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--kills", type=int, default=50, help="so many runs are killed")
    parser.add_argument(
        "--hostile", type=int, default=10**6, help="so many hostile inputs, of all, at random"
    )
    parser.add_argument("--cases", type=int, nargs="+", help="these hostile inputs, by their numbers, again")
    parser.add_argument("--seed", type=int, default=0, help="of what is random")
    parser.add_argument("--quick", action="store_true", help="a few of each, for a try of some minutes")
    parser.add_argument("--output", type=Path, default=OUTPUT / "robustness.csv")
    options = parser.parse_args(arguments)
    if options.output.is_dir():
        parser.error(f"--output {options.output} is a folder; allowed is a CSV file, there already or not")
    if options.quick:
        options.kills, options.hostile = min(options.kills, 2), min(options.hostile, 40)

    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # started in the background: runs are not to ignore it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"{machine()}\nseed {options.seed}\n")
    found: list[Outcome] = []
    for part in options.parts:
        with tempfile.TemporaryDirectory(prefix="robustness-") as root:
            try:
                for outcome in outcomes(part, options, Path(root)):
                    found.append(outcome)
                    verdict = "survived" if not outcome.complaint else "FAILED"
                    print(f"{verdict}: {outcome.group}, {outcome.done}", flush=True)
            except NotTriedError as reason:
                print(f"not tried: {part}, since {reason}", flush=True)
    if not found:
        raise SystemExit("nothing was tried")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(found).to_csv(options.output, index=False)
    print(f"\n{markdown(summary(found))}\n\nAll cases are in {options.output}.")
    failures = [outcome for outcome in found if outcome.complaint]
    for failure in failures:
        print(
            f"\n{failure.group}, {failure.done}\n"
            f"  wrong: {failure.complaint:.2000}\n  seen: {failure.seen:.1000}"
        )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
