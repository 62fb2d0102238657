"""``make clean``: remove what runs have written, and nothing else.

What runs write is what the catalogs of all environments call an output, where a run has left its lock. Whatever
else lies in those folders stays, and is told of. What lies in a store stays: others may read it, and no folder of
this machine is cleaner without it.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogConfigResolver, DatasetError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from latents.files import sweep
from latents.hooks.configuration import register_places
from latents.hooks.run_log import LOGS
from latents.places import Remote, place
from latents.predictors.interface import MODEL, SETTINGS

# The files of a dataset that is a folder.
_IN_FOLDER = {
    "CountBlocksDataset": ("manifest.json", "block-*/*.npy"),
    "DocumentBlocksDataset": ("manifest.json", "told.parquet", "block-*/*.parquet"),
    "NpyFolderDataset": ("*.npy",),
    "PredictorDataset": (MODEL, SETTINGS),
    "SnapshotsDataset": ("epoch_*.npz", "epoch_*.png"),
}
# Read and written by fits while they run: to Kedro an input.
_WRITTEN_INPUTS = ("FitMonitorDataset", "SnapshotsDataset")
_OF_LOCKS = (".lock", ".run")
_SHOWN = 20
# What Kedro, OmegaConf and YAML raise of a configuration by which no run could begin.
_UNREADABLE = (
    DatasetError,
    OmegaConfBaseException,
    YAMLError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


class Output(NamedTuple):
    """A file that runs write, or a folder, by patterns of its files; folders below `root` go when empty."""

    path: Path
    patterns: tuple[str, ...]
    root: Path


def main() -> None:
    """Clean the project in the working folder."""
    project = Path.cwd()
    bootstrap_project(project)
    register_places(project)
    environments = (path for path in (project / settings.CONF_SOURCE).iterdir() if path.is_dir())
    outputs = {output for path in sorted(environments) for output in _outputs_of(project, path.name)}
    left = clean(project, outputs)
    for path in left[:_SHOWN]:
        print(f"==> left, since no run has written it: {_short(path, project)}")
    if len(left) > _SHOWN:
        print(f"==> left, too: {len(left) - _SHOWN} more")


def clean(project: Path, outputs: set[Output]) -> list[Path]:
    """Remove outputs, and return the files among them that stay.

    Exits with a message where a run is writing to one of their folders.
    """
    folders = {output.path.parent: output.root for output in outputs if output.path.parent.is_dir()}
    # A folder that no run has locked, no run has written to.
    folders = {folder: root for folder, root in folders.items() if (folder / ".lock").is_file()}
    with ExitStack() as held:
        for folder in sorted(folders):
            try:
                held.enter_context(FileLock(folder / ".lock", timeout=0))
            except Timeout:
                where = _short(folder, project)
                sys.exit(f"a run is writing to {where}; wait until it has ended. Nothing is removed.")
        for folder in {*folders, *(output.path for output in outputs if output.patterns)}:
            if folder.is_dir():
                sweep(folder)
        for output in outputs:
            if output.path.parent in folders:
                _remove(output)
        # Where a catalog of the user's sends an output elsewhere, what lies beside it is not among outputs.
        among = [folder for folder, root in folders.items() if root in folder.parents]
        found = {path for folder in among for path in folder.rglob("*") if path.is_file()}
        left = sorted(path for path in found if path.name not in _OF_LOCKS)
        for folder in folders:
            for name in _OF_LOCKS:
                (folder / name).unlink(missing_ok=True)
    for folder, root in folders.items():
        _remove_empty(folder, root)
    for root in {output.root for output in outputs}:
        for log in (*root.glob(LOGS), *root.glob(f"*/{LOGS}")):
            log.unlink()
            _remove_empty(log.parent, root)
    (project / "data" / ".mlflow-setup.lock").unlink(missing_ok=True)
    return left


def _outputs_of(project: Path, env: str) -> Iterator[Output]:
    """Yield what runs of an environment write to this machine's disk, but for the folder of raw data.

    ``local`` is a plain ``kedro run``.
    """
    names = {name for pipeline in pipelines.values() for name in pipeline.datasets()}
    try:
        loader = OmegaConfigLoader(
            str(project / settings.CONF_SOURCE), env=env, **settings.CONFIG_LOADER_ARGS
        )
        data = place(loader["globals"]["data"])
        credentials: dict[str, Any] = {}
        with suppress(MissingConfigException):
            credentials = dict(loader["credentials"])
        resolver = CatalogConfigResolver(loader["catalog"], credentials, default_runtime_patterns={})
        entries: list[tuple[str, dict[str, Any]]] = [(name, resolver.resolve_pattern(name)) for name in names]
    except _UNREADABLE as error:
        reason = f"{' '.join(str(error).split()):.200}"
        print(f"==> the outputs of {env} stay: its configuration cannot be read ({reason})")
        return
    # Of what a catalog writes to a disk all the same, while the rest lies in a store, folders stay.
    root = project / ("data" if isinstance(data, Remote) else data)
    written = {name for pipeline in pipelines.values() for name in pipeline.all_outputs()}
    elsewhere: set[str] = set()
    for name, entry in entries:
        while isinstance(entry.get("dataset"), dict):
            entry = entry["dataset"]
        kind = str(entry.get("type")).rpartition(".")[2]
        path = str(entry.get("filepath") or entry.get("path") or "")
        if not path or not (name in written or kind in _WRITTEN_INPUTS):
            continue
        found = place(path)
        if isinstance(found, Remote):
            elsewhere.add(str(found))
            continue
        path = str(found)
        full = project / path
        patterns = (f"*/{full.name}",) if entry.get("versioned") else _IN_FOLDER.get(kind, ())
        if not full.is_relative_to(root / "01_raw"):
            above = project / "data"  # which stays, though an environment's folder in it need not
            yield Output(full, patterns, above if root.is_relative_to(above) else root)
    if elsewhere:
        print(f"==> {len(elsewhere)} outputs of {env} stay, which lie in a store, such as {min(elsewhere)}")


def _remove(output: Output) -> None:
    files = [file for pattern in output.patterns for file in output.path.glob(pattern)]
    if not output.patterns and (output.path.is_file() or output.path.is_symlink()):
        files = [output.path]
    for file in files:
        file.unlink()
        if file.parent not in (output.path, output.path.parent):
            _remove_empty(file.parent, output.path)
    if output.patterns:
        with suppress(OSError):  # something of the user's is in it, or it is a link
            output.path.rmdir()


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder and those above it, up to the root, as long as they are empty."""
    while root in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _short(path: Path, project: Path) -> Path:
    return path.relative_to(project) if path.is_relative_to(project) else path


if __name__ == "__main__":
    main()
