"""Corpora: docstrings of an installed package, and 20 Newsgroups through scikit-learn's loader."""

import ast
import codecs
import pickle
import zlib
from importlib.util import find_spec
from pathlib import Path

import pytest
from kedro.io import DatasetError
from sklearn.utils import Bunch

from latents.datasets import DocstringsDataset, NewsgroupsDataset


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose import would fail: it must only be read."""
    long = "word " * 50
    files = {
        "readable/__init__.py": "raise ImportError('must not be imported')",
        "readable/one/a.py": (
            f'def shown():\n    """{long}"""\n'
            f'def _hidden():\n    """{long}"""\n'
            'def short():\n    """Too short."""\n'
            "def bare():\n    pass\n"
            f'class Thing:\n    """{long}"""\n    async def method(self):\n        """{long}"""\n'
        ),
        "readable/one/tests/test_a.py": f'def test():\n    """{long}"""\n',
        "readable/two/deep/b.py": f'def other():\n    """{long}"""\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("package")
def test_reads_public_docstrings_without_importing():
    documents = DocstringsDataset("readable", ["one", "two"], min_characters=200).load()
    assert sorted(zip(documents["name"], documents["label"], strict=True)) == [
        ("one.a.Thing:9", "one"),
        ("one.a.method:11", "one"),
        ("one.a.shown:1", "one"),
        ("two.deep.b.other:1", "two"),
    ]
    assert documents["text"].str.startswith("word word").all()


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("upsets", [3, 1000])
def test_other_threads_may_upset_the_parser_for_a_moment(monkeypatch, upsets):
    parse, left = ast.parse, upsets

    def upset(*args, **kwargs):
        nonlocal left
        left -= 1
        if left >= 0:
            raise SystemError("AST constructor recursion depth mismatch")
        return parse(*args, **kwargs)

    monkeypatch.setattr(ast, "parse", upset)
    dataset = DocstringsDataset("readable", ["one"])
    if upsets == 3:
        assert len(dataset.load()) == 3
    else:
        with pytest.raises(DatasetError, match="recursion depth"):
            dataset.load()


@pytest.mark.usefixtures("package")
def test_limits_each_subpackage():
    documents = DocstringsDataset("readable", ["one", "two"], limit=1).load()
    assert documents["label"].tolist() == ["one", "two"]


@pytest.mark.usefixtures("package")
def test_names_what_is_missing():
    with pytest.raises(DatasetError, match="no subpackage 'three'"):
        DocstringsDataset("readable", ["three"]).load()
    with pytest.raises(DatasetError, match="'nowhere' is not installed"):
        DocstringsDataset("nowhere", ["one"]).load()
    with pytest.raises(DatasetError, match="read only"):
        DocstringsDataset("readable", ["one"]).save(3)


def test_scipy_holds_what_its_syntax_trees_hold():
    documents = DocstringsDataset("scipy", ["fft", "cluster"]).load()
    root = Path(find_spec("scipy").submodule_search_locations[0])
    expected = 0
    for path in [*root.glob("fft/**/*.py"), *root.glob("cluster/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())) if "tests" not in path.parts else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                expected += not node.name.startswith("_") and len(ast.get_docstring(node) or "") >= 200
    assert len(documents) == expected > 50


def write_newsgroups(folder, posts):
    """Write a cache in the form of scikit-learn's own (which is a compressed pickle)."""
    names = sorted({label for label, _ in posts})
    bunches = {}
    for subset, rows in (("train", posts[::2]), ("test", posts[1::2])):
        bunches[subset] = Bunch(
            data=[text for _, text in rows],
            target=[names.index(label) for label, _ in rows],
            filenames=[f"{subset}/{label}/{i}" for i, (label, _) in enumerate(rows)],
            target_names=names,
        )
    content = codecs.encode(pickle.dumps(bunches), "zlib_codec")
    assert zlib.decompress(content)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NewsgroupsDataset.CACHE).write_bytes(content)


def test_reads_newsgroups_from_the_loaders_cache(tmp_path):
    posts = [("sci.space", "From: a\n\nrockets fly"), ("rec.autos", "From: b\n\ncars drive")]
    write_newsgroups(tmp_path, posts)
    documents = NewsgroupsDataset(str(tmp_path)).load()
    assert sorted(zip(documents["label"], documents["text"], strict=True)) == sorted(posts)
    stripped = NewsgroupsDataset(str(tmp_path), remove=["headers"]).load()
    assert sorted(stripped["text"]) == ["cars drive", "rockets fly"]


def test_says_what_to_fetch_and_where_to_put_it(tmp_path, offline):
    with pytest.raises(DatasetError) as error:
        NewsgroupsDataset(str(tmp_path)).load()
    for words in (str(tmp_path / NewsgroupsDataset.CACHE), "fetch_20newsgroups", "LATENTS_DATA_HOME"):
        assert words in str(error.value)
