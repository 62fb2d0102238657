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

import latents
from _common import OUTPUT, machine, markdown, positive
from _confined import look
from _disturbed import NotTriedError, disks, kills, servers, signals
from _hostile import all_cases
from _outcomes import Outcome

PARTS = ("hostile", "signals", "disks", "servers", "kills")


def outcomes(part: str, options: argparse.Namespace, root: Path) -> Iterator[Outcome]:
    """Yield what comes of the cases of a part of the battery."""
    if part == "hostile":
        everything = dict(enumerate(all_cases()))
        numbers = options.cases or list(everything)
        if unknown := set(numbers) - everything.keys():
            raise SystemExit(f"--cases {min(unknown)}: allowed are 0 to {len(everything) - 1}")
        if options.cases is None and options.hostile is not None and options.hostile < len(numbers):
            numbers = sorted(random.Random(options.seed).sample(numbers, options.hostile))
        yield from look({number: everything[number] for number in numbers}, root)
    elif part == "kills":
        yield from kills(options.kills, options.seed, root, options.quick)
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


def told(outcome: Outcome) -> str:
    """Return a line of what survived, and a failure in full."""
    if not outcome.complaint:
        return f"survived: {outcome.group}, {outcome.done}"
    return (
        f"FAILED: {outcome.group}, {outcome.done}\n"
        f"    wrong: {outcome.complaint:.2000}\n    seen: {outcome.seen:.1000}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Go through the battery, say what came of each case, and print a table of counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--kills", type=positive, default=50, help="so many runs are killed")
    parser.add_argument("--hostile", type=positive, help="so many hostile inputs, at random; all by default")
    parser.add_argument("--cases", type=int, nargs="+", help="these hostile inputs, by their numbers, again")
    parser.add_argument("--seed", type=int, default=0, help="of what is random")
    parser.add_argument("--quick", action="store_true", help="a few of each, for a try of some minutes")
    parser.add_argument("--output", type=Path, default=OUTPUT / "robustness.csv")
    options = parser.parse_args(arguments)
    if options.output.is_dir():
        parser.error(f"--output {options.output} is a folder; allowed is a CSV file, there already or not")
    if options.quick:
        options.kills, options.hostile = min(options.kills, 2), min(options.hostile or 40, 40)

    print(f"{machine()}\n{Path(latents.__file__).parent}, seed {options.seed}\n")
    found: list[Outcome] = []
    for part in options.parts:
        with tempfile.TemporaryDirectory(prefix="robustness-") as root:
            try:
                for outcome in outcomes(part, options, Path(root)):
                    found.append(outcome)
                    print(told(outcome), flush=True)
            except NotTriedError as reason:
                print(f"not tried: {part}, since {reason}", flush=True)
    if not found:
        raise SystemExit("nothing was tried")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(found).to_csv(options.output, index=False)
    print(f"\n{markdown(summary(found))}\n\nAll cases are in {options.output}.")
    sys.exit(1 if any(outcome.complaint for outcome in found) else 0)


if __name__ == "__main__":
    # Started in the background Ctrl-C is ignored, and runs would ignore it as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers and small disks are not to outlive it
    main()
