"""Locks in a store: one holder at a time, who is told when it no longer is."""

import json
import time

import fsspec
import pytest

from latents.leases import HeldError, Leases, LostError
from latents.places import place

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


def test_what_is_no_lock_is_not_taken_over(store):
    store.pipe_file("/locked/a/.lock", b"mine")
    with pytest.raises(HeldError, match="somebody who has not said who"):
        Leases(FOLDERS).__enter__()
    assert store.cat_file("/locked/a/.lock") == b"mine"
