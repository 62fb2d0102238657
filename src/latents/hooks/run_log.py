"""The whole log of a run as a file, and lines that stay lines where there is no terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import rich
from rich.logging import RichHandler

logger = logging.getLogger(__name__)

LOGS = "logs/????-??-??T*.log"  # where runs of an environment write; by the time that Kedro gives each


class RunLog:
    """A file that takes what all loggers let through, Kedro's line for each dataset among it.

    Each run has its own, so runs side by side do not mix. It grows while the run lasts: of one that was killed it
    tells how far it came.
    """

    KEPT = 20  # in a folder, the newest

    def __init__(self) -> None:
        self._handler: logging.FileHandler | None = None

    @property
    def path(self) -> Path | None:
        """Where the file is, while it is written."""
        return None if self._handler is None else Path(self._handler.baseFilename)

    def open(self, data: Path, name: str) -> None:
        """Begin a file, and remove the oldest of those before; where none can be written, the run goes without."""
        self.close()  # of a run in this process that was interrupted
        path = data / LOGS.replace("????-??-??T*", name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            logger.warning("this run has no log file: %s", error)
        if self._handler is not None:
            self._handler.setLevel(logging.INFO)
            self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
            for ending in _ends():
                ending.addHandler(self._handler)
            for old in sorted(data.glob(LOGS))[: -self.KEPT]:
                with suppress(OSError):  # another user's, say
                    old.unlink()

    def write(self, message: str, error: BaseException | None = None) -> None:
        """Write to the file alone; of an error, with its traceback."""
        if self._handler is not None:
            raised = None if error is None else (type(error), error, error.__traceback__)
            level = logging.INFO if error is None else logging.ERROR
            self._handler.handle(logging.LogRecord(__name__, level, __file__, 0, message, None, raised))

    def close(self) -> None:
        """End the file, if one is open."""
        if self._handler is not None:
            _detach(self._handler)
            self._handler = None


class _LogFile(logging.FileHandler):
    """Ends where its disk is full, instead of a traceback for every line from there on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - it is logging's name
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a line that cannot be formatted
            super().handleError(record)
            return
        _detach(self)
        logger.warning("the log %s ends here: %s", self.baseFilename, error)


def _detach(handler: logging.Handler) -> None:
    for ending in _ends():
        ending.removeHandler(handler)
    with suppress(OSError):  # a rest that found no room either
        handler.close()


class PlainHandler(logging.Handler):
    """Writes a record as one line."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print to what is the standard output now."""
        try:
            print(self.format(record), flush=True)
        except Exception:
            self.handleError(record)


def write_lines_where_there_is_no_terminal() -> None:
    """Exchange handlers that draw for a terminal: elsewhere they would break every line at 80 columns."""
    console = rich.get_console()
    if console.is_terminal or console.is_jupyter:
        return
    for ending in _ends():
        for handler in [one for one in ending.handlers if isinstance(one, RichHandler)]:
            plain = PlainHandler(handler.level)
            plain.filters = handler.filters
            ending.removeHandler(handler)
            ending.addHandler(plain)


def _ends() -> Iterator[logging.Logger]:
    """Yield the loggers at which records end: they pass none on to others."""
    yield logging.root
    for one in list(logging.root.manager.loggerDict.values()):
        if isinstance(one, logging.Logger) and not one.propagate and one.handlers:
            yield one
