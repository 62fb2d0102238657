"""What ``python -m latents.app`` says where it cannot open a page: one sentence."""

import sys

import pytest

from tests.conftest import Project

pytest.importorskip("nicegui", reason="the extra 'app' is not installed")
pytestmark = pytest.mark.slow  # each begins cold
COMMAND = (sys.executable, "-m", "latents.app", "--no-browser")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--env", "nope"), 1, "Error: there is no environment 'nope' in "),
        (("--model", "no/where"), 1, "Error: no/where cannot be shown: there is no such folder"),
        (("--model", "nobody"), 1, "it is no folder, and MLflow has no models:/nobody@champion"),
        (("--env", "test", "--model", "a"), 2, "Error: --env and --model exclude each other"),
        (("--port", "0"), 2, "Error: Invalid value for '--port': 0 is not in the range"),
    ],
)
def test_what_cannot_be_opened_is_said_in_a_sentence(finished, options, code, said):
    printed = finished.command(*COMMAND, *options, code=code)
    assert said in printed
    assert "Traceback" not in printed


def test_a_project_without_a_run_says_what_to_run(project):
    printed = project.command(*COMMAND, code=1)
    assert "train one first, by `kedro run --pipelines clustering`" in printed
    assert "Traceback" not in printed


def test_a_folder_of_no_project_says_so(tmp_path):
    printed = Project(tmp_path).command(*COMMAND, code=1)
    assert f"{tmp_path} is no folder of a Kedro project" in printed
    assert "Traceback" not in printed
