"""What contributors are told is true of the tree, and what users may import says what it is.

The site itself is built by ``make docs``, which a broken link, formula or docstring ends.
"""

import inspect
import re
import shutil
import subprocess
from importlib import import_module

import pytest

from tests.conftest import ROOT

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
RECORD = (ROOT / "benchmarks/RECORD.md").read_text()
PLACES = sorted(set(re.findall(r"`([^`\s]*(?:/[^`\s]*|\.md|\.toml|\.py))`", CONTRIBUTING)))
STANDS_FOR = {
    "<pipeline>": ["clustering", "pca", "cvae"],
    "<model>": ["multinomial_mixture", "minimum_error_pca", "conditional_vae"],
}
EXPORTED = [
    (room, name)
    for room in ("latents.datasets", "latents.estimators", "latents.predictors")
    for name in import_module(room).__all__
]
RECORDS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in RECORD.splitlines()
    if line.startswith("|") and not re.match(r"\| what|\|-", line)
]


@pytest.mark.parametrize("name", PLACES)
def test_contributors_find_every_place_that_they_are_told_of(name):
    paths = [name] if "/" in name or not name.endswith(".py") else [f"src/latents/**/{name}"]
    for mark, names in STANDS_FOR.items():
        paths = [path.replace(mark, one) for path in paths for one in (names if mark in path else [""])]
    assert paths
    for path in paths:
        assert list(ROOT.glob(path)), path


def test_contributors_are_told_commands_that_there_are():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    (block,) = re.findall(r"```bash\n(.*?)```", CONTRIBUTING, flags=re.DOTALL)
    assert re.findall(r"^make (\w+)", block, flags=re.MULTILINE) == ["run", "test", "lint"]
    assert set(re.findall(r"\bmake ([a-z-]+)", CONTRIBUTING)) <= targets


@pytest.mark.parametrize(("room", "name"), EXPORTED)
def test_what_users_import_says_what_it_is(room, name):
    thing = getattr(import_module(room), name)
    members = [value for key, value in inspect.getmembers(thing, callable) if not key.startswith("_")]
    for part in [thing, *members] if inspect.isclass(thing) else [thing]:
        if part.__module__.startswith("latents"):
            assert inspect.getdoc(part), part


def test_every_line_of_the_record_names_value_commit_processor_and_day():
    assert len(RECORDS) > 50
    for record in RECORDS:
        what, value, commit, processor, date = record
        assert what, record
        assert value, record
        assert processor, record
        assert re.fullmatch(r"`[0-9a-f]{7}`", commit), record
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date), record


def test_commits_of_the_record_are_of_its_days():
    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)

    if not shutil.which("git") or git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("there is no history here")
    told = {(commit.strip("`"), date) for *_, commit, _, date in RECORDS}
    shown = git("show", "--no-patch", "--format=%h %cs", "--abbrev=7", *sorted(commit for commit, _ in told))
    assert shown.returncode == 0, shown.stderr
    assert {tuple(line.split()) for line in shown.stdout.splitlines()} == told
