"""Two machines in one: namespaces of Linux, each with its own network, processes, host name and temporary files.

What is begun on one by `ray start` can be ended by `ray stop` there, and nothing else with it. Both see the files
of this machine by the same paths, as those of a cluster see a shared file system.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_OWN = ["--net", "--mount", "--pid", "--uts"]
# Ray keeps its files and shared memory there.
_BEGIN = (
    "hostname {name} && mkdir -p /tmp/ray && mount -t tmpfs none /tmp/ray && mount -t tmpfs none /dev/shm && "
)
_WAIT = "echo ready && exec sleep 3600"


class Machine:
    """A machine of a name and an address, for as long as its first process lives."""

    def __init__(self, name: str, address: str, enter: list[str]) -> None:
        self.name, self.address = name, address
        begin = [*enter, "unshare", *_OWN, "--fork", "--kill-child", "--mount-proc"]
        self._holder = subprocess.Popen(
            [*begin, "sh", "-c", _BEGIN.format(name=name) + _WAIT],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if self._holder.stdout.readline() != "ready\n":
            pytest.skip(f"a second machine cannot be had here: {self._holder.communicate()[1].strip()}")
        # What --fork has made is the first process in there, and the only child.
        (first,) = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self.first = int(first)

    def inside(self, *kinds: str) -> list[str]:
        """Return the words before a command that is to be done in there."""
        return ["nsenter", "--target", str(self.first), "--user", "--preserve-credentials", *kinds]

    def start(self, script: str, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start a script of Bash, as typed there by a user."""
        return subprocess.Popen(
            [*self.inside(*_OWN, f"--wd={folder}"), "bash", "-e", "-c", script],
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def type(self, script: str, folder: Path, environment: Mapping[str, str], code: int = 0) -> str:
        """Do a script of Bash, and return what it printed."""
        return said_by(self.start(script, folder, environment), code)

    def close(self) -> None:
        """End all that runs in there."""
        with suppress(ProcessLookupError):
            os.kill(self._holder.pid, signal.SIGKILL)
        self._holder.communicate()


def said_by(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for the end of a script, which is to be that of this code, and return what it printed."""
    try:
        said, _ = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == code, said
    return said


@contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Give two machines on a network of their own, 10.0.0.1 and 10.0.0.2; skip where there are none to be had."""
    if missing := [name for name in ("unshare", "nsenter", "ip") if not shutil.which(name)]:
        pytest.skip(f"a second machine cannot be had here without {', '.join(missing)}")
    user = ["unshare", "--user", "--map-root-user"]
    begun: list[Machine] = []
    try:
        for name, address in (("node1", "10.0.0.1"), ("node2", "10.0.0.2")):
            begun.append(Machine(name, address, begun[0].inside() if begun else user))
        head, other = begun
        subprocess.run(
            [
                *head.inside("--net"),
                *f"ip link add eth0 type veth peer name eth0 netns {other.first}".split(),
            ],
            check=True,
        )
        for machine, peer in ((head, other), (other, head)):
            script = (
                f"ip link set lo up; ip addr add {machine.address}/24 dev eth0; ip link set eth0 up; "
                f"ip route add default via {peer.address}"
            )
            subprocess.run([*machine.inside("--net"), "sh", "-e", "-c", script], check=True)
        yield head, other
    finally:
        for machine in reversed(begun):
            machine.close()
