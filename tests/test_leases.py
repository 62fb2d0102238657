"""Locks in a store: one holder at a time, who is told when it no longer is."""

import json
import time

import fsspec
import pytest

from latents.leases import HeldError, Leases, LostError
from latents.places import PlaceError, Remote, place

FOLDERS = [place("memory://locked/a"), place("memory://locked/b")]


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTS_SCRATCH", str(tmp_path))
    found = fsspec.filesystem("memory")
    found.store.clear()
    return found


def lock_of(store, name="a"):
    return json.loads(store.cat_file(f"/locked/{name}/.lock"))


def test_the_second_is_told_who_has_it_and_takes_none(store):
    with Leases(FOLDERS[:1]):
        with pytest.raises(HeldError, match=r"memory://locked/a is locked by .* on .*, process .*, since 20"):
            Leases(FOLDERS).__enter__()
        assert store.find("/locked") == ["/locked/a/.lock"]
    assert store.find("/locked") == []
    with Leases(FOLDERS):
        assert len(store.find("/locked")) == 2


def test_none_is_left_where_one_is_held(store):
    with Leases(FOLDERS[1:]):
        with pytest.raises(HeldError, match="locked/b"):
            Leases(FOLDERS).__enter__()
        assert store.find("/locked") == ["/locked/b/.lock"]


def test_that_of_a_dead_holder_is_taken_over_when_it_has_ended(store, monkeypatch, caplog):
    monkeypatch.setattr(Leases, "LENGTH", 0.3)
    monkeypatch.setattr(Leases, "EVERY", 60.0)
    dead = Leases(FOLDERS[:1]).__enter__()
    with pytest.raises(HeldError):
        Leases(FOLDERS[:1]).__enter__()
    time.sleep(0.4)
    with pytest.raises(LostError, match="the lock of memory://locked/a was lost"):
        dead.check()
    monkeypatch.setattr(Leases, "LENGTH", 60.0)
    with Leases(FOLDERS[:1]) as taken:
        assert "was not renewed and is taken over" in caplog.text
        dead.__exit__(None, None, None)  # gives back nothing that is another's
        taken.check()
        assert lock_of(store)["token"]
    assert store.find("/locked") == []


def test_it_is_renewed_while_its_holder_lives(store, monkeypatch):
    monkeypatch.setattr(Leases, "EVERY", 0.05)
    with Leases(FOLDERS) as held:
        before = lock_of(store, "b")["until"]
        deadline = time.monotonic() + 60
        while lock_of(store, "b")["until"] == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        held.check()


@pytest.mark.parametrize("becomes", ["another's", "gone"])
def test_a_holder_whose_lock_is_no_longer_its_own_is_told(store, monkeypatch, becomes):
    monkeypatch.setattr(Leases, "EVERY", 0.05)
    with Leases(FOLDERS) as held:
        if becomes == "gone":
            store.rm_file("/locked/b/.lock")
        else:
            told = {"holder": "other", "until": time.time() + 60, "token": "other"}
            store.pipe_file("/locked/b/.lock", json.dumps(told).encode())
        deadline = time.monotonic() + 60
        while held.is_held:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(LostError, match="the lock of memory://locked/b was lost"):
            held.check()
    assert store.exists("/locked/b/.lock") == (becomes != "gone")


class Lossy:
    """A store that takes what is written under a name, and whose answer is lost, once for each of `answers`."""

    def __init__(self, store, monkeypatch, name, *answers):
        self.answers, real = list(answers), type(store).pipe_file

        def pipe_file(fs, path, value, **options):
            real(fs, path, value, **options)
            if path.endswith(name) and self.answers:
                raise self.answers.pop(0)

        monkeypatch.setattr(type(store), "pipe_file", pipe_file)


def test_who_takes_a_lock_and_is_not_answered_has_it(store, monkeypatch):
    lossy = Lossy(store, monkeypatch, "a/.lock", FileExistsError("the driver's second try"))
    with Leases(FOLDERS) as held:
        assert not lossy.answers
        held.check()
    assert store.find("/locked") == []


def test_what_a_store_has_taken_and_failed_by_is_given_back(store, monkeypatch):
    Lossy(store, monkeypatch, "b/.lock", OSError("connection reset"))
    with pytest.raises(PlaceError, match="connection reset"):
        Leases(FOLDERS).__enter__()
    assert store.find("/locked") == []


@pytest.mark.parametrize("error", [FileExistsError("the driver's second try"), OSError("connection reset")])
def test_who_renews_a_lock_and_is_not_answered_has_it(store, monkeypatch, error):
    monkeypatch.setattr(Leases, "EVERY", 0.05)
    with Leases(FOLDERS) as held:
        lossy = Lossy(store, monkeypatch, "b/.lock", error)
        before, deadline = held._until, time.monotonic() + 60
        while lossy.answers or held._until <= before + 0.1:
            assert time.monotonic() < deadline
            assert held.is_held
            time.sleep(0.02)
        held.check()


def test_another_s_lock_is_never_taken_for_one_s_own(store, monkeypatch):
    """Between the writing and the reading of what tells the next version."""
    monkeypatch.setattr(Leases, "EVERY", 0.05)
    real = Remote.read_small

    def read_small(self):
        if renewing:
            told = {"holder": "other", "until": time.time() + 60, "token": "other"}
            store.pipe_file("/locked/b/.lock", json.dumps(told).encode())
        return real(self)

    renewing = []
    with Leases(FOLDERS[1:]) as held, monkeypatch.context() as patched:
        patched.setattr(Remote, "replace", lambda *words: bool(renewing.append(words)) or True)
        patched.setattr(Remote, "read_small", read_small)
        deadline = time.monotonic() + 60
        while held.is_held:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert lock_of(store, "b")["token"] == "other"


def test_what_was_not_renewed_in_time_is_lost_for_good(store, monkeypatch):
    monkeypatch.setattr(Leases, "LENGTH", 0.2)
    monkeypatch.setattr(Leases, "EVERY", 0.4)
    with Leases(FOLDERS[:1]) as held:
        time.sleep(0.6)  # by now it would be renewed
        monkeypatch.setattr(Leases, "LENGTH", 60.0)
        time.sleep(0.6)
        assert not held.is_held


def test_a_lock_counts_from_before_it_was_taken_and_is_renewed_while_others_are_taken(store, monkeypatch):
    monkeypatch.setattr(Leases, "EVERY", 0.05)
    real, seen = Leases._take, []

    def take(self, folder):
        if folder.name == "b":
            seen.append(lock_of(store)["until"])
            assert self._until <= seen[0]
            deadline = time.monotonic() + 60
            while lock_of(store)["until"] == seen[0]:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        real(self, folder)

    monkeypatch.setattr(Leases, "_take", take)
    with Leases(FOLDERS) as held:
        assert held._until <= min(lock_of(store, name)["until"] for name in "ab")
    assert seen


def test_a_store_of_folders_has_the_folder_made(tmp_path):
    options = {"path": str(tmp_path / "there"), "target_protocol": "file"}
    with Leases([place("dir://deep/out", options)]):
        assert (tmp_path / "there/deep/out/.lock").is_file()
        assert not (place("dir://other/a.txt", options)).exists()  # whose first folder is no bucket
    assert not (tmp_path / "there/deep/out/.lock").exists()


def test_a_forked_process_gives_back_nothing(store):
    with Leases(FOLDERS) as held:
        held._process += 1  # as after a fork
        held.close()
        assert len(store.find("/locked")) == 2
        held._process -= 1


def test_what_is_no_lock_is_not_taken_over(store):
    store.pipe_file("/locked/a/.lock", b"mine")
    with pytest.raises(HeldError, match="somebody who has not said who"):
        Leases(FOLDERS).__enter__()
    assert store.cat_file("/locked/a/.lock") == b"mine"
