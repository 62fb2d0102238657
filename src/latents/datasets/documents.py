"""Corpora as tables of documents: columns ``text``, ``label`` and ``name``."""

import ast
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import DatasetError

from latents.datasets.read_only import ReadOnlyDataset
from latents.places import Access, Remote, here, place


class DocstringsDataset(ReadOnlyDataset[pd.DataFrame]):
    """The docstrings of an installed package, read from its source without importing it.

    A document is the docstring of a function, method or class whose name has no leading underscore; its label
    is the subpackage it lies in. Tests are left out.

    Parameters
    ----------
    package : str
        An installed package, such as ``scipy``.
    subpackages : sequence of str
        The subpackages to read, which are the labels.
    min_characters : int
        Shorter docstrings are left out.
    limit : int, optional
        Keep only this many documents of each subpackage, for a quick try.
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        package: str,
        subpackages: Sequence[str],
        min_characters: int = 200,
        limit: int | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._package = package
        self._subpackages = list(subpackages)
        self._min_characters = min_characters
        self._limit = limit
        super().__init__(metadata)

    def load(self) -> pd.DataFrame:
        """Return one row per docstring, in the order of files and lines; the name is ``module.name:line``."""
        spec = find_spec(self._package)
        if spec is None or not spec.submodule_search_locations:
            raise DatasetError(f"package {self._package!r:.80} is not installed, or is a single module")
        root = Path(spec.submodule_search_locations[0])
        rows = []
        for label in self._subpackages:
            if not (root / label).is_dir():
                raise DatasetError(f"{self._package} has no subpackage {label!r:.80} in {root}")
            documents = list(self._docstrings(root, label))
            rows.extend(documents[: self._limit])
        return pd.DataFrame(rows, columns=["name", "label", "text"])

    def _docstrings(self, root: Path, label: str) -> Iterator[tuple[str, str, str]]:
        for path in sorted((root / label).rglob("*.py")):
            module = path.relative_to(root).with_suffix("").parts
            if "tests" in module:
                continue
            tree = _parse(path)
            kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            found = [node for node in ast.walk(tree) if isinstance(node, kinds)]
            for node in sorted(found, key=lambda node: node.lineno):
                text = ast.get_docstring(node)
                if node.name.startswith("_") or text is None or len(text) < self._min_characters:
                    continue
                yield f"{'.'.join(module)}.{node.name}:{node.lineno}", label, text


_UPSETS = 19  # more than any number of threads brought about


def _parse(path: Path) -> ast.Module:
    """Parse a file of Python.

    CPython 3.11 and 3.12 count the depth of syntax trees once for all threads, so that another thread that
    parses at the same moment can upset the count; the file itself is fine, and parses the next time.
    """
    source = path.read_text(encoding="utf-8")
    for _ in range(_UPSETS):
        with suppress(SystemError):
            return ast.parse(source, filename=str(path))
    return ast.parse(source, filename=str(path))


class NewsgroupsDataset(ReadOnlyDataset[pd.DataFrame]):
    """20 Newsgroups through scikit-learn's loader and its cache.

    Parameters
    ----------
    data_home : str
        The folder that holds scikit-learn's cache, or that it is downloaded to; to a store nothing is downloaded.
    subset : {"all", "train", "test"}
        Which posts to read.
    remove : sequence of {"headers", "footers", "quotes"}
        What to strip from the posts.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    CACHE = "20news-bydate_py3.pkz"

    def __init__(
        self,
        data_home: str,
        subset: str = "all",
        remove: Sequence[str] = (),
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._data_home = place(data_home, credentials, fs_args)
        self._subset = subset
        self._remove = tuple(remove)
        super().__init__(metadata)

    def load(self) -> pd.DataFrame:
        """Return one row per post; the label is the newsgroup."""
        from sklearn.datasets import fetch_20newsgroups

        cache = self._data_home / self.CACHE
        try:
            # The order of the files, not a shuffled one: splits are drawn later, from their own seed.
            bunch = fetch_20newsgroups(
                data_home=str(here(cache).parent if isinstance(cache, Remote) else self._data_home),
                subset=self._subset,
                remove=self._remove,
                shuffle=False,
                download_if_missing=not (isinstance(cache, Remote) or cache.is_file()),
                n_retries=1,
            )
        except OSError as error:
            raise DatasetError(
                f"20 Newsgroups is not (or not whole) at {cache} and could not be downloaded ({error}). On a "
                "machine with network run scikit-learn's fetch_20newsgroups(subset='all') once, then put the file "
                f"{self.CACHE} from its data folder at that path, or let LATENTS_DATA_HOME name the folder "
                "that holds it."
            ) from error
        labels = [bunch.target_names[target] for target in bunch.target]
        names = [f"{label}/{Path(file).name}" for label, file in zip(labels, bunch.filenames, strict=True)]
        return pd.DataFrame({"name": names, "label": labels, "text": bunch.data})
