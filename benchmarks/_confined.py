"""What is hostile is read in a process of its own, whose time and memory are bounded and measured."""

import json
import logging
import multiprocessing
import resource
import shutil
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sklearn.utils._param_validation import InvalidParameterError

import latents
from _common import resident_bytes
from _hostile import MODELS, TRAP, Case, save_models
from _outcomes import Outcome

PEAK = 1.5 * 2**30  # bytes, the imported libraries included
SECONDS = 60.0
LONGEST_MESSAGE = 1500
_ADDRESSES = 8 * 2**30  # bytes: what asks for more gets a MemoryError, before the machine suffers
_context = multiprocessing.get_context("forkserver")
_PRELOADED = [
    *("latents.datasets.arrays", "latents.datasets.bags", "latents.datasets.feature_table"),
    *("latents.datasets.idx", "latents.datasets.image_folder", "latents.datasets.npy"),
    *("latents.datasets.texts", "latents.pipelines.clustering.corpus", "latents.pipelines.images"),
    *("latents.estimators.conditional_vae.estimator", "latents.estimators.minimum_error_pca.estimator"),
    "latents.estimators.multinomial_mixture.estimator",
    *("latents.predictors.clustering", "latents.predictors.cvae"),
    *("latents.predictors.pca", "pyarrow.parquet", "torch._dynamo", "torchvision.datasets", "IPython"),
    *("sklearn.datasets", "sklearn.feature_extraction.text", "sklearn.metrics"),
]


def look(cases: Mapping[int, Case], root: Path) -> Iterator[Outcome]:
    """Make each case in a folder of its own, read it, and say what was seen.

    A server imports the libraries once, and every case is read by a process forked from it.

    Parameters
    ----------
    cases : mapping
        By number.
    root : Path
        An empty folder.
    """
    _context.set_forkserver_preload(_PRELOADED)
    save_models(root / MODELS)
    for number, case in cases.items():
        folder, report = root / str(number), root / f"{number}.json"
        folder.mkdir()
        case.make(folder, root / MODELS)
        reader = _context.Process(target=_read, args=(case.read, folder, report))
        reader.start()
        reader.join(SECONDS)
        is_late = reader.is_alive()
        if is_late:
            reader.kill()
            reader.join()
        seen = json.loads(report.read_text()) if report.is_file() else {}
        wrong = complaint(case, seen)
        if is_late:
            wrong = f"still at it after {SECONDS:.0f} s"
        if (folder / TRAP).exists():
            wrong = "a pickle was executed"
        measured = f"{seen['seconds']:.1f} s, {seen['peak'] / 2**20:,.0f} MiB" if seen else "nothing measured"
        yield Outcome(
            f"hostile: {case.group}",
            f"{number}: {case.title}",
            f"{seen.get('type', 'no answer')}: {seen.get('message', '')} ({measured})",
            wrong,
        )
        shutil.rmtree(folder)


def complaint(case: Case, seen: Mapping[str, Any]) -> str:
    """Return what is wrong with what was seen of a case (as `_read` writes it down), or nothing."""
    if not seen:
        return "the process ended without an answer"
    if seen["peak"] > PEAK:
        return f"{seen['peak'] / 2**30:.1f} GiB of memory"
    if seen["type"] == "read":
        return "" if case.said is None else "read, and not refused"
    if not seen["ours"]:
        return f"an error of another's: raised in {seen['where']}"
    if len(seen["message"]) > LONGEST_MESSAGE:
        return f"a message of {len(seen['message']):,} characters"
    missing = [word for word in (case.named, case.said or "") if word not in seen["message"]]
    return f"the message lacks {missing[0]!r}" if missing else ""


def _read(read: Callable[[Path], object], folder: Path, report: Path) -> None:
    """Read a case, and write down what came of it."""
    logging.disable()
    warnings.simplefilter("ignore")
    sizes = Path("/proc/self/statm")
    if sizes.is_file():
        mapped = int(sizes.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + _ADDRESSES, resource.RLIM_INFINITY))
    started = time.perf_counter()
    seen: dict[str, object] = {"type": "read", "message": "", "ours": False, "where": ""}
    try:
        read(folder)
    except Exception as error:
        # Kedro gives the errors of others its own class; what counts is who has raised them.
        kedros = str(error).startswith("Failed while")
        first = error.__cause__ if kedros and error.__cause__ is not None else error
        place = traceback.extract_tb(first.__traceback__)[-1]
        seen["type"] = type(first).__name__
        seen["message"] = str(error).replace(str(folder), "...")
        seen["ours"] = _is_ours(first, place.filename)
        seen["where"] = f"{place.filename}:{place.lineno} ({place.line})"
    seen["seconds"] = time.perf_counter() - started
    seen["peak"] = resident_bytes()[1]
    report.write_text(json.dumps(seen))


def _is_ours(error: BaseException, file: str) -> bool:
    """Tell whether an error is one that the project has raised, or a check that it has ordered."""
    if isinstance(error, ValidationError | InvalidParameterError):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    kinds = {"DatasetError", "ValueError", "FileNotFoundError"}
    return not names.isdisjoint(kinds) and Path(file).is_relative_to(Path(latents.__file__).parent)
