"""When Python's collector of garbage looks through what a process holds."""

import atexit
import gc
import sys

_usual = gc.get_threshold()
_is_start_over = False


def collect_seldom() -> None:
    """Raise the collector's thresholds for the start of a command, and spare its end.

    What a command imports, half a million objects, stays until its end. The collector would go through them again
    and again meanwhile, and twice more when the process ends: a third of a short run's time. A notebook's process
    is its user's, and stays as it is.
    """
    if "IPython" in sys.modules:
        return
    gc.set_threshold(100_000, 10, 10)
    atexit.register(_freeze)


def collect_as_usual() -> None:
    """Go by the usual thresholds again: nodes may leave large arrays in circles.

    What is there by now is left out for good. Only once a process: later on that could be data of an earlier run.
    """
    global _is_start_over
    if not _is_start_over and gc.get_threshold() != _usual:
        _is_start_over = True
        _freeze()
        gc.set_threshold(*_usual)


def _freeze() -> None:
    """Leave what is there out of every collection; not where triton is loaded, which would say that it leaks."""
    if "triton" not in sys.modules:
        gc.freeze()
