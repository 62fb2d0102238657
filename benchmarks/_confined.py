"""What is hostile is read in a process of its own, whose time and memory are bounded and measured."""

import gc
import json
import logging
import multiprocessing
import resource
import shutil
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError
from sklearn.utils._param_validation import InvalidParameterError

import latents
from _common import resident_bytes
from _outcomes import Outcome

PEAK = 1.5 * 2**30  # bytes, the imported libraries included
SECONDS = 60.0
LONGEST_MESSAGE = 1500
_ADDRESSES = 8 * 2**30  # bytes: what asks for more gets a MemoryError, before the machine suffers
_MODELS = "models"
TRAP = "sprung"

_context = multiprocessing.get_context("forkserver")
_PRELOADED = [
    *("latents.datasets.arrays", "latents.datasets.bags", "latents.datasets.feature_table"),
    *("latents.datasets.idx", "latents.datasets.image_folder", "latents.datasets.npy"),
    *("latents.datasets.texts", "latents.pipelines.clustering.corpus", "latents.pipelines.images"),
    *("latents.estimators.conditional_vae", "latents.estimators.minimum_error_pca"),
    *("latents.estimators.multinomial_mixture", "latents.predictors.clustering", "latents.predictors.cvae"),
    *("latents.predictors.pca", "pyarrow.parquet", "torch._dynamo", "torchvision.datasets", "IPython"),
    *("sklearn.datasets", "sklearn.feature_extraction.text", "sklearn.metrics"),
]


def look(numbers: Sequence[int], root: Path) -> Iterator[Outcome]:
    """Make the cases of these numbers in folders of their own, read each, and say what was seen.

    A server imports the libraries once, and every case is read by a process forked from it.

    Parameters
    ----------
    numbers : sequence of int
        Places in ``_hostile.all_cases()``.
    root : Path
        An empty folder.
    """
    from _hostile import all_cases

    cases = all_cases()
    _context.set_forkserver_preload(_PRELOADED)
    maker = _context.Process(target=_make, args=(list(numbers), root))
    maker.start()
    maker.join()
    if maker.exitcode:
        raise SystemExit(f"the hostile files could not be made: exit code {maker.exitcode}")
    for number in numbers:
        case, folder = cases[number], root / str(number)
        report = root / f"{number}.json"
        reader = _context.Process(target=_read, args=(case.read, folder, report))
        reader.start()
        reader.join(SECONDS)
        is_late = reader.is_alive()
        if is_late:
            reader.kill()
            reader.join()
        seen = json.loads(report.read_text()) if report.is_file() else {}
        complaint = (
            f"still at it after {SECONDS:.0f} s" if is_late else _complaint(case, seen, reader.exitcode)
        )
        if (folder / TRAP).exists():
            complaint = "a pickle was executed"
        measured = f"{seen['seconds']:.1f} s, {seen['peak'] / 2**20:,.0f} MiB" if seen else "nothing measured"
        yield Outcome(
            f"hostile: {case.group}",
            f"{number}: {case.title}",
            f"{seen.get('type', 'no answer')}: {seen.get('message', '')} ({measured})",
            complaint,
        )
        shutil.rmtree(folder)


def _complaint(case: "Case", seen: dict, exitcode: int | None) -> str:  # type: ignore[type-arg]  # noqa: F821
    """Return what is wrong with what was seen of a case, or nothing."""
    if not seen:
        return f"the process ended by {exitcode}, without an answer"
    if seen["peak"] > PEAK:
        return f"{seen['peak'] / 2**30:.1f} GiB of memory"
    if case.said is None and seen["type"] == "read":
        return ""
    if seen["type"] == "read":
        return "read, and not refused"
    if not seen["ours"]:
        return f"an error of another's: raised in {seen['where']}"
    if len(seen["message"]) > LONGEST_MESSAGE:
        return f"a message of {len(seen['message']):,} characters"
    missing = [word for word in (case.named, case.said or "") if word not in seen["message"]]
    return f"the message lacks {missing[0]!r}" if missing else ""


def _make(numbers: list[int], root: Path) -> None:
    """Make what is to be read, and the models that are to be damaged."""
    from _hostile import all_cases, save_models

    cases = all_cases()

    save_models(root / _MODELS)
    for number in numbers:
        folder = root / str(number)
        folder.mkdir()
        cases[number].make(folder, root / _MODELS)


def _read(read: Callable[[Path], object], folder: Path, report: Path) -> None:
    """Read a case, and write down what came of it."""
    logging.disable()
    warnings.simplefilter("ignore")
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
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
    gc.collect()
    report.write_text(json.dumps(seen))


def _is_ours(error: BaseException, file: str) -> bool:
    """Tell whether an error is one that the project has raised, or a check that it has ordered."""
    if isinstance(error, ValidationError | InvalidParameterError):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    kinds = {"DatasetError", "ValueError", "FileNotFoundError"}
    return not names.isdisjoint(kinds) and Path(file).is_relative_to(Path(latents.__file__).parent)
