"""Runs that are disturbed: killed, interrupted, on a full disk, with MLflow's server away; and what they leave."""

import atexit
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from _common import ROOT
from _outcomes import Outcome
from latents import estimators, predictors
from latents.estimators.conditional_vae import checkpoints

TRAININGS = ("clustering", "pca", "cvae")
INFERENCES = tuple(f"{name}_inference" for name in TRAININGS)
MIXED = (*((name,) for name in TRAININGS), TRAININGS, INFERENCES)
LONG = ("--params", "cvae.fit.epochs=1000000")
LONGEST = 600.0  # seconds: a run that takes longer has failed
AFTER_A_SIGNAL = 15.0
LONGER_THAN_WITHOUT = 10.0
MINE = ("data/01_raw/mine.csv", "data/test/08_reporting/pca/notes.txt", "conf/local/parameters.yml")


class NotTriedError(Exception):
    """Something cannot be tried on this machine; says why."""


class Done(NamedTuple):
    """How a run ended: its exit code (None if it had to be killed), all that it printed, and its seconds."""

    code: int | None
    printed: str
    seconds: float

    @property
    def last_words(self) -> str:
        """The end of what was printed, on one line."""
        return " ".join(self.printed.split())[-300:]


class Run:
    """A `kedro run` at work."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._output = folder.parent / f"{folder.name}-{time.monotonic_ns()}.txt"
        self._started = time.monotonic()
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("kedro")), "run", "--env", "test", *words],
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        atexit.register(self.process.kill)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def wait_until(self, there: Callable[[], bool]) -> bool:
        """Wait until something holds; return False if the run ends before."""
        deadline = time.monotonic() + LONGEST
        while self.is_running and time.monotonic() < deadline:
            if there():
                return True
            time.sleep(0.05)
        return False

    def send(self, number: signal.Signals, times: int = 1) -> None:
        """Send a signal, as a terminal does."""
        for _ in range(times):
            if self.is_running:
                self.process.send_signal(number)
                time.sleep(0.3)

    def end(self, within: float = LONGEST) -> Done:
        """Wait for the end, and kill what does not end."""
        code: int | None = None
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        done = Done(code, self._output.read_text(errors="replace"), time.monotonic() - self._started)
        self._output.unlink()
        return done


class Project:
    """A copy of the project, with some files of a user's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        for name in ("conf", "pyproject.toml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, path / name)
        shutil.rmtree(path / "conf/local")
        (path / "src").mkdir()
        self.add_what_is_mine()

    def add_what_is_mine(self) -> None:
        """Write the user's files."""
        for name in MINE:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(f"{{}} # {name}\n")
        self._mine = self._digests()

    def _digests(self) -> dict[str, str]:
        there = (name for name in MINE if (self.path / name).is_file())
        return {name: hashlib.sha256((self.path / name).read_bytes()).hexdigest() for name in there}

    def start(self, *words: str, server: str | None = None) -> Run:
        """Start a run; `server` is MLflow's address, if it is not the project's own database."""
        left_out = ("MLFLOW_TRACKING_URI", "LATENTS_DATA_HOME")
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        environment["DO_NOT_TRACK"] = "true"
        if server is not None:
            environment["MLFLOW_TRACKING_URI"] = server
        return Run(words, self.path, environment)

    def run(self, pipelines: Sequence[str], *words: str, server: str | None = None) -> Done:
        """Run pipelines to their end."""
        return self.start("--pipelines", ",".join(pipelines), *words, server=server).end()

    def has_begun(self, pipelines: Sequence[str]) -> Callable[[], bool]:
        """Return what tells whether a run of pipelines has taken its locks (of those that ran before, again)."""
        folders = [self.path / "data/test/08_reporting" / name for name in pipelines]
        since = time.time()
        return lambda: any(
            (folder / ".lock").is_file() and (folder / ".lock").stat().st_mtime >= since for folder in folders
        )

    @property
    def checkpoint(self) -> Path:
        """What is there as soon as the training of `cvae` has got to work."""
        return self.path / "data/test/06_models/cvae/checkpoint.safetensors"

    def outputs(self) -> list[Path]:
        """Return the files that runs have written and that are not hidden."""
        there = (path for path in sorted((self.path / "data/test").rglob("*")) if path.is_file())
        shown = (path for path in there if not any(part.startswith(".") for part in path.parts))
        return [path for path in shown if str(path.relative_to(self.path)) not in MINE]

    def complaints(self) -> list[str]:
        """Say which outputs are not whole, and which of the user's files are not as they were."""
        broken = [f"{path.relative_to(self.path)}: {why}" for path in self.outputs() if (why := unread(path))]
        now = self._digests()
        lost = [f"{name} is not as it was" for name in self._mine if now.get(name) != self._mine[name]]
        return broken + lost

    def remains(self) -> list[str]:
        """Return what runs have begun and not ended: files being written, marks, runs of MLflow."""
        begun = (".writing-*", ".replaced-*", ".run")
        paths = [path for pattern in begun for path in (self.path / "data").rglob(pattern)]
        return [str(path.relative_to(self.path)) for path in paths] + running(self.path / "mlflow.db")

    def runs_well(self, *runs: Sequence[str], server: str | None = None) -> list[str]:
        """Run pipelines to their end, one run after the other; return what is wrong then."""
        for pipelines in runs:
            done = self.run(pipelines, server=server)
            if done.code != 0:
                return [f"the next run of {','.join(pipelines)} ended by {done.code}: {done.last_words}"]
        return self.complaints() + [f"{name} is left after the next run" for name in self.remains()]


def running(database: Path) -> list[str]:
    """Return the runs that an MLflow database takes for running."""
    if not database.is_file():
        return []
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("select run_uuid from runs where status = 'RUNNING'").fetchall()
    return [f"MLflow's run {row[0]}, RUNNING" for row in rows]


def _read_html(path: Path) -> None:
    if not path.read_text().rstrip().endswith("</html>"):
        raise ValueError("it does not end")


def _read_model(path: Path) -> None:
    if path.name.startswith("checkpoint"):
        checkpoints.read(path)
    else:
        estimators.load(path)


def _read_json(path: Path) -> None:
    json.loads(path.read_text())
    if path.name == "predictor.json":
        predictors.load(path.parent)


def _read_npz(path: Path) -> None:
    with np.load(path) as arrays:
        for name in arrays:
            arrays[name]


_READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": pd.read_csv,
    ".html": _read_html,
    ".json": _read_json,
    ".log": Path.read_text,  # whole at no time: it grows
    ".npy": lambda path: np.load(path, mmap_mode="r"),
    ".npz": _read_npz,
    ".parquet": pd.read_parquet,
    ".png": lambda path: Image.open(path).load(),
    ".safetensors": _read_model,
}


def unread(path: Path) -> str:
    """Say why a file of outputs cannot be read; nothing if it can."""
    if path.suffix not in _READERS:
        return f"nobody knows how to read {path.suffix!r}"
    try:
        _READERS[path.suffix](path)
    except Exception as error:  # whatever it is, it is told
        return f"{type(error).__name__}: {error}"
    return ""


class Pace(NamedTuple):
    """When an undisturbed run takes its locks, and when it ends, in seconds."""

    begun: float
    ended: float


def paces(project: Project, mixed: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], Pace]:
    """Run these pipelines once, undisturbed; return how long it takes.

    Raises
    ------
    SystemExit
        If an undisturbed run fails.
    """
    found = {}
    for pipelines in mixed:
        begun = project.has_begun(pipelines)
        started = time.monotonic()
        run = project.start("--pipelines", ",".join(pipelines))
        run.wait_until(begun)
        after = time.monotonic() - started
        done = run.end()
        if done.code != 0:
            raise SystemExit(f"an undisturbed run of {pipelines} ended by {done.code}: {done.printed}")
        found[pipelines] = Pace(after, done.seconds)
    return found


# --- kills and signals ----------------------------------------------------------------------------------------


def kills(n: int, seed: int, root: Path, quick: bool, every: int = 5) -> Iterator[Outcome]:
    """Kill runs (`kill -9`) at random moments, mostly after they have begun to write; see what they leave.

    Every few kills, and after the last, all pipelines run to their end.
    """
    rng = random.Random(seed)
    project = Project(root / "kills")
    usual = paces(project, MIXED[:1] if quick else MIXED)
    for number in range(n):
        pipelines = rng.choice(list(usual))
        begun, ended = usual[pipelines]
        moment = rng.uniform(begun if rng.random() < 0.9 else 0.0, ended)
        run = project.start("--pipelines", ",".join(pipelines))
        time.sleep(moment)
        was_running = run.is_running
        run.process.kill()
        run.end()
        being_written = [path for path in project.remains() if ".writing-" in path]
        seen = "killed" if was_running else "had ended"
        seen += f", {len(being_written)} files being written, {len(project.outputs())} whole"
        complaints = project.complaints()
        if number % every == every - 1 or number == n - 1:
            # What a killed run has left, a run of the same pipelines clears up.
            complaints += project.runs_well(*([pipelines] if quick else [TRAININGS, INFERENCES]))
            seen += "; then run to the end"
        title = f"{number}: {','.join(pipelines)} after {moment:.2f} s"
        yield Outcome("kill -9", title, seen, "; ".join(complaints))


def signals(seed: int, root: Path, quick: bool) -> Iterator[Outcome]:
    """Interrupt runs by Ctrl-C, a request to end, and a terminal that closes, once and twice."""
    rng = random.Random(seed)
    project = Project(root / "signals")
    usual = paces(project, [("cvae",)] if quick else [("cvae",), ("clustering",), ("pca",)])
    numbers = (signal.SIGINT,) if quick else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        # What is ignored here (by nohup) the runs would ignore as well; what is handled here they are not given.
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
        for times in (1, 2):
            for pipelines in usual:
                begun, ended = usual[pipelines]
                if pipelines == ("cvae",):
                    project.checkpoint.unlink(missing_ok=True)
                    run = project.start("--pipelines", "cvae", *LONG)
                    run.wait_until(project.checkpoint.is_file)
                    where = "in the fit of cvae"
                else:
                    moment = rng.uniform(begun, ended)
                    run = project.start("--pipelines", *pipelines)
                    time.sleep(moment)
                    where = f"{pipelines[0]}, after {moment:.2f} s"
                seen, complaints = interrupted(run, number, times)
                complaints += project.complaints() + project.runs_well(pipelines)
                title = f"{number.name}, {('once', 'twice')[times - 1]}: {where}"
                yield Outcome("signals", title, seen, "; ".join(complaints))


def interrupted(run: Run, number: signal.Signals, times: int = 1) -> tuple[str, list[str]]:
    """Send a signal to a run; return how it ended, and what is wrong with that."""
    if not run.is_running:
        done = run.end()
        return f"had ended by {done.code}", [] if done.code == 0 else [f"it failed: {done.last_words}"]
    sent = time.monotonic()
    run.send(number, times)
    done = run.end(AFTER_A_SIGNAL)
    seen = f"ended by {done.code}, {time.monotonic() - sent:.1f} s after the signal"
    if done.code is None:
        return seen, [f"still running {AFTER_A_SIGNAL:.0f} s after the signal: {done.last_words}"]
    allowed = (128 + number, -number, 0)  # it may have come to its end in the same moment
    wrong = [] if done.code in allowed else [f"exit code {done.code}, not {128 + number}: {done.last_words}"]
    return seen, wrong


# --- full disks -------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Callable[[], None]]:
    """Mount a file system of so many bytes; gives a function that makes it large.

    Raises
    ------
    NotTriedError
        Where that is not allowed.
    """
    place.mkdir(parents=True, exist_ok=True)

    def mount(options: str) -> subprocess.CompletedProcess[str]:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    if shutil.which("mount") is None or sys.platform != "linux":
        raise NotTriedError("small file systems are mounted on Linux alone")
    done = mount(f"size={size}")
    if done.returncode:
        raise NotTriedError(
            f"no small file system may be mounted here, which root may: {done.stderr.strip()}"
        )
    try:
        yield lambda: mount("remount,size=4g") and None
    finally:
        subprocess.run(["umount", str(place)], check=True)


def disks(root: Path, quick: bool) -> Iterator[Outcome]:
    """Run where the disk is full before the outputs are written, then again with room."""
    plain = Project(root / "plain")
    sizes = {}
    for name in TRAININGS[1:2] if quick else TRAININGS:
        plain.run([name])
        sizes[name] = sum(path.stat().st_size for path in plain.outputs() if f"/{name}/" in str(path))
    everything = sum(path.stat().st_size for path in plain.path.rglob("*") if path.is_file())
    shares = (0.5,) if quick else (0.05, 0.3, 0.6, 0.9)
    tried = [(name, share, "data") for name in sizes for share in shares]
    if not quick:
        tried += [("pca", share, ".") for share in (0.05, 0.5, 0.9)]
    for number, (name, share, part) in enumerate(tried):
        folder = root / f"disk-{number}"
        size = int(share * (sizes[name] if part == "data" else everything)) + 2**16
        project = Project(folder) if part == "data" else None
        with small_disk(folder / part, size) as enlarge:
            if project is None:
                project = Project(folder)
            project.add_what_is_mine()
            done = project.run([name])
            is_said = any(words in done.printed for words in ("No space left", "disk is full", "ENOSPC"))
            complaints = project.complaints()
            if done.code not in (0, 1) or (done.code and not is_said):
                complaints.append(f"ended by {done.code}, without a word of the disk: {done.last_words}")
            enlarge()
            complaints += project.runs_well([name])
        where = f"{name}, {size / 2**20:.1f} MiB for {'data/' if part == 'data' else 'all'}"
        yield Outcome("full disk", where, f"ended by {done.code}: {done.last_words}", "; ".join(complaints))


# --- servers ----------------------------------------------------------------------------------------------------


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server of MLflow's on this machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.database = folder / "mlflow.db"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        words += ["--backend-store-uri", f"sqlite:///{self.database}"]
        words += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("mlflow")), *words],
                cwd=self.folder,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                direct.open(f"{self.address}/health", timeout=2).close()
                return
            except OSError:
                time.sleep(0.3)
        raise SystemExit(f"mlflow server does not start: {(self.folder / 'log.txt').read_text()[-2000:]}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and its workers."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def stop(self) -> None:
        """End it at once."""
        self.send(signal.SIGKILL)
        self.process.wait()


def servers(root: Path, quick: bool) -> Iterator[Outcome]:
    """Run with a server of MLflow's that is not there, goes, hangs, and comes back."""
    project = Project(root / "servers")
    yield from _servers_that_are_none(project, quick)
    server = Server(root / "mlflow")
    try:
        yield from _servers_that_go(project, server, quick)
    finally:
        server.send(signal.SIGCONT)
        server.stop()


def _servers_that_are_none(project: Project, quick: bool) -> Iterator[Outcome]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        places = {"a closed port": free_port(), "a server that never answers": silent.getsockname()[1]}
        for title, port in places.items():
            address = f"http://127.0.0.1:{port}"
            run = project.start("--pipelines", "pca", server=address)
            beside = project.start("--pipelines", "clustering")
            done, other = run.end(), beside.end()
            complaints = []
            if done.code in (None, 0):
                complaints.append(f"ended by {done.code}")
            if done.seconds > other.seconds + LONGER_THAN_WITHOUT:
                complaints.append(
                    f"took {done.seconds:.0f} s; a whole run beside it took {other.seconds:.0f} s"
                )
            if "Traceback" in done.printed or f"127.0.0.1:{port}" not in "".join(done.printed.split()):
                complaints.append(f"no sentence that names the server: {done.last_words}")
            seen = f"ended by {done.code} after {done.seconds:.1f} s: {done.last_words}"
            yield Outcome("servers", f"{title}", seen, "; ".join(complaints))
            seen = f"ended by {other.code} after {other.seconds:.1f} s"
            wrong = "" if other.code == 0 else other.last_words
            yield Outcome("servers", f"a run without a server, beside one with {title}", seen, wrong)
            if quick:
                return


def _servers_that_go(project: Project, server: Server, quick: bool) -> Iterator[Outcome]:
    def started(*words: str) -> Run:
        project.checkpoint.unlink(missing_ok=True)
        run = project.start("--pipelines", "cvae", *words, server=server.address)
        run.wait_until(project.checkpoint.is_file)
        return run

    def afterwards() -> list[str]:
        return project.runs_well(["cvae"], server=server.address) + running(server.database)

    ways = [(signal.SIGINT, 1, False), (signal.SIGINT, 2, False), (signal.SIGTERM, 1, False)]
    ways += [(signal.SIGINT, 1, True), (signal.SIGTERM, 1, True)]
    for number, times, hangs in ways[:1] if quick else ways:
        run = started(*LONG)
        if hangs:
            server.send(signal.SIGSTOP)
        else:
            server.stop()
        seen, complaints = interrupted(run, number, times)
        if hangs:
            server.send(signal.SIGCONT)
        else:
            server.start()
        complaints += project.complaints() + afterwards()
        title = f"{'hangs' if hangs else 'is away'}: {number.name}, {('once', 'twice')[times - 1]}"
        yield Outcome("servers", f"the server {title}", seen, "; ".join(complaints))
    run = started("--params", "cvae.fit.epochs=1500")
    server.stop()
    time.sleep(5)
    server.start()
    done = run.end()
    complaints = [] if done.code == 0 else [f"ended by {done.code}: {done.last_words}"]
    complaints += project.complaints() + afterwards()
    seen = f"ended by {done.code} after {done.seconds:.0f} s"
    yield Outcome("servers", "the server goes in the fit and comes back", seen, "; ".join(complaints))
