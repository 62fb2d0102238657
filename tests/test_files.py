"""What writers leave that are killed, and how it is cleared up."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError
from scipy import sparse

from latents import predictors
from latents.datasets import CountBlocksDataset, NpyFolderDataset, PredictorDataset
from latents.datasets.count_blocks import CountBlocks
from latents.files import restore, share, sweep, whole_file, whole_folder
from latents.predictors import Candidate, Headline

# A process that kills itself, by a signal that it cannot heed, at the rename of this number.
KILLED = """
import os, signal, sys
from pathlib import Path
from latents.files import whole_file, whole_folder

rename, at = Path.rename, int(sys.argv[2])

def killed(self, target):
    global at
    at -= 1
    if not at:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)

Path.rename = killed
with whole_folder(sys.argv[1]) as new:
    (new / "a.txt").write_text("new")
    with whole_file(new / "b.txt") as inner:
        inner.write_text("new")
"""
FIRST, BETWEEN = 1, 2

# An interrupt at the first call of something, which Python then does not come back to.
INTERRUPTED = """
import os, shutil, sys
from pathlib import Path
from filelock import FileLock
from latents.files import whole_folder

owner, name = {"rmtree": shutil, "acquire": FileLock, "rename": Path}[sys.argv[2]], sys.argv[2]
called = getattr(owner, name)

def interrupted(*arguments, **keywords):
    setattr(owner, name, called)
    if sys.argv[2] == "rename":
        called(*arguments, **keywords)
    raise KeyboardInterrupt

with whole_folder(sys.argv[1]) as new:
    (new / "a.txt").write_text("old")
setattr(owner, name, interrupted)
with whole_folder(sys.argv[1]) as new:
    (new / "a.txt").write_text("new")
"""


def killed(folder, at):
    done = subprocess.run([sys.executable, "-c", KILLED, folder, str(at)], check=False)
    assert done.returncode == -signal.SIGKILL


def write(folder, text):
    with whole_folder(folder) as new:
        (new / "a.txt").write_text(text)


def assert_alone(folder, text):
    """Make sure that the folder has the file of this text, and that nothing is left beside it."""
    assert os.listdir(folder.parent) == [folder.name]
    assert (folder / "a.txt").read_text() == text


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    write(folder, "old")
    return folder


def test_killed_before_the_exchange_the_former_folder_is_there_and_the_rest_is_swept(folder):
    killed(folder, FIRST)
    assert len(os.listdir(folder.parent)) == 2
    assert sweep(folder.parent) == []
    assert_alone(folder, "old")


def test_killed_within_the_exchange_the_former_folder_is_put_back(folder):
    killed(folder, BETWEEN)
    assert not folder.exists()
    assert sweep(folder.parent) == [folder]
    assert os.listdir(folder) == ["a.txt"]
    assert_alone(folder, "old")


def test_who_reads_puts_it_back_as_well(folder):
    killed(folder, BETWEEN)
    restore(folder)
    assert (folder / "a.txt").read_text() == "old"
    restore(folder)
    restore(folder.parent / "never there")
    restore(folder.parent / "no folder" / "either")


def test_who_cannot_put_it_back_says_where_it_is(folder):
    killed(folder, BETWEEN)
    (place,) = folder.parent.iterdir()
    (place / ".lock").unlink()
    (place / ".lock").mkdir()  # even root cannot take that for a lock
    with pytest.raises(FileNotFoundError, match=r"folder is missing: .* was killed .* It is now .*/old"):
        restore(folder)


@pytest.mark.parametrize(("at", "text"), [("acquire", "old"), ("rename", "old"), ("rmtree", "new")])
def test_interrupted_at_any_moment_a_writer_leaves_nothing(tmp_path, at, text):
    code = [sys.executable, "-c", INTERRUPTED, tmp_path / "folder", at]
    done = subprocess.run(code, check=False, capture_output=True, text=True)
    assert done.stderr.endswith("KeyboardInterrupt\n")
    assert_alone(tmp_path / "folder", text)


def test_who_writes_the_same_again_clears_up_first(folder):
    killed(folder, FIRST)
    killed(folder, BETWEEN)
    with whole_folder(folder) as new:
        assert (folder / "a.txt").read_text() == "old"
        (new / "a.txt").write_text("new")
    assert_alone(folder, "new")


def test_writers_at_work_are_let_alone(folder):
    with whole_file(folder.parent / "file") as temporary, whole_folder(folder) as new:
        temporary.write_text("whole")
        (new / "a.txt").write_text("new")
        # Another process: the locks are those of the operating system.
        code = f"from latents.files import *; restore({str(folder)!r}); print(sweep({str(folder.parent)!r}))"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert done.stdout == "[]\n"
        assert sweep(folder.parent) == []
    assert sorted(os.listdir(folder.parent)) == ["file", "folder"]
    assert (folder.parent / "file").read_text() == "whole"
    assert (folder / "a.txt").read_text() == "new"


@pytest.fixture
def vanishing(monkeypatch):
    """Let a place that is there go, once, between being asked for and being looked at, as by another process."""
    went = []
    mkdir = os.mkdir

    def vanish(path, *arguments, **keywords):
        path = Path(path)
        if path.name.startswith(".writing-") and path.is_dir() and not went:
            went.append(path)
            if (path / "old").is_dir():
                (path / "old").rename(path.parent / "folder")
            shutil.rmtree(path)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        return mkdir(path, *arguments, **keywords)

    monkeypatch.setattr("os.mkdir", vanish)
    return went


def test_who_reads_does_not_mind_that_the_writer_has_just_cleared_up(folder, vanishing):
    killed(folder, BETWEEN)
    restore(folder)
    assert vanishing
    assert_alone(folder, "old")


def test_who_writes_begins_anew_where_its_place_has_just_been_swept(folder, vanishing):
    write(folder, "new")
    assert vanishing
    assert_alone(folder, "new")


def test_of_writers_at_once_each_ends_well_and_the_last_ones_is_left(folder, monkeypatch):
    rename, others = Path.rename, [f"of another, {i}" for i in range(3)]

    def after_another(self, target):
        if self.name == "new" and not folder.exists() and others:
            with_text = folder.parent / "ready"
            with_text.mkdir()
            (with_text / "a.txt").write_text(others.pop())
            rename(with_text, folder)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", after_another)
    write(folder, "mine")
    assert not others
    assert_alone(folder, "mine")


@pytest.mark.filterwarnings("ignore:flock not supported on this filesystem:UserWarning")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_without_locks_files_are_written_all_the_same(folder, monkeypatch, code):
    killed(folder, FIRST)
    (left,) = {*os.listdir(folder.parent)} - {"folder"}

    def refuse(descriptor, operation):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", refuse)
    with whole_file(folder.parent / "file") as temporary:
        temporary.write_text("whole")
    write(folder, "new")
    assert {*os.listdir(folder.parent)} - {left} == {"file", "folder"}
    assert (folder / "a.txt").read_text() == "new"


def test_what_earlier_versions_left_is_swept(folder):
    mark = "0123456789abcdef" * 2
    folder.rename(folder.with_name(f".replaced-{mark}-folder"))
    folder.with_name(f".writing-{mark}-folder").mkdir()
    folder.with_name(f".writing-{mark}-table.csv").write_text("half")
    mine = folder.with_name(".writing-desk")
    mine.write_text("of the user's own")
    restore(folder)
    assert os.listdir(folder) == ["a.txt"]
    assert sweep(folder.parent) == []
    assert sorted(os.listdir(folder.parent)) == [".writing-desk", "folder"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_many_killed_writers_and_readers_at_once_lose_nothing(folder):
    """Of writers that are killed at any moment a whole folder is left, and after a sweep nothing else."""
    code = (
        "import sys; from latents.files import whole_folder\n"
        "while True:\n"
        "    with whole_folder(sys.argv[1]) as new:\n"
        "        [(new / name).write_text('whole') for name in ('a.txt', 'b.txt')]\n"
    )
    for _ in range(10):
        writer = subprocess.Popen([sys.executable, "-c", code, folder])
        until = time.monotonic() + 0.3 + np.random.default_rng().uniform(0, 0.2)
        while time.monotonic() < until:
            restore(folder)
        writer.kill()
        writer.wait()
        restore(folder)
        names = sorted(os.listdir(folder))
        assert names in (["a.txt"], ["a.txt", "b.txt"])
        assert {(folder / name).read_text() for name in names} in ({"old"}, {"whole"})
    sweep(folder.parent)
    assert os.listdir(folder.parent) == ["folder"]


@pytest.mark.parametrize("kind", ["predictor", "arrays", "counts"])
def test_datasets_find_what_a_killed_writer_took_away(kind, tmp_path, pca_predictor):
    path = tmp_path / kind
    counts = sparse.csr_array(np.eye(3))
    candidate = Candidate(pca_predictor, np.zeros((2, 8, 8)), Headline("distortion", 1.0, False, {}))
    dataset, saved = {
        "predictor": (PredictorDataset(str(path), trained_by="pca"), candidate),
        "arrays": (NpyFolderDataset(str(path)), {"a": np.arange(3)}),
        "counts": (CountBlocksDataset(str(path)), [counts]),
    }[kind]
    with pytest.raises(DatasetError):
        dataset.load()
    dataset.save(saved)
    for read in (dataset.exists, dataset.load):
        killed(path, BETWEEN)
        assert not path.exists()
        assert read()
    killed(path, BETWEEN)
    loaded = {"predictor": predictors.load, "arrays": lambda _: dataset.load(), "counts": CountBlocks}[kind](
        path
    )
    if kind == "counts":
        assert loaded.n_nonzeros == 3
    dataset.save(saved)
    assert os.listdir(tmp_path) == [kind]


def test_two_files_of_one_content_become_one_that_either_name_keeps(tmp_path):
    one, other = tmp_path / "one", tmp_path / "folder/other"
    other.parent.mkdir()
    for path in (one, other):
        path.write_text("model")
    share(one, other)
    assert one.samefile(other)
    with whole_file(one) as temporary:
        temporary.write_text("the next one")
    assert (one.read_text(), other.read_text()) == ("the next one", "model")
    assert os.listdir(other.parent) == ["other"]


def test_where_there_are_no_hard_links_both_files_stay(tmp_path, monkeypatch):
    def refuse(*paths):
        raise PermissionError("no links here")

    for name in "ab":
        (tmp_path / name).write_text("model")
    monkeypatch.setattr(os, "link", refuse)
    share(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "a").samefile(tmp_path / "b")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
