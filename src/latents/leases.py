"""Locks in a store, which has none: small files that say who holds them, and until when.

A lock is written on the condition that there is none (``If-None-Match``), which the store itself holds to; so of
two that ask at once one gets it. It is good for a minute, and renewed as long as its holder lives; that of a
holder that was killed can be taken over when the minute is past, on the condition that it is still the one that
was seen (``If-Match``). Who finds its own lock gone, or could not renew it in time, is told (``check``).

The clocks of machines that share a store must not differ by more than half a minute. A store that does not know
these conditions is asked just before, and read just after: two that ask in the same instant may then both begin,
and the one whose lock is not there stops when it is to be renewed.
"""

import getpass
import json
import logging
import os
import platform
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import uuid4

from latents.places import PlaceError, Remote

logger = logging.getLogger(__name__)

NAME = ".lock"


class HeldError(Exception):
    """Another process holds the lock of a folder; the message says who."""

    def __init__(self, folder: Remote, who: str) -> None:
        super().__init__(f"{folder} is locked by {who}")
        self.folder = folder
        self.who = who


class LostError(PlaceError):
    """A lock that was held is no longer."""


class Leases:
    """The locks of folders of stores, held for the length of a block.

    Parameters
    ----------
    folders : collection of Remote

    Raises
    ------
    HeldError
        When it begins, if another holds one; none is then held.
    PlaceError
        If a store does not answer, or refuses.
    """

    LENGTH, EVERY = 60.0, 15.0  # seconds

    def __init__(self, folders: Collection[Remote]) -> None:
        self._folders = sorted(folders, key=str)
        self._token = uuid4().hex
        self._since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        self._process = os.getpid()
        self._tried: list[Remote] = []  # what may have our lock, whatever the store has said
        self._versions: dict[Remote, str | None] = {}
        self._until = 0.0
        self._lost: Remote | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        """Take all locks, or none."""
        self._until = time.time() + self.LENGTH
        try:
            for number, folder in enumerate(self._folders):
                self._take(folder)
                if number == 0:  # the others may take their time
                    self._thread.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give them back."""
        self.close()

    def close(self) -> None:
        """Give back what is held; of another process, after a fork, that is nothing."""
        if os.getpid() != self._process:
            return
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(self.EVERY)  # a store that is away takes its time to say so
        self._release()

    @property
    def is_held(self) -> bool:
        """Tell whether all locks are."""
        if self._lost is None and self._folders and (time.time() > self._until or self._ended.is_set()):
            self._lost = self._folders[0]
        return self._lost is None

    def check(self) -> None:
        """Raise ``LostError`` if a lock is held no longer."""
        if not self.is_held:
            raise LostError(
                f"the lock of {self._lost} was lost: its store did not answer for {self.LENGTH:.0f} seconds, or "
                "the lock was removed; another run may be writing there by now, and this one writes no more"
            )

    def _take(self, folder: Remote) -> None:
        lock = folder.with_child(NAME)
        self._tried.append(folder)
        for _ in range(3):
            begun = time.time()
            if lock.create(self._content()):
                break
            try:
                content, version = lock.read_small()
            except FileNotFoundError:
                continue  # it was given back in this instant
            until, who, token = _parsed(content)
            if token == self._token:  # the answer was lost, and the driver has asked again
                break
            if begun < until:
                raise HeldError(folder, who)
            if lock.replace(self._content(), version):
                logger.warning("the lock of %s, of %s, was not renewed and is taken over", folder, who)
                break
        content, version = lock.read_small()
        _, who, token = _parsed(content)
        if token != self._token:
            raise HeldError(folder, who)
        self._versions[folder] = version

    def _keep(self) -> None:
        while not self._ended.wait(self.EVERY) and self.is_held:
            begun = time.time()
            try:
                for folder in list(self._versions):
                    if not self._is_renewed(folder, begun + self.LENGTH):
                        self._lost = folder
                        return
            except PlaceError as error:  # perhaps not the next time
                logger.warning("%s", error)
                continue
            if self.is_held:  # and was all the time
                self._until = begun + self.LENGTH

    def _is_renewed(self, folder: Remote, until: float) -> bool:
        """Renew a lock; tell whether it is ours. What is there says so: the answer to the writing may be lost."""
        lock = folder.with_child(NAME)
        for _ in range(3):
            lock.replace(self._content(), self._versions[folder])
            try:
                content, version = lock.read_small()
            except FileNotFoundError:
                return False
            found, _, token = _parsed(content)
            if token != self._token:
                return False
            self._versions[folder] = version
            if found >= until:
                return True
        raise PlaceError(f"{lock} is ours, and cannot be renewed")

    def _release(self) -> None:
        locks = [folder.with_child(NAME) for folder in self._tried]
        self._tried.clear()
        self._versions.clear()
        try:
            for lock in locks:
                with suppress(FileNotFoundError):
                    if _parsed(lock.read_small()[0])[2] == self._token:
                        lock.unlink(missing_ok=True)
        except PlaceError as error:  # which takes seconds to say, for each of them
            logger.warning("%s; the locks there end by themselves within %.0f seconds", error, self.LENGTH)

    def _content(self) -> bytes:
        who = f"{_user()} on {platform.node()}, process {os.getpid()}, since {self._since}"
        told = {"holder": who, "until": time.time() + self.LENGTH, "token": self._token}
        return json.dumps(told).encode()


def _parsed(content: bytes) -> tuple[float, str, str]:
    """Return until when a lock holds, who holds it, and by what it tells itself from others."""
    try:
        told = json.loads(content)
        return float(told["until"]), str(told["holder"]), str(told["token"])
    except (ValueError, KeyError, TypeError):
        return float("inf"), "somebody who has not said who (it is no lock of this version; remove it)", ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # of a container whose user has no name
        return f"user {os.getuid()}"
