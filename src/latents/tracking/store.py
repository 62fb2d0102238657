"""Whether MLflow's store is there, and asking it for no longer than one can wait.

SQLAlchemy is imported where it is needed: it takes a third of a second, and with a server nothing else needs it.
"""

import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from requests import Response
from requests.exceptions import RequestException

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

PATIENCE = 5.0  # seconds
_SERVERS = ("http", "https")
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_RETRIES, _TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
# Of a server that goes away during a run: waits of 0, 4, 8 and 16 seconds between tries, instead of four minutes.
_DURING_A_RUN = {_RETRIES: "4", _TIMEOUT: "30"}
_AT_ITS_END = {_RETRIES: "0", _TIMEOUT: "2"}


class StoreAwayError(click.ClickException):
    """MLflow's store does not answer; a command says so in one sentence, without a traceback."""


def check(address: str, is_header_to_come: bool = False) -> None:
    """Ask MLflow's store once whether it is there, for `PATIENCE` seconds at most.

    Other addresses than those of servers and databases are left to MLflow.

    Parameters
    ----------
    address : str
        MLflow's tracking URI.
    is_header_to_come : bool
        Whether requests will carry headers that this one lacks; then any answer will do.

    Raises
    ------
    StoreAwayError
    """
    scheme = urlsplit(address).scheme
    if scheme in _SERVERS:
        found = _within_patience(lambda: _ask_server(address, is_header_to_come))
    elif scheme == "sqlite":
        found = _ask_file(_parsed(address))
    elif scheme.split("+")[0] in _PORTS:
        found = _within_patience(lambda: _ask_port(_parsed(address)))
    else:
        return
    if found:
        otherwise = (
            "MLFLOW_TRACKING_URI can name another"
            if scheme == "sqlite"
            else "without MLFLOW_TRACKING_URI (and mlflow_tracking_uri in mlflow.yml) it is the file mlflow.db"
        )
        raise StoreAwayError(f"MLflow's store {shown(address)} is away: {found}; {otherwise}")


def wait_less() -> None:
    """Let requests of this process to a server that is away fail after half a minute, unless the user chose."""
    for name, value in _DURING_A_RUN.items():
        os.environ.setdefault(name, value)


_brief_lock = threading.Lock()
_brief_blocks = 0
_before: dict[str, str | None] = {}


@contextmanager
def briefly() -> Iterator[None]:
    """Let requests to a server fail after one short try, for the length of the block (in all threads)."""
    global _brief_blocks
    with _brief_lock:
        if not _brief_blocks:
            _before.update({name: os.environ.get(name) for name in _AT_ITS_END})
            os.environ.update(_AT_ITS_END)
        _brief_blocks += 1
    try:
        yield
    finally:
        with _brief_lock:
            _brief_blocks -= 1
            if not _brief_blocks:
                for name, value in _before.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value


def is_away(error: BaseException) -> bool:
    """Tell whether it is by MLflow's store, which does not answer, that something has failed."""
    chain = list(_chain(error))
    if not any(isinstance(link, MlflowException) for link in chain):
        return False
    from sqlalchemy.exc import OperationalError

    return any(isinstance(link, RequestException | OperationalError) for link in chain)


def reason(error: BaseException) -> str:
    """Say in a few words why MLflow's store has not answered: what lies at the bottom of its exceptions."""
    last = _bottom(error)
    text = last.strerror if isinstance(last, OSError) and last.strerror else str(last)
    return f"{' '.join((text or repr(last)).split()):.200}"


def shown(address: str) -> str:
    """Return an address without user and password."""
    scheme, separator, rest = address.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}"


def _within_patience(ask: Callable[[], str]) -> str:
    """Return what is wrong, or nothing; a server that sends a byte now and then counts as one that is silent."""
    found = [f"no answer within {PATIENCE:.0f} seconds"]

    def note() -> None:
        try:
            found.append(ask())
        except (MlflowException, OSError) as error:
            found.append(found[0] if isinstance(_bottom(error), TimeoutError) else reason(error))

    thread = threading.Thread(target=note, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return found[-1]


def _ask_server(address: str, is_header_to_come: bool) -> str:
    answer: Response = http_request(  # type: ignore[no-untyped-call]
        get_default_host_creds(address),  # type: ignore[no-untyped-call]
        "/api/2.0/mlflow/experiments/search",
        "POST",
        json={"max_results": 1},
        max_retries=0,
        timeout=PATIENCE,
        raise_on_status=False,
    )
    if answer.status_code >= 500:
        return f"it answers with HTTP {answer.status_code}"
    # Who is asked to say who they are, MLflow tells by its own words.
    if is_header_to_come or answer.status_code in (401, 403, 407):
        return ""
    try:
        is_mlflow = answer.ok and isinstance(answer.json(), dict)
    except ValueError:
        is_mlflow = False
    return "" if is_mlflow else f"what answers there (HTTP {answer.status_code}) is no MLflow server"


def _parsed(address: str) -> "URL":
    from sqlalchemy.engine import make_url

    return make_url(address)


def _ask_port(address: "URL") -> str:
    if address.host:
        port = address.port or _PORTS[address.get_backend_name()]
        socket.create_connection((address.host, port), timeout=PATIENCE).close()
    return ""


def _ask_file(address: "URL") -> str:
    path = address.database
    if not path or path == ":memory:" or path.startswith("file:"):
        return ""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as database:
            database.execute("BEGIN IMMEDIATE")  # as every run does that writes
    except (sqlite3.Error, OSError) as error:
        return str(error)
    return ""


def _bottom(error: BaseException) -> BaseException:
    *_, last = _chain(error)
    return last


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
