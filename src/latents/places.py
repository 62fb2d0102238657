"""Where files are: on this machine, or in a store that fsspec knows (``s3://``, ``gs://``, ``memory://`` ...).

A file of this machine is a ``Path``, and nothing here concerns it. One of a store is a ``Remote``, which whatever
opens paths can open: it is then brought here, whole, into a scratch folder, where it stays until the room is
needed. Its version in the store says whether the copy is the present one.

Files of a store are written here first and then uploaded: the upload makes the file be there. A folder is uploaded
into a folder within it of a name that never was before; then, last, a manifest says which one it is, and of which
files. A reader goes by the manifest, and so sees the former folder or the new one and never a half. A folder
without a manifest is the user's own, and read as it lies; hidden files are left out.

fsspec and the driver of a store are imported when a store is first asked.
"""

import functools
import hashlib
import json
import os
import shutil
import stat
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, NoReturn
from uuid import uuid4

from latents import scratch

Access = Mapping[str, Any] | None
"""What a store is opened with: credentials, or other arguments of its file system."""

_LOCAL = ("file", "local")
# What is uploaded to these is there when all of it is; to others it goes under another name, and is then renamed.
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "memory")
_S3 = ("s3", "s3a")
_DRIVERS = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "az"), "adlfs"),
}
_EXTRAS = {"s3fs": "'latents[s3]'"}
# What tells versions of a file apart, by the stores' names for it; the size comes beside.
_VERSIONS = (
    *("ETag", "etag", "md5Hash", "generation", "content_md5"),
    *("LastModified", "last_modified", "mtime", "created"),
)
_DIGESTS = ("ETag", "etag", "md5Hash")  # which some stores have, and some kinds of files of theirs
_PART = 50 * 2**20  # bytes of a part of a large file, as s3fs uploads them
_ROOTS: set[tuple[str, str]] = set()  # buckets that are there

OF_OPENING = ("open_args_load", "open_args_save")
"""Names in Kedro's `fs_args` that speak of a file and not of its store."""

_MANIFEST = ".manifest.json"
_WHOLE = ".whole-"
_LEFT = 86_400.0  # seconds after which a folder that no manifest names is taken for a dead writer's
# What names the store itself, of what it is opened with; where it is nested, in either of these.
_OF_THE_STORE = (
    "endpoint_url",
    "host",
    "port",
    "account_name",
    "account_host",
    "path",
    "project",
    "target_protocol",
)
_NESTED = ("client_kwargs", "target_options")
_WEB = ("http", "https")
# Whose drivers keep listings, and can be told not to.
_LISTING = (*_OBJECT_STORES, *_WEB, "ftp", "webhdfs")


class PlaceError(Exception):
    """A store does not answer, refuses, or is not there; or its package is not. The message is one sentence."""


class _Seen(NamedTuple):
    """What a store has said of a file: its size, and what tells this version of it (or None)."""

    size: int
    version: str | None


class Remote(os.PathLike[str]):
    """A file or folder of a store, with as much of ``Path`` as reading and writing take.

    Whatever opens paths brings it here (``os.fspath``): a file whole, a folder with all that is in it. As text it
    is its address, without a password, or what a question mark begins in one of the web: it may be a signature.

    Parameters
    ----------
    address : str
        Such as ``s3://bucket/folder/file.csv``.
    options : mapping
        What fsspec takes for the store.
    """

    def __init__(
        self,
        address: str,
        options: Mapping[str, Any],
        seen: _Seen | None = None,
        files: Mapping[str, _Seen] | None = None,
    ) -> None:
        self._address = address.rstrip("/")
        self._options = options
        self._seen = seen
        self._files = files  # of a folder as `now` has found it
        steps = PurePosixPath(self._address.partition("://")[2]).parts
        if ".." in steps:
            raise PlaceError(f"{self} is no place: its name leads upwards")

    def __str__(self) -> str:
        scheme, _, rest = self._address.partition("://")
        host, slash, path = rest.partition("/")
        user, at, host = host.rpartition("@")
        if scheme in _WEB:
            path = path.partition("?")[0]
        return f"{scheme}://{user.partition(':')[0]}{at}{host}{slash}{path}"

    def __repr__(self) -> str:
        return f"Remote({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and other._address == self._address and other._store == self._store

    def __hash__(self) -> int:
        return hash(self._address)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_fs"}

    def __fspath__(self) -> str:
        return str(self.here())

    def __truediv__(self, name: str) -> "Place":
        """Return what lies in this folder; or elsewhere, where `name` is an address or begins at the root."""
        if "://" in name:
            return Remote(name, self._options)
        if name.startswith("/"):
            return Path(name)
        return self.with_child(name)

    def with_child(self, name: str) -> "Remote":
        """Return what lies in this folder."""
        child = Remote(f"{self._address}/{name}", self._options)
        if self._files is not None:
            child._seen = self._files.get(name, _ABSENT)
            if child._seen is _ABSENT:
                begin = f"{name}/"
                child._files = {
                    key.removeprefix(begin): seen
                    for key, seen in self._files.items()
                    if key.startswith(begin)
                }
        return child

    @property
    def name(self) -> str:
        """The last step of the address."""
        return self._address.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The ending of the name."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> "Remote":
        """The folder that it lies in."""
        return Remote(self._address.rpartition("/")[0], self._options)

    def with_name(self, name: str) -> "Remote":
        """Return what lies beside it under another name."""
        return self.parent.with_child(name)

    def with_suffix(self, suffix: str) -> "Remote":
        """Return what lies beside it with another ending."""
        return self.with_name(PurePosixPath(self.name).with_suffix(suffix).name)

    @property
    def copy(self) -> Path:
        """Where on this machine its copy lies, or would."""
        scheme, _, rest = str(self).partition("://")
        store = self._store
        if scheme in _WEB and "?" in self._address:
            store += self._address
        if store:
            scheme += f"-{hashlib.blake2b(store.encode(), digest_size=6).hexdigest()}"
        return scratch.folder() / scheme / rest

    def is_file(self) -> bool:
        """Tell whether there is such a file."""
        try:
            return self._look() is not _ABSENT
        except FileNotFoundError:
            return False

    def is_dir(self) -> bool:
        """Tell whether it is a folder with a file in it, and a whole one if it was written by a run."""
        return bool(self.now()._files)

    def exists(self) -> bool:
        """Tell whether it is a file or a folder."""
        return self.is_file() or self.is_dir()

    def stat(self) -> os.stat_result:
        """Return the size of the file, and nothing else."""
        seen = self._look()
        if seen is _ABSENT:
            raise FileNotFoundError(f"there is no {self}")
        return os.stat_result((stat.S_IFREG, 0, 0, 1, 0, 0, seen.size, 0, 0, 0))

    def open(self, mode: str = "rb") -> IO[Any]:
        """Open the copy to read it; what is written to it would never be uploaded."""
        if mode not in ("r", "rt", "rb"):
            raise ValueError(f"{self} cannot be opened by the mode {mode!r:.20}; allowed are r and rb")
        return self.here().open(mode)

    def read_bytes(self) -> bytes:
        """Return the content."""
        return self.here().read_bytes()

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return the content as text."""
        return self.here().read_text(encoding)

    def now(self) -> "Remote":
        """Return the folder with the files that it has at this moment; those are the ones that are then read.

        Of a folder that a run has written, that is the one that the manifest names.
        """
        if self._files is not None:
            return self
        if self.is_file():
            return Remote(self._address, self._options, files={})
        try:
            with self._asked():
                content = self._fs.cat_file(self.with_child(_MANIFEST)._path)
        except FileNotFoundError:
            return Remote(self._address, self._options, files=self._listing())
        try:
            manifest = json.loads(content)
            whole = self.with_child(manifest["folder"])
            # Such a folder is never written to again: its name is the version of all that is in it.
            files = {name: _Seen(int(size), whole.name) for name, size in manifest["files"].items()}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise PlaceError(f"{self}/{_MANIFEST} is damaged: {error!r:.200}") from error
        return Remote(whole._address, self._options, files=files)

    def _listing(self) -> dict[str, _Seen]:
        with self._asked():
            try:
                found: Mapping[str, Mapping[str, Any]] = self._fs.find(self._path, detail=True)
            except FileNotFoundError:
                found = {}
        if not found:
            self._check_root()
        begin = f"{self._path}/"
        within = {path.removeprefix(begin): info for path, info in found.items() if path.startswith(begin)}
        return {
            name: _seen(info)
            for name, info in within.items()
            if info.get("type") == "file"
            and name
            and not any(step[:1] in ("", ".") for step in name.split("/"))
        }

    def names(self) -> list[str]:
        """Return the files in a folder and those below it, as paths within it, parted by ``/``."""
        files = self.now()._files or {}
        for name in files:
            self.with_child(name)  # which refuses names that lead upwards
        return sorted(files)

    def glob(self, pattern: str) -> list["Remote"]:
        """Return the files whose paths within the folder are, step by step, of a pattern such as ``*.npy``."""
        folder, steps = self.now(), pattern.split("/")
        return [
            folder.with_child(name)
            for name in folder.names()
            if len(parts := name.split("/")) == len(steps) and all(map(fnmatchcase, parts, steps))
        ]

    def here(self) -> Path:
        """Return where on this machine a whole copy lies, of a file or of a folder.

        Raises
        ------
        FileNotFoundError
            If there is neither.
        PlaceError
            If the store does not answer, or refuses.
        """
        if self.is_file():
            bring([self])
            return self.copy
        folder = self.brought()
        if not folder._files:
            raise FileNotFoundError(f"there is no {self}")
        kept = {folder.with_child(name).copy for name in folder._files}
        for path in folder.copy.rglob("*"):  # what was in it when it was brought before
            if path not in kept and path.is_file() and not path.name.startswith("."):
                path.unlink(missing_ok=True)
        return folder.copy

    def brought(self) -> "Remote":
        """Return the folder as it is at this moment, once all its files are here."""
        folder = self.now()
        try:
            bring([folder.with_child(name) for name in folder.names()])
        except FileNotFoundError:
            if folder is self:
                raise
            folder = self.now()  # it was replaced meanwhile
            bring([folder.with_child(name) for name in folder.names()])
        return folder

    def put(self, local: Path) -> None:
        """Upload a file, which then is there, or in the place of the former one.

        `local` is taken for its copy where the store tells a digest of what it has, and it is the same: another
        may have written there since.
        """
        _ask_guards()
        scratch.take(local.stat().st_size)
        with self._asked():
            with self._committed() as path:
                self._fs.put_file(str(local), path)
            info = self._fs.info(self._path)
        size, version = _seen(info)
        whole = next((step for step in self._path.split("/") if step.startswith(_WHOLE)), None)
        if whole is not None:  # which is the version of all that is in it
            scratch.mark(local, size, whole)
        elif _is_digest_of(local, info):
            scratch.mark(local, size, version)

    @contextmanager
    def _committed(self) -> Iterator[str]:
        """Give where a file is to be uploaded to; when the block ends well, it is there."""
        if self._protocol in _OBJECT_STORES:
            yield self._path
            return
        beside = self.with_name(f".writing-{uuid4().hex[:12]}-{self.name}")
        self._fs.makedirs(self.parent._path, exist_ok=True)
        try:
            yield beside._path
            self._fs.mv(beside._path, self._path)
        except BaseException:
            with suppress(Exception):
                self._fs.rm_file(beside._path)
            raise

    def new_folder(self) -> "Remote":
        """Return where in this folder all files go that are to replace the former ones (``put_folder``)."""
        return self.with_child(f"{_WHOLE}{uuid4().hex[:12]}")

    def put_folder(self, whole: "Remote", local: Path) -> None:
        """Upload a folder to where `new_folder` has said, and then say that it is this one; the former goes.

        Of others that were never named by a manifest those go that are a day old: their writers were killed.
        """
        paths = {
            path.relative_to(local).as_posix(): path for path in sorted(local.rglob("*")) if path.is_file()
        }
        paths = {name: path for name, path in paths.items() if not name.rpartition("/")[2].startswith(".")}
        sizes = {name: path.stat().st_size for name, path in paths.items()}
        _ask_guards()
        scratch.take(sum(sizes.values()))
        with self._asked():
            if self._protocol not in _OBJECT_STORES:
                for folder in {whole.with_child(name).parent._path for name in paths}:
                    self._fs.makedirs(folder, exist_ok=True)
            self._fs.put(
                [str(path) for path in paths.values()], [whole.with_child(name)._path for name in paths]
            )
        self._point_to(whole, sizes)
        for name, path in paths.items():
            scratch.mark(path, sizes[name], whole.name)

    @contextmanager
    def replaced(self) -> Iterator["Remote"]:
        """Give a new folder to put files into, here or elsewhere; it is this one when the block ends well."""
        whole = self.new_folder()
        try:
            yield whole
            sizes = {name: seen.size for name, seen in whole._listing().items()}
        except BaseException:
            with suppress(Exception):
                self._fs.rm(whole._path, recursive=True)
            raise
        self._point_to(whole, sizes)  # from here on it may be the one that counts

    def _point_to(self, whole: "Remote", sizes: Mapping[str, int]) -> None:
        """Say which of the folders within this one it is, and of which files."""
        content = json.dumps({"folder": whole.name, "files": sizes})
        with self._asked():
            former = self._former()
            _ask_guards()  # the files may have taken long
            with self.with_child(_MANIFEST)._committed() as manifest:
                self._fs.pipe_file(manifest, content.encode())
        with suppress(PlaceError, FileNotFoundError), self._asked():  # the new one is there
            self._clear(whole.name, former)

    def _former(self) -> str:
        try:
            return str(json.loads(self._fs.cat_file(self.with_child(_MANIFEST)._path))["folder"])
        except FileNotFoundError:
            return ""

    def _clear(self, present: str, former: str) -> None:
        folders: dict[str, dict[str, Any]] = {}
        for path, info in self._fs.find(self._path, detail=True).items():
            step = path.removeprefix(f"{self._path}/").partition("/")[0]
            if step.startswith(_WHOLE) and step != present:
                folders.setdefault(step, {})[path] = info
        for step, files in folders.items():
            if step == former or all(_age(info) > _LEFT for info in files.values()):
                self._fs.rm(list(files))
                shutil.rmtree(self.with_child(step).copy, ignore_errors=True)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file from the store."""
        try:
            with self._asked():
                self._fs.rm_file(self._path)
        except FileNotFoundError:
            if not missing_ok:
                raise
        self.copy.unlink(missing_ok=True)

    def create(self, content: bytes) -> bool:
        """Write a small file unless it is there; tell whether it was not.

        The store itself sees to that where it can (S3, Google's, Azure's); elsewhere it is asked just before.
        """
        try:
            with self._asked():
                if self._protocol not in _OBJECT_STORES:
                    self._fs.makedirs(self.parent._path, exist_ok=True)
                self._fs.pipe_file(self._path, content, mode="create")
        except FileExistsError:
            return False
        except PlaceError as error:
            if _was_there(error.__cause__):
                return False
            raise
        return True

    def replace(self, content: bytes, version: str | None) -> bool:
        """Write a small file in the place of a version of it; tell whether it was still that one.

        S3 sees to that itself; of other stores it is asked just before.
        """
        try:
            if self._protocol in _S3 and version is not None:
                with self._asked():
                    self._fs.pipe_file(self._path, content, IfMatch=version)
                return True
            if self.read_small()[1] != version:
                return False
            with self._asked():
                self._fs.pipe_file(self._path, content)
        except (FileNotFoundError, FileExistsError):
            return False
        except PlaceError as error:
            if _was_there(error.__cause__):
                return False
            raise
        return True

    def read_small(self) -> tuple[bytes, str | None]:
        """Return the content of a small file, which is not kept here, and its version."""
        with self._asked():
            seen = _seen(self._fs.info(self._path))
            return bytes(self._fs.cat_file(self._path)), seen.version

    def _look(self) -> _Seen:
        if self._seen is None:
            try:
                with self._asked():
                    info = self._fs.info(self._path)
            except FileNotFoundError:
                self._check_root()
                raise
            return _seen(info) if info.get("type") == "file" else _ABSENT
        return self._seen

    def _check_root(self) -> None:
        """Refuse a bucket that is not there, of which a store says no more than of a file that is not."""
        root = self._path.partition("/")[0]
        if self._protocol not in _OBJECT_STORES or (self._protocol, root) in _ROOTS:
            return
        is_there = True
        with suppress(Exception):  # who may read a file need not be allowed to ask for its bucket
            is_there = bool(self._fs.exists(root))
        if not is_there:
            raise PlaceError(f"{self} is not there: there is no {self._protocol}://{root}")
        _ROOTS.add((self._protocol, root))

    @property
    def _store(self) -> str:
        """What tells stores apart in which there is the same address: none of it is secret."""
        given = {name: self._options[name] for name in _OF_THE_STORE if name in self._options}
        for inner in _NESTED:
            nested = self._options.get(inner)
            if isinstance(nested, Mapping):
                given |= {f"{inner}.{name}": nested[name] for name in _OF_THE_STORE if name in nested}
        return repr(sorted(given.items())) if given else ""

    @property
    def _protocol(self) -> str:
        return self._address.partition("://")[0]

    @functools.cached_property
    def _fs(self) -> Any:
        import fsspec

        options = self._options
        if self._protocol in _LISTING:  # others write, too: what was listed before may no longer be so
            options = {"use_listings_cache": False, **options}
        return fsspec.core.url_to_fs(self._address, **options)[0]

    @property
    def _path(self) -> str:
        return str(self._fs._strip_protocol(self._address))

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Say in one sentence what a store does not do, but for what is or is not there."""
        try:
            yield
        except (FileExistsError, PlaceError):
            raise
        except Exception as error:
            if _code(error) == "NoSuchBucket":
                self._fail("is not there: there is no such bucket", error)
            if isinstance(error, FileNotFoundError):
                raise FileNotFoundError(f"there is no {self}") from error
            if isinstance(error, ImportError):
                driver = _DRIVERS.get(self._protocol)
                how = f"{driver}: pip install {_EXTRAS.get(str(driver), driver)}" if driver else str(error)
                self._fail(f"takes a package that is not installed, {how}", error)
            if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
                self._fail(f"is refused ({_brief(error)}); check the credentials", error)
            self._fail(f"cannot be had ({_brief(error).replace(self._address, str(self))})", error)

    def _fail(self, reason: str, error: Exception) -> NoReturn:
        raise PlaceError(f"{self} {reason}") from error


Place = Path | Remote

_ABSENT = _Seen(-1, None)


def place(address: "str | Place", credentials: Access = None, fs_args: Access = None) -> Place:
    """Return where something is.

    Parameters
    ----------
    address : str, Path or Remote
        A path of this machine, or an address that fsspec knows, such as ``s3://bucket/folder/file.csv``. What is
        a place is returned as it is.
    credentials, fs_args : mapping, optional
        What the store is opened with, as Kedro's own datasets take them. Without credentials, those of the
        address that it lies under (`remember`), if there are any.

    Returns
    -------
    Path or Remote
    """
    if isinstance(address, Place):
        return address
    text = os.fspath(address)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Path(text)
    if scheme in _LOCAL:
        return Path(rest)
    given = {name: value for name, value in (fs_args or {}).items() if name not in OF_OPENING}
    return Remote(text, {**given, **(credentials_of(text) if credentials is None else credentials)})


def credentials_of(address: str) -> Mapping[str, Any]:
    """Return what was remembered for all that lies where this does, if it was."""
    return next((_known[begin] for begin in _known if f"{address}/".startswith(begin)), {})


def now(folder: Place) -> Place:
    """Return a folder as it is at this moment; see ``Remote.now``."""
    return folder.now() if isinstance(folder, Remote) else folder


def here(what: Place) -> Path:
    """Return where on this machine a file or folder is, or a whole copy of it; raises as ``Remote.here``."""
    return what.here() if isinstance(what, Remote) else what


def remember(address: str, credentials: Access) -> None:
    """Let all that lies under an address be opened by these credentials, where it has none of its own.

    What was remembered before is forgotten.
    """
    _known.clear()
    if credentials:
        _known[f"{address.rstrip('/')}/"] = credentials


_known: dict[str, Mapping[str, Any]] = {}


@contextmanager
def guarded(check: Callable[[], None]) -> Iterator[None]:
    """Upload nothing of which `check` raises, for the length of the block; all threads ask it."""
    _guards.append(check)
    try:
        yield
    finally:
        _guards.remove(check)


_guards: list[Callable[[], None]] = []


def _ask_guards() -> None:
    for check in tuple(_guards):
        check()


def bring(files: Iterable[Place]) -> None:
    """Have whole copies of files here, brought side by side; those of this machine are."""
    missing: dict[int, list[tuple[Remote, _Seen]]] = {}  # by the store
    for file in files:
        if isinstance(file, Remote):
            seen = file._look()
            if seen is _ABSENT:
                raise FileNotFoundError(f"there is no {file}")
            if not scratch.is_copy(file.copy, *seen):
                missing.setdefault(id(file._fs), []).append((file, seen))
    for wanted in missing.values():
        first = wanted[0][0]
        targets = [scratch.beside(file.copy) for file, _ in wanted]
        scratch.take(sum(seen.size for _, seen in wanted))
        try:
            for target in targets:
                target.parent.mkdir(parents=True, exist_ok=True)
            with first._asked():
                if len(wanted) == 1:
                    first._fs.get_file(first._path, str(targets[0]))
                else:
                    first._fs.get([file._path for file, _ in wanted], list(map(str, targets)))
            for (file, seen), target in zip(wanted, targets, strict=True):
                scratch.mark(target, *seen)
                target.replace(file.copy)
        finally:
            for target in targets:
                target.unlink(missing_ok=True)


def in_batches(files: Sequence[Place], size: int = 256) -> Iterator[Sequence[Place]]:
    """Yield files some at a time, brought side by side: all together may be more than the scratch folder holds."""
    for start in range(0, len(files), size):
        batch = files[start : start + size]
        bring(batch)
        yield batch


def _seen(info: Mapping[str, Any]) -> _Seen:
    version = next((str(info[name]) for name in _VERSIONS if info.get(name)), None)
    return _Seen(int(info["size"] or 0), version)


def _is_digest_of(local: Path, info: Mapping[str, Any]) -> bool:
    """Tell whether what a store says of a file has an MD5 of it, or S3's of the MD5s of its parts."""
    found = {str(info[name]).strip('"') for name in _DIGESTS if info.get(name)}
    if info["size"] != local.stat().st_size or not found:
        return False
    whole, parts = hashlib.md5(usedforsecurity=False), []
    with local.open("rb") as file:
        while content := file.read(_PART):
            whole.update(content)
            parts.append(hashlib.md5(content, usedforsecurity=False).digest())
    of_parts = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return not found.isdisjoint(
        {whole.hexdigest(), b64encode(whole.digest()).decode(), f"{of_parts}-{len(parts)}"}
    )


def _age(info: Mapping[str, Any]) -> float:
    """Return how many seconds ago a file was written; 0 where the store does not say."""
    names = ("LastModified", "last_modified", "created", "mtime")
    when = next((info[name] for name in names if info.get(name)), None)
    when = when.timestamp() if isinstance(when, datetime) else when
    return time.time() - when if isinstance(when, int | float) else 0.0


def _code(error: BaseException) -> str:
    """Return what S3 calls an error."""
    response = getattr(error.__cause__ or error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _was_there(error: BaseException | None) -> bool:
    """Tell whether S3 has refused to write since a condition did not hold, or another was quicker."""
    return error is not None and _code(error) in (
        "PreconditionFailed",
        "ConditionalRequestConflict",
        "412",
        "409",
    )


def _brief(error: BaseException) -> str:
    return f"{' '.join(str(error).split()) or type(error).__name__:.300}"
